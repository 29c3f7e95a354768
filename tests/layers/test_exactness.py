"""Layers commute with quarter turns and flips to rounding, and each way of breaking that is seen."""

import pytest
import torch
from torch import nn

from tests.layers.symmetry import FLIPS, HALF, TINY, TURN, defect, lifted, pair, relative
from tests.tolerances import BROKEN, EXACT
from workbench.groups import O2, SO2, parse_group
from workbench.kernels import KernelSpec
from workbench.layers import (
    GroupBatchNorm,
    GroupConv,
    GroupDropout,
    GroupInstanceNorm,
    GroupLayerNorm,
    GroupPool,
    GroupProjection,
    GroupReLU,
    LiftingConv,
)

DTYPES = (torch.float32, torch.float64)
GROUPS = (("SO2", 4), ("SO2", 8), ("SO2", 16), ("C(4)", 4), ("C(8)", 8), ("O2", 8), ("O2", 16), ("D(4)", 8))


@pytest.mark.parametrize("size", [16, 17])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("group", "n"), GROUPS)
def test_quarter_turns_pass_through_lifting_and_group_convolution(group, n, dtype, size):
    net, g = pair(group, n).to(dtype), parse_group(group)
    assert defect(net, torch.randn(1, 2, size, size, dtype=dtype), TURN[g.element_dim], g) <= EXACT[dtype]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("network", ["siren", "fourier", "gabor", "magnet"])
@pytest.mark.parametrize(("group", "n"), [("SO2", 2), ("SO2", 6), ("C(2)", 2), ("C(6)", 6), ("O2", 12), ("D(2)", 4)])
def test_half_turns_pass_where_the_grid_has_no_quarter_turns(group, n, network, dtype):
    net, g = pair(group, n, KernelSpec(network)).to(dtype).eval(), parse_group(group)
    x = torch.randn(2, 2, 17, 17, dtype=dtype)
    assert defect(net, x, (HALF, 1.0)[: g.element_dim], g) <= EXACT[dtype]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("network", ["siren", "fourier", "gabor", "magnet"])
@pytest.mark.parametrize("train", [False, True], ids=["evaluation", "training"])
def test_partial_layers_that_learn_their_arc_are_exact_for_every_kernel_network(train, network, dtype):
    net = pair("SO2", 8, KernelSpec(network), partial=True).to(dtype).train(train)
    assert defect(net, torch.randn(2, 2, 17, 17, dtype=dtype), TURN[1], SO2()) <= EXACT[dtype]


@pytest.mark.parametrize("flip", FLIPS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("group", "n", "size"), [("O2", 8, 17), ("O2", 16, 16), ("D(4)", 8, 16)])
def test_flips_pass_through_lifting_and_group_convolution(group, n, size, dtype, flip):
    net, g = pair(group, n).to(dtype), parse_group(group)
    assert defect(net, torch.randn(1, 2, size, size, dtype=dtype), FLIPS[flip], g) <= EXACT[dtype]


@pytest.mark.parametrize("flip", ["left-right"])
@pytest.mark.parametrize(("group", "n"), [("D(1)", 2), ("D(2)", 4), ("O2", 2), ("O2", 12)])
def test_groups_without_quarter_turns_still_keep_their_own_flips(group, n, flip):
    net, g = pair(group, n).double(), parse_group(group)
    assert defect(net, torch.randn(1, 2, 16, 16).double(), FLIPS[flip], g) <= EXACT[torch.float64]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("group", "n"), [("SO2", 8), ("O2", 8), ("C(4)", 4), ("D(4)", 8)])
def test_partial_layers_are_exact_while_their_distribution_is_whole(group, n, dtype):
    g = parse_group(group)
    net, x = pair(group, n, partial=True).to(dtype), torch.randn(1, 2, 16, 16, dtype=dtype)
    elements = [TURN[g.element_dim], *(FLIPS.values() if g.element_dim == 2 else [])]
    for mode in (False, True):
        net.train(mode)
        for module in net.modules():
            if hasattr(module, "logit"):
                module.logit.data.fill_(50.0)  # every gate open
        assert max(defect(net, x, element, g) for element in elements) <= EXACT[dtype]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (GroupConv(3, 2, 1, n=8, kernel=TINY), 16),
        (GroupConv(3, 2, 9, n=8, kernel=TINY), 17),
        (GroupConv(3, 2, 7, n=4, kernel=TINY, padding="valid"), 16),
        (GroupConv(3, 2, 4, n=8, kernel=TINY, padding="valid"), 16),
        (GroupConv(3, 2, 4, n=8, kernel=TINY, padding=1), 17),
        (GroupConv(3, 2, 5, n=8, kernel=TINY, stride=2), 17),
        (GroupConv(3, 2, 5, n=16, kernel=TINY, padding_mode="circular"), 16),
        (GroupConv(3, 2, 1, n=8, kernel=TINY, bias=False), 16),
        (GroupBatchNorm(3), 16),
        (GroupBatchNorm(3).eval(), 17),
        (GroupInstanceNorm(3), 16),
        (GroupLayerNorm(3), 17),
        (GroupReLU(), 16),
        (GroupDropout(0.5).eval(), 16),
        (GroupDropout(0.5, whole_channels=True), 16),
        (GroupPool(2), 16),
        (GroupPool(3, 2), 17),
        (GroupPool(3, 2, kind="mean"), 17),
        (GroupPool(3, 2, padding=1), 17),
        (GroupPool(3, 1, padding=1, kind="mean"), 16),
        (GroupProjection("max"), 16),
        (GroupProjection("mean"), 17),
        (GroupProjection("max", over="group"), 17),
        (GroupProjection("mean", over="group"), 16),
    ],
    ids=str,
)
def test_every_layer_that_takes_a_signal_is_exact(layer, size, dtype):
    layer.to(dtype)
    assert defect(layer, lifted(SO2(), 8, size=size, dtype=dtype), TURN[1], SO2()) <= EXACT[dtype]
    if not isinstance(layer, GroupConv):  # the same layer serves signals with mirrored elements
        signal = lifted(O2(), 8, size=size, dtype=dtype)
        assert max(defect(layer, signal, flip, O2()) for flip in FLIPS.values()) <= EXACT[dtype]


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 7])
@pytest.mark.parametrize("group", ["C(4)", "D(4)"])
def test_lifting_of_every_kernel_size_is_exact(kernel_size, group):
    g = parse_group(group)
    layer = LiftingConv(2, 3, kernel_size, group=group, kernel=TINY, padding="valid").double()
    assert defect(layer, torch.randn(1, 2, 16, 16).double(), TURN[g.element_dim], g) <= EXACT[torch.float64]


def test_whole_pixel_shifts_pass_through_circular_layers():
    net = pair("SO2", 8, padding_mode="circular").append(GroupPool(2)).double().eval()
    x = torch.randn(1, 2, 16, 16).double()
    shifted = net(x.roll((4, -6), (-2, -1))).values
    assert relative(shifted, net(x).values.roll((2, -3), (-2, -1))) <= EXACT[torch.float64]
    assert relative(net(x.roll(1, -1)).values, net(x).values) > BROKEN  # half a pooling window is no symmetry


def test_whole_pixel_shifts_pass_through_the_interior_of_zero_padded_layers():
    net = pair("O2", 8).double().eval()
    x = torch.randn(1, 2, 24, 24).double()
    shifted, plain = net(x.roll(3, -1)).values, net(x).values.roll(3, -1)
    inside = slice(7, -7)  # two kernels of radius 2 and the shift
    assert relative(shifted[..., inside, inside], plain[..., inside, inside]) <= EXACT[torch.float64]
    assert relative(shifted, plain) > BROKEN


def test_gradients_turn_with_the_image_also_where_pixels_are_equal():
    """Equal pixels share the gradient of a maximum; taking the first of them would prefer a corner."""
    x = torch.randint(0, 3, (1, 1, 8, 8)).double().requires_grad_()
    net = nn.Sequential(LiftingConv(1, 2, 1, group="D(4)", kernel=TINY), GroupPool(2), GroupProjection("mean")).double()
    (slope,) = torch.autograd.grad(net(x).sum(), x)
    turned = x.detach().rot90(1, (-2, -1)).flip(-1).requires_grad_()
    (turned_slope,) = torch.autograd.grad(net(turned).sum(), turned)
    assert relative(turned_slope, slope.rot90(1, (-2, -1)).flip(-1)) <= EXACT[torch.float64]
