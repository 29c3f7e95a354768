"""The tables of a sweep: which variables there are, what is reduced over samples, and how they are labelled."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.measure.dataset import labelled
from workbench.measure.interval import interval, standard_error, student

PER_SAMPLE = ("layer", "transform", "sample")
Reduced = dict[str, np.ndarray]


def per_sample(form: str) -> dict[str, tuple[tuple[str, ...], str, str]]:
    """Dims, long name and units of every variable that has one number per sample."""
    units = "output units" if form == "absolute" else "1"
    symmetric = {"symmetric_error": (PER_SAMPLE, "symmetric equivariance error", "1")} if form == "symmetric" else {}
    return {
        "error": (PER_SAMPLE, f"{form} equivariance error", units),
        "relative_error": (PER_SAMPLE, "relative equivariance error", "1"),
        **symmetric,
        "absolute_error": (PER_SAMPLE, "root mean square error", "output units"),
        "input_floor": (PER_SAMPLE[1:], "input resampling floor", units),
        "output_floor": (PER_SAMPLE, "output resampling floor", units),
        "noise_floor": (PER_SAMPLE, "what chance alone changes between two averages of the same input", units),
    }


FLOORS = ("output_floor", "noise_floor")
"""Beside every error; the second one of a stochastic model only."""


def reduced(error: np.ndarray, floors: dict[str, np.ndarray], kind: str, seed: int) -> Reduced:
    """Means over the last axis, with the interval of the mean error."""
    mean, sem, _, _ = statistics(error)
    low, high = interval(error, kind, seed)
    return {
        "error_mean": mean,
        "error_sem": sem,
        "error_low": low,
        "error_high": high,
    } | {f"{name}_mean": floor.mean(-1) for name, floor in floors.items()}


def summary(
    means: Reduced, input_floor_mean: np.ndarray, exact: np.ndarray, comparable: list[bool], form: str
) -> dict[str, tuple]:
    """Every variable that has no samples, labelled."""
    dims, units = PER_SAMPLE[:2], "output units" if form == "absolute" else "1"
    mean, floor = means["error_mean"], means["output_floor_mean"]
    over = np.divide(mean, floor, out=np.full_like(mean, np.nan), where=floor > 0)
    noise = {
        name: labelled(dims, means[name], "what chance alone changes, mean over samples", units)
        for name in means
        if name == "noise_floor_mean"
    }
    return noise | {
        "error_mean": labelled(dims, mean, f"{form} equivariance error, mean over samples", units),
        "error_sem": labelled(dims, means["error_sem"], "standard error of the mean over samples", units),
        "error_low": labelled(dims, means["error_low"], "lower end of the 95 % interval of the mean", units),
        "error_high": labelled(dims, means["error_high"], "upper end of the 95 % interval of the mean", units),
        "input_floor_mean": labelled(dims[1], input_floor_mean, "input resampling floor", units),
        "output_floor_mean": labelled(dims, floor, "output resampling floor", units),
        "error_over_floor": labelled(dims, over, "mean error over mean output floor (NaN: no floor)"),
        "exact": labelled(dims, exact, "g acted on the output without interpolation"),
        "comparable": labelled("layer", comparable, "the output could be compared"),
    }


def coordinates(coords: dict[str, tuple], names: list[str], samples: int) -> dict[str, tuple]:
    """Those of the transforms, with the layers and the samples."""
    return coords | {
        "layer": labelled("layer", names, "layer"),
        "sample": labelled("sample", np.arange(samples), "number of the sample"),
    }


ORDER = (
    "error", "relative_error", "symmetric_error", "absolute_error", "error_mean", "error_sem", "error_low",
    "error_high", "input_floor", "input_floor_mean", "output_floor", "output_floor_mean", "noise_floor",
    "noise_floor_mean", "error_over_floor", "exact", "comparable",
)  # fmt: skip
"""Of the variables, as a reader wants to meet them."""


def table(
    values: dict[str, np.ndarray],
    names: list[str],
    exact: np.ndarray,
    comparable: list[bool],
    coords: dict[str, tuple],
    form: str,
    kind: str,
    seed: int,
) -> xr.Dataset:
    """The Dataset of a sweep whose numbers are all in memory."""
    means = reduced(values["error"], {name: values[name] for name in FLOORS if name in values}, kind, seed)
    known = {n: row for n, row in per_sample(form).items() if n in values}
    found = {n: labelled(dims, values[n], words, units) for n, (dims, words, units) in known.items()}
    found |= summary(means, values["input_floor"].mean(-1), exact, comparable, form)
    return xr.Dataset({n: found[n] for n in ORDER if n in found}, coordinates(coords, names, values["error"].shape[-1]))


def statistics(error: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard error and the ends of Student's 95 % interval over the last axis; NaN spread for one sample."""
    return error.mean(-1), standard_error(error), *student(error)
