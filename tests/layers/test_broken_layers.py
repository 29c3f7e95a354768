"""Each way of breaking a layer's symmetry is seen by the check that the intact layers pass."""

import pytest
import torch
from torch import nn

from tests.layers.symmetry import FLIPS, TINY, TURN, defect, lifted, pair, relative
from tests.tolerances import BROKEN, EXACT
from workbench.groups import SO2, C, D, GroupSignal, parse_group
from workbench.kernels import KernelBank, geometry
from workbench.layers import GroupConv, GroupPool, GroupProjection


@pytest.mark.parametrize(("group", "n"), [("SO2", 1), ("SO2", 2), ("SO2", 6), ("O2", 4), ("C(2)", 2), ("D(3)", 6)])
def test_too_few_elements_for_a_quarter_turn_show_an_error(group, n):
    net, g = pair(group, n).append(GroupProjection("mean", over="group")).double().eval(), parse_group(group)
    assert defect(net, torch.randn(1, 2, 16, 16).double(), TURN[g.element_dim], g) > BROKEN


def test_a_narrowed_arc_shows_an_error():
    net = pair("SO2", 8, partial=True).append(GroupProjection("mean", over="group")).double().eval()
    x = torch.randn(1, 2, 16, 16).double()
    assert defect(net, x, TURN[1], SO2()) <= EXACT[torch.float64]
    net[2].distribution.theta.data.fill_(0.6)
    assert defect(net, x, TURN[1], SO2()) > BROKEN


def test_a_closed_mirror_gate_shows_an_error_at_flips():
    net = pair("D(1)", 2, partial=True).append(GroupProjection("mean", over="group")).double().eval()
    x = torch.randn(1, 2, 16, 16).double()
    assert defect(net, x, FLIPS["left-right"], D(1)) <= EXACT[torch.float64]
    net[2].distribution.logit.data.fill_(-1.0)
    assert defect(net, x, FLIPS["left-right"], D(1)) > BROKEN


class WrongSign(KernelBank):
    """Turns the kernel the other way: the inverse of the output element is left out."""

    def coordinates(self, outputs, inputs):
        return super().coordinates(self.group.inverse(outputs), inputs)

    def _plan(self, n_out, n_in, uniform):
        return super()._plan(n_out, n_in, False)  # looked-up quarter turns would hide the wrong sign


@pytest.mark.parametrize("lifting", [True, False])
def test_the_wrong_sign_of_the_rotation_is_seen(lifting):
    net = pair("C(8)", 8).double().eval()
    layer = net[0] if lifting else net[2]
    layer.kernels.__class__ = WrongSign
    assert defect(net, torch.randn(1, 2, 16, 16).double(), TURN[1], C(8)) > BROKEN


def test_rolling_the_group_axis_the_wrong_way_is_seen(monkeypatch):
    right = geometry.turn_permutation
    monkeypatch.setattr(geometry, "turn_permutation", lambda group, n, quarters: right(group, n, -quarters))
    geometry.plan.cache_clear()
    try:
        assert defect(pair("C(4)", 4).double(), torch.randn(1, 2, 16, 16).double(), TURN[1], C(4)) > BROKEN
    finally:
        geometry.plan.cache_clear()


def test_a_signal_moved_without_its_group_axis_is_seen():
    net, x = pair("C(4)", 4).double(), torch.randn(1, 2, 16, 16).double()
    turned = torch.rot90(net(x).values, 1, (-2, -1))
    found = net(torch.rot90(x, 1, (-2, -1))).values
    assert relative(found, turned.roll(1, 2)) <= EXACT[torch.float64]
    assert relative(found, turned) > BROKEN
    assert relative(found, turned.roll(-1, 2)) > BROKEN


@pytest.mark.parametrize(
    "layer",
    [
        GroupPool(2, exact=False),
        GroupPool(3, 3, exact=False),
        GroupConv(3, 2, 4, stride=2, padding=1, kernel=TINY, exact=False),
    ],
    ids=str,
)
def test_a_window_that_leaves_pixels_unseen_is_seen(layer):
    assert defect(layer.double(), lifted(SO2(), 8, size=17), TURN[1], SO2()) > BROKEN


def test_one_sided_padding_of_an_even_kernel_is_seen():
    layer = GroupConv(3, 2, 4, kernel=TINY, padding="valid").double()

    class OneSided(nn.Module):
        def forward(self, signal: GroupSignal) -> GroupSignal:
            return layer(signal.map(lambda v: nn.functional.pad(v, (1, 2, 1, 2))))

    assert defect(OneSided(), lifted(SO2(), 8), TURN[1], SO2()) > BROKEN


def test_a_position_dependent_bias_is_seen():
    class Ramp(nn.Module):
        def forward(self, signal: GroupSignal) -> GroupSignal:
            return signal.map(lambda v: v + torch.linspace(0, 1, v.shape[-1], dtype=v.dtype))

    assert defect(Ramp(), lifted(SO2(), 8), TURN[1], SO2()) > BROKEN
