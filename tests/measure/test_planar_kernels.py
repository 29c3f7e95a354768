"""The kernels of every planar convolution are those it applies, whatever it makes them from."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.tolerances import EXACT
from workbench.groups import SO2
from workbench.layers import GroupConv, LiftingConv, RelaxedConv2d, RelaxedGroupConv, SeparableConv
from workbench.layers.field_filters import relaxed_conv, residual_conv
from workbench.layers.quarter_turns import FieldConv2d
from workbench.measure import kernels, open_dataset, save
from workbench.measure.planar_kernels import as_rows, kind_of, planar_kernels, planar_layers

STRETCHED = {"group": "Scale(2,1.74)", "n": 3}


@pytest.mark.parametrize(
    ("layer", "kind", "sizes"),
    [
        (nn.Conv2d(2, 3, 5), "plain", (1, 1, 3, 2)),
        (LiftingConv(2, 3, 5, n=4), "group", (4, 1, 3, 2)),
        (GroupConv(2, 3, 5, n=4, partial=True), "group", (4, 4, 3, 2)),
        (SeparableConv(2, 3, 5, n=4), "group", (4, 4, 3, 2)),
        (RelaxedGroupConv(2, 3, 5, n=4), "group", (4, 4, 3, 2)),
        (GroupConv(2, 3, 17, **STRETCHED), "group", (3, 3, 3, 2)),
        (RelaxedConv2d(2, 3, 5), "places", (5, 5, 3, 2)),
        (FieldConv2d(1, 8, 3, first=True), "fields", (4, 1, 2, 1)),
        (FieldConv2d(8, 4, 3), "fields", (4, 4, 1, 2)),
        (residual_conv(8, 4, 3), "fields", (4, 4, 1, 2)),
        (relaxed_conv(1, 8, 3, first=True), "fields", (4, 1, 2, 1)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_every_kind_of_planar_layer_is_read(layer, kind, sizes, tmp_path):
    ds = planar_kernels(layer)
    assert kind_of(layer) == ds.attrs["kind"] == kind
    assert ds["kernel"].dims == ("g_out", "g_in", "channel_out", "channel_in", "y", "x")
    assert ds["kernel"].shape[:4] == sizes
    assert len(ds["pose_out"]) == sizes[0]
    assert len(ds["pose_in"]) == sizes[1]
    assert open_dataset(save(ds, tmp_path / "kernels.nc")).identical(ds)


def test_a_plain_kernel_is_the_weight_and_a_group_kernel_that_of_the_measure():
    plain = nn.Conv2d(2, 3, 5)
    assert np.array_equal(planar_kernels(plain)["kernel"].values[0, 0], plain.weight.detach().numpy())
    layer = GroupConv(2, 3, 5, n=4)
    assert planar_kernels(layer, 8)["kernel"].identical(
        kernels(layer, 8)["kernel"].assign_coords(
            pose_out=planar_kernels(layer, 8)["pose_out"], pose_in=planar_kernels(layer, 8)["pose_in"]
        )
    )


def test_fields_that_commute_have_turned_copies_and_others_do_not():
    """The twin: weights that were not projected."""

    def worst(layer: FieldConv2d) -> float:
        kernel = planar_kernels(layer)["kernel"].values
        moved = np.roll(np.rot90(kernel, 1, (-2, -1)), (1, 1), (0, 1))
        return float(np.abs(moved - kernel).max())

    layer = FieldConv2d(8, 4, 3).double()
    assert worst(layer) > 0.01
    layer.project_weights()
    assert worst(layer) <= EXACT[torch.float64]


def test_filters_at_places_are_those_that_the_layer_applies_there():
    layer = RelaxedConv2d(1, 2, 3, absolute=0.5, bias=False).double()
    kernel = planar_kernels(layer)["kernel"].values
    x = torch.zeros(1, 1, 5, 5).double()
    x[0, 0, 2, 2] = 1
    with torch.no_grad():
        y = layer(x)[0].numpy()
    for row, column in ((1, 1), (2, 3), (3, 2)):
        assert np.allclose(y[:, row, column], kernel[row, column, :, 0, 3 - row, 3 - column], rtol=0, atol=1e-12)


def test_rows_make_one_convolution_of_a_lifting():
    layer = LiftingConv(1, 3, 5, n=4, bias=False, padding="valid").eval()
    x = torch.randn(1, 1, 9, 9)
    with torch.no_grad():
        wanted = layer(x).values.permute(0, 2, 1, 3, 4).flatten(1, 2)
        found = functional.conv2d(x, torch.from_numpy(as_rows(planar_kernels(layer), every=True).copy()))
    assert torch.allclose(found, wanted, rtol=0, atol=1e-6)
    assert as_rows(planar_kernels(layer)).shape == (3, 1, 5, 5)
    assert as_rows(planar_kernels(RelaxedConv2d(2, 3, 5)), every=True).shape == (75, 2, 5, 5)
    assert as_rows(planar_kernels(RelaxedConv2d(2, 3, 5))).shape == (3, 2, 5, 5)


def test_poses_are_in_words():
    assert planar_kernels(GroupConv(1, 1, 3, n=8))["pose_out"].values.tolist()[:3] == ["0°", "45°", "90°"]
    assert planar_kernels(GroupConv(1, 1, 3, group="D(1)", n=2))["pose_in"].values.tolist() == ["0°", "0° mirrored"]
    assert planar_kernels(GroupConv(1, 1, 17, **STRETCHED))["pose_out"].values[-1] == "x1.74"
    assert planar_kernels(RelaxedConv2d(1, 1, 3))["pose_in"].values.tolist() == ["10 %", "30 %", "50 %", "70 %", "90 %"]


def test_only_convolutions_with_more_than_one_tap_are_listed_and_others_refused():
    net = nn.Sequential(LiftingConv(1, 2, 3), nn.ReLU(), GroupConv(2, 2, 1), nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 2))
    assert planar_layers(net) == ("0", "4")
    for other in (nn.ReLU(), nn.Conv2d(1, 1, 1), nn.Linear(2, 2)):
        with pytest.raises(ValueError, match="expected a planar convolution with more than one tap"):
            planar_kernels(other)
    with pytest.raises(ValueError, match="expected"):
        planar_kernels(GroupConv(1, 1, 3, group="C(4)"), 0)


def test_reading_leaves_the_layer_as_found():
    layer = RelaxedConv2d(1, 2, 3).train()
    planar_kernels(layer)
    assert layer.training
    assert layer.kernels.absolute.requires_grad
    assert SO2().order is None
