"""How far a long measure is, and how long the rest will take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class Done(float):
    """The part done in [0, 1], a plain number that also tells the time left."""

    seconds_left: float
    """At the pace since the start of this call; NaN before anything was measured."""


class Meter:
    """Counts what is done; work found on disk says nothing about the pace.

    Args:
        total: units of work; ``None`` where that is not known: then 0 is told until the end.
    """

    def __init__(self, total: int | None, progress: Callable[[float], None] | bool | None) -> None:
        self.total, self.measured, self.found = total, 0.0, 0
        self.start = time.monotonic()
        self.bar = _bar() if progress is True else None
        self.tell = self._show if progress is True else progress if callable(progress) else None

    def on_disk(self, units: int) -> None:
        self.found += units
        self.now(0.0)

    def finished(self, units: int) -> None:
        self.measured += units
        self.now(0.0)

    def now(self, within: float) -> None:
        """Tell what is done, with so many units of the cell in hand."""
        if self.tell is not None:
            self.tell(self.done(within))

    def done(self, within: float = 0.0) -> Done:
        measured = self.measured + within
        share = Done(min(1.0, (self.found + measured) / self.total)) if self.total else Done(0.0)
        left = (self.total or 0) - self.found - measured
        elapsed = time.monotonic() - self.start
        share.seconds_left = elapsed * max(0.0, left) / measured if self.total and measured else math.nan
        return share

    def end(self) -> None:
        self.total = self.total or 1
        self.found, self.measured = self.total, 0.0
        if self.tell is not None:
            last = Done(1.0)
            last.seconds_left = 0.0
            self.tell(last)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def _show(self, done: float) -> None:
        left = getattr(done, "seconds_left", math.nan)
        assert self.bar is not None  # nothing else shows here
        self.bar.set_postfix_str("" if math.isnan(left) else f"about {left:.0f} s left", refresh=False)
        self.bar.update(100 * done - self.bar.n)


def _bar():
    from tqdm.auto import tqdm

    return tqdm(total=100.0, unit="%", bar_format="{l_bar}{bar}| {elapsed}{postfix}")
