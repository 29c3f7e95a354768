"""One convolution over a bank of kernels, by the cheapest exact way."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

SMALLEST_SPLIT = 5  # below this size the disc saves too little to pay for a second call


@lru_cache(maxsize=16)
def disc_split(kernel_size: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The taps of an odd disc as one square block and the four tips: row-major indices of each.

    A disc of radius r is the square of radius r - 1 (corners zero from k = 9 on) and the four taps at
    distance r on the axes: 25 + 4 of 49 at k = 7.
    """
    k = kernel_size
    block = tuple(y * k + x for y in range(1, k - 1) for x in range(1, k - 1))
    middle = k // 2
    tips = (middle, middle * k, middle * k + k - 1, (k - 1) * k + middle)
    return block, tips


def pad(x: Tensor, padding: int, mode: str) -> Tensor:
    """``padding`` pixels on every side, ``mode`` "zeros" or "circular"."""
    if padding == 0:
        return x
    return functional.pad(x, [padding] * 4, mode="constant" if mode == "zeros" else mode)


def convolve(x: Tensor, weight: Tensor, kernel_size: int, stride: int, padding: int, mode: str) -> Tensor:
    """Correlate an image batch with kernels whose support is a disc.

    Args:
        x: ``(B, C_in, H, W)``.
        weight: ``(C_out, C_in, k*k)``.
        stride, padding: as in a plain convolution; ``mode`` is "zeros" or "circular".

    Returns:
        ``(B, C_out, H', W')``.
    """
    k = kernel_size
    if use_split(weight.shape[1], k, stride):
        return _convolve_split(x, weight, k, padding, mode)
    if mode == "circular":
        x, padding = pad(x, padding, mode), 0
    return functional.conv2d(x, weight.unflatten(-1, (k, k)), stride=stride, padding=padding)


def use_split(channels_in: int, kernel_size: int, stride: int) -> bool:
    """The one measured heuristic: split the disc where it saves more than the second call costs."""
    return kernel_size >= SMALLEST_SPLIT and kernel_size % 2 == 1 and stride == 1 and channels_in >= 16


def _convolve_split(x: Tensor, weight: Tensor, k: int, padding: int, mode: str) -> Tensor:
    block, tips = disc_split(k)
    height, width = (side + 2 * padding - k + 1 for side in x.shape[-2:])
    r = k // 2
    padded = pad(x, padding, mode)
    shifts = ((0, r), (r, 0), (r, 2 * r), (2 * r, r))
    shifted = torch.cat([padded[..., top : top + height, left : left + width] for top, left in shifts], 1)
    tip_weight = weight[..., list(tips)].transpose(1, 2).flatten(1)[..., None, None]
    block_weight = weight[..., list(block)].unflatten(-1, (k - 2, k - 2))
    if padding >= 1 and mode == "zeros":
        out = functional.conv2d(x, block_weight, padding=padding - 1)
    else:
        out = functional.conv2d(padded[..., 1:-1, 1:-1], block_weight)
    return (
        out.add_(functional.conv2d(shifted, tip_weight))
        if not out.requires_grad
        else out + functional.conv2d(shifted, tip_weight)
    )
