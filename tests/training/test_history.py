"""Facts about histories: read from the network, labelled, the same after a trip through NetCDF."""

import numpy as np
import torch
import xarray as xr

from tests.training.tiny import tiny
from workbench.groups import MirrorGate
from workbench.layers import GroupConv
from workbench.models import build_model
from workbench.training.history import History, as_bytes, from_bytes, learned_symmetry, parameter_count


def test_n5_arcs_and_gates_are_read_from_the_layers_that_learn_them() -> None:
    layers = torch.nn.Sequential(
        GroupConv(1, 1, 3, partial=True),
        GroupConv(1, 1, 3, group="O2", partial=True),
        GroupConv(1, 1, 3, group="D(1)", n=2, partial=True),
        GroupConv(1, 1, 3),
    )
    with torch.no_grad():
        layers[0].distribution.theta.fill_(0.25)
        layers[1].distribution.gate.logit.fill_(0.0)
    found = learned_symmetry(layers)
    assert list(found) == ["0", "1", "2"]
    assert found["0"]["arc"] == 0.25
    assert np.isnan(found["0"]["gate"])
    assert (found["1"]["arc"], found["1"]["gate"]) == (1.0, 0.5)
    assert np.isnan(found["2"]["arc"])
    assert found["2"]["gate"] == MirrorGate().keep_probabilities().item()


def test_a_strict_network_has_no_learned_layers() -> None:
    assert learned_symmetry(build_model({**tiny()["model"], "partial": False})) == {}


def test_a_history_is_identical_after_netcdf_also_when_empty() -> None:
    full = History()
    for epoch in (1, 2):
        full.add(epoch=epoch, train_loss=0.5 / epoch, layers={"a": {"arc": 1.0, "gate": float("nan")}})
    full.results = {"test_accuracy": 0.75}
    strict = History()
    strict.add(epoch=1, layers={})
    for history in (full, strict, History()):
        dataset = history.dataset({"status": "finished", "seed": 0})
        xr.testing.assert_identical(from_bytes(as_bytes(dataset)), dataset)


def test_a_history_goes_on_from_its_own_state() -> None:
    first = History()
    first.add(epoch=1, layers={})
    again = History(**first.state())
    again.add(epoch=2, layers={})
    assert again.dataset({}).epoch.values.tolist() == [1, 2]
    assert len(first.rows) == 1


def test_only_trainable_numbers_are_counted() -> None:
    model = torch.nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    assert parameter_count(model) == 6
