"""Accuracy by the size of digits: the network's own, on pictures of that size alone."""

import numpy as np
import pytest
import torch

from tests.tolerances import BROKEN
from workbench.datasets import load
from workbench.measure import validate
from workbench.models import build_model
from workbench.training import Run
from workbench.training.evaluation import evaluate
from workbench.training.kept_sizes import FACTORS, FEW, SCALED, accuracies_by_size

PLAIN = {"name": "plain_cnn", "widths": [4, 4]}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """As a training leaves them, without the training."""
    found = {}
    for name, data in (("scaled", {"name": SCALED}), ("other", {"name": "rotated"})):
        found[name, 2] = tmp_path_factory.mktemp("runs") / name
        run = Run.create(found[name, 2], {"model": PLAIN, "data": data, "seed": 2})
        torch.manual_seed(2)
        run.save_weights(build_model(PLAIN).state_dict())
    return found


def test_it_is_the_accuracy_on_digits_of_that_size_standardised_as_in_training(runs):
    ds = validate(accuracies_by_size(runs, fast=True), {"size_accuracy": ("experiment", "seed", "size_factor")})
    model, trained = Run(runs["scaled", 2]).model(), load(SCALED)
    for factor in FACTORS[:2]:
        small = load(SCALED, smallest=factor, largest=factor)
        images, labels = (part[:FEW] for part in small.splits["test"])
        own = trained.standardise(small.pixels(images))
        assert not torch.allclose(own, images, rtol=BROKEN, atol=0), "the twin: its own mean and deviation are others"
        found = ds["size_accuracy"].sel(experiment="scaled", seed=2, size_factor=factor)
        assert float(found) == evaluate(model, own, labels).accuracy
    assert np.isfinite(ds["size_accuracy"].sel(experiment="scaled")).all()
    assert np.isnan(ds["size_accuracy"].sel(experiment="other")).all()
