"""One convolution over a bank of kernels, by the cheapest exact way."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from workbench.kernels import KernelBank

SMALLEST_SPLIT = 5  # below this size the disc saves too little to pay for a second call


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


def pad(x: Tensor, padding: int, mode: str) -> Tensor:
    """``padding`` pixels on every side, ``mode`` "zeros" or "circular"."""
    if padding == 0:
        return x
    return functional.pad(x, [padding] * 4, mode="constant" if mode == "zeros" else mode)


def use_split(channels_in: int, kernel_size: int, stride: int) -> bool:
    """The one measured heuristic: split the disc where it saves more than the second call costs."""
    return kernel_size >= SMALLEST_SPLIT and kernel_size % 2 == 1 and stride == 1 and channels_in >= 16


def prepare(kernels: KernelBank, features: Tensor, share: Tensor | None, stride: int) -> tuple[Tensor, ...]:
    """The weights that :func:`convolve` takes: one dense kernel, or the block and the tips of a split disc.

    Args:
        kernels: the bank whose read-out turns features into weights.
        features: ``(S_out, S_in, k*k, hidden + 1)``.
        share: ``(S_in,)`` factors of the input elements, ``None`` for a plain mean.
    """
    k = kernels.kernel_size
    if share is not None:
        features = features * share[:, None, None]
    if not use_split(kernels.in_channels * features.shape[1], k, stride):
        return (kernels.read(features).flatten(2, 3).flatten(0, 1).unflatten(-1, (k, k)),)
    block, tips = disc_split(k)
    square = kernels.read(features, block.to(features.device)).flatten(2, 3).flatten(0, 1)
    points = kernels.read(features, tips.to(features.device)).flatten(2, 3).flatten(0, 1)
    return square.unflatten(-1, (k - 2, k - 2)), points.transpose(1, 2).flatten(1)[..., None, None]


def convolve(x: Tensor, weights: tuple[Tensor, ...], k: int, stride: int, padding: int, mode: str) -> Tensor:
    """Correlate an image batch with kernels whose support is a disc.

    Args:
        x: ``(B, C_in, H, W)``.
        weights: from :func:`prepare`.
        k, stride, padding: as in a plain convolution; ``mode`` is "zeros" or "circular".

    Returns:
        ``(B, C_out, H', W')``.
    """
    if len(weights) == 1:
        if mode == "circular":
            x, padding = pad(x, padding, mode), 0
        return functional.conv2d(x, weights[0], stride=stride, padding=padding)
    block, tips = weights
    height, width = (side + 2 * padding - k + 1 for side in x.shape[-2:])
    r = k // 2
    padded = pad(x, padding, mode)
    corners = ((0, r), (r, 0), (r, 2 * r), (2 * r, r))
    shifted = torch.cat([padded[..., top : top + height, left : left + width] for top, left in corners], 1)
    if mode == "zeros" and padding >= 1:
        middle = functional.conv2d(x, block, padding=padding - 1)
    else:
        middle = functional.conv2d(padded[..., 1:-1, 1:-1], block)
    return middle + functional.conv2d(shifted, tips)
