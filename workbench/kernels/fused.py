"""A coordinate network and its read-out as one operation with a gradient of its own.

Kernels are made at every training step. As some forty small operations that costs a small layer more than its
convolution; here it is a handful of matrix products each way.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Places(NamedTuple):
    """Where the values of ``P`` distinct points go.

    ``points (N,)`` says which point is used at each place; P stands for a tap outside the disc, where kernels are 0.
    The N places are ``shape``, (S_out, S_in, T), and the values of a point are ``channels``, (C_out, C_in).
    """

    points: Tensor
    shape: tuple[int, int, int]
    channels: tuple[int, int]


class Readout(torch.autograd.Function):
    """Kernels ``(C_out, S_out, C_in, S_in, T)``, a view of another order, from the features of distinct points.

    Takes features ``(P, h)``, the read-out's weight ``(C_out C_in, h)`` and bias, a factor ``scale ()`` of all values
    or ``(P, 1)`` of those at each point, places.
    Looking the features up and multiplying once is cheaper than looking up C_out C_in values per tap.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, scale: Tensor, places: Places) -> Tensor:
        values, used = _read(features, weight, bias, scale, places)
        ctx.points, ctx.places = len(features), places
        ctx.save_for_backward(weight, scale, used)
        return values

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        with torch.autocast(grad.device.type, enabled=False):
            return (*_read_back(ctx.points, ctx.places, grad, *ctx.saved_tensors), None, None)


def _read(features: Tensor, weight: Tensor, bias: Tensor, scale: Tensor, places: Places) -> tuple[Tensor, Tensor]:
    """The kernels, and the features at every place with a last column that multiplies the bias."""
    points, hidden = features.shape
    rows = features.new_zeros(points + 1, hidden + 1)
    torch.mul(features, scale, out=rows[:-1, :-1])
    rows[:-1, -1:] = scale
    used = rows.index_select(0, places.points)
    values = torch.mm(torch.cat([weight, bias[:, None]], 1), used.t())
    return values.view(*places.channels, *places.shape).transpose(1, 2), used


def _read_back(points: int, places: Places, grad: Tensor, weight: Tensor, scale: Tensor, used: Tensor):
    """Gradients of features, weight and bias."""
    grad = grad.transpose(1, 2).reshape(len(weight), -1)
    back = grad.new_zeros(points + 1, weight.shape[1]).index_add_(0, places.points, grad.t().mm(weight))
    readout = grad.mm(used)
    return back[:-1].mul_(scale), readout[:, :-1], readout[:, -1]


class SirenKernels(torch.autograd.Function):
    """The same from points ``(P, d)``, through layers sin(omega (W x + b)) whose W and b follow in turn."""

    @staticmethod
    def forward(
        ctx: Any,
        points: Tensor,
        weight: Tensor,
        bias: Tensor,
        scale: Tensor,
        places: Places,
        omega: float,
        *sines: Tensor,
    ) -> Tensor:
        angles, inputs = [], [points]
        for w, b in zip(sines[::2], sines[1::2], strict=True):
            angles.append(torch.addmm(b, inputs[-1], w.t(), beta=omega, alpha=omega))
            inputs.append(angles[-1].sin())
        values, used = _read(inputs[-1], weight, bias, scale, places)
        ctx.points, ctx.places, ctx.omega = len(points), places, omega
        ctx.save_for_backward(weight, scale, used, *sines[::2], *angles, *inputs[:-1])
        return values

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast(grad.device.type, enabled=False):
            return SirenKernels._back(ctx, grad)

    @staticmethod
    def _back(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        kept, saved = ctx.saved_tensors[:3], ctx.saved_tensors[3:]
        depth = len(saved) // 3
        weights, angles, inputs = saved[:depth], saved[depth : 2 * depth], saved[2 * depth :]
        back, of_weight, of_bias = _read_back(ctx.points, ctx.places, grad, *kept)
        found: list[Tensor] = []
        for i in reversed(range(depth)):
            slope = angles[i].cos().mul_(back).mul_(ctx.omega)
            found[:0] = slope.t().mm(inputs[i]), slope.sum(0)
            if i or ctx.needs_input_grad[0]:
                back = slope.mm(weights[i])
        return back if ctx.needs_input_grad[0] else None, of_weight, of_bias, None, None, None, *found
