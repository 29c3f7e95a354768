r"""Convolution as products of spectra, for kernels of many channels on small maps.

A convolution on H x W pixels is a circular one on (H + p) x (W + p), which a discrete Fourier transform turns
into one product of matrices per frequency. Real images pair the frequencies, and one complex product costs
three real ones:

    k1 = V_r (X_r + X_i), k2 = X_r (V_i - V_r), k3 = X_i (V_r + V_i);  Y_r = k1 - k3, Y_i = k1 + k2

so that the whole convolution is y = back (image x * kernel w) with three constant matrices. As matrix products
they beat a fast Fourier transform up to some twenty pixels a side, and gradients are their transposes.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor


class Window(NamedTuple):
    """How kernels slide over an image; ``size`` is (H, W), ``mode`` "zeros" or "circular"."""

    size: tuple[int, int]
    kernel_size: int
    stride: int
    padding: int
    mode: str

    @property
    def out_size(self) -> tuple[int, int]:
        """(H', W') of the answer."""
        height, width = ((s + 2 * self.padding - self.kernel_size) // self.stride + 1 for s in self.size)
        return height, width

    @property
    def period(self) -> tuple[int, int]:
        """The circle on which nothing wraps into the picture; the picture itself when it is circular."""
        extra = 0 if self.mode == "circular" else self.padding
        return self.size[0] + extra, self.size[1] + extra

    @property
    def products(self) -> int:
        """Real products per image, input and output channel that :class:`Transforms` needs."""
        own = math.prod(2 - n % 2 for n in self.period)  # frequencies that are their own negative
        return own + 3 * (math.prod(self.period) - own) // 2


class Transforms(NamedTuple):
    """``image (R, H*W)``, ``kernel (R, k*k)`` and ``back (H'*W', R)`` for one window of stride 1."""

    image: Tensor
    kernel: Tensor
    back: Tensor


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # what is kept must serve training as well
def transforms(window: Window, dtype: torch.dtype, device: torch.device) -> Transforms:
    """The three matrices, made in float64."""
    period = window.period
    fy, fx = (f.flatten() for f in torch.meshgrid(*(torch.arange(n) for n in period), indexing="ij"))
    here, there = fy * period[1] + fx, (-fy % period[0]) * period[1] + (-fx % period[1])
    half, own = here < there, here == there

    def waves(y: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """cos and sin at the frequencies that stand for a pair, cos at those without a partner."""
        points = torch.cartesian_prod(y, x)
        turns = (fy[:, None] * points[:, 0] % period[0]).double() / period[0]
        turns = turns + (fx[:, None] * points[:, 1] % period[1]).double() / period[1]
        angle = 2 * math.pi * turns
        return torch.cos(angle[half]), torch.sin(angle[half]), torch.cos(angle[own])

    c, s, alone = waves(*(torch.arange(n) for n in window.size))
    image = torch.cat([c - s, c, -s, alone])
    taps = torch.arange(window.kernel_size) - window.padding
    c, s, alone = waves(taps, taps)
    kernel = torch.cat([c, s - c, c + s, alone])
    c, s, alone = waves(*(torch.arange(n) for n in window.out_size))
    back = torch.cat([2 * (c - s), -2 * s, -2 * c, alone]).T / math.prod(period)
    return Transforms(*(m.to(device, dtype).contiguous() for m in (image, kernel, back)))


def kernel_spectra(weights: Tensor, taps: tuple[int, ...], window: Window) -> Tensor:
    """Spectra ``(R, C_in, C_out)`` of kernels ``(C_in, C_out, T)`` given at the named taps of the window."""
    kernel = transforms(window, weights.dtype, weights.device).kernel[:, list(taps)]
    return torch.mm(kernel, weights.flatten(0, 1).t()).unflatten(1, weights.shape[:2])


def convolve_spectra(x: Tensor, spectra: Tensor, bias: Tensor | None, window: Window) -> Tensor:
    """``(B, C_in, H, W) -> (B, C_out, H', W')`` with the kernels of :func:`kernel_spectra`."""
    image, _, back = transforms(window, x.dtype, x.device)
    batch, channels = x.shape[0], spectra.shape[-1]
    seen = torch.mm(image, x.flatten(2).flatten(0, 1).t()).unflatten(1, x.shape[:2])
    answer = torch.bmm(seen, spectra).flatten(1)
    out = torch.mm(answer.t(), back.t()).view(batch, channels, *window.out_size)
    return out if bias is None else out.add_(bias[:, None, None])
