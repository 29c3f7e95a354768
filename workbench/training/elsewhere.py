"""The comparison on other pictures: its measures, and each experiment by its family and its data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.models._families_elsewhere import ELSEWHERE, PLACES
from workbench.models.method import Experiment

if TYPE_CHECKING:
    import xarray as xr


def elsewhere_measures(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """What :func:`workbench.training.families.family_measures` finds of runs of `ELSEWHERE`.

    Args:
        runs: (experiment, seed) -> the folder of a finished run.
        fast: fewer pictures, angles and rounds.

    Returns:
        The same variables; `family` is the family, and `data_set` says "rendered-rotated", "rendered-upright" or
        "rendered-interval", so that results can stand beside those of the study.
    """
    from workbench.measure import labelled
    from workbench.training.families import family_measures

    found = family_measures(runs, fast)
    placed = [PLACES[str(name)] for name in found["experiment"].values]
    return found.assign_coords(
        family=labelled("experiment", [family for _, family in placed], "family"),
        data_set=labelled("experiment", [f"rendered-{data}" for data, _ in placed], "data set"),
    )


def elsewhere_experiment(data: str, family: str) -> Experiment:
    """The experiment of a family on rendered digits that are "rotated", "upright" or turned by class ("interval").

    Raises:
        ValueError: there is none.

    >>> elsewhere_experiment("upright", "plain").data["source"]
    'glyphs'
    """
    for name, place in PLACES.items():
        if place == (data, family):
            return ELSEWHERE.experiment(name)
    known = ", ".join(dict.fromkeys(family for _, family in PLACES.values()))
    raise ValueError(
        f"{family!r} on {data!r} was given; expected one of {known}, on 'rotated', 'upright' or 'interval'."
    )
