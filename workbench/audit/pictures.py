"""A folder of pictures as the data of an audit."""

from __future__ import annotations

from pathlib import Path

from workbench.audit.data import AuditData, chosen
from workbench.datasets.folder import read_folder


def from_folder(path: Path, samples: int, size: int | None, channels: int | None, seed: int) -> AuditData:
    """Some pictures of a folder as (B, C, size, size) in [0, 1]; sub-folders are classes.

    Raises:
        ValueError: no picture in it can be used; the sentence is that of the first.
    """
    found = read_folder(path, size, channels, lambda count: chosen(count, samples, seed))
    side, taken = found.images.shape[-1], len(found.images) + len(found.refused)
    notes = [f"Pictures were cut to their largest centred square and resized to {side} x {side} pixels."]
    if found.refused:
        notes.append(f"{len(found.refused)} of {taken} pictures were left out; the first because {found.refused[0]}.")
    known = found.labels if found.classes and int(found.labels.min()) >= 0 else None
    kind = f"folder of {found.of} pictures"
    return AuditData(found.images, known, path.name, kind, found.of, found.classes, tuple(notes))
