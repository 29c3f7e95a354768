"""What is asked of a model, checked: everything about a sweep but the model and the samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from workbench.actions import PADDINGS, RESAMPLERS
from workbench.actions.images import check_choice
from workbench.actions.lattice import check_rows
from workbench.actions.masks import MASKS
from workbench.groups import Group, parse_group
from workbench.measure.behaviour import Behaviour, input_kind_of, parse_behaviour
from workbench.measure.compare import FORMS, Action
from workbench.measure.dataset import labelled
from workbench.measure.inference import checked_inputs, size_of
from workbench.measure.interval import INTERVALS, interval_name
from workbench.measure.orbit import orbit, transform_coords
from workbench.measure.probe import SCOPE, check_model, left_out
from workbench.measure.provenance import provenance
from workbench.measure.sweep import Sweep

ERROR_MASKS = (*MASKS, "overlap")
STOCHASTIC = ("average", "refuse")
_NO_RESAMPLING = ("points", "set")
_PLACES = {"image": "pixels", "series": "samples", "points": "points", "set": "members"}


@dataclass(frozen=True, eq=False)
class Question:
    """The options of :func:`workbench.measure.equivariance_error`, checked, with the names and shapes resolved."""

    group: Group
    elements: Tensor
    input: str
    output: Behaviour | None
    layers: str | tuple[str, ...]
    select: Any
    resampler: str
    padding: str
    mask: str
    margin: float
    form: str
    eps: float
    interval: str
    stochastic: str
    repeats: int | None
    input_kind: str
    seed: int
    batch_size: int
    transform_dtype: torch.dtype | None
    inner: dict[str, Behaviour] | None = None  # laws of layers that were tried before

    def action(self, images: Tensor) -> Action:
        size = size_of(images, self.input)
        return Action(
            self.elements, self.group, self.resampler, self.padding, self.mask, size, self.transform_dtype, self.input,
            self.margin,
        )  # fmt: skip

    def sweep(self, model: Callable, images: Tensor) -> Sweep:
        """A run that has not begun, for images of this shape."""
        sweep = Sweep(
            model,
            self.action(images),
            self.layers,
            self.output,
            self.form,
            self.eps,
            self.batch_size,
            self.select,
            self.repeats,
            refuse=self.stochastic == "refuse",
        )
        sweep.inner = sweep.inner if self.inner is None else self.inner
        return sweep

    def of(self, elements: Tensor, output: Behaviour) -> Question:
        """The same question of some of its elements, of an output whose behaviour is known."""
        return replace(self, elements=elements, output=output)

    def coordinates(self, images: Tensor) -> dict[str, tuple]:
        """Those over ``transform``."""
        action = self.action(images[:1])
        exact = action.exact(action.source(images[:1]))
        coords = transform_coords(self.elements, self.group, self.input)
        coords["lattice"] = labelled("transform", exact, f"g moves input {_PLACES[self.input]} without interpolation")
        return coords

    def attributes(self, model: Callable, images: Tensor, samples: int, sweep: Sweep) -> dict[str, Any]:
        """What the Dataset says of itself; ``images`` stand for the dtype and shape, ``samples`` for their number."""
        law = sweep.law
        assert law is not None  # decided while measuring
        resampled = self.input not in _NO_RESAMPLING or law.kind == "boxes"
        size = size_of(images, self.input)
        return provenance(
            "equivariance_error",
            seed=self.seed,
            dtype=images.dtype,
            resampler=self.resampler if resampled else None,
            padding=self.padding if resampled else None,
            mask=self.mask if resampled else None,
            margin=self.margin,
            reduction=f"{self.form}, norm over channels, group and {_PLACES[self.input]}; mean over samples",
            input_kind=self.input_kind or None,
            group=self.group.name,
            form=self.form,
            eps=self.eps,
            input=self.input,
            output=str(law),
            output_confidence=law.confidence,
            output_why=law.why,
            interval=interval_name(self.interval, samples),
            stochastic=sweep.stochastic,
            repeats=sweep.repeats,
            input_size=f"{size[0]} x {size[1]}",
            samples=samples,
            model=type(model).__name__
            if isinstance(model, torch.nn.Module)
            else getattr(model, "__name__", "callable"),
            sides="left action, f(g x) against g f(x)",
            largest_output=sweep.largest_output,
            scope=SCOPE if sweep.layers else "the output alone",
            passed_over=left_out(sweep.layers, sweep.names, sweep.passed_over | sweep.refused),
        )


def ask(
    model: Callable,
    images: Tensor,
    group: Group | str,
    elements: Tensor | None,
    *,
    n_elements: int,
    layers: Any,
    input: str,
    output: str | Behaviour,
    margin: float,
    interval: str,
    stochastic: str,
    repeats: int | None,
    **plain: Any,
) -> tuple[Question, Tensor]:
    """The checked question, and the images as the model takes them; see the measure for the options."""
    group = parse_group(group)
    _check_options(model, **{name: plain[name] for name in _CHECKED})
    _check_new_options(interval, stochastic, repeats, margin)
    declared = None if output == "auto" else parse_behaviour(output)
    kind = input_kind_of(images, group, input)
    images = checked_inputs(model, images, group, kind)
    elements = orbit(group, n_elements) if elements is None else torch.as_tensor(elements)
    check_rows(elements, group)
    names = layers if isinstance(layers, str) else tuple(layers)
    question = Question(
        group, elements.detach().cpu(), kind, declared, names, margin=margin, interval=interval,
        stochastic=stochastic, repeats=repeats, **plain,
    )  # fmt: skip
    return question, images


_CHECKED = ("resampler", "padding", "mask", "form", "batch_size", "eps")


def _check_options(model, resampler, padding, mask, form, batch_size, eps) -> None:
    check_model(model)
    check_choice("resampler", resampler, RESAMPLERS)
    check_choice("padding", padding, PADDINGS)
    check_choice("mask", mask, ERROR_MASKS)
    check_choice("form", form, FORMS)
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size = {batch_size!r} was given; expected a positive number of images; use 256.")
    if not 0 < eps < 1:
        raise ValueError(f"eps = {eps} was given; expected a small positive number; use 1e-12.")


def _check_new_options(interval: str, stochastic: str, repeats: object, margin: object) -> None:
    check_choice("interval", interval, INTERVALS)
    check_choice("stochastic", stochastic, STOCHASTIC)
    if repeats is not None and (isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1):
        raise ValueError(f"repeats = {repeats!r} was given; expected a positive number of runs, or None.")
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 <= margin < 2**20:
        raise ValueError(f"margin = {margin!r} was given; expected pixels from 0 on; use half a receptive field.")
