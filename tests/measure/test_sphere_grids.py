"""Grids on the sphere: exact for a product from three times its degree on, never for a tanh."""

from unittest import mock

import numpy as np
import pytest
import torch

from tests.tolerances import BROKEN, SPACE
from workbench.e3.gaunt import GauntProduct
from workbench.measure import sphere_grids
from workbench.measure.dataset import validate


@pytest.fixture(scope="module")
def errors():
    few = mock.patch.object(sphere_grids, "RESOLUTIONS", (6, 18, 40))
    with few, mock.patch.object(sphere_grids, "DEGREES", (1, 2)):
        ds = sphere_grids.grid_errors(2)
    dims = {"product_error": ("lmax", "degree", "seed"), "activation_error": ("lmax", "resolution", "seed")}
    return validate(ds, dims)


@pytest.mark.parametrize("lmax", [1, 2])
def test_a_product_needs_three_times_its_degree_and_no_more(errors, lmax):
    found = errors["product_error"].sel(lmax=lmax)
    assert float(found.sel(degree=slice(3 * lmax, 3 * lmax + 3)).max()) < SPACE[torch.float64]
    assert float(found.sel(degree=slice(0, 3 * lmax - 1)).min()) > BROKEN
    assert bool(np.isnan(found.sel(degree=slice(3 * lmax + 4, None))).all())


def test_a_finer_grid_leaves_less_of_an_activation_and_more_at_higher_degrees(errors):
    found = errors["activation_error"].mean("seed")
    assert bool((found.diff("resolution") < 0).all())
    assert bool((found.sel(lmax=2, resolution=[18, 40]) > found.sel(lmax=1, resolution=[18, 40])).all())


def test_the_product_on_the_grid_is_the_gaunt_product():
    x, y = torch.randn(2, 3, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    right = GauntProduct(2, 2, 2).double()(x, y).detach()
    assert float((sphere_grids._product(x, y, 2, 6) - right).abs().max()) < SPACE[torch.float64]


def test_too_few_rings_are_no_number():
    generator = torch.Generator().manual_seed(0)
    assert np.isnan(sphere_grids._activation_error(torch.ones(1, 9, dtype=torch.float64), 2, 5, generator))
