"""The claims about fast products: stored for five seeds, within their bands, and heard of other results."""

import numpy as np
import pytest

from workbench.models.fast_products import METHOD
from workbench.training import load_claims, verdicts


@pytest.fixture(scope="module")
def claims():
    return load_claims(METHOD)


def test_five_seeds_and_five_rounds_are_stored_and_nothing_was_trained(claims):
    assert METHOD.experiments == ()
    assert claims.sizes["experiment"] == 0
    assert claims.sizes["seed"] >= 5
    assert claims.sizes["timing"] >= 5
    assert claims.attrs["fast"] == "false"
    assert bool(np.isfinite(claims["product_ms"]).all())


@pytest.mark.parametrize("at", range(len(METHOD.claims)), ids=[claim.id for claim in METHOD.claims])
def test_a_stored_claim_lies_in_its_band(claims, at):
    found = verdicts(claims, METHOD)[at]
    assert found.in_band, (found.claim, found.mean, found.band)


def test_claims_hear_of_engines_frames_and_products_exchanged(claims):
    """The twin: names exchanged."""
    exchanged = claims.assign_coords({
        name: (name, np.roll(claims[name].values, -1)) for name in ("engine", "frame", "product")
    })  # fmt: skip
    lost = {row.claim for row in verdicts(exchanged, METHOD) if not row.reproduced}
    assert {"growth-reduced", "faster-4", "faster-6-edge", "cross-product-vector", "pole-frame"} <= lost
