r"""The points at which a coordinate network is evaluated, with a gradient of their own for learned elements."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

ROUNDING = 1e-5  # radians: more than float32 loses in a difference of angles, less than any grid step


class Coordinates(torch.autograd.Function):
    r"""Taps ``(T, 2)`` and elements h ``(S_out, e)``, h' ``(S_in, e)`` to ``(S_out, S_in, T, 2 + angle + e - 1)``.

    An element (r, m) stands for the matrix D_m R_r; e = 1 has no mirror. A row holds h^-1 x, which is
    (m x cos r + y sin r, -m x sin r + y cos r), then h^-1 h' = (r' - m m' r, m m'), its angle as (cos, sin) or
    ``raw`` as angle / pi - 1 in [-1, 1). Without taps, ``None``, one point per pair holds the second part alone;
    without h', the lifting, the first. The angles are not wrapped before their difference, which would round them.
    """

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, inputs: Tensor | None, taps: Tensor | None, raw: bool) -> Tensor:
        columns: list[Tensor] = []
        shape = (len(outputs), 1 if inputs is None else len(inputs), 1 if taps is None else len(taps))
        turn, mirror = outputs[:, :1], outputs[:, 1:]
        ctx.raw, ctx.width, ctx.moved, ctx.related = raw, outputs.shape[1], None, None
        if taps is not None:
            x, y = taps[:, 0], taps[:, 1]
            cos, sin = turn.cos(), turn.sin()
            x = x * mirror if mirror.shape[1] else x
            ctx.moved = x * cos + y * sin, y * cos - x * sin
            columns += [part[:, None] for part in ctx.moved]
        if inputs is not None:
            both = mirror * inputs[:, 1] if mirror.shape[1] else None
            angle = inputs[:, 0] - (turn if both is None else turn * both)
            if raw:  # an angle of 0 that rounding made -1e-7 belongs to this side of the jump, not to 2 pi
                encoded = [(torch.remainder(angle + ROUNDING, 2 * math.pi) - ROUNDING) / math.pi - 1]
            else:
                encoded = [angle.cos(), angle.sin()]
            ctx.related = both, *encoded
            columns += [part[..., None] for part in (*encoded, *(() if both is None else (both,)))]
        points = outputs.new_empty(*shape, len(columns))
        for i, column in enumerate(columns):
            points[..., i] = column
        return points

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        of_outputs, of_inputs = grad.new_zeros(len(grad), ctx.width), None
        if ctx.moved is not None:
            x, y = ctx.moved
            parts = grad[..., :2].sum(1)
            of_outputs[:, 0] = (parts[..., 0] * y - parts[..., 1] * x).sum(1)
        if ctx.related is not None:
            both, *encoded = ctx.related
            parts = grad[..., 0 if ctx.moved is None else 2 :].sum(2)
            slope = parts[..., 0] / math.pi if ctx.raw else parts[..., 1] * encoded[0] - parts[..., 0] * encoded[1]
            of_inputs = grad.new_zeros(grad.shape[1], ctx.width)
            of_inputs[:, 0] = slope.sum(0)
            of_outputs[:, 0] -= (slope if both is None else slope * both).sum(1)
        return of_outputs, of_inputs, None, None
