"""The inputs of an audit, found by name, bounded and checked: some samples, their labels, what was left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.audit.importing import RUNS_CODE, import_object, is_import_path, made
from workbench.audit.kinds import Clue, check_kind
from workbench.audit.layouts import LABEL_NAMES, Asked, laid_out, picked
from workbench.datasets.arrays import read_npy, read_npz
from workbench.groups import Group

MOST_PIXELS = 2048 * 2048
"""Of one image: an audit runs the network hundreds of times, and a larger image would never end."""
MOST_SAMPLES = 65_536


@dataclass(frozen=True, eq=False)
class AuditData:
    """Inputs of an audit.

    Attributes:
        inputs: (B, ...) float32, as the network takes them.
        labels: (B,) int64, or None.
        name, kind: where they came from, in words.
        of: how many samples there are, of which B are used.
        classes: names of the labels where the data have them.
        notes: what the reader of a report has to know, one sentence each.
        ready: nothing has to be scaled or standardised any more.
        input: what a sample is, ``"image"``, ``"series"``, ``"points"`` or ``"set"``, as the measures call it.
        dim: of points, how many of the last axis are coordinates; the others are features. 0 for other kinds.
    """

    inputs: Tensor
    labels: Tensor | None
    name: str
    kind: str
    of: int
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ready: bool = False
    input: str = "image"
    dim: int = 0

    @property
    def showing(self) -> str:
        """How many of all samples are used; empty where none is left out."""
        return f"showing {len(self.inputs)} of {self.of} samples" if len(self.inputs) < self.of else ""


def load_data(
    name: str | Path | Tensor | np.ndarray | Any,
    *,
    samples: int = 16,
    size: int | None = None,
    channels: int | None = None,
    labels: str | Path | Sequence[int] | Tensor | None = None,
    split: str = "test",
    seed: int = 0,
    kind: str = "auto",
    group: Group | str = "auto",
    model: Callable | None = None,
) -> AuditData:
    """Some samples of a data set, chosen by the seed, the same ones each time.

    Args:
        name: a folder of pictures (its sub-folders, if any, are the classes), .npy, .npz, NetCDF, a torch Dataset, its
            class or a function that makes it, by import path (**its code is run**), a name of ``workbench list data``,
            or a tensor, array or Dataset.
        samples: at most so many are used.
        size: H = W of pictures read from a folder; the shorter side of the first, at most 224, where not given.
        channels: 1 or 3 for a folder; what the pictures have where not given.
        labels: whole numbers for each sample, or a file of them (.npy, .npz or text, one a line).
        split: of a named data set.
        seed: of the choice of samples.
        kind: ``"image"`` (N, C, H, W), ``"series"`` (N, C, L), ``"points"`` (N, points, d + F) with F features, or
            ``"set"`` (N, members, F). ``"auto"`` asks, in this order, the group, the name of the array or of its dims,
            the network's first layer, and the shape; what was taken, and why, is among the notes.
        group, model: what will be asked of the samples, and of which network, where that is known.

    Raises:
        ValueError, TypeError, FileNotFoundError: one sentence on what was given and what was expected.

    >>> load_data("digits", samples=4).inputs.shape
    torch.Size([4, 1, 16, 16])
    """
    if isinstance(samples, bool) or not isinstance(samples, int) or not 0 < samples <= MOST_SAMPLES:
        raise ValueError(f"samples = {samples!r} was given; expected a whole number from 1 to {MOST_SAMPLES}; use 16.")
    check_kind(kind)
    asked = Asked(samples, seed, kind, group, model)
    if isinstance(name, str | Path):
        found = _by_name(str(name), asked, size, channels, split)
    elif isinstance(name, Tensor | np.ndarray):
        found = from_arrays(name, None, "the array", f"array of shape {tuple(name.shape)}", asked)
    else:
        found = _from_torch(name, type(name).__name__, asked)
    if labels is not None:
        found = replace(found, labels=_own_labels(labels, found, samples, seed))
    return _checked(found)


def _by_name(name: str, asked: Asked, size: int | None, channels: int | None, split: str) -> AuditData:
    if "\0" in name:
        raise ValueError("the name of the data has a NUL character; give a plain name.")
    path = Path(name).expanduser()
    if path.is_dir():
        from workbench.audit.pictures import from_folder

        _images_only(asked, f"the folder {path.name}")
        return from_folder(path, asked.samples, size, channels, asked.seed)
    if path.is_file():
        return _from_file(path, asked)
    if is_import_path(name):
        from_code = _from_torch(import_object(name), name, asked)
        return replace(from_code, notes=(RUNS_CODE, *from_code.notes))
    return _named_set(name, asked, split)


def _images_only(asked: Asked, name: str) -> None:
    if asked.kind not in ("auto", "image"):
        raise ValueError(f"kind = {asked.kind!r} was given for {name}, which holds images; expected 'image' or 'auto'.")


def _named_set(name: str, asked: Asked, split: str) -> AuditData:
    from workbench.datasets import load, names

    if name not in names():
        raise FileNotFoundError(
            f"there is no file or folder {name}; expected a folder of pictures, .npy, .npz, NetCDF, "
            f"package.module:name, or one of {', '.join(names())}."
        )
    _images_only(asked, name)
    images = load(name)
    if split not in images.splits:
        raise ValueError(f"split = {split!r} was given; expected one of {', '.join(images.splits)}.")
    values, labels = images.splits[split]
    take = chosen(len(values), asked.samples, asked.seed)
    kind = f"{split} images of {name}, standardised"
    return AuditData(values[take], labels[take], name, kind, len(values), images.classes, ready=True)


def _from_file(path: Path, asked: Asked) -> AuditData:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return from_arrays(read_npy(path), None, path.name, "numpy array", asked)
    if suffix == ".npz":
        return _from_named(read_npz(path), {}, path.name, "numpy arrays", asked)
    if suffix in (".nc", ".nc4", ".cdf", ".h5"):
        from workbench.measure import open_dataset

        ds = open_dataset(path)
        dims = {str(n): tuple(map(str, ds[n].dims)) for n in ds.variables}
        return _from_named({name: ds[name].values for name in dims}, dims, path.name, "NetCDF", asked)
    raise ValueError(f"{path.name} is of no known kind; expected a folder of pictures, .npy, .npz or NetCDF (.nc).")


def _from_named(
    arrays: dict[str, np.ndarray], dims: dict[str, tuple[str, ...]], name: str, kind: str, asked: Asked
) -> AuditData:
    found = picked(arrays, dims, asked.kind, name)
    return from_arrays(found.values, found.labels, name, f"{kind}, '{found.name}'", asked, found.clue, found.dim)


def from_arrays(
    values: Tensor | np.ndarray,
    labels: np.ndarray | None,
    name: str,
    kind: str,
    asked: Asked,
    clue: Clue | None = None,
    dim: int = 0,
) -> AuditData:
    """Some samples of an array; see :func:`load_data` for the layouts."""
    _refuse_what_is_no_number(values, name)
    if values.ndim < 2 or len(values) == 0:
        raise ValueError(f"{name} has shape {tuple(values.shape)}; expected at least one sample, (N, C, H, W).")
    taken = asked.taken(name, tuple(values.shape), clue)
    values, notes = laid_out(values, taken, name)
    _refuse_the_immense(values.shape, taken.kind)  # before any of it is copied
    take = chosen(len(values), asked.samples, asked.seed)
    part = values[take] if isinstance(values, Tensor) else torch.from_numpy(np.array(values[take.numpy()]))
    if not part.is_floating_point():
        if taken.kind != "image" or (part.dtype not in (torch.uint8, torch.bool) and part.max() > 255):
            notes.append(f"The whole numbers of {name} were used as they are.")
        else:
            notes.append(f"The whole numbers of {name} were divided by 255.")
            part = part.float() / (1 if part.dtype == torch.bool else 255)
    known = None if labels is None else torch.from_numpy(np.asarray(labels)[take.numpy()].astype(np.int64))
    found = AuditData(part.float(), known, name, kind, len(values), notes=tuple(notes), input=taken.kind)
    return _with_dim(found, asked, dim)


def _refuse_what_is_no_number(values: Tensor | np.ndarray, name: str) -> None:
    if isinstance(values, Tensor) and values.is_meta:
        raise ValueError(
            f"{name} is on the device 'meta', which holds shapes without numbers; expected numbers; load it on the CPU."
        )
    if values.is_complex() if isinstance(values, Tensor) else values.dtype.kind == "c":
        raise ValueError(
            f"{name} holds complex numbers ({values.dtype}); expected real ones; give their real part, their absolute "
            "value, or both parts as channels."
        )
    if isinstance(values, np.ndarray) and values.dtype.kind not in "fiub":
        raise ValueError(f"{name} holds {values.dtype}; expected numbers, such as float32; convert it first.")


def _with_dim(found: AuditData, asked: Asked, known: int = 0) -> AuditData:
    """Of points, how many numbers of each are its coordinates."""
    if found.input != "points":
        return found
    width = found.inputs.shape[-1]
    dim = asked.dim(width, known)
    told = f"The first {dim} of the {width} numbers of a point are its coordinates, the others features that no motion "
    notes = (*found.notes, f"{told}changes.") if width > dim else found.notes
    return replace(found, dim=dim, notes=notes)


def _from_torch(value: Any, name: str, asked: Asked) -> AuditData:
    """Some samples of a map-style torch Dataset, or of an iterable's beginning."""
    value = made(value, name)
    if isinstance(value, Tensor | np.ndarray):
        return from_arrays(value, None, name, "array", asked)
    if not hasattr(value, "__getitem__") or not hasattr(value, "__len__"):
        raise TypeError(f"{name} is a {type(value).__name__}; expected a torch Dataset with a length, or an array.")
    if len(value) == 0:
        raise ValueError(f"{name} is empty; expected at least one sample.")
    take = chosen(len(value), asked.samples, asked.seed)
    items = [value[int(at)] for at in take]
    pairs = [item if isinstance(item, tuple | list) else (item,) for item in items]
    if not all(len(pair) and isinstance(pair[0], Tensor | np.ndarray) for pair in pairs):
        raise TypeError(
            f"{name} gives {type(pairs[0][0]).__name__}; expected tensors; add a transform that makes them."
        )
    inputs = [torch.as_tensor(pair[0]) for pair in pairs]
    if len({tuple(sample.shape) for sample in inputs}) > 1:
        raise ValueError(f"the samples of {name} differ in shape; expected one shape; add a transform that crops them.")
    numbers = [pair[1] for pair in pairs if len(pair) > 1 and _is_number(pair[1])]
    labels = torch.tensor([int(n) for n in numbers]) if len(numbers) == len(pairs) else None
    stacked = torch.stack(inputs)
    _refuse_what_is_no_number(stacked, name)
    taken = asked.taken(name, tuple(stacked.shape))
    as_given = taken.kind == "image" and stacked.ndim == 4
    laid, notes = (stacked, []) if as_given else laid_out(stacked, taken, name)
    assert isinstance(laid, Tensor)  # as it was given
    scaled = laid.float() / 255 if laid.dtype == torch.uint8 and taken.kind == "image" else laid.float()
    kind = f"torch Dataset {type(value).__name__}"
    found = AuditData(scaled, labels, name, kind, len(value), notes=tuple(notes), ready=True, input=taken.kind)
    return _with_dim(found, asked)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | np.integer) or (isinstance(value, Tensor) and value.numel() == 1)


def _own_labels(given: Any, found: AuditData, samples: int, seed: int) -> Tensor:
    values = _label_file(Path(given)) if isinstance(given, str | Path) else torch.as_tensor(given)
    if values.is_floating_point() or values.ndim != 1 or len(values) != found.of:
        raise ValueError(
            f"labels of shape {tuple(values.shape)} and {values.dtype} were given for {found.of} samples; expected one "
            "whole number a sample."
        )
    return values[chosen(found.of, samples, seed)].long()


def _label_file(path: Path) -> Tensor:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; expected labels, .npy, .npz or text with one number a line.")
    if path.suffix == ".npy":
        return torch.from_numpy(np.array(read_npy(path)))
    if path.suffix == ".npz":
        arrays = read_npz(path)
        name = next((n for n in LABEL_NAMES if n in arrays), next(iter(arrays)))
        return torch.from_numpy(np.array(arrays[name]))
    if path.stat().st_size > 16 * MOST_SAMPLES:
        raise ValueError(f"{path.name} is too long for labels; expected one whole number a line.")
    try:
        return torch.tensor([int(line) for line in path.read_text("utf-8").split()])
    except ValueError as error:
        raise ValueError(f"{path.name} is no list of labels; expected one whole number a line.") from error


def chosen(of: int, samples: int, seed: int) -> Tensor:
    """Which samples are used: all, or a choice that the seed fixes, in order.

    >>> chosen(4, 8, 0).tolist(), len(chosen(100, 8, 0))
    ([0, 1, 2, 3], 8)
    """
    if of <= samples:
        return torch.arange(of)
    return torch.randperm(of, generator=torch.Generator().manual_seed(seed))[:samples].sort().values


def _refuse_the_immense(shape: Sequence[int], kind: str) -> None:
    if kind == "image" and shape[-1] * shape[-2] > MOST_PIXELS:
        raise ValueError(
            f"images of {shape[-2]} x {shape[-1]} pixels were given; expected at most {MOST_PIXELS} "
            "pixels (2048 x 2048); crop or shrink them."
        )


def _checked(found: AuditData) -> AuditData:
    _refuse_the_immense(found.inputs.shape, found.input)
    if not torch.isfinite(found.inputs).all():
        raise ValueError(f"{found.name} has NaN or infinite values; expected finite ones; clean the data first.")
    return found
