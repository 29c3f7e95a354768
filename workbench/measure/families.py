"""Families of networks on one task, read from a stored study: what each costs, how sure that is, what data it needs.

Everything here is arithmetic on the results that `workbench.training.reproduce` stores for several families: intervals
over seeds, data needed by interpolation, and an order. Nothing is trained and nothing is measured anew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from workbench.measure.dataset import labelled
from workbench.measure.interval import student
from workbench.measure.provenance import provenance

SAMPLES, COMPUTE = "equal samples", "equal compute"
ROUNDING = 1e-5
"""A relative error at quarter turns below this is rounding in float32: exact by construction."""
NEEDED = ("family", "data_set", "samples", "view", "updates", "config")


class Quantity(NamedTuple):
    """One axis: its words, its unit, and whether it has a value for every seed."""

    words: str
    units: str
    seeded: bool


QUANTITIES = {
    "accuracy": Quantity("accuracy on unseen pictures", "percent", True),
    "error": Quantity("change of the answer, mean over the circle", "1", True),
    "quarter_error": Quantity("change of the answer at quarter turns", "1", True),
    "parameters": Quantity("trainable parameters", "1", True),
    "multiply_adds": Quantity("multiply-adds for one picture", "1", False),
    "training_s": Quantity("process time of the whole training", "s", False),
    "evaluation_ms": Quantity("process time of one answer", "ms", False),
    "data_needed": Quantity("training pictures needed", "1", True),
}
TIMES = ("training_s", "evaluation_ms")  # over rounds instead of seeds


def family_points(
    results: xr.Dataset, data_set: str, view: str = SAMPLES, samples: int | None = None, target: float = 0.9,
    accuracy: str = "test_accuracy",
) -> xr.Dataset:  # fmt: skip
    r"""Every family of a study at one data set, view and number of training pictures, in every quantity.

    Intervals are those of Student's t at 95 % over seeds, over the rounds of timing for the two times. The data needed
    for the accuracy a are read off the line through the mean accuracies over :math:`\log_2` of the number of training
    pictures, where it first reaches a; the ends of their interval are where the upper and the lower end of the
    interval of the mean do. NaN says that it is not reached with the pictures that were tried; where the smallest
    number tried already reaches it, that number is given and `at_most` is true.

    Args:
        results: of `reproduce`, with `family`, `data_set`, `samples`, `view`, `updates` and `config` along experiment.
        data_set, view, samples: of these experiments; the largest number of pictures there is where not given.
        target: share of unseen pictures that should be right, in (0, 1).
        accuracy: the variable that counts as accuracy and for the data needed.

    Returns:
        Over ``family``, for each name of `QUANTITIES`: its mean, ``NAME_low``, ``NAME_high``, and
        ``NAME_seed(family, seed)`` where seeds differ; ``at_most(family)``. ``curve(family, size)`` with ``curve_low``
        and ``curve_high``: percent right over the number of training pictures. Families without such an experiment are
        NaN, and the attribute ``showing`` counts the others.

    Raises:
        ValueError: coordinates are missing, or there is no such data set, view or share.

    >>> from workbench.training import load_claims
    >>> points = family_points(load_claims("families"), "digits-rotated")
    >>> float(points["quarter_error"].sel(family="strict")) < ROUNDING < float(points["error"].sel(family="plain"))
    True
    """
    check_study(results, data_set, view, accuracy, target)
    known = _experiments(results)
    families = list(dict.fromkeys(map(str, results.variables["family"].values)))
    own = [size for _, where, how, size in known if (where, how) == (data_set, view)]
    sizes = np.unique(own or results.variables["samples"].values)
    size = int(samples if samples is not None else sizes[-1])
    seeds = results.variables["seed"].values
    here = {name: known.get((name, data_set, view, size)) for name in families}
    found = {name: _quantities(results, at, accuracy) for name, at in here.items()}
    curves = np.full((len(families), len(sizes), len(seeds)), np.nan)
    right = 100 * results.variables[accuracy].transpose("experiment", "seed").values
    for row, name in enumerate(families):
        for column, pictures in enumerate(sizes.tolist()):
            if (at := known.get((name, data_set, view, pictures))) is not None:
                curves[row, column] = right[at]
    mean, low, high = _interval(curves)
    variables: dict[str, tuple] = {}
    for name, quantity in QUANTITIES.items():
        if name == "data_needed":
            variables |= _data_needed(sizes, curves, (mean, low, high), 100 * target)
            continue
        values = np.stack([found[family][name] for family in families])
        variables |= _described(name, quantity, values)
    for name, values in (("curve", mean), ("curve_low", low), ("curve_high", high)):
        variables[name] = labelled(("family", "size"), values, "right on unseen pictures", "percent")
    shown = sum(at is not None for at in here.values())
    return xr.Dataset(
        variables,
        {
            "family": labelled("family", np.asarray(families, dtype=str), "family"),
            "seed": labelled("seed", seeds, "seed"),
            "size": labelled("size", sizes, "training pictures"),
        },
        provenance(
            "family_points", seed=[int(s) for s in seeds], dtype="float64", reduction="mean over seeds",
            input_kind=data_set, data_set=data_set, view=view, samples=size, target=target, accuracy=accuracy,
            showing="" if shown == len(families) else f"showing {shown} of {len(families)} families",
        ),
    )  # fmt: skip


def check_study(results: xr.Dataset, data_set: str, view: str, accuracy: str, target: float) -> None:
    """Refuse what cannot be read off a study, with one sentence."""
    missing = [name for name in NEEDED if name not in results.coords]
    if missing:
        raise ValueError(
            f"results without {', '.join(missing)} along experiment were given; expected those of a study of families; "
            "use load_claims('families')."
        )
    for name, given in (("data_set", data_set), ("view", view)):
        known = list(dict.fromkeys(map(str, results[name].values)))
        if given not in known:
            raise ValueError(f"{name} = {given!r} was given; expected one of {', '.join(known)}; use {known[0]!r}.")
    if accuracy not in results:
        raise ValueError(f"accuracy = {accuracy!r} was given; expected 'test_accuracy' or 'validation_accuracy'.")
    if not 0 < target < 1:
        raise ValueError(f"target = {target!r} was given; expected a share above 0 and below 1; use 0.9.")


def crossing(sizes: np.ndarray, accuracy: np.ndarray, target: float) -> float:
    """The number of pictures at which the line through `accuracy` over log2 of `sizes` first reaches the target.

    >>> crossing(np.array([100, 400]), np.array([80.0, 90.0]), 85.0)
    200.0
    >>> crossing(np.array([100, 400]), np.array([80.0, 90.0]), 95.0)
    nan
    """
    known = np.isfinite(accuracy)
    sizes, accuracy = sizes[known], accuracy[known]
    above = np.flatnonzero(accuracy >= target)
    if not above.size:
        return float("nan")
    at = int(above[0])
    if at == 0:
        return float(sizes[0])
    part = (target - accuracy[at - 1]) / (accuracy[at] - accuracy[at - 1])
    return float(sizes[at - 1] * (sizes[at] / sizes[at - 1]) ** part)


def order_families(points: xr.Dataset, fits: Sequence[str], *, data_needed: bool = True) -> xr.Dataset:
    """Families in the order in which to try them: those that fit first, by data needed or by arithmetic alone.

    By data needed: those whose number cannot be told from the smallest (its interval reaches theirs) come first, by
    multiply-adds and, where these are equal, by the upper end of the interval, the number that is enough for sure; then
    the others by the data needed; those that never reach the target last. By arithmetic alone: by multiply-adds, equals
    as they stand in ``fits``, then by parameters. Neither accuracy itself nor times of one machine are looked at.

    Args:
        points: of :func:`family_points`.
        fits: names that fit, the simplest first; the others follow by the same rule.
        data_needed: False goes by arithmetic alone.

    Returns:
        Along ``rank``, the families of the study that have a result here: ``name``, ``fits``, ``tied`` (fits, and
        cannot be told from the smallest data needed), ``data_needed`` with both ends, ``multiply_adds``,
        ``parameters``, ``evaluation_ms``, ``training_s``.
    """
    names = [str(name) for name in points["family"].values]
    need, low, high = (points[f"data_needed{end}"].values for end in ("", "_low", "_high"))
    ends = np.where(np.isnan(high), np.inf, high)
    stand = [fits.index(name) if name in fits else len(fits) for name in names]
    price = list(zip(points["multiply_adds"].values, stand, points["parameters"].values, strict=True))
    tied = np.zeros(len(names), dtype=bool)
    chosen: list[int] = []
    for fitting in (True, False):
        group = [at for at, name in enumerate(names) if (name in fits) == fitting and np.isfinite(price[at][0])]
        group.sort(key=lambda at: price[at])
        if data_needed:
            reached = sorted((at for at in group if np.isfinite(need[at])), key=lambda at: need[at])
            end = high[reached[0]] if reached and np.isfinite(high[reached[0]]) else np.inf
            level = sorted((at for at in reached if low[at] <= end), key=lambda at: (price[at][0], ends[at], need[at]))
            tied[level] = fitting
            group = [*level, *(at for at in reached if at not in level), *(at for at in group if at not in reached)]
        chosen += group
    taken = points.isel(family=chosen)
    kept = (*(f"data_needed{end}" for end in ("", "_low", "_high")), "multiply_adds", "parameters", *TIMES)
    return xr.Dataset(
        {
            "name": labelled("rank", np.asarray([names[at] for at in chosen], dtype=str), "family"),
            "fits": labelled("rank", [names[at] in fits for at in chosen], "fits what the data hold"),
            "tied": labelled("rank", tied[chosen], "data needed cannot be told from the smallest"),
            **{name: ("rank", taken[name].values, dict(taken[name].attrs)) for name in kept},
        },
        {"rank": labelled("rank", np.arange(1, len(chosen) + 1), "rank")},
        dict(points.attrs) | {"created_by": "order_families"},
    )


def worst_loss(results: xr.Dataset, pictures: int, accuracy: str = "validation_accuracy") -> xr.Dataset:
    """How far each family may fall behind the best one when it is not known which data set of the study one has.

    Args:
        results: as in :func:`family_points`; equal samples.
        pictures: how many training pictures there are; on each set the nearest number tried counts (by ratio).
        accuracy: the variable.

    Returns:
        ``loss(family, data_set)`` in points behind the best mean on that set, ``worst(family)``, NaN where a family
        was not tried on every set; ``tried(data_set)``, the numbers of pictures.
    """
    sets = list(dict.fromkeys(map(str, results["data_set"].values)))
    losses: list[np.ndarray] = []
    tried: list[int] = []
    families = np.empty(0)
    for name in sets:
        own = (results["data_set"].values == name) & (results["view"].values == SAMPLES)
        sizes = np.unique(results["samples"].values[own])
        size = int(sizes[np.abs(np.log(sizes / max(pictures, 1))).argmin()])
        points = family_points(results, name, SAMPLES, size, accuracy=accuracy)
        families = points["family"].values
        mean = points["accuracy"].values
        losses.append(np.nanmax(mean) - mean)
        tried.append(size)
    loss = np.stack(losses, 1)
    return xr.Dataset(
        {
            "loss": labelled(("family", "data_set"), loss, "points behind the best", "percent"),
            "worst": labelled("family", loss.max(1), "the most of them", "percent"),
            "tried": labelled("data_set", tried, "training pictures"),
        },
        {
            "family": labelled("family", families, "family"),
            "data_set": labelled("data_set", np.asarray(sets, dtype=str), "data set"),
        },
        provenance("worst_loss", dtype="float64", reduction="mean over seeds", accuracy=accuracy, pictures=pictures),
    )


def _experiments(results: xr.Dataset) -> dict[tuple[str, str, str, int], int]:
    """Family, data set, view and number of pictures -> which experiment that is; the first where there are several."""
    columns = [results.variables[name].values.tolist() for name in ("family", "data_set", "view", "samples")]
    return {key: at for at, key in reversed(list(enumerate(zip(*columns, strict=True))))}


def _quantities(results: xr.Dataset, at: int | None, accuracy: str) -> dict[str, np.ndarray]:
    """Values of one experiment for each seed or round, NaN where there is no experiment."""
    seeds, rounds = results.sizes["seed"], results.sizes["round"]
    if at is None:
        return {name: np.full(rounds if name in TIMES else seeds, np.nan) for name in QUANTITIES}

    def of(name: str, *dims: str) -> np.ndarray:
        return results.variables[name].transpose("experiment", *dims).values[at]

    error, angle = of("turn_error", "seed", "angle_deg"), results.variables["angle_deg"].values
    quarter = results.variables["lattice"].values & (angle % 360 > 1)
    shown = int(of("updates")) * int(json.loads(str(of("config")))["training"]["batch_size"])
    return {
        "accuracy": 100 * of(accuracy, "seed"),
        "error": error.mean(1),
        "quarter_error": error[:, quarter].mean(1),
        "parameters": of("parameters", "seed"),
        "multiply_adds": np.full(seeds, float(of("multiply_adds"))),
        "training_s": of("training_ms", "round") * shown / 1e3,
        "evaluation_ms": of("evaluation_ms", "round"),
    }


def _described(name: str, quantity: Quantity, values: np.ndarray) -> dict[str, tuple]:
    """Mean, interval and, where seeds differ, their values."""
    mean, low, high = _interval(values)
    words, units = quantity.words, quantity.units
    found = {
        name: labelled("family", mean, words, units),
        f"{name}_low": labelled("family", low, f"{words}, lower end", units),
        f"{name}_high": labelled("family", high, f"{words}, upper end", units),
    }
    if quantity.seeded:
        found[f"{name}_seed"] = labelled(("family", "seed"), values, f"{words}, each seed", units)
    return found


def _interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and both ends over the last axis; one value alone has no interval and stands for both ends."""
    mean = values.mean(-1)
    low, high = student(values)
    return mean, np.where(np.isnan(low), mean, low), np.where(np.isnan(high), mean, high)


def _data_needed(
    sizes: np.ndarray, curves: np.ndarray, means: tuple[np.ndarray, np.ndarray, np.ndarray], target: float
) -> dict[str, tuple]:
    mean, low, high = means
    words, units, _ = QUANTITIES["data_needed"]
    each = [[crossing(sizes, curves[row, :, s], target) for s in range(curves.shape[2])] for row in range(len(curves))]

    def where(values: np.ndarray) -> list[float]:
        return [crossing(sizes, row, target) for row in values]

    first = [row[np.isfinite(row)][:1] for row in mean]
    reached = [bool(one.size and one[0] >= target) for one in first]
    return {
        "data_needed": labelled("family", where(mean), words, units),
        "data_needed_low": labelled("family", where(high), f"{words}, lower end", units),
        "data_needed_high": labelled("family", where(low), f"{words}, upper end", units),
        "data_needed_seed": labelled(("family", "seed"), each, f"{words}, each seed", units),
        "at_most": labelled("family", reached, "the fewest tried were enough"),
    }
