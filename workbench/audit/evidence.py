"""The second look, where a symmetry is broken: which module brings the error in, and which fix removes it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.audit.answer import TIE
from workbench.audit.decisions import ASKED
from workbench.audit.outside import FOLLOWED, SAMPLES, outside_look, told_from_outside
from workbench.audit.questions import FLIPS, SHIFTS, TURNS
from workbench.audit.reasons import UNEXPLAINED
from workbench.audit.result import Verdict
from workbench.audit.words import percent, shown
from workbench.groups import O2, Plane
from workbench.measure import (
    attribute_error,
    explain,
    labelled,
    lie_derivative,
    task_cost,
    undisturbed,
)
from workbench.measure.explain import BEYOND, FUNCTIONS
from workbench.measure.probe import like_model, watching

AFFORDED = 3e11
"""Multiply-adds that one of these measures may take, some 20 seconds on two cores where maps are small; where it would
take more it is left out, and a note says so."""
QUICK, MOST_LOOKED = 2e10, 12
"""Multiply-adds up to which a measure takes more than a few images, up to so many, because few leave wide intervals."""
LARGE_SHARE = 0.1
ATTRIBUTED = {TURNS: 0, FLIPS: 1}


def second_look(
    model: Callable,
    images: Tensor,
    labels: Tensor | None,
    each: float,
    broken: bool,
    seed: int,
    output: str = "auto",
    usual: bool = True,
    shifted: bool = False,
    cancel: Any = None,
) -> tuple[dict[str, xr.Dataset], list[str]]:
    """What applies of: shares of modules, fixes tried on copies, the Lie derivative, the cost for the task.

    Args:
        each: multiply-adds of one pass of one image.
        broken: turns or flips are broken.
        output: how the answer moves, as in :func:`workbench.measure.equivariance_error`.
        usual: that is, as maps or not at all, as its shape has it.
        shifted: shifts are broken, and no layer was found that explains it.
        cancel: as in :func:`workbench.measure.equivariance_error`.

    Returns:
        The Datasets by name, and a sentence for each that was left out.
    """
    found: dict[str, xr.Dataset] = {}
    left_out: list[str] = []

    def ask(name: str, passes: float, measure: Callable[[], xr.Dataset]) -> None:
        if passes * each > AFFORDED:
            left_out.append(f"Left out for its cost, {name}: call workbench.measure for it.")
            return
        try:
            found[name] = measure()
        except (ValueError, RuntimeError) as error:
            left_out.append(f"Not measured, {name}: {str(error).splitlines()[0]}")

    if isinstance(model, nn.Module):
        square = images.shape[-1] == images.shape[-2]
        leaves = sum(1 for module in model.modules() if next(module.children(), None) is None)
        if broken and square:
            few, some = (images[: _count(images, passes * each)] for passes in (leaves, _TRIED))
            moves = torch.tensor([[math.pi / 2, 1.0], [0.0, -1.0]], dtype=torch.float64)
            ask(
                "attribution",
                leaves * len(few),
                lambda: attribute_error(model, few, O2(), moves, output=output, mask="none", seed=seed, cancel=cancel),
            )
            ask(
                "fixes",
                _TRIED * len(some),
                lambda: explain(model, some, "D(4)", output=output, seed=seed, cancel=cancel).assign_attrs(
                    samples=len(some)
                ),
            )
        if usual:
            ask("Lie derivative", 16, lambda: lie_derivative(model, images[:8], "SO2", seed=seed, cancel=cancel))
        else:
            left_out.append(f"Not measured, Lie derivative: it is known for maps and vectors, not for {output}.")
    if shifted and output in FOLLOWED:
        ask("from outside", 7 * SAMPLES, lambda: outside_look(model, images, output, seed, cancel))
    if labels is not None and len(labels) == len(images):
        rows = torch.tensor([[x, 0.0, math.radians(turn), mirror] for _, x, turn, mirror in ASKED], dtype=torch.float64)
        ask(
            "task",
            8 * len(images),
            lambda: task_cost(model, images, labels, Plane(O2()), rows, seed=seed, cancel=cancel),
        )
    if "attribution" in found and isinstance(model, nn.Module):
        found["attribution"] = with_hidden(found["attribution"], model, images[:1], seed)
    return {name: ds.assign_attrs(samples_of=len(images)) for name, ds in found.items()}, left_out


_TRIED = 140
"""Passes for each image of all fixes that are tried: about twenty copies at seven elements."""


def _count(images: Tensor, each: float) -> int:
    """Of how many images a measure is made that takes so many multiply-adds for each."""
    few = max(2, min(4, len(images) // 3))
    return min(len(images), max(few, min(MOST_LOOKED, int(QUICK / max(each, 1.0)))))


def on_samples(ds: xr.Dataset, nouns: str = "images") -> str:
    """On how many samples something was measured, in words; empty where that is not known.

    >>> on_samples(xr.Dataset(attrs={"samples": 4, "samples_of": 24}))
    '4 of 24 images'
    """
    if "samples" not in ds.attrs:
        return ""
    return f"{ds.attrs['samples']} of {ds.attrs.get('samples_of', ds.attrs['samples'])} {nouns}"


def with_hidden(ds: xr.Dataset, model: nn.Module, images: Tensor, seed: int) -> xr.Dataset:
    """The shares with ``hidden`` over ``layer``: the modules that could not be compared, whose share each holds.

    Those that ran since the module before it that was compared; for the last row, since the last of them.
    """
    names, waiting = [str(name) for name in ds.layer.values], list[str]()
    compared = {name.split(" (call ")[0] for name in names}
    watched = {
        name: module
        for name, module in model.named_modules()
        if name and not any(name.startswith(f"{whole}.") for whole in compared)
    }
    ran: list[str] = []
    with undisturbed(model, seed), watching(watched, lambda name, *_: ran.append(name)):
        model(like_model(model, images[:1]))
    hidden = dict.fromkeys(names, "")
    inside = {name.split(" (call ")[0] for name in ran}
    for name in ran:
        if name not in hidden and any(other.startswith(f"{name.split(' (call ')[0]}.") for other in inside):
            continue  # its parts are named
        if name in hidden:
            hidden[name], waiting = ", ".join(waiting), []
        else:
            waiting.append(name)
    hidden[names[-1]] = ", ".join(waiting)
    words = np.array([hidden[name] for name in names], dtype=str)
    return ds.assign(hidden=labelled("layer", words, "modules that could not be compared, counted here"))


def with_evidence(verdicts: tuple[Verdict, ...], found: dict[str, xr.Dataset]) -> tuple[Verdict, ...]:
    """The verdicts with what the second look showed."""
    result = []
    for one in verdicts:
        if one.question in ATTRIBUTED and one.level in ("broken", "close"):
            if "attribution" in found:
                one = replace(
                    one, because=f"{one.because} {_shares(found['attribution'], ATTRIBUTED[one.question])}".strip()
                )
            if "fixes" in found:
                one = replace(one, advice=_fixes(found["fixes"]))
        if one.question == SHIFTS and one.level in ("broken", "close") and "from outside" in found:
            why, mend = told_from_outside(found["from outside"], UNEXPLAINED in one.because)
            one = replace(one, because=why, advice=mend)
        result.append(one)
    return tuple(result)


def _shares(ds: xr.Dataset, transform: int) -> str:
    """The modules that bring in most of the error, those alone whose interval leaves nothing out."""
    share, low, high = (ds[f"contribution_{end}"].values[:, transform] for end in ("mean", "low", "high"))
    whole = float(ds.whole.values[transform])
    if not whole > 0:
        return ""
    large = [at for at in np.argsort(share)[::-1][:3] if share[at] > LARGE_SHARE * whole]
    sure = [at for at in large if low[at] > 0]
    ends = {at: _interval(low[at] / whole, high[at] / whole) for at in large}
    count = on_samples(ds)
    if large and not sure:
        may = ", ".join(f"{ds.layer.values[at]} ({ends[at]})" for at in large)
        return f"Which module brings it in cannot be told from {count}: by its interval each share may be none: {may}."
    if not sure:
        return "No module brings in most of it."
    named = ", ".join(f"{ds.layer.values[at]} ({share[at] / whole:.0%}, {ends[at]}{_hidden(ds, at)})" for at in sure)
    much = "Most" if share[sure].sum() > whole / 2 else "Part"
    return f"{much} of the error at the end comes in at {named}, measured on {count}."


def _interval(low: float, high: float) -> str:
    return f"95 % interval {low:.0%} to {high:.0%}" if np.isfinite(low) else "one image, so no interval"


def _hidden(ds: xr.Dataset, at: int) -> str:
    """Whose error a share holds besides that of its own module."""
    others = str(ds.hidden.values[at]).split(", ") if "hidden" in ds.variables and str(ds.hidden.values[at]) else []
    if not others:
        return ""
    names = others[0] if len(others) == 1 else f"{others[0]} to {others[-1]}"
    return f", with what {names} before it bring{'s' * (len(others) == 1)} in, which could not be compared"


def _fixes(ds: xr.Dataset) -> str:
    """What the fixes of the geometry remove, measured on copies, and what is left to do."""
    geometry = [at for at in range(ds.sizes["finding"]) if ds.rule.values[at] not in BEYOND]
    tried = [at for at in geometry if bool(ds.repaired[at])]
    whole = float(ds.share_all)
    if not tried or not np.isfinite(whole):
        return TIE
    best = max(tried, key=lambda at: float(ds.share[at]))
    if whole < 0.05:
        return f"Mending the geometry of the layers removes next to nothing (measured on a copy). {TIE}"
    several = f"{len(tried)} layer{'s' * (len(tried) > 1)}"
    sure = _interval(float(ds.share_all_low), float(ds.share_all_high))
    if not shown(float(ds.share_all_low)):
        return (
            f"Mending the geometry of {several} does not help measurably: the share of the error that goes has the "
            f"{sure}, measured on a copy with {on_samples(ds)}. {TIE}"
        )
    share, low, high = (float(ds[name][best]) for name in ("share", "share_low", "share_high"))
    most = f"{_place(ds, best)}: {ds.fix.values[best]} ({share:.0%}, {_interval(low, high)})"
    told = (
        f"Mending the geometry of {several} removes {whole:.0%} ({sure}) of the error over turns and flips, measured "
        f"on a copy of your network with {on_samples(ds)}; "
        + (f"most of it at {most}." if low > 0 else "at which of them most of it cannot be told from so few.")
    )
    rest = float(ds.error_repaired)
    if rest < 1e-5:
        return told
    unseen = FUNCTIONS in ds.rule.values
    where = "in what is done between the modules, because all filters follow" if unseen else "in the filters"
    return f"{told} The rest, {percent(rest)}, is {where}. {TIE}"


def _place(ds: xr.Dataset, at: int) -> str:
    """Where a finding is, and which table it is about, because a module may hold more than that."""
    name = "the network itself" if str(ds.module.values[at]) == "model" else str(ds.module.values[at])
    return f"{name} ({ds.reason.values[at]})" if str(ds.rule.values[at]) == "position encoding" else name


def task_rows(ds: xr.Dataset) -> list[tuple[str, ...]]:
    """Accuracy under each move, and how much of it is lost, with the paired interval."""
    rows: list[tuple[str, ...]] = []
    for at, (name, *_) in enumerate(ASKED):
        lost, low, high = (_cell(ds, f"accuracy_lost{end}", at) for end in ("", "_low", "_high"))
        rows.append((name, _cell(ds, "accuracy", at), lost, f"{low} to {high}", f"{float(ds.loss_gained[at]):.3g}"))
    return rows


def _cell(ds: xr.Dataset, name: str, at: int) -> str:
    value: Any = float(ds[name][at])
    return f"{100 * value:.0f} %" if np.isfinite(value) else "unknown"
