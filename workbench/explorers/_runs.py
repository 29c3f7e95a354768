"""The trained runs that ship with the workbench, found by their folders and kept open once read."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.datasets import checked_path, data_folder

if TYPE_CHECKING:
    import xarray as xr
    from torch import nn

RUNS = "runs"
DEEPEST = 3


def run_names() -> list[str]:
    """Names of the stored runs relative to data/runs, in order; empty where none was trained yet."""
    folder = data_folder() / RUNS
    found = (
        path.parent
        for depth in range(1, DEEPEST + 1)
        for path in folder.glob("/".join(["*"] * depth + ["config.json"]))
    )
    return sorted(path.relative_to(folder).as_posix() for path in found)


def run_path(name: str) -> Path:
    """The folder of a stored run; a name that leads out of data/runs is refused."""
    return checked_path(data_folder() / RUNS, name)


@lru_cache(maxsize=64)
def trained_model(path: Path) -> nn.Module:
    """The network of a run, in evaluation mode; shared, do not train it."""
    from workbench.training import Run

    return Run(path).model().requires_grad_(False)


@lru_cache(maxsize=64)
def history(path: Path) -> xr.Dataset:
    """The labelled history of a run; shared, do not change it."""
    from workbench.training import Run

    return Run(path).history()
