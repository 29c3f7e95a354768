"""Potentials and molecules that explorers show: those that ship, and a reader's own."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import nn

from workbench.datasets.elements import SYMBOLS, covalent_radius
from workbench.datasets.molecule import Molecule, check_molecule
from workbench.datasets.molecules import molecules
from workbench.datasets.paths import checked_path, data_folder
from workbench.datasets.structures import of_ase, read_structures
from workbench.datasets.xyz import read_xyz
from workbench.e3.copies import copied
from workbench.explorers._runs import UNTRAINED, seeded
from workbench.measure.motions import InField
from workbench.training import Run

FOLDER = "potentials"
SHIPPED = "g2_ethanol"
MODEL = {"name": "molecular_potential", "lmax": 2}
POTENTIALS = {"trained on 148 small molecules and ethanol": SHIPPED, "untrained, random weights": UNTRAINED}
IN_FIELD = "in_field"
BROKEN = {"trained, in a field along z: not equivariant": IN_FIELD}
SPECIES = {
    "water": "H2O", "ammonia": "NH3", "methane": "CH4", "ethanol": "CH3CH2OH", "benzene": "C6H6", "acetic acid":
    "CH3COOH", "acetamide": "CH3CONH2", "thiophene": "C4H4S", "silane": "SiH4", "hydrogen peroxide": "H2O2",
}  # fmt: skip
BONDED = 1.25
"""Times the sum of covalent radii: atoms nearer than this are drawn bonded."""
LARGEST = 200
"""Atoms that a picture in space shows at the pace of a slider."""
MOST_FRAMES = 1000
"""Frames of a file that comes from a page, which waits for it."""


@lru_cache(maxsize=8)
def potential(name: str) -> nn.Module:
    """A potential in evaluation mode; shared, do not change it."""
    if name == UNTRAINED:
        return seeded(MODEL)
    if name == IN_FIELD:
        return InField(potential(SHIPPED)).eval()
    return Run(checked_path(data_folder() / FOLDER, name)).model().requires_grad_(False)


@lru_cache(maxsize=8)
def in_float64(model: nn.Module) -> nn.Module:
    """An exact copy of a potential that does not change any more; shared."""
    return copied(model).double().eval()


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


class Own(NamedTuple):
    """A reader's molecule, and of how many frames it is the first."""

    molecule: Molecule
    frames: int = 1


def own_molecule(given: Any, known: Sequence[int] | None) -> Own:
    """A reader's molecule, checked.

    Args:
        given: a `Molecule`, ASE's `Atoms`, the bytes of an .xyz file, or the path of one or, where ASE is installed, of
            any file that it reads; the first frame is taken.
        known: atomic numbers that the network knows, where it says so.

    Raises:
        ValueError: no molecule, too many atoms to be shown, an element that the network does not know, or a cell.
        TypeError: something else.
    """
    frames: Sequence[Any] = (given,)
    if isinstance(given, bytes):
        frames = read_xyz(given, MOST_FRAMES)
    elif isinstance(given, str | os.PathLike):
        frames = read_structures(given)
    elif hasattr(given, "get_positions") and hasattr(given, "numbers"):
        frames = (of_ase(given),)
    first = frames[0]
    if not isinstance(first, Molecule):
        raise TypeError(
            f"a {type(given).__name__} was given; expected the path of an .xyz file, a Molecule, or Atoms of ASE."
        )
    check_molecule(first)
    if len(first.numbers) > LARGEST:
        raise ValueError(f"a molecule of {len(first.numbers)} atoms was given; expected at most {LARGEST} to draw.")
    if first.cell is not None:
        raise ValueError("a molecule in a periodic cell was given; expected one in the open: take its Lattice away.")
    check_known(first, known)
    return Own(first, len(frames))


def check_known(molecule: Molecule, known: Sequence[int] | None) -> None:
    """Refuse a molecule with an element that the network does not know."""
    strange = sorted(set(molecule.numbers.tolist()) - set(known or molecule.numbers.tolist()))
    if strange:
        raise ValueError(
            f"a molecule with {', '.join(SYMBOLS[z - 1] for z in strange)} was given; this network knows "
            f"{', '.join(SYMBOLS[z - 1] for z in known or ())}; bring another molecule, or a network that knows them."
        )


def elements(model: nn.Module) -> Sequence[int] | None:
    """Atomic numbers that a potential says it knows, None where it says nothing."""
    inner: Any = model.potential if isinstance(model, InField) else model
    said = getattr(inner, "elements", None)
    return said if isinstance(said, tuple | list) else None


def alone(model: nn.Module, positions: np.ndarray) -> int:
    """How many atoms have no neighbour within the potential's cutoff; 0 where it states none."""
    inner: Any = model.potential if isinstance(model, InField) else model
    cutoff = getattr(getattr(inner, "config", None), "cutoff", np.inf)
    apart = np.linalg.norm(positions[:, None] - positions[None], axis=-1) + np.diag(np.full(len(positions), np.inf))
    return int((apart.min(1) >= cutoff).sum()) if np.isfinite(cutoff) else 0


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
    like = next(model.parameters(), torch.zeros((), dtype=torch.float64))
    known = torch.as_tensor(numbers)
    energy, forces = net.energy_and_forces(torch.as_tensor(positions).to(like), known, torch.zeros_like(known))
    return float(energy[0]), forces.double().numpy()
