"""One call for the impatient: a network and samples go in, numbers, findings and sentences come out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor, nn

from workbench.audit.answer import VECTORS, output_of, told_once, verdict
from workbench.audit.control import control
from workbench.audit.data import AuditData, load_data
from workbench.audit.data_look import DATA_SIDE, data_look
from workbench.audit.decisions import decisions, spread_of
from workbench.audit.evidence import second_look, with_evidence
from workbench.audit.kinds import NOUNS, PLACES, check_kind
from workbench.audit.model import AuditedModel, load_model
from workbench.audit.pieces import pieces_of
from workbench.audit.plan import FEWEST, MOST, affordable, batch_of, findings_of, samples_of, spent_on
from workbench.audit.questions import FLIPS, HALF_TURNS, ROTATIONS, SHIFTS, TURNS, questions
from workbench.audit.reasons import UNEXPLAINED
from workbench.audit.remedies import remedies
from workbench.audit.result import AuditResult
from workbench.audit.rounding import exact_below, rounding_of, with_rounding
from workbench.audit.selecting import MembersFirst, guarded, narrowed
from workbench.audit.slots import box_maps, slots_of, with_slots
from workbench.audit.sweeps import sweep_all
from workbench.audit.trial import NOISE, Trial, expected_input, in_training, prepare, trial
from workbench.audit.upfront import beside_others, stochastic
from workbench.groups import Group
from workbench.measure.behaviour import Behaviour
from workbench.measure.probe import Cancelled, report

CONTROLLED, TRIED = 0.85, 0.95
"""Parts of the whole that are done after the control and the remedies, roughly."""
USUAL = {0: ("invariant",), 1: ("invariant",), 3: ("image",), 4: ("group signal",)}
"""How an answer to an image moves where nothing else is known, by the number of axes for one image."""
POSITIONS = ("boxes", "key points", "points", "unknown")
"""Answers whose size depends on where the frame begins, and those of which nothing is known."""
FOR_IMAGES = (
    "Left out, because they are made for images: what moving costs in decisions and for the task, the control with "
    "disordered pixels, the remedies, and which symmetry the data hold."
)


def audit(
    model: AuditedModel | str | Path | Callable,
    data: AuditData | str | Path | Tensor | np.ndarray | Any,
    group: Group | str = "auto",
    *,
    weights: str | Path | None = None,
    labels: str | Path | Sequence[int] | Tensor | None = None,
    samples: int | None = None,
    size: int | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    kind: str = "auto",
    select: Any = None,
    output: str | Behaviour = "auto",
    layers: str | Iterable[str] = "all",
    n_elements: int | None = None,
    data_samples: int = 128,
    resampler: str = "bicubic",
    repeats: int | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
    scheduler: str | None = None,
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> AuditResult:
    """Which symmetry does this network have on these samples, how much, and where does it break?

    Args:
        model, weights: as in :func:`load_model`. **Importing a network by its path runs its code.**
        data, labels, size, kind: as in :func:`load_data`; the samples are images, series, points or sets.
        group: ``"auto"`` asks images after quarter turns, flips, rotations by any angle and shifts; series after
            shifts, stretches and the reversal; points after rotations, reflections, translations and permutations;
            sets after permutations. Otherwise a group's name.
        samples: how many; as many as fit the budget, from 6 to 24, where not given.
        select: key, place or attribute of the part to be audited, where the network gives a dict or tuple.
        output: how the result moves, as in :func:`workbench.measure.equivariance_error`; inferred where not given.
        mean, std: to standardise pixels with, one number or one a channel; a run brings its own.
        layers: to watch at exact elements, ``"all"``, names, or ``()``.
        n_elements: of the sweep, where the group is continuous.
        data_samples: so many pictures are asked which symmetry the data themselves hold, as a whole and, where labels
            are known, class by class; 0 leaves that out.
        folder: keeps the pieces of the sweeps, so that the same call goes on after it was stopped.
        cancel: an event or function that stops the audit.
        scheduler: address of a Dask scheduler, whose workers measure the sweeps; the network has to be named
            ``package.module:name``, which they import too.
        resampler, repeats, seed, progress: as in :func:`workbench.measure.equivariance_error`.

    Returns:
        An :class:`AuditResult`: print it for the sentences, ``save(folder)`` writes the Dataset and the report.

    Raises:
        ValueError, TypeError, FileNotFoundError: one sentence on what was given and what was expected.
        Cancelled: when asked to stop; the sentence says what is kept.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    >>> result = audit(net, torch.rand(6, 1, 8, 8), group="D(4)")
    >>> result.verdicts[0].level
    'exact'
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise ValueError(f"seed = {seed!r} was given; expected a whole number.")
    asked = {"group": group, "samples": samples, "size": size, "mean": tuple(mean), "std": tuple(std), "seed": seed}
    asked |= {"kind": None if kind == "auto" else kind, "select": select}
    asked |= {"output": None if output == "auto" else str(output), "repeats": repeats}
    code = _code(model, data, weights, labels, asked)
    whole = model if isinstance(model, AuditedModel) else load_model(model, weights)
    pieces = pieces_of(whole, folder, scheduler)
    found = narrowed(whole, select)
    samples_given, given = samples is not None, data
    data = _loaded(found, data, labels, samples, size, seed, kind, group)
    plain = data.input == "image"
    pool = _pool(given, labels, data_samples, seed) if group == "auto" and plain else None
    data = prepare(found, data, tuple(mean), tuple(std))
    shown = trial(found.model, data.inputs, seed, data.input)
    whole = guarded(whole, shown.ways)
    found = narrowed(whole, select)
    if members_first := _members_last(data, shown.shape):
        found = narrowed(whole, select := MembersFirst(select))
    spent = spent_on(found, data.inputs)
    if not samples_given:
        data = affordable(data, spent)
    batch = batch_of(spent, data.inputs)
    findings = findings_of(found, data)
    watched = () if found.end_to_end else layers
    options: dict[str, Any] = {"resampler": resampler, "seed": seed, "batch_size": batch, "cancel": cancel}
    options["repeats"] = repeats
    steps = questions(group, samples_of(data), n_elements)
    limit = exact_below(found.model)
    try:
        asking = {"layers": watched, "select": select, "output": output, "input_kind": data.kind}
        sweeps, refused = sweep_all(whole.model, data.inputs, steps, asking, options, progress, pieces)
        rounding = rounding_of(found.model, data.inputs, seed)
        sweeps = {name: with_rounding(ds, rounding) for name, ds in sweeps.items()}
        scores = shown.vectors and all(output_of(ds) == VECTORS for ds in sweeps.values())
        moved = decisions(found.model, data.inputs, seed=seed, batch_size=batch) if scores and plain else None
        spread = _spread(found, data, sweeps, seed, batch)
        verdicts = tuple(
            verdict(name, ds, found.model, findings, limit, output_of(ds), spread) for name, ds in sweeps.items()
        )
        broken = any(v.question in (TURNS, FLIPS) and v.level in ("broken", "close") for v in verdicts)
        turned = next((step for step in steps if plain and step.name in sweeps and step.name == ROTATIONS), None)
        disordered = (
            None
            if turned is None
            else control(found.model, data.inputs[:FEWEST], turned, options | {"output": _law(sweeps, ROTATIONS)})
        )
        report(progress, cancel, CONTROLLED)
        law = _law(sweeps, TURNS, HALF_TURNS, FLIPS)
        tried = remedies(found.model, data.inputs, broken and group == "auto" and plain, findings, law)
        report(None, cancel, CONTROLLED)
        more: dict[str, xr.Dataset] = {}
        left_out = [] if plain else [FOR_IMAGES]
        if plain:
            each = float(spent.multiply_adds.sum()) if spent is not None else 0.0
            labelled_too = data.labels if scores and shown.noise <= NOISE else None
            deep = broken and group == "auto"
            usual = law in USUAL.get(len(shown.shape), ())
            hidden = found.end_to_end or not isinstance(found.model, nn.Module)
            shifted = any(
                v.question == SHIFTS and v.level in ("broken", "close") and (hidden or UNEXPLAINED in v.because)
                for v in verdicts
            )
            more, left_out = second_look(
                found.model, data.inputs, labelled_too, each, deep, seed, law, usual, shifted, cancel
            )
        verdicts = told_once(with_evidence(verdicts, more))
        if plain:
            count, maps = slots_of(whole.model, data.inputs, shown.shape, seed), box_maps(select, shown.shape)
            verdicts = with_slots(verdicts, count, sweeps, steps, found.model, data.inputs, seed, maps, limit)
        report(progress, cancel, TRIED)
        if pool is not None:
            more, left_out = _asked_data(pool, seed, more, left_out, cancel)
        report(progress, cancel, 1.0)
    except Cancelled:
        raise Cancelled(stopped(folder)) from None
    limit = limit if rounding is None else max(limit, rounding.limit)
    told = [part for part in (members_first, str(tried.attrs.get("note", ""))) if part]
    said = any(stochastic(ds) > NOISE for ds in sweeps.values())
    told += _remarks(shown, data, asked["select"], in_training(found.model), said)
    notes = (*found.notes, *data.notes, *refused, *left_out, *told)
    return AuditResult(
        found, data, sweeps, disordered, verdicts, findings, tried, spent, moved, more, notes, code, limit, spread,
        beside_others(findings, found.model, data.inputs, seed),
    )  # fmt: skip


def _law(sweeps: dict[str, xr.Dataset], *asked: str) -> str:
    """How the answer was taken to move under the first of these questions that was measured, else under the first."""
    ds = next((sweeps[name] for name in asked if name in sweeps), next(iter(sweeps.values())))
    return str(ds.attrs["output"])


def stopped(folder: str | Path | None) -> str:
    """What is kept of an audit that was cancelled, and how it goes on."""
    if folder is None:
        return "the audit was cancelled and nothing of it is kept; give folder=... to keep the pieces of its sweeps."
    return f"the audit was cancelled; the finished pieces are kept in {folder}: call it again with it to go on."


def _members_last(data: AuditData, shape: tuple[int, ...]) -> str:
    """That the answer for each member stands on the last axis, where only that can be; else empty."""
    count = data.inputs.shape[1]
    if data.input not in ("points", "set") or len(shape) != 2 or shape[1] != count or shape[0] == count:
        return ""
    return f"Its answer {shape} was read as {shape[0]} numbers for each of the {count} {PLACES[data.input]}."


def affordable_samples(
    model: AuditedModel, data: Any, group: Group | str = "auto", *, size: int | None = None, mean: Sequence[float] = (),
    std: Sequence[float] = (), kind: str = "auto", select: Any = None, labels: Any = None, seed: int = 0,
) -> int:  # fmt: skip
    """How many samples an audit takes where nobody says how many; the options are those of :func:`audit`."""
    found = narrowed(model, select)
    loaded = prepare(found, _loaded(found, data, labels, None, size, seed, kind, group), tuple(mean), tuple(std))
    trial(found.model, loaded.inputs, seed, loaded.input)
    return len(affordable(loaded, spent_on(found, loaded.inputs)).inputs)


def _spread(found: AuditedModel, data: AuditData, sweeps: dict[str, xr.Dataset], seed: int, batch: int) -> float:
    """By how much the answers to two different samples differ; 1 where they are positions, which have no size."""
    if len(data.inputs) < 2 or any(str(ds.attrs["output"]).startswith(POSITIONS) for ds in sweeps.values()):
        return 1.0
    return spread_of(found.model, data.inputs, seed=seed, batch_size=batch)


def _loaded(
    found: AuditedModel,
    data: Any,
    labels: Any,
    samples: int | None,
    size: int | None,
    seed: int,
    kind: str,
    group: Group | str,
) -> AuditData:
    check_kind(kind)
    if isinstance(data, AuditData):
        if kind not in ("auto", data.input):
            raise ValueError(f"kind = {kind!r} was given for data that hold {NOUNS[data.input]}; leave it out.")
        return data
    channels, own_size = expected_input(found)
    return load_data(
        data,
        samples=MOST if samples is None else samples,
        size=own_size if size is None else size,
        channels=channels,
        labels=labels,
        seed=seed,
        kind=kind,
        group=group,
        model=found.model,
    )


def _pool(data: Any, labels: Any, count: int, seed: int) -> AuditData | None:
    """Small pictures of the data with their labels, to ask the data themselves."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ValueError(f"data_samples = {count!r} was given; expected a whole number of at least 0.")
    if count == 0 or isinstance(data, AuditData):
        return None
    found = load_data(data, samples=count, size=DATA_SIDE, channels=1, labels=labels, seed=seed, kind="image")
    return found if found.inputs.ndim == 4 else None


def _asked_data(
    pool: AuditData, seed: int, more: dict[str, xr.Dataset], left_out: list[str], cancel: Any
) -> tuple[dict[str, xr.Dataset], list[str]]:
    try:
        return {**more, "data": data_look(pool.inputs, seed, cancel, pool.labels, pool.classes)}, left_out
    except ValueError as error:
        return more, [*left_out, f"Which rotations the data hold was not measured: {error}"]


def _remarks(shown: Trial, data: AuditData, select: Any, training: str, chance_is_said: bool) -> Iterable[str]:
    part = "" if select is None else f" at {select!r}, the part of its answer that was audited"
    yield f"The network puts out {shown.output}{part}."
    if training:
        yield training
    if shown.noise > NOISE and not chance_is_said:
        yield (
            f"The network is stochastic: two runs on the same {NOUNS[data.input]} differ by {shown.noise:.2g}. The "
            "random generators were set to the seed before each sweep."
        )
    if data.showing:
        yield f"{data.showing[0].upper()}{data.showing[1:]}, chosen by the seed."


def _code(model: Any, data: Any, weights: Any, labels: Any, asked: dict[str, Any]) -> str:
    """Python that measures the same again; what was given as an object is called by its name."""

    def shown(value: Any, name: str) -> str:
        if isinstance(value, AuditedModel | AuditData):
            value = value.name
        return repr(str(value)) if isinstance(value, str | Path) else name

    rest = {"weights": weights, "labels": labels}
    given = [f"{name}={shown(value, name)}" for name, value in rest.items() if value is not None]
    given += [f"{name}={name if callable(value) else repr(value)}" for name, value in asked.items()
              if name not in ("group",) and value not in (None, ())]  # fmt: skip
    group = asked["group"].name if isinstance(asked["group"], Group) else asked["group"]
    arguments = ", ".join([shown(model, "model"), shown(data, "images"), f"group={group!r}", *given])
    return f'from workbench.audit import audit\n\nresult = audit({arguments})\nprint(result)\nresult.save("report")'
