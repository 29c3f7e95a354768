"""Networks over linear maps: exact at quarter turns, elements in number alike, stored results in their bands."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from tests.layers.symmetry import relative
from tests.tolerances import BROKEN_LOGITS, EXACT
from workbench.layers import LiftingConv
from workbench.models import build_model
from workbench.models.affine_gcnn import METHOD, NETWORKS
from workbench.training import load_claims, verdicts

SMALL = {"widths": (3, 3, 4), "classes": 3}
GROUPS = ("gl2", "sl2", "se2")


def made(name: str, **more: Any) -> torch.nn.Module:
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*leaves the smallest kernel")
        return build_model({**NETWORKS[name], **SMALL, **more}).eval()


@pytest.mark.parametrize("dtype", list(EXACT), ids=str)
@pytest.mark.parametrize("name", GROUPS)
def test_a_quarter_turn_changes_no_logit(name, dtype):
    x = torch.randn(4, 1, 16, 16, dtype=dtype)

    def change(network: torch.nn.Module) -> float:
        network = network.to(dtype)
        return relative(network(x.rot90(1, (-2, -1))), network(x))

    assert change(made(name)) <= 20 * EXACT[dtype]
    assert change(made("t2")) > BROKEN_LOGITS


def test_the_groups_have_as_many_elements_and_nearly_as_many_parameters():
    nets = {name: made(name) for name in GROUPS}
    counts = {next(m for m in net.modules() if isinstance(m, LiftingConv)).elements().shape[0] for net in nets.values()}
    assert counts == {16}
    sizes = [sum(p.numel() for p in net.parameters()) for net in nets.values()]
    assert max(sizes) <= 1.1 * min(sizes), "a kernel reads one to four coordinates of the group"


def test_narrow_kernels_warn_with_what_they_cost():
    with pytest.warns(UserWarning, match=r"k = 9 leaves the smallest kernel of GLPlus\(2,1.2\)"):
        build_model({"name": "affine_gcnn", "group": "GLPlus(2,1.2)", **SMALL})


# ---- the stored results


@pytest.fixture(scope="module")
def claims():
    return load_claims(METHOD)


def test_all_networks_are_stored_with_five_seeds(claims):
    assert claims["experiment"].values.tolist() == [experiment.name for experiment in METHOD.experiments]
    assert claims.sizes["seed"] >= 5
    assert claims.attrs["fast"] == "false"
    assert bool(np.isfinite(claims["map_accuracy"]).all())
    assert len({(str(e.data), str(e.training)) for e in METHOD.experiments}) == 1, "one recipe for all"


@pytest.mark.parametrize("at", range(len(METHOD.claims)), ids=[claim.id for claim in METHOD.claims])
def test_a_stored_claim_lies_in_its_band(claims, at):
    found = verdicts(claims, METHOD)[at]
    assert found.in_band, (found.claim, found.mean, found.band)


def test_a_claim_hears_of_other_results(claims):
    """The twin: networks exchanged."""
    names = claims["experiment"].values.tolist()
    exchanged = claims.sel(experiment=names[::-1]).assign_coords(experiment=names)
    lost = {row.claim for row in verdicts(exchanged, METHOD) if not row.in_band}
    assert len(lost) >= 3, lost


def test_unmapped_digits_are_those_of_the_test_set(claims):
    upright = claims["map_accuracy"].sel(maps="none")
    assert np.allclose(upright, claims["test_accuracy"], rtol=0, atol=0.002), "a logit or two at the edge"
