"""Which way to the right amount of symmetry is worth its price?"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import param
import xarray as xr

from workbench.datasets import data_folder
from workbench.explorers._explorer import Explorer
from workbench.measure.dataset import labelled
from workbench.measure.families import COMPUTE, SAMPLES, family_points
from workbench.models._family_words import AROUND, BUILT_IN, LEANING, NOWHERE, family_words
from workbench.training import load_claims
from workbench.views.families import families_picture

STUDY, ELSEWHERE = "families", "families_elsewhere"
SETS = {
    "turned every way": "digits-rotated",
    "upright": "digits-upright",
    "6 and 9 a little, the others every way": "digits-interval",
    "rendered, turned every way": "rendered-rotated",
    "rendered, upright": "rendered-upright",
    "rendered, 6 and 9 a little": "rendered-interval",
}
ALL = 0
EQUAL = {"pictures shown": SAMPLES, "compute": COMPUTE}
AXES = {
    "accuracy": "accuracy",
    "change of the answer over the circle": "error",
    "change of the answer at quarter turns": "quarter_error",
    "parameters": "parameters",
    "multiply-adds": "multiply_adds",
    "time of the training": "training_s",
    "time of an answer": "evaluation_ms",
    "training pictures needed": "data_needed",
}


class FamiliesExplorer(Explorer):
    """Ways to more or less of a symmetry on one task: accuracy, error, size, arithmetic, time and data needed, stored.

    >>> ds = FamiliesExplorer(x="quarter_error").dataset()
    >>> float(ds["x"].sel(family="strict")) < 1e-5 < float(ds["x"].sel(family="plain"))
    True
    """

    slug = "families"
    title = "Families"
    question = "Which way to the right amount of symmetry is worth its price?"
    explanation = (
        "There are many ways to make a network treat turned pictures alike, and each has its price. Every mark here is "
        "one of them, trained five times on the same digits by the same recipe: its colour says where the symmetry "
        "sits, its bars are 95 % intervals over the seeds. You choose what lies on the two axes. On the right, the "
        "same networks with fewer training pictures; where a line meets the dotted one, that many are needed for the "
        "accuracy you ask for. In the menu of data the symmetry is the same for all digits, or none, or other for 6 "
        "and 9 than for the rest: the best family changes with it. Equal samples means the same pictures shown equally "
        "often; equal compute, the same measured time in training."
    )

    data = param.Selector(objects=SETS, default="digits-rotated", label="Digits", doc="How the digits are turned.")
    equal = param.Selector(
        objects=EQUAL,
        default=SAMPLES,
        label="Equal among families",
        doc="Every family saw each picture equally often, or spent the same measured time in training.",
    )
    samples = param.Selector(
        objects={"all": ALL},
        default=ALL,
        label="Training pictures",
        doc="How many different pictures each was trained on.",
    )
    x = param.Selector(objects=AXES, default="multiply_adds", label="Across", doc="What lies on the horizontal axis.")
    y = param.Selector(objects=AXES, default="accuracy", label="Upwards", doc="What lies on the vertical axis.")
    target_percent = param.Number(
        80.0,
        bounds=(30, 99),
        step=0.5,
        label="Accuracy asked for (percent)",
        doc="The dotted line on the right; data needed is how many training pictures lead up to it.",
    )
    each_seed = param.Boolean(
        False, label="Show every seed", doc="A mark for each training instead of mean and interval."
    )
    family = param.Selector(objects=["plain"], default="plain", label="Family", doc="Which one is described below.")

    def __init__(self, **values: Any) -> None:
        super().__init__()
        results = study()
        sizes: dict[str, set[int]] = {}
        for data, size in zip(results["data_set"].values, results["samples"].values, strict=True):
            sizes.setdefault(str(data), set()).add(int(size))
        fewer = sorted({size for one in sizes.values() for size in one if size < max(one)})
        for menu, words, name in (("data", SETS, "data_set"), ("equal", EQUAL, "view")):
            there = set(map(str, results[name].values))
            self.param[menu].objects = {label: value for label, value in words.items() if value in there}
        self.param.samples.objects = {"all": ALL, **{f"{size:,}": size for size in fewer}}
        self.param.family.objects = list(dict.fromkeys(map(str, results["family"].values)))
        self.set(**values)

    def compute(self) -> xr.Dataset:
        """What was stored of every family at this state of the menus, and the number of pictures that each needs."""
        points = family_points(study(), self.data, self.equal, self.samples or None, self.target_percent / 100)
        names = [str(name) for name in points["family"].values]
        words = [family_words(name) for name in names]
        at = names.index(self.family)
        chosen = {key: found for axis in ("y", "x") for key, found in _on(points, axis, getattr(self, axis)).items()}
        rest = {str(name): points.variables[name] for name in points.data_vars}
        return xr.Dataset(
            {
                **chosen,
                **rest,
                "target_percent": labelled((), self.target_percent, "accuracy asked for", "percent"),
            },
            {
                **{str(name): points.variables[name] for name in points.coords},
                "where": labelled("family", [one.where for one in words], "where the symmetry sits"),
                "sentence": labelled("family", [one.sentence for one in words], "what it does"),
            },
            dict(points.attrs)
            | {
                "family": self.family,
                "marks": "seeds" if self.each_seed else "means",
                "places": "; ".join((NOWHERE, AROUND, LEANING, BUILT_IN)),
                "numbers": _numbers(points, at),
                "showing": _showing(points, self.x, self.y),
            },
        )

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return families_picture(ds)


EXPLORER = FamiliesExplorer


def study() -> xr.Dataset:
    """The stored results of all families, those on rendered digits beside them; shared, do not change them."""
    return _study(data_folder().as_posix())


@lru_cache(maxsize=2)
def _study(folder: str) -> xr.Dataset:
    results = load_claims(STUDY)
    try:
        other = load_claims(ELSEWHERE)
    except FileNotFoundError:
        return results
    both = [str(n) for n, one in results.variables.items() if n in other.variables and "layer" not in one.dims]
    return xr.concat([results[both], other[both]], "experiment", combine_attrs="override")


def _on(points: xr.Dataset, axis: str, quantity: str) -> dict[str, tuple]:
    """The variables of one axis; a quantity that is the same for every seed stands once for each."""
    found: dict[str, tuple] = {}
    for end in ("", "_low", "_high"):
        variable = points[f"{quantity}{end}"]
        found[f"{axis}{end}"] = ("family", variable.values, {**variable.attrs, "quantity": quantity})
    each = f"{quantity}_seed"
    values = points[each] if each in points else points[quantity].expand_dims(seed=points["seed"].values, axis=1)
    found[f"{axis}_seed"] = (("family", "seed"), values.values, {**points[quantity].attrs, "quantity": quantity})
    return found


def _numbers(points: xr.Dataset, at: int) -> str:
    """A family's numbers in one line."""
    row = {
        str(name): float(points.variables[name].values[at])
        for name in points.data_vars
        if points.variables[name].dims == ("family",)
    }
    if np.isnan(row["accuracy"]):
        return "It was not trained on so many pictures in this view."
    asked = f"{100 * float(points.attrs['target']):g} %"
    needs = f"needs {'at most ' if row['at_most'] else ''}{row['data_needed']:,.0f} pictures for {asked}"
    return (
        f"{row['accuracy']:.1f} % right ({row['accuracy_low']:.1f} to {row['accuracy_high']:.1f}), "
        f"{row['parameters']:,.0f} parameters; {row['multiply_adds'] / 1e6:.2f} million multiply-adds, "
        f"{row['evaluation_ms']:.3f} ms an answer, {row['training_s']:.1f} s of training, "
        + (needs if row["data_needed"] > 0 else f"does not reach {asked}")
    )


def _showing(points: xr.Dataset, *axes: str) -> str:
    """How many of the families can be drawn, where some cannot."""
    known = points[list(axes)].to_dataarray().notnull().all("variable").values
    return "" if known.all() else f"showing {int(known.sum())} of {len(known)} families"
