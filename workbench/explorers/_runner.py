"""Computing an explorer's picture beside the event loop: one at a time, the newest position next, nothing queued."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workbench.explorers._controls import Value, on_page
from workbench.explorers._explorer import Explorer
from workbench.measure import Cancelled

_log = logging.getLogger(__name__)

REST = 0.15  # s without a move after which a coarse picture is refined
_IDLE = 10.0  # s without work after which the thread ends; the next move starts another
_PROGRESS_EVERY = 0.1  # s between two progress messages to a face


@dataclass(frozen=True)
class Picture:
    """One computed picture and the state it belongs to."""

    serial: int  # grows with every picture; a face draws only larger ones over smaller ones
    asked: int  # grows with every request; a refinement has that of its coarse picture
    state: dict[str, Value]
    figure: dict[str, Any]
    coarse: bool  # a refined one follows at rest
    compute_ms: float


class Runner:
    """Computes pictures of one explorer in a thread of its own, for one face.

    `request()` asks for the picture of the present state. While one is computed only the newest request waits; the
    last one always gets its picture. A heavy explorer is computed coarsely first and refined once nothing was asked
    for `REST` seconds; a new request stops a refinement that runs. The callbacks are called in that thread:
    `show(picture)`, `fail(sentence, asked)` and `progress(fraction | None)`, None when it has ended.
    """

    def __init__(
        self,
        explorer: Explorer,
        *,
        show: Callable[[Picture], None],
        fail: Callable[[str, int], None],
        progress: Callable[[float | None], None] = lambda fraction: None,
    ) -> None:
        self._explorer, self._show, self._fail, self._progress = explorer, show, fail, progress
        self._wake = threading.Condition()
        self._pending: tuple[int, Explorer] | None = None
        self._refining: threading.Event | None = None  # set it to stop the refinement that runs
        self._thread: threading.Thread | None = None
        self._serial = 0
        self.asked = 0  # the newest request
        self._busy = False
        self._closed = False

    def begin(self) -> None:
        """Draw the first picture in this thread; a heavy one is refined in the other."""
        self._serial += 1
        self.asked = self._serial
        wanted = self._explorer.at(coarse=self._explorer.heavy)
        if self._draw(self._serial, self._serial, wanted) and wanted.coarse:
            self.request()

    def request(self) -> None:
        """Ask for the picture of the explorer's present state; returns at once."""
        wanted = self._explorer.at(coarse=self._explorer.heavy)
        with self._wake:
            if self._closed:
                return
            self._serial += 1
            self.asked = self._serial
            self._pending = (self._serial, wanted)
            if self._refining is not None:
                self._refining.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=f"explorer-{wanted.slug}", daemon=True)
                self._thread.start()
            self._wake.notify_all()

    def cancel(self) -> None:
        """Stop the refinement that runs; the coarse picture stays."""
        with self._wake:
            if self._refining is not None:
                self._refining.set()

    def close(self) -> None:
        """Stop for good: nothing is computed and no callback is called from here on."""
        with self._wake:
            self._closed, self._pending = True, None
            if self._refining is not None:
                self._refining.set()
            self._wake.notify_all()

    def wait(self, timeout: float) -> bool:
        """Wait until everything asked for is drawn and refined; False where that took longer (s)."""
        with self._wake:
            return self._wake.wait_for(lambda: self._pending is None and not self._busy, timeout)

    def _work(self) -> None:
        while (job := self._next(_IDLE)) is not None:
            serial, wanted = job
            drawn = self._draw(serial, serial, wanted)
            if drawn and wanted.coarse and not wanted.refined and self._rest():
                self._refine(serial, wanted)
            with self._wake:
                self._busy = False
                self._wake.notify_all()

    def _next(self, timeout: float) -> tuple[int, Explorer] | None:
        with self._wake:
            self._wake.wait_for(lambda: self._pending is not None or self._closed, timeout)
            job, self._pending = self._pending, None
            self._busy = job is not None
            if job is None:
                self._thread = None
            return job

    def _rest(self) -> bool:
        with self._wake:
            return not self._wake.wait_for(lambda: self._pending is not None or self._closed, REST)

    def _refine(self, asked: int, wanted: Explorer) -> None:
        stop = threading.Event()
        with self._wake:
            if self._pending is not None or self._closed:
                return
            self._refining = stop
            self._serial += 1
            serial = self._serial
        try:
            self._progress(0.0)
            self._draw(serial, asked, wanted.at(cancel=stop, progress=_now_and_then(self._progress)))
        finally:
            with self._wake:
                self._refining = None
            self._progress(None)

    def _draw(self, serial: int, asked: int, wanted: Explorer) -> bool:
        """Compute and show one picture; whatever goes wrong becomes a sentence, and the thread lives on."""
        begin = time.perf_counter()
        try:
            figure = wanted.figure_dict()
            took_ms = (time.perf_counter() - begin) * 1e3
            coarse = wanted.coarse and not wanted.refined
            if not self._closed:
                self._show(Picture(serial, asked, wanted.state(), figure, coarse, took_ms))
        except Cancelled:
            return False
        except Exception as error:  # an explorer's mistake must not end the face
            _log.exception("the %s explorer failed at %s", wanted.slug, wanted.permalink())
            if not self._closed:
                self._fail(sentence(error), asked)
            return False
        return True


def sentence(error: Exception) -> str:
    """An exception as a sentence for the reader: refusals speak for themselves, others name their kind.

    >>> sentence(ValueError("n = 0 was given.")), sentence(ZeroDivisionError("division by zero"))
    ('n = 0 was given.', 'ZeroDivisionError: division by zero')
    """
    text = on_page(error)[:500] or "it gave no reason"
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"


def _now_and_then(progress: Callable[[float | None], None]) -> Callable[[float], None]:
    last = time.monotonic()

    def tell(fraction: float) -> None:
        nonlocal last
        if time.monotonic() - last >= _PROGRESS_EVERY:
            last = time.monotonic()
            progress(fraction)

    return tell
