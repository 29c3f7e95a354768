"""A paper as data: the networks to train, the studies to run and the claims to check, found by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from torch import nn

PACKAGE = "workbench.models"


@dataclass(frozen=True)
class Experiment:
    """One network on one data set under one training recipe; a reproduction trains it once per seed.

    name      short and unique within the method: it labels the `experiment` dimension and names the run folder.
    model     what `build_model` takes: {"name": module in workbench.models, ...}.
    data      {"name": data set, ...options of workbench.datasets.load}.
    training  the training recipe of `workbench.training.fit`.
    fast      entries of `training` that the fast mode replaces.
    """

    name: str
    model: Mapping[str, Any]
    data: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    fast: Mapping[str, Any] = field(default_factory=lambda: {"epochs": 2})

    def config(self, seed: int, *, fast: bool = False) -> dict[str, Any]:
        """What `workbench.training.fit` takes for one seed.

        >>> Experiment("six", {"name": "partial_gcnn"}, {"name": "6-180"}, {"epochs": 40}).config(3, fast=True)
        {'model': {'name': 'partial_gcnn'}, 'data': {'name': '6-180'}, 'training': {'epochs': 2}, 'seed': 3}
        """
        training = {**self.training, **(self.fast if fast else {})}
        return {"model": dict(self.model), "data": dict(self.data), "training": training, "seed": int(seed)}


@dataclass(frozen=True)
class Claim:
    """One sentence of a paper, beside the way we measure it.

    id          unique within the method, for example "6-180-full".
    sentence    what the paper says, in our words.
    source      where it says so: section, table or figure, and whether we could read it.
    paper_says  the paper's number in `unit`, a word, or None where it gives no number.
    unit        of the measured values, "1" for a bare number.
    measured    reads one value per seed, shape (seed,), from the stored claims Dataset.
    band        (low, high): where our own mean is expected; tests assert it.
    reproduced  whether the paper's sentence holds for the stored Dataset; reported, never tuned.
    """

    id: str
    sentence: str
    source: str
    paper_says: float | str | None
    unit: str
    measured: Callable[[xr.Dataset], np.ndarray]
    band: tuple[float, float]
    reproduced: Callable[[xr.Dataset], bool]


@dataclass(frozen=True)
class Method:
    """A paper: who wrote it, what is trained, what is studied and what is claimed. A comparison has no arXiv number.

    studies  name -> "package.module:function"; the function takes (runs, fast) and returns an xarray.Dataset whose
             variables join the claims Dataset. `runs` maps (experiment, seed) to the folder of that run.
    published  the paper's own runs at their full scale: trained by name, not part of a reproduction.
    """

    name: str
    title: str
    authors: str
    year: int
    arxiv: str
    summary: str
    notebook: str
    experiments: tuple[Experiment, ...] = ()
    claims: tuple[Claim, ...] = ()
    studies: Mapping[str, str] = field(default_factory=dict)
    published: tuple[Experiment, ...] = ()

    def __post_init__(self) -> None:
        for kind, names in (
            ("experiments", [experiment.name for experiment in (*self.experiments, *self.published)]),
            ("claims", [claim.id for claim in self.claims]),
        ):
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise ValueError(f"method {self.name!r} has two {kind} named {repeated}; give each its own name")

    @property
    def cited(self) -> str:
        """Who wrote it, when, and where it lies, if it is a paper."""
        return ", ".join([self.authors, str(self.year), *([f"arXiv {self.arxiv}"] if self.arxiv else [])])

    def experiment(self, name: str) -> Experiment:
        """The experiment of that name."""
        named = {experiment.name: experiment for experiment in (*self.experiments, *self.published)}
        if name not in named:
            raise ValueError(f"method {self.name!r} has no experiment {name!r}; {_nearest(name, named)}")
        return named[name]


def methods() -> dict[str, Method]:
    """Every method of the workbench by name: each module of workbench.models that holds a `METHOD`.

    >>> all(name == method.name for name, method in methods().items())
    True
    """
    found = (getattr(importlib.import_module(f"{PACKAGE}.{name}"), "METHOD", None) for name in _module_names())
    return {method.name: method for method in found if isinstance(method, Method)}


def find_method(name: str) -> Method:
    """The method of that name; a ValueError names the nearest one."""
    known = methods()
    if name not in known:
        raise ValueError(f"there is no method {name!r}; {_nearest(name, known)}")
    return known[name]


def build_model(config: Mapping[str, Any]) -> nn.Module:
    """The network that a configuration describes: {"name": module in workbench.models, ...}.

    The module's `build(config)` receives the whole mapping. Weights are drawn from torch's global generator:
    seed it first for a repeatable network.
    Raises ValueError for a name without such a module, TypeError for something that is not a mapping.
    """
    if not isinstance(config, Mapping):
        raise TypeError(f"a model configuration is a mapping such as {{'name': 'partial_gcnn'}}, got {config!r}")
    name = config.get("name")
    builders = [candidate for candidate in _module_names() if candidate != "method"]
    if not isinstance(name, str) or name not in builders:
        raise ValueError(f"the model configuration names {name!r}; {_nearest(str(name), builders)}")
    build = getattr(_module(name), "build", None)
    if build is None:
        raise ValueError(f"{PACKAGE}.{name} has no build(config) function, so it cannot be named as a model")
    return build(dict(config))


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.{name}")


def _module_names() -> list[str]:
    package = importlib.import_module(PACKAGE)
    return sorted(found.name for found in _public_modules(package))


def _public_modules(package: ModuleType) -> Iterator[pkgutil.ModuleInfo]:
    return (found for found in pkgutil.iter_modules(package.__path__) if not found.name.startswith("_"))


def _nearest(given: str, known: Any) -> str:
    close = get_close_matches(given, list(known), n=1)
    listing = ", ".join(sorted(known)) or "none is installed"
    return f"did you mean {close[0]!r}?" if close else f"known: {listing}"
