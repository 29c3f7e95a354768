"""Facts about histories: read from the network, labelled, the same after a trip through NetCDF."""

import numpy as np
import pytest
import torch
import xarray as xr

from tests.tolerances import AGAIN_SINGLE
from tests.training.tiny import tiny
from workbench.groups import MirrorGate
from workbench.layers import GroupConv, RelaxedConv2d, RelaxedGroupConv
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


def test_n5_dials_are_read_from_the_layers_that_have_them_and_rows_without_them_are_nan() -> None:
    layers = torch.nn.Sequential(
        RelaxedConv2d(1, 1, 3, absolute=0.3),
        RelaxedGroupConv(1, 1, 3, absolute=0.25, partial=True),
        torch.nn.Conv2d(1, 1, 3),
    )
    with torch.no_grad():
        layers[0].kernels.absolute.neg_()  # the sign means nothing
    found = learned_symmetry(layers)
    assert {name: row["dial"] for name, row in found.items()} == pytest.approx({"0": 0.3, "1": 0.25}, rel=AGAIN_SINGLE)
    assert np.isnan(found["0"]["arc"])
    assert found["1"]["arc"] == 1
    history = History()
    history.add(epoch=1, layers=found)
    history.add(epoch=2, layers={name: {"arc": 1.0, "gate": 1.0} for name in found})  # of an earlier version
    dial = history.dataset({})["dial"]
    assert dial.values[0].tolist() == pytest.approx([0.3, 0.25], rel=AGAIN_SINGLE)
    assert np.isnan(dial.values[1]).all()


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
