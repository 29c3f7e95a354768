"""Accuracy under linear maps: the network's own, on test digits mapped in that way, standardised as in training."""

import numpy as np
import pytest
import torch

from tests.tolerances import AGAIN_SINGLE, AGAIN_ZERO
from workbench.datasets import load
from workbench.measure import validate
from workbench.models import build_model
from workbench.training import Run
from workbench.training.evaluation import evaluate
from workbench.training.kept_maps import FEW, MAPPED, MAPS, accuracies_by_map

PLAIN = {"name": "plain_cnn", "widths": [4, 4]}
UPRIGHT = {"name": MAPPED, **MAPS["none"]}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """As a training leaves them, without the training."""
    found = {}
    for name, data in (("upright", UPRIGHT), ("other", {"name": "rotated"})):
        found[name, 2] = tmp_path_factory.mktemp("runs") / name
        run = Run.create(found[name, 2], {"model": PLAIN, "data": data, "seed": 2})
        torch.manual_seed(2)
        run.save_weights(build_model(PLAIN).state_dict())
    return found


def test_it_is_the_accuracy_on_mapped_digits_standardised_as_in_training(runs):
    ds = validate(accuracies_by_map(runs, fast=True), {"map_accuracy": ("experiment", "seed", "maps")})
    model, trained = Run(runs["upright", 2]).model(), load(**UPRIGHT)
    for name, options in MAPS.items():
        moved = load(MAPPED, **options)
        images, labels = (part[:FEW] for part in moved.splits["test"])
        own = trained.standardise(moved.pixels(images))
        assert torch.allclose(own, images, rtol=AGAIN_SINGLE, atol=AGAIN_ZERO) == (name == "none"), (
            "the twin: its own mean and deviation are others"
        )
        found = ds["map_accuracy"].sel(experiment="upright", seed=2, maps=name)
        assert float(found) == evaluate(model, own, labels).accuracy
    assert np.isnan(ds["map_accuracy"].sel(experiment="other")).all()
