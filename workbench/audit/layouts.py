"""How arrays become samples: which array of a file, which axis is which, and what was taken for what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from workbench.audit.kinds import ARRAYS, DIMS, KINDS, NOUNS, Clue, clue_of_group, clue_of_network, decide_kind
from workbench.groups import Group, Symmetric, parse_group

GENERIC = ("inputs", "x", "X", "data")
LABEL_NAMES = ("labels", "label", "targets", "y", "Y")
FEATURES = ("features", "feats", "charges")
"""Numbers of each point that stand beside its position."""
_LAYOUTS = {
    "image": "(N, C, H, W)",
    "series": "(N, C, L)",
    "points": "(N, points, d), d at least 2",
    "set": "(N, members, ...)",
}
Values = Tensor | np.ndarray


class Named(NamedTuple):
    """One array of a file: its samples, labels, name, what its name or dims say, and coordinates of each point."""

    values: np.ndarray
    labels: np.ndarray | None
    name: str
    clue: Clue | None
    dim: int = 0


@dataclass(frozen=True)
class Asked:
    """Which samples are wanted, and what is known of their kind before they are seen."""

    samples: int
    seed: int
    kind: str = "auto"
    group: Group | str = "auto"
    model: Any = None

    def taken(self, name: str, shape: tuple[int, ...], clue: Clue | None = None) -> Clue:
        """The kind of samples of this shape: what was asked for, or the first clue."""
        if self.kind != "auto":
            return Clue(self.kind, "it was asked for")
        return decide_kind(name, shape, (clue_of_group(self.group), clue, clue_of_network(self.model, shape)))

    def dim(self, width: int, known: int) -> int:
        """Coordinates of each point of ``width`` numbers."""
        found = None if self.group == "auto" else parse_group(self.group)
        if known == 0 and found is not None and not isinstance(found, Symmetric):
            known = found.dim
        return known or min(width, 3)


def picked(arrays: dict[str, np.ndarray], dims: dict[str, tuple[str, ...]], kind: str, name: str) -> Named:
    """The samples among the arrays of a file.

    Raises:
        ValueError: none of them is known to be the samples.
    """
    lowest = 3 if kind in ("auto", "image", "points") else 2
    usable = [n for n, values in arrays.items() if values.ndim >= lowest and values.dtype.kind in "fiub"]
    said = {n: k for k in (KINDS if kind == "auto" else (kind,)) for n in ARRAYS[k]}
    if kind == "auto":
        usable += [n for n in said if n in arrays and arrays[n].ndim == 2 and said[n] in ("series", "set")]
    found = next((n for n in (*said, *GENERIC) if n in usable), usable[0] if len(usable) == 1 else None)
    if found is None:
        there = ", ".join(f"{n} {values.shape}" for n, values in arrays.items()) or "nothing"
        wanted = _LAYOUTS["image" if kind == "auto" else kind]
        raise ValueError(f"{name} has {there}; expected an array named 'inputs' or 'images' of shape {wanted}.")
    values, clue = arrays[found], Clue(said[found], f"the array is named {found!r}") if found in said else None
    label = next((n for n in LABEL_NAMES if n in arrays and arrays[n].shape == values.shape[:1]), None)
    labels = None if label is None or arrays[label].dtype.kind not in "iu" else arrays[label]
    clue = clue or _clue_of_dims(dims.get(found, ()))
    values = _in_order(values, dims.get(found, ()), kind if clue is None else clue.kind)
    extra = next((n for n in FEATURES if n in arrays and arrays[n].shape[:2] == values.shape[:2]), None)
    if clue is not None and clue.kind == "points" and extra is not None and values.ndim == 3:
        more = arrays[extra] if arrays[extra].ndim == 3 else arrays[extra][..., None]
        return Named(np.concatenate([values, more], -1), labels, f"{found}' and '{extra}", clue, values.shape[-1])
    return Named(values, labels, found, clue)


def _clue_of_dims(dims: tuple[str, ...]) -> Clue | None:
    for kind, names in DIMS.items():
        if any(dim.lower() in names for dim in dims[1:]):
            return Clue(kind, f"its dims are {', '.join(dims)}")
    return None


def _in_order(values: np.ndarray, dims: tuple[str, ...], kind: str) -> np.ndarray:
    """The axis of the places where the measures look for it: the last of a series, the second of points and sets."""
    if kind not in ("series", "points", "set") or values.ndim != 3:
        return values
    place = next((at for at, dim in enumerate(dims) if at and dim.lower() in DIMS[kind]), None)
    return values if place is None else np.moveaxis(values, place, -1 if kind == "series" else 1)


def laid_out(values: Values, taken: Clue, name: str) -> tuple[Values, list[str]]:
    """The samples with the axes that their kind has, and what the reader has to know of it.

    Raises:
        ValueError: a shape that the kind does not have.
    """
    kind, why = taken
    ndim, short = values.ndim, kind in ("image", "series") and values.ndim == _NDIM[kind] - 1
    if not (ndim == _NDIM[kind] or short or (kind == "set" and ndim >= 2)) or (
        kind == "points" and values.shape[-1] < 2
    ):
        raise ValueError(
            f"{name} of shape {tuple(values.shape)} was taken for {NOUNS[kind]}, because {why}; expected "
            f"{_LAYOUTS[kind]}; give another kind or shape."
        )
    if kind == "image":
        if ndim == 4 and values.shape[-1] in (1, 3) and values.shape[1] not in (1, 3):
            values = values.permute(0, 3, 1, 2) if isinstance(values, Tensor) else np.moveaxis(values, -1, 1)
            return values, [f"Read as (N, H, W, C): the channels come last in {name}."]
        grey = f"Read as grey images (N, H, W), because {why}; kind='points', 'series' or 'set' reads it otherwise."
        return (values[:, None], [grey]) if short else (values, [])
    notes = [f"Read as {NOUNS[kind]} {_LAYOUTS[kind]}, because {why}; kind=... reads it otherwise."]
    if short:
        notes.append(f"{name} has no channel axis: one channel was taken.")
    return (values[:, None] if short else values), notes


_NDIM = {"image": 4, "series": 3, "points": 3, "set": 3}
