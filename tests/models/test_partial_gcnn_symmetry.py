"""Whole networks do not see lattice elements of their group, and partial ones do once an arc narrows."""

import pytest
import torch

from tests.layers.symmetry import FLIPS, HALF, TURN, defect, relative
from tests.models.narrow import GROUPS, NARROW, network
from tests.tolerances import BROKEN_LOGITS, EXACT
from workbench.groups import parse_group
from workbench.layers import group_layers, set_n
from workbench.models.partial_gcnn import build

DTYPES = (torch.float32, torch.float64)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("symmetry", GROUPS)
@pytest.mark.parametrize("architecture", NARROW)
def test_logits_of_a_full_network_do_not_change_with_lattice_elements(architecture, symmetry, dtype):
    net, g = network(architecture, symmetry, partial=False).to(dtype), parse_group(symmetry)
    x = torch.randn(2, 1, 16, 16, dtype=dtype)
    elements = [TURN[g.element_dim], *(FLIPS.values() if g.element_dim == 2 else [])]
    assert max(defect(net.eval(), x, element, g) for element in elements) <= EXACT[dtype]
    if dtype == torch.float64:  # in float32 norms over a batch of two amplify rounding to 3e-6
        assert max(defect(net.train(), x, element, g) for element in elements) <= EXACT[dtype]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("architecture", NARROW)
def test_odd_sizes_without_pooling_are_exact_too(architecture, dtype):
    net = network(architecture, partial=False, pools=(), input_size=9, norm="layer").to(dtype).eval()
    assert defect(net, torch.randn(1, 1, 9, 9, dtype=dtype), TURN[1], parse_group("SO2")) <= EXACT[dtype]


@pytest.mark.parametrize("architecture", NARROW)
def test_a_partial_network_is_exact_at_the_start_and_not_once_an_arc_narrows(architecture):
    net, so2 = network(architecture).double().eval(), parse_group("SO2")
    x = torch.randn(2, 1, 16, 16).double()
    assert defect(net, x, TURN[1], so2) <= EXACT[torch.float64]
    for layer in group_layers(net).values():
        if layer.distribution is not None:
            layer.distribution.theta.data.fill_(0.3)
    assert defect(net, x, (HALF,), so2) > BROKEN_LOGITS


@pytest.mark.parametrize("preset", ["demo_full", "demo_strict"])
@pytest.mark.parametrize("n", [2, 4, 8, 16])
def test_a_full_network_cannot_tell_a_six_from_the_same_six_upside_down(preset, n):
    net = build({"preset": preset, "classes": 2}).double().eval()
    set_n(net, n)
    sixes = torch.rand(5, 1, 16, 16).double()
    upright, turned = net(sixes), net(sixes.rot90(2, (-2, -1)))
    assert relative(turned, upright) <= EXACT[torch.float64]
    right = torch.cat([upright.argmax(1) == 0, turned.argmax(1) == 1])
    assert float(right.double().mean()) == 0.5  # whatever it says, half of the pairs are wrong


def test_a_full_network_cannot_tell_a_six_from_its_mirror_image():
    net = build({"preset": "demo_mirror_full", "classes": 2}).double().eval()
    sixes = torch.rand(5, 1, 16, 16).double()
    assert relative(net(sixes.flip(-1)), net(sixes)) <= EXACT[torch.float64]
    assert relative(net(sixes.rot90(1, (-2, -1))), net(sixes)) > BROKEN_LOGITS


def test_one_element_leaves_a_network_that_tells_them_apart():
    net = build({"preset": "demo_full", "classes": 2, "n": 1}).double().eval()
    sixes = torch.rand(5, 1, 16, 16).double()
    assert relative(net(sixes.rot90(2, (-2, -1))), net(sixes)) > BROKEN_LOGITS
