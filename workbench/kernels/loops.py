"""The one filter of :class:`workbench.kernels.relaxed.RelaxedKernels` at w_abs = 0, and its gradients, compiled.

A small layer's convolution takes no longer than a dozen small operations of torch; here there is one call each way. The
same numbers as :class:`workbench.kernels.relaxed.Same`, which stays for other devices and is the referee. Shapes: P
taps, F features, C filters (C_out C_in).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.autograd.function import once_differentiable

from workbench.kernels.relaxed import LEAST, Same

AT_ONCE = 2**17  # multiplications of one product


def compiled(loop: Callable) -> Any:
    """The loop as machine code, made at its first call and kept on disk where that is allowed."""
    # sums may be taken in another order; NaN and infinity stay what they are
    options: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz"}}
    try:
        return njit(cache=True, **options)(loop)
    except RuntimeError:  # no folder may be written where what was compiled could be kept
        return njit(**options)(loop)


@compiled
def make(taps, cycles, dial, phase, readout, gain, inputs, some, waves, filters):
    """Fill ``waves (2, P, F)``, cosine and sine, and ``filters (C, P)``.

    Returns turns, the factor that gives white noise its size, and the sum of squares before it. Products are of
    ``some`` filters at a time: a larger one would wake threads of the library that multiplies, which then wait busily.
    """
    cosine, sine, zero = waves[0], waves[1], waves[0, 0, 0] * 0
    turns = zero + 2 * math.pi * dial[()]
    for p in range(len(taps)):
        for f in range(len(phase)):
            angle = turns * (taps[p, 0] * cycles[f, 0] + taps[p, 1] * cycles[f, 1]) + phase[f]
            cosine[p, f], sine[p, f] = math.cos(angle), math.sin(angle)
    square = zero
    for first in range(0, len(filters), some):
        found = filters[first : first + some]
        np.dot(readout[first : first + some], cosine.T, found)
        for c in range(len(found)):
            for p in range(len(taps)):
                square += found[c, p] * found[c, p]
    size = (max(float(square) / filters.size, LEAST) * inputs * len(taps)) ** -0.5
    filters *= size * gain[()]
    return turns, size, square


@compiled
def _minus(some, others, factor, share, out):
    mine, theirs = out[0, 0] * 0 + factor, out[0, 0] * 0 + share  # in the precision of the numbers
    for c in range(len(out)):
        for p in range(out.shape[1]):
            out[c, p] = mine * some[c, p] - theirs * others[c, p]


@compiled
def slopes(
    grad, taps, cycles, readout, gain, numbers, some, waves, filters, of_cycles, of_phase, of_readout, of_dial, of_gain
):
    """Fill the gradients, given that of the filters; those of the dial and the gain are ``()``."""
    turns, size, square = numbers
    cosine, sine = waves[0], waves[1]
    scale, along = size * gain[()], cosine[0, 0] * 0
    for c in range(len(grad)):
        for p in range(len(taps)):
            along += grad[c, p] * filters[c, p]
    shrink = along / max(scale * scale * square, LEAST)
    free, of_wave = np.zeros_like(filters), np.zeros_like(cosine)
    _minus(grad, filters, scale, scale * shrink, free)
    for first in range(0, len(filters), some):
        part = free[first : first + some]
        np.dot(part, cosine, of_readout[first : first + some])
        of_wave += np.dot(part.T, readout[first : first + some])
    of_phase[:], of_cycles[:] = 0, 0
    for p in range(len(taps)):
        for f in range(len(of_phase)):
            slope = -of_wave[p, f] * sine[p, f]
            of_phase[f] += slope
            of_cycles[f, 0] += slope * taps[p, 0]
            of_cycles[f, 1] += slope * taps[p, 1]
    of_dial[()] = 2 * math.pi * (of_cycles * cycles).sum()
    of_cycles *= turns
    of_gain[()] = along * size / scale if scale != 0 else size * (grad * np.dot(readout, cosine.T)).sum()


class CompiledSame(Same):
    """As :class:`workbench.kernels.relaxed.Same`, on a processor."""

    @staticmethod
    def forward(
        ctx, taps: Tensor, cycles: Tensor, dial: Tensor, phase: Tensor, readout: Tensor, gain: Tensor, inputs: int
    ) -> Tensor:
        some = max(1, AT_ONCE // (len(taps) * len(phase)))
        t, c, r, g = taps.numpy(), cycles.numpy(), readout.contiguous().numpy(), gain.numpy()
        made = np.empty((len(r), len(t)), r.dtype)  # memory of numpy's: torch takes longer to hand out as little
        filters = torch.from_numpy(made.reshape(-1, inputs, len(t)))
        waves = np.zeros((2, len(t), len(c)), t.dtype)  # read for their precision before they are filled
        numbers = make(t, c, dial.numpy(), phase.numpy(), r, g, inputs, some, waves, made)
        ctx.save_for_backward(cycles, readout, gain, filters)  # asked for below: whether they have been changed since
        ctx.given = t, c, r, g, numbers, some, waves, made
        return filters

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        cycles, readout, _, _ = ctx.saved_tensors
        shapes = cycles.shape, len(cycles), readout.shape, (), ()
        found = tuple(np.empty(shape, ctx.given[-1].dtype) for shape in shapes)
        slopes(grad.contiguous().numpy().reshape(ctx.given[-1].shape), *ctx.given, *found)
        of_cycles, of_phase, of_readout, of_dial, of_gain = map(torch.from_numpy, found)
        return None, of_cycles, of_dial, of_phase, of_readout, of_gain, None
