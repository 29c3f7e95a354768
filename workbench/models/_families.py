"""Ways to the right amount of symmetry, side by side: the same data and recipe, and but for two the same backbone.

A comparison, not a paper. Three views of it: every training image and equally many updates on three data sets; on the
first of them also fewer images and still as many updates, so that nothing but the data changes; and as many updates as
cost what the plain network's cost, so that nothing but the training time is equal.

The recipe is one for all. Rate and batch were chosen among four, two of them tried on all four networks of a pilot, on
the validation accuracy of a seed outside the study; so few updates leave networks of generated kernels (partial above
all) far from what they reach in longer training. It compares the families as trained so, not at their best. The claims
were written before the results.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.models.method import Claim, Experiment, Method

if TYPE_CHECKING:
    import xarray as xr

IMAGES, BATCH = 1001, 64  # of the training split of each data set, and of one update
RECIPE: dict[str, Any] = {
    "epochs": 15, "batch_size": BATCH, "lr": 1e-2, "schedule": "one-cycle", "lr_probs": 2e-2, "error_points": 0,
    "snapshots": 0, "device": "cpu",
}  # fmt: skip
STEPS = -(-IMAGES // BATCH)
UPDATES = RECIPE["epochs"] * STEPS

MODELS: dict[str, dict[str, Any]] = {
    "plain": {"name": "plain_cnn"},
    "augmented": {"name": "learned_augmentation_cnn", "start": math.pi, "learned": False, "copies": 1},
    "learned augmentation": {"name": "learned_augmentation_cnn", "copies": 4, "training_copies": 1},
    "test-time averaging": {"name": "symmetrised_cnn", "way": "averaged"},
    "canonical pose": {"name": "symmetrised_cnn", "way": "canonical"},
    "soft penalty": {"name": "soft_cnn", "strength": 0.5},
    "residual pathway": {"name": "residual_cnn", "prior_free": 0.1},
    "relaxed group": {"name": "relaxed_group_cnn"},
    "strict (same backbone)": {"name": "strict_cnn"},
    "partial": {"name": "partial_gcnn", "preset": "demo", "n": 4},
    "strict": {"name": "partial_gcnn", "preset": "demo_strict", "group": "C(4)", "n": 4},
}
"""Family -> network. Partial and strict are networks of generated kernels, with a third of the parameters."""

LEANING = ("soft penalty", "residual pathway", "relaxed group", "partial", "learned augmentation")
"""Families that may give up symmetry as the data ask for it."""
EXACT = ("test-time averaging", "canonical pose", "strict (same backbone)", "strict")
"""Families that are exactly invariant to quarter turns by construction."""

PRICES = {
    "augmented": 1.2, "learned augmentation": 1.6, "canonical pose": 1.1, "soft penalty": 1.4, "residual pathway": 1.3,
    "relaxed group": 1.3, "strict (same backbone)": 1.15, "partial": 3.2, "strict": 2.7,
}  # fmt: skip
"""What one update costs, in updates of the plain network: measured process time, 1 where nothing is said."""

DATA = {"rotated": "digits-rotated", "upright": "digits-upright", "interval": "digits-interval"}
"""Where the symmetry is present, absent, and another one for each class."""
SHARES = {"half": 2, "quarter": 4, "eighth": 8}  # of the training images, each named so often
EQUAL_SAMPLES, EQUAL_COMPUTE = VIEWS = ("equal samples", "equal compute")


def experiment_name(data: str, family: str, images: str = "all") -> str:
    """How an experiment is called: data of :data:`DATA`, family of :data:`MODELS`, "all", a share, or "compute".

    >>> experiment_name("rotated", "strict (same backbone)", "half")
    'rotated_strict_same_backbone_half'
    """
    plain = "".join(letter if letter.isalnum() else " " for letter in family)
    return "_".join((data, *plain.split(), images))


def _experiment(data: str, family: str, images: str) -> Experiment:
    source: dict[str, Any] = {"name": DATA[data]}
    training = dict(RECIPE)
    if images in SHARES:
        source |= {"train_share": 1 / SHARES[images], "repeats": SHARES[images]}
    if images == "compute":
        updates = round(UPDATES / PRICES.get(family, 1.0))
        training |= {"epochs": math.ceil(updates / STEPS), "max_steps": updates}
    return Experiment(experiment_name(data, family, images), MODELS[family], source, training, {"epochs": 1})


GENERATED = ("partial", "strict")
"""Families of generated kernels: three times the price, so that they are left out where it says so."""
ORDINARY = tuple(family for family in MODELS if family not in GENERATED)
PARTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("rotated", "all", tuple(MODELS)), ("upright", "all", tuple(MODELS)), ("interval", "all", tuple(MODELS)),
    ("rotated", "compute", tuple(MODELS)), ("rotated", "half", ORDINARY), ("rotated", "quarter", ORDINARY),
    ("rotated", "eighth", ORDINARY),
)  # fmt: skip
"""(data, images, families) of the study, in the order of its training."""


def _places() -> Iterator[tuple[str, str, str]]:
    return ((data, family, images) for data, images, families in PARTS for family in families)


PLACES: dict[str, tuple[str, str]] = {
    experiment_name(data, family, images): (family, EQUAL_COMPUTE if images == "compute" else EQUAL_SAMPLES)
    for data, family, images in _places()
}
"""Experiment -> its family and its view."""


def _percent(d: xr.Dataset, data: str, family: str, images: str = "all") -> np.ndarray:
    return 100 * d["test_accuracy"].sel(experiment=experiment_name(data, family, images)).values


def _gap(d: xr.Dataset, data: str, better: str, worse: str, images: str = "all") -> np.ndarray:
    return _percent(d, data, better, images) - _percent(d, data, worse, images)


def chosen(d: xr.Dataset, data: str, images: str = "all", among: Iterable[str] = MODELS) -> str:
    """The family of the highest mean validation accuracy: what somebody without the test images would take."""
    names = {experiment_name(data, family, images): family for family in among}
    return names[str(d["validation_accuracy"].sel(experiment=list(names)).mean("seed").idxmax().values)]


def _beside_chosen(d: xr.Dataset, other: str) -> np.ndarray:
    return _gap(d, "interval", chosen(d, "interval", among=LEANING), other)


def _lattice_error(d: xr.Dataset) -> np.ndarray:
    known = d.set_coords("lattice")
    turns = known["turn_error"].isel(angle_deg=known.lattice.values)
    exact = [name for name, (family, _) in PLACES.items() if family in EXACT]
    return (
        turns.sel(experiment=[name for name in exact if name in known.experiment.values])
        .max(("experiment", "angle_deg"))
        .values
    )


def _needed(d: xr.Dataset, family: str) -> np.ndarray:
    """Share of the training images that reach the plain network's accuracy with all of them; 1 where all do not."""
    found = d["samples_needed"].sel(experiment=experiment_name("rotated", family)).values
    return np.where(np.isnan(found), 1.0, found / IMAGES)


def _behind_the_winner(d: xr.Dataset) -> np.ndarray:
    """At equal compute: the family that validation prefers there, less the one that it preferred at equal samples."""
    return _gap(d, "rotated", chosen(d, "rotated", "compute"), chosen(d, "rotated"), "compute")


_HERE = "measured here; five seeds, one split"
_STRICT = "strict (same backbone)"

METHOD = Method(
    name="families",
    title="The right amount of symmetry",
    authors="the workbench",
    year=2026,
    arxiv="",
    summary="A comparison, not a paper: eleven ways to more or less of the quarter turns, on digits that are turned, "
    "upright, or turned as their class allows; accuracy, error, cost, time and data needed.",
    notebook="06_the_right_amount.ipynb",
    experiments=tuple(_experiment(*place) for place in _places()),
    claims=(
        Claim(
            "rotated-strict-plain", "Where the symmetry is present, a strict network beats the plain one.", _HERE, None,
            "points, same backbone", lambda d: _gap(d, "rotated", _STRICT, "plain"), (2.0, 10.0),
            lambda d: bool((_gap(d, "rotated", _STRICT, "plain") > 0).all()),
        ),
        Claim(
            "upright-plain-strict", "Where it is absent, the plain network beats a strict one.", _HERE, None,
            "points, same backbone", lambda d: _gap(d, "upright", "plain", _STRICT), (0.5, 4.0),
            lambda d: bool((_gap(d, "upright", "plain", _STRICT) > 0).all()),
        ),
        Claim(
            "upright-partial-strict", "Where it is absent, a partial network beats a strict one.", _HERE, None,
            "points, generated kernels", lambda d: _gap(d, "upright", "partial", "strict"), (-40.0, 0.0),
            lambda d: bool((_gap(d, "upright", "partial", "strict") > 0).all()),
        ),
        Claim(
            "interval-leaning-plain", "Where classes differ, a family that may give up symmetry beats the plain one.",
            f"{_HERE}; the family that validation prefers", None, "points",
            lambda d: _beside_chosen(d, "plain"), (1.0, 8.0), lambda d: bool((_beside_chosen(d, "plain") > 0).all()),
        ),
        Claim(
            "interval-leaning-strict", "Where classes differ, it beats the strict one, too.",
            f"{_HERE}; the family that validation prefers", None, "points, same backbone",
            lambda d: _beside_chosen(d, _STRICT), (-2.0, 3.0), lambda d: bool((_beside_chosen(d, _STRICT) > 0).all()),
        ),
        Claim(
            "exact", "Families that are exact by construction stay so, whatever they were trained on.",
            "exact by invariance; largest error at quarter turns", 0.0, "relative change of the logits", _lattice_error,
            (0.0, 2e-6), lambda d: bool((_lattice_error(d) <= 2e-6).all()),
        ),
        Claim(
            "needed-strict", "A strict network needs half of the images for what the plain one reaches with all.",
            _HERE, None, "share of the images", lambda d: _needed(d, _STRICT), (0.2, 0.6),
            lambda d: bool((_needed(d, _STRICT) <= 0.5).all()),
        ),
        Claim(
            "needed-canonical", "So does the plain network behind a canonical pose.", _HERE, None,
            "share of the images", lambda d: _needed(d, "canonical pose"), (0.3, 0.8),
            lambda d: bool((_needed(d, "canonical pose") <= 0.5).all()),
        ),
        Claim(
            "compute-order", "At equal compute another family comes first than at equal samples.", _HERE, None,
            "points of the new first over the old", _behind_the_winner, (-1.0, 5.0),
            lambda d: bool(_behind_the_winner(d).mean() > 0),
        ),
        Claim(
            "compute-generated", "At equal compute a strict network of plain filters beats one of generated filters.",
            _HERE, None, "points", lambda d: _gap(d, "rotated", _STRICT, "strict", "compute"), (15.0, 60.0),
            lambda d: bool((_gap(d, "rotated", _STRICT, "strict", "compute") > 0).all()),
        ),
    ),
    studies={"families": "workbench.training.families:family_measures"},
)  # fmt: skip
