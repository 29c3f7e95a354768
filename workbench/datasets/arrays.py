"""Array files of strangers: .npy and .npz read without running code and without allocating what they only declare."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

LARGEST_BYTES = 2**31
"""Of one array in memory. A file that declares more is refused before anything is allocated."""
_KINDS = "fiub"  # floats, whole numbers, truth values
_MAGIC = b"\x93NUMPY"


def read_npy(path: Path) -> np.ndarray:
    """The array in a .npy file, mapped, not copied: only what is taken from it is read.

    Raises:
        ValueError: no .npy, objects inside, too large, or cut short.
    """
    with path.open("rb") as stream:
        shape, dtype = _header(stream, path.name)
        present = path.stat().st_size - stream.tell()
    _check(shape, dtype, path.name, present)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def read_npz(path: Path, wanted: str | None = None, content: bytes | None = None) -> dict[str, np.ndarray]:
    """The arrays in a .npz file by name; each is measured by its header before it is unpacked.

    Args:
        path: the file; only its name counts where its content is given.
        wanted: one array only.
        content: the bytes of the file, for one that lies in an archive.

    Raises:
        ValueError: no .npz, objects inside, too large (also when unpacked), or damaged.
    """
    try:
        with zipfile.ZipFile(path if content is None else io.BytesIO(content)) as archive:
            members = {i.filename.removesuffix(".npy"): i for i in archive.infolist() if i.filename.endswith(".npy")}
            if not members:
                raise ValueError(f"{path.name} holds no arrays; expected what numpy.savez writes.")
            if sum(info.file_size for info in members.values()) > LARGEST_BYTES:
                raise ValueError(f"{path.name} unpacks to more than {LARGEST_BYTES} bytes (2 GB); store fewer samples.")
            chosen = {n: info for n, info in members.items() if wanted is None or n == wanted}
            return {name: _member(archive, info, path.name) for name, info in chosen.items()}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ValueError(f"{path.name} is cut short or damaged ({error}); save it again with numpy.savez.") from error


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> np.ndarray:
    where = f"{info.filename} in {name}"
    with archive.open(info) as stream:
        head = io.BytesIO(stream.read(min(info.file_size, 65_536)))
        shape, dtype = _header(head, where)
        size = _check(shape, dtype, where, info.file_size - head.tell())
        rest = head.read() + stream.read(size)  # never more than was declared, however much the archive unpacks to
    if len(rest) < size:
        raise ValueError(f"{where} is cut short; save it again.")
    head.seek(0)
    order = "F" if _fortran(head) else "C"
    return np.frombuffer(rest[:size], dtype).reshape(shape, order=order)  # type: ignore[call-overload]


def _header(stream: BinaryIO, name: str) -> tuple[tuple[int, ...], np.dtype]:
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise ValueError(f"{name} is no numpy array (wrong first bytes); save it with numpy.save or numpy.savez.")
    stream.seek(0)
    try:
        shape, _, dtype = _parsed(stream)
    except (ValueError, SyntaxError, TypeError, EOFError) as error:
        raise ValueError(f"the header of {name} is damaged; save the array again.") from error
    return shape, dtype


def _parsed(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError(f"version {version}")


def _fortran(stream: BinaryIO) -> bool:
    return _parsed(stream)[1]


def _check(shape: tuple[int, ...], dtype: np.dtype, name: str, present: int) -> int:
    """Bytes of the array, after making sure that they are plain numbers, few enough, and there."""
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects, which could run code; save an array of numbers.")
    if dtype.kind not in _KINDS:
        raise ValueError(f"{name} holds {dtype}; expected numbers (float or uint8).")
    size = math.prod(shape) * dtype.itemsize
    if size > LARGEST_BYTES:
        raise ValueError(f"{name} declares {size} bytes; expected at most {LARGEST_BYTES} (2 GB); store fewer samples.")
    if size > present:
        raise ValueError(f"{name} is cut short: {size} bytes are declared, {present} are there; save it again.")
    return size
