"""How sure a result is: means and gaps over seeds with their intervals."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance


def over_seeds(
    results: xr.Dataset, experiments: Sequence[str], against: str, *, seeds: int | None = None, level: float = 0.95
) -> xr.Dataset:
    r"""Accuracies of several experiments over seeds, and their gaps to one of them, seed by seed.

    The interval of a mean over K seeds is :math:`\bar x \pm t_{K-1} s / \sqrt K` with Student's quantile at the level;
    that of a gap takes the differences seed by seed, since the runs of one seed share their data.

    Args:
        results: from `workbench.training.reproduce` or `load_claims`.
        experiments: names of its experiments, shown in this order.
        against: the experiment that gaps are taken to.
        seeds: use the first so many, at least 2; all where not given.
        level: of the intervals, in (0, 1).

    Returns:
        In percent: ``accuracy(experiment, seed)``, ``accuracy_mean``, ``accuracy_low``, ``accuracy_high``; in points:
        ``gap(experiment, seed)``, ``gap_mean``, ``gap_low``, ``gap_high`` over experiment; ``parameters(experiment)``,
        the mean over seeds.

    Raises:
        ValueError: an unknown experiment, too few seeds, or a level out of range.

    >>> grid = ("experiment", "seed")
    >>> ds = xr.Dataset({name: (grid, [[0.9, 1.0], [0.5, 0.5]]) for name in ("test_accuracy", "parameters")},
    ...                 coords={"experiment": ["partial", "full"], "seed": [0, 1]})
    >>> found = over_seeds(ds, ["partial", "full"], "full", level=0.5)
    >>> float(found["gap_mean"].sel(experiment="partial")), float(found["gap_low"].sel(experiment="partial"))
    (45.0, 40.0)
    """
    count = results.sizes["seed"] if seeds is None else seeds
    _check(results, [*experiments, against], count, level)
    chosen = results.isel(seed=slice(count)).sel(experiment=list(experiments))
    reference = results["test_accuracy"].isel(seed=slice(count)).sel(experiment=against).values
    accuracy = 100 * chosen["test_accuracy"].transpose("experiment", "seed").values
    variables = {}
    for name, values, words, units in (
        ("accuracy", accuracy, "test accuracy", "percent"),
        ("gap", accuracy - 100 * reference, f"gap to {against.replace('_', ' ')}", "points"),
    ):
        variables[name] = labelled(("experiment", "seed"), values, words, units)
        for end, numbers in zip(("mean", "low", "high"), _interval(values, level), strict=True):
            variables[f"{name}_{end}"] = labelled("experiment", numbers, f"{words}, {end}", units)
    return xr.Dataset(
        {
            **variables,
            "parameters": labelled("experiment", chosen["parameters"].mean("seed").values, "trainable parameters"),
        },
        coords={
            "experiment": labelled("experiment", list(experiments), "experiment"),
            "seed": labelled("seed", chosen["seed"].values, "seed"),
        },
        attrs=provenance(
            "over_seeds",
            seed=list(map(int, chosen["seed"].values)),
            dtype="float64",
            reduction=f"mean over seeds, {level:.1%} interval by Student's t",
            level=level,
            against=against,
            showing="" if count == results.sizes["seed"] else f"showing {count} of {results.sizes['seed']} seeds",
        ),
    )


def _interval(values: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, lower and upper end over the last axis."""
    from scipy.special import stdtrit

    count, mean = values.shape[-1], values.mean(-1)
    reach = values.std(-1, ddof=1) / np.sqrt(count) * stdtrit(count - 1, 0.5 + level / 2)
    return mean, mean - reach, mean + reach


def _check(results: xr.Dataset, names: list[str], count: int, level: float) -> None:
    known = list(map(str, results["experiment"].values))
    if strange := [name for name in names if name not in known]:
        raise ValueError(f"over_seeds: {strange[0]!r} was given; expected one of {', '.join(known)}.")
    if isinstance(count, bool) or not isinstance(count, int) or not 2 <= count <= results.sizes["seed"]:
        raise ValueError(f"over_seeds: seeds = {count!r} was given; expected 2 to {results.sizes['seed']}.")
    if not 0 < level < 1:
        raise ValueError(f"over_seeds: level = {level} was given; expected a number above 0 and below 1; use 0.95.")
