"""What kept weights are worth: shifts by half an image, held-out loss, dials over time; a broken twin each."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.tolerances import BROKEN, EXACT
from workbench.datasets import load
from workbench.measure import validate
from workbench.models import build_model
from workbench.training import fit
from workbench.training.evaluation import evaluate
from workbench.training.kept import half_shift_error, shifts_and_dials, turn_changes

SMALL = {"name": "relaxed_cnn", "widths": [4, 4], "features": 4, "kernel_size": 3}


def test_a_strict_network_does_not_see_half_shifts_and_a_relaxed_one_does() -> None:
    torch.manual_seed(0)
    images = torch.randn(4, 1, 16, 16)
    strict, relaxed = (build_model({**SMALL, "absolute": dial, "learned": False}) for dial in (0.0, 0.5))
    assert half_shift_error(strict, images) <= EXACT[torch.float32]
    assert half_shift_error(relaxed, images) > BROKEN
    padded = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert half_shift_error(padded, images) > 100 * EXACT[torch.float32]  # zero padding tells places apart


@pytest.mark.slow
def test_the_study_labels_what_the_runs_hold(tmp_path: Path) -> None:
    runs = {}
    for name, start in (("strict", {"absolute": 0.0, "learned": False}), ("learned", {"absolute": 0.3})):
        config = {
            "model": {**SMALL, **start},
            "data": {"name": "quadrant-digits"},
            "training": {"epochs": 2, "max_steps": 20, "error_points": 0, "snapshots": 0, "lr_probs": 0.03},
            "seed": 3,
        }
        fit(config, tmp_path / name, progress=False)
        runs[name, 3] = tmp_path / name
    ds = validate(shifts_and_dials(runs, fast=True), {"shift_error": ("experiment", "seed")})
    assert ds["dial_course"].dims == ("experiment", "seed", "layer", "epoch")
    assert float(ds["shift_error"].sel(experiment="strict", seed=3)) <= EXACT[torch.float32]
    assert float(ds["shift_error"].sel(experiment="learned", seed=3)) > BROKEN
    assert (ds["dial_course"].sel(experiment="strict") == 0).all()
    course = ds["dial_course"].sel(experiment="learned", seed=3).values
    assert np.isfinite(course).all()
    assert (course != np.float32(0.3)).all()

    from workbench.training import Run

    wanted = evaluate(Run(runs["learned", 3]).model(), *load("quadrant-digits").splits["validation"]).loss
    assert float(ds["validation_loss"].sel(experiment="learned", seed=3)) == wanted


def test_turns_are_seen_by_an_open_dial_and_not_by_a_closed_one(tmp_path: Path) -> None:
    from workbench.training import Run
    from workbench.training.history import History

    runs = {}
    rotation = {"name": "relaxed_cnn", "of": "rotation", "classes": 2, "widths": [3, 4], "pools": [0]}
    for name, model in (("closed", {**rotation, "absolute": 0.0}), ("open", {**rotation, "absolute": 0.5}),
                        ("places", SMALL)):  # fmt: skip
        run = Run.create(tmp_path / name, {"model": model, "data": {"name": "6-180"}, "training": {"epochs": 1}})
        run.save_weights(build_model(model).state_dict())
        run.save_history(History().dataset({"status": "finished"}))
        runs[name, 0] = run.path
    ds = validate(turn_changes(runs, fast=True), {"quarter_turn_error": ("experiment", "seed")})
    for name in ("quarter_turn_error", "half_turn_error"):
        assert float(ds[name].sel(experiment="closed")[0]) <= EXACT[torch.float32]
        assert float(ds[name].sel(experiment="open")[0]) > 100 * EXACT[torch.float32]
        assert bool(np.isnan(ds[name].sel(experiment="places")).all())
