"""One convolution over a bank of kernels, by the cheapest exact way."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from workbench.kernels import KernelBank

SMALLEST_INPUT = 16  # with fewer input channels a convolution is bound by its output, not its taps


@lru_cache(maxsize=16)
def disc_split(kernel_size: int) -> tuple[Tensor, Tensor]:
    """The taps of an odd disc as one square block and the four tips: row-major indices of each.

    A disc of radius r is the square of radius r - 1 (corners zero from k = 9 on) and the four taps at
    distance r on the axes: 25 + 4 of 49 at k = 7.
    """
    k = kernel_size
    block = torch.arange(k * k).view(k, k)[1:-1, 1:-1].flatten()
    middle = k // 2
    return block, torch.tensor([middle, middle * k, middle * k + k - 1, (k - 1) * k + middle])


def use_split(channels_in: int, kernel_size: int, stride: int, size: tuple[int, int]) -> bool:
    """The one measured heuristic: split the disc where it saves more than the second call costs."""
    if kernel_size % 2 == 0 or stride != 1 or channels_in < SMALLEST_INPUT:
        return False
    return kernel_size >= 7 or (kernel_size == 5 and min(size) >= 8)


def prepare(kernels: KernelBank, features: Tensor, share: Tensor | None, split: bool) -> tuple[Tensor, ...]:
    """The weights that :func:`convolve` takes: one dense kernel, or the block and the tips of a split disc.

    Args:
        kernels: the bank whose read-out turns features into weights.
        features: ``(S_out, S_in, k*k, hidden + 1)``.
        share: ``(S_in,)`` factors of the input elements, ``None`` for a plain mean.
        split: the answer of :func:`use_split`.
    """
    k = kernels.kernel_size
    if share is not None:
        features = features * share[:, None, None]
    if not split:
        return (kernels.read(features).flatten(2, 3).flatten(0, 1).unflatten(-1, (k, k)),)
    block, tips = disc_split(k)
    square = kernels.read(features, block.to(features.device)).flatten(2, 3).flatten(0, 1)
    points = kernels.read(features, tips.to(features.device)).flatten(2, 3).flatten(0, 1)
    return square.unflatten(-1, (k - 2, k - 2)), points.transpose(1, 2).flatten(1)[..., None, None]


def convolve(
    x: Tensor, weights: tuple[Tensor, ...], bias: Tensor | None, k: int, stride: int, padding: int, mode: str
) -> Tensor:
    """Correlate an image batch with kernels whose support is a disc.

    Args:
        x: ``(B, C_in, H, W)``.
        weights: from :func:`prepare`.
        bias: ``(C_out,)`` or ``None``.
        k, stride, padding: as in a plain convolution; ``mode`` is "zeros" or "circular".

    Returns:
        ``(B, C_out, H', W')``.
    """
    if mode == "circular" and padding:
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
