"""Computing beside the event loop: the last position wins, heavy pictures are refined, everything can be stopped."""

import asyncio
import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.dashboards.samples import Dots, Slow, Stubborn
from tests.tolerances import SERVED_SOON
from workbench.dashboards.computing import AT_ONCE, TROUBLE, Computer


class Visit:
    """One visitor: an explorer, its computer, and everything that was delivered."""

    def __init__(self, explorer):
        self.explorer, self.outcomes, self.fractions = explorer, [], []
        self.pool = ThreadPoolExecutor(4)
        self.computer = Computer(explorer, self.pool, self.outcomes.append, self.fractions.append)

    def move(self, ticket, **values):
        self.explorer.set(**values)
        self.computer.want(ticket)

    async def until(self, condition, seconds=10.0):
        end = time.monotonic() + seconds
        while not condition(self):
            assert time.monotonic() < end, f"not within {seconds} s; delivered: {self.outcomes}"
            await asyncio.sleep(0.005)

    async def rest(self):
        await self.until(lambda visit: visit.computer._task is None)


def visit(explorer, story):
    """Tell a story about one visit on a loop of its own."""

    async def tell():
        guest = Visit(explorer)
        try:
            await asyncio.wait_for(story(guest), 30)
        finally:
            guest.computer.close()
            Stubborn.release.set()
            guest.pool.shutdown()
        return guest

    return asyncio.run(tell())


def state(outcome):
    return json.loads(outcome.text)["layout"]["meta"]["state"]


def test_a_move_is_answered_with_the_picture_of_its_state():
    async def story(guest):
        guest.move(1, height=3.0)
        await guest.rest()

    (outcome,) = visit(Dots(), story).outcomes
    assert (outcome.ticket, outcome.coarse, outcome.trouble) == (1, False, "")
    assert state(outcome)["height"] == 3.0
    assert len(outcome.buffer) > 0


def test_the_last_position_wins_and_what_was_in_between_is_dropped():
    async def story(guest):
        for ticket in range(40):
            guest.move(ticket, height=ticket / 2)
            await asyncio.sleep(0)
        await guest.rest()

    outcomes = visit(Dots(), story).outcomes
    assert outcomes[-1].ticket == 39
    assert state(outcomes[-1])["height"] == 19.5
    assert len(outcomes) < 10


def test_a_heavy_picture_comes_coarse_first_and_fine_at_rest():
    class Short(Slow):
        steps = 3

    async def story(guest):
        guest.move(1, height=2.0)
        await guest.rest()

    outcomes = visit(Short(), story).outcomes
    assert [outcome.coarse for outcome in outcomes] == [True, False]
    assert {outcome.ticket for outcome in outcomes} == {1}


def test_a_heavy_picture_that_is_remembered_comes_fine_at_once():
    class Short(Slow):
        steps = 3

    async def story(guest):
        for ticket, height in enumerate((2.0, 3.0, 2.0)):
            guest.move(ticket, height=height)
            await guest.rest()

    assert [outcome.coarse for outcome in visit(Short(), story).outcomes] == [True, False, True, False, False]


def test_a_new_move_ends_a_refinement_at_once():
    async def story(guest):
        guest.move(1, height=2.0)
        await guest.until(lambda v: v.fractions)
        begin = time.monotonic()
        guest.move(2, height=3.0)
        await guest.until(lambda v: any(o.ticket == 2 for o in v.outcomes))
        assert time.monotonic() - begin < SERVED_SOON

    outcomes = visit(Slow(), story).outcomes
    assert [(o.ticket, o.coarse) for o in outcomes] == [(1, True), (2, True)]


def test_r20_progress_is_told_and_stop_is_heard_within_a_second():
    async def story(guest):
        guest.move(1, height=2.0)
        await guest.until(lambda v: len(v.fractions) >= 2)
        begin = time.monotonic()
        guest.computer.stop()
        await guest.rest()
        assert time.monotonic() - begin < SERVED_SOON

    guest = visit(Slow(), story)
    assert guest.outcomes[-1].stopped
    assert guest.fractions == sorted(guest.fractions)
    assert all(0 <= fraction <= 1 for fraction in guest.fractions)
    assert guest.explorer.height == 2.0


def test_r20_work_that_never_looks_up_is_left_behind_and_the_next_move_is_answered():
    Stubborn.release.clear()

    async def story(guest):
        guest.move(1, height=9.0)
        await asyncio.sleep(0.1)
        begin = time.monotonic()
        guest.computer.stop()
        await guest.until(lambda v: v.outcomes)
        guest.move(2, height=3.0)
        await guest.until(lambda v: len(v.outcomes) == 2)
        assert time.monotonic() - begin < SERVED_SOON

    stopped, drawn = visit(Stubborn(), story).outcomes
    assert stopped.stopped
    assert state(drawn)["height"] == 3.0


def test_r20_one_visitor_never_takes_more_than_two_threads():
    Stubborn.release.clear()
    begun = []

    class Counting(Stubborn):
        def compute(self):
            begun.append(threading.get_ident())
            return super().compute()

    async def story(guest):
        for ticket in range(5):
            guest.explorer._results._kept.clear()
            guest.move(ticket, height=9.0)
            await asyncio.sleep(0.05)
            guest.computer.stop()
            await asyncio.sleep(0.05)
        assert len(begun) == AT_ONCE
        Stubborn.release.set()

    visit(Counting(), story)


def test_a_refusal_is_shown_as_it_stands_and_the_next_move_is_answered():
    async def story(guest):
        guest.move(1, height=14.0)
        await guest.rest()
        guest.move(2, height=3.0)
        await guest.rest()

    refused, drawn = visit(Dots(), story).outcomes
    assert refused.trouble == "height = 14 was given, but the curve does not reach it; use 13.5."
    assert drawn.text


def test_r21_a_fault_is_logged_once_and_told_without_its_inner_details(caplog):
    async def story(guest):
        guest.move(1, height=13.0)
        await guest.rest()
        guest.move(2, height=3.0)
        await guest.rest()

    with caplog.at_level(logging.ERROR):
        broken, drawn = visit(Dots(), story).outcomes
    assert broken.trouble == TROUBLE
    assert drawn.text
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError]


def test_an_errand_is_done_in_a_thread_and_its_refusal_is_told():
    done = []

    def refuse(explorer):
        raise ValueError("no such thing.")

    async def story(guest):
        guest.computer.do(lambda explorer: (explorer.height, threading.get_ident()), done.append)
        guest.computer.do(refuse, done.append)
        await guest.until(lambda v: v.outcomes and done)

    guest = visit(Dots(height=4.0), story)
    ((height, thread),) = done
    assert height == 4.0
    assert thread != threading.get_ident()
    assert guest.outcomes[0].trouble == "no such thing."


def test_a_visitor_has_two_errands_at_once_at_most():
    async def story(guest):
        for _ in range(AT_ONCE):
            guest.computer.do(lambda explorer: time.sleep(0.2), lambda nothing: None)
        with pytest.raises(ValueError, match="wait for one of them"):
            guest.computer.do(lambda explorer: None, lambda nothing: None)

    visit(Dots(), story)


def test_a_picture_asked_for_by_something_else_than_a_move_answers_the_last_move():
    async def story(guest):
        guest.move(7, height=2.0)
        guest.computer.want()
        await guest.rest()

    assert visit(Dots(), story).outcomes[-1].ticket == 7


def test_after_the_visitor_has_left_nothing_is_delivered():
    async def story(guest):
        guest.move(1, height=2.0)
        await asyncio.sleep(0.05)
        count = len(guest.outcomes)
        guest.computer.close()
        await asyncio.sleep(0.3)
        assert len(guest.outcomes) == count

    visit(Slow(), story)


@pytest.mark.parametrize("points", [2, 5])
def test_n15_what_is_left_out_is_told_with_the_picture(points):
    async def story(guest):
        guest.move(1, points=points)
        await guest.rest()

    (outcome,) = visit(Dots(), story).outcomes
    assert outcome.showing == ("showing 2 of 3 dots" if points == 2 else "")
