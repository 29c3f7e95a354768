"""Counts and floors of products as labelled numbers; a product with another weight is caught."""

from unittest import mock

import torch

from tests.tolerances import EXACT
from workbench.e3 import so2
from workbench.e3.expressivity import KINDS, free_numbers
from workbench.measure.dataset import validate
from workbench.measure.products import engine_agreement, expressivity


def test_counts_and_floors_are_labelled_and_only_odd_paths_make_cross_products():
    ds = validate(expressivity(3), {"free_numbers": ("product", "lmax"), "cross_product_left": ("product",)})
    assert ds["free_numbers"].values.tolist() == [[free_numbers(kind, lmax) for lmax in (1, 2, 3)] for kind in KINDS]
    left = dict(zip(ds["product"].values, ds["cross_product_left"].values, strict=True))
    assert all((value < 1e-12) == kind.startswith("all") for kind, value in left.items())


def test_both_engines_agree_and_a_wrong_turn_is_seen():
    ds = validate(engine_agreement(3), {"difference": ("lmax", "quantity")})
    assert float(ds["difference"].max()) < EXACT[torch.float64]
    with mock.patch.object(so2, "_turns", lambda frames, slot, reach: frames.wigner[slot.degree].mT):
        assert float(engine_agreement(1)["difference"].min()) > 0.01
