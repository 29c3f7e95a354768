"""How redundant the group kernels of finished runs are, beside the same networks before training and plain chance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from workbench.models import build_model
from workbench.training.randomness import own_randomness
from workbench.training.run import Run

if TYPE_CHECKING:
    import xarray as xr

COMPONENTS = 8
"""Singular components that are kept; the others hold less."""
WEIGHTS = ("independent", "drawn", "trained")


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
