"""Your data have this, your network has that: finite symmetries of both, side by side."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from workbench.audit.questions import FLIPS, HALF_TURNS, TURNS
from workbench.audit.words import CLOSE, percent
from workbench.measure.data_answer import FEWEST

_PAIRS = (
    ("left-right", "a left-right flip", FLIPS, 0.0),
    ("top-bottom", "an up-down flip", FLIPS, 180.0),
    ("C4", "quarter turns", TURNS, None),
    ("C2", "half turns", HALF_TURNS, None),
)
"""Name among the symmetries of data, words, the question to the network, and the turn of its mirror."""
MORE = 4.0
"""Pictures are too few where up to so many times as many would show a difference as large as the one that is seen."""


class Pair(NamedTuple):
    """One symmetry of both.

    Attributes:
        words: the symmetry.
        differ: the data differ from what it makes of them.
        few: the pictures are too few to tell.
        p_value: of that test, corrected.
        error: the network's largest mean error under it.
        broken: that error counts.
    """

    words: str
    differ: bool
    few: bool
    p_value: float
    error: float
    broken: bool

    @property
    def sentence(self) -> str:
        """What the two together mean."""
        network = f"your network answers otherwise by {percent(self.error)}"
        if self.differ:
            data = f"{self.words}: your data differ (p = {self.p_value:.2g})"
            if self.broken:
                return f"{data} and {network}: this may be as it should be."
            return f"{data}, your network does not tell the two apart: wrong, if what you ask of it hangs on that."
        if self.few:
            data = f"{self.words}: your pictures are too few to tell whether they differ (p = {self.p_value:.2g})"
            return f"{data}; {network if self.broken else 'your network has none'}."
        data = f"{self.words}: no difference is seen in your data (p = {self.p_value:.2g})"
        return f"{data}, {network}: worth mending." if self.broken else f"{data}, and your network has none either."


def side_by_side(data: xr.Dataset, sweeps: dict[str, xr.Dataset], limit: float, spread: float) -> list[Pair]:
    """Those finite symmetries that both were asked after, of an answer that should stay as it is.

    Args:
        data: of :func:`workbench.measure.data_symmetry`.
        sweeps: of the audit, by question.
        limit, spread: as in :func:`workbench.audit.answer.verdict`.
    """
    asked = [str(name) for name in data["question"].values] if "element_distance" in data.variables else []
    found = []
    for name, words, question, turn in _PAIRS:
        if name not in asked or question not in sweeps or str(sweeps[question].attrs["output"]) != "invariant":
            continue  # what moves along says nothing of how likely each picture is
        at, sweep = asked.index(name), sweeps[question]
        error = sweep["error_mean"].sel(layer="output").values
        if turn is not None:
            error = error[np.abs(sweep["angle_deg"].values - turn) < 1e-6]
        p_value = float(data["element_p_holm"].values[0, at])
        if error.size and np.isfinite(p_value):
            worst = float(error.max())
            counts = worst > max(limit, CLOSE * min(1.0, spread))
            found.append(
                Pair(words, bool(data["element_rejected"].values[0, at]), _few(data, at), p_value, worst, counts)
            )
    return found


def _few(data: xr.Dataset, at: int) -> bool:
    """Whether the pictures cannot tell: fewer than any answer needs, or hardly more would show a difference."""
    pictures = int(data["pictures"].values[0])
    return pictures < FEWEST or float(data["element_needed"].values[0, at]) <= MORE * pictures
