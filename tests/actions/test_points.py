"""Points and sets under groups: matrices, features that ride along, left actions, refusals."""

import pytest
import torch

from tests.tolerances import EXACT
from workbench.actions import permute_set, transform_points
from workbench.groups import E3, O2, O3, SO2, SO3, Plane, RotationScale, Scale, Symmetric, Translation

TIGHT = 10 * EXACT[torch.float64]
GROUPS = [SO2(), O2(), Plane(O2()), RotationScale(), Scale(), Scale(3), SO3(), O3(), E3(), Translation(dim=3)]


def points(dim: int, features: int = 0) -> torch.Tensor:
    return torch.randn(2, 5, dim + features, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_points_move_one_by_one_as_the_group_says(group) -> None:
    g = group.sample(3, torch.Generator().manual_seed(1), torch.float64)
    moved = transform_points(points(group.dim, 2), g, group)
    assert moved.shape == (3, 2, 5, group.dim + 2)
    for e in range(3):
        expected = group.act(g[e], points(group.dim, 2)[..., : group.dim])
        assert torch.allclose(moved[e, ..., : group.dim], expected, rtol=0, atol=TIGHT)
        assert torch.equal(moved[e, ..., group.dim :], points(group.dim, 2)[..., group.dim :])


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_the_action_on_points_is_a_left_action(group) -> None:
    a, b = group.sample(2, torch.Generator().manual_seed(1), torch.float64).unsqueeze(1)
    one_by_one = transform_points(transform_points(points(group.dim), b, group)[0], a, group)
    assert torch.allclose(
        transform_points(points(group.dim), group.product(a, b), group), one_by_one, rtol=0, atol=TIGHT
    )


def test_sets_move_as_permutation_matrices_do_from_the_left() -> None:
    group = Symmetric(5)
    a, b = group.sample(2, torch.Generator().manual_seed(3)).unsqueeze(1)
    x = points(3)
    assert torch.equal(permute_set(x, a)[0], group.matrix(a.double()) @ x)
    assert torch.equal(permute_set(x, group.product(a, b)), permute_set(permute_set(x, b)[0], a))
    assert torch.equal(permute_set(permute_set(x, a)[0], group.inverse(a))[0], x)
    inverse = permute_set(x, group.inverse(torch.tensor([[1.0, 2.0, 0.0, 3.0, 4.0]])))
    assert not torch.equal(inverse, permute_set(x, torch.tensor([[1.0, 2.0, 0.0, 3.0, 4.0]])))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: transform_points(points(3)[0], SO3().grid(2), SO3()), r"expected \(B, N, 3\)"),
        (lambda: transform_points(points(3).long(), SO3().grid(2), SO3()), "use points.float"),
        (lambda: transform_points(points(3) / 0, SO3().grid(2), SO3()), "NaN"),
        (lambda: transform_points(points(3), SO3().grid(2)[:, :3], SO3()), r"expected \(E, 4\)"),
        (lambda: transform_points(points(3), SO3().grid(2) * torch.inf, SO3()), "NaN or infinite"),
        (lambda: permute_set(torch.zeros(3), torch.zeros(1, 3)), r"expected \(B, N, ...\)"),
        (lambda: permute_set(points(3), torch.zeros(1, 5)), "no permutations of 0 ... 4"),
        (lambda: permute_set(points(3), torch.zeros(1, 4)), r"expected \(E, N\)"),
        (lambda: permute_set(points(3), Symmetric(4).grid(1), Symmetric(4)), r"use Symmetric\(5\)"),
        (lambda: permute_set(points(3), SO3().grid(1), SO3()), r"of SO3 were given"),
    ],
)
def test_what_cannot_move_gets_a_sentence(make, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()
