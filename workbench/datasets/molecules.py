"""Molecules with energies and forces, in three splits: those that ship with the workbench, and published sets.

Energies are in eV, forces in eV/angstrom, positions in angstrom, dipoles in e angstrom.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from workbench.datasets.image_set import SPLITS
from workbench.datasets.paths import checked_path, data_folder

if TYPE_CHECKING:
    import xarray as xr

SHIPPED = ("ethanol", "g2", "scans")
COMBINED = "g2+ethanol"
PUBLISHED = ("rmd17", "qm9")
ELEMENTS = 119  # places of a table over atomic numbers: 0 stands for no atom
LARGEST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, eq=False)
class Structures:
    """Geometries with their energies and forces; shorter molecules end in atomic numbers 0.

    Attributes:
        numbers: `(S, A)` int64.
        positions: `(S, A, 3)` in angstrom.
        energy: `(S,)` in eV, float64.
        forces: `(S, A, 3)` in eV/angstrom; 0 where there is no atom, NaN where forces are not known.
    """

    numbers: Tensor
    positions: Tensor
    energy: Tensor
    forces: Tensor

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> Structures:
        return Structures(self.numbers[index], self.positions[index], self.energy[index], self.forces[index])

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.numbers.device

    def to(self, to: torch.device | str | torch.dtype) -> Structures:
        """On another device, or positions and forces in another dtype; energies stay in float64."""
        if isinstance(to, torch.dtype):
            return replace(self, positions=self.positions.to(to), forces=self.forces.to(to))
        return Structures(self.numbers.to(to), self.positions.to(to), self.energy.to(to), self.forces.to(to))

    def flat(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What a potential takes: positions `(N, 3)`, numbers `(N,)`, batch `(N,)`; and the forces `(N, 3)`."""
        there = self.numbers > 0
        batch = torch.arange(len(self), device=self.device).unsqueeze(1).expand_as(self.numbers)[there]
        return self.positions[there], self.numbers[there], batch, self.forces[there]


@dataclass(frozen=True, eq=False)
class MoleculeSet:
    """Molecules ready to train on.

    Attributes:
        name: the name it was loaded by.
        splits: "train", "validation", "test" -> `Structures`.
        attrs: where they come from.
    """

    name: str
    splits: Mapping[str, Structures]
    attrs: Mapping[str, Any]


def molecules(name: str) -> xr.Dataset:
    """A shipped set as labelled arrays: "ethanol", "g2" or "scans".

    Dims structure, atom, xyz; `numbers` (0 where a molecule has no further atom), `positions`, `energy`, `forces`,
    `dipole`, with units; coordinates `species`, `split`, `rattle` and, of the scans, `scan` and `angle_deg`.
    Labels are GFN2-xTB (Bannwarth, Ehlert, Grimme 2019), see data/molecules/README.md.

    Raises FileNotFoundError for a file that is missing, ValueError for another name or a damaged file.

    >>> found = molecules("ethanol")
    >>> dict(found.sizes), found.forces.units
    ({'structure': 600, 'atom': 9, 'xyz': 3}, 'eV/angstrom')
    """
    if name not in SHIPPED:
        raise ValueError(f"there is no shipped set of molecules {name!r}; choose one of {', '.join(SHIPPED)}")
    path = checked_path(data_folder(), f"molecules/{name}.nc")
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; restore it from the repository, or run data/molecules/make.py")
    import h5py
    import xarray as xr

    try:
        with h5py.File(path, "r") as file:
            declared = sum(node.nbytes for node in file.values() if isinstance(node, h5py.Dataset))
        if declared > LARGEST_BYTES:
            raise _TooLarge(f"{path} declares {declared} bytes; expected at most {LARGEST_BYTES}; restore the file")
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            found = opened.load()
    except _TooLarge:
        raise
    except Exception as error:  # h5py raises a dozen kinds for one damaged byte
        raise ValueError(f"{path} is damaged ({type(error).__name__}); restore it from the repository") from error
    found.attrs.pop("content_sha256", None)
    return found


class _TooLarge(ValueError):
    """Kept apart from the damage that HDF5 reports."""


def molecule_names() -> tuple[str, ...]:
    """What `load_molecules` knows.

    >>> molecule_names()
    ('ethanol', 'g2', 'scans', 'g2+ethanol', 'rmd17', 'qm9')
    """
    return (*SHIPPED, COMBINED, *PUBLISHED)


def load_molecules(name: str, *, train: int | None = None, **options: Any) -> MoleculeSet:
    """A set in three splits, as tensors: positions and forces float32, energies float64.

    Args:
        name: one of `molecule_names`; "g2+ethanol" joins the two that ship, "rmd17" and "qm9" must have been fetched.
        train: how many structures of the training split are kept, the first ones; all where not given.
        options: what :func:`workbench.datasets.published_molecules.rmd17` and ``qm9`` take, such as ``molecule``.

    Raises:
        ValueError: an unknown name or option, or more training structures than there are.
        MissingData, DamagedFile: a published set that was never fetched, or not as it should be.

    >>> small = load_molecules("ethanol", train=100)
    >>> [len(small.splits[split]) for split in ("train", "validation", "test")]
    [100, 100, 100]
    """
    if name not in molecule_names():
        raise ValueError(f"there is no set of molecules {name!r}; choose one of {', '.join(molecule_names())}")
    if name in PUBLISHED:
        return _published(name, train, options)
    if options:
        raise ValueError(f"{', '.join(options)} were given for {name!r}, which has no options but train")
    parts = [molecules(part) for part in (("g2", "ethanol") if name == COMBINED else (name,))]
    splits = {split: joined([of_dataset(part, split) for part in parts]) for split in SPLITS}
    return MoleculeSet(name, _cut(name, splits, train), dict(parts[0].attrs))


def _published(name: str, train: int | None, options: dict[str, Any]) -> MoleculeSet:
    from workbench.datasets import published_molecules as published

    known = (*published.MOLECULE_SETS[name].options, "folder")
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(f"{', '.join(unknown)} were given for {name!r}; expected only {', '.join(known)}")
    if name == "qm9":
        return published.qm9(**(options if train is None else {**options, "train": train}))
    found = published.rmd17(**options)
    return replace(found, splits=_cut(found.name, dict(found.splits), train))


def _cut(name: str, splits: dict[str, Structures], train: int | None) -> dict[str, Structures]:
    """The splits with the first structures of the training split alone."""
    if train is not None:
        most = len(splits["train"])
        if isinstance(train, bool) or not isinstance(train, int) or not 1 <= train <= most:
            raise ValueError(f"train is {train!r}; expected a whole number from 1 to the {most} structures of {name}")
        splits["train"] = splits["train"][:train]
    return splits


def of_dataset(found: xr.Dataset, split: str | None = None) -> Structures:
    """The structures of a labelled set, or of one of its splits.

    >>> len(of_dataset(molecules("g2"), "test"))
    30
    """
    part = found if split is None else found.isel(structure=np.flatnonzero(found["split"].values == split))
    numbers = torch.from_numpy(part["numbers"].values.astype(np.int64))
    none = (numbers == 0).unsqueeze(-1)
    return Structures(
        numbers,
        torch.from_numpy(part["positions"].values).float().masked_fill(none, 0.0),
        torch.from_numpy(part["energy"].values.astype(np.float64)),
        torch.from_numpy(part["forces"].values).float().masked_fill(none, 0.0),
    )


def joined(parts: list[Structures]) -> Structures:
    """Several sets one after another, the shorter molecules padded.

    >>> both = joined([of_dataset(molecules("g2"), "test"), of_dataset(molecules("ethanol"), "test")])
    >>> tuple(both.positions.shape)
    (130, 14, 3)
    """
    most = max(part.numbers.shape[1] for part in parts)
    pad = torch.nn.functional.pad
    padded = [
        Structures(
            pad(part.numbers, (0, most - part.numbers.shape[1])),
            pad(part.positions, (0, 0, 0, most - part.numbers.shape[1])),
            part.energy,
            pad(part.forces, (0, 0, 0, most - part.numbers.shape[1])),
        )
        for part in parts
    ]
    return Structures(
        *(torch.cat([getattr(p, n) for p in padded]) for n in ("numbers", "positions", "energy", "forces"))
    )


def references(structures: Structures) -> Tensor:
    """Energy of each element in eV, `(119,)` float64: least squares of the energies on the numbers of atoms.

    The solution of smallest norm, so that one composition alone shares its mean evenly; 0 for elements that do not
    occur. What is left is what a potential has to learn.

    >>> train = load_molecules("g2").splits["train"]
    >>> left = train.energy - references(train)[train.numbers].sum(1)
    >>> bool(left.std() < 0.02 * train.energy.std())
    True
    """
    if len(structures) == 0:
        raise ValueError("there are no structures; expected at least one to fit the energies of elements on")
    counts = torch.nn.functional.one_hot(structures.numbers, ELEMENTS).sum(1).double()
    counts[:, 0] = 0  # places without an atom
    return torch.linalg.lstsq(counts, structures.energy.unsqueeze(1), driver="gelsd").solution.squeeze(1)
