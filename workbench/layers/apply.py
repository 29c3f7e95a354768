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
    """The weights that :func:`convolve` takes: a dense kernel, block and tips of a split disc, columns, or spectra.

    Args:
        kernels, outputs, inputs, uniform: the bank and its elements, as in its forward pass.
        share: ``(S_in,)`` factors of the input elements, ``None`` for a plain mean.
        way: the answer of :func:`workbench.layers.choice.choose`.
        window: how the kernels slide.
    """
    k = kernels.kernel_size
    block, tips = disc_split(k)
    taps = {"dense": None, "last": None, "split": block + tips}.get(way, disc_taps(k))
    values = kernels.values(outputs, inputs, uniform, taps)
    if share is not None:
        values = values * share[:, None]
    if way == "spectral":
        into = values.permute(2, 3, 0, 1, 4)
        return (kernel_spectra(into.flatten(2, 3).flatten(0, 1), disc_taps(k), window),)
    if way == "columns":
        return (values.permute(0, 1, 4, 2, 3).reshape(len(values) * values.shape[1], -1, 1, 1),)
    if way in ("dense", "last"):
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
    if len(weights) == 1 and weights[0].shape[-1] == k:
        return functional.conv2d(x, weights[0], bias, stride=stride, padding=padding)
    if len(weights) == 1:
        return functional.conv2d(_Shifted.apply(x, k, padding, disc_taps(k), True), weights[0], bias).contiguous()
    block, tips = weights
    inner = x if padding else x[..., 1:-1, 1:-1]
    out = functional.conv2d(inner, block, bias, padding=max(padding - 1, 0))
    return out.add_(functional.conv2d(_Shifted.apply(x, k, padding, disc_split(k)[1], False), tips))


class _Shifted(torch.autograd.Function):
    """The image as some taps of a kernel see it: ``(B, C, H, W) -> (B, T C, H', W')``.

    One buffer each way; padding, slicing and joining by separate calls cost four times as much. ``last`` puts
    channels last in memory, where a product with few channels needs no padding of its own.
    """

    @staticmethod
    def _windows(
        size: tuple[int, int], kernel_size: int, padding: int, taps: tuple[int, ...]
    ) -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
        pairs = []
        for tap in taps:
            target, source = [], []
            for side, place in zip(size, divmod(tap, kernel_size), strict=True):
                out, move = side + 2 * padding - kernel_size + 1, place - padding  # output i looks at input i + move
                low, high = max(0, -move), max(max(0, -move), min(out, side - move))
                target.append(slice(low, high))
                source.append(slice(low + move, high + move))
            pairs.append(((target[0], target[1]), (source[0], source[1])))
        return pairs

    @staticmethod
    def forward(ctx, x: Tensor, kernel_size: int, padding: int, taps: tuple[int, ...], last: bool) -> Tensor:
        batch, channels, *size = x.shape
        height, width = (side + 2 * padding - kernel_size + 1 for side in size)
        ctx.shape, ctx.last, ctx.taps = x.shape, last, len(taps)
        ctx.windows = _Shifted._windows((size[0], size[1]), kernel_size, padding, taps)
        if last:
            x = x.contiguous(memory_format=torch.channels_last)
            out = x.new_zeros(batch, height, width, len(taps), channels).permute(0, 3, 4, 1, 2)
        else:
            out = x.new_zeros(batch, len(taps), channels, height, width)
        for t, (target, source) in enumerate(ctx.windows):
            out[:, t, :, target[0], target[1]] = x[:, :, source[0], source[1]]
        return out.flatten(1, 2)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        memory = torch.channels_last if ctx.last else torch.contiguous_format
        back = torch.zeros(ctx.shape, dtype=grad.dtype, device=grad.device).contiguous(memory_format=memory)
        grad = grad.unflatten(1, (ctx.taps, -1))
        for t, (target, source) in enumerate(ctx.windows):
            back[:, :, source[0], source[1]] += grad[:, t, :, target[0], target[1]]
        return back.contiguous(), None, None, None, None


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
