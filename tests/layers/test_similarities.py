"""The seven factorisations over rotations with scalings: all hold at quarter turns, the two published faults do not.

Five of the seven of the released code break at 90 degrees (0.52 to 0.73): its grids are flattened transposed in the
kernels over the group and not in those of the lifting, and its window over scales reads a tensor [out, in, 2] as
[out, 2, in].
"""

import math
import re
import statistics

import pytest
import torch
from torch import nn

from tests.layers.scaling import network, scale_errors
from tests.layers.symmetry import QUARTER, TINY, defect, relative
from tests.layers.test_separable import by_the_product
from tests.tolerances import AGAIN, BROKEN, EXACT, INNER_SCALE
from workbench.groups import SO2, Draw, GroupSignal, RotationScale
from workbench.kernels import FACTORISATIONS, OF_SIMILARITIES, KernelBank
from workbench.kernels.faults import RELEASED, TRANSPOSED, VIEWED, put_fault
from workbench.layers import GroupConv, GroupProjection, LiftingConv, SeparableConv, set_n

SEVEN = ("nonseparable", *FACTORISATIONS, *OF_SIMILARITIES)
EVERY = pytest.mark.parametrize("factorisation", SEVEN)
SIM2 = RotationScale(1.74)
K = 15


def stack(factorisation: str, **options) -> nn.Sequential:
    common = {"group": SIM2, "n": 4, "stretches": 3, "kernel": TINY, **options}
    lifting = {name: value for name, value in common.items() if name != "reach"}
    return nn.Sequential(
        LiftingConv(1, 2, K, **lifting), SeparableConv(2, 3, K, factorisation=factorisation, **common)
    ).eval()


def without_lookups(net: nn.Sequential) -> nn.Sequential:
    """The same network, whose kernels at turned elements are evaluated anew and not looked up."""

    class Listed(nn.Module):
        def forward(self, signal: GroupSignal) -> GroupSignal:
            return GroupSignal(signal.values, signal.elements, signal.group, None, False)

    return nn.Sequential(net[0], Listed(), net[1])


@EVERY
@pytest.mark.parametrize("sampling", ["grid", "random"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_quarter_turns_are_exact(factorisation, dtype, sampling):
    net, x = stack(factorisation, sampling=sampling).to(dtype), torch.randn(1, 1, 18, 18, dtype=dtype)
    for train in (False, True):
        assert defect(net.train(train), x, (QUARTER,), SO2()) <= EXACT[dtype]
        assert defect(net, x, (2 * QUARTER,), SO2()) <= EXACT[dtype]


@EVERY
def test_they_are_exact_without_looking_turned_kernels_up(factorisation):
    net = without_lookups(stack(factorisation)).double()
    assert defect(net, torch.randn(1, 1, 18, 18).double(), (QUARTER,), SO2()) <= EXACT[torch.float64]


@EVERY
def test_a_grid_that_is_transposed_in_the_group_kernel_alone_is_caught(factorisation):
    found = []
    for seed in range(5):
        torch.manual_seed(seed)
        net = stack(factorisation).double()
        assert put_fault(net[1].kernels, TRANSPOSED)
        found.append(defect(without_lookups(net), torch.randn(1, 1, 18, 18).double(), (QUARTER,), SO2()))
    assert min(found) > BROKEN
    assert statistics.median(found) > 4 * BROKEN


@EVERY
def test_a_window_that_is_viewed_in_another_order_is_caught(factorisation):
    net = stack(factorisation).double()
    placed = put_fault(net[1].kernels, VIEWED)
    assert placed == (factorisation not in OF_SIMILARITIES)  # whose scales have a kernel of their own
    found = defect(without_lookups(net), torch.randn(1, 1, 18, 18).double(), (QUARTER,), SO2())
    assert (found > 4 * BROKEN) if placed else (found <= EXACT[torch.float64])


def test_the_faults_are_told_by_name_and_the_released_code_has_them_in_five_of_the_seven():
    assert set(RELEASED) == set(SEVEN) - set(OF_SIMILARITIES)
    assert set(RELEASED.values()) == {TRANSPOSED, VIEWED}
    with pytest.raises(ValueError, match="'flipped' was given; expected 'transposed' or 'viewed'"):
        put_fault(stack("separable")[1].kernels, "flipped")


@EVERY
@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
def test_the_steps_are_one_convolution_by_the_product(factorisation, padding_mode):
    layer = SeparableConv(
        2, 3, K, factorisation=factorisation, group=SIM2, n=4, stretches=3, kernel=TINY, padding_mode=padding_mode
    ).double()
    layer.bias.data.normal_()
    elements = layer.elements()
    signal = GroupSignal(torch.randn(2, 2, 12, 16, 16).double(), elements, SIM2)
    assert relative(layer(signal).values, by_the_product(layer, signal)) <= EXACT[torch.float64]


@EVERY
def test_a_list_that_is_no_product_of_angles_and_factors_gets_the_same_kernels(factorisation):
    """Answers at some elements are those of the whole list, from inputs in any order, however weighted."""
    layer = SeparableConv(2, 3, K, factorisation=factorisation, group=SIM2, n=4, stretches=3, kernel=TINY).double()
    elements, order = layer.elements(), torch.randperm(12)
    volumes = torch.rand(12, dtype=torch.float64) + 0.5
    signal = GroupSignal(torch.randn(1, 2, 12, 8, 8).double(), elements, SIM2, None, True, volumes)
    shuffled = GroupSignal(signal.values[:, :, order], elements[order], SIM2, None, False, volumes[order])
    some = torch.tensor([7, 2, 4])
    at = Draw(elements[some], None, False)
    assert relative(layer(shuffled, at).values, layer(signal).values[:, :, some]) <= EXACT[torch.float64]


def shares(kernel: torch.Tensor, dim: int) -> float:
    """Largest second singular value over the first, of kernels ``(pairs, angles, factors, taps)`` unfolded there."""
    unfolded = kernel.movedim(dim, 1).flatten(2)
    values = torch.linalg.svdvals(unfolded)
    return float((values[:, 1] / values[:, 0]).max())


ANGLES, FACTORS, TAPS = 1, 2, 3
OF_RANK_ONE = {
    "nonseparable": set(),
    "separable": {TAPS},
    "gseparable": {TAPS},
    "dseparable": set(),
    "dgseparable": {TAPS},
    "separable+2d": {ANGLES, FACTORS, TAPS},
    "gseparable+2d": {ANGLES, FACTORS, TAPS},
}


@torch.no_grad()
@EVERY
def test_which_factors_a_kernel_has(factorisation):
    layer = SeparableConv(2, 3, K, factorisation=factorisation, group=SIM2, n=4, stretches=3, kernel=TINY).double()
    elements = layer.elements()
    kernel = layer.bank(elements, elements, True)[:, 5]  # of one rotation at the middle scale
    unfolded = kernel.unflatten(2, (3, 4)).transpose(2, 3).flatten(0, 1)
    found = {dim for dim in (ANGLES, FACTORS, TAPS) if shares(unfolded, dim) <= 1e3 * EXACT[torch.float64]}
    assert found == OF_RANK_ONE[factorisation]


@torch.no_grad()
@pytest.mark.parametrize(("factorisation", "alike"), [("separable+2d", True), ("gseparable+2d", False)])
def test_scales_and_filters_are_shared_by_the_input_channels_or_not(factorisation, alike):
    layer = SeparableConv(2, 3, K, factorisation=factorisation, group=SIM2, n=4, stretches=3, kernel=TINY).double()
    elements = layer.elements()
    kernel = layer.bank(elements, elements, True)[:, 5].unflatten(2, (3, 4))[:, :, :, 1]  # (C_out, C_in, factors, taps)
    first, second = (kernel[:, i] / kernel[:, i].norm(dim=(-2, -1), keepdim=True) for i in (0, 1))
    cosine = (first * second).sum((-2, -1)).abs()
    assert bool(torch.allclose(cosine, torch.ones_like(cosine), rtol=AGAIN, atol=AGAIN)) == alike


@pytest.mark.parametrize("factorisation", OF_SIMILARITIES)
def test_inner_scales_are_exact_and_boundary_scales_are_not(factorisation):
    options = {"n": 4, "stretches": 4, "factorisation": factorisation}
    lower, inner, upper = scale_errors(network("RotationScale(1.74)", 19, 1, **options))
    assert inner <= INNER_SCALE
    assert min(lower, upper) > BROKEN


def test_parameters_do_not_depend_on_elements_and_set_n_changes_rotations():
    def size(f: str, n: int) -> int:
        layer = SeparableConv(8, 8, K, factorisation=f, group=SIM2, n=n, stretches=2)
        return sum(p.numel() for p in layer.parameters())

    counts = {f: size(f, 4) for f in SEVEN}
    assert counts == {f: size(f, 8) for f in SEVEN}
    assert counts["separable"] < counts["separable+2d"] < counts["gseparable"] < counts["gseparable+2d"]
    net = stack("separable+2d")
    set_n(net, 8)
    assert net(torch.randn(1, 1, 16, 16)).values.shape[2] == 24


def test_nonseparable_is_the_dense_layer():
    torch.manual_seed(0)
    named = SeparableConv(2, 3, 7, factorisation="nonseparable", kernel=TINY)
    torch.manual_seed(0)
    plain = GroupConv(2, 3, 7, kernel=TINY)
    signal = GroupSignal(torch.randn(2, 2, 8, 12, 12), SO2().grid(8), SO2())
    assert torch.equal(named(signal).values, plain(signal).values)
    assert isinstance(named.kernels, KernelBank)


def test_factorisations_that_cannot_be_are_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"'separable\+2d' was given on SO2; .* use 'separable', or group='Rotation"):
        SeparableConv(1, 1, 5, factorisation="separable+2d")
    with pytest.raises(ValueError, match=r"'cp' was given; expected one of separable, .*gseparable\+2d; or nonsep"):
        SeparableConv(1, 1, 5, factorisation="cp")
    for given, near in (("seperable", "separable"), ("gseparabel+2d", "gseparable+2d"), ("whole", "separable")):
        with pytest.raises(ValueError, match=f"use {re.escape(repr(near))}"):
            SeparableConv(1, 1, 17, group="RotationScale", factorisation=given)


def test_gradients_reach_every_parameter():
    for factorisation in SEVEN:
        net = stack(factorisation).append(GroupProjection("mean")).train()
        net(torch.randn(1, 1, 16, 16)).square().sum().backward()
        assert all(p.grad is not None and math.isfinite(float(p.grad.norm())) for p in net.parameters())
        assert float(sum(p.grad.norm() for p in net[1].kernels.parameters())) > 0
