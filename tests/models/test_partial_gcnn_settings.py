"""The paper's training settings, against the table of released commands."""

import pytest

from workbench.models import build_model
from workbench.models._partial_gcnn_settings import CONFIGS, published_experiments
from workbench.models.partial_gcnn import METHOD, configuration
from workbench.training.settings import read_config

ROWS = [  # name, epochs, batch, lr, lr_probs, weight decay, schedule, monotone
    ("paper_6_180_partial", 300, 64, 1e-3, None, 0.0, "none", 0.0),
    ("paper_6_mirror_partial", 300, 64, 1e-3, None, 0.0, "none", 0.0),
    ("paper_ckresnet_rotmnist_se2_partial", 300, 64, 1e-3, None, 0.0, "cosine", 1e-3),
    ("paper_ckresnet_rotmnist_e2_partial", 300, 64, 1e-3, 1e-4, 0.0, "cosine", 0.0),
    ("paper_gcnn_rotmnist_se2_partial", 205, 128, 1e-2, 1e-3, 0.0, "cosine", 0.0),
    ("paper_gcnn_rotmnist_se2_full", 205, 128, 1e-3, 1e-3, 1e-4, "cosine", 0.0),
    ("paper_ckresnet_cifar10_se2_partial", 300, 64, 1e-3, 1e-4, 1e-4, "cosine", 0.0),
    ("paper_gcnn_cifar100_t2", 205, 128, 1e-3, 1e-4, 1e-4, "cosine", 0.0),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_recipe_of_each_published_run_is_the_released_one(row):
    name, *expected = row
    _, settings = read_config(METHOD.experiment(name).config(0))
    keys = ("epochs", "batch_size", "lr", "lr_probs", "weight_decay", "schedule", "monotone")
    assert [getattr(settings, key) for key in keys] == expected
    assert settings.early_stop == 100
    assert settings.drop_last


def test_every_published_run_names_a_preset_and_every_paper_preset_has_a_run():
    runs = {experiment.model["preset"] for experiment in published_experiments()}
    assert runs == {name for name in CONFIGS if name.startswith("paper_")}


def test_published_runs_are_trained_by_name_and_not_part_of_a_reproduction():
    assert not {experiment.name for experiment in METHOD.experiments} & {e.name for e in METHOD.published}


def test_the_plain_gcnn_drops_less():
    experiment = METHOD.experiment("paper_gcnn_cifar10_t2")
    drops = [module.p for module in build_model(experiment.model).modules() if hasattr(module, "p")]
    assert set(drops) == {0.1}


def test_the_full_networks_on_cifar10_learn_their_pooling_and_no_others_do():
    learned = {e.name for e in published_experiments() if configuration(e.model).learned_pooling}
    assert learned == {"paper_ckresnet_cifar10_se2_full", "paper_gcnn_cifar10_se2_full"}
