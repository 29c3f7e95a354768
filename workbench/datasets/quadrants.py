"""Digits in a quadrant drawn at random, with two labels: one stays when the digit moves, one does not.

After the toy problem of the code released with van der Ouderaa, Immer & van der Wilk 2023 (arXiv 2310.06131), which
places MNIST digits on a larger canvas.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from workbench.datasets.digits import FRACTIONS, raw_digits, split_attrs
from workbench.datasets.image_set import Pixels, PixelSet, checked_seed, checked_size, split_in_groups

QUADRANTS = ("top left", "top right", "bottom left", "bottom right")


def quadrant_digits(size: int = 16, fractions: Sequence[float] = FRACTIONS, seed: int = 0) -> PixelSet:
    """Each digit in one quadrant drawn at random; the label is the digit, so that the quadrant should not matter.

    Args:
        size: H = W in pixels, even; the digit fills a quadrant of half that side, enlarged bilinearly from 8 x 8.
        fractions: of train, validation, test.
        seed: of the split and of the quadrants; each image keeps its quadrant in :func:`quadrant_places`.

    Raises:
        ValueError: an odd size, or as :func:`workbench.datasets.digits.digit_pixels`.

    >>> digits = quadrant_digits()
    >>> digits.splits["test"].images.shape, len(digits.classes)
    (torch.Size([544, 1, 16, 16]), 10)
    """
    return _placed("quadrant-digits", size, fractions, seed)


def quadrant_places(size: int = 16, fractions: Sequence[float] = FRACTIONS, seed: int = 0) -> PixelSet:
    """The same pictures in the same splits, labelled digit + 10 quadrant: where the digit is changes the answer.

    A network that ignores cyclic shifts by half an image names the right one of four quadrants by chance: its accuracy
    is at most a quarter of that on the digits alone, on average.

    >>> quadrant_places().classes[13]
    '3, top right'
    """
    return _placed("quadrant-places", size, fractions, seed)


def _placed(name: str, size: int, fractions: Sequence[float], seed: int) -> PixelSet:
    size, seed = checked_size(size), checked_seed(seed)
    if size % 2:
        raise ValueError(f"{name}: size = {size} was given; expected an even number of pixels; use {size + 1}.")
    raw, labels = raw_digits()
    quadrant = torch.randint(4, (len(labels),), generator=torch.Generator().manual_seed(seed))
    images = in_quadrants(raw, quadrant, size)
    by_place = name == "quadrant-places"
    told = labels + 10 * quadrant if by_place else labels
    whole = Pixels(images, told, torch.arange(len(labels)), torch.zeros(len(labels)))
    parts = split_in_groups(labels, fractions, seed)
    classes = tuple(f"{d}, {place}" for place in QUADRANTS for d in range(10)) if by_place else tuple("0123456789")
    what = f"8x8 enlarged bilinearly to {size // 2}, in one quadrant of {size} drawn at random, zeros elsewhere"
    attrs = {**split_attrs(seed, fractions), "transform": what}
    return PixelSet(name, {s: whole.take(i) for s, i in parts.items()}, classes, attrs)


def in_quadrants(images: Tensor, quadrant: Tensor, size: int) -> Tensor:
    """Images (N, C, H, W) enlarged to half of ``size`` and put into quadrants 0 to 3, row by row; zeros elsewhere.

    >>> in_quadrants(torch.ones(1, 1, 2, 2), torch.tensor([1]), 4)[0, 0, 0].tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    half = size // 2
    inner = images
    if images.shape[-1] != half:
        inner = functional.interpolate(images, size=(half, half), mode="bilinear", align_corners=False)
    canvas = images.new_zeros(len(images), images.shape[1], 2, half, 2, half)
    canvas[torch.arange(len(images)), :, quadrant // 2, :, quadrant % 2] = inner
    return canvas.reshape(len(images), images.shape[1], size, size)
