"""Molecules from a file of any kind: .xyz by the workbench's own reader, other kinds by ASE where it is installed."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from workbench.datasets.molecule import MAX_ATOMS, Molecule, check_molecule
from workbench.datasets.xyz import MAX_BYTES, MAX_FRAMES, existing_file, read_xyz

OWN_SUFFIXES = (".xyz", ".extxyz")
UNSAFE_SUFFIXES = (".pckl", ".pickle", ".pkl", ".traj", ".bundle", ".py", ".db", ".json")
"""Kinds of ASE's that may hold objects, code or a query, or need not be one structure."""
COMPRESSED_SUFFIXES = (".gz", ".bz2", ".xz", ".lzma", ".zst", ".z", ".zip", ".7z", ".tar", ".tgz")
"""A small file of these kinds may unpack to any size."""


def read_structures(path: str | os.PathLike[str]) -> tuple[Molecule, ...]:
    """Every structure of a file, in angstrom and eV.

    Args:
        path: plain or extended .xyz is read without a further package; any other kind, such as .cif, .pdb, .sdf or
            POSCAR, by ``ase.io.read``.

    Raises:
        FileNotFoundError: no such file.
        ImportError: another kind than .xyz, and ASE is not installed; the sentence holds the command.
        ValueError: a file that is compressed, that cannot be read, that could run code, of more than 50 MB, 100,000
            structures or 10,000 atoms each, or with what `check_molecule` refuses.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "one.xyz"
    ...     _ = path.write_text("1\\n\\nO 0 0 0\\n")
    ...     read_structures(path)[0].formula
    'O'
    """
    file = existing_file(path)
    if file.suffix.lower() in COMPRESSED_SUFFIXES:
        raise ValueError(f"{file.name} is compressed; expected the structures themselves: unpack it first")
    if file.suffix.lower() in OWN_SUFFIXES:
        return read_xyz(file)
    if file.suffix.lower() in UNSAFE_SUFFIXES:
        raise ValueError(f"{file.name} is of a kind that may hold more than structures; save it as extended .xyz")
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"{file.name} has more than {MAX_BYTES} bytes (50 MB); cut the trajectory into parts")
    try:
        from ase.io import read
    except ImportError as error:
        raise ImportError(
            f"{file.name} is no .xyz file, and ASE, which reads other kinds, is not installed; install it with "
            "'pip install ase', or save the structure as .xyz"
        ) from error
    try:
        found = read(os.fspath(file), index=slice(0, MAX_FRAMES + 1))
    except Exception as error:  # every format of ASE raises its own kinds
        raise ValueError(f"{file.name} could not be read by ASE ({type(error).__name__}: {error})") from error
    several = found if isinstance(found, list) else [found]
    if not several or len(several) > MAX_FRAMES:
        raise ValueError(f"{file.name} holds {len(several)} structures; expected 1 to {MAX_FRAMES}")
    return tuple(of_ase(atoms, f"structure {at + 1} of {file.name}") for at, atoms in enumerate(several))


def of_ase(atoms: Any, where: str = "the structure") -> Molecule:
    """A molecule from ASE's `Atoms`, with energy and forces where results of a calculation are attached.

    Raises:
        ValueError: a structure that is periodic along some axes only, or what `check_molecule` refuses.
    """
    periodic = {bool(along) for along in np.asarray(atoms.pbc).tolist()}
    if periodic == {True, False}:
        raise ValueError(f"{where} is periodic along some axes only; expected all three or none: set pbc")
    if len(atoms) > MAX_ATOMS:
        raise ValueError(f"{where} has {len(atoms)} atoms; expected at most {MAX_ATOMS}")
    results = getattr(atoms.calc, "results", None) or {}
    energy, forces = results.get("energy"), results.get("forces")
    return check_molecule(
        Molecule(
            np.asarray(atoms.numbers, dtype=np.int64),
            np.array(atoms.positions, dtype=np.float64),
            cell=np.array(atoms.cell, dtype=np.float64) if True in periodic else None,
            energy=None if energy is None else float(energy),
            forces=None if forces is None else np.array(forces, dtype=np.float64),
        ),
        where,
    )
