"""Digits under random linear maps of the plane: turned, sheared and stretched along both axes, in one resampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from workbench.datasets.derived import checked_degrees, checked_factor, named, sampled
from workbench.datasets.digits import FRACTIONS, content_size, digit_pixels, raw_digits
from workbench.datasets.image_set import SPLITS, PixelSet, checked_size

STEEPEST = 2.0  # shear; beyond it hardly a digit can be read


def affine_digits(
    turn_deg: float = 20.0,
    shear: float = 0.2,
    smallest: float = 0.8,
    largest: float = 1.2,
    size: int = 16,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
) -> PixelSet:
    """Every digit moved about the centre by R S D, D first: stretches along x and y, a shear along x, a turn.

    Angle, shear and both factors are even within their bounds, alike for training, validation and test; zeros and
    ones give the digits as they are, from the same originals in the same splits. At factor 1 a digit fills about 3/4
    of the frame.

    Args:
        turn_deg: the angle is from U(-turn_deg, turn_deg); in [0, 180].
        shear: x grows by s y with s from U(-shear, shear); in [0, 2].
        smallest, largest: bounds of either factor, in [0.1, 2].
        size: H = W in pixels.
        fractions: of train, validation and test.
        seed: of the split and of the maps.

    Raises:
        ValueError: a number out of range, or a smallest factor above the largest.

    >>> affine_digits().splits["test"].images.shape
    torch.Size([544, 1, 16, 16])

    The default ranges are those of affNIST (Tieleman 2013) as we remember them, unverified; its digits are also moved
    sideways, which these are not.
    """
    widest = math.radians(checked_degrees(turn_deg, "turn_deg"))
    low, high = checked_factor(smallest, "smallest"), checked_factor(largest, "largest")
    if low > high:
        raise ValueError(f"smallest = {low:g} was given with largest = {high:g}; expected at most that")
    if isinstance(shear, bool) or not isinstance(shear, int | float) or not 0 <= shear <= STEEPEST:
        raise ValueError(f"shear = {shear!r} was given; expected a number from 0 to {STEEPEST:g}; 0.2 is usual")
    side = checked_size(size)
    base, (raw, _) = digit_pixels(8, fractions, seed), raw_digits()
    generator, splits = torch.Generator().manual_seed(seed), {}
    for split in reversed(SPLITS):
        part = base.splits[split]
        share = torch.rand(4, len(part.labels), generator=generator)
        angle, steep = (share[:2] * 2 - 1) * torch.tensor([[widest], [float(shear)]])
        maps = linear_maps(angle, steep, low + (high - low) * share[2:])
        images = mapped(raw[part.origin], maps * (content_size(side) / side), side)
        splits[split] = part._replace(images=images, angle_rad=angle)
    what = (
        f"turned by U(-{turn_deg:g}, {turn_deg:g}) degree, sheared by U(-{shear:g}, {shear:g}), stretched along both "
        f"axes by U({low:g}, {high:g})"
    )
    attrs = {**base.attrs, "transform": f"8x8 to {side}, bilinear in one step; factor 1: {content_size(side)} pixels"}
    source = PixelSet("digits", base.splits, base.classes, attrs)
    return named("digits-affine", source, splits, base.classes, what, turn_deg=float(turn_deg), map_seed=seed)


def linear_maps(angle_rad: Tensor, shear: Tensor, factors: Tensor) -> Tensor:
    """R(angle) [[1, shear], [0, 1]] diag(factors) in coordinates (x, y), y up: ``(N,), (N,), (2, N) -> (N, 2, 2)``.

    >>> linear_maps(torch.zeros(1), torch.full((1,), 0.5), torch.ones(2, 1)).tolist()
    [[[1.0, 0.5], [0.0, 1.0]]]
    """
    cos, sin, none = angle_rad.cos(), angle_rad.sin(), torch.zeros_like(angle_rad)
    turn = torch.stack([cos, -sin, sin, cos], -1).unflatten(-1, (2, 2))
    slant = torch.stack([none + 1, shear, none, none + 1], -1).unflatten(-1, (2, 2))
    return turn @ slant @ torch.diag_embed(factors.T)


def mapped(images: Tensor, maps: Tensor, side: int) -> Tensor:
    """Images (N, C, h, w) after linear maps (N, 2, 2) about the centre, in frames of ``side`` pixels, bilinearly.

    An identity spreads a picture over the whole frame.
    """
    back = torch.linalg.inv(maps) * torch.tensor([[1.0, -1.0], [-1.0, 1.0]])  # rows count downwards
    return sampled(images, torch.cat([back, torch.zeros(len(maps), 2, 1)], -1), side)
