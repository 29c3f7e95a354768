"""Why a layer breaks a symmetry, as far as its weights and its geometry show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from torch import nn

from workbench.audit.questions import FLIPS, PERMUTATIONS, TRANSLATIONS
from workbench.audit.result import mean_of
from workbench.audit.words import shown
from workbench.measure.filters import ASYMMETRIC, asymmetry


def first_broken(sweep: xr.Dataset, limit: float) -> tuple[str, float, float] | None:
    """The first layer, in the order they run, whose error at exact elements is above the limit, and that error.

    Its largest mean error over those elements, relative and absolute.

    Only layers on whose output the elements act without interpolation are looked at; a layer that could not be
    compared says nothing.
    """
    exact = sweep["exact"].values & sweep["lattice"].values[None]
    if "rounding" in sweep.variables:  # half precision, where each layer has a limit of its own
        exact &= sweep["error_mean"].values > sweep["rounding"].values[:, None]
    error = np.where(exact & sweep["comparable"].values[:, None], sweep["error_mean"].values, np.nan)
    absolute = mean_of(sweep, "absolute_error_mean")
    for at, (name, row) in enumerate(zip(sweep.layer.values, error, strict=True)):
        known = np.nan_to_num(row, nan=-1.0)
        if str(name) != "output" and known.max(initial=-1.0) > limit:
            worst = int(known.argmax())
            return str(name), float(known[worst]), float("nan" if absolute is None else absolute.values[at, worst])
    return None


def because(model: Callable, layer: str, question: str, findings: xr.Dataset | None) -> tuple[str, str]:
    """Reason and remedy for the first layer that breaks a symmetry, in words; empty where nothing is known."""
    if not isinstance(model, nn.Module):
        return "", ""
    module = dict(model.named_modules()).get(layer.split(" (call ")[0])
    reasons, remedies = [], []
    if findings is not None:
        for at in np.flatnonzero(findings.module.values == layer.split(" (call ")[0]):
            reasons.append(str(findings.reason.values[at]))
            remedies.append(str(findings.fix.values[at]))
    share = asymmetry(module, turns=question != FLIPS, flips=question == FLIPS)
    moved = "a flip" if question == FLIPS else "a quarter turn"
    if share is not None and share > ASYMMETRIC:
        reasons.append(f"its filters are not their own copies after {moved} ({share:.0%} of their norm changes)")
    elif share is not None and not reasons:
        reasons.append(
            "of what is done to its input between the modules (a function such as max_pool2d, a slice, added "
            f"coordinates), which cannot be seen from outside: its own filters are their own copies after {moved}"
        )
    return "; and ".join(reasons), "; ".join(remedies)


def named_causes(question: str, findings: xr.Dataset | None) -> str:
    """What the static report names for a question of points and sets, with the share that was measured; or empty."""
    rules = _NAMED.get(question, ())
    if findings is None or not rules:
        return ""
    told = []
    for at in np.flatnonzero(np.isin(findings["rule"].values, rules))[:3]:
        share = float(findings["share"].values[at]) if "share" in findings else float("nan")
        name = str(findings["module"].values[at])
        reason = f"{findings['reason'].values[at]}: {_gone(share, findings, at)}"
        told.append(f"in {'the network itself' if name == 'model' else name}, {reason}")
    return f" Named by its layers: {'; '.join(told)}." if told else ""


def _gone(share: float, findings: xr.Dataset, at: int) -> str:
    """What taking one finding away does, or that nobody knows."""
    if not np.isfinite(share):
        return "not measured"
    if not shown(float(findings["share_low"].values[at])):
        return f"taking it away does not help measurably{_sure(findings, at)}"
    return f"taken away, {share:.0%} of the error goes{_sure(findings, at)}"


def _sure(findings: xr.Dataset, at: int) -> str:
    """The interval of a share, and on how many samples it was measured."""
    low, high = (float(findings[f"share_{end}"].values[at]) for end in ("low", "high"))
    ends = f"95 % interval {low:.0%} to {high:.0%}, " if np.isfinite(low) else ""
    return f" ({ends}{findings.attrs['samples']} of {findings.attrs['samples_of']} samples)"


_NAMED = {
    TRANSLATIONS: ("absolute coordinates",),
    PERMUTATIONS: ("position encoding", "flatten members", "recurrence", "neighbours"),
}
"""Rules of the static report that are about a question."""
