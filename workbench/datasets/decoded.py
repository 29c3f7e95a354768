"""The decoded copy of a published set, kept beside its archives so that the next read takes a fraction of a second.

Written as safetensors (no code, declared sizes checked against the file) with a checksum of every array.
"""

import json
import os
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from workbench.datasets.archives import DamagedFile

FORMAT = "1"


def write(path: Path, tensors: Mapping[str, Tensor], classes: tuple[str, ...], fingerprint: str) -> None:
    """Write arrays and class names atomically: the old file or the whole new one.

    Args:
        fingerprint: of the archives the arrays were decoded from; `read` asks for it again.
    """
    from safetensors.torch import save_file

    checksums = {name: _checksum(tensor) for name, tensor in tensors.items()}
    about = {"classes": list(classes), "checksums": checksums, "fingerprint": fingerprint, "format": FORMAT}
    handle, temporary = tempfile.mkstemp(prefix=path.name, suffix=".tmp", dir=path.parent)
    os.close(handle)
    try:
        save_file({n: t.contiguous() for n, t in tensors.items()}, temporary, metadata={"about": json.dumps(about)})
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def read(path: Path, fingerprint: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the arrays and class names written by `write`.

    Raises:
        DamagedFile: unreadable, of another format, made from other archives, or failing a checksum.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stored:
            about = json.loads((stored.metadata() or {})["about"])
            if about["format"] != FORMAT or about["fingerprint"] != fingerprint:
                raise DamagedFile(f"{path} was made from other archives or by another version")
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}
        checksums, classes = about["checksums"], tuple(str(name) for name in about["classes"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, DamagedFile):
            raise
        raise DamagedFile(f"{path} cannot be read ({error})") from error
    bad = [name for name, tensor in tensors.items() if checksums.get(name) != _checksum(tensor)]
    if bad or set(checksums) != set(tensors):
        raise DamagedFile(f"{path} is damaged in {', '.join(bad) or 'its list of arrays'}")
    return tensors, classes


def _checksum(tensor: Tensor) -> int:
    return zlib.crc32(tensor.contiguous().view(torch.uint8).numpy().reshape(-1).data)
