"""One molecule: what its atoms are, where they are, and what is refused before anything is computed with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workbench.datasets.elements import SYMBOLS

MAX_ATOMS = 10_000
CLOSEST = 0.2
"""Angstrom: two nuclei nearer than this are one atom written twice."""
FARTHEST = 1e5
"""Angstrom from the origin: more is another unit, or a broken file."""


@dataclass(frozen=True, eq=False)
class Molecule:
    """Atoms in space, or in a periodic cell.

    Attributes:
        numbers: atomic numbers `(N,)`.
        positions: `(N, 3)` in angstrom, float64.
        cell: rows are lattice vectors in angstrom `(3, 3)`; None in empty space.
        energy: in eV, where the file told it.
        forces: `(N, 3)` in eV/angstrom, where the file told them.
        comment: what the file said about it.
    """

    numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray | None = None
    energy: float | None = None
    forces: np.ndarray | None = None
    comment: str = ""

    @property
    def symbols(self) -> tuple[str, ...]:
        """The element of each atom.

        >>> Molecule(np.array([8, 1]), np.zeros((2, 3))).symbols
        ('O', 'H')
        """
        return tuple(SYMBOLS[int(number) - 1] for number in self.numbers)

    def tensors(self, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor | None]:
        """What a potential takes: numbers `(N,)`, positions `(N, 3)` and the cell `(1, 3, 3)` or None."""
        cell = None if self.cell is None else torch.tensor(self.cell, dtype=dtype).unsqueeze(0)
        return torch.tensor(self.numbers, dtype=torch.int64), torch.tensor(self.positions, dtype=dtype), cell

    @property
    def formula(self) -> str:
        """Elements and how many of each: carbon, hydrogen, then the others in the order of their names.

        >>> Molecule(np.array([6, 6, 8, 1, 1, 1, 1, 1, 1]), np.zeros((9, 3))).formula
        'C2H6O'
        """
        kinds = list(self.symbols)
        order = sorted(set(kinds), key=lambda s: ({"C": 0, "H": 1}.get(s, 2) if "C" in kinds else 2, s))
        return "".join(f"{s}{kinds.count(s) if kinds.count(s) > 1 else ''}" for s in order)


def check_molecule(molecule: Molecule, where: str = "the molecule") -> Molecule:
    """Give the molecule back if it can be one.

    Raises ValueError for no atoms or too many, an unknown atomic number, positions that are not finite or absurdly
    far away, two atoms nearer than 0.2 angstrom (also across the sides of the cell), forces of another
    shape or partly not finite, an infinite energy, and a cell of another shape or without a volume.

    >>> check_molecule(Molecule(np.array([1, 1]), np.zeros((2, 3))))
    Traceback (most recent call last):
    ...
    ValueError: atoms 1 and 2 of the molecule (H and H) are 0 angstrom apart; expected at least 0.2: one of them...
    """
    numbers, positions = np.asarray(molecule.numbers), np.asarray(molecule.positions)
    if numbers.ndim != 1 or not 1 <= len(numbers) <= MAX_ATOMS or positions.shape != (len(numbers), 3):
        raise ValueError(
            f"{where} has atomic numbers of shape {numbers.shape} and positions of shape {positions.shape}; expected "
            f"(N,) and (N, 3) with 1 to {MAX_ATOMS} atoms"
        )
    if numbers.dtype.kind not in "iu" or numbers.min() < 1 or numbers.max() > len(SYMBOLS):
        raise ValueError(f"{where} has atomic numbers {numbers[:5].tolist()}...; expected whole numbers from 1 to 118")
    if not np.isfinite(positions).all() or np.abs(positions).max() > FARTHEST:
        raise ValueError(f"{where} has positions that are not finite or beyond {FARTHEST:g} angstrom; check its units")
    _refuse_overlap(molecule, where)
    _refuse_results(molecule, where)
    cell = molecule.cell
    if cell is not None and (np.shape(cell) != (3, 3) or not np.isfinite(cell).all()):
        raise ValueError(f"{where} has a cell of shape {np.shape(cell)}; expected (3, 3) finite numbers, its vectors")
    if cell is not None and not abs(np.linalg.det(cell)) > CLOSEST**3:
        raise ValueError(f"{where} has a cell without a volume; expected three lattice vectors that span one")
    if cell is not None:
        _refuse_overlap_across(molecule, cell, where)
    return molecule


def _refuse_results(molecule: Molecule, where: str) -> None:
    """Forces of another shape than the positions; NaN stands for not known, but not beside what is known."""
    forces, energy = molecule.forces, molecule.energy
    if forces is not None and np.shape(forces) != np.shape(molecule.positions):
        raise ValueError(
            f"{where} has forces of shape {np.shape(forces)}; expected {np.shape(molecule.positions)}, three numbers "
            "for each atom, or None"
        )
    if forces is not None and not (np.isfinite(forces).all() or np.isnan(forces).all()):
        raise ValueError(f"{where} has forces that are not finite; expected finite numbers for all atoms, or None")
    if energy is not None and np.isinf(energy):
        raise ValueError(f"{where} has an energy that is not finite; expected a number in eV, or None")


def _refuse_overlap(molecule: Molecule, where: str) -> None:
    from scipy.spatial import cKDTree

    pairs = cKDTree(molecule.positions).query_pairs(CLOSEST, output_type="ndarray") if len(molecule.numbers) > 1 else []
    if len(pairs):
        first, second = sorted(min(map(tuple, pairs)))
        apart = float(np.linalg.norm(molecule.positions[first] - molecule.positions[second]))
        raise ValueError(
            f"atoms {first + 1} and {second + 1} of {where} ({molecule.symbols[first]} and {molecule.symbols[second]}) "
            f"are {apart:.3g} angstrom apart; expected at least {CLOSEST}: one of them may be written twice, or the "
            "unit is not the angstrom"
        )


def _refuse_overlap_across(molecule: Molecule, cell: np.ndarray, where: str) -> None:
    """Atoms folded into the cell, and those near a side once more beyond the opposite one."""
    from scipy.spatial import cKDTree

    share = np.minimum(CLOSEST * np.linalg.norm(np.linalg.inv(cell), axis=0), 1.0)  # of the cell, along each vector
    folded = (molecule.positions @ np.linalg.inv(cell)) % 1.0
    atoms, copies = np.arange(len(folded)), folded
    for axis in range(3):
        low, high = copies[:, axis] <= share[axis], copies[:, axis] >= 1 - share[axis]
        step = np.eye(3)[axis]
        atoms = np.concatenate([atoms, atoms[low], atoms[high]])
        copies = np.concatenate([copies, copies[low] + step, copies[high] - step])
    pairs = cKDTree(copies @ cell).query_pairs(CLOSEST, output_type="ndarray")
    if len(pairs):
        first, second = sorted(min(tuple(sorted(pair)) for pair in atoms[pairs].tolist()))
        raise ValueError(
            f"atoms {first + 1} and {second + 1} of {where} are less than {CLOSEST} angstrom apart across a side of "
            "the cell: one of them may be written on both sides, or the Lattice is not in angstrom"
        )
