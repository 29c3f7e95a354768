"""Group axioms, actions and grids of the planar groups, in float64, against plain matrices."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.groups import O2, SO2, C, Cyclic, D, Plane, Translation, parse_group

GROUPS = [SO2(), O2(), C(8), D(4), D(1), Translation(), Plane(SO2()), Plane(O2()), Plane(C(6))]
TOL = 1e-12


def three(group, seed):
    return group.sample(3, torch.Generator().manual_seed(seed), dtype=torch.float64)


def homogeneous(group, g):
    m = torch.eye(3, dtype=torch.float64)
    m[:2, :2] = group.matrix(g)
    if (shift := group.shift(g)) is not None:
        m[:2, 2] = shift
    return m


@pytest.mark.parametrize("group", GROUPS, ids=str)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_axioms_hold_and_matrices_are_a_homomorphism(group, seed):
    a, b, c = three(group, seed)
    e = group.identity(torch.float64)
    left = homogeneous(group, group.product(group.product(a, b), c))
    right = homogeneous(group, group.product(a, group.product(b, c)))
    assert torch.allclose(left, right, rtol=0, atol=TOL)
    assert torch.allclose(homogeneous(group, group.product(a, e)), homogeneous(group, a), rtol=0, atol=TOL)
    assert torch.allclose(
        homogeneous(group, group.product(a, group.inverse(a))), torch.eye(3).double(), rtol=0, atol=TOL
    )
    assert torch.allclose(
        homogeneous(group, group.product(a, b)), homogeneous(group, a) @ homogeneous(group, b), rtol=0, atol=TOL
    )
    assert torch.allclose(homogeneous(group, group.exp(group.log(a))), homogeneous(group, a), rtol=0, atol=TOL)
    assert bool(group.contains(group.product(a, b)))


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_the_distance_is_left_invariant_and_zero_on_equals(group):
    for seed in range(5):
        a, b, c = three(group, seed)
        before, after = group.distance(a, b), group.distance(group.product(c, a), group.product(c, b))
        assert torch.equal(before, after) or abs(float(before - after)) < 1e-11
        assert float(group.distance(a, a)) < 1e-12


def test_a_product_with_the_wrong_mirror_sign_is_caught_by_the_homomorphism():
    class Wrong(O2):
        def product(self, a, b):
            return torch.stack([a[..., 0] + b[..., 0], a[..., 1] * b[..., 1]], -1)

    group = Wrong()
    a, b = torch.tensor([[0.3, -1.0], [1.1, -1.0]], dtype=torch.float64)
    assert (group.matrix(group.product(a, b)) - group.matrix(a) @ group.matrix(b)).abs().max() > 0.1


def test_quarter_turns_have_exact_integer_matrices():
    for dtype in (torch.float32, torch.float64):
        turns = torch.tensor([[k * math.pi / 2] for k in range(-8, 9)], dtype=dtype)
        m = SO2().matrix(turns)
        assert torch.equal(m, m.round())


@pytest.mark.parametrize("n", [1, 2, 4, 8, 16, 32])
def test_grids_are_even_and_closed_under_their_own_rotations(n):
    group = SO2()
    grid = group.grid(n, dtype=torch.float64)
    turned = group.product(grid[1 % n], grid)
    d = group.distance(turned[:, None], grid[None])
    assert (d.min(1).values < 1e-12).all()
    assert (d.min(0).values < 1e-12).all()


def test_grid_sizes_that_cannot_be_are_refused_with_the_fix():
    with pytest.raises(ValueError, match="even number"):
        O2().grid(7)
    with pytest.raises(ValueError, match="divisor of 8"):
        C(8).grid(3)
    for bad in (0, -1, 2.5, True, "8"):
        with pytest.raises(ValueError, match="positive integer"):
            SO2().grid(bad)
        with pytest.raises(ValueError, match="positive integer"):
            Cyclic(bad)
    with pytest.raises(ValueError, match="square number"):
        Translation().grid(3)


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_names_read_back(group):
    assert parse_group(group.name) == group
    assert hash(parse_group(group.name)) == hash(group)


@pytest.mark.parametrize("name", ["", "C(0)", "C(-3)", "C(99999)", "SO3x", "__import__('os')", "D()", None])
def test_unknown_names_are_refused(name):
    with pytest.raises(ValueError, match="expected"):
        parse_group(name)


def test_samples_follow_the_haar_measure():
    g = SO2().sample(20_000, torch.Generator().manual_seed(0), dtype=torch.float64)[:, 0]
    for k in (1, 2, 3):
        assert abs(torch.exp(1j * k * g).mean()) < 4 / math.sqrt(20_000)
