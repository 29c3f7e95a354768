"""Where maps are differentiated and summed: buffers that are kept, as many rows at a time as fit into a cache."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from workbench.actions import named_mask

_BLOCK = 2**17  # numbers worked on at a time
_TINY_MAP = 25  # pixels: up to here a product with a matrix is faster than a dozen strides

Flow = list[tuple[int, Tensor]]
"""Dimensions of ``(H, W)`` along which pixels move, and half of how fast, in pixels: of sums ``f[+1] - f[-1]``."""


class Workplace:
    """Buffers for outputs of one shape ``(2 B, C, ..., H, W)``: allocating half a megabyte costs as much as filling it.

    Views are made once: there are a dozen in each comparison, and a view costs as much as a thousand sums. A row is
    one sample and channel, ``(..., H, W, 1)``; where channels lie next to each other in memory, one sample
    ``(H, W, C)``.
    """

    def __init__(self, tensor: Tensor, flow: Flow, mask: str, padding: str) -> None:
        self.channels_last = lies_channels_last(tensor)
        height, width = tensor.shape[-2:]
        if self.channels_last:
            self.count, shape = len(tensor) // 2, torch.Size((height, width, tensor.shape[1]))
        else:
            self.count, shape = len(tensor) * tensor.shape[1] // 2, torch.Size((*tensor.shape[2:], 1))
        self.batch, self.shape = len(tensor) // 2, shape
        rows = max(1, min(self.count, _BLOCK // shape.numel()))
        buffers = tensor.new_empty(2, rows, *shape), tensor.new_zeros(rows, *shape)
        inside = named_mask(mask, height, width)
        self.found = tensor.new_empty(3, self.count, shape[-1])
        speeds = [(dim - 1, speed[..., None].expand(shape[-3:]).contiguous()) for dim, speed in flow]
        self.blocks = []
        for start in range(0, self.count, rows):
            stop = min(start + rows, self.count)
            self.blocks.append(_Block(slice(start, stop), buffers, self.found[:, start:stop], speeds, inside, padding))

    def sums(self, tensor: Tensor, along: Tensor | None, step: float, apart: bool) -> np.ndarray:
        """See :meth:`Generator.sums`."""
        lying = tensor.movedim(1, -1) if self.channels_last else tensor
        first, second = lying.reshape(2, self.count, *self.shape)
        for block in self.blocks:
            block.fill(first, second)
            if along is not None:
                block.turn(along, step)
            block.move(step)
            block.reduce(apart)
        found = (self.found if apart else self.found[:2, :, :1]).double().cpu().numpy()
        return found if self.channels_last else found.reshape(len(found), self.batch, -1)


def lies_channels_last(tensor: Tensor) -> bool:
    """Whether the channels of maps are next to each other in memory."""
    return (
        tensor.ndim == 4
        and tensor.is_contiguous(memory_format=torch.channels_last)
        and not tensor.is_contiguous()
    )  # fmt: skip


class _Block:
    """Some rows of both halves, in buffers that are shared by all blocks."""

    def __init__(
        self, rows: slice, buffers: tuple[Tensor, Tensor], out: Tensor, speeds: Flow, inside: Tensor, padding: str
    ) -> None:
        count = rows.stop - rows.start
        both, spare = buffers[0][:, :count], buffers[1][:count]
        self.rows, (self.change, self.total), self.spare = rows, both, spare
        self.squared = [both] if both.is_contiguous() else [self.change, self.total]
        pixels, channels = inside.numel(), both.shape[-1]
        self.channels_last = channels > 1
        weight = inside.to(both).flatten()
        if self.channels_last:
            self.weight = weight.view(1, 1, -1).expand(count, 1, -1)
            self.pixels, self.out = [part.flatten(1, 2) for part in both], [part.unsqueeze(1) for part in out]
            self.flat = [part.flatten(1) for part in both], weight.repeat_interleave(channels), [o[:, 0] for o in out]
        else:
            images = both[0, 0].numel() // pixels  # as many as there are group elements
            self.flat = [part.flatten(1) for part in both], weight.repeat(images), [part.view(-1) for part in out]
        self.matrix = None
        if speeds and pixels <= _TINY_MAP and not self.channels_last:
            self.matrix = _matrix(speeds, inside.shape, padding)
            self.maps = [part.view(-1, pixels) for part in both]
            return
        self.steps = [(list(differences(self.total, spare, dim, padding, inside)), speed) for dim, speed in speeds]

    def fill(self, first: Tensor, second: Tensor) -> None:
        a, b = first[self.rows], second[self.rows]
        torch.sub(a, b, out=self.change)
        torch.add(a, b, out=self.total)

    def turn(self, along: Tensor, step: float) -> None:
        """``change -= step X total`` along the group axis."""
        flat = self.change.flatten(-3)
        flat.baddbmm_(along.expand(len(flat), -1, -1), self.total.flatten(-3), alpha=-step)

    def move(self, step: float) -> None:
        """``change -= step X total`` in the plane."""
        if self.matrix is not None:
            self.maps[0].addmm_(self.maps[1], self.matrix, alpha=step)
            return
        for pairs, speed in self.steps:
            for after, before, difference in pairs:
                torch.sub(after, before, out=difference)
            self.change.addcmul_(self.spare, speed, value=step)

    def reduce(self, apart: bool) -> None:
        """Weighted sums over the pixels; overwrites the buffers."""
        if apart:
            self._sum(1, 2, apart)
        for part in self.squared:
            part.square_()
        self._sum(0, 0, apart)
        self._sum(1, 1, apart)

    def _sum(self, part: int, place: int, apart: bool) -> None:
        if apart and self.channels_last:
            torch.bmm(self.weight, self.pixels[part], out=self.out[place])
        else:
            pixels, weight, out = self.flat
            torch.mv(pixels[part], weight, out=out[place])


def _matrix(speeds: Flow, size: torch.Size, padding: str) -> Tensor:
    """What ``move`` adds to flat rows of ``H W`` pixels, as a matrix ``(H W, H W)`` on their right."""
    like = speeds[0][1]
    of = torch.eye(size.numel(), dtype=like.dtype, device=like.device).view(-1, *size, 1)
    result, spare, inside = torch.zeros_like(of), torch.zeros_like(of), torch.ones(size)
    for dim, speed in speeds:
        for after, before, difference in differences(of, spare, dim, padding, inside):
            torch.sub(after, before, out=difference)
        result.addcmul_(spare, speed)
    return result.view(len(of), -1)


def differences(
    of: Tensor, spare: Tensor, dim: int, padding: str, inside: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """What to subtract from what, and where to, so that ``spare`` is ``of[+1] - of[-1]`` along ``dim`` ``inside``.

    Args:
        of, spare: ``(..., H, W, K)``. dim: -3 or -2. inside: ``(H, W)``, zero where nobody looks.
    """
    size, apart = of.shape[dim], of.shape[-1] * (of.shape[-2] if dim == -3 else 1)
    if size > 2:
        # along the flattened pixels, whose inner loop is long; what crosses a row's end is overwritten next
        flat = of.flatten(-3)
        count = flat.shape[-1] - 2 * apart
        yield flat[..., 2 * apart :], flat[..., :count], spare.flatten(-3)[..., apart : apart + count]
    for place, after, before in ((0, 1, -1), (size - 1, size, size - 2)):
        seen = inside.select(dim + 1, place).nonzero().flatten()
        if len(seen):  # a disc touches the rim in a few pixels only
            across = -5 - dim, int(seen[0]), int(seen[-1]) - int(seen[0]) + 1
            pair = (_line(of, side, dim, padding).narrow(*across) for side in (after, before))
            yield *pair, spare.narrow(dim, place, 1).narrow(*across)  # type: ignore[misc]


def _line(of: Tensor, place: int, dim: int, padding: str) -> Tensor:
    """One line of pixels; beyond the frame what the padding says."""
    size = of.shape[dim]
    if padding == "zeros" and not 0 <= place < size:
        return of.new_zeros(()).expand_as(of.narrow(dim, 0, 1))
    return of.narrow(dim, place % size if padding == "circular" else min(max(place, 0), size - 1), 1)
