"""The published sets (MNIST, rotMNIST, CIFAR-10, CIFAR-100): fetched once, read offline ever after."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.datasets import decoded
from workbench.datasets.archives import DamagedFile
from workbench.datasets.download import Progress, RemoteFile, download, md5_of
from workbench.datasets.image_set import Pixels, PixelSet
from workbench.datasets.paths import checked_path, downloads_folder
from workbench.datasets.published_set import PUBLISHED, Arrays, PublishedSet

MIRROR_VARIABLE = "WORKBENCH_MIRROR"
SPLIT_SEED = 42


class MissingData(FileNotFoundError):
    """A published set is not on this machine; the message holds the one command that fetches it."""


def fetch(
    which: str | PublishedSet,
    *,
    mirror: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    progress: bool | Progress = True,
) -> Path:
    """Download the files of a published set, continuing where an earlier attempt broke off, and return their folder.

    Files that are already there and whole are left alone; a damaged one is fetched again. The set is then decoded
    once, which also proves that it can be read.

    Args:
        which: "mnist", "rotmnist", "cifar10", "cifar100", or a `PublishedSet`.
        mirror: base address to use instead of the public ones; also ``WORKBENCH_MIRROR``.
        folder: where to put the set; default: its own folder in `downloads_folder`.
        progress: True for a bar, False for silence, or a function of (bytes so far, bytes in all).

    Raises:
        ValueError: no such set, or a mirror that is no http address.
        ConnectionError, DamagedFile: see `workbench.datasets.download.download`.
    """
    chosen = _chosen(which)
    place = _folder(chosen, folder)
    bring(chosen.files, chosen.mirrors, place, mirror=mirror, progress=progress)
    _arrays(chosen, place)  # decode now (rotMNIST's text takes a minute), so that no later load has to wait
    return place


def bring(
    files: Sequence[RemoteFile], mirrors: Sequence[str], place: Path, *, mirror: str | None, progress: bool | Progress
) -> None:
    """Download what is missing or damaged of some files into a folder; arguments and errors as for `fetch`."""
    override = mirror or os.environ.get(MIRROR_VARIABLE)
    for remote in files:
        path = checked_path(place, remote.name)
        if path.is_file() and remote.md5 in ("", md5_of(path)):
            continue
        if progress is True:
            _with_bar(remote, (override,) if override else mirrors, place)
        else:
            download(remote, (override,) if override else mirrors, place, progress=progress or None)


def published_pixels(which: str | PublishedSet, folder: str | os.PathLike[str] | None = None) -> PixelSet:
    """Read a published set from disk, split its official training part, and return pixels in [0, 1].

    The validation split is the end of ``torch.randperm(n_train)`` under seed 42, as ``random_split`` would cut it;
    the test split is the official one. The first read decodes the archives and keeps the result beside them.

    Raises:
        MissingData: the set was never fetched; the message holds the command.
        DamagedFile: a file does not have its checksum or its contents are not as declared.
    """
    chosen = _chosen(which)
    place = _folder(chosen, folder)
    arrays, classes = _arrays(chosen, place)
    order = torch.randperm(chosen.n_train, generator=torch.Generator().manual_seed(SPLIT_SEED))
    cut = chosen.n_train - chosen.n_validation
    splits = {
        "train": _pixels(arrays, "train", order[:cut].sort().values, 0),
        "validation": _pixels(arrays, "train", order[cut:].sort().values, 0),
        "test": _pixels(arrays, "test", torch.arange(chosen.n_test), chosen.n_train),
    }
    attrs: dict[str, Any] = {
        "source": chosen.source,
        "licence": chosen.licence,
        "seed": SPLIT_SEED,
        "transform": "pixels in [0, 1], no augmentation",
    }
    return PixelSet(chosen.name, splits, classes, attrs)


def mnist_pixels(folder: str | os.PathLike[str] | None = None) -> PixelSet:
    """MNIST's pixels, for the derived sets."""
    return published_pixels("mnist", folder)


def _chosen(which: str | PublishedSet) -> PublishedSet:
    if isinstance(which, PublishedSet):
        return which
    if which not in PUBLISHED:
        raise ValueError(f"{which!r} is not a set to fetch; choose one of {', '.join(PUBLISHED)}")
    return PUBLISHED[which]


def _folder(chosen: PublishedSet, folder: str | os.PathLike[str] | None) -> Path:
    return Path(folder).expanduser() if folder is not None else checked_path(downloads_folder(), chosen.name)


def _with_bar(remote: RemoteFile, mirrors: Sequence[str], place: Path) -> None:
    from tqdm.auto import tqdm

    with tqdm(desc=remote.name, unit="B", unit_scale=True, unit_divisor=1024) as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        download(remote, mirrors, place, progress=show)


def _pixels(arrays: Mapping[str, Tensor], part: str, index: Tensor, first_origin: int) -> Pixels:
    images = arrays[f"{part}_images"][index]
    images = images.float().div_(255) if images.dtype == torch.uint8 else images
    labels = arrays[f"{part}_labels"][index].long()
    return Pixels(images, labels, index + first_origin, torch.zeros(len(index)))


def _arrays(chosen: PublishedSet, place: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The decoded arrays: from the copy beside the archives, or from the archives themselves."""
    fingerprint = "+".join(remote.md5 for remote in chosen.files)
    cached = checked_path(place, "decoded.safetensors")
    if cached.is_file():
        try:
            return decoded.read(cached, fingerprint)
        except DamagedFile as error:
            logging.getLogger(__name__).warning("%s; decoding the archives again", error)
    command = f"python -m workbench.datasets fetch {chosen.name}"
    missing = [r.name for r in chosen.files if not checked_path(place, r.name).is_file()]
    if missing:
        raise MissingData(f"{chosen.name} is not on this machine ({missing[0]} is not in {place}); fetch it: {command}")
    for remote in chosen.files:
        found = md5_of(place / remote.name)
        if found != remote.md5:
            path = place / remote.name
            raise DamagedFile(f"{path} is damaged (md5 {found}, expected {remote.md5}); fetch it again: {command}")
    arrays, classes = chosen.decode(place, chosen)
    _check(chosen, arrays, place)
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    try:
        decoded.write(cached, tensors, classes, fingerprint)
    except OSError as error:  # a read-only folder: decode again next time
        logging.getLogger(__name__).warning("could not keep the decoded copy %s: %s", cached, error)
    return tensors, classes


def _check(chosen: PublishedSet, arrays: Arrays, place: Path) -> None:
    for part, number in (("train", chosen.n_train), ("test", chosen.n_test)):
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        if images.shape != (number, *chosen.image_shape) or labels.shape != (number,):
            raise DamagedFile(
                f"the {part} part in {place} has images {images.shape} and labels {labels.shape}, "
                f"expected {(number, *chosen.image_shape)}; fetch it again"
            )
        if labels.max() >= chosen.n_classes:
            raise DamagedFile(f"the {part} part in {place} has label {labels.max()}, expected < {chosen.n_classes}")
