"""A reader's own pictures as a data set: an array, or a folder whose subfolders are the classes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from workbench.datasets.folder import read_folder

LARGEST = 32
"""Pictures are shrunk to this side, in pixels."""
FEWEST, MOST = 4, 2000


@dataclass(frozen=True, eq=False)
class OwnImages:
    """Pictures `(N, C, H, W)` in float32, the class of each, and the names of the classes.

    Of a large folder they are a part: it holds `of`, and `sizes` in each class.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    of: int
    sizes: tuple[int, ...]

    def part(self, class_name: str | None) -> tuple[Tensor, int]:
        """The pictures of one class, or all, and how many there are."""
        if class_name is None:
            return self.images, self.of
        at = self.classes.index(class_name)
        return self.images[self.labels == at], self.sizes[at]


def own_images(given: object, labels: Any = None, size: int = 32) -> OwnImages:
    """Pictures as the explorer of data takes them.

    Args:
        given: an array `(N, H, W)` or `(N, C, H, W)`, numpy or torch, or a folder of PNG, JPEG, GIF, BMP or WebP files;
            its subfolders are the classes where it has any; of more than 2,000 files so many are chosen.
        labels: whole numbers, one for each picture of an array.
        size: side in pixels to which files are brought.

    Raises:
        TypeError: something else.
        FileNotFoundError: no such folder.
        ValueError: another shape, values that are not finite, too many or too few pictures, or labels that do not fit.
    """
    if isinstance(given, str | os.PathLike):
        return _folder(Path(given).expanduser(), size)
    if not isinstance(given, np.ndarray | Tensor):
        raise TypeError(f"a {type(given).__name__} was given; expected an array (N, H, W) or the name of a folder.")
    array = torch.as_tensor(given).detach().cpu()
    array = array.float() / 255 if not array.is_floating_point() else array.float()
    array = array.unsqueeze(1) if array.ndim == 3 else array
    if array.ndim != 4 or array.shape[1] not in (1, 3) or min(array.shape[2:]) < 4 or not FEWEST <= len(array) <= MOST:
        raise ValueError(
            f"an array of shape {tuple(given.shape)} was given; expected (N, H, W) or (N, C, H, W) with {FEWEST} to "
            f"{MOST} pictures of 1 or 3 channels; take a part, or turn the axes."
        )
    if not torch.isfinite(array).all():
        raise ValueError("pictures with NaN or infinite values were given; expected finite ones; use nan_to_num.")
    chosen = torch.zeros(len(array)).long() if labels is None else torch.as_tensor(labels)
    if chosen.shape != (len(array),) or chosen.is_floating_point() or int(chosen.min()) < 0:
        raise ValueError(
            f"labels of shape {tuple(chosen.shape)} were given for {len(array)} pictures; expected one whole number "
            "from 0 for each."
        )
    names = tuple(map(str, range(int(chosen.max()) + 1))) if labels is not None else ("yours",)
    return OwnImages(_square(array), chosen.long(), names, len(array), tuple(chosen.long().bincount().tolist()))


def _square(images: Tensor) -> Tensor:
    """The centred square, shrunk where it is large."""
    side = min(images.shape[2:])
    top, left = (images.shape[2] - side) // 2, (images.shape[3] - side) // 2
    square = images[:, :, top : top + side, left : left + side]
    return square if side <= LARGEST else functional.interpolate(square, size=(LARGEST, LARGEST), mode="area")


def _folder(folder: Path, size: int) -> OwnImages:
    found = read_folder(folder, size, 1, _some)
    if len(found.images) < FEWEST:
        told = f"; the first left out because {found.refused[0]}" if found.refused else ""
        raise ValueError(f"{folder} holds {len(found.images)} pictures; expected at least {FEWEST}{told}.")
    if not found.classes:
        return OwnImages(found.images, torch.zeros_like(found.labels), (folder.name,), found.of, (found.of,))
    return OwnImages(found.images, found.labels, found.classes, found.of, found.sizes)


def _some(count: int) -> Tensor:
    """All pictures, or as many as are allowed, the same ones each time."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:MOST].sort().values
