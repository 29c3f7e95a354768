"""Grids of orientations: designs to rounding against scipy's harmonics, symmetries, and the spiral that is neither."""

import math

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from tests.tolerances import BROKEN, EXACT
from workbench.groups import SO3
from workbench.groups.orientations import (
    Orientations,
    design_strength,
    harmonic_residuals,
    icosahedral_rotations,
    orientation_grid,
)

TOL = EXACT[torch.float64]
SYMMETRIC = {"icosahedron": (12, 5), "dodecahedron": (20, 5), "icosahedral(32)": (32, 9)}


def grid(name: str, **options) -> Orientations:
    return orientation_grid(name, dtype=torch.float64, **options)


def harmonic_means(g: Orientations, degree: int) -> float:
    """The largest mean of scipy's 2l + 1 harmonics."""
    x, y, z = g.points.T.numpy()
    polar, longitude = np.arccos(np.clip(z, -1, 1)), np.arctan2(y, x)
    means = [np.sum(g.weights.numpy() * sph_harm_y(degree, m, polar, longitude)) for m in range(-degree, degree + 1)]
    return float(np.abs(means).max())


def unsettled(points: torch.Tensor) -> float:
    """How far the 60 rotations take a point from all points of the grid, at most."""
    moved = torch.einsum("rij,kj->rki", SO3().matrix(icosahedral_rotations(torch.float64)), points)
    return float(torch.linalg.vector_norm(moved[:, :, None] - points, dim=-1).amin(-1).max())


@pytest.mark.parametrize("name", SYMMETRIC)
def test_orbits_of_the_icosahedron_are_designs_of_the_strength_promised(name):
    g, (count, strength) = grid(name), SYMMETRIC[name]
    assert len(g.points) == count
    assert abs(float(g.weights.sum()) - 1) <= TOL
    assert max(harmonic_means(g, degree) for degree in range(1, strength + 1)) <= 1e-15
    assert harmonic_means(g, strength + 1) > BROKEN
    assert design_strength(g) == strength == design_strength(orientation_grid(name))
    assert float(harmonic_residuals(g, strength).max()) <= 2e-15


def test_the_spiral_and_the_union_without_its_weights_are_the_twins_that_are_no_designs():
    spiral, union = grid("fibonacci(32)"), grid("icosahedral(32)")
    assert design_strength(spiral) == 0
    assert max(harmonic_means(spiral, degree) for degree in range(1, 10)) > 1e-3
    alike = union._replace(weights=torch.full((32,), 1 / 32, dtype=torch.float64))
    assert design_strength(alike) == 5
    assert float(harmonic_residuals(alike, 6)[5]) > 1e-3


@pytest.mark.parametrize("name", [*SYMMETRIC, "fibonacci(12)", "repulsion(20)"])
@pytest.mark.parametrize("degree", [1, 2, 6])
def test_residuals_see_what_the_harmonics_see(name, degree):
    """The mean of squares of P_l(o . u) over u is 4 pi / (2l + 1)^2 times the sum of squared means of harmonics."""
    g = grid(name)
    largest, all_zero = float(harmonic_residuals(g, degree)[degree - 1]), harmonic_means(g, degree) < 1e-14
    assert (largest < 1e-14) == all_zero
    if not all_zero:
        assert largest >= math.sqrt(4 * math.pi) / (2 * degree + 1) * harmonic_means(g, degree) * (1 - BROKEN)


@pytest.mark.parametrize("name", SYMMETRIC)
def test_the_sixty_rotations_permute_their_grids_and_no_spiral(name):
    assert unsettled(grid(name).points) <= 1e-14
    assert unsettled(grid("fibonacci(32)").points) > BROKEN


def test_the_sixty_rotations_are_a_group():
    elements, group = icosahedral_rotations(torch.float64), SO3()
    products = group.product(elements[:, None], elements).reshape(-1, 4)
    nearest = (products @ elements.T).abs().amax(-1)
    assert elements.shape == (60, 4)
    assert float((nearest - 1).abs().max()) <= TOL
    apart = (elements @ elements.T).abs() - torch.eye(60, dtype=torch.float64)
    assert float(apart.max()) < 0.9
    assert torch.equal(elements[0], group.identity(torch.float64))


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_the_circle_leaves_out_its_end_and_is_a_design_below_its_size(count):
    g = grid(f"circle({count})")
    assert torch.equal(g.points[0], torch.tensor([1.0, 0.0], dtype=torch.float64))
    residuals = harmonic_residuals(g, 8)
    expected = [0.0 if degree % count else 1.0 for degree in range(1, 9)]
    assert np.abs(residuals.numpy() - expected).max() <= TOL
    angles = torch.linspace(0, 2 * math.pi, count + 1, dtype=torch.float64)
    twin = Orientations(
        torch.stack([angles.cos(), angles.sin()], -1), torch.full((count + 1,), 1 / (count + 1)).double()
    )
    assert float(harmonic_residuals(twin, 1)[0]) > BROKEN, "the end counted twice"


@pytest.mark.parametrize("name", [*SYMMETRIC, "circle(3)", "circle(8)"])
def test_vectors_come_back_from_their_projections_times_the_dimension(name):
    g = grid(name)
    dim = g.points.shape[1]
    second = torch.einsum("k,ki,kj->ij", g.weights, g.points, g.points)
    assert float((second - torch.eye(dim, dtype=torch.float64) / dim).abs().max()) <= TOL


def test_spiral_and_repulsion_give_vectors_back_only_nearly():
    for name in ("fibonacci(12)", "repulsion(20)"):
        g = grid(name)
        second = g.points.T @ g.points / len(g.points)
        assert float((second - torch.eye(3, dtype=torch.float64) / 3).abs().max()) > 1e-3


def test_repulsion_depends_on_its_seed_alone():
    first, again, other = (grid("repulsion(9)", seed=seed).points for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, rtol=BROKEN, atol=0)
    icosahedral = grid("repulsion(12)").points
    cosines = (icosahedral @ icosahedral.T).flatten().abs()
    assert float(torch.minimum((cosines - 1).abs(), (cosines - 5**-0.5).abs()).max()) < 1e-3, "twelve charges find it"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("icosahedrom", "use 'icosahedron'"), ("circle(0)", "expected 1 to"), ("fibonacci(99999)", "4 to 4096"),
        ("repulsion(513)", "4 to 512"), (12, "orientation grid 12 was given"), ("", "was given"),
        ("circle(-3)", "circle"),
    ],
)  # fmt: skip
def test_names_of_no_grid_are_refused_with_a_sentence(name, sentence):
    with pytest.raises(ValueError, match="orientation grid") as caught:
        orientation_grid(name)
    assert sentence in str(caught.value)
    with pytest.raises(ValueError, match="lmax"):
        harmonic_residuals(grid("icosahedron"), 0)
