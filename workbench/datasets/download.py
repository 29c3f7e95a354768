"""One file from the network: resumed where it broke off, checked, and placed whole or not at all."""

import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from workbench.datasets.archives import DamagedFile
from workbench.datasets.paths import checked_path

Progress = Callable[[int, int | None], None]
TIMEOUT_S = 30.0
ATTEMPTS = 4
PAUSE_S = 1.0
_CHUNK = 1 << 18
_FINAL_CODES = (400, 401, 403, 404, 410, 451)


@dataclass(frozen=True)
class RemoteFile:
    """A file of a published set: its name, its md5 in hex, and the most bytes it may have.

    An empty md5 says that none is known: such a file is taken as it arrives, and proved only by reading it.
    """

    name: str
    md5: str
    max_bytes: int


def download(
    remote: RemoteFile,
    mirrors: Sequence[str],
    folder: Path,
    *,
    progress: Progress | None = None,
    pause_s: float = PAUSE_S,
) -> Path:
    """Bring one file into ``folder`` and return its path.

    What has arrived is kept in ``NAME.partial`` and continued by an HTTP range request, in this call or a later one.
    The finished file is checked against its md5 and only then gets its name. Mirrors are tried in turn.

    Args:
        remote: what to fetch.
        mirrors: base addresses (http or https); the file is expected at ``<mirror>/<name>``.
        folder: where to put it; made when missing.
        progress: called with (bytes so far, bytes in all or None).
        pause_s: seconds to wait before trying again, doubled each time.

    Raises:
        ConnectionError: no mirror delivered the file; what arrived is kept.
        DamagedFile: a mirror delivered something else than expected; it is set aside as ``NAME.damaged``.
        ValueError: a mirror that is not an http address.
    """
    target = checked_path(folder, remote.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    addresses = list(dict.fromkeys(_address(mirror, remote.name) for mirror in mirrors))
    if not addresses:
        raise ValueError(f"no mirror to fetch {remote.name} from; give one with mirror='https://...'")
    failures: dict[str, Exception] = {}
    for attempt in range(ATTEMPTS):
        for address in list(addresses):
            resuming = partial.exists()
            try:
                _receive(address, partial, remote, progress)
                return _place(partial, target, remote)
            except (OSError, http.client.HTTPException, DamagedFile) as error:
                failures[address] = error
                if _hopeless(error, resuming):
                    addresses.remove(address)
        if not addresses:
            break
        if attempt + 1 < ATTEMPTS:
            time.sleep(pause_s * 2**attempt)
    raise _summary(remote, failures, partial)


def _hopeless(error: Exception, resuming: bool) -> bool:
    """Whether asking the same address again cannot help."""
    if isinstance(error, DamagedFile):
        return not resuming  # a wrong end on an old beginning says nothing about the mirror: start over
    return isinstance(error, urllib.error.HTTPError) and error.code in _FINAL_CODES


def _summary(remote: RemoteFile, failures: Mapping[str, Exception], partial: Path) -> Exception:
    said = "; ".join(f"{address}: {error or type(error).__name__}" for address, error in failures.items())
    if any(isinstance(error, DamagedFile) for error in failures.values()):
        return DamagedFile(said)
    kept = partial.stat().st_size if partial.exists() else 0
    return ConnectionError(
        f"{remote.name} could not be fetched ({said}); "
        f"{kept} bytes are kept in {partial} and the same command continues from there"
    )


def md5_of(path: Path) -> str:
    """The md5 of a file, in hex: a fingerprint against damage, not against forgery."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _address(mirror: str, name: str) -> str:
    if urllib.parse.urlsplit(mirror).scheme not in ("http", "https"):
        raise ValueError(
            f"a mirror must be an http or https address, got {mirror!r}; for example https://example.org/d"
        )
    return f"{mirror.rstrip('/')}/{urllib.parse.quote(name)}"


def _receive(address: str, partial: Path, remote: RemoteFile, progress: Progress | None) -> None:
    """Append what is missing to the partial file."""
    have = partial.stat().st_size if partial.exists() else 0
    headers = {"Accept-Encoding": "identity", "User-Agent": "equivariance-workbench"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - _address allows http and https only
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                return  # nothing is missing: the checksum decides
        raise
    with response:
        resumed = response.status == http.client.PARTIAL_CONTENT
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise ConnectionError(f"the server continued at another place than byte {have}")
        have = have if resumed else 0
        total = _total(response.headers.get("Content-Length"), have, remote)
        if total is not None and total - have > shutil.disk_usage(partial.parent).free:
            raise ConnectionError(f"{total - have} bytes are missing but {partial.parent} has no room for them")
        try:
            with partial.open("ab" if resumed else "wb") as sink:
                _copy(response, sink, have, total, remote, progress)
        except DamagedFile:
            partial.unlink()  # too long already: there is nothing to continue
            raise


def _total(length: str | None, have: int, remote: RemoteFile) -> int | None:
    if length is None or not length.isdigit():
        return None
    total = have + int(length)
    if total > remote.max_bytes:
        raise DamagedFile(f"{remote.name} is announced with {total} bytes, more than the {remote.max_bytes} expected")
    return total


def _copy(
    response: http.client.HTTPResponse,
    sink: IO[bytes],
    have: int,
    total: int | None,
    remote: RemoteFile,
    progress: Progress | None,
) -> None:
    while chunk := response.read(_CHUNK):
        have += len(chunk)
        if have > remote.max_bytes:
            raise DamagedFile(f"{remote.name} has more than the {remote.max_bytes} bytes expected")
        sink.write(chunk)
        if progress is not None:
            progress(have, total)
    sink.flush()
    os.fsync(sink.fileno())
    if total is not None and have < total:
        raise ConnectionError(f"the connection ended after {have} of {total} bytes")


def _place(partial: Path, target: Path, remote: RemoteFile) -> Path:
    found = md5_of(partial)
    if remote.md5 not in ("", found):
        damaged = target.with_name(target.name + ".damaged")
        os.replace(partial, damaged)
        raise DamagedFile(
            f"{remote.name} arrived damaged (md5 {found}, expected {remote.md5}) and was set aside as {damaged}; "
            "run the same command again, or choose another mirror"
        )
    os.replace(partial, target)
    return target
