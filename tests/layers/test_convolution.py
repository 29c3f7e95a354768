"""Lifting and group convolutions against the slow referee, their limits, and their sentences."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.layers import referee
from tests.layers.symmetry import TINY, lifted, pair, relative
from tests.tolerances import BROKEN, COUNT_GAP, EXACT, SINGLE_AGAINST_DOUBLE
from workbench.groups import O2, SO2, Draw, GroupSignal, UniformArc, parse_group
from workbench.kernels import KernelSpec
from workbench.kernels.networks import NETWORKS
from workbench.layers import GroupConv, LiftingConv, group_layers, set_n, set_sampling, set_sums
from workbench.layers.convolution import GroupLayer

TIGHT = EXACT[torch.float64]


def with_bias(layer):
    """In float64, with a bias that is not zero."""
    nn.init.normal_(layer.double().bias)
    return layer


# ---- against the referee


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("group", "n"), [("SO2", 3), ("O2", 4)])
def test_lifting_is_the_referee(group, n, network):
    layer = with_bias(LiftingConv(2, 3, 3, group=group, n=n, kernel=KernelSpec(network, 8)))
    x = torch.randn(1, 2, 6, 7).double()
    out = layer(x)
    assert relative(out.values, referee.convolution(layer, x, out.elements)) <= TIGHT


@pytest.mark.parametrize("spec", [*(KernelSpec(n, 8) for n in NETWORKS), KernelSpec(hidden=8, encoding="raw")], ids=str)
@pytest.mark.parametrize(("group", "n"), [("SO2", 4), ("O2", 4), ("D(2)", 4)])
def test_group_convolution_is_the_referee(group, n, spec):
    layer = with_bias(GroupConv(2, 2, 3, group=group, n=n, kernel=spec))
    signal = lifted(parse_group(group), n, channels=2, size=5)
    out = layer(signal)
    assert relative(out.values, referee.convolution(layer, signal, out.elements)) <= TIGHT


@pytest.mark.parametrize(
    ("kernel_size", "size", "options"),
    [
        (1, 4, {}),
        (2, 5, {"padding": "valid"}),
        (4, 6, {"padding": 1}),
        (5, 7, {"stride": 2}),
        (3, 5, {"padding_mode": "circular"}),
        (5, 6, {"padding": "valid", "bias": False}),
    ],
)
def test_every_window_is_the_referee(kernel_size, size, options):
    layer = GroupConv(2, 2, kernel_size, n=2, kernel=TINY, **options).double()
    signal = lifted(SO2(), 2, channels=2, size=size)
    out = layer(signal)
    assert relative(out.values, referee.convolution(layer, signal, out.elements)) <= TIGHT


@pytest.mark.parametrize("way", ["dense", "split", "spectral"])
@pytest.mark.parametrize(
    ("kernel_size", "mode", "padding"), [(5, "zeros", "same"), (7, "circular", "same"), (7, "zeros", "valid")]
)
def test_every_way_of_convolving_is_the_referee(kernel_size, mode, padding, way, monkeypatch):
    monkeypatch.setattr("workbench.layers.convolution.choose", lambda *_: way)
    layer = with_bias(GroupConv(2, 2, kernel_size, n=2, kernel=TINY, padding=padding, padding_mode=mode))
    signal = lifted(SO2(), 2, channels=2, size=8)
    out = layer(signal)
    assert relative(out.values, referee.convolution(layer, signal, out.elements)) <= TIGHT


@pytest.mark.parametrize("theta", [0.3, 0.77])
def test_a_partial_arc_is_the_referee_at_its_own_elements(theta):
    layer = with_bias(GroupConv(2, 2, 3, n=5, kernel=TINY, partial=True))
    layer.distribution.theta.data.fill_(theta)
    signal = lifted(SO2(), 4, channels=2, size=5)
    out = layer(signal)
    assert len(out.elements) == math.ceil(5 * theta)
    assert not out.uniform
    assert relative(out.values, referee.convolution(layer, signal, out.elements)) <= TIGHT


def test_gate_weights_multiply_the_output_and_weigh_the_next_mean():
    layer = with_bias(GroupConv(2, 2, 3, group="O2", n=4, kernel=TINY))
    signal = lifted(O2(), 4, channels=2, size=5)
    gates = torch.tensor([1.0, 1.0, 0.7, 0.2], dtype=torch.float64)
    gated = GroupSignal(signal.values, signal.elements, signal.group, gates, uniform=True)
    out = layer(gated, at=Draw(signal.elements, gates.flip(0), True))
    assert relative(out.values, referee.convolution(layer, gated, signal.elements, gates.flip(0))) <= TIGHT
    assert torch.equal(out.weights, gates.flip(0))
    assert relative(layer(signal).values, layer(gated).values) > BROKEN


def test_the_referee_sees_a_sum_in_place_of_the_mean():
    layer = GroupConv(2, 2, 3, n=4, kernel=TINY, bias=False).double()
    signal = lifted(SO2(), 4, channels=2, size=5)
    out = layer(signal)
    assert relative(4 * out.values, referee.convolution(layer, signal, out.elements)) > BROKEN


# ---- limits


@pytest.mark.parametrize("offset", [0.0, 0.37])
def test_an_arc_of_the_whole_circle_is_the_full_layer_up_to_the_half_circle(offset):
    partial, full = GroupConv(3, 2, 5, kernel=TINY, partial=True).double(), GroupConv(3, 2, 5, kernel=TINY).double()
    full.load_state_dict(partial.state_dict(), strict=False)
    signal = lifted(SO2(), 8)
    arc = partial(signal, at=partial.distribution.rsample(8, offset)).values
    grid = full(signal, at=Draw(SO2().grid(8, offset, torch.float64), None, True)).values
    assert relative(arc.roll(4, 2), grid) <= TIGHT
    assert relative(arc, grid) > BROKEN


def test_a_vanishing_arc_is_a_plain_convolution_with_the_mean_over_input_elements():
    layer = with_bias(GroupConv(3, 2, 5, kernel=TINY, partial=True))
    layer.distribution.theta.data.fill_(1e-3)
    signal = lifted(SO2(), 8)
    out = layer(signal)
    assert torch.equal(out.elements, SO2().identity(torch.float64)[None])
    kernels = layer.bank(out.elements, signal.elements)[:, 0] * 8  # the bank holds the factor 1/8 of the mean
    plain = [nn.functional.conv2d(signal.values[:, :, i], kernels[:, :, i].unflatten(-1, (5, 5)), padding=2)
             for i in range(8)]  # fmt: skip
    wanted = torch.stack(plain).mean(0) + layer.bias[:, None, None]
    assert relative(out.values[:, :, 0], wanted) <= TIGHT


def test_the_number_of_elements_is_a_free_slider_after_training():
    rows = torch.linspace(-1, 1, 17)
    bump = torch.exp(-4 * ((rows - 0.3) ** 2 + (rows[:, None] + 0.2) ** 2))[None, None].double()
    net = nn.Sequential(LiftingConv(1, 8, 5), GroupConv(8, 8, 5)).double().eval()
    answers = {}
    for n in (4, 16, 32):
        set_n(net, n)
        out = net(bump).values
        assert out.shape[2] == n
        answers[n] = torch.stack([out.mean((2, 3, 4)), out.square().mean((2, 3, 4)).sqrt()])
    assert relative(answers[16], answers[32]) < COUNT_GAP * relative(answers[4], answers[32]) < COUNT_GAP


def test_elements_can_be_requested_for_a_while():
    layer = GroupConv(3, 2, 5, kernel=TINY, partial=True).double().eval()
    signal, wanted = lifted(SO2(), 8), SO2().grid(3, 0.2, torch.float64)
    with torch.no_grad(), layer.requested(wanted):
        inside = layer(signal)
        assert torch.equal(inside.elements, wanted)
        assert relative(inside.values, referee.convolution(layer, signal, wanted)) <= TIGHT
    assert len(layer(signal).elements) == 8
    with pytest.raises(ValueError, match=r"expected \(S, 1\)"), layer.requested(torch.zeros(3)):
        pass


def test_a_shortcut_answers_at_the_elements_of_its_branch():
    branch, shortcut = GroupConv(3, 2, 5, partial=True), GroupConv(3, 2, 1, bias=False)
    branch.distribution.theta.data.fill_(0.4)
    signal = lifted(SO2(), 8, dtype=torch.float32)
    out = branch(signal)
    joined = out + shortcut(signal, at=Draw(out.elements, out.weights, out.uniform))
    assert joined.values.shape == out.values.shape
    with pytest.raises(ValueError, match="evaluate the shortcut at the elements of the branch"):
        out + shortcut(signal)


def test_random_sampling_turns_the_grid_in_training_only():
    layer = LiftingConv(1, 2, 3, sampling="random")
    x = torch.randn(1, 1, 8, 8)
    first, second = layer(x).elements, layer(x).elements
    assert not torch.equal(first, second)
    step = 2 * math.pi / 8
    assert torch.allclose(first.diff(dim=0), torch.full((7, 1), step), rtol=EXACT[torch.float32], atol=0)
    layer.eval()
    assert torch.equal(layer(x).elements, SO2().grid(8))
    layer.train()
    set_sampling(layer, "grid")
    assert torch.equal(layer(x).elements, SO2().grid(8))


def test_training_and_evaluation_agree_for_grid_sampling():
    net = nn.Sequential(LiftingConv(1, 3, 5, group="O2"), GroupConv(3, 2, 5, group="O2", partial=True))
    net[1].distribution.gate.logit.data.fill_(50.0)
    x = torch.randn(1, 1, 8, 8)
    assert relative(net.train()(x).values, net.eval()(x).values) <= EXACT[torch.float32]


def test_group_layers_lists_them_in_order():
    net = nn.Sequential(LiftingConv(1, 2, 3), nn.Sequential(GroupConv(2, 2, 3)))
    assert list(group_layers(net)) == ["0", "1.0"]


# ---- sentences


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n": 0}, "positive integer"),
        ({"n": 8.0}, "positive integer"),
        ({"n": True}, "positive integer"),
        ({"n": 10**9}, "at most 1024"),
        ({"group": "O2", "n": 7}, "use 8"),
        ({"group": "C(8)", "n": 5}, "divisor of 8"),
        ({"group": "Translation", "n": 9}, "translations are in every convolution"),
        ({"group": "SO3"}, "of the plane, SO2, O2"),
        ({"sampling": "often"}, "'grid' or 'random'"),
        ({"group": "C(8)", "sampling": "random"}, "expected sampling='grid'"),
        ({"padding": "full"}, "'same', 'valid' or a number"),
        ({"padding": -1}, "at least 0"),
        ({"padding_mode": "reflect"}, "'zeros' or 'circular'"),
        ({"stride": 0}, "at least 1"),
        ({"kernel_size": 4}, "use kernel size 5, 'valid'"),
        ({"kernel_size": 0}, "at least 1"),
        ({"kernel_size": 99_999}, "at most 255"),
        ({"input_size": "8"}, r"input_size = '8' was given; expected H = W or \(H, W\)"),
        ({"input_size": (8,)}, r"input_size = \(8,\)"),
        ({"input_size": 2.5}, "input_size = 2.5"),
        ({"group": "SO2", "n": 6, "input_size": 16}, "6 rotations do not hold .* only half turns are exact; use n = 8"),
        ({"group": "O2", "n": 10, "input_size": 16}, "no turn but the identity is exact; use n = 8"),
        ({"group": "RotationScale", "n": 6, "input_size": 16, "kernel_size": 17}, "use n = 8, or pass exact=False"),
        ({"group": "Sim2"}, "already; use 'RotationScale'"),
        ({"group": "Sl(2)"}, r"or Symmetric\(n\); use 'SL\(2\)'"),
        ({"kernel": "siren"}, "kernel = 'siren' was given; expected a KernelSpec"),
        ({"in_channels": -3}, "at least 1"),
        ({"out_channels": 1.5}, "at least 1"),
    ],
)
def test_bad_arguments_are_refused_with_a_sentence(options, sentence):
    given = {"in_channels": 1, "out_channels": 2, "kernel_size": 3, **options}
    for kind in (LiftingConv, GroupConv):
        with pytest.raises(ValueError, match=sentence):
            kind(**given)


def test_a_number_of_elements_that_cannot_be_leaves_every_layer_as_it_was():
    net = nn.Sequential(LiftingConv(1, 2, 3, group="SO2", n=8), GroupConv(2, 2, 3, group="C(8)", partial=True))
    for n, sentence in ((4, "each learned gate belongs"), (0, "positive integer"), (3, "divisor of 8")):
        with pytest.raises(ValueError, match=sentence):
            set_n(net, n)
    assert [layer.n for layer in group_layers(net).values()] == [8, 8]
    with pytest.raises(ValueError, match="positive integer"):
        net[0].n = -2
    with pytest.raises(ValueError, match="finite"):
        set_sampling(net, "random")
    assert net[0].sampling == "grid"
    with pytest.raises(ValueError, match="'grid' or 'random'"):
        net[0].sampling = "sometimes"


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (torch.zeros(1, 3, 8, 8), r"expected images \(B, 2, H, W\)"),
        (torch.zeros(2, 8, 8), r"expected images \(B, 2, H, W\)"),
        ("image.png", "images of type str were given"),
        (np.zeros((1, 2, 8, 8), dtype=np.float32), r"use torch\.from_numpy\(images\)\.float\(\)"),
        (torch.zeros(1, 2, 8, 8, dtype=torch.complex64), r"use images\.real or images\.abs\(\)"),
        (torch.zeros(1, 2, 8, 8, dtype=torch.uint8), r"use images\.float\(\)"),
        (torch.zeros(1, 2, 2, 2), "at least 5"),
    ],
)
def test_images_that_cannot_be_lifted_are_refused(x, sentence):
    with pytest.raises(ValueError, match=sentence):
        LiftingConv(2, 2, 5, padding="valid")(x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16], ids=str)
def test_another_precision_than_that_of_the_weights_is_named_with_the_fix(dtype):
    net = nn.Sequential(LiftingConv(1, 2, 3, n=4), GroupConv(2, 2, 3, n=4))
    x = torch.zeros(1, 1, 8, 8, dtype=dtype)
    sentence = rf"{dtype} was given; expected torch.float32, .* use .to\(torch.float32\)"
    with pytest.raises(ValueError, match=f"LiftingConv.*{sentence}"):
        net(x)
    signal = net[0](x.float())
    with pytest.raises(ValueError, match=f"GroupConv.*{sentence}"):
        net[1](signal.map(lambda values: values.to(dtype)))
    with torch.autocast("cpu", torch.bfloat16):
        assert net(x.float()).values.dtype == torch.bfloat16


@pytest.mark.parametrize("elements", [[0.0], torch.full((2, 1), float("nan")), torch.zeros(2, 2), torch.zeros(0, 1)])
def test_elements_that_cannot_be_requested_are_refused(elements):
    layer = LiftingConv(1, 2, 3)
    with pytest.raises(ValueError, match=r"requested; expected .*\(S, 1\)"), layer.requested(elements):
        pass


def test_what_is_no_module_has_no_group_layers():
    with pytest.raises(TypeError, match="a int was given; expected a torch module"):
        set_n(3, 4)


@pytest.mark.parametrize(
    ("signal", "sentence"),
    [
        (torch.zeros(1, 2, 8, 8), "put a LiftingConv before"),
        (lifted(SO2(), 8, channels=3), r"expected a GroupSignal \(B, 2"),
        (lifted(O2(), 8, channels=2), "expected one on SO2"),
    ],
)
def test_signals_that_do_not_fit_are_refused(signal, sentence):
    with pytest.raises(ValueError, match=sentence):
        GroupConv(2, 2, 3)(signal)


def test_sizes_that_break_quarter_turns_are_refused_at_construction_or_at_the_first_forward():
    with pytest.raises(ValueError, match="leaves 1 of 16 pixels unseen"):
        LiftingConv(1, 2, 3, stride=2, input_size=16)
    with pytest.raises(ValueError, match="leaves 1 of 16 pixels unseen"):
        LiftingConv(1, 2, 3, stride=2)(torch.zeros(1, 1, 16, 16))
    assert LiftingConv(1, 2, 3, stride=2, input_size=(17, 17))(torch.zeros(1, 1, 17, 17)).values.shape[-1] == 9
    assert LiftingConv(1, 2, 3, n=6, input_size=16, exact=False).n == 6
    assert LiftingConv(1, 2, 3, group="C(6)", input_size=16).n == 6, "nobody asked C(6) for quarter turns"
    loose = LiftingConv(1, 2, 3, stride=2, input_size=16, exact=False)
    assert loose(torch.zeros(1, 1, 16, 16)).values.shape[-1] == 8


def test_a_layer_says_what_it_is():
    text = repr(GroupConv(2, 3, 5, group="O2", partial=True, sampling="random"))
    assert all(part in text for part in ("2->3", "k=5", "O2", "n=8", "random", "padding=2 zeros", "partial"))
    assert "strict" in repr(LiftingConv(1, 2, 3))
    assert isinstance(GroupConv(1, 1, 3, partial=True).distribution, UniformArc)


def test_sums_in_double_precision_are_those_of_a_double_network_and_only_in_evaluation():
    net = pair("SO2", 8).eval()
    x = torch.randn(2, 2, 16, 16)
    single = net(x).values
    set_sums(net, torch.float64)
    summed = net(x).values
    assert summed.dtype == x.dtype
    assert 0 < relative(single, summed) <= SINGLE_AGAINST_DOUBLE
    summed.sum().backward()
    assert all(p.grad is not None and p.grad.dtype == p.dtype for p in net.parameters() if p.requires_grad)
    trained = []
    for dtype in (torch.float64, None):
        set_sums(net, dtype)
        torch.manual_seed(0)
        trained.append(net.train()(x).values)
    assert torch.equal(*trained)
    assert torch.equal(net.eval()(x).values, single)


def test_sums_of_another_kind_are_refused():
    with pytest.raises(ValueError, match=r"torch.int8 was given; expected torch.float64"):
        set_sums(pair("SO2", 8), torch.int8)


def test_a_layer_that_lifts_says_so_itself():
    class Images(GroupLayer):
        lifting = True

    assert Images(2, 3, 5, n=4).kernels.lifting
    assert not GroupLayer(2, 3, 5, n=4).kernels.lifting
