"""A plain CNN becomes a group CNN in one call, exactly invariant; what cannot become one is refused by name."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.layers.symmetry import FLIPS, TURN, defect, relative
from tests.tolerances import BROKEN_LOGITS, EXACT
from workbench.groups import parse_group
from workbench.kernels import KernelSpec
from workbench.layers import (
    GroupConv,
    GroupPool,
    GroupProjection,
    LiftingConv,
    group_layers,
    set_n,
    to_group_cnn,
)
from workbench.models.plain_cnn import build as build_plain

TINY = KernelSpec(hidden=8)
DTYPES = (torch.float32, torch.float64)


def sequential() -> nn.Module:
    """Every module that has a counterpart."""
    return nn.Sequential(
        nn.BatchNorm2d(2), nn.Conv2d(2, 4, 5, padding=2, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Sequential(nn.Conv2d(4, 6, 3, padding="same"), nn.InstanceNorm2d(6, affine=True), nn.GELU()),
        nn.Dropout(0.1), nn.AvgPool2d(3, 2, 1, count_include_pad=True), nn.Identity(),
        nn.Conv2d(6, 6, 1), nn.GroupNorm(3, 6), nn.PReLU(6), nn.Dropout2d(0.1), nn.InstanceNorm2d(6),
        nn.Conv2d(6, 8, 3), nn.GroupNorm(1, 8), nn.LeakyReLU(),
        nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(8, 5), nn.ReLU(), nn.Dropout(0.1), nn.Linear(5, 3),
    )  # fmt: skip


class Residual(nn.Module):
    def __init__(self, a: int, b: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(a, b, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(b, b, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(b), nn.BatchNorm2d(b)
        self.act = nn.ReLU(inplace=True)
        self.shortcut = nn.Sequential(nn.Conv2d(a, b, 1, stride), nn.BatchNorm2d(b)) if a != b else nn.Sequential()

    def forward(self, x):
        out = self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))
        out += self.shortcut(x)
        return self.act(out)


class ResNet(nn.Module):
    """A user's own module: blocks in a list, one activation everywhere, functional steps only after the map."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.act = nn.ReLU()
        self.blocks = nn.ModuleList([Residual(4, 4), Residual(4, 6, stride=2)])
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = self.act(self.stem((x - 0.1) / 0.3))
        for block in self.blocks:
            x = block(x)
        x = torch.flatten(self.pool(x), 1)
        return self.head(functional.dropout(self.act(x), 0.1, self.training))


CASES = {
    "sequential": (sequential, (2, 18)),  # 18 -> 9 -> 5 -> 3
    "resnet": (ResNet, (1, 17)),
    "baseline": (lambda: build_plain({"widths": (4, 4, 4, 6), "classes": 3}), (1, 16)),
}
GROUPS = (("C(4)", None), ("C(8)", None), ("SO2", 8), ("D(4)", None), ("O2", 8))


def converted(case: str, group: str = "C(4)", n: int | None = None, **options) -> tuple[nn.Module, torch.Tensor]:
    make, (channels, size) = CASES[case]
    net = to_group_cnn(make(), group, n, kernel=TINY, input_size=size, **options)
    return net, torch.randn(2, channels, size, size)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("group", "n"), GROUPS)
@pytest.mark.parametrize("case", CASES)
def test_the_converted_network_is_invariant_and_the_plain_one_is_not(case, group, n, dtype):
    net, x = converted(case, group, n)
    net, x, g = net.to(dtype).eval(), x.to(dtype), parse_group(group)
    elements = [TURN[g.element_dim], *(FLIPS.values() if g.element_dim == 2 else [])]
    assert max(defect(net, x, element, g) for element in elements) <= EXACT[dtype]
    plain = CASES[case][0]().to(dtype).eval()
    assert defect(plain, x, TURN[g.element_dim], g) > BROKEN_LOGITS


@pytest.mark.parametrize("case", CASES)
def test_the_converted_network_learns(case):
    net, x = converted(case, "O2", 4)
    net(x).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


def test_each_module_finds_its_counterpart():
    net, _ = converted("sequential")
    kinds = [type(m).__name__ for m in net if not isinstance(m, nn.Sequential)]
    assert kinds == [
        "BatchNorm2d", "LiftingConv", "GroupBatchNorm", "GroupPointwise", "GroupPool", "GroupDropout", "GroupPool",
        "Identity", "GroupConv", "GroupPointwise", "GroupPointwise", "GroupDropout", "GroupInstanceNorm", "GroupConv",
        "GroupLayerNorm", "GroupPointwise", "Flatten", "Linear", "ReLU", "Dropout", "Linear",
    ]  # fmt: skip
    assert (net[4].kind, net[7].kind) == ("max", "mean")
    assert net[1].bias is None
    assert isinstance(net[17][0], GroupProjection)


def test_the_original_is_left_alone_and_linear_layers_keep_their_weights():
    plain = sequential()
    before = {name: p.clone() for name, p in plain.named_parameters()}
    net = to_group_cnn(plain, "C(4)", kernel=TINY)
    assert type(plain[1]) is nn.Conv2d
    assert all(torch.equal(p, before[name]) for name, p in plain.named_parameters())
    assert torch.equal(net[19].weight, plain[19].weight)
    assert net[19].weight is not plain[19].weight
    assert net.training


def test_a_module_shared_by_several_blocks_is_replaced_everywhere():
    shared = nn.ReLU()

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.act, self.conv = shared, nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, x):
            return self.act(self.conv(x))

    plain = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), Block(), Block(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), shared
    )
    net = to_group_cnn(plain, "C(4)", kernel=TINY, input_size=8)
    assert net[1].act is net[2].act is net[5]


@pytest.mark.parametrize("end", ["conv", "root"])
def test_a_network_that_ends_in_a_map_gives_an_equivariant_map(end):
    conv = nn.Conv2d(1, 2, 3, padding=1)
    plain = conv if end == "root" else nn.Sequential(conv, nn.ReLU(), nn.Conv2d(2, 3, 3, padding=1))
    net = to_group_cnn(plain, "D(4)", kernel=TINY, input_size=8).double().eval()
    x = torch.randn(1, 1, 8, 8).double()
    assert net(x).shape == plain(x.float()).shape
    elements = (TURN[2], *FLIPS.values())
    assert max(defect(net, x, element, parse_group("D(4)")) for element in elements) <= EXACT[torch.float64]


def test_partial_layers_and_random_sampling_pass_through():
    plain = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3), nn.AdaptiveAvgPool2d(1))
    net = to_group_cnn(plain, "SO2", 4, partial=True, sampling="random", kernel=TINY)
    first, second = group_layers(net).values()
    assert (type(first), first.distribution, first.sampling) == (LiftingConv, None, "random")
    assert type(second) is GroupConv
    assert second.distribution is not None
    set_n(net, 6)
    assert net(torch.zeros(1, 1, 8, 8)).shape == (1, 2, 1, 1)


def test_dtype_and_device_of_the_plain_network_are_kept():
    plain = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1)).double()
    assert to_group_cnn(plain, "C(4)", kernel=TINY)(torch.zeros(1, 1, 8, 8).double()).dtype == torch.float64


# ---- width


def macs(net: nn.Module, x: torch.Tensor) -> int:
    """Multiply-adds of the convolutions, as if every kernel were dense."""
    total = 0

    def count(module, given, out):
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += module.in_channels * out[0].numel() * module.kernel_size[0] ** 2
        else:
            n_in = 1 if isinstance(given[0], torch.Tensor) else len(given[0].elements)
            total += module.in_channels * n_in * out.values[0].numel() * module.kernel_size**2

    hooks = [
        m.register_forward_hook(count) for m in net.modules() if isinstance(m, nn.Conv2d | LiftingConv | GroupConv)
    ]
    with torch.no_grad():
        net(x[:1])
    for hook in hooks:
        hook.remove()
    return total


@pytest.mark.parametrize("case", ["sequential", "resnet"])
def test_width_scale_one_over_n_keeps_the_cost_of_later_convolutions(case):
    make, (channels, size) = CASES[case]
    x = torch.randn(1, channels, size, size)
    plain = macs(make().eval(), x)
    same, narrow = (to_group_cnn(make(), "C(2)", kernel=TINY, width_scale=s, input_size=size).eval() for s in (1, 0.5))
    assert macs(same, x) > 2.5 * plain
    assert macs(narrow, x) <= 1.01 * plain
    assert defect(narrow, x, (TURN[1][0] * 2,), parse_group("C(2)")) <= EXACT[torch.float32]


def test_width_scale_reaches_norms_activations_and_the_first_linear_layer():
    net, x = converted("sequential", width_scale=2.0)
    assert [m.out_channels for m in group_layers(net).values()] == [8, 12, 12, 16]
    assert (net[19].in_features, net[19].out_features, net[22].in_features) == (16, 5, 5)
    assert net[11].module.num_parameters == 12
    assert net(x).shape == (2, 3)


# ---- refusals


def around(*modules: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), *modules)


class Step(nn.Module):
    """A block whose forward does something between its modules."""

    def __init__(self, function):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.function = function

    def forward(self, x):
        return self.function(self.conv(x), x)


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (nn.Conv2d(4, 4, 3, groups=4), r"1 \(Conv2d.* has groups=4; use groups=1"),
        (nn.Conv2d(4, 4, 3, dilation=2), "dilation=1 and a larger kernel"),
        (nn.Conv2d(4, 4, (3, 5)), r"kernel_size=\(3, 5\), which a quarter turn would exchange"),
        (nn.Conv2d(4, 4, 3, stride=(1, 2)), r"stride=\(1, 2\)"),
        (nn.Conv2d(4, 4, 3, padding=(1, 0)), r"padding=\(1, 0\)"),
        (nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), "use 'zeros' or 'circular'"),
        (nn.Conv2d(4, 4, 4, padding="same"), "1: GroupConv: padding='same' with the even kernel size 4"),
        (nn.ZeroPad2d((0, 1, 0, 1)), "equal padding on every side"),
        (nn.ConvTranspose2d(4, 4, 2, 2), "has no counterpart on groups"),
        (nn.Upsample(scale_factor=2), "has no counterpart on groups"),
        (nn.LayerNorm((4, 8, 8)), r"use nn\.GroupNorm\(1, channels\)"),
        (nn.InstanceNorm2d(4, track_running_stats=True), "track_running_stats=False"),
        (nn.Softmax(-1), "has no counterpart"),
        (nn.Flatten(), r"1 \(Flatten.*sees? positions of a map; put nn\.AdaptiveAvgPool2d\(1\)"),
        (nn.Linear(8, 2), "see positions of a map"),
        (nn.AdaptiveAvgPool2d(2), "use output size 1"),
        (nn.MaxPool2d((2, 4)), r"kernel_size=\(2, 4\)"),
        (nn.MaxPool2d(2, ceil_mode=True), "uses ceil_mode"),
        (nn.MaxPool2d(3, 1, dilation=2), "uses dilation"),
        (nn.AvgPool2d(3, 1, 1, count_include_pad=False), "count_include_pad=False"),
        (nn.AvgPool2d(2, divisor_override=3), "divisor_override"),
        (nn.Dropout(1.0), r"1: GroupDropout: p = 1\.0"),
        (nn.Dropout3d(), "has no counterpart"),
        (Step(lambda y, x: functional.relu(y)), r"1 \(Step\)\.forward \(relu\).*use an nn\.ReLU\(\) module"),
        (Step(lambda y, x: torch.relu(y)), r"use an nn\.ReLU\(\) module"),
        (Step(lambda y, x: functional.max_pool2d(y, 2)), r"use an nn\.MaxPool2d module"),
        (Step(lambda y, x: y.flatten(1)), r"forward \(flatten\).*put nn\.AdaptiveAvgPool2d\(1\)"),
        (Step(lambda y, x: y.view(y.size(0), -1)), r"put nn\.AdaptiveAvgPool2d\(1\)"),
        (Step(lambda y, x: y.mean((2, 3))), r"use an nn\.AdaptiveAvgPool2d\(1\) module"),
        (Step(lambda y, x: torch.cat([y, x], 1)), "add the branches instead"),
        (Step(lambda y, x: y * x), "plain sums of two branches"),
        (Step(lambda y, x: y + 1), "adds something to a map"),
        (Step(lambda y, x: y if y.sum() > 0 else x), "could not be read"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 2, 1)), None),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(module, sentence):
    if sentence is None:  # a head of 1x1 convolutions on the projected features is kept
        assert to_group_cnn(around(module), "C(4)", kernel=TINY, input_size=8)(torch.zeros(1, 1, 8, 8)).shape[1] == 2
        return
    with pytest.raises(ValueError, match=r"^to_group_cnn: ") as refusal:
        to_group_cnn(around(module), "C(4)", kernel=TINY)
    refusal.match(sentence)


@pytest.mark.parametrize(
    ("model", "options", "sentence"),
    [
        (nn.Sequential(nn.ReLU()), {}, "has no Conv2d"),
        (nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(1, 2, 3)), {}, "works on the image before the first convolution"),
        (nn.Sequential(nn.Flatten(), nn.Linear(9, 2)), {}, "works on the image"),
        (around(nn.MaxPool2d(2)), {"input_size": 17}, r"GroupPool in place of 1.*leaves 1 of 17 pixels"),
        (
            around(nn.Conv2d(4, 4, 3, stride=2, padding=1)),
            {"input_size": 16},
            "GroupConv in place of 1.*leaves 1 of 16",
        ),
        (around(nn.Conv2d(4, 4, 7)), {"input_size": 5}, "at least 7 for a window of 7"),
        (around(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2)), {"input_size": 8}, "cannot run on 8 x 8"),
        (ResNet(), {"sampling": "random", "group": "SO2"}, "use partial=False and sampling='grid'"),
        (ResNet(), {"partial": True}, "use partial=False and sampling='grid'"),
        (around(), {"group": "C(4)", "n": 3}, "0: C"),
        (around(), {"width_scale": 0.0}, "expected a positive number"),
        (around(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 2, 1)), {"width_scale": 2.0}, "a Linear first"),
        (to_group_cnn(around(), "C(4)", kernel=TINY), {}, "has group layers already"),
    ],
)
def test_networks_and_settings_that_cannot_be_converted_are_refused(model, options, sentence):
    with pytest.raises(ValueError, match=r"^to_group_cnn: ") as refusal:
        to_group_cnn(model, **{"kernel": TINY, **options})
    refusal.match(sentence)


def test_more_than_one_input_or_a_map_among_the_outputs_is_refused():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)

        def forward(self, x, y=None):
            return self.conv(x), y

    class Pair(Two):
        def forward(self, x):
            return self.conv(x), x

    with pytest.raises(ValueError, match="second input"):
        to_group_cnn(Two())
    with pytest.raises(ValueError, match="a map among them"):
        to_group_cnn(Pair())
    with pytest.raises(TypeError, match="expected a torch"):
        to_group_cnn("resnet18")


def test_a_dropout_shared_by_maps_and_vectors_is_refused():
    drop = nn.Dropout(0.2)
    plain = nn.Sequential(nn.Conv2d(1, 2, 3), drop, nn.AdaptiveAvgPool2d(1), nn.Flatten(), drop)
    with pytest.raises(ValueError, match="is used on signal and on features; give each use its own module"):
        to_group_cnn(plain, kernel=TINY)


def test_sizes_may_be_accepted_and_are_otherwise_refused_at_the_first_forward():
    plain = around(nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1))
    loose = to_group_cnn(plain, "C(4)", kernel=TINY, exact=False, input_size=17)
    assert isinstance(loose[1], GroupPool)
    assert defect(loose.double().eval(), torch.randn(1, 1, 17, 17).double(), TURN[1], parse_group("C(4)")) > 1e-6
    with pytest.raises(ValueError, match="leaves 1 of 17 pixels"):
        to_group_cnn(plain, "C(4)", kernel=TINY)(torch.zeros(1, 1, 17, 17))


def test_a_hidden_asymmetry_would_be_seen():
    """The check of this file sees a plain convolution that slipped through."""
    net, x = converted("resnet")
    plain_head = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), net).double().eval()
    assert defect(plain_head, x.double(), TURN[1], parse_group("C(4)")) > BROKEN_LOGITS
    assert relative(net.double().eval()(x.double()), net(x.double())) == 0
