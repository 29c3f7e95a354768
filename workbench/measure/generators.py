"""Infinitesimal group elements on images, maps and signals: X f = d/dt f(g_t^-1 p) at t = 0, by central differences."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from workbench.actions import named_mask
from workbench.actions.signals import interpolation
from workbench.groups import Group, GroupSignal
from workbench.groups.base import rotation_matrix
from workbench.measure.compare import is_spatial, tensor_of
from workbench.measure.probe import Output, PartialSignal

UNITS = {"rotation": "rad", "translation x": "pixel", "translation y": "pixel", "scale": "e-fold"}
"""The one-parameter groups, and the unit of their parameter."""
_NAMES = {"SO2": "rotation", "O2": "rotation", "R2xSO2": "rotation", "R2xO2": "rotation", "Scale": "scale"}
_BLOCK = 2**18  # numbers worked on at a time: their buffers stay in the processor's cache
_SMALL = 1e-5  # radians: half the step of the difference quotient along the group axis, in float64


def named_generator(group: Group | str) -> str:
    """The one-parameter group that is meant: one of :data:`UNITS`.

    >>> named_generator("SO2"), named_generator("translation x")
    ('rotation', 'translation x')

    Raises:
        ValueError: for a finite group, which has no infinitesimal element, or one of several directions.
    """
    name = str(group)
    if name in UNITS:
        return name
    if name not in _NAMES:
        raise ValueError(
            f"group = {name!r} was given; expected one that moves along one direction: "
            f"{', '.join(map(repr, UNITS))} or 'SO2'; finite groups have no infinitesimal element."
        )
    return _NAMES[name]


@dataclass(frozen=True)
class Generator:
    """One infinitesimal element, how it moves an output, and how far the model is from moving along.

    Positive: counter-clockwise, to the right, upwards, larger. A map smaller than the input by a whole factor is
    taken to have coarser pixels.
    """

    name: str
    input_size: tuple[int, int]
    mask: str = "disc"
    padding: str = "border"

    def moved(self, images: Tensor) -> Tensor:
        """X x of images ``(B, C, H, W)``: the direction in which they start to move."""
        result = torch.zeros_like(images)
        self._subtract_spatial(result, images)
        return result.neg_()

    def norms(self, plus: Output, minus: Output, step: float) -> tuple[Tensor, Tensor]:
        """``|J v - X f|`` and ``|f|`` per sample, ``(B,)`` in float64, from f(x + step v) and f(x - step v)."""
        first, second = tensor_of(plus).detach(), tensor_of(minus).detach()
        along = self._along_group(plus)
        if not is_spatial(plus):
            change, total = (first - second) / (2 * step), (first + second) / 2
            return tuple(t.flatten(1).square().sum(1, dtype=torch.float64).sqrt() for t in (change, total))  # type: ignore[return-value]
        height, width = first.shape[-2:]
        weight = named_mask(self.mask, height, width, first.dtype).to(first.device).flatten()
        rows = first.flatten(0, 1), second.flatten(0, 1)  # one for each sample and channel
        size = max(1, _BLOCK // rows[0][0].numel())
        # buffers for all blocks: to allocate half a megabyte costs as much as to fill it
        buffers = [torch.empty_like(rows[0][:size]) for _ in range(3)]
        found = []
        for a, b in zip(rows[0].split(size), rows[1].split(size), strict=True):
            total, change, spare = (buffer[: len(a)] for buffer in buffers)
            torch.add(a, b, out=total)
            torch.sub(a, b, out=change)
            if along is not None:
                change.flatten(-2).baddbmm_(along.expand(len(a), -1, -1), total.flatten(-2), alpha=-step)
            self._subtract_spatial(change, total, step, spare)
            found.append(torch.stack([_squares(change, weight), _squares(total, weight)]))
        squares = torch.cat(found, 1).unflatten(1, (len(first), -1))
        change_norm, total_norm = squares.sum(-1, dtype=torch.float64).sqrt() / 2  # both are twice what is wanted
        return change_norm / step, total_norm

    def _along_group(self, value: Output) -> Tensor | None:
        """How X acts along the group axis, ``(G, G)``; ``None`` where it does not."""
        if not isinstance(value, GroupSignal) or self.name != "rotation":
            return None
        if isinstance(value, PartialSignal):
            raise ValueError("it answers on a learned arc, whose ends have no derivative; use equivariance_error.")
        both = interpolation(value, rotation_matrix(torch.tensor([_SMALL, -_SMALL], dtype=torch.float64)))
        return ((both[0] - both[1]) / (2 * _SMALL)).to(value.values)

    def _subtract_spatial(self, target: Tensor, of: Tensor, step: float = 1.0, spare: Tensor | None = None) -> None:
        """``target -= step X of`` on ``(..., H, W)``: X = -v . grad, rows growing downwards."""
        height, width = of.shape[-2:]
        pitch = max(1, round(self.input_size[0] / height))
        spare = torch.empty_like(of) if spare is None else spare
        for dim, weight in zip((-1, -2), _velocity(self.name, height, width, pitch, of.dtype, of.device), strict=True):
            if weight is not None:
                _add_difference(target, of, weight, dim, self.padding, step, spare)

    def entries(self, value: Output) -> float:
        """Numbers compared per sample: what turns a norm into a root mean square."""
        tensor = tensor_of(value)
        if not is_spatial(value):
            return float(tensor[0].numel())
        pixels = named_mask(self.mask, tensor.shape[-2], tensor.shape[-1])
        return tensor[0].numel() * float(pixels.mean())


@lru_cache(maxsize=64)
def _velocity(
    name: str, height: int, width: int, pitch: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor | None, Tensor | None]:
    """Half of how fast each pixel moves along rows and columns, in its own pixels per unit; ``None`` where it rests."""
    x = (torch.arange(width, dtype=torch.float64) - (width - 1) / 2).expand(height, width)
    y = ((height - 1) / 2 - torch.arange(height, dtype=torch.float64)).unsqueeze(-1).expand(height, width)
    one = torch.full_like(x, 1 / pitch)
    fields: dict[str, tuple[Tensor | None, Tensor | None]] = {
        "rotation": (-y, x), "translation x": (one, None), "translation y": (None, one), "scale": (x, y)
    }  # fmt: skip
    right, up = fields[name]
    along_rows = None if right is None else (right / 2).to(device, dtype)
    return along_rows, None if up is None else (-up / 2).to(device, dtype)


def _squares(x: Tensor, weight: Tensor) -> Tensor:
    """Weighted sum of squares of each row, ``(N,)``; overwrites ``x (N, ..., H, W)``."""
    return (x.square_().flatten(-2) @ weight).flatten(1).sum(1) if x.ndim > 3 else x.square_().flatten(1) @ weight


def _add_difference(
    target: Tensor, of: Tensor, weight: Tensor, dim: int, padding: str, step: float, spare: Tensor
) -> None:
    """``target += step weight (of[+1] - of[-1])`` along ``dim``; outside lies what ``padding`` says."""
    height, width = of.shape[-2:]
    size, apart = of.shape[dim], width if dim == -2 else 1
    if size > 2:
        # along the flattened pixels, whose inner loop is long; where it crosses a row's end the weight is 0
        flat, count = of.flatten(-2), height * width - 2 * apart
        difference = spare.flatten(-2)[..., :count]
        torch.sub(flat[..., 2 * apart :], flat[..., :count], out=difference)
        inside = _inside(weight, dim)[apart : apart + count]
        target.flatten(-2)[..., apart : apart + count].addcmul_(difference, inside, value=step)
    for place, after, before in ((0, 1, -1), (size - 1, size, size - 2))[: 1 if size == 1 else 2]:
        rim = _pixel(of, after, dim, padding) - _pixel(of, before, dim, padding)
        target.narrow(dim, place, 1).addcmul_(rim, weight.narrow(dim, place, 1), value=step)


def _inside(weight: Tensor, dim: int) -> Tensor:
    """The weight, flattened, without the first and last pixel along ``dim``."""
    inside = weight.clone()
    for place in (0, weight.shape[dim] - 1):
        inside.narrow(dim, place, 1).zero_()
    return inside.flatten()


def _pixel(of: Tensor, place: int, dim: int, padding: str) -> Tensor:
    size = of.shape[dim]
    if 0 <= place < size:
        return of.narrow(dim, place, 1)
    if padding == "zeros":
        return torch.zeros_like(of.narrow(dim, 0, 1))
    return of.narrow(dim, place % size if padding == "circular" else min(max(place, 0), size - 1), 1)
