"""What kept potentials err on molecules as they come and turned at random, and what training did to their symmetry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from workbench.training.run import Run

if TYPE_CHECKING:
    import xarray as xr

    from workbench.datasets.molecules import Structures

WEIGHTS = ("trained", "untrained")
BATCH = 10
FEW = 10  # test molecules in the fast mode


def errors_by_pose(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """Errors of the kept potentials on the test molecules in both poses, and of their turns before and after training.

    Untrained is a network of the same build and references with fresh weights, after one pass in training mode, in
    which some networks scale their first weights.

    Args:
        runs: (experiment, seed) -> the folder of a finished run of a potential.
        fast: fewer molecules.

    Returns:
        `pose_force_mae(experiment, seed, pose)` and `pose_energy_mae`; `turning_error(experiment, seed, weights)`, the
        mean over molecules of |F(Rx) - R F(x)| / |R F(x)| under one random rotation each.
    """
    import xarray as xr

    from workbench.measure import labelled, provenance
    from workbench.measure.forces import POSES

    names, seeds = list(dict.fromkeys(n for n, _ in runs)), sorted({s for _, s in runs})
    shape = len(names), len(seeds), 2
    forces, energies, turning = (np.full(shape, np.nan) for _ in range(3))
    count = 0
    for (name, seed), path in runs.items():
        run = Run(path)
        data = _structures(run.config["data"])
        test = data["test"][: FEW if fast else None]
        count, at = len(test), (names.index(name), seeds.index(seed))
        kept = _errors(run.model(), test)
        fresh = _errors(untrained(run, data["train"][:BATCH]), test)
        forces[at], energies[at] = kept["force_mae"].values, kept["energy_mae"].values
        turning[at] = float(kept["rotation_error"]), float(fresh["rotation_error"])
    poses, weights = ("experiment", "seed", "pose"), ("experiment", "seed", "weights")
    return xr.Dataset(
        {
            "pose_force_mae": labelled(poses, forces, "test, mean |force error|", "meV/angstrom"),
            "pose_energy_mae": labelled(poses, energies, "test, mean |energy error|", "meV"),
            "turning_error": labelled(weights, turning, "equivariance error of the forces under rotation"),
        },
        {
            "experiment": labelled("experiment", np.asarray(names, dtype=str), "experiment"),
            "seed": labelled("seed", np.asarray(seeds, dtype=np.int64), "seed"),
            "pose": labelled("pose", np.asarray(POSES, dtype=str), "pose"),
            "weights": labelled("weights", np.asarray(WEIGHTS, dtype=str), "weights"),
        },
        provenance(
            "errors_by_pose", seed=seeds, dtype="float32", resampler="none: points are turned", reduction="mean",
            form="relative", input_kind="test molecules", molecules=count,
        ),
    )  # fmt: skip


def untrained(run: Run, first: Structures) -> nn.Module:
    """A potential of the run's build, seed and references with fresh weights, after one pass over `first`."""
    from workbench.models import build_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.config["seed"])
        model: Any = build_model(run.config["model"]).train()
        model.get_buffer("references").copy_(run.weights()["references"])
        positions, numbers, batch, _ = first.flat()
        model.energy_and_forces(positions, numbers, batch)
    return model.eval()


def _structures(config: Mapping[str, Any]) -> Mapping[str, Structures]:
    from workbench.datasets.molecules import load_molecules

    return load_molecules(**dict(config)).splits


def _errors(model: nn.Module, structures: Structures) -> xr.Dataset:
    from workbench.training.potentials import measured

    return measured(model.eval(), structures)
