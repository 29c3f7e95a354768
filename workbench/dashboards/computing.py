"""Computing beside the event loop: the newest position wins, heavy pictures are refined at rest, all can be stopped."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

from workbench.dashboards.frames import pack
from workbench.explorers import Cancelled, Explorer
from workbench.explorers._controls import on_page

logger = logging.getLogger(__name__)

REST = 0.15  # seconds without a move after which a heavy picture is refined
PROGRESS_EVERY = 0.1  # seconds between two progress messages
AT_ONCE = 2  # computations of one visitor: the present one, and one that was given up but has not noticed yet

_Result = TypeVar("_Result")

TROUBLE = (
    "Something went wrong while this picture was computed; you see the last good one. Move the control back or "
    "reload the page. The details are in the server's log."
)


@dataclass(frozen=True)
class Outcome:
    """What a computation gave: a packed figure, or one sentence about why there is none.

    ticket    which request this answers.
    coarse    a first answer, to be refined at rest.
    text, buffer  the figure, as `frames.pack` wrote it; the text is empty where there is none.
    showing   'showing n of N', where the picture is a part of what there is.
    compute_ms, pack_ms  what it took, in milliseconds.
    trouble   one sentence for the visitor.
    stopped   the visitor pressed stop.
    """

    ticket: int
    coarse: bool = False
    text: str = ""
    buffer: bytes = b""
    showing: str = ""
    compute_ms: float = 0.0
    pack_ms: float = 0.0
    trouble: str = ""
    stopped: bool = False


class Computer:
    """Draws one visitor's explorer in threads of a shared pool, and reports to that visitor alone.

    `want(ticket)` asks for the picture of the explorer's present state; while one is computed, only the newest
    ticket waits. `deliver(outcome)` and `tell(fraction)` are called on the event loop. All methods belong to the
    event loop's thread; the threads see copies of the explorer only.
    """

    def __init__(
        self,
        explorer: Explorer,
        pool: Executor,
        deliver: Callable[[Outcome], None],
        tell: Callable[[float], None],
    ) -> None:
        self._explorer, self._pool = explorer, pool
        self._deliver, self._tell = deliver, tell
        self._ticket = 0
        self._wanted = self._stopped = self._refining = False
        self._task: asyncio.Task[None] | None = None
        self._errands: set[asyncio.Task[None]] = set()
        self._stir = asyncio.Event()  # the present computation, or the pause before the next, is to be cut short
        self._places = asyncio.Semaphore(AT_ONCE)

    def want(self, ticket: int | None = None) -> None:
        """Ask for the picture of the present state, in answer to a new ticket or to the one before."""
        self._ticket = self._ticket if ticket is None else ticket
        self._wanted, self._stopped = True, False
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())
        elif self._refining:
            self._stir.set()

    def stop(self) -> None:
        """Give up what is being computed; the explorer keeps its state and the last picture stays on screen."""
        self._wanted, self._stopped = False, True
        self._stir.set()

    def do(self, work: Callable[[Explorer], _Result], then: Callable[[_Result], None]) -> None:
        """Run `work` on a copy of the explorer in a thread, then `then` with what it gave.

        Raises:
            ValueError: two errands are still on their way.
        """
        if len(self._errands) >= AT_ONCE:
            raise ValueError(f"{AT_ONCE} things are being prepared for you already; wait for one of them.")
        task = asyncio.get_running_loop().create_task(self._do(work, then))
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def close(self) -> None:
        """The visitor has left: nothing is computed or delivered any more."""
        self.stop()
        for task in (self._task, *self._errands):
            if task is not None:
                task.cancel()

    async def _do(self, work: Callable[[Explorer], _Result], then: Callable[[_Result], None]) -> None:
        try:
            then(await asyncio.get_running_loop().run_in_executor(self._pool, work, self._explorer.at()))
        except Exception as error:
            if is_for_the_visitor(error):
                self._deliver(Outcome(self._ticket, trouble=on_page(error)))
                return
            logger.exception("an export of the explorer %r failed", self._explorer.slug)
            self._deliver(Outcome(self._ticket, trouble=TROUBLE))

    async def _work(self) -> None:
        heavy = self._explorer.heavy
        try:
            while self._wanted:
                to_refine = await self._draw(coarse=heavy)
                self._refining = to_refine and not self._wanted and not self._stopped
                if self._refining and await self._rests():
                    await self._draw(coarse=False)
                self._refining = False
        except Exception:
            logger.exception("the explorer %r could not be drawn", self._explorer.slug)
            self._deliver(Outcome(self._ticket, trouble=TROUBLE))
        finally:
            self._task = None

    async def _rests(self) -> bool:
        """Whether the visitor moves nothing for a moment."""
        self._stir.clear()
        try:
            await asyncio.wait_for(self._stir.wait(), REST)
        except TimeoutError:
            return True
        return False

    async def _draw(self, *, coarse: bool) -> bool:
        """Draw the newest state; whether a finer picture is to follow."""
        await self._places.acquire()
        if self._stopped:
            self._places.release()
            return False
        loop, cancel = asyncio.get_running_loop(), threading.Event()
        ticket, self._wanted = self._ticket, False
        self._stir.clear()
        copy = self._explorer.at(coarse=coarse, cancel=cancel, progress=self._teller(loop, cancel))
        job: asyncio.Future[Any] = loop.run_in_executor(self._pool, compute, copy, ticket)
        job.add_done_callback(lambda _: self._places.release())
        stirred: asyncio.Future[Any] = asyncio.ensure_future(self._stir.wait())
        try:
            await asyncio.wait({job, stirred}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stirred.cancel()
            if not job.done():
                cancel.set()
        outcome = job.result() if job.done() else Outcome(ticket, stopped=True)
        if job.done() or self._stopped:
            self._deliver(outcome)
        return outcome.coarse

    def _teller(self, loop: asyncio.AbstractEventLoop, cancel: threading.Event) -> Callable[[float], None]:
        last = time.monotonic()

        def tell(fraction: float) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= PROGRESS_EVERY and not cancel.is_set():
                last = now
                loop.call_soon_threadsafe(self._tell, float(fraction))

        return tell


def compute(explorer: Explorer, ticket: int) -> Outcome:
    """Compute and pack one picture; runs in a thread and turns every failure into a sentence.

    What an explorer refuses, or says is missing, is shown as it stands; anything else is a fault of ours: its
    traceback goes to the log, once, and the visitor gets a sentence without inner details.
    """
    started = time.perf_counter()
    try:
        figure = explorer.figure_dict()
        computed = time.perf_counter()
        text, buffer = pack(_with_state(figure, explorer))
    except Cancelled:
        return Outcome(ticket, stopped=True)
    except Exception as error:
        if is_for_the_visitor(error):
            return Outcome(ticket, trouble=on_page(error))
        logger.exception("the picture of %r could not be computed at %s", explorer.slug, explorer.permalink())
        return Outcome(ticket, trouble=TROUBLE)
    packed = time.perf_counter()
    return Outcome(
        ticket,
        explorer.coarse and not explorer.refined,
        text,
        buffer,
        explorer.showing,
        compute_ms=(computed - started) * 1e3,
        pack_ms=(packed - computed) * 1e3,
    )


def is_for_the_visitor(error: Exception) -> bool:
    """Whether the words of an error were written for whoever moved the control.

    A missing file is ours to explain only where we raised it ourselves; the system's own words name paths.

    >>> is_for_the_visitor(ValueError("n = 0 was given.")), is_for_the_visitor(KeyError("weights"))
    (True, False)
    """
    return isinstance(error, ValueError) or (isinstance(error, FileNotFoundError) and error.errno is None)


def _with_state(figure: dict[str, Any], explorer: Explorer) -> dict[str, Any]:
    """The figure with the state it shows in `layout.meta`, so that a drawn picture can be told from the next."""
    meta = figure["layout"].get("meta")
    meta = {**(meta if isinstance(meta, dict) else {}), "state": explorer.state()}
    return {**figure, "layout": {**figure["layout"], "meta": meta}}
