"""Products with weights of degrees: against multiplication as it is written, their counts, and what they leave."""

import math

import pytest
import torch
from e3nn import o3

from tests.tolerances import BROKEN, SPACE
from workbench.e3 import degree_products, expressivity
from workbench.e3.degree_products import DEGREE_KINDS, fields_of_vectors, kinds_of_fields, path_numbers
from workbench.e3.gaunt import GauntProduct, sphere_grid
from workbench.e3.wigner import wigner_matrices
from workbench.groups import SO3

TINY = SPACE[torch.float64]
LMAX = 2


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sides(kind, seed=1):
    return [[drawn(kinds_of_fields(kind, degree), seed=seed + 10 * side + degree) for degree in range(LMAX + 1)]
            for side in range(3)]  # fmt: skip


def by_paths(kind, x, y, weights, numbers=None):
    """The sum over Clebsch-Gordan paths that the module's docstring writes."""
    out = torch.zeros_like(x)
    for (a, b, c), table in (numbers or path_numbers(kind, LMAX)).items():
        value = torch.einsum("xyz,x,y,z->", table, weights[0][a], weights[1][b], weights[2][c])
        parts = x[:, a * a : (a + 1) ** 2], y[:, b * b : (b + 1) ** 2]
        symbols = o3.wigner_3j(a, b, c, dtype=torch.float64)
        out[:, c * c : (c + 1) ** 2] += value * torch.einsum("ijk,ni,nj->nk", symbols, *parts)
    return out


def by_matrices(x, y, weights):
    """Matrices of both features multiplied, and the coefficients of the result."""
    spin = math.ceil(LMAX / 2)
    basis = [math.sqrt(2 * d + 1) * o3.wigner_3j(spin, d, spin, dtype=torch.float64) for d in range(LMAX + 1)]

    def matrix(f, side):
        parts = (
            weights[side][d] * torch.einsum("nm,imj->nij", f[:, d * d : (d + 1) ** 2], basis[d])
            for d in range(LMAX + 1)
        )
        return sum(parts)

    product = matrix(x, 0) @ matrix(y, 1)
    return torch.cat([weights[2][d] * torch.einsum("nij,imj->nm", product, basis[d]) for d in range(LMAX + 1)], 1)


def by_fields(x, y, weights):
    """Fields of vectors of both features crossed at every point of a grid, and the overlap with those of the output."""
    points, shares = sphere_grid(3 * (LMAX + 1))
    fields = [fields_of_vectors(degree, points) for degree in range(LMAX + 1)]

    def field(f, side):
        parts = (
            torch.einsum("x,nm,xmpa->npa", weights[side][d], f[:, d * d : (d + 1) ** 2], fields[d])
            for d in range(LMAX + 1)
        )
        return sum(parts)

    across = torch.linalg.cross(field(x, 0), field(y, 1), dim=-1)
    parts = [torch.einsum("x,npa,xmpa,p->nm", weights[2][d], across, fields[d], shares) for d in range(LMAX + 1)]
    return torch.cat(parts, 1)


def by_grid(x, y, weights):
    product = GauntProduct(LMAX, LMAX, LMAX).double()
    with torch.no_grad():
        for parameter, side in zip(product.parameters(), weights, strict=True):
            parameter.copy_(torch.cat(side))
        return product(x, y)


@pytest.mark.parametrize(("kind", "written"), [
    ("Gaunt grid", by_grid), ("matrix product", by_matrices), ("vector Gaunt", by_fields),
])  # fmt: skip
def test_the_numbers_of_paths_are_those_of_the_product_as_it_is_written(kind, written):
    x, y, weights = drawn(5, 9), drawn(5, 9, seed=7), sides(kind)
    right = written(x, y, weights)
    assert (by_paths(kind, x, y, weights) - right).abs().max() < TINY * right.abs().max()
    numbers = path_numbers(kind, LMAX)
    wrong = {**numbers, (2, 2, 2): 9 * numbers[2, 2, 2], (1, 1, 2): 9 * numbers[1, 1, 2]}
    assert (by_paths(kind, x, y, weights, wrong) - right).abs().max() > BROKEN * right.abs().max()


@pytest.mark.parametrize("written", [by_matrices, by_fields])
def test_they_commute_with_rotations(written):
    kind = "matrix product" if written is by_matrices else "vector Gaunt"
    x, y, weights = drawn(5, 9), drawn(5, 9, seed=7), sides(kind)
    rotation = SO3().matrix(SO3().sample(1, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    turn = torch.block_diag(*(block[0] for block in wigner_matrices(rotation, LMAX)))
    right = written(x, y, weights) @ turn.T
    assert (written(x @ turn.T, y @ turn.T, weights) - right).abs().max() < TINY * right.abs().max()
    assert (written(x @ turn.T, y, weights) - right).abs().max() > BROKEN * right.abs().max()


@pytest.mark.parametrize("kind", DEGREE_KINDS)
@pytest.mark.parametrize("lmax", [1, 2, 3])
def test_the_free_numbers_are_the_rank_of_what_weights_do_to_paths(kind, lmax):
    numbers = path_numbers(kind, lmax)
    sizes = [kinds_of_fields(kind, degree) for degree in range(lmax + 1)]

    def of_paths(weights):
        split = [side.split(sizes) for side in weights.split(sum(sizes))]
        return torch.stack([
            torch.einsum("xyz,x,y,z->", table, split[0][a], split[1][b], split[2][c])
            for (a, b, c), table in numbers.items()
        ])  # fmt: skip

    with torch.inference_mode(False):
        numbers = {path: table.clone() for path, table in numbers.items()}
        jacobian = torch.func.jacrev(of_paths)(drawn(3 * sum(sizes)))
    singular = torch.linalg.svdvals(jacobian)
    assert int((singular > 1e-9 * singular[0]).sum()) == expressivity.free_numbers(kind, lmax)


def test_matrices_and_fields_of_vectors_make_cross_products_and_no_random_product():
    for kind in ("vector Gaunt", "matrix product"):
        assert expressivity.interacts(kind, 1, 1, 1)
        assert expressivity.cross_product_floor(kind) < TINY
        assert expressivity.random_floor(kind, 2) > BROKEN
    assert not expressivity.interacts("vector Gaunt", 0, 0, 0), "two radial fields are parallel"
    assert not expressivity.interacts("matrix product", 3, 5, 5), "a 6j symbol that is 0 by accident"
    assert expressivity.random_floor("all paths", 2) == 0


def test_more_weights_leave_less_of_a_random_product():
    left = [expressivity.random_floor(kind, 2) for kind in ("Gaunt grid", "matrix product", "vector Gaunt")]
    assert left == sorted(left, reverse=True)
    assert expressivity.random_floor("even paths", 2) < left[0]


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="expected one of Gaunt grid"):
        degree_products.path_numbers("all paths", 2)
    with pytest.raises(ValueError, match="from 0 to 12"):
        degree_products.path_numbers("Gaunt grid", 13)
