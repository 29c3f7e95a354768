"""Whole networks do not see lattice elements of their group, and partial ones do once an arc narrows."""

from pathlib import Path

import pytest
import torch

from tests.layers.symmetry import FLIPS, HALF, TURN, defect, relative
from tests.models.narrow import GROUPS, NARROW, network
from tests.tolerances import BROKEN_LOGITS, EXACT, ONE_BIT
from workbench.datasets import load
from workbench.groups import parse_group
from workbench.layers import GroupProjection, group_layers, set_n, set_sums
from workbench.measure import will_it_be_equivariant
from workbench.models.partial_gcnn import CONFIGS, build
from workbench.training import Run

RUNS = Path(__file__).parents[2] / "data" / "runs" / "partial_gcnn"
DTYPES = (torch.float32, torch.float64)
PUBLISHED = [
    "paper_6_180_partial", "paper_6_180_full", "paper_6_mirror_partial", "paper_ckresnet_rotmnist_se2_full",
    "paper_ckresnet_rotmnist_e2_partial",
]  # fmt: skip


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


def drawn(preset, seed):
    """A fresh network of a preset, images for it, its group and the lattice elements in that."""
    torch.manual_seed(seed)
    net, settings = build({"preset": preset}).eval(), CONFIGS[preset]
    group = parse_group(settings.get("group", "SO2"))
    if group.name == "D(1)":
        elements = [FLIPS["left-right"]]
    else:
        elements = [TURN[group.element_dim], *(FLIPS.values() if group.element_dim == 2 else ())]
    return net, torch.randn(2, 1, *[settings.get("input_size", 16)] * 2), group, elements


@torch.no_grad()
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("preset", ["demo", "demo_strict", "demo_mirror_full", *PUBLISHED])
def test_the_offered_networks_are_exact_in_single_precision(preset, seed):
    net, x, group, elements = drawn(preset, seed)
    assert max(defect(net, x, element, group) for element in elements) <= EXACT[torch.float32]
    assert net(x).dtype == torch.float32


@pytest.mark.parametrize("seed", range(3))
def test_an_arc_that_asks_for_its_slope_rounds_kernels_no_other_way(seed):
    net, x, _, _ = drawn("paper_6_180_partial", seed)
    sloped = net(x)
    arcs = [layer.distribution.theta for layer in group_layers(net).values() if layer.distribution is not None]
    slopes = torch.autograd.grad(sloped[0].square().sum(), arcs)
    assert all(slope.abs().max() > 0 for slope in slopes)
    with torch.no_grad():
        assert torch.equal(net(x), sloped)


@pytest.mark.parametrize("preset", ["demo", "demo_full", "paper_6_180_full"])
@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_sums_in_double_precision_leave_no_rounding_to_see(preset, seed):
    net, x, group, elements = drawn(preset, seed)
    set_sums(net, None)
    rounded = max(defect(net, x, element, group) for element in elements)
    set_sums(net, torch.float64)
    assert 0 < rounded
    assert max(defect(net, x, element, group) for element in elements) <= max(rounded / 2, ONE_BIT)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("architecture", NARROW)
def test_odd_sizes_without_pooling_are_exact_too(architecture, dtype):
    net = network(architecture, partial=False, pools=(), input_size=9, norm="layer").to(dtype).eval()
    assert defect(net, torch.randn(1, 1, 9, 9, dtype=dtype), TURN[1], parse_group("SO2")) <= EXACT[dtype]


@pytest.mark.parametrize("architecture", NARROW)
def test_a_last_convolution_on_the_plane_keeps_the_symmetry_before_it_and_loses_it_after(architecture):
    net = network(architecture, partial=False, plane_last=True).double().eval()
    x = torch.randn(2, 1, 16, 16).double()
    at = next(i for i, layer in enumerate(net.body) if isinstance(layer, GroupProjection))
    upright, turned = (net.body[: at + 1](image) for image in (x, x.rot90(1, (-2, -1))))
    assert relative(turned, upright.rot90(1, (-2, -1))) <= EXACT[torch.float64]
    assert defect(net, x, TURN[1], parse_group("SO2")) > BROKEN_LOGITS


@pytest.mark.parametrize("architecture", NARROW)
def test_learned_pooling_is_invariant_only_where_all_weights_are_equal(architecture):
    net = network(architecture, partial=False, learned_pooling=True).double().eval()
    x = torch.randn(2, 1, 16, 16).double()
    torch.nn.init.normal_(net.projection.weigh.weight)
    assert defect(net, x, TURN[1], parse_group("SO2")) > BROKEN_LOGITS
    torch.nn.init.constant_(net.projection.weigh.weight, 0.01)
    assert defect(net, x, TURN[1], parse_group("SO2")) <= EXACT[torch.float64]


def test_the_geometry_report_names_learned_pooling_and_leaves_the_network_as_it_was():
    net = network("demo", partial=False, learned_pooling=True)
    found = will_it_be_equivariant(net, 16)
    assert found.module.values.tolist() == ["projection"]
    assert "a learned weight each" in str(found.reason.values[0])
    net(torch.randn(1, 1, 16, 16))


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


@torch.no_grad()
@pytest.mark.parametrize(
    ("run", "turned"),
    [("rotated_full", True), ("rotated_strict", True), ("upright_full", True), ("six_180_full", True),
     ("six_mirror_full", False), ("six_mirror_slow_gate", False)],
)  # fmt: skip
def test_the_trained_networks_that_ship_are_exact_on_their_test_images(run, turned):
    shipped = Run(RUNS / run)
    net, (x, _) = shipped.model().eval(), load(**shipped.config["data"]).splits["test"]
    moved = x.rot90(1, (-2, -1)) if turned else x.flip(-1)
    assert relative(net(moved), net(x)) <= EXACT[torch.float32]
