"""The three file formats of the published sets, decoded from bytes: IDX (MNIST), AMAT (rotMNIST), CIFAR binary."""

import struct
import warnings

import numpy as np

from workbench.datasets.archives import DamagedFile

_IDX_UINT8 = 0x08


def decode_idx(data: bytes, name: str) -> np.ndarray:
    """Decode an IDX file of unsigned bytes.

    Layout: two zero bytes, the type (0x08), the number of dims, each dim as a big-endian 32-bit integer, then the
    values. The declared shape must match the length of the data, which is checked before the array is made.

    Source: Y. LeCun, C. Cortes and C. Burges, The MNIST database.

    >>> decode_idx(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]), "tiny")
    array([7, 9], dtype=uint8)
    """
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != _IDX_UINT8 or not 1 <= data[3] <= 4:
        raise DamagedFile(f"{name} does not begin like an IDX file of bytes (got {data[:4]!r}); fetch it again")
    rank = data[3]
    start = 4 + 4 * rank
    if len(data) < start:
        raise DamagedFile(f"{name} ends within its header; fetch it again")
    shape = struct.unpack(f">{rank}I", data[4:start])
    declared = 1
    for length in shape:
        declared *= length
    if declared != len(data) - start:
        raise DamagedFile(f"{name} declares shape {shape} but holds {len(data) - start} values; fetch it again")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def decode_amat(data: bytes, side: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Decode a table of text numbers, side*side pixels and a label a line -> float32 (N, side, side), uint8 (N,).

    Pixels are read row by row, as the public loaders do; that the authors wrote them so is unverified.

    >>> images, labels = decode_amat(b"0 .5 1 0 3\\n", side=2, name="tiny")
    >>> images.tolist(), labels.tolist()
    ([[[0.0, 0.5], [1.0, 0.0]]], [3])
    """
    columns = side * side + 1
    try:
        with warnings.catch_warnings():
            # numpy only warns when text is no number; a damaged table must not pass as a shorter one.
            warnings.simplefilter("error", DeprecationWarning)
            values = np.fromstring(data, dtype=np.float32, sep=" ")
    except (ValueError, DeprecationWarning) as error:
        raise DamagedFile(f"{name} holds text that is not a number ({error}); fetch it again") from error
    if not len(values) or len(values) % columns:
        raise DamagedFile(f"{name} holds {len(values)} numbers, not a multiple of {columns}; fetch it again")
    table = values.reshape(-1, columns)
    pixels, labels = table[:, :-1], table[:, -1]
    in_range = (pixels >= 0).all() and (pixels <= 1).all() and (labels == labels.round()).all()
    if not (in_range and (labels >= 0).all() and (labels <= 255).all()):
        raise DamagedFile(f"{name} holds pixels outside [0, 1] or labels that are not whole; fetch it again")
    return np.ascontiguousarray(pixels).reshape(-1, side, side), labels.astype(np.uint8)


def decode_cifar(data: bytes, label_bytes: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Decode CIFAR's binary version -> uint8 (N, 3, 32, 32) and the last label byte of each record, uint8 (N,).

    A record is ``label_bytes`` labels (CIFAR-100: coarse, then fine) and 3,072 pixels: red, green, blue, row by row.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; the data set's web page.

    >>> images, labels = decode_cifar(bytes([3]) + bytes(3072), 1, "tiny")
    >>> images.shape, labels.tolist()
    ((1, 3, 32, 32), [3])
    """
    record = label_bytes + 3 * 32 * 32
    if not data or len(data) % record:
        raise DamagedFile(f"{name} holds {len(data)} bytes, not a multiple of {record}; fetch it again")
    table = np.frombuffer(data, np.uint8).reshape(-1, record)
    return table[:, label_bytes:].reshape(-1, 3, 32, 32), table[:, label_bytes - 1].copy()
