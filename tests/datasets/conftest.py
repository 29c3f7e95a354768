"""A real web server on loopback that can misbehave on request, and tiny published sets for it to serve."""

import gzip
import hashlib
import io
import struct
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from workbench.datasets.download import RemoteFile
from workbench.datasets.published_set import PUBLISHED, PublishedSet


@dataclass
class Mirror:
    """What the server serves and how; `requests` records (file name, Range header) of every request."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    cut_after: list[int] = field(default_factory=list)  # bytes sent before hanging up, one entry a request
    ranges: bool = True
    announce: bool = True
    status: int | None = None
    stall: threading.Event | None = None

    def add(self, name: str, data: bytes, max_bytes: int = 1 << 24) -> RemoteFile:
        """Serve a file and return how a `PublishedSet` would describe it."""
        self.files[name] = data
        return RemoteFile(name, hashlib.md5(data).hexdigest(), max_bytes)


class _Handler(BaseHTTPRequestHandler):
    mirror: Mirror

    def do_GET(self) -> None:
        mirror, name, span = self.mirror, self.path.removeprefix("/"), self.headers.get("Range")
        mirror.requests.append((name, span))
        data = mirror.files.get(name)
        if mirror.status or data is None:
            self.send_error(mirror.status or 404)
            return
        start = int(span.removeprefix("bytes=").rstrip("-")) if span and mirror.ranges else 0
        if start >= len(data) > 0:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if mirror.announce:
            self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        cut = mirror.cut_after.pop(0) if mirror.cut_after else None
        self.wfile.write(data[start:] if cut is None else data[start : start + cut])
        if mirror.stall is not None:
            self.wfile.flush()
            mirror.stall.wait(5)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@pytest.fixture
def new_mirror() -> Iterator[Callable[[], Mirror]]:
    """A function that starts one more server."""
    servers: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start() -> Mirror:
        mirror = Mirror()
        handler = type("Handler", (_Handler,), {"mirror": mirror})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        servers.append((server, thread))
        mirror.address = f"http://127.0.0.1:{server.server_port}"
        return mirror

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def mirror(new_mirror: Callable[[], Mirror]) -> Mirror:
    """One server."""
    return new_mirror()


def idx_gz(array: np.ndarray) -> bytes:
    """An array of bytes in MNIST's format."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes())


def tar_gz(members: dict[str, bytes]) -> bytes:
    """A .tar.gz archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    """A .zip archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()


@dataclass
class Tiny:
    """A small stand-in for a published set: the set itself and the arrays its files were made from."""

    spec: PublishedSet
    arrays: dict[str, np.ndarray]


@pytest.fixture
def tiny(mirror: Mirror) -> Callable[[str], Tiny]:
    """A function that puts a tiny set of the real format on the server: 20 training and 6 test images."""

    def make(name: str) -> Tiny:
        spec = PUBLISHED[name]
        random = np.random.default_rng(0)
        arrays: dict[str, np.ndarray] = {}
        for part, number in (("train", 20), ("test", 6)):
            arrays[f"{part}_images"] = random.integers(0, 256, (number, *spec.image_shape), dtype=np.uint8)
            arrays[f"{part}_labels"] = np.arange(number, dtype=np.uint8) % 10
        files = tuple(mirror.add(*file) for file in _FILES[name](arrays))
        small = replace(spec, files=files, mirrors=(mirror.address,), n_train=20, n_test=6, n_validation=5)
        return Tiny(small, arrays)

    return make


def _mnist(arrays: dict[str, np.ndarray]) -> Iterator[tuple[str, bytes]]:
    for prefix, part in (("train", "train"), ("t10k", "test")):
        yield f"{prefix}-images-idx3-ubyte.gz", idx_gz(arrays[f"{part}_images"][:, 0])
        yield f"{prefix}-labels-idx1-ubyte.gz", idx_gz(arrays[f"{part}_labels"])


def _rotmnist(arrays: dict[str, np.ndarray]) -> Iterator[tuple[str, bytes]]:
    members = {}
    for part, ending in (("train", "train_valid"), ("test", "test")):
        pixels = arrays[f"{part}_images"].reshape(-1, 784) / 255
        table = np.column_stack([pixels, arrays[f"{part}_labels"]])
        text = io.BytesIO()
        np.savetxt(text, table, fmt="%.9g")
        members[f"mnist_all_rotation_normalized_float_{ending}.amat"] = text.getvalue()
    yield "mnist_rotation_new.zip", zipped(members)


def _records(arrays: dict[str, np.ndarray], part: str, labels: int) -> np.ndarray:
    columns = [arrays[f"{part}_labels"]] * labels + [arrays[f"{part}_images"].reshape(-1, 3072)]
    return np.column_stack(columns).astype(np.uint8)


def _cifar10(arrays: dict[str, np.ndarray]) -> Iterator[tuple[str, bytes]]:
    train = np.split(_records(arrays, "train", 1), 5)
    members = {f"cifar-10-batches-bin/data_batch_{k + 1}.bin": part.tobytes() for k, part in enumerate(train)}
    members["cifar-10-batches-bin/test_batch.bin"] = _records(arrays, "test", 1).tobytes()
    members["cifar-10-batches-bin/batches.meta.txt"] = "\n".join(f"kind{k}" for k in range(10)).encode() + b"\n\n"
    yield "cifar-10-binary.tar.gz", tar_gz(members)


def _cifar100(arrays: dict[str, np.ndarray]) -> Iterator[tuple[str, bytes]]:
    train, test = _records(arrays, "train", 2), _records(arrays, "test", 2)
    train[:, 0] = test[:, 0] = 99  # the coarse label: must not be taken for the fine one
    members = {"cifar-100-binary/train.bin": train.tobytes(), "cifar-100-binary/test.bin": test.tobytes()}
    members["cifar-100-binary/fine_label_names.txt"] = "\n".join(f"kind{k}" for k in range(100)).encode()
    yield "cifar-100-binary.tar.gz", tar_gz(members)


_FILES = {"mnist": _mnist, "rotmnist": _rotmnist, "cifar10": _cifar10, "cifar100": _cifar100}
