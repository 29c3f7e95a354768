"""The ways in which an audit moves a picture: turned, flipped and turned, shifted; and the parts of one network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.explorers._both_ways import MASK, OUTSIDE
from workbench.groups import O2, SO2, Group, Translation
from workbench.measure import attribute_error, labelled, lie_derivative
from workbench.measure.attribution import REST
from workbench.measure.interval import interval
from workbench.measure.probe import OUTPUT

MOST_PX = 8
FINE_DEG = tuple(range(0, 361, 5))
COARSE_DEG = (0, 45, 90, 180, 270, 360)
FINE_PX = tuple(np.arange(0, MOST_PX + 0.1, 0.25).tolist())
COARSE_PX = (0.0, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0)
LAST = "after them"
"""What follows the last part that has a name; for the Lie derivative, the answer."""


@dataclass(frozen=True)
class Move:
    """One way of moving a picture.

    Attributes:
        group: the group of the moves.
        words: what is done, and what has been done.
        along: the coordinate that says where on the orbit a move lies.
        fine, coarse: such places, in degrees or pixels.
        generator: the name of the derivative at the identity; empty where there is none.
        exact: places where pixels move onto pixels.
    """

    group: Group
    words: tuple[str, str]
    along: str
    fine: tuple[float, ...]
    coarse: tuple[float, ...]
    generator: str
    exact: tuple[float, ...]

    def orbit(self, places: tuple[float, ...]) -> Tensor:
        """The elements at these places, `(E, element_dim)`."""
        place = torch.tensor(places, dtype=torch.float64)
        if isinstance(self.group, Translation):
            return torch.stack([place, torch.zeros_like(place)], -1)
        angle = torch.deg2rad(place)
        return torch.stack([angle, -torch.ones_like(angle)], -1) if isinstance(self.group, O2) else angle[:, None]


MOVES = {
    "turns": Move(SO2(), ("turn", "turned"), "angle_deg", FINE_DEG, COARSE_DEG, "rotation", (90, 180, 270)),
    "flips": Move(O2(), ("flip", "flipped"), "angle_deg", FINE_DEG, COARSE_DEG, "", (0, 90, 180, 270)),
    "shifts": Move(Translation(), ("shift", "shifted"), "shift_x_px", FINE_PX, COARSE_PX, "translation x", (1, 2, 4)),
}


def parts(
    model: nn.Module,
    names: tuple[str, ...],
    images: Tensor,
    move: Move,
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> xr.Dataset:
    """What each part of a network has to do with the error, over `part`, in the order in which they run.

    Returns:
        `contribution_mean`, `_low`, `_high`: the part's share in the relative error at the end, mean over exact moves.
        `lie_mean`, `_low`, `_high`: the Lie derivative behind it. NaN where one is not defined.
    """
    rows = (*names, LAST)
    shares = _asked(rows, lambda: _shares(model, names, images, move, progress, cancel))
    rates = _asked(rows, lambda: _rates(model, images, move, cancel))
    per = {"rotation": "1/rad", "translation x": "1/pixel"}.get(move.generator, "1")
    end, ends = ("mean", "low", "high"), ("", ", lower end", ", upper end")
    variables = {
        f"{kind}_{suffix}": labelled("part", values, f"{words}{more}", units)
        for kind, block, words, units in (
            ("contribution", shares, "share in the relative error", "1"),
            ("lie", rates, "relative Lie derivative", per),
        )
        for suffix, more, values in zip(end, ends, block, strict=True)
    }
    return xr.Dataset(variables, {"part": labelled("part", list(rows), "part of the network")})


Rows = dict[str, np.ndarray]


def _asked(rows: tuple[str, ...], measure: Callable[[], Rows]) -> np.ndarray:
    """Mean and interval of every row, `(3, rows)`; NaN where a network or these images leave nothing to measure."""
    try:
        found = measure()
    except ValueError:
        found = {}
    unknown = np.full(3, np.nan)
    return np.stack([found.get(row, unknown) for row in rows], 1)


def _shares(model: nn.Module, names: tuple[str, ...], images: Tensor, move: Move, progress: Any, cancel: Any) -> Rows:
    ds = attribute_error(
        model, images, move.group, move.orbit(move.exact), names,
        mask=MASK, padding=OUTSIDE, progress=progress, cancel=cancel,
    )  # fmt: skip
    each = ds["contribution"].mean("transform").values
    low, high = interval(each, seed=0)
    found = dict(zip(map(str, ds["layer"].values), np.stack([each.mean(-1), low, high], 1), strict=True))
    return {LAST if name == REST else name: row for name, row in found.items()}


def _rates(model: nn.Module, images: Tensor, move: Move, cancel: Any) -> Rows:
    if not move.generator:
        return {}
    ds = lie_derivative(model, images, move.generator, mask=MASK, padding=OUTSIDE, cancel=cancel)
    block = np.stack([ds[name].values for name in ("lie_mean", "lie_low", "lie_high")], 1)
    found = dict(zip(map(str, ds["layer"].values), block, strict=True))
    return {LAST if name == OUTPUT else name: row for name, row in found.items()}
