"""Scalings, rotations of space, rigid motions, shifts of a line and permutations: axioms, referees, names."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.tolerances import AGAIN, EXACT
from workbench.groups import E3, O1, O3, SL, SO3, GLPlus, RotationScale, Scale, Symmetric, Translation, parse_group

GROUPS = [
    Scale(), Scale(1), Scale(3), Scale(2, 4.0), RotationScale(), RotationScale(3.0), SL(), SL(3.0), GLPlus(),
    GLPlus(1.5), SO3(), O3(), E3(), E3(5.0), Translation(dim=1), Translation(dim=3), Translation(3.0, dim=3),
    Symmetric(1), Symmetric(2), Symmetric(7), O1(),
]  # fmt: skip
TOL = 10 * EXACT[torch.float64]


def three(group, seed: int) -> torch.Tensor:
    return group.sample(3, torch.Generator().manual_seed(seed), dtype=torch.float64)


def homogeneous(group, g: torch.Tensor) -> torch.Tensor:
    m = torch.eye(group.dim + 1, dtype=torch.float64)
    m[:-1, :-1] = group.matrix(g)
    if (shift := group.shift(g)) is not None:
        m[:-1, -1] = shift
    return m


@pytest.mark.parametrize("group", GROUPS, ids=str)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_axioms_hold_and_matrices_are_a_homomorphism(group, seed: int) -> None:
    a, b, c = three(group, seed)
    e, eye = group.identity(torch.float64), torch.eye(group.dim + 1, dtype=torch.float64)

    def m(g: torch.Tensor) -> torch.Tensor:
        return homogeneous(group, g)

    product = group.product
    assert torch.allclose(m(product(product(a, b), c)), m(product(a, product(b, c))), rtol=0, atol=TOL)
    assert torch.allclose(m(product(a, e)), m(a), rtol=0, atol=TOL)
    assert torch.allclose(m(product(a, group.inverse(a))), eye, rtol=0, atol=TOL)
    assert torch.allclose(m(product(group.inverse(a), a)), eye, rtol=0, atol=TOL)
    assert torch.allclose(m(product(a, b)), m(a) @ m(b), rtol=0, atol=TOL)
    assert torch.allclose(m(group.exp(group.log(a))), m(a), rtol=0, atol=TOL)
    assert bool(group.contains(product(a, b)))


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_the_action_on_points_is_the_matrix_and_the_shift(group) -> None:
    g, p = three(group, 0)[0], torch.rand(5, group.dim, dtype=torch.float64)
    expected = torch.cat([p, torch.ones(5, 1)], -1) @ homogeneous(group, g).T
    assert torch.allclose(group.act(g, p), expected[:, :-1], rtol=0, atol=TOL)
    with pytest.raises(ValueError, match=rf"expected \(\.\.\., {group.dim}\)"):
        group.act(g, torch.rand(5, group.dim + 1))


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_the_distance_is_left_invariant_and_zero_on_equals(group) -> None:
    for seed in range(5):
        a, b, c = three(group, seed)
        before, after = group.distance(a, b), group.distance(group.product(c, a), group.product(c, b))
        assert torch.equal(before, after) or abs(float(before - after)) < 1e-7
        assert float(group.distance(a, a)) < 1e-7


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_names_read_back(group) -> None:
    assert parse_group(group.name) == group
    assert parse_group(group.name).identity().tolist() == group.identity().tolist()


@pytest.mark.parametrize(
    "name",
    [
        "Scale(4)",
        "Scale(2,1)",
        "E3(0)",
        "Symmetric(0)",
        "Symmetric(999999)",
        "SO4",
        "Scale()",
        "SL(3)",
        "SL(2,1)",
        "GLPlus",
        "RotationScale(1)",
    ],
)
def test_names_of_groups_that_cannot_be_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_group(name)


def test_rotations_of_space_are_scipys() -> None:
    q = SO3().sample(20, torch.Generator().manual_seed(0), torch.float64)
    referee = Rotation.from_quat(q.numpy(), scalar_first=True)
    assert np.allclose(SO3().matrix(q), referee.as_matrix(), rtol=0, atol=TOL)
    assert np.allclose(SO3().log(q), referee.as_rotvec(), rtol=0, atol=TOL)
    both = SO3().product(q[:10], q[10:])
    assert np.allclose(SO3().matrix(both), (referee[:10] * referee[10:]).as_matrix(), rtol=0, atol=TOL)


def test_a_quaternion_product_with_a_wrong_sign_is_caught() -> None:
    class Wrong(SO3):
        def product(self, a, b):
            return super().product(b, a)  # the sign of the cross product is the order of the factors

    a, b, _ = three(Wrong(), 1)
    assert (Wrong().matrix(Wrong().product(a, b)) - Wrong().matrix(a) @ Wrong().matrix(b)).abs().max() > 0.1


def test_the_exponential_is_smooth_at_the_identity_and_the_logarithm_short() -> None:
    v = torch.tensor([[0.0, 0.0, 0.0], [1e-9, 0.0, 0.0], [0.0, math.pi - 1e-6, 0.0]], dtype=torch.float64)
    assert torch.allclose(SO3().log(SO3().exp(v)), v, rtol=0, atol=1e-9)
    assert torch.allclose(SO3().log(-SO3().exp(v)), v, rtol=0, atol=1e-9)  # q and -q are one rotation
    v.requires_grad_()
    SO3().exp(v).sum().backward()
    assert bool(torch.isfinite(v.grad).all())


@pytest.mark.parametrize("make", [SO3().sample, lambda n, **k: SO3().grid(n, **k)], ids=["sample", "grid"])
def test_rotations_of_space_are_spread_evenly(make) -> None:
    q = make(2000, dtype=torch.float64)
    assert bool(SO3().contains(q).all())
    m = SO3().matrix(q)
    assert float(m.mean(0).abs().max()) < 4 / math.sqrt(2000)  # no direction is preferred
    traces = m.diagonal(dim1=-2, dim2=-1).sum(-1)
    assert abs(float(traces.square().mean()) - 1) < 0.1  # the character's square integrates to one


def test_the_grid_leaves_smaller_holes_than_chance() -> None:
    probe = SO3().sample(300, torch.Generator().manual_seed(1), torch.float64)
    hole = [
        float((1 - (probe @ points.T).abs()).min(1).values.max())
        for points in (
            SO3().grid(500, dtype=torch.float64),
            SO3().sample(500, torch.Generator().manual_seed(2), torch.float64),
        )
    ]
    assert hole[0] < hole[1]


def test_reflections_of_space_reverse_orientation_and_half_of_the_grid_are_some() -> None:
    grid = O3().grid(10, dtype=torch.float64)
    assert torch.linalg.det(O3().matrix(grid)).round().tolist() == [1.0] * 5 + [-1.0] * 5
    assert math.isinf(float(O3().distance(grid[0], grid[5])))
    with pytest.raises(ValueError, match="use 8"):
        O3().grid(7)


def test_rigid_motions_shift_after_they_turn() -> None:
    turn = torch.cat([SO3().exp(torch.tensor([0.0, 0.0, math.pi / 2])), torch.tensor([1.0, 1.0, 0.0, 0.0])])
    assert E3().act(turn, torch.tensor([1.0, 0.0, 0.0])).round(decimals=5).tolist() == [1.0, 1.0, 0.0]


def test_scale_grids_are_even_in_the_logarithm_and_hold_the_identity() -> None:
    assert Scale().grid(5, dtype=torch.float64).flatten().tolist() == pytest.approx(
        [0.5, 2**-0.5, 1, 2**0.5, 2], rel=AGAIN
    )
    assert RotationScale().grid(3).shape == (9, 2)
    assert not bool(Scale().contains(torch.tensor([-1.0])))
    assert Scale().act(torch.tensor([2.0]), torch.tensor([1.0, -3.0])).tolist() == [2.0, -6.0]


def test_grids_of_shifts_fill_their_cube() -> None:
    assert Translation(4.0, dim=1).grid(4).flatten().tolist() == [-2.0, -1.0, 0.0, 1.0]
    assert len(Translation(dim=3).grid(27).unique(dim=0)) == 27
    with pytest.raises(ValueError, match="cubic number; use 27"):
        Translation(dim=3).grid(26)


def test_permutations_are_all_there_and_uniform() -> None:
    group = Symmetric(3)
    drawn = group.sample(6000, torch.Generator().manual_seed(0))
    counts = drawn.unique(dim=0, return_counts=True)[1]
    assert len(counts) == 6
    assert bool(((counts - 1000).abs() < 4 * math.sqrt(1000)).all())
    assert bool(group.contains(drawn).all())
    assert not bool(group.contains(torch.tensor([0.0, 0.0, 2.0])))


def test_the_grid_of_permutations_has_the_identity_swaps_and_turns() -> None:
    grid = Symmetric(6).grid(9)
    assert grid[0].tolist() == list(range(6))
    assert len(grid.unique(dim=0)) == len(grid) == 9
    moved = Symmetric(6).distance(grid, grid[0]).tolist()
    assert 2.0 in moved
    assert 6.0 in moved
    assert len(Symmetric(2).grid(8)) == 2
    assert len(Symmetric(1).grid(8)) == 1


@pytest.mark.parametrize("d", [0, 4, 2.5, True, "2"])
def test_dimensions_that_cannot_be_are_refused(d) -> None:
    for make in (Scale, lambda d: Translation(dim=d)):
        with pytest.raises(ValueError, match="1, 2 or 3"):
            make(d)
