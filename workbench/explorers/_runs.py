"""The trained runs that ship with the workbench, found by their folders and kept open once read."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from workbench.datasets import ImageSet, checked_path, data_folder, load
from workbench.measure.provenance import provenance
from workbench.models import build_model
from workbench.training import Run

if TYPE_CHECKING:
    import xarray as xr
    from torch import nn

RUNS = "runs"
DEEPEST = 3
UNTRAINED = "untrained"
"""Name of the demonstration network with seeded random weights; it is always there."""
OWN = "your own run"
DEMO = {"name": "partial_gcnn", "preset": "demo"}
_building = threading.Lock()  # weights are drawn from torch's global generator


def run_names() -> tuple[str, ...]:
    """Names of the stored runs relative to data/runs, in order; empty where none was trained yet."""
    folder = data_folder() / RUNS
    return _found(folder, folder.stat().st_mtime_ns) if folder.is_dir() else ()


@lru_cache(maxsize=8)
def _found(folder: Path, changed: int) -> tuple[str, ...]:
    """Looked up once for each state of the folder: a copy of an explorer is made at every move of a slider."""
    levels = ("/".join(["*"] * depth + ["config.json"]) for depth in range(1, DEEPEST + 1))
    return tuple(sorted(path.parent.relative_to(folder).as_posix() for level in levels for path in folder.glob(level)))


def run_choices(but: tuple[str, ...] = ()) -> dict[str, str]:
    """Labels and names for a menu: every stored run whose model is not one of `but`, and last the untrained network."""
    return dict(_choices(data_folder() / RUNS, run_names(), but))


@lru_cache(maxsize=16)
def _choices(folder: Path, names: tuple[str, ...], but: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    fitting = [name for name in names if config(checked_path(folder, name))["model"]["name"] not in but]
    return (*((in_words(name), name) for name in fitting), ("untrained, random weights", UNTRAINED))


def in_words(name: str) -> str:
    """The name of a run for a menu.

    >>> in_words("six_180_partial/seed-0")
    'six 180 partial, seed 0'
    """
    return name.replace("/", ", ").replace("_", " ").replace("-", " ")


def preferred(choices: dict[str, str], *parts: str) -> str:
    """The first run whose name holds all parts, otherwise the last choice, which is always there."""
    names = list(choices.values())
    return next((name for name in names if all(part in name for part in parts)), names[-1])


def run_path(name: str) -> Path | None:
    """The folder of a stored run, `None` for the untrained network; a name that leads out of data/runs is refused."""
    return None if name == UNTRAINED else checked_path(data_folder() / RUNS, name)


@dataclass(frozen=True)
class OwnRun:
    """A run that the reader trained, shown while a menu of runs stands at `entry`."""

    path: Path
    entry: str


def own_run(given: object, entry: str) -> OwnRun:
    """A run that the reader trained, once its weights and its history were read and found whole.

    Args:
        given: a `workbench.training.Run`, or the folder of one.
        entry: the name of the stored run that it takes the place of.

    Raises:
        TypeError: something else.
        FileNotFoundError, DamagedFile, ValueError: no run, or a broken one; the sentence says which file.
    """
    if not isinstance(given, Run | Path | str):
        raise TypeError(f"a {type(given).__name__} was given; expected a workbench.training.Run or its folder.")
    run = given if isinstance(given, Run) else Run(given)
    run.verify()
    run.weights()
    return OwnRun(run.path.resolve(), entry)


def with_own(choices: dict[str, str], own: OwnRun | None) -> dict[str, str]:
    """A menu in which the reader's run has the place of a stored one."""
    return {OWN if own and name == own.entry else label: name for label, name in choices.items()}


def shown_run(name: str, own: OwnRun | None) -> tuple[str, Path | None]:
    """The name and the folder that a menu entry stands for: the reader's run where it has that place."""
    return (OWN, own.path) if own and own.entry == name else (name, run_path(name))


@lru_cache(maxsize=64)
def config(path: Path | None) -> dict[str, Any]:
    """The configuration of a run: model, data, training, seed; do not change it."""
    return {"model": DEMO, "data": {"name": "digits"}, "seed": 0} if path is None else Run(path).config


@lru_cache(maxsize=64)
def trained_model(path: Path | None) -> nn.Module:
    """The network of a run, in evaluation mode; shared, do not train it."""
    if path is None:
        return seeded(DEMO)
    return Run(path).model().requires_grad_(False)


def seeded(model: dict[str, Any], seed: int = 0) -> nn.Module:
    """A network with random weights from a seed, in evaluation mode; the global generator is left as it was."""
    with _building, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_model(model).eval().requires_grad_(False)


@lru_cache(maxsize=64)
def history(path: Path | None) -> xr.Dataset:
    """The labelled history of a run; shared, do not change it. The untrained network has the epoch 0 only."""
    if path is not None:
        return Run(path).history()
    from workbench.training.history import History, learned_symmetry

    start = History()
    start.add(epoch=0, layers=learned_symmetry(trained_model(None)))
    return start.dataset(provenance("learned_symmetry", seed=0, dtype="float32", preset="demo", status="untrained"))


@lru_cache(maxsize=16)
def image_set(path: Path | None) -> ImageSet:
    """The data that a network was trained on, with which its pictures are standardised; do not change it."""
    options = dict(config(path)["data"])
    return load(options.pop("name"), **options)
