"""The answers about a data set as labelled arrays and as sentences."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from workbench.measure.data_arc import ArcFit, folded_density
from workbench.measure.data_rows import Row, reach
from workbench.measure.dataset import labelled
from workbench.measure.partial import overlap_loss
from workbench.measure.two_sample import TwoSample, holm

WITHIN_DEG = 10.0
"""An arc is called resolvable where its interval reaches at most so far to either side."""
FEWEST = 20  # pictures below which nothing is said about an arc
UNKNOWN = "not resolvable at this n"
_WHOLE_DEG = 165.0  # an arc this wide cannot be told from the circle


def resolvable(fit: ArcFit, pictures: int) -> bool:
    """Whether an arc is known well enough to be named."""
    return pictures >= FEWEST and reach(fit) <= WITHIN_DEG


def arc_needed(fit: ArcFit, pictures: int) -> float:
    """Pictures for an interval of `WITHIN_DEG` to either side, if it shrinks as 1 / sqrt(n); at least `FEWEST`.

    Where two widths compete the interval shrinks faster once one of them is ruled out: then this is too many, on digits
    up to four times. Where it is few, twice as many did (tests/benchmarks/data_intervals.py).
    """
    return max(float(FEWEST), math.ceil(pictures * (reach(fit) / WITHIN_DEG) ** 2))


def element_needed(test: TwoSample, pictures: int, level: float) -> float:
    """Pictures at which a difference as large as this one lies at the end of its null; infinite where there is none.

    The null and its mean shrink as 1 / n, the difference stays. At that many every second data set is rejected.
    """
    mean = float(test.null.mean())
    excess, end = test.distance - mean, float(np.quantile(test.null, 1 - level)) - mean
    return math.inf if excess <= 0 else max(float(FEWEST), math.ceil(pictures * end / excess))


def verdict(fit: ArcFit, pictures: int, rejected: bool) -> str:
    """One sentence for one class."""
    if pictures < FEWEST:
        return f"{UNKNOWN}: {pictures} pictures, at least {FEWEST} are needed"
    interval = f"({fit.low:.0f} to {fit.high:.0f})"
    half = f", and {fit.upside_down:.0%} of alike pairs meet upside-down" if fit.upside_down >= 0.05 else ""
    if fit.low >= _WHOLE_DEG - 2 * WITHIN_DEG and fit.high >= _WHOLE_DEG:
        return f"turned through the whole circle {interval}" + ("; yet not evenly" if rejected else "")
    if not resolvable(fit, pictures):
        more = f"; at most about {_rounded(arc_needed(fit, pictures))} pictures would do, by 1/√n"
        return f"{UNKNOWN}: anything from ±{fit.low:.0f}° to ±{fit.high:.0f}° fits{half}{more}"
    if fit.low <= WITHIN_DEG:
        return f"no arc of rotations beyond ±{max(fit.high, WITHIN_DEG):.0f}°{half}"
    return f"turned within ±{fit.half_width:.0f}° {interval}{half}"


def with_model(ds: xr.Dataset, error: xr.Dataset, layer: str = "output") -> xr.Dataset:
    """The answers about data with a model's error under turns beside them: your data has this, your model has that.

    Args:
        ds: from :func:`workbench.measure.data_symmetry`.
        error: from :func:`workbench.measure.equivariance_error` of that model over rotations.
        layer: which of its layers.

    Returns:
        `ds` with ``model_error_mean(model_transform)`` at ``model_angle_deg`` from 0 to 180, and ``beside(class)``, the
        two in one sentence; the attribute ``model`` names the layer.

    Raises:
        ValueError: errors without angles, or without that layer.

    >>> import torch
    >>> from workbench.measure import data_symmetry, equivariance_error
    >>> x = torch.rand(8, 1, 8, 8)
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    >>> has = data_symmetry(x, n_angles=24, permutations=199, resamples=0, power_repeats=0)
    >>> with_model(has, equivariance_error(net, x, "SO2", n_elements=9))["model_error_mean"].dims
    ('model_transform',)
    """
    names = [str(name) for name in error["layer"].values] if "layer" in error.coords else []
    if "angle_deg" not in error.coords or layer not in names:
        raise ValueError(
            f"with_model: errors of {', '.join(names) or 'no layer'} over {', '.join(map(str, error.coords))} were "
            f"given; expected those of {layer!r} over angles; use equivariance_error(model, images, 'SO2')."
        )
    angle, mean = error["angle_deg"].values % 360, error["error_mean"].sel(layer=layer).values
    part = angle <= 180
    part &= error["mirror"].values > 0 if "mirror" in error.coords else True
    order = np.argsort(angle[part], kind="stable")
    found = beside(ds, angle[part][order], mean[part][order])
    return ds.assign(found).set_coords("model_angle_deg").assign_attrs(model=layer)


def beside(ds: xr.Dataset, angle_deg: np.ndarray, error: np.ndarray) -> dict[str, tuple]:
    """Those variables from the answers about data and the model's curve, which is NaN where nobody asked it yet."""
    told = zip(ds["verdict"].values, ds["arc_half_width_deg"].values, strict=True)
    sentences = [_beside(str(verdict), float(half), angle_deg, error) for verdict, half in told]
    return {
        "model_error_mean": labelled("model_transform", error, "relative error of the model"),
        "model_angle_deg": labelled("model_transform", angle_deg, "input turned by", "degrees"),
        "beside": labelled("class", sentences, "data and model in words"),
    }


def _beside(verdict: str, half: float, angle: np.ndarray, error: np.ndarray) -> str:
    """Two poses within an arc differ by up to twice its half width; of an unknown one nothing is said."""
    data, turned = f"Your data: {verdict.partition(':')[0].partition(',')[0]}", angle > 0
    if verdict.startswith(UNKNOWN) or half >= 90:
        return f"{data}; your model changes by {error[turned].mean():.0%} over all turns"
    within, beyond = error[turned & (angle <= 2 * half)], error[angle > 2 * half]
    inside = f"by {within.mean():.0%} within twice that, " if len(within) else ""
    return f"{data}; your model changes {inside}by {beyond.mean():.0%} beyond"


def _rounded(count: float) -> str:
    """Two digits are known at most.

    >>> _rounded(3136.0)
    '3,100'
    """
    digits = 10 ** max(0, math.floor(math.log10(count)) - 1)
    return f"{round(count / digits) * digits:,.0f}"


class Named(NamedTuple):
    """What the axes of the answers stand for.

    Attributes:
        classes: names of the rows.
        omega_deg: the angles compared.
        tested_deg: those in the family of Holm's correction.
        added_deg: widths of the power curve.
        parts: of the pictures, in the curves over their number.
        asked: name of each finite symmetry -> words and order.
    """

    classes: Sequence[str]
    omega_deg: np.ndarray
    tested_deg: Sequence[float]
    added_deg: Sequence[float]
    parts: Sequence[float]
    asked: dict[str, tuple[str, int]]


def answers(named: Named, rows: Sequence[Row], alpha: float) -> xr.Dataset:
    """Rows of `data_symmetry`, one for each class, as one Dataset; alpha is that of the family."""
    omega_deg, tested_deg = named.omega_deg, named.tested_deg
    tested = np.isin(np.round(omega_deg, 6), np.round(tested_deg, 6))
    p_value = np.stack([row.p_value for row in rows])
    p_holm = np.ones_like(p_value)
    element_p = np.array([[test.p_value for test in row.elements] for row in rows]).reshape(len(rows), -1)
    adjusted = holm(np.concatenate([p_value[:, tested], element_p], 1))
    p_holm[:, tested] = adjusted[:, : tested.sum()]
    rejected = np.asarray((p_holm <= alpha).any(-1))
    over = ("class", "transform")
    variables = {
        "distance": labelled(over, np.stack([r.distance for r in rows]), "energy distance to the turned copy"),
        "null_high": labelled(over, np.stack([r.null_high for r in rows]), "95 % of the null lies below"),
        "p_value": labelled(over, p_value, "p-value of the permutation test"),
        "p_holm": labelled(over, p_holm, "p-value after Holm's correction, 1 where not tested"),
        "rejected": labelled("class", rejected, "some turn changes the distribution"),
        "pictures": labelled("class", [r.pictures for r in rows], "pictures"),
        **_arcs(rows, rejected),
        **_curves(rows),
        **_elements(rows, adjusted[:, tested.sum() :], alpha, adjusted.size),
    }
    coords = {
        "class": labelled("class", list(named.classes), "class"),
        "angle_deg": labelled("transform", omega_deg, "turned by", "degrees"),
        "tested": labelled("transform", tested, "in the family of tests"),
        "difference_deg": labelled(
            "difference", np.linspace(0, 180, len(rows[0].seen)), "angle between alike pictures", "degrees"
        ),
    }
    if named.asked:
        coords["question"] = labelled("question", list(named.asked), "finite symmetry")
        coords["question_words"] = labelled("question", [words for words, _ in named.asked.values()], "in words")
        coords["order"] = labelled("question", [order for _, order in named.asked.values()], "elements")
    if len(rows[0].floor):
        variables["floor"] = labelled(("class", "floor_transform"), np.stack([r.floor for r in rows]), "floor")
        variables["floor"][2]["long_name"] = "energy distance after turning there and back"
        words = "p-value of the floor: resampling alone"
        variables["floor_p"] = labelled(("class", "floor_transform"), np.stack([r.floor_p for r in rows]), words)
        coords["floor_angle_deg"] = labelled("floor_transform", list(tested_deg), "turned there and back by", "degrees")
    if len(rows[0].power):
        variables["power"] = labelled(("class", "added"), np.stack([r.power for r in rows]), "share rejected")
        coords["added_deg"] = labelled(
            "added", list(named.added_deg), "each picture turned by up to this more", "degrees"
        )
        coords["part"] = labelled("part", list(named.parts), "part of the pictures")
        counts = np.outer([row.pictures for row in rows], named.parts).round().astype(int)
        variables["part_pictures"] = labelled(("class", "part"), counts, "pictures of that part")
        words = "reach of the arc's interval"
        variables["arc_reach_deg"] = labelled(("class", "part"), np.stack([r.reach for r in rows]), words, "degrees")
    return xr.Dataset(variables, coords)


def _elements(rows: Sequence[Row], adjusted: np.ndarray, alpha: float, family: int) -> dict[str, tuple]:
    """The finite symmetries, one column each."""
    if not rows[0].elements:
        return {}
    over = ("class", "question")
    tests = [row.elements for row in rows]

    def each(value: Any) -> np.ndarray:
        return np.array([[value(test) for test in row] for row in tests], dtype=float)

    needed = [
        [
            element_needed(test, count, alpha / family)
            for test, count in zip(r.elements, r.element_pictures, strict=True)
        ]
        for r in rows
    ]
    found = {
        "element_distance": labelled(over, each(lambda t: t.distance), "energy distance to the copies"),
        "element_null_high": labelled(over, each(lambda t: np.quantile(t.null, 0.95)), "95 % of the null lies below"),
        "element_p": labelled(over, each(lambda t: t.p_value), "p-value of the randomisation test"),
        "element_p_holm": labelled(over, adjusted, "p-value after Holm's correction"),
        "element_rejected": labelled(over, adjusted <= alpha, "the data do not have it"),
        "element_needed": labelled(over, needed, "pictures that would show such a difference"),
    }
    if rows[0].element_power.shape[1]:
        power = np.stack([row.element_power for row in rows])
        words = "share of such parts in which it is rejected, asked alone"
        found["element_power"] = labelled((*over, "part"), power, words)
    return found


def _arcs(rows: Sequence[Row], rejected: np.ndarray) -> dict[str, tuple]:
    fits: list[ArcFit] = [row.fit for row in rows]
    sentences = [verdict(r.fit, r.pictures, bool(no)) for r, no in zip(rows, rejected, strict=True)]
    return {
        "arc_half_width_deg": labelled("class", [f.half_width for f in fits], "half width of the arc", "degrees"),
        "arc_low_deg": labelled("class", [f.low for f in fits], "lower end of its 95 % interval", "degrees"),
        "arc_high_deg": labelled("class", [f.high for f in fits], "upper end of its 95 % interval", "degrees"),
        "resolvable": labelled("class", [resolvable(r.fit, r.pictures) for r in rows], "the interval is within ±10°"),
        "jitter_deg": labelled("class", [f.jitter for f in fits], "jitter between alike pictures", "degrees"),
        "upside_down_share": labelled("class", [f.upside_down for f in fits], "alike pairs that meet upside-down"),
        "stray_share": labelled("class", [f.stray for f in fits], "alike pairs that meet at any angle"),
        "circle_p": labelled("class", [f.even_p for f in fits], "p-value of the whole circle, from alike pairs"),
        "arc_needed": labelled("class", [arc_needed(r.fit, r.pictures) for r in rows], "at most needed for ±10°"),
        "verdict": labelled("class", sentences, "in words"),
    }


def _curves(rows: Sequence[Row]) -> dict[str, tuple]:
    """What is seen of relative angles, as a density relative to no preference and as the share lost, beside the fit."""
    angles = 2 * (len(rows[0].seen) - 1)
    even = folded_density(180.0, 0.0, 0.0, 0.0, angles)
    alike, fitted, lost, lost_fitted, delta = [], [], [], [], []
    omega = np.linspace(0, np.pi, len(even))
    for row in rows:
        fit: ArcFit = row.fit
        seen = row.seen / even
        drawn = folded_density(fit.half_width, fit.jitter, fit.upside_down, fit.stray, angles) / even
        peak = max(drawn[0] - fit.stray, 1e-3)
        alike.append(seen)
        fitted.append(drawn)
        lost.append(1 - (seen - fit.stray) / peak)
        lost_fitted.append(1 - (drawn - fit.stray) / peak)
        delta.append(overlap_loss(omega, max(fit.half_width / 180, 1e-3)))
    over = ("class", "difference")
    return {
        "alike": labelled(over, np.stack(alike), "alike pairs at this angle, 1: no preference"),
        "alike_fitted": labelled(over, np.stack(fitted), "the fit"),
        "lost": labelled(over, np.stack(lost), "share lost by a turn"),
        "lost_fitted": labelled(over, np.stack(lost_fitted), "share lost by a turn, fitted"),
        "delta": labelled(over, np.stack(delta), "δ of the fitted arc"),
    }
