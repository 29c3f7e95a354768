"""Turned maps compared quickly: quarter turns share one resampling, and a resampling is a weighted sum of rows.

A turn by r + k pi / 2 is the turn by r and then k quarter turns, which only move pixels; a round trip does not depend
on k at all. So 36 angles need 8 resamplings. Each of them adds up rows of a matrix (pixels x channels), with the
weights of :func:`torch.nn.functional.grid_sample`. A group signal is as many maps as it has channels and elements; a
turn also mixes its elements, by one small matrix for r and by a permutation for the quarter turns.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from workbench.actions.lattice import TOLERANCE, affine, angle_and_mirror
from workbench.actions.signals import interpolation, permutations
from workbench.groups import O2, Group, GroupSignal
from workbench.measure.compare import Action
from workbench.measure.probe import Output, PartialSignal
from workbench.measure.sums import Norms, Sums
from workbench.measure.workplace import lies_channels_last

_WIDE = 16  # members of a group axis that are mixed by one product
_WORTH = 2**16  # numbers of a layer from which on loops are compiled: that takes a moment once in a process
_SHARPNESS = -0.75  # of Keys' kernel, as grid_sample has it
Rows = tuple[tuple[float, ...], ...]


class Turns(NamedTuple):
    """Elements as a turn by less than 45 degrees, quarter turns after it, and a mirror last, each of E numbers."""

    rest: list[float]
    quarters: list[int]
    mirrored: list[bool]


@lru_cache(maxsize=16)  # by identity: every layer of a chunk asks for the same
def turns_of(action: Action) -> Turns | None:
    """The elements of an action that turns and mirrors only; ``None`` for any other."""
    if not action.group.isometric or action.input_kind != "image":
        return None
    if action.group.shift(action.elements) is not None:
        return None
    angle, mirror = angle_and_mirror(affine(action.elements, action.group)[0])
    quarters = (angle * (2 / math.pi)).round()
    rest = angle - quarters * (math.pi / 2)
    rest = (torch.where(rest.abs() <= TOLERANCE, 0.0, rest) * 1e12).round() / 1e12
    return Turns(rest.tolist(), (quarters.long() % 4).tolist(), (mirror < 0).tolist())


def companions_first(action: Action) -> Tensor:
    """An order of the elements, ``(E,)``, in which those that share a resampling follow each other."""
    turns = turns_of(action)
    return torch.arange(len(action.elements)) if turns is None else torch.tensor(in_company(turns))


def in_company(turns: Turns) -> list[int]:
    return sorted(range(len(turns.rest)), key=turns.rest.__getitem__)


class Scratch:
    """Buffers for what is needed for a moment only, shared by all layers: allocating costs as much as filling."""

    def __init__(self) -> None:
        self._kept: dict[tuple, Tensor] = {}

    def like(self, name: str, tensor: Tensor) -> Tensor:
        """A buffer of that name, of the shape and kind of ``tensor``; whatever lay in it is gone."""
        key = name, tensor.numel(), tensor.dtype, tensor.device
        if key not in self._kept:
            self._kept[key] = tensor.new_empty(tensor.numel())
        return self._kept[key].view(tensor.shape)


def turned_maps(
    action: Action, reference: Output, both: bool = False, scratch: Scratch | None = None
) -> "TurnedMaps | None":
    """One layer's maps ``(B, C, H, W)``, ready to be turned.

    ``both`` measures ``|f(gx)|`` as well, which the symmetric error needs and which costs half as much again.

    ``None`` where it does not apply: outputs that are no square maps, shifts, scalings, other resamplers or paddings.
    f(gx) and g f(x) are made in this way both, or neither of them.
    """
    values, signal = reference, None
    if isinstance(reference, GroupSignal) and not isinstance(reference, PartialSignal):
        signal, values = reference, reference.values.flatten(1, 2)
    if not isinstance(values, Tensor) or values.ndim != 4 or values.shape[-1] != values.shape[-2]:
        return None
    if signal is not None and not _turnable(signal, action):
        return None
    if action.resampler not in ("bilinear", "bicubic") or action.padding not in ("zeros", "border"):
        return None
    weight = action.weight(reference)
    if turns_of(action) is None or weight is None or weight.ndim != 2:
        return None
    maps = action.cast(values)
    known = signal is None and not both and maps.device.type == "cpu" and maps.dtype in (torch.float32, torch.float64)
    if known and maps.numel() >= _WORTH and lies_channels_last(maps):
        from workbench.measure.loops import CompiledMaps

        return CompiledMaps(action, maps, weight, both, signal, scratch or Scratch())
    return TurnedMaps(action, maps, weight, both, signal, scratch or Scratch())


def _turnable(signal: GroupSignal, action: Action) -> bool:
    """Whether quarter turns, and mirrors where the action has some, permute the elements of whole circles."""
    lattice = [_turn(math.pi / 2)] + [_MIRROR] * isinstance(action.group, O2)
    try:
        interpolation(signal, _turn(0.1)[None])
    except ValueError:
        return False
    return bool(permutations(signal, torch.stack(lattice))[1].all())


def _rows(elements: Tensor) -> Rows:
    return tuple(map(tuple, elements.detach().double().cpu().tolist()))


def _on(group: Group, elements: Rows) -> GroupSignal:
    return GroupSignal(torch.empty(0, 0, len(elements), 0, 0), torch.tensor(elements, dtype=torch.float64), group)


@lru_cache(maxsize=256)
def _mixing(
    group: Group, elements: Rows, angle: float, members: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """What a turn makes of the elements of a signal: weights on the right of so many numbers side by side.

    The G elements of some of the ``members / G`` channels are mixed by one product: one of 8 numbers takes four times
    as long.
    """
    signal, matrix = _on(group, elements), _turn(angle)[None]
    source, exact = permutations(signal, matrix)
    count = len(elements)
    weights = torch.eye(count, dtype=torch.float64)[source[0]] if bool(exact[0]) else interpolation(signal, matrix)[0]
    together = math.gcd(_WIDE // count or 1, members // count)
    return torch.kron(torch.eye(together, dtype=torch.float64), weights).t().contiguous().to(device, dtype)


@lru_cache(maxsize=64)
def _places(group: Group, elements: Rows, quarters: int, mirrored: bool) -> Tensor:
    """Where the values at each element come from under quarter turns and a mirror after them, ``(G,)``."""
    matrix = _turn(quarters * math.pi / 2)
    return permutations(_on(group, elements), (_MIRROR @ matrix if mirrored else matrix)[None])[0][0]


def _turn(angle: float) -> Tensor:
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float64)


_MIRROR = torch.tensor([[-1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)


class TurnedMaps:
    """Maps f(x) of some samples: turned, and compared with the maps of turned images.

    Kept with a layer's reference, because chunks of elements follow each other and share their resampling.
    """

    at_once = 2**16  # numbers that are resampled together: a cache holds them several times

    def __init__(
        self, action: Action, maps: Tensor, weight: Tensor, both: bool, signal: GroupSignal | None, scratch: Scratch
    ) -> None:
        self.of = None if signal is None else (signal.group, _rows(signal.elements))
        self.both, self.resampler, self.padding = both, action.resampler, action.padding
        self.batch, self.channels, self.side = len(maps), maps.shape[1], maps.shape[-1]
        self.channels_last = lies_channels_last(maps)
        self.maps = maps if self.channels_last else maps.contiguous()
        self.weight, self.area = weight.to(maps).flatten(), float(weight.sum(dtype=torch.float64))
        self.weights = self.weight.expand(self.batch, 1, -1).contiguous()
        laid_out = self._laid_out(self.maps)
        self.buffer, self.spare = scratch.like("difference", laid_out), scratch.like("moved", laid_out)
        self.turned = torch.empty_like(laid_out)  # kept until the next resampling
        self.scratch, self.some = scratch, max(1, self.at_once // (self.channels * self.side**2))
        # pixels x (samples and channels), as many samples at a time as a cache holds
        self.blocks = [
            part.permute(2, 3, 0, 1).reshape(self.side**2, -1).contiguous() for part in self.maps.split(self.some)
        ]
        self.still = torch.cat([torch.stack([self._squares(rows), self._down_rows(rows)]) for rows in self.blocks], -1)
        self.last: tuple[float, Tensor, Tensor] | None = None

    def _laid_out(self, maps: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` as they are compared: ``(N, H W, C)`` where channels lie last, else ``(N C, H, W)``."""
        if self.channels_last:
            return maps.permute(0, 2, 3, 1).reshape(len(maps), -1, self.channels)
        return maps.reshape(-1, self.side, self.side)

    def moved(self, action: Action) -> tuple[Tensor, Norms]:
        """Every map under every element, ``(E, B, C, H, W)``, and the norms of the round trip on it."""
        turns = _turns(action)
        count = len(turns.rest)
        result, own = self.maps.new_empty(count, *self.maps.shape), self.maps.new_empty(4, count, self.still.shape[-1])
        for e, turned, squares in self._each(turns):
            result[e] = turned.unflatten(0, self.maps.shape[:2])
            own[:, e] = squares
        return result, self._sums(torch.full_like(own[:2], torch.nan), own).totals().norms()[1]

    def sums(self, action: Action, got: Tensor) -> Sums:
        """What the norms of a comparison are made from; ``got`` is f(gx), ``(E, B, C, H, W)``."""
        found = self.maps.new_full((2, len(got), self.still.shape[-1]), torch.nan)
        own = found.new_empty(4, *found.shape[1:])
        difference, square = (part.unbind() for part in found.unsqueeze(2))
        mine = self._laid_out(got.flatten(2, -3).flatten(0, 1)).view(len(got), *self.buffer.shape).unbind()
        for e, wanted, squares in self._each(_turns(action)):
            own[:, e] = squares
            torch.ops.aten.mse_loss.out(mine[e], wanted, 0, out=self.buffer)
            self._sum_pixels(difference[e])
            if self.both:
                torch.square(mine[e], out=self.buffer)
                self._sum_pixels(square[e])
        return self._sums(found, own)

    def _sums(self, found: Tensor, own: Tensor) -> Sums:
        by_channel = (self.batch, -1)
        return Sums(torch.cat([found, own]).unflatten(-1, by_channel), self.still.unflatten(-1, by_channel), self.area)

    def _sum_pixels(self, into: Tensor) -> None:
        """Sums of the buffer inside the mask, into ``(1, B C)``."""
        if self.channels_last:
            torch.bmm(self.weights, self.buffer, out=into.view(self.batch, 1, -1))
        else:
            torch.mv(self.buffer.flatten(1), self.weight, out=into[0])

    def _each(self, turns: Turns) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Place of each element, the maps under it, laid out, and sums of each of them.

        The sums, ``(4, B C)``, are squares of them, of the round trip's change and of its end; and they themselves.
        """
        for e in in_company(turns):
            turned, squares = self._kept(turns.rest[e])
            yield e, self._moved(turned, turns.quarters[e], turns.mirrored[e]), squares

    def _kept(self, rest: float) -> tuple[Tensor, Tensor]:
        """As :meth:`_turned`, made once where the next element needs the same."""
        if self.last is None or self.last[0] != rest:
            self.last = rest, *self._turned(rest)
        return self.last[1:]

    def _moved(self, maps: Tensor, quarters: int, mirrored: bool) -> Tensor:
        """Maps, laid out, and the elements of a signal after quarter turns and a mirror."""
        if not (quarters or mirrored):
            return maps
        if self.of is not None:
            channels, source = 2 if self.channels_last else 0, _places(*self.of, quarters, mirrored).to(maps.device)
            apart = maps.unflatten(channels, (-1, len(source)))
            maps = apart.index_select(channels + 1, source).flatten(channels, channels + 1)
        if self.channels_last:
            order = order_of(quarters, mirrored, self.side).to(maps.device)
            return torch.index_select(maps, 1, order, out=self.spare)
        return _moved(maps, quarters, mirrored)

    def _mixed(self, rows: Tensor, rest: float) -> Tensor:
        """Rows whose members are (sample, channel, element), the elements mixed as a turn by ``rest`` does."""
        if self.of is None:
            return rows
        weights = _mixing(*self.of, rest, rows.shape[1], rows.dtype, rows.device)
        return (rows.view(-1, len(weights)) @ weights).view(rows.shape)

    def _turned(self, rest: float) -> tuple[Tensor, Tensor]:
        """The maps turned by ``rest``, laid out, and what :meth:`_each` sums up of them."""
        if rest == 0:
            still, plain = self.still
            return self._laid_out(self.maps), torch.stack([still, torch.zeros_like(still), still, plain])
        sums = [self._turned_block(rows, rest, place * self.some) for place, rows in enumerate(self.blocks)]
        return self.turned, torch.cat(sums, -1)

    def _turned_block(self, rows: Tensor, rest: float, first: int) -> Tensor:
        """Samples from ``first`` on, turned and laid out; their sums."""
        there = self._mixed(self._resampled(rows, rest), rest)
        back = self._mixed(self._resampled(there, -rest), -rest)
        change = self._down_rows(torch.ops.aten.mse_loss.out(back, rows, 0, out=self.scratch.like("rows", rows)))
        end = self._squares(back) if self.both else torch.full_like(change, torch.nan)
        own = there.view(self.side, self.side, -1, self.channels).permute(2, 3, 0, 1)
        place = self.turned.view(self.batch, -1, self.turned.shape[-1])[first : first + len(own)]
        if self.channels_last:
            place.copy_(own.permute(0, 2, 3, 1).flatten(1, 2))
        else:
            place.copy_(own.flatten(1, 2))
        return torch.stack([self._squares(there), change, end, self._down_rows(there)])

    def _resampled(self, rows: Tensor, angle: float) -> Tensor:
        places, weights = taps(angle, self.side, self.resampler, self.padding, rows.dtype, rows.device)
        starts = _starts(*places.shape, rows.device)
        return functional.embedding_bag(
            places.flatten(), rows, starts, mode="sum", per_sample_weights=weights.flatten(), include_last_offset=True
        )

    def _squares(self, rows: Tensor) -> Tensor:
        return self._down_rows(torch.square(rows, out=self.scratch.like("rows", rows)))

    def _down_rows(self, squares: Tensor) -> Tensor:
        """Sums of ``(H W, B C)`` inside the mask, ``(B C,)``."""
        return torch.mv(squares.t(), self.weight)


def _turns(action: Action) -> Turns:
    turns = turns_of(action)
    assert turns is not None  # asked before the maps were made
    return turns


def _moved(maps: Tensor, quarters: int, mirrored: bool) -> Tensor:
    if quarters == 2 and not mirrored:
        return maps.flatten(1).flip(1).view(maps.shape)  # half the time of flipping both axes
    moved = torch.rot90(maps, quarters, (-2, -1)) if quarters else maps
    return moved.flip(-1) if mirrored else moved


@lru_cache(maxsize=64)
def order_of(quarters: int, mirrored: bool, side: int) -> Tensor:
    """Which pixel comes to each place, ``(H W,)``."""
    return _moved(torch.arange(side**2).view(1, side, side), quarters, mirrored).flatten()


@lru_cache(maxsize=64)
def _starts(pixels: int, each: int, device: torch.device) -> Tensor:
    return torch.arange(0, pixels * each + 1, each, dtype=torch.int32, device=device)


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
