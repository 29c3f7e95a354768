"""The Gaunt grid against e3nn and its algebra; what products can represent, counted and fitted."""

import math
from unittest import mock

import pytest
import torch
from e3nn import o3

from tests.tolerances import BROKEN, EXACT
from workbench.e3 import expressivity, gaunt
from workbench.e3.gaunt import GauntProduct, gaunt_factor, sphere_grid
from workbench.e3.irreps import default_dtype, harmonic_irreps

TINY = 10 * EXACT[torch.float64]


def drawn(*degrees, count=7):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(count, (degree + 1) ** 2, generator=generator, dtype=torch.float64) for degree in degrees]


def weighted(*degrees):
    product = GauntProduct(*degrees).double()
    with torch.no_grad():
        for at, weights in enumerate(product.parameters()):
            weights.copy_(torch.linspace(0.5, 1.5 + at, len(weights)))
    return product


def by_e3nn(product, x, y):
    """e3nn's product with the even paths alone, weights g w1 w2 w3 and no normalisation of its own."""
    first, second, out = (harmonic_irreps(degree) for degree in product.degrees)
    paths, weights = [], []
    for l1, w1 in enumerate(product.first):
        for l2, w2 in enumerate(product.second):
            for l3, w3 in enumerate(product.out):
                if abs(l1 - l2) <= l3 <= l1 + l2 and (l1 + l2 + l3) % 2 == 0:
                    paths.append((l1, l2, l3, "uuu", True))
                    weights.append(gaunt_factor(l1, l2, l3) * w1 * w2 * w3)
    with default_dtype(torch.float64):
        made = o3.TensorProduct(
            first, second, out, paths, irrep_normalization="none", path_normalization="none", internal_weights=False,
            shared_weights=True,
        )  # fmt: skip
    return made(x, y, torch.stack(weights))


@pytest.mark.parametrize("degrees", [(1, 1, 1), (2, 3, 4), (3, 2, 1), (4, 4, 4), (0, 2, 2)])
def test_the_grid_is_e3nn_on_even_paths_with_weights_that_factorise(degrees):
    product, (x, y) = weighted(*degrees), drawn(*degrees[:2])
    right = by_e3nn(product, x, y)
    assert (product(x, y) - right).abs().max() < TINY * right.abs().max()
    coarse = sphere_grid(max(sum(degrees) - 2, 0))
    gaunt._matrices.cache_clear()
    with mock.patch.object(gaunt, "sphere_grid", return_value=coarse):
        wrong = product(x, y)
    gaunt._matrices.cache_clear()
    assert (wrong - right).abs().max() > BROKEN * right.abs().max()


def test_it_commutes_associates_and_has_a_one():
    x, y, z = drawn(2, 2, 2)
    assert (GauntProduct(2, 2, 4)(x, y) - GauntProduct(2, 2, 4)(y, x)).abs().max() < TINY
    left = GauntProduct(4, 2, 6)(GauntProduct(2, 2, 4)(x, y), z)
    right = GauntProduct(2, 4, 6)(x, GauntProduct(2, 2, 4)(y, z))
    assert (left - right).abs().max() < TINY * left.abs().max()
    cut = GauntProduct(2, 2, 6)(GauntProduct(2, 2, 2)(x, y), z)  # degrees thrown away between: no longer associative
    assert (cut - right).abs().max() > BROKEN * right.abs().max()
    one = torch.tensor([[math.sqrt(4 * math.pi)]], dtype=torch.float64)
    assert (GauntProduct(2, 0, 2)(x, one) - x).abs().max() < TINY


def test_two_vectors_make_their_scalar_product_and_never_their_cross_product():
    (x,) = drawn(1)
    y = x.flip(0)
    x[:, 0] = y[:, 0] = 0
    out = GauntProduct(1, 1, 2)(x, y)
    assert (out[:, 0] - (x * y).sum(-1) / math.sqrt(4 * math.pi)).abs().max() < TINY
    assert out[:, 1:4].abs().max() < TINY


def test_the_grid_integrates_its_degree_and_not_more():
    points, weights = sphere_grid(8)
    overlaps = o3.spherical_harmonics(list(range(5)), points, False, normalization="integral")
    assert (overlaps.T @ (weights[:, None] * overlaps) - torch.eye(25)).abs().max() < TINY
    points, weights = sphere_grid(7)
    overlaps = o3.spherical_harmonics(list(range(5)), points, False, normalization="integral")
    assert (overlaps.T @ (weights[:, None] * overlaps) - torch.eye(25)).abs().max() > BROKEN


@pytest.mark.parametrize("wrong", [(-1, 1, 1), (1, 13, 1), (1, 1, 1.5)])
def test_degrees_that_cannot_be_and_features_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ValueError, match="from 0 to 12"):
        GauntProduct(*wrong)
    with pytest.raises(ValueError, match="second feature"):
        GauntProduct(1, 1, 1)(torch.zeros(4), torch.zeros(9))
    with pytest.raises(ValueError, match="torch.float32 and torch.float64 were given; expected one type"):
        GauntProduct(1, 1, 1)(torch.zeros(4), torch.zeros(4).double())
    with pytest.raises(ValueError, match="second of type list"):
        GauntProduct(1, 1, 1)(torch.zeros(4), [0.0] * 4)


@pytest.mark.parametrize(("kind", "counts"), [
    ("all paths", [6, 19, 44, 85, 146, 231]),
    ("all paths, filters up to L", [5, 15, 34, 65, 111, 175]),
    ("even paths", [5, 14, 30, 55, 91, 140]),
    ("even paths, filters up to L", [4, 11, 23, 42, 69, 106]),
    ("Gaunt grid", [4, 7, 10, 13, 16, 19]),
])  # fmt: skip
def test_products_have_so_many_free_numbers(kind, counts):
    assert [expressivity.free_numbers(kind, lmax) for lmax in range(1, 7)] == counts


def test_the_free_numbers_of_even_paths_are_the_paths_of_our_product():
    from workbench.e3.product import EdgeProduct

    for lmax in (1, 2, 3):
        irreps = harmonic_irreps(lmax)
        assert len(EdgeProduct(irreps, lmax, irreps).paths) == expressivity.free_numbers(expressivity.KINDS[3], lmax)
        assert len(EdgeProduct(irreps, None, irreps).paths) == expressivity.free_numbers("even paths", lmax)


def test_degrees_interact_on_the_grid_as_parity_says():
    for l1, l2, l3 in [(a, b, c) for a in range(4) for b in range(4) for c in range(4)]:
        product = GauntProduct(l1, l2, l3).double()
        x, y = torch.zeros(2, 5, 16, dtype=torch.float64)
        x, y = x[:, : (l1 + 1) ** 2].clone(), y[:, : (l2 + 1) ** 2].clone()
        drawn_x, drawn_y = drawn(l1, l2, count=5)
        x[:, l1**2 :], y[:, l2**2 :] = drawn_x[:, l1**2 :], drawn_y[:, l2**2 :]
        reached = float(product(x, y)[:, l3**2 :].detach().abs().max()) > 1e-9
        assert reached == expressivity.interacts("Gaunt grid", l1, l2, l3)
        assert reached == bool(expressivity.coupling("Gaunt grid", l1, l2, l3).any())


def test_a_cross_product_is_fitted_by_all_paths_and_leaves_the_grid_and_even_paths_with_a_floor():
    assert expressivity.cross_product_floor("all paths") < 1e-12
    for kind in ("even paths", "Gaunt grid"):
        assert expressivity.cross_product_floor(kind) > 0.9


def test_unknown_products_are_refused():
    with pytest.raises(ValueError, match="expected one of all paths"):
        expressivity.free_numbers("tensor", 2)
