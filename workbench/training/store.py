"""Files that are old or new and never half, with checksums beside them that name what was damaged."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHECKSUMS = "checksums.json"
PARTIAL = ".partial"  # ending of a file that is still being written


class DamagedFile(ValueError):
    """A stored file that is not what was written."""


def write_durably(path: Path, content: bytes) -> None:
    """Replace one file: temporary file in the same folder, flush, fsync, rename, fsync of the folder."""
    temporary = _partial_name(path)
    try:
        _write_synced(temporary, content)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def sweep_partials(folder: Path) -> None:
    """Remove what a killed writer left; only the owner of a folder may call this."""
    for stray in folder.glob(f".*{PARTIAL}"):
        stray.unlink(missing_ok=True)


class Store:
    """The files of one folder with the SHA-256 of each in checksums.json.

    For each name the list holds the digest of the file being written and that of the one it replaces, so that
    a writer killed at any moment leaves a folder that checks out. One writer at a time owns a folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._on_disk: dict[str, list[str]] = {}  # digest of each file this writer knows, [] where none is good

    def write(self, name: str, content: bytes, *, keep: str | None = None) -> None:
        """Replace file `name`; with `keep` the old file stays in the folder under that name."""
        path = self.folder / name
        temporary = _partial_name(path)
        try:
            _write_synced(temporary, content)
            digests = self._digests() if (self.folder / CHECKSUMS).exists() else {}
            old = self._good(name, digests)
            digests[name] = [_digest(content), *old]
            keep = keep if old else None  # a damaged file never takes the place of a good one
            if keep:
                digests[keep] = [*old, *self._good(keep, digests)]
            self._write_digests(digests)
            if keep:
                _copy_name(path, self.folder / keep)
                self._on_disk[keep] = old
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._on_disk[name] = digests[name][:1]
        _sync_folder(self.folder)

    def read(self, name: str) -> bytes:
        """The bytes of file `name`, checked.

        Raises FileNotFoundError where it is missing and DamagedFile where it is not what was written.
        """
        path = self.folder / name
        if not path.is_file():
            raise FileNotFoundError(f"{self.folder} has no {name}; expected a run folder with that file")
        content = path.read_bytes()
        expected = self._digests().get(name)
        if expected is None:
            raise DamagedFile(f"{path} is not listed in {CHECKSUMS}; it was not written by this run")
        if _digest(content) not in expected:
            raise DamagedFile(
                f"{path} is damaged: its {len(content)} bytes have SHA-256 {_digest(content)[:12]}…, "
                f"expected {expected[0][:12]}…"
            )
        return content

    def names(self) -> list[str]:
        """The files this folder should hold."""
        return sorted(self._digests())

    def _good(self, name: str, digests: Mapping[str, list[str]]) -> list[str]:
        """The digest of the file that lies under this name, if it is one that was written; else nothing."""
        if name not in self._on_disk:
            path = self.folder / name
            found = _digest(path.read_bytes()) if path.is_file() else ""
            self._on_disk[name] = [found] if found in digests.get(name, []) else []
        return self._on_disk[name]

    def _digests(self) -> dict[str, list[str]]:
        path = self.folder / CHECKSUMS
        if not path.is_file():
            raise FileNotFoundError(f"{self.folder} has no {CHECKSUMS}; expected a whole run folder")
        try:
            stored = json.loads(path.read_bytes())
            files, own = stored["files"], stored["own"]
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedFile(f"{path} is damaged: it is not the JSON that was written") from error
        if own != _digest(_canonical(files)):
            raise DamagedFile(f"{path} is damaged: its own checksum does not hold")
        return files

    def _write_digests(self, files: Mapping[str, list[str]]) -> None:
        stored = {"own": _digest(_canonical(files)), "files": files}
        write_durably(self.folder / CHECKSUMS, json.dumps(stored, indent=1, sort_keys=True).encode())


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _partial_name(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}{PARTIAL}")


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _copy_name(source: Path, target: Path) -> None:
    """Give the same file a second name, replacing what had that name; where links are refused, move it."""
    temporary = _partial_name(target)
    try:
        os.link(source, temporary)
    except OSError:
        os.replace(source, target)
    else:
        os.replace(temporary, target)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
