"""Redundancy and costs of kept runs: what is counted is what the networks have; broken twins beside it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.layers.symmetry import relative
from tests.tolerances import AGAIN, BROKEN, EXACT
from workbench.layers import GroupConv, LiftingConv, SeparableConv
from workbench.measure import redundancy, validate
from workbench.models import build_model
from workbench.training import Run
from workbench.training.kept_costs import interleaved, one_thread, step_costs
from workbench.training.kept_kernels import KEPT, WEIGHTS, cut, cut_accuracies, group_energies, layer_energies
from workbench.training.layer_times import WAYS, layer_times

SMALL = {"name": "separable_gcnn", "n": 4, "widths": [2, 3], "pools": [0], "hidden": 4}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Path]:
    """As a training leaves them, without the training: weights that are not those of their seed."""
    found = {}
    for name, model in (
        ("whole", {**SMALL, "factorisation": "nonseparable"}), ("factored", SMALL), ("plain", {"name": "plain_cnn"})
    ):  # fmt: skip
        found[name, 3] = tmp_path_factory.mktemp("runs") / name
        run = Run.create(found[name, 3], {"model": model, "data": {"name": "rotated"}, "seed": 3})
        torch.manual_seed(4)
        run.save_weights(build_model(model).state_dict())
    return found


def test_energies_are_those_of_the_layers_before_and_after_training(runs):
    ds = validate(group_energies(runs), {"group_energy": ("experiment", "seed", "group_layer", "weights", "component")})
    whole = ds["group_energy"].sel(experiment="whole", seed=3).isel(group_layer=0)
    (layer,) = [m for m in Run(runs["whole", 3]).model().modules() if isinstance(m, GroupConv)]
    assert np.array_equal(whole.sel(weights="trained")[:4], redundancy(layer)["energy"].values)
    assert not np.array_equal(whole.sel(weights="trained"), whole.sel(weights="drawn"))
    assert (whole[:, 4:] == 0).all(), "four rotations have no more components"
    factored = ds["group_energy"].sel(experiment="factored", component=1)
    for weights in ("drawn", "trained"):
        assert np.allclose(factored.sel(weights=weights), 1, rtol=AGAIN, atol=AGAIN)
    assert (factored.sel(weights="independent") < 1 - BROKEN).all()
    assert np.isnan(ds["group_energy"].sel(experiment="plain")).all()
    assert ds["weights"].values.tolist() == list(WEIGHTS)


def test_a_net_of_plain_and_lifting_layers_has_no_energies():
    assert layer_energies(nn.Sequential(LiftingConv(1, 2, 3, n=4), nn.ReLU())) == {}
    (energy,) = layer_energies(nn.Sequential(SeparableConv(1, 1, 5, n=4)), independent=True).values()
    assert energy[0] < 1 - BROKEN


def test_a_cut_network_keeps_the_strongest_pictures_stays_equivariant_and_is_whole_again_afterwards(runs):
    model = Run(runs["whole", 3]).model().double()
    (layer,) = [m for m in model.modules() if isinstance(m, GroupConv)]
    x = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        whole = model(x)
        with cut(model, 4):
            assert relative(model(x), whole) <= EXACT[torch.float64], "four rotations have four pictures"
        with cut(model, 1):
            assert float(redundancy(layer)["energy"][0]) == pytest.approx(1, rel=AGAIN)
            assert relative(model(x), whole) > BROKEN
            assert relative(model(torch.rot90(x, 1, (2, 3))), model(x)) <= EXACT[torch.float64]
        assert torch.equal(model(x), whole)
    assert float(redundancy(layer)["energy"][0]) < 1 - BROKEN


def test_the_accuracy_of_cut_networks_is_that_of_whole_kernels_alone(runs):
    ds = cut_accuracies(runs, fast=True)
    assert ds["cut_accuracy"].sizes["kept"] == len(KEPT)
    assert bool(np.isfinite(ds["cut_accuracy"].sel(experiment="whole")).all())
    assert bool(np.isnan(ds["cut_accuracy"].sel(experiment=["factored", "plain"])).all())


def test_costs_of_runs_count_products_and_time_steps(runs):
    ds = validate(step_costs(runs, fast=True), {"step_ms": ("experiment", "seed"), "multiply_adds": ("experiment",)})
    assert (ds["step_ms"] > 0).all()
    count = ds["multiply_adds"]
    assert int(count.sel(experiment="factored")) < int(count.sel(experiment="whole"))


def test_rounds_go_round_and_the_threads_are_given_back():
    order: list[int] = []
    spent = interleaved([lambda at=at: order.append(at) for at in range(3)], 2)  # type: ignore[misc]
    assert spent.shape == (3, 2)
    assert order == [0, 1, 2] * 3
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_times_of_layers_are_labelled_by_size_and_parameters_do_not_depend_on_it():
    ds = layer_times(fast=True)
    assert ds["layer_ms"].dims == ("way", "channels", "side", "rotations", "batch", "timing")
    assert ds["way"].values.tolist() == list(WAYS)
    assert bool((ds["layer_ms"] > 0).all())
    layer = SeparableConv(2, 2, 9, n=2, factorisation="separable", bias=False)
    assert layer.n == 2
    assert int(ds["layer_parameters"].sel(way="dseparable", channels=2)) < int(
        ds["layer_parameters"].sel(way="gseparable", channels=2)
    )
