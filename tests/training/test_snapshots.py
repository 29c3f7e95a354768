"""Facts about kernel snapshots: those of the layers at the identity, padded in the middle, said to be few of many."""

import numpy as np
import torch
from torch import nn

from workbench.groups import SO2
from workbench.layers import GroupConv, LiftingConv, RelaxedConv2d
from workbench.training.history import History, as_bytes, from_bytes
from workbench.training.snapshots import KERNELS, PLACES, as_variables, kernel_snapshot, snapshot_epochs

MODEL = nn.Sequential(LiftingConv(1, 6, 5, n=4), GroupConv(6, 2, 3, n=4), GroupConv(2, 2, 1, n=4), nn.Conv2d(2, 3, 3))


def test_kernels_are_those_that_the_layers_make_at_the_identity() -> None:
    taken = kernel_snapshot(MODEL)
    assert list(taken) == ["0", "1", "3"], "a kernel of one tap shows nothing"
    identity = SO2().identity()[None]
    with torch.no_grad():
        made = MODEL[1].bank(identity, identity)[:, 0, 0, 0].view(2, 3, 3)
    assert torch.equal(taken["1"]["values"], made)
    assert torch.equal(taken["3"]["values"], MODEL[3].weight[:, 0])
    assert [taken[name]["of"] for name in taken] == [6, 12, 6]
    assert len(taken["0"]["values"]) == KERNELS


def test_filters_that_drift_are_kept_at_places() -> None:
    layer = RelaxedConv2d(2, 3, 3, absolute=0.5)
    taken = kernel_snapshot(nn.Sequential(layer, RelaxedConv2d(3, 1, 1)))
    assert list(taken) == ["0"], "a filter of one tap shows nothing"
    with torch.no_grad():
        everywhere = layer.kernels.everywhere((PLACES, PLACES))[:, 0, 0].view(PLACES**2, 3, 3)
    assert torch.equal(taken["0"]["values"], everywhere)
    assert taken["0"]["of"] == PLACES**2 * 6


def test_a_snapshot_does_not_change_with_the_network() -> None:
    layer = nn.Conv2d(1, 1, 3)
    taken = kernel_snapshot(layer)
    before = taken[""]["values"].clone()
    nn.init.zeros_(layer.weight)
    assert torch.equal(taken[""]["values"], before)


def test_small_kernels_sit_in_the_middle_and_few_of_many_is_said() -> None:
    rows = [{"epoch": epoch, "kernels": kernel_snapshot(MODEL)} for epoch in (1, 5)]
    variables, coords = as_variables(rows)
    dims, values, words = variables["kernel"]
    assert dict(zip(dims, values.shape, strict=True)) == {
        "snapshot": 2, "kernel_layer": 3, "kernel_number": 4, "y": 5, "x": 5,
    }  # fmt: skip
    assert np.array_equal(values[0, 1, :2, 1:4, 1:4], rows[0]["kernels"]["1"]["values"].numpy())
    assert not values[:, 1, :, 0].any()
    assert coords["kernel_taps"][1].tolist() == [5, 3, 3]
    assert coords["snapshot_epoch"][1].tolist() == [1, 5]
    assert words["showing"] == "4 of 6, 2 of 12, 3 of 6 kernels per layer"


def test_a_history_keeps_its_snapshots_through_netcdf() -> None:
    history = History()
    for epoch in range(1, 4):
        kernels = {"kernels": kernel_snapshot(MODEL)} if epoch != 2 else {}
        history.add(epoch=epoch, layers={}, **kernels)
    dataset = history.dataset({})
    assert dataset.snapshot_epoch.values.tolist() == [1, 3]
    assert from_bytes(as_bytes(dataset)).identical(dataset)


def test_epochs_are_spread_evenly_and_hold_both_ends() -> None:
    assert snapshot_epochs(3, 50) == {1, 2, 3}
    chosen = sorted(snapshot_epochs(300, 50))
    assert (len(chosen), chosen[0], chosen[-1]) == (50, 1, 300)
    assert snapshot_epochs(10, 0) == set()
