"""Separable G-CNNs: counts of parameters, quarter turns of whole networks, sentences for wrong settings."""

import math

import numpy as np
import pytest
import torch

from tests.layers.symmetry import relative
from tests.tolerances import AGAIN, BROKEN, EXACT
from workbench.layers import GroupPool, LiftingConv, SeparableConv, set_n
from workbench.measure import cost
from workbench.models import build_model
from workbench.models.separable_gcnn import CONFIGS, METHOD, SEVEN, ResidualBlock, build, configuration
from workbench.training import load_claims, verdicts

# Counted on the released classes (Knigge et al. 2022), C = 32, 32, 64 and k = 7 on 28 x 28 pixels.
COUNTS = {
    "se2_nonseparable": 716_490, "se2_separable": 755_370, "se2_gseparable": 1_405_322, "se2_dseparable": 77_802,
    "se2_dgseparable": 116_682, "sim2_nonseparable": 716_842, "sim2_separable": 755_722,
    "sim2_separable+2d": 794_602, "sim2_gseparable": 1_405_674, "sim2_gseparable+2d": 2_094_506,
}  # fmt: skip
NARROW = {"widths": (4, 4, 8), "hidden": 8, "head": 8, "n": 4}


@pytest.fixture
def uncalibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting needs no gains, which take most of the time to build a network."""
    monkeypatch.setattr("workbench.kernels.bank.calibrate", lambda bank: 1.0)
    monkeypatch.setattr("workbench.kernels.factored.calibrate", lambda bank: 1.0)


@pytest.mark.filterwarnings("ignore:.*leaves the smallest kernel")
@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_those_of_the_released_networks_but_for_two_inputs(name, uncalibrated):
    """The angle enters as (cos, sin), one number more; a whole kernel of one pixel needs no place, two numbers less."""
    net = build({"preset": f"paper_rotmnist_{name}"})
    angles = [
        bank.spec.hidden
        for layer in net.modules()
        if isinstance(layer, SeparableConv)
        for bank in layer.kernels.modules()
        if getattr(bank, "lifting", True) is False and hasattr(bank, "taps") and bank.group.name != "Scale(2,1.74)"
    ]
    placeless = 2 * 32 if name.endswith(("_nonseparable", "_dseparable")) else 0
    assert sum(p.numel() for p in net.parameters()) == COUNTS[name] + sum(angles) - placeless


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("factorisation", SEVEN[:5])
def test_a_whole_network_does_not_see_quarter_turns(factorisation, dtype):
    net = build({"preset": "demo", "factorisation": factorisation}).to(dtype).eval()
    x = torch.randn(2, 1, 16, 16, dtype=dtype)
    with torch.no_grad():
        assert relative(net(torch.rot90(x, 1, (2, 3))), net(x)) <= EXACT[dtype]
        assert relative(net(x.flip(-1)), net(x)) > BROKEN / 10  # the twin: mirrors are not in the group


@pytest.mark.parametrize("factorisation", ["separable", "separable+2d"])
def test_so_does_one_over_rotations_and_scalings(factorisation):
    net = build({"preset": "demo_sim2", "n": 4, "widths": (4, 4), "factorisation": factorisation}).double().eval()
    x = torch.randn(1, 1, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        assert relative(net(torch.rot90(x, 1, (2, 3))), net(x)) <= EXACT[torch.float64]
        set_n(net, 3)
        assert relative(net(torch.rot90(x, 1, (2, 3))), net(x)) > EXACT[torch.float64] ** 0.5


@pytest.mark.parametrize("sampling", ["grid", "random"])
def test_the_paper_network_turns_and_trains(sampling):
    torch.manual_seed(0)
    net = build({"preset": "paper_rotmnist_se2_separable", "sampling": sampling, **NARROW})
    x = torch.randn(3, 1, 28, 28)
    net(x).logsumexp(1).sum().backward()
    assert all(p.grad is not None and math.isfinite(float(p.grad.norm())) for p in net.parameters())
    with torch.no_grad():
        net.double().eval()
        x = x.double()
        assert relative(net(torch.rot90(x, 1, (2, 3))), net(x)) <= EXACT[torch.float64]


def test_the_paper_network_has_its_blocks_pools_and_shortcuts():
    net = build({"preset": "paper_rotmnist_se2_separable", **NARROW})
    blocks = [m for m in net.modules() if isinstance(m, ResidualBlock)]
    assert [block.shortcut is None for block in blocks] == [True, False]
    assert sum(isinstance(m, GroupPool) for m in net.modules()) == 2
    assert sum(isinstance(m, LiftingConv) for m in net.modules()) == 1
    last = [m for m in net.modules() if isinstance(m, SeparableConv)][-1]
    assert (last.kernel_size, last.padding) == (3, 0)


@pytest.mark.filterwarnings("ignore:.*leaves the smallest kernel")
def test_published_presets_over_scalings_run_although_their_support_is_too_narrow():
    with pytest.warns(UserWarning, match=r"k = 7 leaves the smallest kernel of RotationScale\(1.74\) .* use k = 15"):
        net = build({"preset": "paper_rotmnist_sim2_separable+2d", "stretches": 2, **NARROW}).eval()
    with torch.no_grad():
        assert net(torch.randn(1, 1, 28, 28)).shape == (1, 10)


def test_every_small_preset_is_built_by_name():
    for preset in ("demo", "demo_wide", "demo_nonseparable", "demo_gseparable", "demo_scale"):
        net = build_model({"name": "separable_gcnn", "preset": preset, "classes": 3}).eval()
        with torch.no_grad():
            assert net(torch.randn(1, 1, 16, 16)).shape == (1, 3)
    assert configuration({"preset": "demo_sim2"}).stretches == 3
    assert {"demo_sim2", "paper_rotmnist_scale_separable"} <= set(CONFIGS)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"preset": "demonstration"}, "preset 'demonstration' was given; expected one of demo"),
        ({"depth": 3}, "depth was given; expected only architecture"),
        ({"factorisation": "cp"}, "factorisation 'cp' was given; expected nonseparable, separable"),
        ({"factorisation": "gseperable"}, "use 'gseparable'"),
        ({"factorisation": "separable+2d"}, "on SO2; expected RotationScale"),
        ({"architecture": "unet"}, "architecture 'unet' was given; expected ckgresnet, demo"),
        ({"widths": ()}, "at least the lifting or first"),
        ({"pools": (9,)}, "expected stages from 0 to 3"),
        ({"classes": 0}, "classes = 0"),
        ({"stretches": 3}, "stretches = 3 was given; expected none"),
        ({"dropout": 0.5}, "dropout = 0.5 was given with head = 0"),
        ({"dropout": 1.5, "head": 8}, "expected a probability"),
        ({"head": -1}, "head = -1"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(config, sentence):
    with pytest.raises(ValueError, match=sentence):
        build(config)


# ---- the stored results


@pytest.fixture(scope="module")
def claims():
    return load_claims(METHOD)


def test_every_experiment_is_stored_with_five_seeds_or_more(claims):
    assert claims["experiment"].values.tolist() == [experiment.name for experiment in METHOD.experiments]
    assert claims.sizes["seed"] >= 5
    assert claims.attrs["fast"] == "false"
    assert bool(np.isfinite(claims["test_accuracy"]).all())


@pytest.mark.parametrize("at", range(len(METHOD.claims)), ids=[claim.id for claim in METHOD.claims])
def test_a_stored_claim_lies_in_its_band(claims, at):
    found = verdicts(claims, METHOD)[at]
    assert found.in_band, (found.claim, found.mean, found.band)


def test_a_claim_hears_of_other_results(claims):
    """The twin: with separable and non-separable swapped, what was saved is lost."""
    names = claims["experiment"].values.tolist()
    swap = {"nonseparable": "separable_equal_epochs", "separable_equal_epochs": "nonseparable"}
    wrong = claims.sel(experiment=[swap.get(name, name) for name in names]).assign_coords(experiment=names)
    lost = {row.claim for row in verdicts(wrong, METHOD) if not row.in_band}
    assert {"redundant", "multiplications", "step-time", "equal-work"} <= lost


def test_what_is_stored_of_kernels_and_costs_is_of_these_networks(claims, uncalibrated):
    first = claims["group_energy"].sel(component=1)
    for weights in ("drawn", "trained"):
        assert np.allclose(first.sel(experiment="separable_equal_epochs", weights=weights), 1, rtol=AGAIN, atol=AGAIN)
    assert bool((first.sel(experiment="nonseparable") < 1 - BROKEN).all())
    assert bool(np.isnan(first.sel(experiment="plain")).all())
    for experiment in METHOD.experiments[:5]:
        net = build_model(experiment.model)
        count = float(cost(net, (1, 1, 16, 16))["multiply_adds"].sum())
        assert float(claims["multiply_adds"].sel(experiment=experiment.name)) == count


def test_the_released_commands_are_there_by_name():
    assert all(configuration(dict(e.model)).architecture == "ckgresnet" for e in METHOD.published)
    assert {e.training["epochs"] for e in METHOD.published} == {300}
