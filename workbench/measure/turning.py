"""Turned maps compared quickly: quarter turns share one resampling, and a resampling is a weighted sum of rows.

A turn by r + k pi / 2 is the turn by r and then k quarter turns, which only move pixels; a round trip does not depend
on k at all. So 36 angles need 8 resamplings. Each of them adds up rows of a matrix (pixels x channels), with the
weights of :func:`torch.nn.functional.grid_sample`.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from workbench.actions.lattice import TOLERANCE, affine, angle_and_mirror
from workbench.groups import RotationScale, Scale
from workbench.measure.compare import Action
from workbench.measure.probe import Output

_SHARPNESS = -0.75  # of Keys' kernel, as grid_sample has it
Norms = tuple[Tensor, Tensor, Tensor]


class Turns(NamedTuple):
    """Elements as a turn by less than 45 degrees, quarter turns after it, and a mirror last, each ``(E,)``."""

    rest: Tensor
    quarters: Tensor
    mirrored: Tensor


def turns_of(action: Action) -> Turns | None:
    """The elements of an action that turns and mirrors only; ``None`` for any other."""
    if isinstance(action.group, Scale | RotationScale) or action.input_kind != "image":
        return None
    if action.group.shift(action.elements) is not None:
        return None
    angle, mirror = angle_and_mirror(affine(action.elements, action.group)[0])
    quarters = (angle * (2 / math.pi)).round()
    rest = angle - quarters * (math.pi / 2)
    rest = torch.where(rest.abs() <= TOLERANCE, 0.0, rest)
    return Turns((rest * 1e12).round() / 1e12, quarters.long() % 4, mirror < 0)


def companions_first(action: Action) -> Tensor:
    """An order of the elements, ``(E,)``, in which those that share a resampling follow each other."""
    turns = turns_of(action)
    count = len(action.elements)
    return torch.arange(count) if turns is None else torch.argsort(turns.rest, stable=True)


def turned_images(action: Action, images: Output) -> tuple[Tensor, Norms] | None:
    """Every image under every element, ``(E, B, C, H, W)``, and the norms of the round trip on it.

    ``None`` where :func:`turned_norms` does not apply: f(gx) and g f(x) are made in the same way, or in neither.
    """
    comparison = _comparison(action, images)
    return None if comparison is None else comparison.moved()


def turned_norms(action: Action, reference: Output, got: Tensor) -> tuple[Norms, Norms] | None:
    """``|f(gx) - g f(x)|, |f(gx)|, |g f(x)|``, and the same of the round trip on f(x); each ``(E, B)`` in float64.

    ``None`` where it does not apply: outputs that are no square maps, shifts, scalings, other resamplers or paddings.

    Args:
        reference: f(x), maps ``(B, C, H, W)``. got: f(gx), ``(E, B, C, H, W)``.
    """
    comparison = _comparison(action, reference)
    return None if comparison is None else comparison.norms(action.cast(got))


def _comparison(action: Action, reference: Output) -> "_Comparison | None":
    if not isinstance(reference, Tensor) or reference.ndim != 4 or reference.shape[-1] != reference.shape[-2]:
        return None
    if action.resampler not in ("bilinear", "bicubic") or action.padding not in ("zeros", "border"):
        return None
    turns, weight = turns_of(action), action.weight(reference)
    if turns is None or weight is None or weight.ndim != 2:
        return None
    return _Comparison(action, turns, action.cast(reference), weight)


class _Comparison:
    """One layer's maps, and the maps of moved images beside them."""

    def __init__(self, action: Action, turns: Turns, maps: Tensor, weight: Tensor) -> None:
        self.action, self.turns, self.maps = action, turns, maps
        self.batch, self.side = len(maps), maps.shape[-1]
        self.weight = weight.to(maps).flatten()
        self.buffer = torch.empty_like(maps).flatten(0, 1)
        self.rows = maps.reshape(-1, self.side**2).t().contiguous()  # pixels x (samples and channels)

    def moved(self) -> tuple[Tensor, Norms]:
        result = self.maps.new_empty(len(self.turns.rest), *self.maps.shape)
        squares = torch.zeros(4, len(result), self.batch, dtype=torch.float64)
        for e, turned, found in self._each():
            result[e] = turned.unflatten(0, self.maps.shape[:2])
            squares[:, e] = found
        roots = squares.sqrt()
        return result, (roots[1], roots[2], roots[3])

    def norms(self, got: Tensor) -> tuple[Norms, Norms]:
        squares = torch.zeros(6, len(got), self.batch, dtype=torch.float64)
        for e, wanted, found in self._each():
            squares[2:, e] = found
            mine = got[e].reshape(wanted.shape)
            # one buffer for all: to allocate half a megabyte costs as much as to fill it
            squares[0, e] = self._over_pixels(torch.ops.aten.mse_loss.out(mine, wanted, 0, out=self.buffer))
            squares[1, e] = self._over_pixels(torch.square(mine, out=self.buffer))
        roots = squares.sqrt()
        return (roots[0], roots[1], roots[2]), (roots[3], roots[4], roots[5])

    def _each(self) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Place of each element, the maps under it, ``(B C, H, W)``, and four sums of squares, ``(4, B)``."""
        turns = self.turns
        for rest in turns.rest.unique().tolist():
            turned, squares = self._turned(rest)
            for e in (turns.rest == rest).nonzero().flatten().tolist():
                yield e, self._moved(turned, int(turns.quarters[e]), bool(turns.mirrored[e])), squares

    def _turned(self, rest: float) -> tuple[Tensor, Tensor]:
        """The maps turned by ``rest``, ``(B C, H, W)``; and squares of them and of their round trip, ``(4, B)``."""
        shape = (-1, self.side, self.side)
        still = self._down_rows(self.rows.square())
        if rest == 0:
            return self.maps.reshape(shape), torch.stack([still, torch.zeros_like(still), still, still])
        there = self._resampled(self.rows, rest)
        back = self._resampled(there, -rest)
        found = there.square(), functional.mse_loss(back, self.rows, reduction="none"), back.square()
        squares = torch.stack([*map(self._down_rows, found), still])
        return there.t().contiguous().view(shape), squares

    def _resampled(self, rows: Tensor, angle: float) -> Tensor:
        places, weights = taps(angle, self.side, self.action.resampler, self.action.padding, rows.dtype, rows.device)
        starts = torch.arange(0, places.numel() + 1, places.shape[1], dtype=torch.int32, device=rows.device)
        return functional.embedding_bag(
            places.flatten(), rows, starts, mode="sum", per_sample_weights=weights.flatten(), include_last_offset=True
        )

    def _moved(self, maps: Tensor, quarters: int, mirrored: bool) -> Tensor:
        moved = torch.rot90(maps, quarters, (-2, -1)) if quarters else maps
        return moved.flip(-1) if mirrored else moved

    def _over_pixels(self, squares: Tensor) -> Tensor:
        """Sums of ``(B C, H, W)`` inside the mask, ``(B,)``."""
        return self._by_sample(squares.flatten(1) @ self.weight)

    def _down_rows(self, squares: Tensor) -> Tensor:
        """Sums of ``(H W, B C)`` inside the mask, ``(B,)``."""
        return self._by_sample(self.weight @ squares)

    def _by_sample(self, sums: Tensor) -> Tensor:
        return sums.view(self.batch, -1).sum(1, dtype=torch.float64).cpu()


@lru_cache(maxsize=128)
def taps(
    angle: float, side: int, resampler: str, padding: str, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Which pixels of a square map add up to each pixel of the turned one, and their weights, each ``(H W, taps)``."""
    line = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    x, y = line.expand(side, side), -line.unsqueeze(-1).expand(side, side)
    cos, sin = math.cos(angle), math.sin(angle)
    column = (cos * x + sin * y + (side - 1) / 2).flatten()  # where the pixel comes from: turned back
    row = ((side - 1) / 2 - (cos * y - sin * x)).flatten()
    if padding == "border" and resampler == "bilinear":
        column, row = column.clamp(0, side - 1), row.clamp(0, side - 1)
    columns, across = _along(column, resampler)
    rows, down = _along(row, resampler)
    if padding == "zeros":
        across = across * ((columns >= 0) & (columns < side))
        down = down * ((rows >= 0) & (rows < side))
    places = rows.clamp(0, side - 1).unsqueeze(2) * side + columns.clamp(0, side - 1).unsqueeze(1)
    weights = down.unsqueeze(2) * across.unsqueeze(1)
    return places.flatten(1).to(device, torch.int32), weights.flatten(1).to(device, dtype)


def _along(place: Tensor, resampler: str) -> tuple[Tensor, Tensor]:
    """Neighbours along one axis and their weights, each ``(P, 2 or 4)``."""
    first = place.floor()
    t = (place - first).unsqueeze(-1)
    if resampler == "bilinear":
        return first.long().unsqueeze(-1) + torch.arange(2), torch.cat([1 - t, t], -1)
    a = _SHARPNESS
    near = torch.cat([t, 1 - t], -1)
    far = near + 1
    close = ((a + 2) * near - (a + 3)) * near**2 + 1
    wide = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a
    weights = torch.stack([wide[:, 0], close[:, 0], close[:, 1], wide[:, 1]], -1)
    return first.long().unsqueeze(-1) + torch.arange(-1, 3), weights
