"""Errors over scalings: the referee's, told apart by where the list of scales ends, and without a trace."""

import pytest
import torch
from torch import nn

from tests.layers.scaling import network, scale_errors
from tests.tolerances import AGAIN, BROKEN, EXACT, INNER_SCALE, SPLIT
from workbench.layers import GroupConv, GroupProjection, LiftingConv
from workbench.measure import open_dataset, save, scale_error
from workbench.measure.scales import scale_floor

BOTH = pytest.mark.parametrize(
    ("group", "options"), [("Scale(2,1.74)", {"n": 4}), ("RotationScale(1.74)", {"n": 4, "stretches": 4})]
)


@BOTH
def test_errors_are_those_of_the_referee(group, options):
    net = network(group, 15, 1, **options)
    found = scale_error(net, size=29)
    assert found.error.values == pytest.approx(scale_errors(net), rel=SPLIT)
    assert found.inner.values.tolist() == [False, True, False]
    assert float(found.error[1]) <= INNER_SCALE
    assert float(found.error[[0, 2]].min()) > BROKEN
    assert found.factor.values == pytest.approx([1.74 ** (i / 3) for i in range(3)], rel=AGAIN)


def test_a_lifting_has_no_boundary_and_padding_that_is_not_seen_changes_nothing():
    torch.manual_seed(0)
    lift = LiftingConv(1, 2, 15, group="Scale(2,1.74)").double()
    assert scale_error(lift, size=15).inner.all()
    far, further = scale_error(lift, size=17), scale_error(lift, size=31)
    assert far.error.values == pytest.approx(further.error.values, rel=SPLIT)


def test_a_picture_that_is_too_small_is_the_twin_that_sees_the_padding():
    torch.manual_seed(0)
    lift = LiftingConv(1, 2, 15, group="Scale(2,1.74)").double()
    assert float(scale_error(lift, size=7).error.max()) > 2 * float(scale_error(lift, size=17).error.max())


def test_the_result_survives_a_file_and_the_model_is_left_alone(tmp_path):
    net = network("Scale(2,1.74)", 15, 0, n=3).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = scale_error(net, size=15, count=4)
    save(found, tmp_path / "scales.nc")
    assert open_dataset(tmp_path / "scales.nc").identical(found)
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    again = scale_error(net, size=15, count=4)
    assert again.identical(found)
    assert EXACT[torch.float64] < float(found.error.max())


@pytest.mark.parametrize(
    ("model", "size", "words"),
    [
        (LiftingConv(1, 1, 5), 15, "answers SO2, .* expected signals over Scale or RotationScale"),
        (nn.Conv2d(1, 1, 3), 15, "expected signals over Scale"),
        (nn.Sequential(LiftingConv(1, 1, 17, group="Scale"), GroupProjection("mean", "group")), 17, "before its pool"),
        (LiftingConv(1, 1, 17, group="Scale"), 18, "size = 18 was given; expected an odd number of pixels; use 19"),
        (LiftingConv(1, 1, 17, group="Scale", n=1), 17, "a signal of one scale"),
    ],
    ids=["SO2", "plain", "projected", "even", "one scale"],
)
def test_what_cannot_be_measured_is_refused(model, size, words):
    with pytest.raises(ValueError, match=words):
        scale_error(model, size=size, count=2)


def test_group_layers_are_counted_by_their_kernels_and_not_by_their_names():
    net = nn.Sequential(LiftingConv(1, 1, 15, group="Scale(2,1.74)"), *(GroupConv(1, 1, 1, group="Scale(2,1.74)"),) * 1)
    assert scale_error(net, size=15, count=2).inner.values.tolist() == [False, True, False]


def test_the_floor_of_pixels_falls_with_the_support_and_a_lifting_by_the_rules_stays_near_it():
    floors = []
    for k in (7, 15, 19):
        net = network("Scale(2,1.74)", k, 0, n=4) if k > 14 else narrow(k)
        floor, error = scale_floor(net[0]), scale_error(net, size=k).error.values
        assert error.max() <= 3 * floor.max()
        floors.append(floor.max())
    assert floors[0] > 3 * floors[1] > 3 * floors[2]


@pytest.mark.filterwarnings("ignore:.*leaves the smallest kernel")
def narrow(k):
    with pytest.warns(UserWarning, match="leaves the smallest kernel"):
        return network("Scale(2,1.74)", k, 0, n=4)


def test_the_floor_does_not_see_what_is_no_matter_of_pixels():
    net = network("Scale(2,1.74)", 15, 0, n=4)
    before = scale_floor(net[0])
    net[0].kernels.gain.mul_(3)
    assert scale_floor(net[0]) == pytest.approx(before, rel=SPLIT)
    with pytest.raises(TypeError, match="expected a lifting over Scale or RotationScale"):
        scale_floor(LiftingConv(1, 1, 5))
    with pytest.raises(TypeError, match="expected a lifting"):
        scale_floor(network("Scale(2,1.74)", 15, 1, n=4)[2])
