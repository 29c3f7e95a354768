"""The paper's networks: parameter counts, symmetry of the whole network, and sentences for wrong settings."""

import pytest
import torch

from tests.layers.symmetry import FLIPS, HALF, TURN, defect, relative
from tests.tolerances import BROKEN_LOGITS, EXACT
from workbench.groups import parse_group
from workbench.layers import GroupConv, GroupPool, LiftingConv, group_layers, set_n, set_sampling
from workbench.models import build_model
from workbench.models.partial_gcnn import CONFIGS, build, configuration

DTYPES = (torch.float32, torch.float64)

# Counted on the released classes. Rows: network and data; columns: translations, SE(2), partial SE(2), partial E(2).
TABLE = {
    ("ckresnet", "rotmnist"): (450_074, 467_786, 467_791, 467_988),
    ("ckresnet", "cifar10"): (452_186, 469_898, 469_903, 470_100),
    ("ckresnet", "cifar100"): (458_036, 475_748, 475_753, 475_950),
    ("gcnn", "cifar10"): (3_994_410, 3_994_410, 3_994_418, 3_994_490),
    ("gcnn", "cifar100"): (4_017_540, 4_017_540, 4_017_548, 4_017_620),
}
COUNTS = {
    f"paper_{network}_{data}_{symmetry}": count
    for (network, data), row in TABLE.items()
    for symmetry, count in zip(("t2", "se2_full", "se2_partial", "e2_partial"), row, strict=True)
} | {"paper_6_180_partial": 48_845, "paper_6_180_full": 104_422, "paper_6_mirror_partial": 51_154}


@pytest.fixture
def uncalibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting needs no gains, which take most of the time to build a network."""
    monkeypatch.setattr("workbench.kernels.bank.calibrate", lambda bank: 1.0)


def parameters(preset: str, **changes: object) -> int:
    return sum(p.numel() for p in build({"preset": preset, **changes}).parameters())


@pytest.mark.parametrize("preset", COUNTS)
def test_parameter_counts_are_those_of_the_released_networks(preset, uncalibrated):
    assert parameters(preset) == COUNTS[preset]


def test_the_periodic_encoding_adds_one_input_to_each_kernel_network_of_a_group_convolution(uncalibrated):
    name = "paper_ckresnet_rotmnist_se2_full"
    convs = [layer for layer in group_layers(build({"preset": name})).values() if isinstance(layer, GroupConv)]
    added = sum(layer.kernels.spec.hidden for layer in convs)
    assert parameters(name, encoding="periodic") == COUNTS[name] + added


def test_the_number_of_elements_changes_no_parameter(uncalibrated):
    assert {parameters("paper_ckresnet_rotmnist_se2_partial", n=n) for n in (2, 4, 16)} == {467_791}


def test_the_paper_networks_have_its_depth_pools_and_learned_layers(uncalibrated):
    for name, learned, pools in (
        ("paper_ckresnet_rotmnist_se2_partial", 5, 2),
        ("paper_ckresnet_cifar10_se2_partial", 5, 2),
        ("paper_gcnn_cifar10_se2_partial", 8, 2),
        ("demo", 3, 2),
        ("paper_ckresnet_cifar10_se2_full", 0, 2),
    ):
        modules = list(build({"preset": name}).modules())
        assert sum(isinstance(m, GroupConv) and m.distribution is not None for m in modules) == learned
        assert sum(isinstance(m, GroupPool) for m in modules) == pools
        assert sum(isinstance(m, LiftingConv) for m in modules) == 1
        assert next(m for m in modules if isinstance(m, LiftingConv)).distribution is None


def test_the_demonstration_network_has_about_six_thousand_parameters(uncalibrated):
    assert 5_500 < parameters("demo") < 6_500


# ---- symmetry of whole networks

NARROW = {
    "ckresnet": {"architecture": "ckresnet", "widths": (4, 4, 6), "kernel_size": 3, "hidden": 8},
    "gcnn": {"architecture": "gcnn", "widths": (4, 4, 6, 6), "kernel_size": 3, "hidden": 8, "pools": (2,)},
    "demo": {"hidden": 8, "widths": (4, 4, 4, 6)},
}
GROUPS = {"SO2": {"group": "SO2", "n": 8}, "O2": {"group": "O2", "n": 8}, "C(4)": {"group": "C(4)", "n": 4}}


def network(architecture: str, symmetry: str = "SO2", **changes: object):
    return build({**NARROW[architecture], **GROUPS[symmetry], "classes": 3, **changes})


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


# ---- one network, several settings


def test_the_same_weights_run_with_other_elements_and_samplings():
    net = network("demo")
    x = torch.randn(2, 1, 16, 16)
    for n in (1, 4, 16, 32):
        set_n(net, n)
        for sampling in ("grid", "random"):
            set_sampling(net, sampling)
            assert torch.isfinite(net(x)).all()


def test_every_parameter_of_every_architecture_learns():
    for architecture in NARROW:
        for norm in ("batch", "layer"):
            net = network(architecture, "O2", dropout=0.1, norm=norm)
            net(torch.randn(2, 1, 16, 16)).square().sum().backward()
            silent = [name for name, p in net.named_parameters() if p.grad is None and "logit" not in name]
            assert silent == []


def test_weights_survive_saving_and_loading():
    one, other = network("ckresnet").eval(), network("ckresnet").eval()
    other.load_state_dict(one.state_dict())
    x = torch.randn(1, 1, 16, 16)
    assert torch.equal(one(x), other(x))


def test_the_same_seed_builds_the_same_network():
    def draw(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        model = build_model({"name": "partial_gcnn", "preset": "demo", "hidden": 4})
        return model.body[0].kernels.network.readout.weight

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


# ---- sentences


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"preset": "demo2"}, "expected one of demo, demo_full"),
        ({"depth": 3}, "depth was given; expected only architecture"),
        ({"architecture": "vgg"}, "architecture 'vgg' was given; expected ckresnet, gcnn, demo"),
        ({"norm": "bathc"}, "norm 'bathc' was given; expected batch, layer"),
        ({"classes": 0}, "classes = 0"),
        ({"in_channels": 1.0}, "in_channels = 1.0"),
        ({"widths": ()}, "at least the lifting"),
        ({"n": 0}, "positive integer"),
        ({"group": "O2", "n": 5}, "use 6"),
        ({"group": "C(8)", "n": 4}, "each learned gate"),
        ({"kernel_size": 4}, "use kernel size 5"),
        ({"network": "mlp"}, "expected one of siren"),
        ({"gradient": "half"}, "'full' or 'reference'"),
        ({"architecture": "gcnn", "dropout": 1.5, "pools": (), "widths": (2, 2, 2)}, "probability"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(config, sentence, uncalibrated):
    with pytest.raises(ValueError, match=sentence):
        build(config)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"input_size": 17}, "leaves 1 of 17 pixels"),
        ({"input_size": 18}, "leaves 1 of 9 pixels"),
        ({"architecture": "ckresnet", "input_size": 20, "kernel_size": 7}, "at least 7 for a window of 7"),
        ({"architecture": "gcnn", "input_size": 15, "pools": (2,)}, "leaves 1 of 15 pixels"),
    ],
)
def test_input_sizes_that_break_symmetry_are_refused_before_any_image_is_seen(config, sentence, uncalibrated):
    with pytest.raises(ValueError, match=sentence):
        build(config)


@pytest.mark.slow
def test_every_preset_is_a_complete_configuration(uncalibrated):
    for name in CONFIGS:
        chosen = configuration({"preset": name})
        assert isinstance(chosen.widths, tuple)
        if chosen.architecture != "gcnn":
            side = chosen.input_size
            out = build({"preset": name}).eval()(torch.zeros(1, chosen.in_channels, side, side))
            assert out.shape == (1, chosen.classes)
