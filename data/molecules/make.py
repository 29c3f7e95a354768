"""Make ethanol.nc, g2.nc and scans.nc: GFN2-xTB energies, forces and dipoles of small molecules.

    pip install "equivariance-workbench[chemistry]" && python make.py [FOLDER]

The same versions on the same machine give the same files. About a quarter of a minute on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import ase
import numpy as np
import xarray as xr
from ase.build import molecule
from ase.collections import g2
from ase.optimize import BFGS
from tblite.ase import TBLite

from workbench.measure import labelled, provenance, save

SEED = 0
DECIMALS = 6  # of positions in angstrom, rounded before the energy is computed
RATTLE_G2 = 0.05
RATTLE_ETHANOL = (0.03, 0.12)
SETTLED = 0.005  # eV/angstrom: the largest force of a relaxed geometry
STEP_DEG = 5
ELECTRONIC_TEMPERATURE = 300.0  # K
LICENCE = (
    "numbers computed for this file, MIT; geometries start from those of the G2 set as ASE (LGPL-2.1-or-later) carries "
    "them, energies by tblite (LGPL-3.0-or-later); neither program is part of this file"
)
SOURCE = (
    "GFN2-xTB: C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019); G2 set: L. A. Curtiss et "
    "al., J. Chem. Phys. 106, 1063 (1997)"
)


@dataclass
class Rows:
    """Structures of one file, and what is said about each of them."""

    atoms: list[ase.Atoms] = field(default_factory=list)
    energy: list[float] = field(default_factory=list)
    forces: list[np.ndarray] = field(default_factory=list)
    dipole: list[np.ndarray] = field(default_factory=list)
    about: list[dict[str, object]] = field(default_factory=list)

    def add(self, atoms: ase.Atoms, **about: object) -> None:
        """Compute one structure, in a calculator of its own: no result depends on the one before."""
        atoms = fresh(atoms)
        self.energy.append(atoms.get_potential_energy())
        self.forces.append(atoms.get_forces())
        self.dipole.append(atoms.get_dipole_moment())
        self.atoms.append(atoms)
        self.about.append(about)


def fresh(atoms: ase.Atoms) -> ase.Atoms:
    """A copy with rounded positions and a new calculator; the spin is that of the set's magnetic moments."""
    copy = atoms.copy()
    copy.positions = np.round(copy.positions, DECIMALS) + 0.0
    unpaired = round(abs(float(atoms.get_initial_magnetic_moments().sum())))
    copy.calc = TBLite(
        method="GFN2-xTB", multiplicity=unpaired + 1, accuracy=0.1, verbosity=0,
        electronic_temperature=ELECTRONIC_TEMPERATURE,
    )  # fmt: skip
    return copy


def relaxed(name: str) -> ase.Atoms:
    """The species of that name at rest in GFN2-xTB, turned and shifted nowhere."""
    atoms = fresh(molecule(name))
    with BFGS(atoms, logfile=None) as search:
        if not search.run(fmax=SETTLED, steps=500):
            raise RuntimeError(f"{name} did not settle")
    return atoms


def rattled(atoms: ase.Atoms, sigma: float, rng: np.random.Generator) -> ase.Atoms:
    """A copy whose every coordinate moved by a normal deviate of `sigma` angstrom."""
    copy = atoms.copy()
    copy.positions = copy.positions + rng.normal(scale=sigma, size=copy.positions.shape)
    return copy


def ethanol() -> xr.Dataset:
    """600 rattled geometries, 400 to train, 100 to validate, 100 to test."""
    rng, rows, start = np.random.default_rng(SEED), Rows(), molecule("CH3CH2OH")
    for at in range(600):
        sigma = float(rng.uniform(*RATTLE_ETHANOL))
        split = "train" if at < 400 else "validation" if at < 500 else "test"
        rows.add(rattled(start, sigma, rng), split=split, rattle=sigma, species="CH3CH2OH")
    return dataset(rows, "ethanol", start="G2 geometry, rattled")


def species() -> Iterator[str]:
    """Names of the G2 set with more than one atom."""
    return (name for name in g2.names if len(g2[name]) > 1)


def small_molecules() -> xr.Dataset:
    """Each species relaxed, and rattled twice; the second rattled geometry of each fifth species is the test split."""
    rng, rows = np.random.default_rng(SEED + 1), Rows()
    for at, name in enumerate(species()):
        rest = relaxed(name)
        rows.add(rest, split="train", rattle=0.0, species=name)
        for again in range(2):
            split = "train" if again == 0 or at % 5 > 1 else ("test", "validation")[at % 5]
            rows.add(rattled(rest, RATTLE_G2, rng), split=split, rattle=RATTLE_G2, species=name)
    return dataset(rows, "g2", start="G2 geometry, relaxed in GFN2-xTB")


def scans() -> xr.Dataset:
    """Rigid turns of ethanol's C-C-O-H and methyl dihedrals, each clean and rattled."""
    rng, rows, rest = np.random.default_rng(SEED + 2), Rows(), relaxed("CH3CH2OH")
    oxygen = int(np.flatnonzero(rest.numbers == 8)[0])
    carbons = np.flatnonzero(rest.numbers == 6)
    near = int(min(carbons, key=lambda c: rest.get_distance(int(c), oxygen)))
    far = int(next(c for c in carbons if c != near))
    hydrogens = [int(h) for h in np.flatnonzero(rest.numbers == 1)]
    hydroxyl = [h for h in hydrogens if rest.get_distance(h, oxygen) < 1.1]
    methyl = [h for h in hydrogens if rest.get_distance(h, far) < 1.2]
    for scan, quartet, moved in (
        ("C-C-O-H", (far, near, oxygen, hydroxyl[0]), hydroxyl),
        ("methyl", (oxygen, near, far, methyl[0]), methyl),
    ):
        for angle in range(0, 361, STEP_DEG):
            turned = rest.copy()
            turned.set_dihedral(*quartet, angle, indices=moved)
            for sigma in (0.0, RATTLE_G2):
                shaken = rattled(turned, sigma, rng) if sigma else turned
                rows.add(shaken, split="test", rattle=sigma, species="CH3CH2OH", scan=scan, angle=float(angle))
    return dataset(rows, "scans", start="G2 geometry, relaxed in GFN2-xTB, turned rigidly")


def dataset(rows: Rows, name: str, *, start: str) -> xr.Dataset:
    """Everything with dims, units and provenance; shorter molecules end in atoms of number 0 with NaN."""
    most = max(len(atoms) for atoms in rows.atoms)
    numbers = np.zeros((len(rows.atoms), most), dtype=np.int16)
    positions = np.full((len(rows.atoms), most, 3), np.nan)
    forces = np.full((len(rows.atoms), most, 3), np.nan, dtype=np.float32)
    for at, atoms in enumerate(rows.atoms):
        numbers[at, : len(atoms)] = atoms.numbers
        positions[at, : len(atoms)] = atoms.positions
        forces[at, : len(atoms)] = rows.forces[at]
    each = ("structure", "atom", "xyz")
    variables = {
        "numbers": labelled(each[:2], numbers, "atomic number, 0 where a molecule has no further atom"),
        "positions": labelled(each, positions, "position", "angstrom"),
        "energy": labelled("structure", rows.energy, "GFN2-xTB energy", "eV"),
        "forces": labelled(each, forces, "GFN2-xTB force", "eV/angstrom"),
        "dipole": labelled(("structure", "xyz"), np.array(rows.dipole, np.float32), "dipole moment", "e angstrom"),
    }
    coords = {
        "xyz": labelled("xyz", np.array(["x", "y", "z"]), "axis"),
        "species": labelled("structure", _texts(rows, "species"), "species"),
        "split": labelled("structure", _texts(rows, "split"), "split"),
        "rattle": labelled("structure", _numbers(rows, "rattle"), "standard deviation of the rattle", "angstrom"),
    }
    if "scan" in rows.about[0]:
        coords["scan"] = labelled("structure", _texts(rows, "scan"), "what was turned")
        coords["angle_deg"] = labelled("structure", _numbers(rows, "angle"), "dihedral", "degree")
    attrs = provenance(
        "data/molecules/make.py", seed=SEED, dtype="float64", input_kind=start, name=name, method="GFN2-xTB",
        electronic_temperature_K=ELECTRONIC_TEMPERATURE, licence=LICENCE, source=SOURCE,
        ase_version=ase.__version__, tblite_version=version("tblite"),
    )  # fmt: skip
    found = xr.Dataset(variables, coords, attrs)
    for variable in ("positions", "forces", "energy", "dipole", "numbers"):
        found[variable].encoding = {"zlib": True, "complevel": 9, "shuffle": True, "fletcher32": True}
    return found


def _texts(rows: Rows, key: str) -> np.ndarray:
    return np.array([str(about[key]) for about in rows.about])


def _numbers(rows: Rows, key: str) -> np.ndarray:
    return np.array([float(str(about[key])) for about in rows.about])


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name, make in (("ethanol", ethanol), ("g2", small_molecules), ("scans", scans)):
        save(make(), folder / f"{name}.nc")
