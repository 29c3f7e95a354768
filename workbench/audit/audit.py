"""One call for the impatient: a network and images go in, numbers, findings and sentences come out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.audit.answer import MAPS, VECTORS, percent, told_once, verdict
from workbench.audit.data import AuditData, load_data
from workbench.audit.decisions import decisions
from workbench.audit.evidence import DATA_SIDE, data_look, second_look, with_evidence
from workbench.audit.model import AuditedModel, load_model
from workbench.audit.pieces import Pieces, pieces_of
from workbench.audit.questions import FLIPS, ROTATIONS, TURNS, Question, questions
from workbench.audit.remedies import remedies
from workbench.audit.result import AuditResult
from workbench.audit.trial import NOISE, Trial, expected_input, prepare, trial
from workbench.groups import Group
from workbench.measure import cost, equivariance_error, will_it_be_equivariant
from workbench.measure.probe import report

EXACT = {torch.float64: 1e-11, torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Relative error of a deep network that rounding alone can make, by dtype."""
MOST, FEWEST = 24, 6
BUDGET = 6e11
"""Multiply-adds of an audit whose number of samples nobody chose: less than a minute on two cores."""
PASSES = 110
"""Passes for each sample: about forty elements, three times that where all layers are watched, and the rest."""
BATCH_BYTES = 2**26
"""Of the largest activation of one batch."""
SWEEPS, CONTROLLED, TRIED = 0.75, 0.85, 0.95
"""Parts of the whole that are done after the sweeps, the control and the remedies, roughly."""


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
    layers: str | Iterable[str] = "all",
    n_elements: int | None = None,
    data_samples: int = 128,
    resampler: str = "bicubic",
    seed: int = 0,
    folder: str | Path | None = None,
    scheduler: str | None = None,
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> AuditResult:
    """Which symmetry does this network have on these images, how much, and where does it break?

    Args:
        model, weights: as in :func:`load_model`. **Importing a network by its path runs its code.**
        data, labels, size: as in :func:`load_data`.
        group: ``"auto"`` asks after quarter turns, flips, rotations by any angle and shifts; otherwise a group's name.
        samples: how many images; as many as fit the budget, from 6 to 24, where not given.
        mean, std: to standardise pixels with, one number or one a channel; a run brings its own.
        layers: to watch at exact elements, ``"all"``, names, or ``()``.
        n_elements: of the sweep, where the group is continuous.
        data_samples: so many pictures are asked which rotations the data themselves hold; 0 leaves that out.
        folder: keeps the pieces of the sweeps, so that the same call goes on after it was stopped.
        scheduler: address of a Dask scheduler, whose workers measure the sweeps; the network has to be named
            ``package.module:name``, which they import too.
        resampler, seed, progress, cancel: as in :func:`workbench.measure.equivariance_error`.

    Returns:
        An :class:`AuditResult`: print it for the sentences, ``save(folder)`` writes the Dataset and the report.

    Raises:
        ValueError, TypeError, FileNotFoundError: one sentence on what was given and what was expected.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    >>> result = audit(net, torch.rand(6, 1, 8, 8), group="D(4)")
    >>> result.verdicts[0].level
    'exact'
    """
    asked = {"group": group, "samples": samples, "size": size, "mean": tuple(mean), "std": tuple(std), "seed": seed}
    code = _code(model, data, weights, labels, asked)
    found = model if isinstance(model, AuditedModel) else load_model(model, weights)
    pieces = pieces_of(found, folder, scheduler)
    pool = _pool(data, data_samples, seed) if group == "auto" else None
    data = _loaded(found, data, labels, samples, size, seed)
    data = prepare(found, data, tuple(mean), tuple(std))
    shown = trial(found.model, data.inputs, seed)
    spent = _cost(found, data.inputs)
    if samples is None:
        data = _fewer(data, spent)
    batch = _batch(spent, data.inputs)
    findings = _findings(found, data.inputs)
    watched = () if found.end_to_end else layers
    options: dict[str, Any] = {"resampler": resampler, "seed": seed, "batch_size": batch, "cancel": cancel}
    steps = questions(group, (data.inputs.shape[-2], data.inputs.shape[-1]), n_elements)
    limit = EXACT.get(next((p.dtype for p in _parameters(found.model)), torch.float32), 1e-5)
    sweeps, refused = _sweeps(found.model, data.inputs, steps, watched, options, data.kind, progress, pieces)
    output = VECTORS if shown.vectors else MAPS
    moved = decisions(found.model, data.inputs, seed=seed, batch_size=batch) if shown.vectors else None
    spread = 1.0 if moved is None or len(data.inputs) < 2 else float(moved.attrs["spread"])
    verdicts = tuple(verdict(name, ds, found.model, findings, limit, output, spread) for name, ds in sweeps.items())
    broken = any(v.question in (TURNS, FLIPS) and v.level in ("broken", "close") for v in verdicts)
    control = _control(found.model, data.inputs, steps, options) if ROTATIONS in sweeps else None
    report(progress, cancel, CONTROLLED)
    tried = remedies(found.model, data.inputs, broken and group == "auto", findings)
    each = float(spent.multiply_adds.sum()) if spent is not None else 0.0
    labelled_too = data.labels if shown.vectors and shown.noise <= NOISE else None
    more, left_out = second_look(found.model, data.inputs, labelled_too, each, broken and group == "auto", seed)
    verdicts = told_once(with_evidence(verdicts, more))
    report(progress, cancel, TRIED)
    if pool is not None:
        more, left_out = _asked_data(pool, seed, more, left_out)
    report(progress, cancel, 1.0)
    if moved is not None and len(data.inputs) > 1:
        left_out = [*left_out, _scale(spread)]
    notes = (*found.notes, *data.notes, *refused, *left_out, *_remarks(shown, data))
    return AuditResult(
        found, data, sweeps, control, verdicts, findings, tried, spent, moved, more, notes, code, limit
    )  # fmt: skip


def _loaded(found: AuditedModel, data: Any, labels: Any, samples: int | None, size: int | None, seed: int) -> AuditData:
    if isinstance(data, AuditData):
        return data
    channels, own_size = expected_input(found)
    return load_data(
        data,
        samples=MOST if samples is None else samples,
        size=own_size if size is None else size,
        channels=channels,
        labels=labels,
        seed=seed,
    )


def _pool(data: Any, count: int, seed: int) -> Tensor | None:
    """Small pictures of the data, to ask the data themselves."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ValueError(f"data_samples = {count!r} was given; expected a whole number of at least 0.")
    if count == 0 or isinstance(data, AuditData):
        return None
    inputs = load_data(data, samples=count, size=DATA_SIDE, channels=1, seed=seed).inputs
    return inputs if inputs.ndim == 4 else None


def _asked_data(
    pool: Tensor, seed: int, more: dict[str, xr.Dataset], left_out: list[str]
) -> tuple[dict[str, xr.Dataset], list[str]]:
    try:
        return {**more, "data": data_look(pool, seed)}, left_out
    except ValueError as error:
        return more, [*left_out, f"Which rotations the data hold was not measured: {error}"]


def _parameters(model: Callable) -> Iterable[Tensor]:
    return model.parameters() if isinstance(model, nn.Module) else ()


def _cost(found: AuditedModel, images: Tensor) -> xr.Dataset | None:
    if found.end_to_end or not isinstance(found.model, nn.Module):
        return None
    return cost(found.model, (1, *(int(side) for side in images.shape[1:])))


def _findings(found: AuditedModel, images: Tensor) -> xr.Dataset | None:
    if found.end_to_end or not isinstance(found.model, nn.Module):
        return None
    return will_it_be_equivariant(found.model, tuple(int(side) for side in images.shape[1:]))


def _fewer(data: AuditData, spent: xr.Dataset | None) -> AuditData:
    """As many samples as the budget holds: a rule of the network's size alone, so that it is the same everywhere."""
    if spent is None:  # a program or a function does not show its size
        return _first(data, MOST // 2)
    each = PASSES * float(spent.multiply_adds.sum())
    return _first(data, max(FEWEST, min(MOST, int(BUDGET / each) if each else MOST)))


def _first(data: AuditData, count: int) -> AuditData:
    labels = None if data.labels is None else data.labels[:count]
    return replace(data, inputs=data.inputs[:count], labels=labels)


def _batch(spent: xr.Dataset | None, images: Tensor) -> int:
    own = images[0].numel() * images.element_size()
    largest = own if spent is None else max(own, int(spent.activation_bytes.max()))
    return int(max(4, min(256, BATCH_BYTES // max(1, largest))))


def _sweeps(
    model: Callable,
    images: Tensor,
    steps: list[Question],
    layers: str | Iterable[str],
    options: dict[str, Any],
    kind: str,
    progress: Callable[[float], None] | None,
    pieces: Pieces | None,
) -> tuple[dict[str, xr.Dataset], list[str]]:
    """Each question's sweep; one that this network cannot be asked becomes a note, unless it is the only one."""
    sweeps: dict[str, xr.Dataset] = {}
    refused: list[str] = []
    total = sum(len(step.elements) for step in steps)
    done = 0
    for step in steps:
        part = _part(progress, done / total, len(step.elements) / total)
        done += len(step.elements)
        try:
            measure = equivariance_error if pieces is None else pieces.of(step.name)
            sweeps[step.name] = measure(
                model,
                images,
                step.group,
                step.elements,
                layers=layers if step.watched else (),
                mask=step.mask,
                padding=step.padding,
                input_kind=kind,
                progress=part,
                **options,
            )
        except ValueError as error:
            if len(steps) == 1:
                raise
            refused.append(f"Not measured, {step.name}: {error}")
    if not sweeps:
        raise ValueError(refused[0].partition(": ")[2])
    return sweeps, refused


def _part(progress: Callable[[float], None] | None, start: float, share: float) -> Callable[[float], None] | None:
    return None if progress is None else lambda fraction: progress(SWEEPS * (start + share * fraction))


class Disordered(nn.Module):
    """The negative control: the same network, but the pixels of its input stand in a fixed disorder.

    Whatever symmetry a network's layers have, it is gone, and where the control's error is as small as the network's
    own, the network says the same about everything.
    """

    def __init__(self, model: Callable, pixels: int, seed: int = 0) -> None:
        super().__init__()
        self.model = model
        self.order = torch.randperm(pixels, generator=torch.Generator().manual_seed(seed))

    def forward(self, x: Tensor) -> Any:
        return self.model(x.flatten(2)[..., self.order.to(x.device)].view_as(x))


def _control(model: Callable, images: Tensor, steps: list[Question], options: dict[str, Any]) -> xr.Dataset:
    step = next(step for step in steps if step.name == ROTATIONS)
    some = images[:FEWEST]
    reference = next(iter(_parameters(model)), None)
    some = some if reference is None else some.to(reference.device, reference.dtype)
    disordered = Disordered(model, some.shape[-1] * some.shape[-2], options["seed"])
    return equivariance_error(
        disordered, some, step.group, step.elements, mask=step.mask, padding=step.padding, **options
    )


def _scale(spread: float) -> str:
    return (
        f"For scale: the network's answers to two different images differ by {percent(spread)}; an error of that size "
        "means that moving an image matters as much as exchanging it."
    )


def _remarks(shown: Trial, data: AuditData) -> Iterable[str]:
    yield f"The network puts out {shown.output}."
    if shown.noise > NOISE:
        yield (
            f"The network is stochastic: two runs on the same images differ by {shown.noise:.2g}; every error below "
            "that says nothing. The random generators were set to the seed before each sweep."
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
    given += [f"{name}={str(value) if isinstance(value, Group) else value!r}" for name, value in asked.items()
              if name not in ("group",) and value not in (None, ())]  # fmt: skip
    group = asked["group"].name if isinstance(asked["group"], Group) else asked["group"]
    arguments = ", ".join([shown(model, "model"), shown(data, "images"), f"group={group!r}", *given])
    return f'from workbench.audit import audit\n\nresult = audit({arguments})\nprint(result)\nresult.save("report")'
