"""The pictures an explorer turns: embedded digits and letters by name, or the reader's own, checked."""

from __future__ import annotations

import os
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from workbench.actions import smooth
from workbench.datasets import ImageSet, from_file, load
from workbench.datasets.visitor import MAX_PIXELS

PICTURES = {"a digit 6": "6", "a digit 2": "2", "a digit 4": "4", "a letter F": "F", "a letter R": "R"}
"""Label of the menu -> the character; digits are handwritten, letters come from a font."""


def picture(character: str, size: int = 16) -> Tensor:
    """One picture `(1, 1, size, size)`, float32 in [0, 1]; do not change it, it is shared."""
    return pictures(character, size, 1)[0]


@lru_cache(maxsize=64)
def pictures(character: str, size: int, count: int) -> tuple[Tensor, int]:
    """The first `count` test pictures of that character, `(count, 1, size, size)` in [0, 1], and how many there are.

    The pictures are shared; do not change them.
    """
    chosen = load("digits", size=size) if character.isdigit() else load("glyphs", size=size, characters=character)
    images, labels = chosen.splits["test"]
    named = images[labels == chosen.classes.index(character)]
    return chosen.pixels(named[:count]).clamp(0, 1), len(named)


def seen(
    character: str, given: object, channels: int, size: int, data: ImageSet, count: int, sigma_px: float
) -> tuple[Tensor, str]:
    """Pictures as a network takes them, `(B, channels, size, size)`: blurred, and standardised where channels fit.

    Args:
        character: of the stored pictures; of these the first `count`.
        given: the reader's own picture instead, as `own_picture` takes it, or None.
        data: what the network was trained on.
        sigma_px: width of the blur.

    Returns:
        The pictures, and of how many they are the first ones, in words; empty for the reader's own.
    """
    if given is None:
        chosen, of = pictures(character, size, count)
        shown = f"of {of} test pictures"
    else:
        chosen, shown = torch.from_numpy(own_picture(given, size))[None, None], ""
    chosen = chosen.expand(-1, channels, -1, -1)
    if channels == data.image_shape[0]:
        chosen = data.standardise(chosen)
    return smooth(chosen, sigma_px), shown


def own_picture(given: object, size: int = 16) -> np.ndarray:
    """The reader's picture as float32 `(size, size)` in [0, 1]: the centred square, shrunk by area means.

    A picture on a light ground, such as a pen on paper, is inverted: the digits are light on dark.

    Args:
        given: an array `(H, W)` or `(H, W, 3 or 4)`, numpy or torch, 0..255 for integers and 0..1 for floats; or the
            bytes or the path of a PNG, JPEG, GIF, BMP or WebP.

    Raises:
        TypeError: something that is no picture.
        ValueError: another shape, values that are not finite, or too many pixels.

    >>> own_picture(np.full((40, 60), 255, dtype=np.uint8)).shape
    (16, 16)
    """
    if isinstance(given, bytes | bytearray | str | os.PathLike):
        return _dark_ground(from_file(bytes(given) if isinstance(given, bytearray) else given, size)[0, 0].numpy())
    if not isinstance(given, np.ndarray | Tensor):
        raise TypeError(f"a {type(given).__name__} was given; expected an array (H, W) or the bytes of a picture.")
    array = np.asarray(given.detach().cpu() if isinstance(given, Tensor) else given)
    grey = _grey(array)
    side = min(grey.shape)
    top, left = (grey.shape[0] - side) // 2, (grey.shape[1] - side) // 2
    square = torch.from_numpy(grey[top : top + side, left : left + side].copy())[None, None]
    fitted = functional.interpolate(square, size=(size, size), mode="area")[0, 0].clamp(0, 1).numpy()
    return _dark_ground(fitted)


def _dark_ground(picture: np.ndarray) -> np.ndarray:
    """Invert a picture whose frame is light: what is turned in from outside is dark, as is the ground of each digit."""
    frame = np.concatenate([picture[0], picture[-1], picture[1:-1, 0], picture[1:-1, -1]])
    return 1 - picture if float(frame.mean()) > 0.5 else picture


def _grey(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "buif":
        raise TypeError(f"an array of {array.dtype} was given; expected whole numbers 0..255 or floats 0..1.")
    if array.ndim == 4 and array.shape[:2] == (1, 1):
        array = array[0, 0]
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] > 4:
        array = np.moveaxis(array, 0, -1)
    colours = array.ndim == 3 and array.shape[2] in (1, 3, 4)
    if not (array.ndim == 2 or colours) or min(array.shape[:2]) < 2 or array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise ValueError(
            f"an array of shape {array.shape} was given; expected (H, W) or (H, W, 3) with 2 to {MAX_PIXELS} pixels; "
            "cut or shrink it."
        )
    top = 255.0 if array.dtype.kind in "ui" else 1.0
    values = array.astype(np.float32) / top
    if not np.isfinite(values).all():
        raise ValueError("an array with NaN or infinite values was given; expected finite ones; use numpy.nan_to_num.")
    if values.min() < -1e-3 or values.max() > 1 + 1e-3:
        raise ValueError(
            f"values from {values.min():.3g} to {values.max():.3g} were given; expected 0..1; divide by the largest."
        )
    return values[..., :3].mean(-1) if values.ndim == 3 else values
