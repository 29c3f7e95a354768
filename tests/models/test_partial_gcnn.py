"""The paper's networks: parameter counts, one set of weights under several settings, sentences for wrong ones."""

import pytest
import torch

from tests.models.narrow import NARROW, network
from workbench.layers import GroupConv, GroupPool, LiftingConv, group_layers, set_n, set_sampling
from workbench.models import build_model
from workbench.models.partial_gcnn import CONFIGS, build, configuration

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


@pytest.mark.parametrize(
    ("preset", "positions"),
    [("paper_ckresnet_rotmnist_se2_full", 8), ("paper_ckresnet_cifar10_se2_full", 32), ("demo_full", 128)],
)
def test_learned_pooling_adds_one_number_per_element_and_pixel(preset, positions, uncalibrated):
    assert parameters(preset, learned_pooling=True) == parameters(preset) + positions + 1


@pytest.mark.parametrize(
    ("preset", "removed"),
    [
        ("paper_ckresnet_rotmnist_se2_full", 32),  # the relative angle, one input to 32 sines
        ("paper_ckresnet_rotmnist_se2_partial", 32 + 1),  # and one arc
        ("paper_ckresnet_cifar100_e2_partial", 2 * 32 + 2),  # the mirror as well, and its gate
        ("paper_gcnn_cifar10_se2_full", 8),
    ],
)
def test_a_last_convolution_on_the_plane_needs_no_angle_and_learns_no_arc(preset, removed, uncalibrated):
    assert parameters(preset, plane_last=True) == COUNTS[preset] - removed


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


# ---- one network, several settings


def test_the_same_weights_run_with_other_elements_and_samplings():
    net = network("demo")
    x = torch.randn(2, 1, 16, 16)
    for n in (1, 4, 16, 32):
        set_n(net, n)
        for sampling in ("grid", "random"):
            set_sampling(net, sampling)
            assert torch.isfinite(net(x)).all()


@pytest.mark.parametrize("architecture", NARROW)
def test_other_elements_leave_a_last_convolution_on_the_plane_alone(architecture):
    net = network(architecture, plane_last=True).eval()
    x = torch.randn(2, 1, 16, 16)
    for n in (1, 4, 16):
        set_n(net, n)
        set_sampling(net, "random")
        assert torch.isfinite(net(x)).all()
    *others, last = (layer.n for layer in group_layers(net).values())
    assert (set(others), last) == ({16}, 1)


def test_learned_pooling_names_the_elements_and_pixels_that_it_was_made_for():
    net = network("demo", partial=False, learned_pooling=True)
    set_n(net, 4)
    with pytest.raises(ValueError, match=r"a signal of 4 elements on 4 x 4 pixels was given; expected 8 on 4 x 4"):
        net(torch.randn(2, 1, 16, 16))


@pytest.mark.parametrize("switches", [{"plane_last": True}, {"learned_pooling": True, "partial": False}])
def test_every_parameter_of_every_architecture_learns_with_the_released_switches(switches):
    for architecture in NARROW:
        net = network(architecture, "O2", **switches)
        net(torch.randn(2, 1, 16, 16)).square().sum().backward()
        assert [name for name, p in net.named_parameters() if p.grad is None and "logit" not in name] == []


def test_every_parameter_of_every_architecture_learns():
    for architecture in NARROW:
        for norm in ("batch", "layer"):
            net = network(architecture, "O2", dropout=0.0 if architecture == "demo" else 0.1, norm=norm)
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
        ({"learned_pooling": True}, "expected a fixed number of elements.*use partial=False"),
        ({"norm": "bathc"}, "norm 'bathc' was given; expected batch, layer"),
        ({"classes": 0}, "classes = 0"),
        ({"in_channels": 1.0}, "in_channels = 1.0"),
        ({"in_channels": True}, "in_channels = True"),
        ({"kernel_size": "5"}, "kernel_size = '5'"),
        ({"widths": ()}, "at least the lifting"),
        ({"widths": 8}, "widths = 8"),
        ({"widths": (8, 2.5)}, r"widths\[1\] = 2.5"),
        ({"pools": (99,)}, "expected stages from 0 to 3"),
        ({"partial": "yes"}, "partial = 'yes' was given; expected True or False"),
        ({"plane_last": 3}, "plane_last = 3"),
        ({"n": 0}, "positive integer"),
        ({"group": "O2", "n": 5}, "use 6"),
        ({"group": "C(8)", "n": 4}, "each learned gate"),
        ({"kernel_size": 4}, "use kernel size 5"),
        ({"network": "mlp"}, "expected one of siren"),
        ({"gradient": "half"}, "'full' or 'reference'"),
        ({"architecture": "gcnn", "dropout": 1.5, "pools": (), "widths": (2, 2, 2)}, "probability"),
        ({"dropout": 2.0}, "dropout = 2.0 was given; expected a probability of at least 0 and below 1"),
        ({"preset": "paper_6_180_full", "dropout": float("nan")}, "dropout = nan was given"),
        ({"dropout": 0.3}, "architecture 'demo', which drops nothing"),
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
