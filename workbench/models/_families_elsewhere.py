"""The families of one backbone on pictures of another kind: rendered digits, which the study of families never saw.

Advice that comes from the study of handwritten digits is checked here. The recipe is the study's; networks of generated
kernels, three times as dear, are left out. No paper and no method of the list: ``reproduce(ELSEWHERE)`` trains it.
"""

from __future__ import annotations

from typing import Any

from workbench.models._families import DATA, MODELS, ORDINARY, RECIPE, experiment_name
from workbench.models.method import Experiment, Method

PICTURES: dict[str, Any] = {"source": "glyphs", "characters": "digits", "size": 16}
"""Digits in twelve fonts and four sizes; the styles of the test pictures are not among those of training."""
PLACES = {experiment_name(data, family).removesuffix("_all"): (data, family) for data in DATA for family in ORDINARY}
"""Experiment -> how its pictures are turned, and its family."""

ELSEWHERE = Method(
    name="families_elsewhere",
    title="The right amount of symmetry, elsewhere",
    authors="the workbench",
    year=2026,
    arxiv="",
    summary="Nine families on rendered digits that are turned, upright, or turned as their class allows.",
    notebook="06_the_right_amount.ipynb",
    experiments=tuple(
        Experiment(name, MODELS[family], {"name": DATA[data], **PICTURES}, RECIPE, {"epochs": 1})
        for name, (data, family) in PLACES.items()
    ),
    studies={"families": "workbench.training.elsewhere:elsewhere_measures"},
)
