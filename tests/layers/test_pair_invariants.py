"""Invariants of pairs: unchanged by motions, how many are independent, and the pairs that three of them confuse."""

import math

import pytest
import torch
from torch import Tensor

from tests.tolerances import BROKEN, EXACT
from workbench.groups import SO2, SO3
from workbench.groups.base import rotation_matrix
from workbench.layers.pair_invariants import COLUMNS, SMOOTHING, frame_invariants, pair_invariants, spatial_invariants

TOL = 10 * EXACT[torch.float64]
SPACE = ("ponita3", "universal4", "chiral5")
RANK = {"ponita3": 3, "universal4": 4, "chiral5": 4, "plane3": 3, "plane4": 3}
"""The last of the chiral five is a root of what the others say; the last two of the plane's four are one angle."""


def dimension(kind: str) -> int:
    return 3 if kind in SPACE else 2


def pairs(dim: int, count: int = 5, seed: int = 0) -> tuple[Tensor, ...]:
    """Both positions and both orientations, ``(count, dim)`` each."""
    draw = torch.randn(4, count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return draw[0], draw[1], *torch.nn.functional.normalize(draw[2:], dim=-1)


def seen(kind: str, x_i: Tensor, x_j: Tensor, o_i: Tensor, o_j: Tensor) -> Tensor:
    return pair_invariants(kind, x_j - x_i, o_i, o_j)


def moved(found: tuple[Tensor, ...], matrix: Tensor, shift: Tensor | float = 0.3) -> tuple[Tensor, ...]:
    x_i, x_j, o_i, o_j = (each @ matrix.T for each in found)
    return x_i + shift, x_j + shift, o_i, o_j


def turns(dim: int, count: int) -> Tensor:
    group = SO3() if dim == 3 else SO2()
    return group.matrix(group.sample(count, torch.Generator().manual_seed(1), dtype=torch.float64))


@pytest.mark.parametrize("kind", COLUMNS)
def test_rigid_motions_of_both_change_nothing_and_of_one_do(kind):
    found = pairs(dimension(kind))
    for matrix in turns(dimension(kind), 5):
        change = seen(kind, *moved(found, matrix)) - seen(kind, *found)
        assert float(change.abs().max()) <= TOL
        x_i, x_j, _, o_j = moved(found, matrix)
        assert float((seen(kind, x_i, x_j, found[2], o_j) - seen(kind, *found)).abs().max()) > BROKEN


def jacobian_rank(kind: str, found: tuple[Tensor, ...]) -> int:
    """Rank of the slopes of the invariants of one pair in all its coordinates, orientations kept on the sphere."""
    dim = dimension(kind)

    def of(flat: Tensor) -> Tensor:
        x_i, x_j, o_i, o_j = flat.view(4, dim)
        return seen(kind, x_i, x_j, *(torch.nn.functional.normalize(each, dim=0) for each in (o_i, o_j)))

    slopes = torch.autograd.functional.jacobian(of, torch.cat(found))
    return int(torch.linalg.matrix_rank(slopes, rtol=1e-9))


@pytest.mark.parametrize("kind", COLUMNS)
def test_the_rank_of_the_slopes_is_the_number_of_independent_invariants(kind):
    """Two position-orientations less a motion: 5 + 5 - 6 = 4 in space, 3 + 3 - 3 = 3 in the plane."""
    ranks = {jacobian_rank(kind, tuple(each[at] for each in pairs(dimension(kind)))) for at in range(5)}
    assert ranks == {RANK[kind]}


def test_frames_have_six_independent_invariants():
    group = SO3()

    def of(v: Tensor) -> Tensor:
        r_i, r_j = group.matrix(group.exp(v[:3])), group.matrix(group.exp(v[3:6]))
        return frame_invariants(v[6:], r_i, r_j)

    v = torch.randn(9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert int(torch.linalg.matrix_rank(torch.autograd.functional.jacobian(of, v), rtol=1e-9)) == 6
    r_i, r_j = group.matrix(group.exp(v[:3])), group.matrix(group.exp(v[3:6]))
    turn = turns(3, 1)[0]
    assert torch.allclose(frame_invariants(turn @ v[6:], turn @ r_i, turn @ r_j), of(v), rtol=0, atol=TOL)
    assert not torch.allclose(frame_invariants(turn @ v[6:], r_i, r_j), of(v), rtol=0, atol=BROKEN)


def test_three_numbers_in_space_are_blind_to_a_turn_of_the_sender_about_the_receivers_axis():
    x, y, z = torch.eye(3, dtype=torch.float64)
    sender = [math.sin(0.9) * (math.cos(phi) * x + math.sin(phi) * y) + math.cos(0.9) * z for phi in (0.0, 2.0)]
    three = [pair_invariants("ponita3", x, z, each) for each in sender]
    assert torch.allclose(*three, rtol=0, atol=TOL)
    four = [pair_invariants("universal4", x, z, each) for each in sender]
    assert float((four[0] - four[1]).abs().max()) > 1


def test_four_numbers_in_space_are_blind_to_mirror_images_and_the_fifth_changes_sign():
    found = pairs(3)
    mirrored = moved(found, torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)))
    assert torch.allclose(seen("universal4", *found), seen("universal4", *mirrored), rtol=0, atol=TOL)
    one, other = seen("chiral5", *found), seen("chiral5", *mirrored)
    assert torch.allclose(one[:, 4], -other[:, 4], rtol=0, atol=TOL)
    assert float(one[:, 4].abs().min()) > 1e-3


def test_the_cosine_in_the_plane_forgets_the_sign_of_the_angle_and_the_sine_keeps_it():
    r, o = torch.tensor([[1.0, 0.5], [1.0, 0.0]], dtype=torch.float64)
    ends = [rotation_matrix(torch.tensor(angle, dtype=torch.float64)) @ o for angle in (0.7, -0.7)]
    assert torch.allclose(*(pair_invariants("plane3", r, o, each) for each in ends), rtol=0, atol=TOL)
    one, other = (pair_invariants("plane4", r, o, each) for each in ends)
    assert float((one - other).abs().max()) > 1


def test_the_four_of_space_give_all_products_of_the_three_vectors_back():
    """Vectors with the same products are carried onto each other by a rotation or a mirror image of one."""
    x_i, x_j, o_i, o_j = pairs(3, 1)
    vectors = torch.cat([x_j - x_i, o_i, o_j])
    along, across, cosine, other = seen("universal4", x_i, x_j, o_i, o_j)[0]
    squared = along**2 + (across + SMOOTHING**0.5) ** 2 - SMOOTHING
    one = torch.ones((), dtype=torch.float64)
    rows = [squared, along, other, along, one, cosine, other, cosine, one]
    assert torch.allclose(torch.stack(rows).view(3, 3), vectors @ vectors.T, rtol=0, atol=TOL)


def test_the_four_of_the_plane_give_the_pair_back_up_to_a_motion():
    x_i, x_j, o_i, o_j = (each[0] for each in pairs(2, 1))
    along, across, cosine, sine = pair_invariants("plane4", x_j - x_i, o_i, o_j)
    frame = torch.stack([o_i, torch.stack([-o_i[1], o_i[0]])], -1)
    assert torch.allclose(frame @ torch.stack([along, across]), x_j - x_i, rtol=0, atol=TOL)
    assert torch.allclose(frame @ torch.stack([cosine, sine]), o_j, rtol=0, atol=TOL)


def test_slopes_are_finite_on_the_axis_and_for_a_point_and_itself():
    o = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    for at in ([0.0, 0.0, 2.0], [0.0, 0.0, 0.0]):
        r = torch.tensor(at, dtype=torch.float64, requires_grad=True)
        slopes = torch.autograd.functional.jacobian(lambda r: spatial_invariants(r, o), r)
        curvature = torch.autograd.functional.hessian(lambda r: spatial_invariants(r, o)[1], r)
        assert torch.isfinite(slopes).all()
        assert torch.isfinite(curvature).all()
        bare = torch.autograd.grad(torch.linalg.vector_norm(r - (r @ o) * o).sqrt() ** 2, r)[0]
        assert not torch.isfinite(bare).all(), "the twin: the root without the small number under it"
    far = spatial_invariants(torch.tensor([3.0, 4.0, 7.0], dtype=torch.float64), o)
    assert torch.allclose(far, torch.tensor([7.0, 5.0], dtype=torch.float64), rtol=0, atol=1.01 * SMOOTHING**0.5)


@pytest.mark.parametrize(
    ("kind", "dim", "sentence"),
    [("ponita4", 3, "use 'ponita3'"), ("universal4", 2, "use 'plane4' in the plane"), ("plane3", 3, "in space")],
)
def test_wrong_kinds_and_dimensions_are_refused_with_a_sentence(kind, dim, sentence):
    with pytest.raises(ValueError, match=sentence):
        pair_invariants(kind, *torch.zeros(3, 1, dim))
    with pytest.raises(ValueError, match="frames"):
        frame_invariants(torch.zeros(3), torch.zeros(3), torch.zeros(3))
