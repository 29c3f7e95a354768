"""Computing beside the event loop: the last position wins, heavy pictures are refined at rest, failures stay small."""

import logging
import threading

import numpy as np
import param
import pytest
import xarray as xr

from workbench.explorers import Explorer, _runner
from workbench.explorers._runner import Runner

LONG = 10.0  # s: an upper limit for a busy machine; nothing here waits for it


class Gated(Explorer):
    """An explorer whose computation waits for the test."""

    slug, title = "gated", "Gated"

    n = param.Integer(0, bounds=(0, 100), doc="Any number.")

    gate = threading.Event()  # compute waits for it
    begun = threading.Event()  # compute has begun

    def compute(self) -> xr.Dataset:
        self.begun.set()
        assert self.gate.wait(LONG)
        if self.n == 13:
            raise ZeroDivisionError("thirteen <b>")
        return xr.Dataset({"n": float(self.n)})

    def view(self, ds: xr.Dataset) -> dict:
        return {"data": [{"y": np.atleast_1d(ds.n.values)}], "layout": {}}


class Heavy(Gated):
    """Coarse at once; the refinement runs until the gate opens, or until it is stopped."""

    slug, heavy = "heavy", True

    def compute(self) -> xr.Dataset:
        if not self.coarse:
            self.begun.set()
            while not self.gate.wait(0.002):
                self.tell_progress(0.5)
        return xr.Dataset({"n": float(self.n)})


class Face:
    """What a face would show."""

    def __init__(self, explorer: Explorer) -> None:
        self.pictures: list = []
        self.failures: list[str] = []
        self.progress: list[float | None] = []
        self.runner = Runner(explorer, show=self.pictures.append, fail=self.fail, progress=self.progress.append)

    def fail(self, text: str, asked: int) -> None:
        self.failures.append(text)
        self.failed = asked

    def shown(self) -> list[tuple[int, bool]]:
        return [(picture.state["n"], picture.coarse) for picture in self.pictures]


@pytest.fixture(autouse=True)
def _fresh_gates(monkeypatch):
    monkeypatch.setattr(_runner, "REST", 0.01)
    for cls in (Gated, Heavy):
        cls.gate, cls.begun = threading.Event(), threading.Event()
    yield
    for cls in (Gated, Heavy):
        cls.gate.set()


def test_while_one_picture_is_computed_only_the_newest_request_waits():
    explorer = Gated()
    face = Face(explorer)
    face.runner.request()
    assert explorer.begun.wait(LONG)
    for n in range(1, 51):
        explorer.n = n
        face.runner.request()
    explorer.gate.set()
    assert face.runner.wait(LONG)
    assert face.shown() == [(0, False), (50, False)]
    assert [picture.serial for picture in face.pictures] == [1, 51]


def test_asking_returns_at_once_while_a_picture_is_computed():
    face = Face(Gated())
    face.runner.request()
    assert not face.runner.wait(0.02)
    assert face.pictures == []


def test_r21_a_failure_becomes_a_sentence_is_logged_once_and_the_next_picture_comes(caplog):
    explorer = Gated(n=13)
    explorer.gate.set()
    face = Face(explorer)
    with caplog.at_level(logging.ERROR):
        face.runner.request()
        assert face.runner.wait(LONG)
        explorer.n = 14
        face.runner.request()
        assert face.runner.wait(LONG)
    assert face.failures == ["ZeroDivisionError: thirteen <b>"]
    assert face.failed == 1
    assert face.shown() == [(14, False)]
    assert len(caplog.records) == 1
    assert "the gated explorer failed at ?n=13" in caplog.text


def test_a_heavy_picture_comes_coarse_first_and_refined_at_rest():
    explorer = Heavy(n=1)
    explorer.gate.set()
    face = Face(explorer)
    face.runner.request()
    assert face.runner.wait(LONG)
    assert face.shown() == [(1, True), (1, False)]
    assert [(picture.serial, picture.asked) for picture in face.pictures] == [(1, 1), (2, 1)]
    assert face.runner.asked == 1
    assert face.progress == [0.0, None]
    assert [picture.serial for picture in face.pictures] == [1, 2], "the page takes only what is newer"
    face.runner.request()
    assert face.runner.wait(LONG)
    assert face.shown()[2:] == [(1, False)], "what is refined already is shown at once"


def test_a_move_stops_the_refinement_that_runs():
    explorer = Heavy(n=1)
    face = Face(explorer)
    face.runner.request()
    assert explorer.begun.wait(LONG)
    explorer.n = 2
    face.runner.request()
    explorer.begun.clear()
    assert explorer.begun.wait(LONG), "the new position is refined"
    explorer.gate.set()
    assert face.runner.wait(LONG)
    assert face.shown() == [(1, True), (2, True), (2, False)]
    assert not explorer.at(n=1).refined


def test_cancel_keeps_the_coarse_picture_and_the_state():
    explorer = Heavy(n=1)
    face = Face(explorer)
    face.runner.request()
    assert explorer.begun.wait(LONG)
    face.runner.cancel()
    assert face.runner.wait(LONG)
    assert face.shown() == [(1, True)]
    assert face.progress[-1] is None
    assert (face.failures, explorer.n) == ([], 1)


def test_after_closing_nothing_is_shown_any_more():
    explorer = Gated()
    face = Face(explorer)
    face.runner.request()
    assert explorer.begun.wait(LONG)
    face.runner.close()
    explorer.gate.set()
    assert face.runner.wait(LONG)
    face.runner.request()
    assert face.pictures == []


def test_the_thread_ends_without_work_and_the_next_request_starts_another(monkeypatch):
    monkeypatch.setattr(_runner, "_IDLE", 0.0)
    explorer = Gated()
    explorer.gate.set()
    face = Face(explorer)
    for turn in (1, 2):
        face.runner.request()
        thread = face.runner._thread
        if thread is not None:
            thread.join(LONG)
        assert face.runner._thread is None
        assert len(face.pictures) == turn
