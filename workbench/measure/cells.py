"""The pieces into which a long sweep is cut: some samples and some elements, each measured by itself."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from workbench import __version__
from workbench.measure.behaviour import Behaviour
from workbench.measure.dataset import labelled
from workbench.measure.question import Question
from workbench.measure.state import undisturbed
from workbench.measure.sweep import Sweep
from workbench.measure.tables import PER_SAMPLE, per_sample

MOST_ELEMENTS = 32
"""Of one cell: each cell costs one more pass, over its samples as they are, and is done by one worker."""
CELL_NUMBERS = 2**22
"""Kept of one cell, at most so many of each layer, element, sample and form (32 MB)."""


@dataclass(frozen=True)
class Cell:
    """Samples ``start`` to ``stop``, and of the elements, in the order in which they are measured, some."""

    start: int
    stop: int
    first: int
    last: int

    @property
    def name(self) -> str:
        return f"part-{self.start:09d}-{self.first:05d}.nc"

    @property
    def size(self) -> int:
        return (self.stop - self.start) * (self.last - self.first)


def cells(start: int, samples: int, elements: int, layers: int, at_once: int) -> Iterator[Cell]:
    """The cells of one chunk of samples: of whole forward passes, or of one short one.

    A short last pass is measured under several elements at once, so cells end where such a group of elements ends:
    every forward pass is the one that the undivided sweep makes, to the bit.

    >>> [(cell.first, cell.last) for cell in cells(0, 8, 100, 1, 8)]
    [(0, 25), (25, 50), (50, 75), (75, 100)]
    """
    together = max(1, at_once // (samples % at_once or at_once))
    most = max(1, min(MOST_ELEMENTS, CELL_NUMBERS // (5 * layers * samples)))
    pieces = math.ceil(elements / most)
    step = math.ceil(math.ceil(elements / pieces) / together) * together
    for first in range(0, elements, step):
        yield Cell(start, start + samples, first, min(first + step, elements))


def seeded(question: Question, cell: Cell) -> Question:
    """The question with a seed of the cell's own: its numbers do not depend on what was measured before it."""
    digest = hashlib.sha256(f"{question.seed} {cell.start} {cell.first}".encode()).digest()
    return replace(question, seed=int.from_bytes(digest[:7], "big"))


def measure_cell(
    model: Callable,
    images: Tensor,
    question: Question,
    law: Behaviour,
    elements: Tensor,
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> xr.Dataset:
    """The sweep of a few samples under a few elements, with every number that the whole sweep finds for them.

    Averaged over as many runs as the question names; whether there is chance in the model was found out before.
    """
    small = question.of(elements, law)
    sweep = small.sweep(model, images)
    sweep.stochastic, sweep.repeats = 0.0, question.repeats or 1
    with undisturbed(model, question.seed):
        sweep.measure(images, progress, cancel)
    return _table(sweep, question.form)


def _table(sweep: Sweep, form: str) -> xr.Dataset:
    kept = per_sample(form)
    variables = {
        name: labelled(dims, values, words, units)
        for name, values in sweep.values().items()
        for dims, words, units in [kept[name]]
        if name != "error"  # it is one of the forms
    }
    exact = torch.stack([sweep.exact[name] for name in sweep.names])
    variables["exact"] = labelled(PER_SAMPLE[:2], exact, "g acted on the output without interpolation")
    attrs = {
        "largest_output": sweep.largest_output,
        "refused": json.dumps(sweep.refused),
        "passed_over": json.dumps(sweep.passed_over),
        "versions": versions(),
    }
    return xr.Dataset(variables, {"layer": labelled("layer", sweep.names, "layer")}, attrs)


def versions() -> str:
    """Of what decides the last bits."""
    return f"workbench {__version__}, torch {torch.__version__}"
