"""Inputs taken a chunk at a time: a tensor, an array or its .npy file as a memory map, or an iterator of batches."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

LENT = "expected a tensor, a numpy array, a .npy file, or an iterable of batches such as a DataLoader"


class Samples:
    """Inputs of which only some are in memory at a time.

    Attributes:
        count: how many there are; ``None`` where an iterator does not tell.
        one: the first sample, ``(1, ...)``.

    Raises:
        TypeError: for anything else than a tensor, array, file or iterable of batches of tensors.
        ValueError: where there is no sample, a file holds Python objects, or a batch has another shape.
    """

    def __init__(self, given: Any) -> None:
        if isinstance(given, str | os.PathLike):
            given = _mapped(Path(given))
        self.batches: Iterator[Tensor] | None = None
        if isinstance(given, Tensor | np.ndarray):
            self.array: Any = given
            self.count: int | None = len(given) if given.ndim else 0
            self.one = _tensor(given[:1]) if self.count else torch.empty(0)
        else:
            self.count = _length(given)
            batches = _batches(given)
            first = next(batches, None)
            self.one = torch.empty(0) if first is None else first[:1]
            self.batches = batches if first is None else chain([first], batches)
        if len(self.one) == 0:
            raise ValueError("no sample was given; expected at least one.")

    def chunks(self, size: int) -> Iterator[Tensor]:
        """The samples in order, so many at a time, the last ones fewer; an iterator is used up."""
        if self.batches is not None:
            yield from _rebatched(self.batches, size)
            return
        for start in range(0, len(self.array), size):
            yield _tensor(self.array[start : start + size])


def digest(images: Tensor) -> str:
    """A fingerprint of dtype, shape and every number."""
    found = hashlib.sha256(f"{images.dtype} {tuple(images.shape)}".encode())
    for image in images:  # one at a time, so that nothing is copied that is large
        found.update(image.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _mapped(path: Path) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; expected a .npy of inputs (N, ...).")
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(
            f"{path.name} could not be mapped into memory ({error}); expected plain numbers that numpy.save wrote."
        ) from error


def _tensor(part: Tensor | np.ndarray) -> Tensor:
    if isinstance(part, Tensor):
        return part
    if part.dtype.kind not in "fiub":
        raise ValueError(f"an array of {part.dtype} was given; expected numbers, such as float32.")
    return torch.from_numpy(np.array(part, dtype=part.dtype.newbyteorder("="), order="C"))  # a copy: maps are read-only


def _length(given: Any) -> int | None:
    if getattr(given, "drop_last", False):
        return None
    inside: Any = getattr(given, "dataset", None)  # of a DataLoader
    return len(inside) if hasattr(inside, "__len__") else None


def _batches(given: Any) -> Iterator[Tensor]:
    if isinstance(given, Mapping) or not isinstance(given, Iterable) or isinstance(given, torch.utils.data.Dataset):
        raise TypeError(f"a {type(given).__name__} was given as images; {LENT}; wrap a torch Dataset in a DataLoader.")
    for item in given:
        part = item[0] if isinstance(item, tuple | list) and len(item) else item  # (images, labels)
        if not isinstance(part, Tensor | np.ndarray) or part.ndim < 2:
            raise TypeError(f"a batch that is a {type(part).__name__} was given; {LENT}.")
        if len(part):
            yield _tensor(part)


def _rebatched(batches: Iterable[Tensor], size: int) -> Iterator[Tensor]:
    held: list[Tensor] = []
    count = 0
    for batch in batches:
        if held and (batch.shape[1:] != held[0].shape[1:] or batch.dtype != held[0].dtype):
            raise ValueError(
                f"a batch of shape {tuple(batch.shape)} and {batch.dtype} followed one of {tuple(held[0].shape)} and "
                f"{held[0].dtype}; expected samples of one shape; crop or pad them."
            )
        while count + len(batch) >= size:
            yield torch.cat([*held, batch[: size - count]])
            held, batch, count = [], batch[size - count :], 0
        if len(batch):
            held.append(batch)
            count += len(batch)
    if held:
        yield torch.cat(held)
