"""Which symmetry the data themselves hold, as a whole and class by class: what is asked, and what is said of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.nn import functional

from workbench.measure.data_answer import FEWEST as FEWEST_ARC
from workbench.measure.data_features import orbit_features
from workbench.measure.data_rows import TESTED_DEG
from workbench.measure.data_symmetry import FEWEST, table_symmetry

DATA_SIDE = 24
"""Longer side in pixels to which pictures are shrunk when the data themselves are asked."""
MOST_CLASSES = 12
POWER_REPEATS = 5
"""Simulated data sets for each point of a power curve."""


def data_look(
    pictures: Tensor, seed: int, cancel: Any = None, labels: Tensor | None = None, classes: tuple[str, ...] = ()
) -> xr.Dataset:
    """Which rotations and finite symmetries the data hold, asked of small grey copies of the pictures.

    Args:
        pictures: ``(N, C, H, W)``.
        labels: ``(N,)`` whole numbers; every class of at least four pictures is asked by itself as well, of many the
            twelve largest. The attribute ``classes_left_out`` tells how many were not.
        classes: names of the labels.

    Returns:
        As :func:`workbench.measure.data_symmetry` of these copies with these labels, floors and power curves included.

    Raises:
        ValueError: too few pictures.

    >>> ds = data_look(torch.rand(12, 1, 8, 8), 0, labels=torch.arange(12) // 6)
    >>> ds["class"].values.tolist(), "floor" in ds, "power" in ds
    (['all', '0', '1'], True, True)
    """
    if len(pictures) < FEWEST:
        raise ValueError(f"{len(pictures)} images were given; expected at least {FEWEST}.")
    grey = small_grey(pictures)
    numbers, names, left = by_class(labels, classes)
    table = orbit_features(grey, n_angles=24, round_trip_deg=TESTED_DEG, asked=None, cancel=cancel)
    found = table_symmetry(
        table,
        numbers,
        names,
        permutations=None if names else 499,
        resamples=50,
        power_repeats=POWER_REPEATS,
        input_kind="small grey copies",
        seed=seed,
        dtype=grey.dtype,
        cancel=cancel,
    )
    return found.assign_attrs(classes_left_out=left)


def small_grey(pictures: Tensor) -> Tensor:
    """One channel, and at most `DATA_SIDE` pixels on the longer side."""
    grey = pictures.mean(1, keepdim=True)
    if (longest := max(grey.shape[-2:])) > DATA_SIDE:
        small = [max(8, round(side * DATA_SIDE / longest)) for side in grey.shape[-2:]]
        grey = functional.interpolate(grey, size=small, mode="bilinear", antialias=True)
    return grey


def by_class(labels: Tensor | None, classes: tuple[str, ...]) -> tuple[Tensor | None, tuple[str, ...], int]:
    """The labels from 0, -1 for classes that are not asked; the names of those that are, and how many are not.

    >>> by_class(torch.tensor([5, 5, 5, 5, 9, 7, 7, 7, 7, 7]), ())
    (tensor([ 0,  0,  0,  0, -1,  1,  1,  1,  1,  1]), ('5', '7'), 1)
    """
    if labels is None:
        return None, (), 0
    values, counts = labels.unique(return_counts=True)
    large = sorted((at for at in range(len(values)) if counts[at] >= FEWEST), key=lambda at: -int(counts[at]))
    asked = sorted(large[:MOST_CLASSES])
    if len(values) < 2 or not asked:
        return None, (), len(values) if len(values) > 1 else 0
    numbers = torch.full_like(labels, -1)
    for place, at in enumerate(asked):
        numbers[labels == values[at]] = place
    found = [int(values[at]) for at in asked]
    names = [classes[n] if 0 <= n < len(classes) else str(n) for n in found]
    taken = {"all"} | {name for name in names if names.count(name) > 1}
    names = [f"class {n}" if name in taken else name for name, n in zip(names, found, strict=True)]
    return numbers, tuple(names), len(values) - len(asked)


def data_sentence(ds: xr.Dataset) -> str:
    """What the data have, in a sentence."""
    return f"Your data, {int(ds.pictures[0])} pictures compared by their pixels: {ds.verdict.values[0]}."


def data_line(ds: xr.Dataset) -> str:
    """In short: what the classes have, how many pictures would tell the rest, and what resampling alone shows."""
    return " ".join(part for part in (classes_told(ds), power_told(ds), floor_told(ds)) if part)


def classes_told(ds: xr.Dataset) -> str:
    """In how many classes an arc is known, and which finite symmetries fail in how many; empty without classes."""
    count = ds.sizes["class"] - 1
    left = int(ds.attrs.get("classes_left_out", 0))
    if not count:
        few = f"a class of at least {FEWEST} pictures is needed for that; give more with --data-samples"
        return f"By class nothing was asked: {few} (data_samples=... in Python)." if left else ""
    known = int(ds["resolvable"].values[1:].sum())
    told = f"By class, {count} of {count + left}: an arc of rotations can be told for {known}"
    if known < count and int(ds["pictures"].values[1:].min()) < FEWEST_ARC:
        told += f" (each needs at least {FEWEST_ARC} pictures; give more with --data-samples)"
    if "element_rejected" in ds.variables:
        failing = ds["element_rejected"].values[1:].sum(0)
        each = ", ".join(f"{words} {no}" for words, no in zip(ds["question_words"].values, failing, strict=True))
        told += f"; seen to differ are, of {count}, {each}"
    return f"{told}."


def power_told(ds: xr.Dataset) -> str:
    """How many pictures would tell what these could not."""
    needed = []
    if not bool(ds["resolvable"].values[0]) and np.isfinite(ds["arc_needed"].values[0]):
        needed.append(f"the arc within 10 degrees at most about {ds['arc_needed'].values[0]:,.0f}")
    if "element_needed" in ds.variables:
        row = zip(
            ds["question_words"].values, ds["element_needed"].values[0], ds["element_rejected"].values[0], strict=True
        )
        needed += [f"{words} about {count:,.0f}" for words, count, no in row if not no and np.isfinite(count)]
    return f"Pictures that would tell what is not seen here: {', '.join(needed)}." if needed else ""


def floor_told(ds: xr.Dataset) -> str:
    """Whether resampling alone shows: the negative control."""
    if "floor_p" not in ds.variables:
        return ""
    p_value, least = resampling_shows(ds)
    if p_value <= float(ds.attrs["alpha"]):
        return (
            f"Careful: resampling alone already shows, at {least:g}° (p = {p_value:.2g}); read every distance beside "
            "its floor, and believe mirrors and quarter turns, which resample nothing."
        )
    return f"Resampling alone, the negative control, does not show (p = {p_value:.2g} at least)."


def resampling_shows(ds: xr.Dataset, row: int = 0) -> tuple[float, float]:
    """The smallest p-value of the floors, times their number, and the angle in degrees where it stands."""
    floors = ds["floor_p"].values[row]
    at = int(floors.argmin())
    return min(1.0, float(floors[at]) * len(floors)), float(ds["floor_angle_deg"].values[at])
