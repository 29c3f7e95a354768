"""Lifting and group convolutions over scalings: what holds in the middle, what ends at the bounds, and broken twins."""

import math
import statistics
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.layers.scaling import blobs, network, scale_errors
from tests.layers.symmetry import QUARTER, TINY, defect
from tests.tolerances import BROKEN, EXACT, INNER_SCALE, LIFTED_SCALE, SCALE_ERROR, SCALE_TABLE, STD_RATIO
from workbench.groups import SL, SO2, GLPlus
from workbench.groups.elements import stretch_bounds
from workbench.kernels import stretched
from workbench.kernels.stretched import MEASURED, Support, support_radius
from workbench.layers import GroupConv, GroupProjection, GroupReLU, LiftingConv, SeparableConv

SCALED = [("Scale(2,1.74)", {"n": 4}), ("RotationScale(1.74)", {"n": 4, "stretches": 4})]
ON_SCALES = pytest.mark.parametrize(("group", "options"), SCALED, ids=["Scale", "Sim2"])
WIDE = 19  # taps: a support of 5.2 pixels at the smallest scale
TURNING = [
    ("RotationScale(1.74)", {"n": 8, "stretches": 3}, 15),
    ("RotationScale(1.74)", {"n": 4, "stretches": 4}, 15),
    ("SL(2,1.3)", {"n": 4, "stretches": 3}, 15),
    ("GLPlus(2,1.1)", {"n": 4, "stretches": 4}, 13),
]


@ON_SCALES
@pytest.mark.parametrize("seed", range(2))
def test_a_lifting_commutes_with_scalings_on_all_its_scales(group, options, seed):
    assert max(scale_errors(network(group, WIDE, 0, seed, **options), seed)) <= LIFTED_SCALE


@ON_SCALES
@pytest.mark.parametrize("slope", [8.0, 12.0])
def test_every_slope_of_the_mask_from_8_to_12_does(group, options, slope):
    net = network(group, WIDE, 0, **options)
    net[0].kernels.support = replace(net[0].kernels.support, slope=slope)
    assert max(scale_errors(net)) <= LIFTED_SCALE


class Powered(Support):
    """The twin: kernels divided by s^2 and multiplied by s^power."""

    power = 0.0

    def points(self, outputs, inputs, taps, raw):
        points, weights = super().points(outputs, inputs, taps, raw)
        return points, weights * torch.linalg.det(self.group.matrix(outputs))[:, None, None] ** (self.power / 2)


@ON_SCALES
@pytest.mark.parametrize(("power", "error"), [(1, 0.32), (2, 0.74)], ids=["1 / s", "no weight"])
def test_another_weight_than_one_over_the_area_is_caught(group, options, power, error):
    """Each errs by the factor that it lacks: s and s^2 for a step of s = 1.32."""
    net = network(group, WIDE, 0, **{**options, "stretches" if "stretches" in options else "n": 3})
    own = net[0].kernels.support
    net[0].kernels.support = twin = Powered(own.group, own.reach)
    assert max(scale_errors(net)) <= LIFTED_SCALE
    object.__setattr__(twin, "power", power)
    net[0].kernels._kept = None
    net[0]._forget()
    assert scale_errors(net) == pytest.approx([error] * 2, rel=SCALE_ERROR)


def test_a_mask_that_is_a_half_where_the_taps_end_is_caught(monkeypatch):
    """The published sigmoid: the largest scale loses the edge that smaller ones keep."""
    monkeypatch.setattr(stretched, "soft_edge", lambda r, slope: torch.sigmoid(slope * (1 - r)))
    assert max(scale_errors(network("Scale(2,1.74)", WIDE, 0, n=4))) > LIFTED_SCALE


@ON_SCALES
@pytest.mark.parametrize("factorisation", [None, "separable", "dseparable"])
def test_a_group_layer_commutes_where_all_scales_that_it_sees_are_there(group, options, factorisation):
    """Four scales leave one clean pair: interior and boundary are told apart."""
    lower, inner, upper = scale_errors(network(group, WIDE, 1, factorisation=factorisation, **options))
    assert inner <= INNER_SCALE
    assert min(lower, upper) > BROKEN


def test_each_further_layer_needs_two_more_scales():
    errors = scale_errors(network("Scale(2,1.74)", 15, 2, n=6))
    assert errors[2] <= INNER_SCALE
    assert min(errors[:2] + errors[3:]) > INNER_SCALE


@ON_SCALES
def test_without_a_window_over_scales_no_pair_is_clean(group, options):
    assert min(scale_errors(network(group, WIDE, 1, reach=5.0, **options))) > BROKEN


def test_a_narrow_support_warns_with_its_error_and_the_nearest_size():
    with pytest.warns(UserWarning, match=r"support of 2.0 pixels, where a lifting errs by 1\d %; use k = 15"):
        LiftingConv(1, 1, 8, group="Scale(2,1.74)", padding="valid")
    with pytest.warns(UserWarning, match="LiftingConv: k = 15 leaves the smallest .* use k = 17"):
        LiftingConv(1, 1, 15, group="RotationScale", n=4)
    with pytest.warns(UserWarning, match="GroupConv: k = 15 leaves"):
        GroupConv(1, 1, 15, group="RotationScale", n=4)
    for k, group in ((15, "Scale(2,1.74)"), (17, "Scale"), (1, "RotationScale")):
        GroupConv(1, 1, k, group=group)


@pytest.mark.filterwarnings("ignore:.*leaves the smallest kernel")
@pytest.mark.parametrize("k", [5, 9, 15])
def test_the_stored_errors_of_narrow_supports_are_those_that_are_measured(k):
    nets = [network("Scale(2,1.74)", k, 0, seed, n=4) for seed in range(5)]
    found = statistics.median(scale_errors(net, seed)[0] for seed, net in enumerate(nets))
    radius, stored = min(MEASURED, key=lambda row: abs(row[0] - support_radius(nets[0][0].group, k)))
    assert radius == pytest.approx((k - 1) / 2 / 1.74, abs=0.01)
    assert abs(math.log(found / stored)) <= math.log(SCALE_TABLE)


def stack(group: str, k: int, layer=GroupConv, **options) -> nn.Sequential:
    common = {"group": group, "kernel": TINY, **options}
    return nn.Sequential(LiftingConv(1, 2, k, **common), GroupReLU(), layer(2, 2, k, **common))


@torch.no_grad()
@pytest.mark.parametrize("power", [0, 1, -1], ids=["right", "twin: more", "twin: less"])
@pytest.mark.parametrize("group", [SL(1.3), GLPlus(1.15)], ids=str)
def test_a_lifting_commutes_with_stretches_by_one_over_the_determinant(group, power):
    """At support radii of 5 pixels, from one side of the identity to the other; in SL(2) every determinant is 1."""
    low, high = stretch_bounds(group)
    k = 2 * math.ceil(5 * high / low) + 1
    net = network(group.name, k, 0, n=4, stretches=2)
    net[0].kernels.support = twin = Powered(group, net[0].support.reach)
    object.__setattr__(twin, "power", power)
    half = torch.tensor([[0.6, 0.5, 0.4, 0.9]], dtype=torch.float64)[:, : group.chart_dim] * math.log(group.largest)
    a, b = group.exp(-half), group.exp(half)
    h = group.matrix(group.product(b, group.inverse(a)))[0]
    with net[0].requested(a):
        before = net(blobs(k, torch.eye(2, dtype=torch.float64))).values
    with net[0].requested(b):
        after = net(blobs(k, h)).values
    error = float((after - before).norm() / before.norm())
    assert (error <= LIFTED_SCALE) == (power == 0 or not isinstance(group, GLPlus))


@pytest.mark.parametrize("sampling", ["grid", "random"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("group", "options", "k"), TURNING, ids=["Sim2-8", "Sim2-4", "SL", "GLPlus"])
def test_quarter_turns_are_exact(group, options, k, dtype, sampling):
    net = stack(group, k, sampling=sampling, **options).to(dtype)
    x = torch.randn(1, 1, 16, 16, dtype=dtype)
    for train in (True, False):
        net.train(train)
        assert defect(net, x, (QUARTER,), SO2()) <= EXACT[dtype]
        assert defect(net, x, (2 * QUARTER,), SO2()) <= EXACT[dtype]


@torch.no_grad()
@pytest.mark.parametrize(("group", "options", "k"), TURNING[1:], ids=["Sim2", "SL", "GLPlus"])
def test_looked_up_turns_are_those_of_the_formula(group, options, k):
    for lifting in (True, False):
        layer = (LiftingConv if lifting else GroupConv)(2, 3, k, group=group, kernel=TINY, **options).double()
        elements = layer.elements()
        inputs = None if lifting else elements
        looked_up, direct = layer.bank(elements, inputs, True), layer.bank(elements, inputs, False)
        assert float((looked_up - direct).norm() / direct.norm()) <= EXACT[torch.float64]
        assert len(layer.kernels._plan_of_list(elements, inputs, True).outputs) == len(elements) // 4


def test_three_rotations_break_quarter_turns():
    net = stack("RotationScale(1.74)", 15, n=3, stretches=2).append(GroupProjection("mean", "group")).double()
    assert defect(net, torch.randn(1, 1, 16, 16).double(), (QUARTER,), SO2()) > BROKEN


@pytest.mark.parametrize(("group", "options", "k"), [("Scale(2,1.74)", {"n": 3}, 15), *TURNING[1:]])
def test_gradients_of_kernels_are_those_of_differences(group, options, k):
    layer = GroupConv(1, 1, k, group=group, kernel=TINY, **options).double()
    elements, numbers = layer.elements(), [p for n, p in layer.kernels.named_parameters()]
    direction = [torch.randn_like(p) for p in numbers]
    wish = torch.randn_like(layer.bank(elements, elements, True))
    slopes = torch.autograd.grad((layer.bank(elements, elements, True) * wish).sum(), numbers)
    found = sum(float((s * d).sum()) for s, d in zip(slopes, direction, strict=True))
    step, ends = 1e-6, []
    with torch.no_grad():
        for sign in (1, -1):
            for p, d in zip(numbers, direction, strict=True):
                p.add_(d, alpha=sign * step)
            ends.append(float((layer.bank(elements, elements, True) * wish).sum()))
            for p, d in zip(numbers, direction, strict=True):
                p.sub_(d, alpha=sign * step)
    assert found == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("layer", [GroupConv, SeparableConv])
@pytest.mark.parametrize(("group", "options", "k"), [("Scale(2,1.74)", {"n": 4}, 15), *TURNING])
def test_a_new_layer_keeps_the_size_of_what_it_gets(layer, group, options, k):
    lifted, further = [], []
    for seed in range(3):
        torch.manual_seed(seed)
        common = {"group": group, "padding_mode": "circular", **options}
        lift, conv, x = LiftingConv(2, 8, k, **common), layer(8, 8, k, **common), torch.randn(1, 2, 24, 24)
        signal = lift(x)
        lifted.append(float(signal.values.std() / x.std()))
        further.append(float(conv(signal).values.std() / signal.values.std()))
    for found in (lifted, further):
        assert STD_RATIO[0] < statistics.median(found) < STD_RATIO[1]


def test_weights_come_back_and_the_evaluation_keeps_its_kernels(tmp_path):
    net, again = (stack("RotationScale(1.74)", 15, n=4, stretches=2).eval() for _ in range(2))
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    again.load_state_dict(torch.load(tmp_path / "weights.pt"))
    x = torch.randn(1, 1, 16, 16)
    with torch.no_grad():
        first = net(x).values
        assert torch.equal(net(x).values, first)
        assert torch.equal(again(x).values, first)
        net[2].kernels.network.readout.weight.mul_(2)
        assert not torch.equal(net(x).values, first)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"group": "Scale", "stretches": 3}, "stretches = 3 was given; expected none"),
        ({"group": "SO2", "stretches": 3}, "stretches = 3 was given; expected none"),
        ({"group": "SO2", "reach": 0.3}, "reach = 0.3 was given; expected none, because SO2 keeps lengths"),
        ({"group": "Scale", "reach": -1.0}, "reach = -1.0 was given; expected a positive number"),
        ({"group": "RotationScale", "stretches": 0}, "the number of elements was 0"),
        ({"group": "RotationScale", "n": 512}, "n = 2048 elements were asked"),
        ({"group": "Scale(3)"}, "expected a group of rotations and reflections of the plane"),
        ({"group": "Scale", "partial": True}, "no distribution is learned on Scale"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_with_a_sentence(options, words):
    with pytest.raises(ValueError, match=words):
        GroupConv(1, 1, 17, **options)
