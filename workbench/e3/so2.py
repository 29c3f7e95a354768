"""Products of features with the harmonics of an edge, reduced to SO(2) in the frame of the edge.

With R n = e_y and D = D(R): f x Y(n) = D^T [(D f) x Y(e_y)], and Y(e_y) has only m = 0, so each |m| stays by itself
(Passaro & Zitnick 2023, arXiv 2302.03655, section 3). For degrees l_i, l_o and every m up to the smaller one, all
filter degrees together are two numbers, h1 and h2:

    z_m = h1 x_m - h2 x_-m,    z_-m = h2 x_m + h1 x_-m,    z_0 = h1 x_0.

Paths with l_i + l_f + l_o even make h1, odd ones h2. The cost falls from O(L^6) to O(L^3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from e3nn import o3
from torch import Tensor

from workbench.e3.wigner import EdgeFrames, exchange, generators


@lru_cache(maxsize=1024)
@torch.inference_mode(False)  # what is kept serves training, too
def path_matrix(l_in: int, l_out: int) -> Tensor:
    """P, ``(2 min + 1, 2 min + 1)`` in float64, with h = P w for the weights w of the paths |l_in-l_out|..l_in+l_out.

    Rows are h1 of m = 0..min, then h2 of m = 1..min; rows of m > 0 times sqrt(2) make it orthogonal, so nothing is
    lost or gained by training the one or the other. Harmonics have component normalisation, 3j symbols unit norm.

    >>> p = path_matrix(1, 2)
    >>> p = p * torch.tensor([1.0, 2.0, 2.0], dtype=torch.float64).sqrt()[:, None]
    >>> bool((p @ p.T - torch.eye(3)).abs().max() < 1e-12)
    True
    """
    smaller, columns = min(l_in, l_out), []
    for degree in range(abs(l_in - l_out), l_in + l_out + 1):
        couplings = (2 * degree + 1) ** 0.5 * o3.wigner_3j(l_in, degree, l_out, dtype=torch.float64)[:, degree]
        same = [couplings[l_in + m, l_out + m] for m in range(smaller + 1)]
        other = [couplings[l_in + m, l_out - m] for m in range(1, smaller + 1)]
        columns.append(torch.stack([*same, *other]))
    return torch.stack(columns, 1)


@dataclass(frozen=True)
class Slot:
    """One block of irreps: where its numbers lie among the features, and its columns among the rotated ones.

    Attributes:
        start, mul, degree: first number, multiplicity and l.
        column: first column; blocks are ordered by degree, so that those with l >= m are the last ones.
        exchanged: rows m and -m are exchanged, see :func:`workbench.e3.wigner.exchange`. Where parity allows a pair
            of blocks only h2, exchanging one of them makes it h1, and the two rows of each m are mixed alike.
    """

    start: int
    mul: int
    degree: int
    column: int
    exchanged: bool

    @property
    def dim(self) -> int:
        return 2 * self.degree + 1

    @property
    def numbers(self) -> slice:
        return slice(self.start, self.start + self.mul * self.dim)

    @property
    def columns(self) -> slice:
        return slice(self.column, self.column + self.mul)


@dataclass(frozen=True)
class Side:
    """All blocks of the input or of the output.

    Attributes:
        slots: in the order of the irreps.
        starts: for each m, the first column of a block with l >= m.
        width: columns.
        dim: numbers of a feature.
    """

    slots: tuple[Slot, ...]
    starts: tuple[int, ...]
    width: int
    dim: int

    @classmethod
    def of(cls, irreps: o3.Irreps, reflections: bool) -> Side:
        """The layout of irreps; with ``reflections``, blocks of parity -(-1)^l are exchanged."""
        order = sorted(range(len(irreps)), key=lambda at: irreps[at].ir.l)
        columns, column = {}, 0
        for at in order:
            columns[at] = column
            column += irreps[at].mul
        slots = tuple(
            Slot(s.start, block.mul, block.ir.l, columns[at], reflections and block.ir.p != (-1) ** block.ir.l)
            for at, (block, s) in enumerate(zip(irreps, irreps.slices(), strict=True))
        )
        starts = tuple(
            min((s.column for s in slots if s.degree >= m and s.mul), default=column) for m in range(irreps.lmax + 1)
        )
        return cls(slots, starts, column, irreps.dim)


Mixing = Sequence[Tensor]
"""A_0, ..., A_M and, where both kinds of paths exist, B_1, ..., B_M: z_m = x_m A - x_-m B, z_-m = x_m B + x_-m A. Each
is a matrix for all edges, or for each edge and channel numbers between blocks, ``(E, blocks in, blocks out, C)``."""


def reduced_product(
    features: Tensor, frames: EdgeFrames, inputs: Side, outputs: Side, mixing: Mixing, top: int
) -> Tensor:
    """Rotate to the frames, mix each |m| <= top, rotate back: ``(E, D_in)`` to ``(E, D_out)``.

    Gradients of features, mixing matrices and edge vectors are made in one pass of their own; that of the vectors
    needs the generators of two rotations, not the gradients of Wigner matrices. They can be differentiated again.
    """
    result: Tensor = _Reduced.apply(features, frames.directions, frames, inputs, outputs, top, *mixing)
    return result


class _Reduced(torch.autograd.Function):
    """Rotated features lie in one array ``(E, 2 rows + 1, columns)``, m from -rows to rows."""

    @staticmethod
    def forward(ctx, features, directions, frames, inputs, outputs, top, *mixing):
        ctx.frames, ctx.sides, ctx.top = frames, (inputs, outputs), top
        x, z = _through(features, ctx, mixing)
        kept = z if ctx.needs_input_grad[1] else None
        ctx.save_for_backward(features, x, kept, *mixing)
        return _rotate_back(z, frames, outputs)

    @staticmethod
    def backward(ctx, gradient):
        features, x, z, *mixing = ctx.saved_tensors
        (inputs, outputs), top, frames = ctx.sides, ctx.top, ctx.frames
        if torch.is_grad_enabled():  # to be differentiated again: the same numbers, with their history
            x, z = _through(features, ctx, mixing)
        dz = _rotate(gradient, frames, outputs, top + 1)
        need_x = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        dx = dz.new_empty(len(dz), 2 * top + 1, inputs.width) if need_x else None
        grads: list[Any] = [None] * len(mixing)
        for m in range(top + 1):
            _mix_back(x, dz, dx, m, ctx, mixing, grads)
        d_features = _rotate_back(dx, frames, inputs) if ctx.needs_input_grad[0] else None
        d_directions = None
        if ctx.needs_input_grad[1]:
            turn = _moments(dx, x, inputs, len(x)) + _moments(z, dz, outputs, len(x))
            d_directions = _of_directions(turn, frames.rotations)
        return d_features, d_directions, None, None, None, None, *grads


def _through(features: Tensor, ctx: Any, mixing: Mixing) -> tuple[Tensor, Tensor]:
    """Rotated features, and what the mixing makes of them."""
    (inputs, outputs), top = ctx.sides, ctx.top
    x = _rotate(features, ctx.frames, inputs, top + 1)
    z = x.new_empty(len(x), 2 * top + 1, outputs.width)
    for m in range(top + 1):
        _mix(x, z, m, top, inputs, outputs, mixing)
    return x, z


def _rotate(features: Tensor, frames: EdgeFrames, side: Side, rows: int) -> Tensor:
    """``(E, D)`` to ``(E, 2 rows + 1, columns)``; rows beyond a block's own degree are left as they were."""
    rows = min(rows, len(side.starts) - 1)
    rotated = features.new_empty(len(features), 2 * rows + 1, side.width)
    for slot in side.slots:
        own = features[:, slot.numbers].unflatten(1, (slot.mul, slot.dim)).mT
        reach = min(slot.degree, rows)
        target = rotated[:, rows - reach : rows + reach + 1, slot.columns]
        target.copy_(_times(_turns(frames, slot, reach), own))
    return rotated


def _rotate_back(rotated: Tensor, frames: EdgeFrames, side: Side) -> Tensor:
    """``(E, 2 rows + 1, columns)`` to ``(E, D)``."""
    features = rotated.new_empty(len(rotated), side.dim)
    rows = rotated.shape[1] // 2
    for slot in side.slots:
        reach = min(slot.degree, rows)
        own = rotated[:, rows - reach : rows + reach + 1, slot.columns]
        target = features[:, slot.numbers].unflatten(1, (slot.mul, slot.dim)).mT
        target.copy_(_times(_turns(frames, slot, reach).mT, own))
    return features


def _turns(frames: EdgeFrames, slot: Slot, reach: int) -> Tensor:
    """The rows |m| <= reach of the Wigner matrices of one block."""
    block = frames.swapped(slot.degree) if slot.exchanged else frames.wigner[slot.degree]
    return block[:, slot.degree - reach : slot.degree + reach + 1]


def _times(a: Tensor, b: Tensor) -> Tensor:
    """Products of many small matrices; for the smallest, batched products of libraries are slower than sums."""
    if a.shape[2] > 3:
        return torch.bmm(a, b)
    product = a[:, :, :1] * b[:, :1]
    for at in range(1, a.shape[2]):
        product.addcmul_(a[:, :, at : at + 1], b[:, at : at + 1])
    return product


def _rows(rotated: Tensor, m: int, start: int) -> Tensor:
    """Row m, and the columns of blocks that have it."""
    return rotated[:, rotated.shape[1] // 2 + m, start:]


def _put(target: Tensor, x: Tensor, a: Tensor) -> None:
    """x A, where A is a matrix, or numbers ``(E, blocks in, blocks out, C)`` that meet x channel by channel."""
    if a.ndim > 2:
        first = x[:, None, : a.shape[3]], a[:, 0]
        place = target.unflatten(1, a.shape[2:])
        if torch.is_grad_enabled():
            place.copy_(first[0] * first[1])
        else:
            torch.mul(*first, out=place)
        _each(place, x, a, 1, 1.0)
    elif torch.is_grad_enabled():
        target.copy_(x @ a)
    else:
        torch.mm(x, a, out=target)


def _add(target: Tensor, x: Tensor, a: Tensor, sign: float) -> None:
    if a.ndim > 2:
        _each(target.unflatten(1, a.shape[2:]), x, a, 0, sign)
    else:
        target.addmm_(x, a, alpha=sign)


def _each(place: Tensor, x: Tensor, a: Tensor, start: int, sign: float) -> None:
    """Block by block, so that no array as large as ``a`` is made."""
    blocks = x.unflatten(1, (a.shape[1], a.shape[3]))
    for at in range(start, a.shape[1]):
        place.addcmul_(blocks[:, at : at + 1], a[:, at], value=sign)


def _back(a: Tensor) -> Tensor:
    return a.transpose(1, 2) if a.ndim > 2 else a.mT


def _outer(x: Tensor, z: Tensor, a: Tensor, total: Tensor | None = None, sign: float = 1.0) -> Tensor:
    """The gradient of A in z = x A, added to ``total``."""
    if a.ndim > 2:
        left = x.unflatten(1, (a.shape[1], 1, a.shape[3]))
        right = z.unflatten(1, (1, *a.shape[2:]))
        return left * right if total is None else total.addcmul_(left, right, value=sign)
    return x.mT @ z if total is None else total.addmm_(x.mT, z, alpha=sign)


def _mix(x: Tensor, z: Tensor, m: int, top: int, inputs: Side, outputs: Side, mixing: Mixing) -> None:
    i, o = inputs.starts[m], outputs.starts[m]
    for sign in (1, -1) if m else (1,):
        target = _rows(z, sign * m, o)
        _put(target, _rows(x, sign * m, i), mixing[m])
        if m and len(mixing) > top + 1:
            _add(target, _rows(x, -sign * m, i), mixing[top + m], -sign)


def _mix_back(
    x: Tensor, dz: Tensor, dx: Tensor | None, m: int, ctx: Any, mixing: Mixing, grads: list[Tensor | None]
) -> None:
    (inputs, outputs), top = ctx.sides, ctx.top
    i, o = inputs.starts[m], outputs.starts[m]
    crossed = bool(m) and len(mixing) > top + 1
    signs = (1, -1) if m else (1,)
    if dx is not None:
        for sign in signs:
            target = _rows(dx, sign * m, i)
            _put(target, _rows(dz, sign * m, o), _back(mixing[m]))
            if crossed:
                _add(target, _rows(dz, -sign * m, o), _back(mixing[top + m]), sign)
    if ctx.needs_input_grad[6 + m]:
        own = _outer(_rows(x, m, i), _rows(dz, m, o), mixing[m])
        grads[m] = _outer(_rows(x, -m, i), _rows(dz, -m, o), mixing[m], own) if m else own
        if crossed:
            other = _outer(_rows(x, m, i), _rows(dz, -m, o), mixing[top + m])
            grads[top + m] = _outer(_rows(x, -m, i), _rows(dz, m, o), mixing[top + m], other, -1)


def _moments(left: Tensor, right: Tensor, side: Side, edges: int) -> Tensor:
    """Sum over blocks and channels of left . G right, for rotations about x and z: ``(E, 2)``."""
    total = left.new_zeros(edges, 2)
    rows, more = left.shape[1] // 2, right.shape[1] // 2
    for slot in side.slots:
        if slot.degree:
            near, far = min(slot.degree, rows), min(slot.degree, more)
            a = left[:, rows - near : rows + near + 1, slot.columns]
            b = right[:, more - far : more + far + 1, slot.columns]
            generator = _generator(slot.degree, near, far, slot.exchanged, left.dtype, left.device)
            total.addmm_(torch.bmm(a, b.mT).flatten(1), generator)
    return total


@lru_cache(maxsize=512)
@torch.inference_mode(False)  # what is kept serves training, too
def _generator(degree: int, near: int, far: int, exchanged: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Generators about x and z, rows |m| <= near and columns |m| <= far, as two columns."""
    pair = generators(degree)[[0, 2]]
    if exchanged:
        pair = exchange(degree) @ pair @ exchange(degree).T
    pair = pair[:, degree - near : degree + near + 1, degree - far : degree + far + 1]
    return pair.flatten(1).T.contiguous().to(device, dtype)


def _of_directions(turn: Tensor, rotations: Tensor) -> Tensor:
    """Gradient of n from that of rotations about the frame's x and z; n moves by R^T (w x e_y) backwards."""
    return turn[:, 1:] * rotations[:, 0] - turn[:, :1] * rotations[:, 2]
