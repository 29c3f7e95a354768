"""The anchored network ignores cyclic shifts; its twin without anchors does not, nor does the plain one."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from tests.layers.symmetry import relative
from tests.tolerances import BROKEN_LOGITS, EXACT
from workbench.datasets import load
from workbench.measure import validate
from workbench.models import build_model
from workbench.models.anchored_cnn import METHOD
from workbench.training import Run, load_claims, verdicts
from workbench.training.kept_shifts import kept_consistency

SMALL = {"widths": (4, 4, 6), "classes": 3}


def worst(dtype: torch.dtype, **config: Any) -> float:
    """The largest change of the logits over all 256 cyclic shifts of 16 x 16 pixels."""
    torch.manual_seed(1)
    net = build_model({"name": "anchored_cnn", **SMALL, **config}).to(dtype).eval()
    x = torch.randn(1, 1, 16, 16, dtype=dtype)
    moved = torch.cat([x.roll(by, (2, 3)) for by in itertools.product(range(16), repeat=2)])
    return max(relative(one, net(x)[0]) for one in net(moved))


@pytest.mark.parametrize("dtype", list(EXACT), ids=str)
def test_every_cyclic_shift_leaves_the_logits_alone(dtype):
    assert worst(dtype) <= EXACT[dtype]
    assert worst(dtype, anchored=False) > BROKEN_LOGITS


def test_anchors_cost_no_parameters_and_learn_as_the_plain_network_does():
    net, plain = (build_model({"name": name, **SMALL}) for name in ("anchored_cnn", "plain_cnn"))
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in plain.parameters())
    net(torch.rand(4, 1, 16, 16)).square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize(
    ("config", "sentence"),
    [({"anchored": 1}, "anchored = 1 was given; expected True or False"), ({"stride": 2}, "stride was given")],
)
def test_wrong_settings_are_refused_with_a_sentence(config, sentence):
    with pytest.raises(ValueError, match=sentence):
        build_model({"name": "anchored_cnn", **config})


# ---- the stored results


@pytest.fixture(scope="module")
def claims():
    return load_claims(METHOD)


def test_both_networks_are_stored_with_five_seeds(claims):
    assert claims["experiment"].values.tolist() == [experiment.name for experiment in METHOD.experiments]
    assert claims.sizes["seed"] >= 5
    assert claims.attrs["fast"] == "false"
    plain, anchored = METHOD.experiments
    assert {**plain.model, "anchored": True} == anchored.model
    assert (plain.data, plain.training) == (anchored.data, anchored.training)
    for name in ("consistency", "worst_accuracy"):
        assert bool(np.isfinite(claims[name]).all()), name
        assert bool((claims[name].diff("reach") <= 0).all()), "a larger window holds the smaller one"


@pytest.mark.parametrize("at", range(len(METHOD.claims)), ids=[claim.id for claim in METHOD.claims])
def test_a_stored_claim_lies_in_its_band(claims, at):
    found = verdicts(claims, METHOD)[at]
    assert found.in_band, (found.claim, found.mean, found.band)


def test_a_claim_hears_of_other_results(claims):
    """The twins: networks exchanged, and kinds of shift exchanged."""
    names = claims["experiment"].values.tolist()
    networks = claims.sel(experiment=names[::-1]).assign_coords(experiment=names)
    kinds = claims.sel(kind=claims["kind"].values[::-1]).assign_coords(kind=claims["kind"].values)
    lost = [{row.claim for row in verdicts(wrong, METHOD) if not row.in_band} for wrong in (networks, kinds)]
    assert {"cyclic-anchored", "cyclic-plain", "cyclic-anchored-accuracy", "real-anchored", "real-steadier"} <= lost[0]
    assert {"cyclic-anchored", "cyclic-anchored-accuracy", "real-anchored"} <= lost[1]
    told = {row.claim for row in verdicts(networks, METHOD) if row.reproduced}
    assert not told & {"cyclic-anchored", "cyclic-plain", "cyclic-plain-accuracy", "cyclic-anchored-accuracy"}


def test_two_poolings_repeat_every_four_pixels_so_that_a_window_of_two_says_all(claims):
    plain = claims["consistency"].sel(experiment="plain", kind="cyclic")
    assert np.array_equal(plain.sel(reach=2), plain.sel(reach=3))


def test_the_study_reads_consistency_from_run_folders(tmp_path):
    model = {"name": "anchored_cnn", **SMALL, "classes": 10}
    runs = {}
    for name, anchored in (("plain", False), ("anchored", True)):
        config = {"model": {**model, "anchored": anchored}, "data": {"name": "digits"}, "training": {"epochs": 1}}
        run = Run.create(tmp_path / name, config)
        torch.manual_seed(1)
        net = build_model(config["model"]).eval()
        with torch.no_grad():  # untrained, and yet not the same class for all
            net.classifier.bias -= net(load("digits").splits["test"][0][:64]).mean(0)
        run.save_weights(net.state_dict())
        runs[name, 0] = run.path
    ds = validate(kept_consistency(runs, fast=True), {"consistency": ("experiment", "seed", "kind", "reach")})
    assert bool((ds["consistency"].sel(experiment="anchored", kind="cyclic") == 1).all())
    assert bool((ds["consistency"].sel(experiment="plain", kind="cyclic") < 1).all())
    assert ds.attrs["margin"] == 2
