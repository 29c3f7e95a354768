"""What an audit can afford: how many samples, how many at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.audit.data import AuditData
from workbench.audit.model import AuditedModel
from workbench.audit.questions import Samples
from workbench.groups import Group, Symmetric, Translation
from workbench.measure import cost, explain, will_it_be_equivariant

MOST, FEWEST = 24, 6
BUDGET = 6e11
"""Multiply-adds of an audit whose number of samples nobody chose: less than a minute on two cores."""
PASSES = 110
"""Passes for each sample: about forty elements, three times that where all layers are watched, and the rest."""
BATCH_BYTES = 2**26
"""Of the largest activation of one batch."""


def spent_on(found: AuditedModel, inputs: Tensor) -> xr.Dataset | None:
    """What the first sample costs, where the network shows its layers; zeros are no molecule."""
    if found.end_to_end or not isinstance(found.model, nn.Module) or not 2 <= inputs.ndim <= 4:
        return None
    return cost(found.model, inputs[:1])


def findings_of(found: AuditedModel, data: AuditData, seed: int = 0) -> xr.Dataset | None:
    """The static report; of series, points and sets with the share of the error that each fix removes.

    What a fix removes from images is measured elsewhere, under turns and flips.
    """
    model, shape = found.model, tuple(int(side) for side in data.inputs.shape[1:])
    if found.end_to_end or not isinstance(model, nn.Module):
        return None
    static = will_it_be_equivariant(model, shape, None, data.input)
    if data.input == "image" or not static.sizes["finding"]:
        return static
    parts = []
    for group, elements in _moved(data):
        try:
            ds = explain(model, data.inputs[:FEWEST], group, elements, input=data.input, padding="circular", seed=seed)
        except (ValueError, RuntimeError):  # it cannot be moved so, or not be compared: the findings stand
            continue
        if ds.sizes["finding"]:
            parts.append(ds.drop_vars([str(name) for name in ds.variables if "finding" not in ds[name].dims]))
    if not parts or sum(part.sizes["finding"] for part in parts) != static.sizes["finding"]:
        return static
    number = np.arange(static.sizes["finding"])
    counted = {"samples": min(FEWEST, len(data.inputs)), "samples_of": len(data.inputs)}
    joined = xr.concat(parts, "finding").assign_coords(finding=("finding", number))
    return joined.assign_attrs(static.attrs | counted)


def _moved(data: AuditData) -> list[tuple[Group, Tensor]]:
    """What series, points and sets are moved by to measure a fix: shifts round the end, translations, orders."""
    if data.input == "series":
        steps = [[float(s)] for s in (1, 2, 4, 8, 16) if s <= data.inputs.shape[-1] // 2]
        return [(Translation(dim=1), torch.tensor(steps, dtype=torch.float64))]
    count = int(data.inputs.shape[1])
    orders = Symmetric(count).sample(4, torch.Generator().manual_seed(0), torch.float64)
    found: list[tuple[Group, Tensor]] = [(Symmetric(count), orders)] if count > 1 else []
    if data.input == "points" and data.dim in (2, 3):
        reach = samples_of(data).reach
        found.insert(0, (Translation(dim=data.dim), torch.eye(data.dim, dtype=torch.float64) * reach))
    return found


def affordable(data: AuditData, spent: xr.Dataset | None) -> AuditData:
    """As many samples as the budget holds: a rule of the network's size alone, so that it is the same everywhere."""
    if spent is None:  # a program or a function does not show its size
        return first(data, MOST // 2)
    each = PASSES * float(spent.multiply_adds.sum())
    return first(data, max(FEWEST, min(MOST, int(BUDGET / each) if each else MOST)))


def first(data: AuditData, count: int) -> AuditData:
    """The first samples alone."""
    labels = None if data.labels is None else data.labels[:count]
    return replace(data, inputs=data.inputs[:count], labels=labels)


def batch_of(spent: xr.Dataset | None, inputs: Tensor) -> int:
    """How many samples go through the network at a time."""
    own = inputs[0].numel() * inputs.element_size()
    largest = own if spent is None else max(own, int(spent.activation_bytes.max(initial=0)))
    return int(max(4, min(256, BATCH_BYTES // max(1, largest))))


def samples_of(data: AuditData) -> Samples:
    """What the questions have to know of the samples."""
    sides = tuple(int(side) for side in data.inputs.shape[1:])
    if data.input != "points":
        return Samples(data.input, sides)
    places = data.inputs[..., : data.dim]
    reach = float((places - places.mean(1, keepdim=True)).square().mean().sqrt()) if places.numel() else 0.0
    return Samples("points", sides, data.dim, reach or 1.0)
