"""Potentials and molecules that explorers show: those that ship, and a reader's own."""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from workbench.datasets.elements import covalent_radius
from workbench.datasets.molecule import Molecule, check_molecule
from workbench.datasets.molecules import molecules
from workbench.datasets.paths import checked_path, data_folder
from workbench.datasets.xyz import read_xyz
from workbench.explorers._runs import UNTRAINED, seeded
from workbench.training import Run

FOLDER = "potentials"
SHIPPED = "g2_ethanol"
MODEL = {"name": "molecular_potential", "lmax": 2}
POTENTIALS = {"trained on 148 small molecules and ethanol": SHIPPED, "untrained, random weights": UNTRAINED}
SPECIES = {
    "water": "H2O", "ammonia": "NH3", "methane": "CH4", "ethanol": "CH3CH2OH", "benzene": "C6H6", "acetic acid":
    "CH3COOH", "acetamide": "CH3CONH2", "thiophene": "C4H4S", "silane": "SiH4", "hydrogen peroxide": "H2O2",
}  # fmt: skip
BONDED = 1.25
"""Times the sum of covalent radii: atoms nearer than this are drawn bonded."""
LARGEST = 200
"""Atoms that a picture in space shows at the pace of a slider."""


@lru_cache(maxsize=8)
def potential(name: str) -> nn.Module:
    """A potential in evaluation mode; shared, do not change it."""
    if name == UNTRAINED:
        return seeded(MODEL)
    return Run(checked_path(data_folder() / FOLDER, name)).model().requires_grad_(False)


@lru_cache(maxsize=64)
def shortened(name: str, cutoff: float) -> nn.Module:
    """A potential that no longer sees what is farther away than a cutoff, its weights as they were; shared.

    From half an angstrom before the cutoff on, neighbours fade; at the potential's own cutoff it is as it was.
    """
    from workbench.e3.radial import ShortenedBasis

    shipped: Any = potential(name)
    if cutoff >= shipped.config.cutoff:
        return shipped
    net = copy.copy(shipped)  # every other part stays shared: a deep copy would take longer than a move may
    net.__dict__["_modules"] = dict(shipped._modules)
    net.radial, net.config = ShortenedBasis(shipped.radial, cutoff).eval(), replace(shipped.config, cutoff=cutoff)
    return net


def shipped_molecule(species: str, rattled: bool) -> Molecule:
    """A species of the G2 set at rest or rattled, with its GFN2-xTB energy and forces."""
    found = _g2()
    at = np.flatnonzero((found["species"].values == species) & ((found["rattle"].values > 0) == rattled))[0]
    one = found.isel(structure=int(at))
    there = one["numbers"].values > 0
    return Molecule(
        one["numbers"].values[there].astype(np.int64),
        one["positions"].values[there],
        energy=float(one["energy"]),
        forces=one["forces"].values[there].astype(np.float64),
        comment=species,
    )


@lru_cache(maxsize=1)
def _g2() -> xr.Dataset:
    return molecules("g2")


def own_molecule(given: Any) -> Molecule:
    """A reader's molecule: a `Molecule`, or the path or bytes of an .xyz file, whose first frame is taken.

    Raises ValueError with a sentence for what is no molecule, holds too many atoms to be shown, or is periodic.
    """
    if isinstance(given, str | os.PathLike | bytes):
        given = read_xyz(given)[0]
    if not isinstance(given, Molecule):
        raise TypeError(f"a {type(given).__name__} was given; expected the path of an .xyz file, or a Molecule.")
    check_molecule(given)
    if len(given.numbers) > LARGEST:
        raise ValueError(f"a molecule of {len(given.numbers)} atoms was given; expected at most {LARGEST} to draw.")
    if given.cell is not None:
        raise ValueError("a molecule in a periodic cell was given; expected one in the open: take its Lattice away.")
    return given


def bonds(numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Pairs of atoms to draw bonded, `(pairs, 2)`.

    >>> bonds(np.array([8, 1, 1]), np.array([[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])).tolist()
    [[0, 1], [0, 2]]
    """
    radius = np.array([covalent_radius(int(number)) for number in numbers])
    apart = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    near = apart < BONDED * (radius[:, None] + radius[None])
    return np.argwhere(np.triu(near, 1))


def answer(model: nn.Module, numbers: np.ndarray, positions: np.ndarray) -> tuple[float, np.ndarray]:
    """Energy in eV and forces `(N, 3)` in eV/angstrom of one molecule."""
    net: Any = model
    like = next(model.parameters())
    energy, forces = net.energy_and_forces(torch.as_tensor(positions).to(like), torch.as_tensor(numbers))
    return float(energy[0]), forces.double().numpy()
