"""Reading members of downloaded archives without unpacking them to disk and without trusting their sizes.

Nothing here ever executes what it reads: Python's own archive modules hand out bytes, and pickled data sets are not
supported at all.
"""

import bz2
import gzip
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from workbench.datasets.paths import checked_path

_MEMBER_LIMIT = 1000
_CHUNK = 1 << 16


class DamagedFile(ValueError):
    """A data file that is not what it should be; the message names the file and the remedy."""


class _Capped(io.RawIOBase):
    """A stream that refuses to give out more than ``limit`` bytes: the guard against decompression bombs."""

    def __init__(self, stream: IO[bytes], limit: int, name: str) -> None:
        self._stream, self._left, self._name, self._limit = stream, limit, name, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(min(len(buffer), self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise DamagedFile(f"{self._name} unpacks to more than the {self._limit} bytes expected; fetch it again")
        buffer[: len(data)] = data
        return len(data)


def read_gzip(path: Path, max_bytes: int) -> bytes:
    """Return the unpacked content of a .gz file, refusing more than ``max_bytes``.

    Raises:
        DamagedFile: not a gzip file, cut short, failing its own checksum, or larger than allowed.
    """
    try:
        with gzip.open(path) as stream:
            data = stream.read(max_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedFile(f"{path} is not a whole gzip file ({error}); fetch it again") from error
    if not data:
        raise DamagedFile(f"{path} is not a whole gzip file (it is empty); fetch it again")
    if len(data) > max_bytes:
        raise DamagedFile(f"{path} unpacks to more than the {max_bytes} bytes expected; fetch it again")
    return data


def read_tar_gz(path: Path, wanted: Iterable[str], max_bytes: int) -> dict[str, bytes]:
    """Return the wanted members of a .tar.gz as bytes; nothing is written to disk.

    Args:
        wanted: full member names.
        max_bytes: limit for the whole unpacked archive.

    Raises:
        DamagedFile: an archive with a name that leaves its folder, a wanted member that is missing or no plain file,
            more unpacked bytes than allowed, or damage.
    """
    missing, found = set(wanted), {}
    try:
        with gzip.open(path) as packed:
            capped = io.BufferedReader(_Capped(packed, max_bytes, str(path)), _CHUNK)  # type: ignore[arg-type]
            with tarfile.open(fileobj=capped, mode="r|") as archive:
                for count, member in enumerate(archive):
                    _check_member(path, count, member.name, member.size, max_bytes)
                    if member.name in missing:
                        stream = archive.extractfile(member) if member.isreg() else None
                        if stream is None:
                            raise DamagedFile(f"{path} holds {member.name!r} as a link or device; fetch it again")
                        found[member.name] = stream.read()
                        missing.discard(member.name)
    except DamagedFile:
        raise
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
        raise DamagedFile(f"{path} is not a whole .tar.gz archive ({error}); fetch it again") from error
    if missing:
        raise DamagedFile(f"{path} lacks {', '.join(sorted(missing))}; fetch it again")
    return found


def members_of_tar_bz2(
    path: Path, wanted: Callable[[str], bool], max_bytes: int, most: int = _MEMBER_LIMIT
) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the wanted members of a .tar.bz2, one after another; nothing is written to disk.

    Args:
        wanted: whether a full member name is.
        max_bytes: limit for the whole unpacked archive.
        most: members that it may have.

    Raises:
        DamagedFile: as `read_tar_gz`, but for members that are missing.
    """
    try:
        with bz2.open(path) as packed:
            capped = io.BufferedReader(_Capped(packed, max_bytes, str(path)), _CHUNK)
            with tarfile.open(fileobj=capped, mode="r|") as archive:
                for count, member in enumerate(archive):
                    _check_member(path, count, member.name, member.size, max_bytes, most)
                    if wanted(member.name):
                        stream = archive.extractfile(member) if member.isreg() else None
                        if stream is None:
                            raise DamagedFile(f"{path} holds {member.name!r} as a link or device; fetch it again")
                        yield member.name, stream.read()
                    archive.members = []  # type: ignore[attr-defined]  # a hundred thousand would be kept
    except DamagedFile:
        raise
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise DamagedFile(f"{path} is not a whole .tar.bz2 archive ({error}); fetch it again") from error


def read_zip(path: Path, wanted: Iterable[str], max_bytes: int) -> dict[str, bytes]:
    """Return the wanted members of a .zip as bytes; nothing is written to disk. Errors as in `read_tar_gz`."""
    missing, found = set(wanted), {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            for count, member in enumerate(members):
                _check_member(path, count, member.filename, member.file_size, max_bytes)
            if sum(member.file_size for member in members) > max_bytes:
                raise DamagedFile(f"{path} declares more than the {max_bytes} bytes expected; fetch it again")
            for member in members:
                if member.filename in missing:
                    with archive.open(member) as stream:
                        data = stream.read(member.file_size + 1)
                    found[member.filename] = data
                    missing.discard(member.filename)
    except DamagedFile:
        raise
    except (zipfile.BadZipFile, zlib.error, RuntimeError, OSError, EOFError, ValueError) as error:
        raise DamagedFile(f"{path} is not a whole .zip archive ({error}); fetch it again") from error
    if missing:
        raise DamagedFile(f"{path} lacks {', '.join(sorted(missing))}; fetch it again")
    return found


def _check_member(path: Path, count: int, name: str, size: int, max_bytes: int, most: int = _MEMBER_LIMIT) -> None:
    """Refuse an archive by one member's declared name or size, before a byte of it is read."""
    if count >= most:
        raise DamagedFile(f"{path} has more than {most} members; fetch it again")
    try:
        # "./x" and a folder's closing slash are ordinary in archives and lead nowhere else.
        checked_path(path.parent, re.sub(r"^(\./)+(?=.)", "", name).rstrip("/") or "folder")
    except ValueError as error:
        raise DamagedFile(f"{path} holds a member that must not be there: {error}") from error
    if not 0 <= size <= max_bytes:
        raise DamagedFile(f"{path} declares {size} bytes for {name!r}, more than the {max_bytes} expected")
