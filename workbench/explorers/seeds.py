"""How sure is that difference between two networks?"""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import takewhile
from typing import Any

import numpy as np
import param
import xarray as xr

from workbench.datasets import data_folder
from workbench.explorers._explorer import Explorer
from workbench.measure.seeds import over_seeds
from workbench.models import methods
from workbench.training import load_claims
from workbench.views.seeds import seeds_picture

FIRST_AGAINST = "full"


class SeedsExplorer(Explorer):
    """The stored results of a paper's experiments over seeds, with intervals, and the gaps between them."""

    slug = "seeds"
    title = "Seeds"
    question = "How sure is that difference between two networks?"
    explanation = (
        "Train a network twice and you get two accuracies. Every dot here is one training with its own seed, stored "
        "with the workbench; the bar is the interval that holds the true mean at the level you choose. On the right "
        "stand the differences to one of the networks, seed by seed. Where that interval touches zero, these seeds do "
        "not show a difference. All networks of one task saw the same pictures, the same number of them, and were "
        "asked about the same ones."
    )

    task = param.Selector(objects=[""], default="", label="Task", doc="The pictures that the networks were trained on.")
    against = param.Selector(
        objects=[""],
        default="",
        label="Gap to",
        doc="The kind of network that the others are held to; where a task has none of it, its first network.",
    )
    seeds = param.Integer(5, bounds=(2, 5), step=1, label="Seeds", doc="Use only the first so many trainings of each.")
    level_percent = param.Number(
        95.0,
        bounds=(50, 99.9),
        step=0.1,
        label="Level of the intervals (percent)",
        doc="How often an interval made like this holds the true mean. More seeds or a lower level make it shorter.",
    )

    def __init__(self, **values: Any) -> None:
        super().__init__()
        tasks = stored_tasks()
        if tasks:
            full = (task for task, names in tasks.items() if FIRST_AGAINST in _kinds(names))
            first = next(full, next(iter(tasks)))
            count = load(first.partition("/")[0]).sizes["seed"]
            kinds = list(dict.fromkeys(kind for names in tasks.values() for kind in _kinds(names)))
            self.param.task.objects = {f"{name.partition('/')[2]} ({name.partition('/')[0]})": name for name in tasks}
            self.param.against.objects = kinds
            self.param.seeds.bounds, self.seeds = (2, count), count
            self.task, self.against = first, FIRST_AGAINST if FIRST_AGAINST in kinds else kinds[0]
        self.set(**values)

    def compute(self) -> xr.Dataset:
        """Means, gaps and intervals over the first seeds."""
        if not self.task:
            raise FileNotFoundError(
                "no results are stored under data/claims; expected those that ship with the workbench; "
                "remake them with: workbench reproduce partial_gcnn"
            )
        method = self.task.partition("/")[0]
        names = stored_tasks()[self.task]
        against = dict(zip(_kinds(names), names, strict=True)).get(self.against, names[0])
        return over_seeds(load(method), names, against, seeds=self.seeds, level=self.level_percent / 100)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return seeds_picture(ds)


EXPLORER = SeedsExplorer


def _kinds(experiments: list[str]) -> list[str]:
    """What sort of network each experiment of a task trains: its name without the words that all of them begin with.

    >>> _kinds(["six_180_full", "six_180_partial"]), _kinds(["plain", "separable_wide"])
    (['full', 'partial'], ['plain', 'separable_wide'])
    """
    words = [name.split("_") for name in experiments]
    alike = takewhile(lambda column: len(set(column)) == 1, zip(*(each[:-1] for each in words), strict=False))
    shared = len(list(alike))
    return ["_".join(each[shared:]) for each in words]


def load(method: str) -> xr.Dataset:
    """The stored results of a method; shared, do not change them."""
    return _load(method, data_folder().as_posix())


@lru_cache(maxsize=64)  # more than there are methods, all of which the list of tasks is made of
def _load(method: str, folder: str) -> xr.Dataset:
    return load_claims(method)


def stored_tasks() -> dict[str, list[str]]:
    """'METHOD/DATA SET' -> the experiments on that data set, for every method with stored results."""
    found: dict[str, list[str]] = {}
    for name in methods():
        try:
            results = load(name)
        except FileNotFoundError:
            continue
        if "family" in results.coords or not np.isfinite(results["test_accuracy"].values).any():
            continue  # too many for one list, which the Families explorer compares; or errors in place of accuracies
        for experiment, config in zip(results["experiment"].values, results["config"].values, strict=True):
            data = json.loads(str(config))["data"]
            found.setdefault(f"{name}/{data['name']}", []).append(str(experiment))
    return {task: names for task, names in found.items() if len(names) > 1}
