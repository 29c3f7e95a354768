"""The files of the published sets of molecules, read as bytes: rMD17's arrays and index lists, and QM9's .xyz."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench.datasets.archives import DamagedFile
from workbench.datasets.arrays import read_npz
from workbench.datasets.elements import atomic_number

HARTREE = 27.211386245988
"""eV (CODATA 2018)."""
KCAL_PER_MOL = 4184.0 / (6.02214076e23 * 1.602176634e-19)
"""eV; the thermochemical calorie is 4.184 joule."""
PROPERTIES = ("A", "B", "C", "mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "U0", "U", "H", "G", "Cv")
"""The numbers of QM9's second line after its tag and index, in the order of its readme."""
IN_HARTREE = ("homo", "lumo", "gap", "zpve", "U0", "U", "H", "G")
LARGEST_MOLECULE = 29
_HEADER_LINES = 9  # of the list of molecules that failed QM9's consistency check


def decode_rmd17(data: bytes, name: str) -> dict[str, np.ndarray]:
    """Atomic numbers `(A,)`, positions `(S, A, 3)` in angstrom, energy `(S,)` in eV, forces in eV/angstrom.

    The file has them as `nuclear_charges`, `coords`, `energies` and `forces`, with kcal/mol for eV; what else is in it
    is left out.

    Raises:
        DamagedFile: an array is missing, of another shape, not finite, or holds Python objects.
    """
    try:
        found = read_npz(Path(name), content=data)
    except ValueError as error:
        raise DamagedFile(f"{name}: {error}") from error
    missing = [key for key in ("nuclear_charges", "coords", "energies", "forces") if key not in found]
    if missing:
        raise DamagedFile(f"{name} lacks {', '.join(missing)}; it holds {', '.join(found)}; fetch it again")
    numbers, coords, energies, forces = (found[k] for k in ("nuclear_charges", "coords", "energies", "forces"))
    count, atoms = len(energies) if energies.ndim else 0, len(numbers) if numbers.ndim == 1 else 0
    if not count or not atoms or coords.shape != (count, atoms, 3) or forces.shape != coords.shape:
        raise DamagedFile(
            f"{name} has nuclear_charges {numbers.shape}, coords {coords.shape}, energies {energies.shape} and forces "
            f"{forces.shape}; expected (A,), (S, A, 3), (S,) and (S, A, 3); fetch it again"
        )
    energies = energies.reshape(count, -1)
    whole = numbers.dtype.kind in "iu" and 1 <= numbers.min() and numbers.max() <= 118
    if energies.shape[1] != 1 or not whole or not all(np.isfinite(one).all() for one in (coords, energies, forces)):
        raise DamagedFile(f"{name} holds atomic numbers or values that cannot be; fetch it again")
    return {
        "numbers": numbers.astype(np.int64),
        "positions": coords.astype(np.float32),
        "energy": KCAL_PER_MOL * energies[:, 0].astype(np.float64),
        "forces": (KCAL_PER_MOL * forces).astype(np.float32),
    }


def decode_indices(data: bytes, name: str, count: int) -> np.ndarray:
    """A list of places, one whole number from 0 to `count` - 1 a line, each once.

    >>> decode_indices(b"3\\n0\\n", "index_train_01.csv", 4).tolist()
    [3, 0]
    """
    words = data.decode("ascii", errors="replace").split()
    if not words or any(not word.isdecimal() or len(word) > 9 or int(word) >= count for word in words):
        raise DamagedFile(f"{name} is no list of whole numbers from 0 to {count - 1}, one a line; fetch it again")
    found = np.array(words, dtype=np.int64)
    if len(np.unique(found)) < len(found):
        raise DamagedFile(f"{name} names a structure twice; fetch it again")
    return found


@dataclass(frozen=True, eq=False)
class Qm9Molecule:
    """One file of QM9.

    Attributes:
        index: from 1, as in the set.
        numbers: `(A,)`. positions: `(A, 3)` in angstrom.
        properties: `(15,)` in the units of the set, see :data:`PROPERTIES`.
    """

    index: int
    numbers: np.ndarray
    positions: np.ndarray
    properties: np.ndarray


def decode_qm9(data: bytes, name: str) -> Qm9Molecule:
    """One molecule: the number of atoms, a line of properties, a line `symbol x y z charge` for each atom, and more.

    Small numbers are written with `*^` for the exponent, as in `6.2*^-6`.

    Raises:
        DamagedFile: anything else.

    >>> text = b"1\\ngdb 7\\t" + b"\\t".join([b"1.5"] * 15) + b"\\nO\\t0.1\\t2.*^-6\\t0\\t0\\n\\nO\\tO\\nInChI\\n"
    >>> found = decode_qm9(text, "dsgdb9nsd_000007.xyz")
    >>> found.index, found.positions.tolist()
    (7, [[0.1, 2e-06, 0.0]])
    """
    lines = data.decode("ascii", errors="replace").splitlines()
    try:
        atoms = int(lines[0])
        tag, index, *told = lines[1].split()
        rows = [line.split() for line in lines[2 : 2 + atoms]]
        if not 1 <= atoms <= LARGEST_MOLECULE or len(rows) < atoms or len(told) != len(PROPERTIES) or tag != "gdb":
            raise ValueError("another number of lines or words")
        found = Qm9Molecule(
            int(index),
            np.array([atomic_number(row[0]) for row in rows], dtype=np.int64),
            np.array([[_number(word) for word in row[1:4]] for row in rows], dtype=np.float64).reshape(atoms, 3),
            np.array([_number(word) for word in told], dtype=np.float64),
        )
    except (ValueError, IndexError) as error:
        raise DamagedFile(f"{name} is no file of QM9 ({error}); fetch it again") from error
    if not (np.isfinite(found.positions).all() and np.isfinite(found.properties).all()):
        raise DamagedFile(f"{name} holds numbers that are not finite; fetch it again")
    return found


def decode_failed(data: bytes) -> np.ndarray:
    """Indices of QM9's molecules that failed its consistency check, from the list published beside it."""
    lines = data.decode("ascii", errors="replace").splitlines()[_HEADER_LINES:]
    first = [line.split()[0] for line in lines if line.split()]
    return np.array([int(word) for word in first if word.isdecimal() and len(word) < 9], dtype=np.int64)


def _number(word: str) -> float:
    return float(word.replace("*^", "e"))
