"""The families of one backbone on pictures of another kind: rendered digits, which the study of families never saw.

Advice that comes from the study of handwritten digits is checked here. The recipe is the study's; networks of generated
kernels, three times as dear, are left out. No paper and no method of the list: ``reproduce(ELSEWHERE)`` trains it.
"""

from __future__ import annotations

from typing import Any

from workbench.models._families import MODELS, RECIPE
from workbench.models.method import Experiment, Method

DATA = {kind: f"digits-{kind}" for kind in ("rotated", "upright", "interval")}
GENERATED = ("partial", "strict")
PICTURES: dict[str, Any] = {"source": "glyphs", "characters": "digits", "size": 16}
"""Digits in twelve fonts and four sizes; the styles of the test pictures are not among those of training."""
PLACES = {
    f"{data}_{'_'.join(''.join(c if c.isalnum() else ' ' for c in family).split())}": (data, family)
    for data in DATA
    for family in MODELS
    if family not in GENERATED
}
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
