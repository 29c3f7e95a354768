"""Counts and floors of products as labelled numbers; a product with another weight is caught."""

from unittest import mock

import pytest
import torch

from tests.tolerances import EXACT
from workbench.e3 import so2
from workbench.e3.expressivity import KINDS, free_numbers
from workbench.measure.dataset import validate
from workbench.measure.products import engine_agreement, expressivity, stored_agreement, stored_expressivity


def test_counts_and_floors_are_labelled_and_only_odd_paths_make_cross_products():
    ds = validate(expressivity(3), {"free_numbers": ("product", "lmax"), "cross_product_left": ("product",)})
    assert ds["free_numbers"].values.tolist() == [[free_numbers(kind, lmax) for lmax in (1, 2, 3)] for kind in KINDS]
    left = dict(zip(ds["product"].values, ds["cross_product_left"].values, strict=True))
    made = {kind for kind in KINDS if kind.startswith("all")} | {"vector Gaunt", "matrix product"}
    assert {kind for kind, value in left.items() if value < 1e-12} == made
    assert all(value > 0.9 for kind, value in left.items() if kind not in made)
    random = ds["random_left"].transpose("product", "seed").mean("seed").to_series()
    assert {kind for kind, value in random.items() if value == 0} == set(KINDS[:2])
    assert random["vector Gaunt"] < random["matrix product"] < 1


@pytest.mark.parametrize("weights", ["shared", "edge"])
def test_both_engines_agree_and_a_wrong_turn_is_seen(weights):
    ds = validate(engine_agreement(3, weights=weights), {"difference": ("lmax", "quantity")})
    assert float(ds["difference"].max()) < EXACT[torch.float64]
    with mock.patch.object(so2, "_turns", lambda frames, slot, reach: frames.wigner[slot.degree].mT):
        assert float(engine_agreement(1, weights=weights)["difference"].min()) > 0.01


def test_the_study_holds_both_kinds_of_weights_for_every_seed():
    ds = validate(stored_agreement({}, fast=True), {"engine_difference": ("weights", "seed", "lmax", "quantity")})
    assert float(ds["engine_difference"].max()) < EXACT[torch.float64]
    assert stored_expressivity({}, fast=True).sizes["seed"] == 1
