"""The published sets of molecules, rMD17 and QM9: fetched once, read offline ever after, in eV and angstrom.

Formats and splits are as public loaders read them; no file was downloaded for this project, so addresses, sizes and
rMD17's contents beside what is read here are unverified. rMD17's authors published no md5 that was found, so its
archive is proved by reading it alone.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from workbench.datasets import decoded
from workbench.datasets.archives import DamagedFile, members_of_tar_bz2
from workbench.datasets.catalogue import Description
from workbench.datasets.download import Progress, RemoteFile, md5_of
from workbench.datasets.molecule_formats import (
    HARTREE,
    IN_HARTREE,
    LARGEST_MOLECULE,
    PROPERTIES,
    decode_failed,
    decode_indices,
    decode_qm9,
    decode_rmd17,
)
from workbench.datasets.molecules import MoleculeSet, Structures
from workbench.datasets.paths import checked_path, downloads_folder
from workbench.datasets.published import SPLIT_SEED, MissingData, bring

RMD17 = (
    "aspirin", "azobenzene", "benzene", "ethanol", "malonaldehyde", "naphthalene", "paracetamol", "salicylic",
    "toluene", "uracil",
)  # fmt: skip
RMD17_SPLITS = (1, 2, 3, 4, 5)
_MEGABYTE = 1 << 20


@dataclass(frozen=True)
class PublishedMolecules:
    """What must be known to fetch a published set of molecules.

    Attributes:
        name: of the set and of its folder.
        files: the files, with checksums where they are known.
        mirrors: base addresses, tried in turn.
        unpacked_bytes: the most that its archive may unpack to.
        summary, options, source, licence: for the reader.
    """

    name: str
    files: tuple[RemoteFile, ...]
    mirrors: tuple[str, ...]
    unpacked_bytes: int
    summary: str
    options: tuple[str, ...]
    source: str
    licence: str


MOLECULE_SETS: dict[str, PublishedMolecules] = {
    "rmd17": PublishedMolecules(
        name="rmd17",
        files=(RemoteFile("rmd17.tar.bz2", "", 2048 * _MEGABYTE),),
        mirrors=("https://archive.materialscloud.org/records/pfffs-fff86/files",),
        unpacked_bytes=8192 * _MEGABYTE,
        summary="10 molecules in about 100,000 geometries each, energies and forces; 5 splits of 1,000 and 1,000",
        options=("molecule", "split", "validation"),
        source="A. S. Christensen and O. A. von Lilienfeld, On the role of gradients (2020), PBE/def2-SVP",
        licence="CC0 as commonly stated (unverified)",
    ),
    "qm9": PublishedMolecules(
        name="qm9",
        # Seen alike in several independent public loaders; not held against a file downloaded for this project.
        files=(
            RemoteFile("3195389/dsgdb9nsd.xyz.tar.bz2", "ad1ebd51ee7f5b3a6e32e974e5d54012", 128 * _MEGABYTE),
            RemoteFile("3195404/uncharacterized.txt", "a361887bacb427b8a0ce7903d92a53b4", 4 * _MEGABYTE),
        ),
        mirrors=("https://s3-eu-west-1.amazonaws.com/pstorage-npg-968563215",),
        unpacked_bytes=1024 * _MEGABYTE,
        summary="133,885 small molecules at rest with 15 properties; 3,054 doubtful ones left out",
        options=("quantity", "train", "validation", "seed"),
        source="R. Ramakrishnan et al., Quantum chemistry structures and properties of 134 kilo molecules (2014)",
        licence="CC0 as commonly stated (unverified)",
    ),
}
_QM9_MEMBERS = 200_000
_SHIPPED = {
    "ethanol": "600 ethanols in distorted geometries, GFN2-xTB energies and forces",
    "g2": "148 species of 14 elements, relaxed and rattled, GFN2-xTB energies and forces",
    "scans": "ethanol along its C-C-O-H and methyl dihedrals, GFN2-xTB energies and forces",
    "g2+ethanol": "both, what the shipped potential was trained on",
}


def fetch_molecules(
    name: str,
    *,
    mirror: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    progress: bool | Progress = True,
) -> Path:
    """Download a published set of molecules, continuing where an earlier attempt broke off; return its folder.

    Args:
        name: "rmd17" or "qm9".
        mirror, folder, progress: as for `workbench.datasets.fetch`; also ``WORKBENCH_MIRROR``.

    Raises:
        ValueError: no such set, or a mirror that is no http address.
        ConnectionError, DamagedFile: see `workbench.datasets.download.download`.
    """
    if name not in MOLECULE_SETS:
        raise ValueError(f"{name!r} is not a set of molecules to fetch; choose one of {', '.join(MOLECULE_SETS)}")
    place = _folder(name, folder)
    bring(MOLECULE_SETS[name].files, MOLECULE_SETS[name].mirrors, place, mirror=mirror, progress=progress)
    return place


def describe_molecules() -> dict[str, Description]:
    """Name -> what the set is, its options, its licence and the command that fetches it, none for those that ship.

    >>> describe_molecules()["qm9"].fetch_command
    'python -m workbench.datasets fetch qm9'
    """
    shipped = {n: Description(n, summary, ("train",), "MIT", None) for n, summary in _SHIPPED.items()}
    fetched = {n: Description(n, s.summary, s.options, s.licence, _command(n)) for n, s in MOLECULE_SETS.items()}
    return shipped | fetched


def rmd17(
    molecule: str = "ethanol", *, split: int = 1, validation: int = 50, folder: str | os.PathLike[str] | None = None
) -> MoleculeSet:
    """One molecule of the revised MD17 in one of its five published splits; the first read unpacks the archive once.

    Args:
        molecule: one of :data:`RMD17`.
        split: 1 to 5, the published lists of geometries to train and to test on.
        validation: how many at the end of the training list become the validation split; the set has none.
        folder: where the set lies; its own folder in the user's cache where not given.

    Raises:
        ValueError: another molecule or split, or a validation split that leaves nothing to train on.
        MissingData: the set was never fetched; the message holds the command.
        DamagedFile: the archive or a file in it is not what it should be.
    """
    if molecule not in RMD17:
        raise ValueError(f"rmd17 has no molecule {molecule!r}; choose one of {', '.join(RMD17)}")
    if split not in RMD17_SPLITS:
        raise ValueError(f"rmd17 has no split {split!r}; choose 1 to {len(RMD17_SPLITS)}")
    archive = _present("rmd17", folder)[0]
    found = _kept(archive, f"{molecule}.safetensors", lambda: _unpack_rmd17(archive, molecule))
    train, test = found[f"train_{split}"], found[f"test_{split}"]
    if isinstance(validation, bool) or not isinstance(validation, int) or not 0 <= validation < len(train):
        raise ValueError(f"validation is {validation!r}; expected a whole number from 0 to {len(train) - 1}")
    cut = len(train) - validation
    whole = Structures(
        found["numbers"].expand(len(found["energy"]), -1), found["positions"], found["energy"], found["forces"]
    )
    splits = {"train": whole[train[:cut]], "validation": whole[train[cut:]], "test": whole[test]}
    return _set(f"rmd17-{molecule}", "rmd17", splits, split=split)


def qm9(
    quantity: str = "U0",
    *,
    train: int = 110_000,
    validation: int = 10_000,
    seed: int = SPLIT_SEED,
    folder: str | os.PathLike[str] | None = None,
) -> MoleculeSet:
    """QM9 without the molecules that failed its consistency check; forces are not known, and are NaN.

    Args:
        quantity: what `energy` is, in eV: "U0", "U", "H", "G", "homo", "lumo", "gap" or "zpve".
        train, validation: molecules of these splits, drawn with the seed; the rest is the test split.
        seed: of the splits; the set has no published ones.
        folder: as for :func:`rmd17`.

    Raises:
        ValueError: another quantity, or splits that leave nothing to test on.
        MissingData, DamagedFile: as :func:`rmd17`.
    """
    if quantity not in IN_HARTREE:
        raise ValueError(f"{quantity!r} is no energy of qm9; choose one of {', '.join(IN_HARTREE)}")
    archive, failed = _present("qm9", folder)
    found = _kept(archive, "decoded.safetensors", lambda: _unpack_qm9(archive))
    good = ~torch.isin(found["index"], torch.from_numpy(decode_failed(failed.read_bytes())))
    count = int(good.sum())
    for name, size in (("train", train), ("validation", validation)):
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"{name} is {size!r}; expected a whole number of at least 1")
    if train + validation >= count:
        raise ValueError(f"train and validation are {train + validation} of {count} molecules; leave some to test on")
    energy = HARTREE * found["properties"][:, PROPERTIES.index(quantity)]
    numbers = found["numbers"].long()
    whole = Structures(numbers, found["positions"], energy, torch.full_like(found["positions"], torch.nan))[good]
    whole = Structures(
        whole.numbers, whole.positions, whole.energy, whole.forces.masked_fill((whole.numbers == 0)[..., None], 0.0)
    )
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    places = order.split([train, validation, count - train - validation])
    splits = {name: whole[at] for name, at in zip(("train", "validation", "test"), places, strict=True)}
    return _set("qm9", "qm9", splits, quantity=quantity, seed=seed, left_out=len(good) - count)


def _set(name: str, of: str, splits: dict[str, Structures], **more: object) -> MoleculeSet:
    about = MOLECULE_SETS[of]
    units = {"energy_units": "eV", "forces_units": "eV/angstrom", "positions_units": "angstrom"}
    return MoleculeSet(name, splits, {"source": about.source, "licence": about.licence, **units, **more})


def _unpack_rmd17(archive: Path, molecule: str) -> dict[str, Tensor]:
    lists = {
        f"rmd17/splits/index_{part}_{k:02d}.csv": f"{part}_{k}" for part in ("train", "test") for k in RMD17_SPLITS
    }
    data = f"rmd17/npz_data/rmd17_{molecule}.npz"
    limit = MOLECULE_SETS["rmd17"].unpacked_bytes
    found = dict(members_of_tar_bz2(archive, lambda name: name == data or name in lists, limit))
    missing = sorted({data, *lists} - set(found))
    if missing:
        raise DamagedFile(f"{archive} lacks {', '.join(missing)}; fetch it again: {_command('rmd17')}")
    arrays = decode_rmd17(found[data], data)
    count = len(arrays["energy"])
    arrays |= {key: decode_indices(found[name], name, count) for name, key in lists.items()}
    for k in RMD17_SPLITS:
        if len(np.intersect1d(arrays[f"train_{k}"], arrays[f"test_{k}"])):
            raise DamagedFile(f"split {k} of {archive} tests on what it trains on; fetch it again")
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def _unpack_qm9(archive: Path) -> dict[str, Tensor]:
    limit = MOLECULE_SETS["qm9"].unpacked_bytes
    members = members_of_tar_bz2(archive, lambda name: name.endswith(".xyz"), limit, _QM9_MEMBERS)
    found = sorted((decode_qm9(data, name) for name, data in members), key=lambda one: one.index)
    if not found:
        raise DamagedFile(f"{archive} holds no .xyz file; fetch it again: {_command('qm9')}")
    numbers = torch.zeros(len(found), LARGEST_MOLECULE, dtype=torch.uint8)
    positions = torch.zeros(len(found), LARGEST_MOLECULE, 3)
    for at, one in enumerate(found):
        numbers[at, : len(one.numbers)] = torch.from_numpy(one.numbers).byte()
        positions[at, : len(one.numbers)] = torch.from_numpy(one.positions).float()
    return {
        "index": torch.tensor([one.index for one in found]),
        "numbers": numbers,
        "positions": positions,
        "properties": torch.from_numpy(np.stack([one.properties for one in found])),
    }


def _kept(archive: Path, name: str, unpack: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The decoded copy beside the archive, made where there is none or it is of another archive."""
    cached = checked_path(archive.parent, name)
    fingerprint = f"{archive.name}, {archive.stat().st_size} bytes"
    if cached.is_file():
        try:
            return decoded.read(cached, fingerprint)[0]
        except DamagedFile as error:
            logging.getLogger(__name__).warning("%s; reading the archive again", error)
    tensors = unpack()
    try:
        decoded.write(cached, tensors, (), fingerprint)
    except OSError as error:  # a read-only folder: read the archive again next time
        logging.getLogger(__name__).warning("could not keep the decoded copy %s: %s", cached, error)
    return tensors


def _present(name: str, folder: str | os.PathLike[str] | None) -> list[Path]:
    place = _folder(name, folder)
    paths = []
    for remote in MOLECULE_SETS[name].files:
        path = checked_path(place, remote.name)
        if not path.is_file():
            raise MissingData(f"{name} is not on this machine ({path} is missing); fetch it: {_command(name)}")
        if remote.md5 not in ("", md5_of(path)):
            raise DamagedFile(f"{path} is damaged (its md5 is not {remote.md5}); fetch it again: {_command(name)}")
        paths.append(path)
    return paths


def _folder(name: str, folder: str | os.PathLike[str] | None) -> Path:
    return Path(folder).expanduser() if folder is not None else checked_path(downloads_folder(), name)


def _command(name: str) -> str:
    return f"python -m workbench.datasets fetch {name}"
