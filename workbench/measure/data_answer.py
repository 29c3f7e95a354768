"""The answers about a data set as labelled arrays and as sentences."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from workbench.measure.data_arc import ArcFit, folded_density
from workbench.measure.dataset import labelled
from workbench.measure.partial import overlap_loss
from workbench.measure.two_sample import holm

WITHIN_DEG = 10.0
"""An arc is called resolvable where its interval reaches at most so far to either side."""
FEWEST = 20  # pictures below which nothing is said about an arc
_WHOLE_DEG = 165.0  # an arc this wide cannot be told from the circle


def resolvable(fit: ArcFit, pictures: int) -> bool:
    """Whether an arc is known well enough to be named."""
    return pictures >= FEWEST and max(fit.high - fit.half_width, fit.half_width - fit.low) <= WITHIN_DEG


def verdict(fit: ArcFit, pictures: int, rejected: bool) -> str:
    """One sentence for one class."""
    if pictures < FEWEST:
        return f"not resolvable at this n: {pictures} pictures, at least {FEWEST} are needed"
    interval = f"({fit.low:.0f} to {fit.high:.0f})"
    half = f", and {fit.upside_down:.0%} of alike pairs meet upside-down" if fit.upside_down >= 0.05 else ""
    if fit.low >= _WHOLE_DEG - 2 * WITHIN_DEG and fit.high >= _WHOLE_DEG:
        return f"turned through the whole circle {interval}" + ("; yet not evenly" if rejected else "")
    if not resolvable(fit, pictures):
        return f"not resolvable at this n: anything from ±{fit.low:.0f}° to ±{fit.high:.0f}° fits{half}"
    if fit.low <= WITHIN_DEG:
        return f"no arc of rotations beyond ±{max(fit.high, WITHIN_DEG):.0f}°{half}"
    return f"turned within ±{fit.half_width:.0f}° {interval}{half}"


def answers(
    names: Sequence[str], rows: Sequence[Any], omega_deg: np.ndarray, tested_deg: Sequence[float],
    added_deg: Sequence[float], alpha: float,
) -> xr.Dataset:  # fmt: skip
    """Rows of `data_symmetry` as one Dataset.

    Args:
        names: of the rows.
        rows: with the fields of `workbench.measure.data_symmetry.Row`.
        omega_deg: the angles compared.
        tested_deg: those in the family of Holm's correction.
        added_deg: widths of the power curve.
        alpha: of the family.
    """
    tested = np.isin(np.round(omega_deg, 6), np.round(tested_deg, 6))
    p_value = np.stack([row.p_value for row in rows])
    p_holm = np.ones_like(p_value)
    flips = [row.mirror for row in rows if row.mirror is not None]
    family = p_value[:, tested]
    if flips:
        family = np.concatenate([family, np.array([[flip.p_value] for flip in flips])], 1)
    adjusted = holm(family)
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
    }
    coords = {
        "class": labelled("class", list(names), "class"),
        "angle_deg": labelled("transform", omega_deg, "turned by", "degrees"),
        "tested": labelled("transform", tested, "in the family of tests"),
        "difference_deg": labelled(
            "difference", np.linspace(0, 180, len(rows[0].seen)), "angle between alike pictures", "degrees"
        ),
    }
    if flips:
        variables["mirror_distance"] = labelled(
            "class", [f.distance for f in flips], "energy distance to the flipped copy"
        )
        variables["mirror_p_holm"] = labelled("class", adjusted[:, -1], "p-value of the flip after Holm's correction")
        variables["mirror_rejected"] = labelled("class", adjusted[:, -1] <= alpha, "a flip changes the distribution")
    if len(rows[0].floor):
        variables["floor"] = labelled(("class", "floor_transform"), np.stack([r.floor for r in rows]), "floor")
        variables["floor"][2]["long_name"] = "energy distance after turning there and back"
        words = "p-value of the floor: resampling alone"
        variables["floor_p"] = labelled(("class", "floor_transform"), np.stack([r.floor_p for r in rows]), words)
        coords["floor_angle_deg"] = labelled("floor_transform", list(tested_deg), "turned there and back by", "degrees")
    if len(rows[0].power):
        variables["power"] = labelled(("class", "added"), np.stack([r.power for r in rows]), "share rejected")
        coords["added_deg"] = labelled("added", list(added_deg), "each picture turned by up to this more", "degrees")
    return xr.Dataset(variables, coords)


def _arcs(rows: Sequence[Any], rejected: np.ndarray) -> dict[str, tuple]:
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
        "verdict": labelled("class", sentences, "in words"),
    }


def _curves(rows: Sequence[Any]) -> dict[str, tuple]:
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
