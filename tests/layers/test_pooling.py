"""Pooling and projection against plain tensor operations; sizes that break symmetry are refused."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional

from tests.layers.symmetry import lifted, relative
from tests.tolerances import EXACT
from workbench.groups import O2, SO2, GroupSignal
from workbench.layers import GroupPool, GroupProjection

TIGHT = EXACT[torch.float64]


@pytest.mark.parametrize(("window", "stride", "padding", "size"), [(2, None, 0, 16), (3, 2, 0, 17), (3, 1, 1, 5)])
def test_pooling_is_the_plain_one_for_each_element(window, stride, padding, size):
    signal = lifted(O2(), 4, size=size)
    for kind, plain in (("max", functional.max_pool2d), ("mean", functional.avg_pool2d)):
        out = GroupPool(window, stride, padding, kind)(signal)
        wanted = torch.stack([plain(signal.values[:, :, g], window, stride, padding) for g in range(4)], 2)
        assert relative(out.values, wanted) <= TIGHT
        assert out.elements is signal.elements


def test_a_size_that_breaks_symmetry_is_refused_at_construction_or_at_the_first_forward():
    with pytest.raises(ValueError, match=r"GroupPool\(max, window=2.*leaves 1 of 17 pixels.*use window 3, or size 16"):
        GroupPool(2, input_size=17)
    with pytest.raises(ValueError, match="leaves 1 of 17 pixels"):
        GroupPool(2)(lifted(SO2(), 4, size=17))
    assert GroupPool(2, input_size=17, exact=False)(lifted(SO2(), 4, size=17)).values.shape[-1] == 8
    with pytest.raises(ValueError, match="leaves 1 of 17"):
        GroupPool(2, input_size=(16, 17))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"window": 0}, "window = 0"),
        ({"window": 2.0}, "window = 2.0"),
        ({"stride": -1}, "stride = -1"),
        ({"padding": 2}, "at most half of the window"),
        ({"kind": "median"}, "'max' or 'mean'"),
        ({"window": 20, "input_size": 16}, "use a smaller window"),
    ],
)
def test_bad_pooling_arguments_are_refused_with_a_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        GroupPool(**{"window": 2, **options})


def test_projection_reduces_over_elements_and_pixels():
    signal = lifted(SO2(), 8, size=5)
    v = signal.values
    assert torch.equal(GroupProjection("max")(signal), v.amax((2, 3, 4)))
    assert relative(GroupProjection("mean")(signal), v.mean((2, 3, 4))) <= TIGHT
    assert torch.equal(GroupProjection("max", over="group")(signal), v.amax(2))
    assert relative(GroupProjection("mean", over="group")(signal), v.mean(2)) <= TIGHT


def test_the_mean_weighs_elements_by_their_gates():
    signal = lifted(SO2(), 4, size=5)
    gates = torch.tensor([1.0, 0.5, 0.0, 1.0], dtype=torch.float64)
    kept = torch.tensor([0, 1, 3])
    carried = signal.values * gates[:, None, None]  # as a gated layer leaves them
    gated = GroupSignal(carried, signal.elements, signal.group, gates)
    wanted = carried[:, :, kept].sum((2, 3, 4)) / (2.5 * 25)
    assert relative(GroupProjection("mean")(gated), wanted) <= TIGHT


def test_what_is_no_signal_is_refused_with_a_sentence():
    for layer in (GroupPool(2), GroupProjection()):
        with pytest.raises(ValueError, match="Tensor was given; expected a GroupSignal"):
            layer(torch.zeros(1, 2, 4, 4))
    for options in ({"reduce": "sum"}, {"over": "pixels"}):
        with pytest.raises(ValueError, match="'all' or 'group'"):
            GroupProjection(**options)


@pytest.mark.parametrize("size", [(6, 4), (2, 8)])
def test_the_quick_halving_has_the_gradient_of_the_plain_maximum(size):
    values = torch.randn(1, 2, 4, *size, dtype=torch.float64, requires_grad=True)
    signal = lifted(SO2(), 4, channels=2)
    assert gradcheck(lambda v: GroupPool(2)(signal.with_values(v)).values, (values,), fast_mode=True)
    assert gradgradcheck(lambda v: GroupPool(2)(signal.with_values(v)).values, (values,), fast_mode=True)
    weight = torch.randn(1, 2, 4, size[0] // 2, size[1] // 2, dtype=torch.float64)
    slopes = [
        torch.autograd.grad((pool(values) * weight).sum(), values)[0]
        for pool in (
            lambda v: GroupPool(2)(signal.with_values(v)).values,
            lambda v: functional.max_pool2d(v.flatten(1, 2), 2).unflatten(1, (2, 4)),
        )
    ]
    assert torch.equal(*slopes)


@pytest.mark.parametrize("ties", [(0,), (0, 1), (0, 2), (1, 2), (0, 1, 2), (1, 2, 3), (0, 1, 2, 3)])
def test_as_many_pixels_as_are_equal_share_the_gradient_of_the_halving(ties):
    values = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    values[..., list(ties)] = 1  # of 2 x 2 pixels, for each of four elements
    values = values.unflatten(-1, (2, 2)).requires_grad_(True)
    out = GroupPool(2)(lifted(SO2(), 4, channels=1).with_values(values)).values
    (slope,) = torch.autograd.grad(out.sum(), values)
    assert relative(slope, values.detach() / len(ties)) <= EXACT[torch.float64]


def test_equal_pixels_share_the_gradient_of_the_halving():
    values = torch.zeros(1, 1, 4, 2, 2, dtype=torch.float64, requires_grad=True)
    out = GroupPool(2)(lifted(SO2(), 4, channels=1).with_values(values)).values
    (slope,) = torch.autograd.grad(out.sum(), values)
    assert torch.equal(slope, torch.full_like(slope, 0.25))
