"""The sweeps of an audit, one for each question, measured at once or in pieces, compared only where that is sound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor, nn

from workbench.audit.framing import fair
from workbench.audit.pieces import Pieces
from workbench.audit.questions import PERMUTATIONS, Question
from workbench.audit.reasons import why_shifted
from workbench.audit.selecting import narrowed_model
from workbench.groups import Translation
from workbench.measure import equivariance_error, infer_behaviour, undisturbed
from workbench.measure.probe import like_model, named_layers, pieces, watching

SWEEPS = 0.75
"""Part of an audit that is done after its sweeps, roughly."""
LIKE_ANY = ("image", "series")
"""Kinds of samples whose answers move alike whatever moves them, so that one trial tells it for all questions."""
_ERRORS = ("error", "relative_error", "absolute_error", "error_mean", "error_sem", "error_low", "error_high")


def sweep_all(
    model: Callable,
    inputs: Tensor,
    steps: list[Question],
    asking: dict[str, Any],
    options: dict[str, Any],
    progress: Callable[[float], None] | None,
    kept: Pieces | None,
) -> tuple[dict[str, xr.Dataset], list[str]]:
    """Each question's sweep; one that this network cannot be asked becomes a note, unless it is the only one.

    Args:
        asking: layers, select, output and the like, of all questions alike.
        options: seed, batch size and the like.

    Raises:
        ValueError: no question can be asked.
    """
    sweeps: dict[str, xr.Dataset] = {}
    notes: list[str] = []
    asking = _with_law(model, inputs, steps, asking, options)
    steps = [fair(step, model, inputs, asking, options["seed"]) for step in steps]
    total = sum(len(step.elements) for step in steps)
    done = 0
    for step in steps:
        part = _part(progress, done / total, len(step.elements) / total)
        done += len(step.elements)
        try:
            measure = equivariance_error if kept is None else kept.of(step.name)
            ds = measure(
                model,
                inputs,
                step.group,
                step.elements,
                mask=step.mask,
                padding=step.padding,
                margin=step.margin,
                input=step.input,
                progress=part,
                **_asked(step, asking, steps),
                **options,
            )
        except ValueError as error:
            if len(steps) == 1:
                raise
            notes.append(f"Not measured, {step.name}: {error}")
            continue
        sweeps[step.name] = ds
        if step.told:
            sweeps[step.name] = ds.assign_attrs(compared=step.told)
        if isinstance(step.group, Translation) and step.input in ("image", "series"):
            part_heard = narrowed_model(model, asking.get("select"))
            why, mend = why_shifted(part_heard, inputs, step, ds, options["seed"], options["cancel"])
            sweeps[step.name] = sweeps[step.name].assign_attrs(why=why, mend=mend)
        if step.input == "set" and step.watched and (last := members_last(model, inputs, options["seed"])):
            sweeps[step.name] = _without(ds, last)
            notes.append(
                f"Not compared under {PERMUTATIONS}, because their members stand on the last axis, or may: "
                f"{', '.join(last)}."
            )
    if not sweeps:
        raise ValueError(notes[0].partition(": ")[2])
    return sweeps, notes


def _with_law(
    model: Callable, inputs: Tensor, steps: list[Question], asking: dict[str, Any], options: dict[str, Any]
) -> dict[str, Any]:
    """What is asked, with the behaviour of the answer to images or series, which is the same whatever moves them."""
    kind = steps[0].input
    if str(asking["output"]) != "auto" or kind not in LIKE_ANY or any(step.input != kind for step in steps):
        return asking
    known = {"select": asking["select"], "resampler": options["resampler"], "seed": options["seed"]}
    try:
        law = infer_behaviour(model, inputs, steps[0].group, kind, **known)
    except Exception:  # code that nobody knows; the sweeps themselves say what is wrong
        return asking
    return asking if law.kind == "unknown" else asking | {"output": law}


def _asked(step: Question, asking: dict[str, Any], steps: list[Question]) -> dict[str, Any]:
    """What is asked of all, less the layers where they are not watched.

    What was declared for motions of points says nothing about permutations, besides that a result is invariant.
    """
    found = asking if step.watched else asking | {"layers": ()}
    mixed = step.input == "set" and any(other.input != "set" for other in steps)
    return found | {"output": "auto"} if mixed and str(asking["output"]) not in ("invariant", "set") else found


def members_last(model: Callable, inputs: Tensor, seed: int = 0) -> list[str]:
    """Layers whose output ``(B, C, N)`` has the N members of a set where each member's numbers are expected."""
    if not isinstance(model, nn.Module) or inputs.ndim < 2:
        return []
    count, found = inputs.shape[1], []

    def look(name: str, module: nn.Module, given: tuple, output: Any) -> None:
        for part, value in pieces(name, output).items():
            if isinstance(value, Tensor) and value.ndim == 3 and value.shape[2] == count:
                found.append(part)

    with undisturbed(model, seed), watching(named_layers(model, "all"), look):
        model(like_model(model, inputs[:2]))
    return found


def _without(ds: xr.Dataset, layers: list[str]) -> xr.Dataset:
    """The sweep with these layers not compared."""
    keep = xr.DataArray(~np.isin(ds.layer.values, layers), dims="layer")
    known = {name: ds[name].where(keep) for name in _ERRORS if name in ds.variables}
    return ds.assign(known).assign(comparable=(ds["comparable"] & keep).assign_attrs(ds["comparable"].attrs))


def _part(progress: Callable[[float], None] | None, start: float, share: float) -> Callable[[float], None] | None:
    return None if progress is None else lambda fraction: progress(SWEEPS * (start + share * fraction))
