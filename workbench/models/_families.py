"""Ways to the right amount of symmetry on one task: the same data and recipe, and but for two the same backbone.

What is compared is not a paper, so this is no method of the list; `workbench.training.reproduce(FAMILIES)` trains it.
Equal epochs, and few: ten leave the networks of generated kernels (partial, strict) far from what they reach in thirty,
and a soft penalty strong enough to be felt slows Adam down. It compares them as trained so, not at their best.
"""

from __future__ import annotations

from typing import Any

from workbench.models.method import Experiment, Method

RECIPE: dict[str, Any] = {
    "epochs": 10, "batch_size": 64, "lr": 5e-3, "schedule": "one-cycle", "lr_probs": 2e-2, "error_points": 0,
    "snapshots": 0, "device": "cpu",
}  # fmt: skip

MODELS: dict[str, dict[str, Any]] = {
    "plain": {"name": "plain_cnn"},
    "augmented": {"name": "augmented_cnn", "n": 4, "learned": False},
    "learned augmentation": {"name": "learned_augmentation_cnn", "copies": 4},
    "test-time averaging": {"name": "symmetrised_cnn", "way": "averaged"},
    "canonical pose": {"name": "symmetrised_cnn", "way": "canonical"},
    "soft penalty": {"name": "soft_cnn", "strength": 0.5},
    "residual pathway": {"name": "residual_cnn", "prior_free": 0.1},
    "relaxed group": {"name": "relaxed_group_cnn"},
    "partial": {"name": "partial_gcnn", "preset": "demo", "n": 4},
    "strict": {"name": "partial_gcnn", "preset": "demo_strict", "group": "C(4)", "n": 4},
}
"""Family -> network. Partial and strict are networks of generated kernels, with a quarter of the parameters."""

FAMILIES = Method(
    name="families",
    title="Ways to the same end",
    authors="the workbench",
    year=2026,
    arxiv="",
    summary="Ten ways to more or less of the quarter turns on rotated digits: accuracy, error, cost and time.",
    notebook="",
    experiments=tuple(
        Experiment(family, model, {"name": "rotated"}, RECIPE, {"epochs": 1}) for family, model in MODELS.items()
    ),
    studies={"families": "workbench.training.families:family_measures"},
)
