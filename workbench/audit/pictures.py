"""A folder of pictures as a batch: each one bounded and checked, and those left out named."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor

from workbench.audit.data import AuditData, chosen
from workbench.datasets import checked_path, from_file
from workbench.datasets.visitor import MAX_BYTES

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")
MOST_FILES = 200_000
LARGEST_SIDE = 224
"""Of pictures whose size nobody asked for: what most networks were made for."""


def from_folder(path: Path, samples: int, size: int | None, channels: int | None, seed: int) -> AuditData:
    """Some pictures of a folder as (B, C, size, size) in [0, 1]; sub-folders are classes.

    Raises:
        ValueError: no picture in it can be used; the sentence is that of the first.
    """
    files = _files(path)
    if not files:
        raise ValueError(f"{path} holds no pictures; expected files that end in {', '.join(SUFFIXES)}.")
    take = [files[at] for at in chosen(len(files), samples, seed)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about large pictures, which are refused here with a sentence
        return _batch(path, files, take, _first_size(path, take, size, channels))


def _batch(path: Path, files: list[str], take: list[str], shape: tuple[int, int]) -> AuditData:
    side, bands = shape
    classes = tuple(sorted({name.split("/")[0] for name in files if "/" in name}))
    images: list[Tensor] = []
    labels: list[int] = []
    refused: list[str] = []
    for name in take:
        try:
            images.append(from_file(checked_path(path, name), side, channels=bands))
            labels.append(classes.index(name.split("/")[0]) if "/" in name else -1)
        except (ValueError, OSError) as error:
            refused.append(str(error))
    if not images:
        raise ValueError(refused[0])
    notes = [f"Pictures were cut to their largest centred square and resized to {side} x {side} pixels."]
    if refused:
        notes.append(f"{len(refused)} of {len(take)} pictures were left out; the first because {refused[0]}.")
    known = torch.tensor(labels) if classes and min(labels) >= 0 else None
    kind = f"folder of {len(files)} pictures"
    return AuditData(torch.cat(images), known, path.name, kind, len(files), classes, tuple(notes))


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
