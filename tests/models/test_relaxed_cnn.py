"""The relaxed network: exact at 0, dials with a rate of their own, stored claims inside their bands."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.layers.symmetry import relative
from tests.tolerances import AGAIN, AGAIN_SINGLE, BROKEN, EXACT
from workbench.layers import dials, set_dials
from workbench.models import build_model
from workbench.models.relaxed_cnn import FIXED, METHOD, STARTS, TURNS, build, held_out_dial
from workbench.training import load_claims, verdicts
from workbench.training.module import TrainingModule
from workbench.training.objective import parameter_groups
from workbench.training.settings import Settings

DTYPES = (torch.float32, torch.float64)


@pytest.fixture(scope="module")
def claims():
    return load_claims(METHOD)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rank", [None, 8])
@pytest.mark.parametrize("learned", [False, True])
def test_a_network_with_closed_dials_does_not_see_half_shifts(dtype, rank, learned):
    torch.manual_seed(0)
    net = build({"absolute": 0.0, "learned": learned, "rank": rank}).to(dtype).eval()
    x = torch.randn(2, 1, 16, 16, dtype=dtype)
    with torch.no_grad():
        assert relative(net(x.roll((8, 8), (2, 3))), net(x)) <= EXACT[dtype]
        set_dials(net, 0.5)
        assert relative(net(x.roll((8, 8), (2, 3))), net(x)) > BROKEN


def test_zero_padding_is_the_twin_that_sees_them():
    torch.manual_seed(0)
    net = build({"absolute": 0.0, "padding_mode": "zeros"}).eval()
    x = torch.randn(2, 1, 16, 16)
    with torch.no_grad():
        assert relative(net(x.roll((8, 8), (2, 3))), net(x)) > 100 * EXACT[torch.float32]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("classes", [2, 5])
def test_a_network_with_closed_dials_of_the_rotation_does_not_see_quarter_turns(classes, dtype):
    torch.manual_seed(0)
    net = build({"of": "rotation", "absolute": 0.0, "classes": classes}).to(dtype).eval()
    x = torch.randn(2, 1, 16, 16, dtype=dtype)
    with torch.no_grad():
        for quarter in (1, 2, 3):
            assert relative(net(torch.rot90(x, quarter, (2, 3))), net(x)) <= EXACT[dtype]
        set_dials(net, 0.5)  # the twin
        for quarter in (1, 2, 3):
            assert relative(net(torch.rot90(x, quarter, (2, 3))), net(x)) > BROKEN / 5


def test_dials_of_the_rotation_are_a_group_of_parameters_too():
    net = build({"of": "rotation"})
    groups = parameter_groups(net)
    assert [float(p.detach()) for p in groups["probs"]] == pytest.approx([0.05] * 3, rel=AGAIN_SINGLE)
    assert list(dials(net)) == ["body.4", "body.8", "body.11"]


def test_dials_are_a_group_of_parameters_with_a_rate_of_their_own():
    net = build({})
    groups = parameter_groups(net)
    assert [float(p.detach()) for p in groups["probs"]] == pytest.approx([0.1] * 3, rel=AGAIN_SINGLE)
    frozen = {id(p) for p in net.parameters() if not p.requires_grad}
    assert len(groups["weights"]) + 3 + len(frozen) == len(list(net.parameters()))
    assert parameter_groups(build({"learned": False}))["probs"] == []

    class Batches(list):
        step = 0

    module = TrainingModule(net, Settings.read({"lr": 1e-3, "lr_probs": 3e-2}), Batches(), 10)
    rates = {group["name"]: group["lr"] for group in module.configure_optimizers().param_groups}
    assert rates == {"weights": 1e-3, "probs": 3e-2}


def test_the_dials_cost_three_numbers():
    def count(start: dict) -> int:
        return sum(p.numel() for p in build(start).parameters() if p.requires_grad)

    assert count(STARTS["learned"]) - count(STARTS["strict"]) == 3


def test_one_seed_draws_one_network_wherever_the_dials_start():
    nets = []
    for start in STARTS.values():
        torch.manual_seed(1)
        nets.append({k: v for k, v in build(start).state_dict().items() if not k.endswith("absolute")})
    assert all(torch.equal(a, b) for net in nets[1:] for a, b in zip(nets[0].values(), net.values(), strict=True))
    assert list(dials(build({"absolute": 0.25})).values()) == [0.25] * 3


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"depth": 3}, "depth was given; expected only in_channels"),
        ({"widths": ()}, "at least the lifting or first"),
        ({"pools": (7,)}, "expected stages from 0 to 2"),
        ({"learned": "yes"}, "learned = 'yes' was given; expected True or False"),
        ({"absolute": -1.0}, "a dial = -1.0 was given"),
        ({"rank": 3}, "rank = 3 was given"),
        ({"of": "scale"}, "of = 'scale' was given; expected 'place' or 'rotation'"),
        ({"classes": 0}, "classes = 0"),
        ({"padding_mode": "reflect"}, "expected 'zeros' or 'circular'"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(config, sentence):
    with pytest.raises(ValueError, match=sentence):
        build(config)


# ---- the stored results


def test_every_experiment_builds_and_is_stored_with_five_seeds_or_more(claims):
    assert claims["experiment"].values.tolist() == [experiment.name for experiment in METHOD.experiments]
    assert claims.sizes["seed"] >= 5
    assert claims.attrs["fast"] == "false"
    for experiment in METHOD.experiments:
        assert isinstance(build_model(experiment.model), nn.Module)
    for name in ("test_accuracy", "shift_error", "validation_loss"):
        assert bool(np.isfinite(claims[name]).all()), name
    turns = claims.sel(experiment=[f"turn_{kind}" for kind in TURNS])
    for name in ("quarter_turn_error", "half_turn_error"):
        assert bool(np.isfinite(turns[name]).all()), name


@pytest.mark.parametrize("at", range(len(METHOD.claims)), ids=[claim.id for claim in METHOD.claims])
def test_a_stored_claim_lies_in_its_band(claims, at):
    found = verdicts(claims, METHOD)[at]
    assert found.in_band, (found.claim, found.mean, found.band)


def test_a_claim_hears_of_other_results(claims):
    """The twin: with the two tasks swapped, no claim about their difference survives."""
    names = claims["experiment"].values.tolist()
    other = {"digit": "place", "place": "digit"}
    swap = [f"{other.get(task, task)}_{kind}" for task, _, kind in (name.partition("_") for name in names)]
    swap = [theirs if theirs in names else own for own, theirs in zip(names, swap, strict=True)]
    wrong = claims.sel(experiment=swap).assign_coords(experiment=names)
    lost = {row.claim for row in verdicts(wrong, METHOD) if not row.in_band}
    assert {"place-strict", "place-learned-strict", "place-dial", "digit-dial", "digit-shift"} <= lost


def test_a_claim_of_turns_hears_of_other_networks(claims):
    """The twin: closed dials and learned ones exchanged."""
    names = claims["experiment"].values.tolist()
    swap = [{"turn_closed": "turn_learned", "turn_learned": "turn_closed"}.get(name, name) for name in names]
    wrong = claims.sel(experiment=swap).assign_coords(experiment=names)
    lost = {row.claim for row in verdicts(wrong, METHOD) if not row.in_band}
    assert {"turn-closed", "turn-closed-exact", "turn-learned", "turn-dial", "turn-half"} <= lost


def test_strict_networks_are_stored_with_no_shift_error_and_closed_dials(claims):
    for task in ("digit", "place"):
        assert float(claims["shift_error"].sel(experiment=f"{task}_strict").max()) <= EXACT[torch.float32]
    fixed = claims["dial"].sel(experiment="place_fixed1")
    assert np.allclose(fixed.dropna("layer"), 1.0, rtol=AGAIN, atol=AGAIN)


def test_the_held_out_choice_is_the_fixed_dial_with_the_lowest_validation_loss(claims):
    chosen = held_out_dial(claims, "place")
    values = np.array([STARTS[kind]["absolute"] for kind in FIXED])
    losses = np.stack([claims["validation_loss"].sel(experiment=f"place_{kind}").values for kind in FIXED])
    assert np.allclose(chosen, values[losses.argmin(0)], rtol=AGAIN, atol=AGAIN)


def test_the_course_of_the_dials_begins_beside_its_start_and_ends_where_it_was_kept(claims):
    course = claims["dial_course"].sel(experiment="place_learned").dropna("layer")
    assert float(abs(course.isel(epoch=0) - 0.1).max()) < 0.2
    at = claims["best_epoch"].sel(experiment="place_learned")
    kept = claims["dial"].sel(experiment="place_learned").dropna("layer")
    assert np.allclose(course.sel(epoch=at.astype(int)), kept, rtol=AGAIN, atol=AGAIN)
