"""How much of each symmetry did every layer keep?"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import param
import torch
import xarray as xr
from torch import nn

from workbench.explorers._explorer import Explorer
from workbench.explorers._published import published_arcs
from workbench.explorers._runs import (
    UNTRAINED,
    history,
    own_run,
    preferred,
    run_choices,
    shown_run,
    trained_model,
    with_own,
)
from workbench.groups import Group, UniformArc
from workbench.layers import group_layers
from workbench.measure.dataset import labelled
from workbench.views.symmetry import symmetry

PREFERRED = ("180_partial",)
"""The run shown first: a turn by 180 degrees changes the label there, so something had to be given up."""
WITHOUT_LAYERS = ("plain_cnn", "augmented_cnn", "separable_gcnn", "relaxed_cnn")
"""Networks without layers that learn what they keep have nothing to show on circles."""
ARC = "share of the circle kept"
GATE = "probability that the mirror is kept"


class SymmetryExplorer(Explorer):
    """The rotations and mirrors that every layer of a trained network kept, over depth and over training."""

    slug = "symmetry"
    title = "Symmetry"
    question = "How much of each symmetry did every layer keep?"
    explanation = (
        "Every layer of this network answers for a range of turns of its input, and learns how wide that range is. A "
        "full ring means that the layer treats all turns alike; a gap at the bottom means that it has learned to tell "
        "a turned picture from an upright one. The rings are read from the trained network, at the moment of training "
        "that you choose; the curves below move with it. Dashed grey curves are what the paper printed for its own, "
        "larger networks on other data: a comparison of shape, not of numbers. The last ring is yours: widen and "
        "narrow it to see which turns a layer of that width would still answer."
    )
    accepts = ("run",)

    run = param.Selector(
        objects={"untrained, random weights": UNTRAINED},
        default=UNTRAINED,
        label="Trained network",
        doc="Which trained network is shown: the data it saw, whether it could give up symmetry, and its seed.",
    )
    moment_percent = param.Number(
        100.0,
        bounds=(0, 100),
        step=1,
        label="Moment of training (percent)",
        doc="Goes back and forth through training: 0 is the first stored epoch, 100 the last.",
    )
    what_if_percent = param.Number(
        50.0,
        bounds=(1, 100),
        step=1,
        label="What if: width (percent of the circle)",
        doc="Width of the last ring. At 50 percent a layer answers for turns of up to 90 degrees either way, so "
        "that an upright and an upside-down picture share nothing.",
    )
    n = param.Integer(
        8,
        bounds=(1, 32),
        step=1,
        label="Samples",
        doc="How many orientations a full ring is sampled at (the dots); a narrower ring needs fewer of them.",
    )
    published = param.Boolean(
        True, label="Published curves", doc="Shows what the paper printed for its own networks as dashed grey curves."
    )

    def __init__(self, **values: Any) -> None:
        super().__init__()
        choices = run_choices(but=WITHOUT_LAYERS)
        self.param.run.objects = choices
        self.run = preferred(choices, *PREFERRED)
        self.set(**values)

    def set_run(self, run: object) -> None:
        """Show a network you trained, a `Run` or its folder, in the present place of the menu; None takes it away."""
        own = None if run is None else own_run(run, self.run)
        self.param.run.objects = with_own(run_choices(but=WITHOUT_LAYERS), own)
        self.attach("run", own)

    def compute(self) -> xr.Dataset:
        """Read the run at the chosen moment; nothing is computed but positions."""
        name, path = shown_run(self.run, self.attached.get("run"))
        whole = course(path)
        at = round(self.moment_percent / 100 * (whole.sizes["epoch"] - 1))
        shown = at_moment(whole, at, self.n) | kernels_at(path, at)
        if bool(whole["turns"].any()):
            shown |= what_if(self.what_if_percent / 100, self.n)
            published = published_arcs().variables if self.published else {}
            shown |= {str(name): variable for name, variable in published.items()}
        return whole.assign(shown).assign_attrs(run=name)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return symmetry(ds)


EXPLORER = SymmetryExplorer


@lru_cache(maxsize=64)
def course(path: Path | None) -> xr.Dataset:
    """The whole training of a run, layer by layer, lifting included; shared, do not change it.

    Returns:
        `arc_history(epoch, layer)` and `gate_history(epoch, layer)`, NaN where the layer's group lacks that factor and
        1 where it is kept whole by design; `learned(layer)`, `relative_depth(layer)`, `module(layer)`,
        `turns(layer)`, `mirrors(layer)`; and the run's accuracy and error over epochs.
    """
    past, layers = history(path), symmetric_layers(trained_model(path))
    groups = [layer.group for layer in layers.values()]
    names = ["lifting", *(f"layer {at}" for at in range(2, len(layers) + 1))]
    ds = xr.Dataset(
        {
            "learned": labelled("layer", [x.distribution is not None for x in layers.values()], "learns its symmetry"),
            "turns": labelled("layer", [_turns(group) for group in groups], "its group has rotations"),
            "mirrors": labelled("layer", [group.element_dim == 2 for group in groups], "its group has mirrors"),
            "relative_depth": labelled("layer", np.linspace(0, 1, len(layers)), "relative depth of the layer"),
            "module": labelled("layer", list(layers), "module of the network"),
        },
        coords={
            "layer": labelled("layer", names, "layer"),
            "epoch": labelled("epoch", past["epoch"].values, "epoch"),
        },
        attrs={**past.attrs, "showing": _showing(past)},
    )
    over_time = ("epoch", "layer")
    scalars = ("train_accuracy", "validation_accuracy", "error")
    known: dict[str, Any] = {name: past[name] for name in scalars if bool(np.isfinite(past[name]).any())}
    known["arc_history"] = labelled(over_time, _every_layer(past["arc"], ds, "turns"), ARC)
    known["gate_history"] = labelled(over_time, _every_layer(past["gate"], ds, "mirrors"), GATE)
    return ds.assign(known)


def _showing(past: xr.Dataset) -> str:
    part = past["kernel"].attrs.get("showing", "") if "kernel" in past else ""
    return f"showing {part}" if part else ""


def _turns(group: Group) -> bool:
    return group.order is None or group.order > group.element_dim


def symmetric_layers(model: nn.Module) -> dict[str, Any]:
    """Group convolutions that look beyond one pixel, by module name; pointwise shortcuts are never partial."""
    return {name: layer for name, layer in group_layers(model).items() if layer.kernel_size > 1}


def at_moment(whole: xr.Dataset, at: int, n: int) -> dict[str, Any]:
    """Arcs, gates and sampled elements at one stored epoch, as variables to add to the `course`.

    Args:
        whole: the course of the run.
        at: number of the stored epoch.
        n: samples of a full circle.
    """
    arcs, gates = whole["arc_history"].values[at], whole["gate_history"].values[at]
    angles, used = zip(*(_samples(float(share), n) for share in arcs), strict=True)
    return {
        "arc": labelled("layer", arcs, ARC),
        "gate_probability": labelled("layer", gates, GATE),
        "element_angle_deg": labelled(("layer", "element"), np.stack(angles), "sampled element", "degrees"),
        "element_used": labelled(("layer", "element"), np.stack(used), "whether the element is drawn"),
        "epoch_shown": labelled((), whole["epoch"].values[at], "epoch shown"),
    }


@lru_cache(maxsize=64)
def _kernels(path: Path | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Stored kernels `(snapshot, layer, number, y, x)` of a run's group layers and the epochs they were taken at.

    Each layer's are shares of its largest weight in all of training, so that what changes is not hidden by rescaling.
    """
    past, modules = history(path), list(course(path)["module"].values)
    if "kernel" not in past:
        return None
    known = list(past["kernel_layer"].values)
    stored = past["kernel"].transpose("snapshot", "kernel_layer", "kernel_number", "y", "x").values
    taken = np.stack([stored[:, known.index(m)] if m in known else 0 * stored[:, 0] for m in modules], axis=1)
    largest = np.abs(taken).max(axis=(0, 2, 3, 4), keepdims=True)
    return taken / np.where(largest > 0, largest, 1), past["snapshot_epoch"].values


def kernels_at(path: Path | None, at: int) -> dict[str, Any]:
    """The kernels stored nearest to one epoch, as a variable; nothing where a run stored none."""
    stored = _kernels(path)
    if stored is None:
        return {}
    nearest = int(np.abs(stored[1] - course(path)["epoch"].values[at]).argmin())
    return {"kernel_shown": labelled(("layer", "number", "y", "x"), stored[0][nearest], "share of the largest weight")}


def what_if(share: float, n: int) -> dict[str, Any]:
    """The elements that a layer of the given share of the circle would be sampled at, as variables."""
    angles, used = _samples(share, n)
    return {
        "what_if_arc": labelled((), share, "share of the circle, as you set it"),
        "what_if_angle_deg": labelled("what_if_element", angles, "sampled element", "degrees"),
        "what_if_used": labelled("what_if_element", used, "whether the element is drawn"),
    }


def _every_layer(learned: xr.DataArray, layers: xr.Dataset, whole: str) -> np.ndarray:
    """One column for each layer `(epoch, layer)`: what it learned, or 1 where it keeps the whole factor by design."""
    values = np.full((learned.sizes["epoch"], layers.sizes["layer"]), np.nan)
    values[:, ~layers["learned"].values & layers[whole].values] = 1.0
    names = list(learned["layer"].values)
    for column, module in enumerate(layers["module"].values):
        if module in names:
            values[:, column] = learned.values[:, names.index(module)]
    return values


@lru_cache(maxsize=1024)
def _samples(share: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Angles in degrees `(n,)` of the samples of an arc in evaluation, and which of the n are drawn."""
    angles, used = np.zeros(n), np.zeros(n, dtype=bool)
    if np.isnan(share):
        used[0] = True
        return angles, used
    with torch.inference_mode():
        drawn = UniformArc(min(1.0, max(share, 1e-3))).eval().rsample(n).elements[:, 0]
    angles[: len(drawn)], used[: len(drawn)] = np.rad2deg(drawn.numpy()), True
    return angles, used
