"""A folder of pictures as one batch: each file bounded and checked, sub-folders as classes, those left out told."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from workbench.datasets.paths import checked_path
from workbench.datasets.visitor import MAX_BYTES, from_file

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")
MOST_FILES = 200_000
LARGEST_SIDE = 224
"""Of pictures whose size nobody asked for: what most networks were made for."""


@dataclass(frozen=True, eq=False)
class FolderPictures:
    """Pictures of a folder.

    Attributes:
        images: ``(B, C, size, size)`` in [0, 1]: the centred squares.
        labels: ``(B,)``, the place of its sub-folder among the classes; -1 for a file beside the sub-folders.
        classes: names of the sub-folders that hold pictures, in order; empty where there are none.
        of: how many pictures the folder holds.
        sizes: how many each class holds.
        refused: one sentence for each file that could not be read.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    of: int
    sizes: tuple[int, ...]
    refused: tuple[str, ...]


def read_folder(
    path: Path, size: int | None = None, channels: int | None = None, choose: Callable[[int], Tensor] = torch.arange
) -> FolderPictures:
    """Read pictures of a folder and of its sub-folders, never through a link.

    Args:
        path: the folder.
        size: H = W in pixels; that of the first picture that can be read, at most 224, where not given.
        channels: 1 or 3; those of the first picture where not given.
        choose: which of N files are read, as their places; all where not given.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no picture in it, too many, or none that can be used; the sentence is that of the first.

    >>> read_folder(Path("no such folder"))
    Traceback (most recent call last):
    ...
    FileNotFoundError: there is no folder no such folder; give one that holds pictures.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"there is no folder {path}; give one that holds pictures.")
    files = _files(path)
    if not files:
        raise ValueError(f"{path} holds no pictures; expected files that end in {', '.join(SUFFIXES)}.")
    folders = [name.split("/")[0] for name in files if "/" in name]
    classes = tuple(sorted(set(folders)))
    take = [files[at] for at in choose(len(files)).tolist()]
    images: list[Tensor] = []
    labels: list[int] = []
    refused: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about large pictures, which are refused here with a sentence
        side, bands = _first_size(path, take, size, channels)
        for name in take:
            try:
                images.append(from_file(checked_path(path, name), side, channels=bands))
                labels.append(classes.index(name.split("/")[0]) if "/" in name else -1)
            except (ValueError, OSError) as error:
                refused.append(str(error))
    if not images:
        raise ValueError(refused[0])
    sizes = tuple(folders.count(name) for name in classes)
    return FolderPictures(torch.cat(images), torch.tensor(labels), classes, len(files), sizes, tuple(refused))


def _files(path: Path) -> list[str]:
    """Names of the pictures in a folder and in its sub-folders, never through a link, in order."""
    found = []
    for entry in sorted(path.iterdir()):
        inside = sorted(entry.iterdir()) if entry.is_dir() and not entry.is_symlink() else [entry]
        found += [p.relative_to(path).as_posix() for p in inside if p.suffix.lower() in SUFFIXES and p.is_file()]
        if len(found) > MOST_FILES:
            raise ValueError(f"{path} holds more than {MOST_FILES} pictures; give a folder with some of them.")
    return found


def _first_size(path: Path, names: list[str], size: int | None, channels: int | None) -> tuple[int, int]:
    """The side and the channels of the batch: as asked for, else from the first picture whose header can be read."""
    if size is not None and channels is not None:
        return size, channels
    from PIL import Image

    for name in names:
        try:
            file = checked_path(path, name)
            if file.stat().st_size > MAX_BYTES:
                continue
            with Image.open(file) as picture:  # the header only
                grey = picture.mode in ("1", "L", "I", "I;16", "F")
                return size or min(*picture.size, LARGEST_SIDE), channels or (1 if grey else 3)
        except (ValueError, OSError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
            continue
    return size or LARGEST_SIDE, channels or 3
