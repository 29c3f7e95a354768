"""One convolution over a bank of kernels, by the cheapest exact way."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from workbench.kernels import KernelBank
from workbench.kernels.geometry import disc_taps
from workbench.layers.choice import Way
from workbench.layers.spectral import Window, convolve_spectra, kernel_spectra

Weights = tuple[Tensor, ...]


@lru_cache(maxsize=16)
def disc_split(kernel_size: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The taps of an odd disc as one square block and the four tips: row-major indices of each.

    A disc of radius r is the square of radius r - 1 (corners zero from k = 9 on) and the four taps at
    distance r on the axes: 25 + 4 of 49 at k = 7.
    """
    k, middle = kernel_size, kernel_size // 2
    block = tuple(range(k * k))
    inner = tuple(i for i in block if 0 < i // k < k - 1 and 0 < i % k < k - 1)
    return inner, (middle, middle * k, middle * k + k - 1, (k - 1) * k + middle)


def prepare(
    kernels: KernelBank,
    outputs: Tensor,
    inputs: Tensor | None,
    uniform: bool,
    share: Tensor | None,
    way: Way,
    window: Window,
) -> Weights:
    """The weights that :func:`convolve` takes: one dense kernel, the block and the tips of a split disc, or spectra.

    Args:
        kernels, outputs, inputs, uniform: the bank and its elements, as in its forward pass.
        share: ``(S_in,)`` factors of the input elements, ``None`` for a plain mean.
        way: the answer of :func:`workbench.layers.choice.choose`.
        window: how the kernels slide.
    """
    k = kernels.kernel_size
    block, tips = disc_split(k)
    taps = {"dense": None, "split": block + tips, "spectral": disc_taps(k)}[way]
    features = kernels.features(outputs, inputs, uniform, taps)
    if share is not None:
        features = features * share[:, None, None]
    values = kernels.read(features)
    if way == "spectral":
        into = values.permute(2, 3, 0, 1, 4)
        return (kernel_spectra(into.flatten(2, 3).flatten(0, 1), disc_taps(k), window),)
    if way == "dense":
        return (values.reshape(len(values) * values.shape[1], -1, k, k),)
    return _Parts.apply(values, len(block))


def convolve(x: Tensor, weights: Weights, bias: Tensor | None, window: Window) -> Tensor:
    """Correlate an image batch with kernels whose support is a disc.

    Args:
        x: ``(B, C_in, H, W)``.
        weights: from :func:`prepare`.
        bias: ``(C_out,)`` or ``None``.
        window: how the kernels slide, as in a plain convolution.

    Returns:
        ``(B, C_out, H', W')``.
    """
    if weights[0].ndim == 3:
        return convolve_spectra(x, weights[0], bias, window)
    k, stride, padding = window.kernel_size, window.stride, window.padding
    if window.mode == "circular" and padding:
        x, padding = functional.pad(x, [padding] * 4, mode="circular"), 0
    if len(weights) == 1:
        return functional.conv2d(x, weights[0], bias, stride=stride, padding=padding)
    block, tips = weights
    inner = x if padding else x[..., 1:-1, 1:-1]
    out = functional.conv2d(inner, block, bias, padding=max(padding - 1, 0))
    return out.add_(functional.conv2d(_Tips.apply(x, k // 2, padding), tips))


class _Tips(torch.autograd.Function):
    """The image seen from the four tips of the disc: ``(B, C, H, W) -> (B, 4 C, H', W')``.

    One buffer each way; padding, slicing and joining by separate calls cost four times as much.
    """

    @staticmethod
    def _windows(size: tuple[int, int], r: int, padding: int) -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
        pairs = []
        for dy, dx in ((-r, 0), (0, -r), (0, r), (r, 0)):
            target, source = [], []
            for side, shift in zip(size, (dy, dx), strict=True):
                out = side + 2 * padding - 2 * r
                move = shift + r - padding  # output i looks at input i + move
                low, high = max(0, -move), max(max(0, -move), min(out, side - move))
                target.append(slice(low, high))
                source.append(slice(low + move, high + move))
            pairs.append(((target[0], target[1]), (source[0], source[1])))
        return pairs

    @staticmethod
    def forward(ctx, x: Tensor, r: int, padding: int) -> Tensor:
        ctx.where = x.shape, r, padding
        height, width = (side + 2 * padding - 2 * r for side in x.shape[-2:])
        out = x.new_zeros(x.shape[0], 4, x.shape[1], height, width)
        for t, (target, source) in enumerate(_Tips._windows((x.shape[-2], x.shape[-1]), r, padding)):
            out[:, t, :, target[0], target[1]] = x[:, :, source[0], source[1]]
        return out.flatten(1, 2)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        shape, r, padding = ctx.where
        back = grad.new_zeros(shape)
        grad = grad.unflatten(1, (4, -1))
        for t, (target, source) in enumerate(_Tips._windows((shape[-2], shape[-1]), r, padding)):
            back[:, :, source[0], source[1]] += grad[:, t, :, target[0], target[1]]
        return back, None, None


class _Parts(torch.autograd.Function):
    """Kernels ``(C_out, S_out, C_in, S_in, T)`` as the weights of block and tips; one buffer for both gradients.

    ``values`` is a view whose first and third axes lie side by side in memory, and so is its gradient.
    """

    @staticmethod
    def forward(ctx, values: Tensor, block: int) -> tuple[Tensor, Tensor]:
        ctx.shape, ctx.block = values.shape, block
        rows, side = values.shape[0] * values.shape[1], round(block**0.5)
        tips = values[..., block:].permute(0, 1, 4, 2, 3)
        return values[..., :block].reshape(rows, -1, side, side), tips.reshape(rows, -1, 1, 1)

    @staticmethod
    def backward(ctx, square: Tensor, tips: Tensor) -> tuple[Tensor, None]:
        c_out, s_out, c_in, s_in, taps = ctx.shape
        grad = square.new_empty(c_out, c_in, s_out, s_in, taps).transpose(1, 2)
        grad[..., : ctx.block] = square.reshape(c_out, s_out, c_in, s_in, ctx.block)
        grad[..., ctx.block :] = tips.reshape(c_out, s_out, taps - ctx.block, c_in, s_in).permute(0, 1, 3, 4, 2)
        return grad, None
