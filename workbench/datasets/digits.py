"""The handwritten digits that scikit-learn ships: real data without a download."""

import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from workbench.datasets.image_set import Pixels, PixelSet, checked_seed, checked_size, split_in_groups

FRACTIONS = (0.56, 0.14, 0.30)
_SIDE = 8
_LEVELS = 16.0


def digit_pixels(size: int = 16, fractions: Sequence[float] = FRACTIONS, seed: int = 0) -> PixelSet:
    """The 1,797 handwritten digits of 8x8 pixels, enlarged, padded and split by image.

    Each image is enlarged bilinearly to about 3/4 of ``size`` (8 -> 12 for 16) and padded with zeros, so that it can
    be turned by any angle without losing its corners. The split is stratified by digit and made before anything else.
    Which of the writers wrote an image is not recorded in this version of the data, so the split is by image.

    Args:
        size: H = W in pixels.
        fractions: of train, validation, test; the default cuts a validation part out of a 70/30 split.
        seed: of the split.

    Source: Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak 1998, UCI (CC BY 4.0).

    >>> digits = digit_pixels()
    >>> {name: len(part.labels) for name, part in digits.splits.items()}
    {'train': 1001, 'validation': 252, 'test': 544}
    """
    size, seed = checked_size(size), checked_seed(seed)
    raw, labels = raw_digits()
    images = enlarged(raw, size)
    whole = Pixels(images, labels, torch.arange(len(labels)), torch.zeros(len(labels)))
    parts = split_in_groups(labels, fractions, seed)
    attrs = {
        **split_attrs(seed, fractions),
        "transform": f"8x8 enlarged bilinearly to {content_size(size)}, zero padding to {size}",
    }
    return PixelSet("digits", {s: whole.take(i) for s, i in parts.items()}, tuple("0123456789"), attrs)


def raw_digits() -> tuple[Tensor, Tensor]:
    """All 1,797 images (N, 1, 8, 8) in [0, 1] as they are stored, and their labels (N,).

    >>> raw_digits()[0].shape
    torch.Size([1797, 1, 8, 8])
    """
    table = torch.from_numpy(_table().copy())
    return table[:, :-1].reshape(-1, 1, _SIDE, _SIDE) / _LEVELS, table[:, -1].long()


def split_attrs(seed: int, fractions: Sequence[float]) -> dict[str, Any]:
    """Where the digits come from and how they were split."""
    return {
        "source": "scikit-learn's copy of the UCI Optical Recognition of Handwritten Digits (test part, 1,797 images)",
        "licence": "CC BY 4.0",
        "seed": seed,
        "fractions": list(fractions),
    }


def content_size(size: int) -> int:
    """Side of the enlarged digit inside an image of side ``size``: near 3/4, same parity, so that it is centred."""
    return size - 2 * round(size / 8)


def enlarged(images: Tensor, size: int) -> Tensor:
    """Enlarge images (N, C, H, W) bilinearly and pad them with zeros to (N, C, size, size)."""
    content = content_size(size)
    inner = functional.interpolate(images, size=(content, content), mode="bilinear", align_corners=False)
    return functional.pad(inner, [(size - content) // 2] * 4)


@lru_cache(maxsize=1)
def _table() -> np.ndarray:
    """(1797, 65) float32, read-only: 64 pixels in 0..16 and the label.

    The file is read directly because importing scikit-learn for it would cost more than importing torch.
    """
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the digits come with scikit-learn, which is missing; run: pip install scikit-learn")
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        table = np.loadtxt(path, delimiter=",", dtype=np.float32)
    else:
        from sklearn.datasets import load_digits

        bunch = load_digits()
        table = np.column_stack([bunch.data, bunch.target]).astype(np.float32)
    table.flags.writeable = False
    return table
