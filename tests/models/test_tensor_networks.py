"""The claims about tensor networks: stored for five seeds, within their bands, and heard of other results."""

import numpy as np
import pytest

from workbench.measure.stress import stored_stress
from workbench.models.tensor_networks import METHOD
from workbench.training import load_claims, verdicts


@pytest.fixture(scope="module")
def claims():
    return load_claims(METHOD)


def test_five_seeds_are_stored(claims):
    assert claims["stress_error"].sizes["seed"] >= 5
    assert claims.attrs["fast"] == "false"
    assert bool(np.isfinite(claims["stress_error"]).all())


@pytest.mark.parametrize("at", range(len(METHOD.claims)), ids=[claim.id for claim in METHOD.claims])
def test_a_stored_claim_lies_in_its_band(claims, at):
    found = verdicts(claims, METHOD)[at]
    assert found.in_band, (found.claim, found.mean, found.band)


def test_claims_hear_of_models_exchanged(claims):
    """The twin: names exchanged."""
    exchanged = claims.assign_coords(model=("model", np.roll(claims["model"].values, 1)))
    lost = {row.claim for row in verdicts(exchanged, METHOD) if not row.reproduced}
    assert {"same-turned", "fewer"} <= lost


def test_the_study_has_names_of_its_own():
    assert set(stored_stress({}, fast=True).data_vars) == {"stress_error", "stress_parameters"}
