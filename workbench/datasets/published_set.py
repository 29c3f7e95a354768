"""What is known about each published set: its files and checksums, its official parts, and how to decode it.

Only formats that cannot hold code are read: IDX, text tables and CIFAR's *binary* version (its Python version is a
pickle). Everything can be replaced by passing another `PublishedSet`, which is how the tests run against a server
of their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench.datasets.archives import DamagedFile, read_gzip, read_tar_gz, read_zip
from workbench.datasets.download import RemoteFile
from workbench.datasets.formats import decode_amat, decode_cifar, decode_idx

DIGITS = tuple("0123456789")
_MEGABYTE = 1 << 20

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class PublishedSet:
    """What must be known to fetch, check, read and split one published set.

    Attributes:
        name: as in `workbench.datasets.load`.
        files: the files to fetch, with checksums.
        mirrors: base addresses, tried in turn.
        decode: folder, set -> arrays train_images, train_labels, test_images, test_labels, and the class names.
        n_train, n_test: images in the official parts; a file with another number is refused.
        image_shape: (C, H, W).
        n_validation: how many of the official training images become the validation split.
        mean, std: for standardising, per channel; None means the statistics of the training split.
        n_classes: labels lie in 0..n_classes-1.
        source, licence: for `attrs`.
    """

    name: str
    files: tuple[RemoteFile, ...]
    mirrors: tuple[str, ...]
    decode: Callable[[Path, "PublishedSet"], tuple[Arrays, tuple[str, ...]]]
    n_train: int
    n_test: int
    image_shape: tuple[int, int, int]
    n_validation: int
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    n_classes: int
    source: str
    licence: str

    @property
    def unpacked_bytes(self) -> int:
        """The most bytes one archive of this set may unpack to: four times its pixels and labels, plus headers."""
        return 4 * (self.n_train + self.n_test) * (int(np.prod(self.image_shape)) + 2) + _MEGABYTE


def _decode_mnist(place: Path, chosen: PublishedSet) -> tuple[Arrays, tuple[str, ...]]:
    names = ("train_images", "train_labels", "test_images", "test_labels")
    arrays = {}
    for key, remote in zip(names, chosen.files, strict=True):
        array = decode_idx(read_gzip(place / remote.name, chosen.unpacked_bytes), remote.name)
        arrays[key] = array[:, None] if key.endswith("images") else array
    return arrays, DIGITS


def _decode_rotmnist(place: Path, chosen: PublishedSet) -> tuple[Arrays, tuple[str, ...]]:
    arrays: Arrays = {}
    path, limit = place / chosen.files[0].name, 10 * chosen.unpacked_bytes  # text: many characters a number
    for part, ending in (("train", "train_valid"), ("test", "test")):
        member = f"mnist_all_rotation_normalized_float_{ending}.amat"
        text = read_zip(path, (member,), limit)[member]
        images, arrays[f"{part}_labels"] = decode_amat(text, chosen.image_shape[-1], member)
        arrays[f"{part}_images"] = images[:, None]
    return arrays, DIGITS


def _decode_cifar10(place: Path, chosen: PublishedSet) -> tuple[Arrays, tuple[str, ...]]:
    batches = [f"cifar-10-batches-bin/data_batch_{k}.bin" for k in range(1, 6)]
    return _cifar(
        place, chosen, batches, "cifar-10-batches-bin/test_batch.bin", "cifar-10-batches-bin/batches.meta.txt"
    )


def _decode_cifar100(place: Path, chosen: PublishedSet) -> tuple[Arrays, tuple[str, ...]]:
    folder = "cifar-100-binary"
    return _cifar(place, chosen, [f"{folder}/train.bin"], f"{folder}/test.bin", f"{folder}/fine_label_names.txt")


def _cifar(
    place: Path, chosen: PublishedSet, train: Sequence[str], test: str, names: str
) -> tuple[Arrays, tuple[str, ...]]:
    found = read_tar_gz(place / chosen.files[0].name, (*train, test, names), chosen.unpacked_bytes)
    label_bytes = 1 if len(train) > 1 else 2
    parts = [decode_cifar(found[name], label_bytes, name) for name in train]
    arrays: Arrays = {
        "train_images": np.concatenate([images for images, _ in parts]),
        "train_labels": np.concatenate([labels for _, labels in parts]),
    }
    arrays["test_images"], arrays["test_labels"] = decode_cifar(found[test], label_bytes, test)
    classes = tuple(found[names].decode("ascii", errors="replace").split())
    if len(classes) != chosen.n_classes:
        raise DamagedFile(f"{names} names {len(classes)} classes, expected {chosen.n_classes}; fetch it again")
    return arrays, classes


_CIFAR_MIRROR = ("https://www.cs.toronto.edu/~kriz",)
_CIFAR_SOURCE = "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"

# Where the checksums were seen: CIFAR-10's on the authors' page, those of MNIST and CIFAR-100 in several independent
# public loaders that agree. None has been held against a file that was downloaded for this project.
PUBLISHED: dict[str, PublishedSet] = {
    "mnist": PublishedSet(
        name="mnist",
        files=(
            RemoteFile("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873", 16 * _MEGABYTE),
            RemoteFile("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432", _MEGABYTE),
            RemoteFile("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3", 4 * _MEGABYTE),
            RemoteFile("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c", _MEGABYTE),
        ),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            "https://storage.googleapis.com/cvdf-datasets/mnist",
        ),
        decode=_decode_mnist,
        n_train=60_000,
        n_test=10_000,
        image_shape=(1, 28, 28),
        n_validation=10_000,
        mean=(0.1307,),
        std=(0.3081,),
        n_classes=10,
        source="Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits",
        licence="CC BY-SA 3.0 as commonly stated (unverified)",
    ),
    "rotmnist": PublishedSet(
        name="rotmnist",
        # The authors published no checksum: this one is what public loaders use, and is unconfirmed.
        files=(RemoteFile("mnist_rotation_new.zip", "0f9a947ff3d30e95cd685462cbf3b847", 256 * _MEGABYTE),),
        mirrors=("http://www.iro.umontreal.ca/~lisa/icml2007data",),
        decode=_decode_rotmnist,
        n_train=12_000,
        n_test=50_000,
        image_shape=(1, 28, 28),
        n_validation=2_000,
        mean=(0.13,),
        std=(0.2970,),
        n_classes=10,
        source="H. Larochelle et al., An empirical evaluation of deep architectures, ICML 2007",
        licence="none stated",
    ),
    "cifar10": PublishedSet(
        name="cifar10",
        files=(RemoteFile("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", 180 * _MEGABYTE),),
        mirrors=_CIFAR_MIRROR,
        decode=_decode_cifar10,
        n_train=50_000,
        n_test=10_000,
        image_shape=(3, 32, 32),
        n_validation=5_000,
        # ImageNet's statistics, as Romero & Lohit 2022 use for CIFAR-10.
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        n_classes=10,
        source=_CIFAR_SOURCE,
        licence="none stated",
    ),
    "cifar100": PublishedSet(
        name="cifar100",
        files=(RemoteFile("cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8", 180 * _MEGABYTE),),
        mirrors=_CIFAR_MIRROR,
        decode=_decode_cifar100,
        n_train=50_000,
        n_test=10_000,
        image_shape=(3, 32, 32),
        n_validation=5_000,
        mean=None,
        std=None,
        n_classes=100,
        source=_CIFAR_SOURCE,
        licence="none stated",
    ),
}
