"""How redundant the group kernels of finished runs are: beside the same networks before training and plain chance, and
by what is lost when the redundant part alone is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from workbench.models import build_model
from workbench.training.evaluation import evaluate
from workbench.training.randomness import own_randomness
from workbench.training.run import Run

if TYPE_CHECKING:
    import xarray as xr

COMPONENTS = 8
"""Singular components that are kept; the others hold less."""
WEIGHTS = ("independent", "drawn", "trained")
KEPT = (1, 2, 3, 4, 8)
"""Pictures that are kept of each row of kernels when trained networks are cut."""
IMAGES = 128  # of the test split, in the fast mode


def group_energies(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """Energy of the singular components of every group convolution of finished runs: as drawn, and as trained.

    Args:
        runs: (experiment, seed) -> the folder of a finished run.
        fast: taken and not used: nothing here is slow.

    Returns:
        `group_energy(experiment, seed, group_layer, weights, component)`, from :func:`workbench.measure.redundancy` at
        the layer's own number of elements; `weights` is "trained", "drawn" (the same network before its first step), or
        "independent": kernels of the same shape in which every weight within the disc is a number of its own. NaN
        where a run has no such layer, 0 for components beyond its elements.
    """
    import xarray as xr

    from workbench.measure import labelled, provenance

    names, seeds = list(dict.fromkeys(n for n, _ in runs)), sorted({s for _, s in runs})
    found: dict[tuple[int, int, str], np.ndarray] = {}
    for (name, seed), path in runs.items():
        run = Run(path)
        with own_randomness(seed):
            drawn = build_model(run.config["model"]).eval()
            chance = layer_energies(drawn, independent=True)
        three = chance, layer_energies(drawn), layer_energies(run.model())
        for layer in chance:
            found[names.index(name), seeds.index(seed), layer] = np.stack([energies[layer] for energies in three])
    layers = list(dict.fromkeys(layer for *_, layer in found))
    values = np.full((len(names), len(seeds), len(layers), len(WEIGHTS), COMPONENTS), np.nan)
    for (experiment, seed, layer), energies in found.items():
        values[experiment, seed, layers.index(layer)] = energies
    dims = ("experiment", "seed", "group_layer", "weights", "component")
    return xr.Dataset(
        {"group_energy": labelled(dims, values, "share of the energy of all kernels of a layer")},
        {
            "experiment": labelled("experiment", np.asarray(names, dtype=str), "experiment"),
            "seed": labelled("seed", np.asarray(seeds, dtype=np.int64), "seed"),
            "group_layer": labelled("group_layer", np.asarray(layers, dtype=str), "group convolution"),
            "weights": labelled("weights", list(WEIGHTS), "where the weights are from"),
            "component": labelled("component", np.arange(1, COMPONENTS + 1), "singular component"),
        },
        provenance(
            "group_energies", seed=seeds, dtype="float64",
            reduction="mean over pairs of channels, weighted by the size of their kernels",
        ),
    )  # fmt: skip


def layer_energies(model: nn.Module, independent: bool = False) -> dict[str, np.ndarray]:
    """Name of each group convolution in order -> energies ``(COMPONENTS,)`` of its singular components.

    Args:
        model: with its group convolutions at their own numbers of elements.
        independent: of normal numbers in the places of its weights, from torch's global generator.

    >>> from workbench.layers import LiftingConv, SeparableConv
    >>> net = nn.Sequential(LiftingConv(1, 2, 5, n=4), SeparableConv(2, 2, 5, n=4))
    >>> {name: float(energy[0].round(6)) for name, energy in layer_energies(net).items()}
    {'1': 1.0}
    """
    from workbench.layers import GroupConv
    from workbench.measure import kernels, redundancy

    found = {}
    for name, layer in model.named_modules():
        if isinstance(layer, GroupConv):
            stored = kernels(layer)
            if independent:
                weights = stored["kernel"].values
                stored["kernel"] = stored["kernel"].copy(data=torch.randn(weights.shape).numpy() * (weights != 0))
            energy = redundancy(layer, stored=stored)["energy"].values[:COMPONENTS]
            found[name] = np.pad(energy, (0, COMPONENTS - len(energy)))
    return found


def cut_accuracies(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """Test accuracy of trained networks with whole kernels of which only the strongest pictures are kept.

    Args:
        runs: (experiment, seed) -> the folder of a finished run.
        fast: fewer test images.

    Returns:
        `cut_accuracy(experiment, seed, kept)`, NaN for networks without whole kernels over a group.
    """
    import xarray as xr

    from workbench.datasets import load
    from workbench.measure import labelled, provenance

    names, seeds = list(dict.fromkeys(n for n, _ in runs)), sorted({s for _, s in runs})
    found = np.full((len(names), len(seeds), len(KEPT)), np.nan)
    for (name, seed), path in runs.items():
        run = Run(path)
        if run.config["model"]["name"] != "separable_gcnn":
            continue
        model = run.model()
        if not any(True for _ in _whole(model)):
            continue
        options = dict(run.config["data"])
        images, labels = load(options.pop("name"), **options).splits["test"]
        few = slice(IMAGES if fast else None)
        for at, kept in enumerate(KEPT):
            with cut(model, kept):
                result = evaluate(model, images[few], labels[few])
            found[names.index(name), seeds.index(seed), at] = result.accuracy
    return xr.Dataset(
        {"cut_accuracy": labelled(("experiment", "seed", "kept"), found, "test accuracy of kernels that were cut")},
        {
            "experiment": labelled("experiment", np.asarray(names, dtype=str), "experiment"),
            "seed": labelled("seed", np.asarray(seeds, dtype=np.int64), "seed"),
            "kept": labelled("kept", np.asarray(KEPT), "pictures kept of each row of kernels"),
        },
        provenance(
            "cut_accuracies", seed=seeds, dtype="float32", reduction="mean over images", input_kind="test images"
        ),
    )


@contextmanager
def cut(model: nn.Module, kept: int) -> Iterator[None]:
    """A block in which every whole kernel over a group is the sum of its strongest pictures times numbers.

    Each row of kernels, one output element and pair of channels, is cut by itself; the rows stay turned copies of each
    other, so the network stays as equivariant as it was.
    """
    layers = list(_whole(model))
    try:
        for layer in layers:
            layer.kernels.values = _cut(layer.kernels.values, kept)
            layer._forget()
        yield
    finally:
        for layer in layers:
            del layer.kernels.values  # back to the method of its class
            layer._forget()


def _whole(model: nn.Module) -> Iterator[Any]:
    """Group convolutions whose kernels are no products."""
    from workbench.layers import GroupConv, SeparableConv

    for layer in model.modules():
        if isinstance(layer, GroupConv) and (not isinstance(layer, SeparableConv) or layer._dense):
            yield layer


def _cut(values: Callable[..., Tensor], kept: int) -> Callable[..., Tensor]:
    """What makes the kernels ``(C_out, S_out, C_in, S_in, T)``, with at most so many pictures in each row."""

    def some(outputs: Tensor, inputs: Tensor, uniform: bool = False, taps: Any = None, few: Any = None) -> Tensor:
        whole = values(outputs, inputs, uniform, None, few)
        left, size, right = torch.linalg.svd(whole.double(), full_matrices=False)
        rows = ((left[..., :kept] * size[..., None, :kept]) @ right[..., :kept, :]).to(whole)
        return rows if taps is None else rows[..., list(taps)]

    return some
