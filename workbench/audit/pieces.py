"""The long sweeps of an audit in pieces on disk, measured here or by the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr
from torch import nn

from workbench.audit.importing import is_import_path
from workbench.audit.model import AuditedModel
from workbench.measure import equivariance_error_streamed


@dataclass(frozen=True)
class Pieces:
    """Where the pieces lie, who measures them, and how a worker builds the network."""

    folder: Path
    scheduler: str | None
    build: str | None

    def of(self, question: str) -> Callable[..., xr.Dataset]:
        """The measure of one question, with a folder of its own."""
        name = "-".join(question.split()).lower()
        plain = "".join(letter if letter.isalnum() or letter == "-" else "_" for letter in name)
        where: dict[str, Any] = {"scheduler": self.scheduler, "build": self.build}
        return partial(equivariance_error_streamed, folder=self.folder / plain, **where)


def pieces_of(found: AuditedModel, folder: str | Path | None, scheduler: str | None) -> Pieces | None:
    """How the sweeps are cut; ``None`` where nobody asked for it.

    Raises:
        ValueError: a scheduler without a folder, or a network that its workers cannot build.
    """
    if folder is None:
        if scheduler is not None:
            raise ValueError("scheduler was given without folder; expected a folder for the pieces; name one.")
        return None
    if scheduler is None or not isinstance(found.model, nn.Module):
        return Pieces(Path(folder), scheduler, None)
    if not is_import_path(found.name) or found.name.rpartition(":")[0].endswith(".py"):
        raise ValueError(
            f"{found.name} was given for a scheduler; expected package.module:name, because its workers import what "
            "makes the network; audit it without --scheduler, or put it into a module that they can import."
        )
    return Pieces(Path(folder), scheduler, found.name)
