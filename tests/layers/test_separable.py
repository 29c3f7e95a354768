"""Factored group convolutions: the same as one convolution by the product, exact, of rank one, and broken twins."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.layers.symmetry import FLIPS, HALF, TINY, TURN, defect, lifted, relative
from tests.tolerances import AGAIN, BROKEN, COUNT_GAP, EXACT, STD_RATIO
from workbench.groups import SO2, GroupSignal, parse_group
from workbench.kernels import FACTORISATIONS, FactoredKernels, KernelSpec
from workbench.layers import GroupConv, LiftingConv, SeparableConv, set_n
from workbench.measure import redundancy

EVERY = pytest.mark.parametrize("factorisation", FACTORISATIONS)
WHOLE = ("dense", "split", "spectral")
"""Ways by the product of the factors; small layers would take them of their own accord."""


@pytest.fixture(autouse=True)
def in_steps(monkeypatch):
    """What is to be shown is shown of the steps."""
    monkeypatch.setattr("workbench.layers.separable.choose", lambda *_: "steps")


def stack(factorisation: str, group: str = "SO2", n: int = 8, **options) -> nn.Sequential:
    sampling = "grid" if parse_group(group).order else "random"
    common = {"group": group, "n": n, "sampling": sampling, "kernel": TINY}
    return nn.Sequential(
        LiftingConv(2, 3, 5, **common), SeparableConv(3, 4, 5, factorisation=factorisation, **common, **options)
    )


def by_the_product(layer: SeparableConv, signal: GroupSignal) -> torch.Tensor:
    """One dense convolution with the whole kernel."""
    drawn = layer.draw()
    kernel = layer.bank(drawn.elements, signal.elements, drawn.uniform and signal.uniform)
    weight = kernel.flatten(2, 3).flatten(0, 1).unflatten(-1, (layer.kernel_size, layer.kernel_size))
    bias = layer.bias.repeat_interleave(len(drawn.elements))
    x = signal.folded()
    mode = "circular" if layer.padding_mode == "circular" else "constant"
    out = functional.conv2d(functional.pad(x, [layer.padding] * 4, mode=mode), weight, bias, stride=layer.stride)
    return out.unflatten(1, (layer.out_channels, -1))


@EVERY
@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
@pytest.mark.parametrize(("group", "n"), [("SO2", 8), ("SO2", 6), ("C(4)", 4), ("O2", 8), ("D(4)", 8)])
def test_the_steps_are_one_convolution_by_the_product(factorisation, group, n, padding_mode):
    layer = SeparableConv(
        3, 4, 5, factorisation=factorisation, group=group, n=n, kernel=TINY, padding_mode=padding_mode
    ).double()
    layer.bias.data.normal_()
    signal = lifted(parse_group(group), n)
    assert relative(layer(signal).values, by_the_product(layer, signal)) <= EXACT[torch.float64]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("factorisation", ["separable", "dseparable", "dgseparable"])
def test_answers_and_gradients_are_the_same_in_steps_and_by_the_product(factorisation, dtype, training, monkeypatch):
    layer = SeparableConv(3, 4, 5, factorisation=factorisation, n=4, kernel=TINY).to(dtype).train(training)
    signal = lifted(SO2(), 4, channels=3, size=12, dtype=dtype)
    answer = layer(signal).values
    slope = torch.autograd.grad(answer.square().sum(), list(layer.parameters()))
    for way in WHOLE:
        monkeypatch.setattr("workbench.layers.separable.choose", lambda *_, way=way: way)
        found = layer(signal).values
        assert relative(found, answer) <= EXACT[dtype]
        slopes = torch.autograd.grad(found.square().sum(), list(layer.parameters()))
        assert max(relative(a, b) for a, b in zip(slopes, slope, strict=True)) <= 10 * EXACT[dtype]


@EVERY
@pytest.mark.parametrize("way", WHOLE)
def test_by_the_product_quarter_turns_are_exact_too(factorisation, way, monkeypatch):
    monkeypatch.setattr("workbench.layers.separable.choose", lambda *_: way)
    net = stack(factorisation, "O2", 8)
    x = torch.randn(1, 2, 9, 9)
    assert max(defect(net, x, g, parse_group("O2")) for g in (TURN[2], FLIPS["up-down"])) <= EXACT[torch.float32]


def test_filtering_before_mixing_is_another_operator():
    """The twin: k_j(h^-1 x) belongs to the output element, so the mixing comes first."""
    layer, signal = SeparableConv(3, 3, 5, kernel=TINY).double(), lifted(SO2(), 8)
    mixing, filters = layer.kernels.steps(layer.draw().elements, signal.elements)
    swapped = functional.conv2d(signal.folded(), filters, padding=2, groups=24)
    swapped = functional.conv2d(swapped, mixing).unflatten(1, (3, 8))
    assert relative(swapped, by_the_product(layer, signal)) > BROKEN


@EVERY
@pytest.mark.parametrize("size", [16, 17])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("group", "n"), [("SO2", 4), ("SO2", 8), ("C(8)", 8), ("O2", 8), ("D(4)", 8)])
def test_quarter_turns_and_flips_are_exact(factorisation, group, n, dtype, size):
    net, g = stack(factorisation, group, n).to(dtype), parse_group(group)
    elements = [TURN[g.element_dim], *(FLIPS.values() if g.element_dim == 2 else [])]
    x = torch.randn(1, 2, size, size, dtype=dtype)
    for train in (True, False):
        net.train(train)
        assert max(defect(net, x, element, g) for element in elements) <= EXACT[dtype]


@EVERY
def test_half_turns_are_exact_where_the_grid_has_no_quarter_turns(factorisation):
    net = stack(factorisation, "SO2", 6).double()
    assert defect(net, torch.randn(1, 2, 17, 17).double(), (HALF,), SO2()) <= EXACT[torch.float64]


@EVERY
def test_partial_layers_answer_on_their_arc_and_are_exact_while_it_is_whole(factorisation):
    net = stack(factorisation, partial=True).double()
    x = torch.randn(1, 2, 16, 16).double()
    assert defect(net, x, TURN[1], SO2()) <= EXACT[torch.float64]
    net[1].distribution.theta.data.fill_(0.5)
    assert net(x).values.shape[2] == 4
    net.train()(x).values.square().sum().backward()
    assert float(net[1].distribution.theta.grad.abs()) > 0


@pytest.mark.parametrize("factorisation", ["separable", "dgseparable"])
def test_a_filter_that_is_not_turned_with_its_element_is_caught(factorisation):
    """As in released code whose grid is flattened transposed in one factor and not in the other."""

    class Transposed(SeparableConv):
        def _prepared(self, *given):
            *mixing, filters = super()._prepared(*given)
            return (*mixing, filters.transpose(-2, -1))

    net = nn.Sequential(
        LiftingConv(2, 3, 5, kernel=TINY), Transposed(3, 4, 5, factorisation=factorisation, kernel=TINY)
    )
    assert defect(net.double(), torch.randn(1, 2, 16, 16).double(), TURN[1], SO2()) > BROKEN


@EVERY
def test_which_kernels_are_of_rank_one(factorisation):
    layer = SeparableConv(3, 4, 7, factorisation=factorisation, kernel=KernelSpec(hidden=16)).double()
    found = redundancy(layer)
    assert found["energy"].dims == ("component",)
    assert float(found["energy"].sum()) == pytest.approx(1, rel=AGAIN)
    one = abs(float(found["energy"][0]) - 1) <= EXACT[torch.float64]
    assert one == (factorisation != "dseparable")


def test_a_full_kernel_is_redundant_only_in_part():
    """The share of the first component of an untrained SIREN is about a half (0.53 to 0.54 for n = 8, k = 5)."""
    torch.manual_seed(0)
    shares = [float(redundancy(GroupConv(8, 8, 5))["energy"][0]) for _ in range(3)]
    assert all(0.3 < share < 0.9 for share in shares)
    with pytest.raises(TypeError, match="expected a group convolution"):
        redundancy(nn.Conv2d(1, 1, 3))


@EVERY
@pytest.mark.parametrize("k", [1, 3, 7])
@pytest.mark.parametrize("n", [1, 8, 16])
def test_a_new_layer_keeps_the_size_of_what_it_gets(factorisation, k, n):
    ratios = []
    for seed in range(5):
        torch.manual_seed(seed)
        lift, layer = LiftingConv(3, 16, 5, n=n), SeparableConv(16, 16, k, factorisation=factorisation, n=n)
        signal = lift(torch.randn(2, 3, 16, 16))
        ratios.append(float((layer(signal).values.std() / signal.values.std()).detach()))
    assert STD_RATIO[0] < float(torch.tensor(ratios).median()) < STD_RATIO[1]


@EVERY
def test_the_number_of_elements_is_free_after_training(factorisation):
    torch.manual_seed(0)
    net = nn.Sequential(LiftingConv(1, 8, 5), SeparableConv(8, 8, 5, factorisation=factorisation)).eval()
    x = functional.avg_pool2d(torch.randn(2, 1, 26, 26), 3, 1)
    few = net(x).values.mean((2, 3, 4))
    set_n(net, 16)
    assert relative(net(x).values.mean((2, 3, 4)), few) < COUNT_GAP


def test_an_evaluation_keeps_its_weights_and_hears_of_every_change():
    net = stack("dgseparable").eval()
    x = torch.randn(1, 2, 16, 16)
    with torch.no_grad():
        first = net(x).values
        assert net[1]._kept_bank is not None
        assert torch.equal(net(x).values, first)
        for parameter in net[1].parameters():
            before = net(x).values
            parameter.mul_(1.5).add_(0.01)
            assert not torch.equal(net(x).values, before)


def test_parameters_do_not_depend_on_elements_and_bad_names_are_refused():
    counts = {
        f: sum(p.numel() for p in SeparableConv(8, 8, 5, factorisation=f, n=4).parameters()) for f in FACTORISATIONS
    }
    assert counts == {
        f: sum(p.numel() for p in SeparableConv(8, 8, 7, factorisation=f, n=16).parameters()) for f in FACTORISATIONS
    }
    assert counts["dseparable"] < counts["dgseparable"] < counts["separable"] < counts["gseparable"]
    with pytest.raises(ValueError, match="factorisation = 'tucker' was given; expected one of separable, gseparable"):
        SeparableConv(1, 1, 3, factorisation="tucker")
    assert "dseparable" in str(SeparableConv(1, 1, 3, factorisation="dseparable"))
    assert isinstance(SeparableConv(1, 1, 3).kernels, FactoredKernels)
