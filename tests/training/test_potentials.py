"""Potentials are trained in the same run folders as classifiers: they learn, resume to the last bit, and refuse."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.tiny import StopAt, differences
from workbench.datasets.molecules import load_molecules, references
from workbench.models import build_model
from workbench.training import Run, fit
from workbench.training.batches import Batches
from workbench.training.potentials import ENERGY_SHARE, PotentialModule, measured
from workbench.training.settings import Settings

pytestmark = pytest.mark.slow


def tiny_potential(**training: Any) -> dict[str, Any]:
    """A configuration that trains in a second or two: 8 ethanols, 2 steps an epoch."""
    return {
        "model": {"name": "molecular_potential", "lmax": 1, "channels": 4, "layers": 1},
        "data": {"name": "ethanol", "train": 8},
        "training": {
            "epochs": 3, "batch_size": 5, "lr": 5e-3, "schedule": "one-cycle", "device": "cpu", "error_points": 1,
            **training,
        },
        "seed": 3,
    }  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished training; only read."""
    return fit(tiny_potential(), tmp_path_factory.mktemp("potential") / "run", progress=False)


def test_n1_a_run_leaves_a_potential_a_history_in_units_and_results(whole: Run) -> None:
    from workbench.measure.dataset import validate

    history = whole.history()
    dims = {"train_force_mae": ("epoch",), "validation_force_mae": ("epoch",), "test_force_mae": ()}
    assert validate(history, dims) is history
    assert whole.status == "finished"
    assert history["train_force_mae"].units == history["test_force_mae"].units == "meV/angstrom"
    assert np.isfinite(history["train_force_mae"].values).all()
    assert float(history.rotation_error_trained) < 1e-5 > float(history.rotation_error_untrained)
    assert float(history.test_energy_mae) == pytest.approx(float(history.test_energy_mae_rotated), rel=1e-3)
    assert int(history.parameters) == sum(p.numel() for p in whole.model().parameters())


def test_what_the_history_says_of_the_test_split_is_what_the_stored_potential_does(whole: Run) -> None:
    found = measured(whole.model(), load_molecules("ethanol").splits["test"])
    for name in ("force_mae", "energy_mae"):
        assert float(found[name].sel(pose="upright")) == pytest.approx(float(whole.history()[f"test_{name}"]), rel=1e-5)


def test_energies_of_the_elements_are_those_of_the_training_split_alone(whole: Run) -> None:
    expected = references(load_molecules("ethanol", train=8).splits["train"])
    assert torch.allclose(whole.weights()["references"].double(), expected, atol=0, rtol=1e-6)


def test_it_learns(whole: Run, tmp_path: Path) -> None:
    longer = fit(tiny_potential(epochs=30, lr=2e-2, error_points=0), tmp_path / "run", progress=False).history()
    assert float(longer["train_force_mae"][-1]) < 0.8 * float(longer["train_force_mae"][0])


@pytest.mark.parametrize("stop", [1, 4])
def test_r6_stopped_and_resumed_equals_never_stopped_in_every_bit(whole: Run, tmp_path: Path, stop: int) -> None:
    part = fit(tiny_potential(), tmp_path / "part", progress=False, cancel=StopAt(stop))
    assert (part.status, part.checkpoint()["step"]) == ("cancelled", stop)
    resumed = fit(None, tmp_path / "part", progress=False, resume=True)
    assert differences(whole.checkpoint(), resumed.checkpoint()) == []
    assert whole.history().drop_vars("seconds").identical(resumed.history().drop_vars("seconds"))
    again = fit(None, tmp_path / "part", progress=False, resume="previous")
    assert differences(whole.weights(), again.weights()) == []


def test_the_loss_is_that_of_the_formula() -> None:
    torch.manual_seed(0)
    train = load_molecules("ethanol", train=6).splits["train"]
    model = build_model(tiny_potential()["model"]).train()
    references_of = references(train)
    model.get_buffer("references").copy_(references_of)
    module = PotentialModule(model, Settings.read({}), Batches(train, train.energy, batch_size=6, seed=0), 1)  # type: ignore[arg-type]
    loss = module.training_step((train, train.energy), 0)
    force_off, energy_off, forces, left = [], [], [], []
    for at in range(6):  # one molecule after another
        energy, pushed = model.energy_and_forces(train.positions[at], train.numbers[at])
        force_off += (pushed - train.forces[at]).detach().double().flatten().tolist()
        energy_off.append(float(energy.detach().double() - train.energy[at]))
        forces += train.forces[at].double().flatten().tolist()
        left.append(float(train.energy[at] - references_of[train.numbers[at]].sum()))
    squares = [np.mean(np.square(values)) for values in (force_off, forces, energy_off)]
    expected = squares[0] / squares[1] + ENERGY_SHARE * squares[2] / np.var(left)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)
    assert module.running[1:].tolist() == pytest.approx([1000 * np.abs(force_off).sum(), 6, 6 * 27], rel=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": {"name": "scans"}}, "has no structures to train on"),
        ({"data": {"name": "ethanol", "train": 0}}, "expected a whole number from 1 to the 400"),
        ({"model": {"name": "plain_cnn"}}, "gives no energies and forces"),
        ({"model": {"name": "molecular_potential", "elements": [1, 6]}}, "this network knows 1, 6"),
        ({"training": {"early_stop": 2}}, "early_stop watches an accuracy"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_a_folder_is_made(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        fit({**tiny_potential(), **change}, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
