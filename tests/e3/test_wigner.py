"""Frames of edges and their Wigner matrices: what they do to e3nn's harmonics, at the poles as anywhere."""

import math

import pytest
import torch
from e3nn import o3

from tests.tolerances import BROKEN, EXACT
from workbench.e3.wigner import EdgeFrames, generators, recursion, shortest_rotations, wigner_matrices
from workbench.groups import SO3

POLES = torch.tensor([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -2.0]], dtype=torch.float64)


def directions(dtype=torch.float64):
    seeded = torch.randn(20, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return torch.cat([POLES, seeded]).to(dtype)


def harmonics_error(blocks, rotations):
    """Largest difference of D^l Y^l(u) from Y^l(R u)."""
    u = torch.randn(len(rotations), 3, generator=torch.Generator().manual_seed(2), dtype=rotations.dtype)
    turned = (rotations @ u[:, :, None]).squeeze(-1)
    errors = []
    for degree, block in enumerate(blocks):
        before, after = (o3.spherical_harmonics(degree, at, True) for at in (u, turned))
        errors.append(float(((block @ before[:, :, None]).squeeze(-1) - after).abs().max()))
    return max(errors)


@pytest.mark.parametrize("dtype", EXACT)
def test_frames_turn_every_direction_to_the_polar_axis_and_are_rotations(dtype):
    frames = EdgeFrames(directions(dtype), 1)
    at = (frames.rotations @ frames.directions[:, :, None]).squeeze(-1)
    pole = torch.tensor([0.0, 1.0, 0.0], dtype=dtype)
    assert (at - pole).abs().max() < EXACT[dtype]
    back = (frames.rotations.mT @ frames.directions[:, :, None]).squeeze(-1)
    assert (back - pole).abs().amax(1)[len(POLES) :].min() > BROKEN, "the twin: the transposed rotation"
    assert (frames.rotations @ frames.rotations.mT - torch.eye(3, dtype=dtype)).abs().max() < EXACT[dtype]
    assert (torch.linalg.det(frames.rotations) - 1).abs().max() < EXACT[dtype]


@pytest.mark.parametrize("dtype", EXACT)
def test_wigner_matrices_turn_harmonics_and_transposed_ones_do_not(dtype):
    frames = EdgeFrames(directions(dtype), 8)
    assert harmonics_error(frames.wigner, frames.rotations) < 4 * EXACT[dtype]
    assert harmonics_error([block.mT for block in frames.wigner], frames.rotations) > BROKEN


def test_only_the_middle_component_of_a_harmonic_is_left_in_the_frame():
    frames = EdgeFrames(directions(), 4)
    start = 0
    for degree, block in enumerate(frames.wigner):
        values = frames.harmonics(4)[:, start : start + 2 * degree + 1, None]
        left = (block @ values).squeeze(-1)
        left[:, degree] -= math.sqrt(2 * degree + 1)
        assert left.abs().max() < EXACT[torch.float64] * 10
        start += 2 * degree + 1


@pytest.mark.parametrize("degree", [1, 2, 5])
def test_generators_are_the_derivatives_of_wigner_matrices(degree):
    step = 1e-6
    for axis, generator in zip(torch.eye(3, dtype=torch.float64), generators(degree), strict=True):
        both = [wigner_matrices(SO3().matrix(SO3().exp(s * axis))[None], degree)[degree][0] for s in (step, -step)]
        assert ((both[0] - both[1]) / (2 * step) - generator).abs().max() < 1e-8


def test_the_gradient_by_generators_is_that_of_the_recursion():
    vectors = directions().requires_grad_()
    weights = [torch.randn(24, rows, rows, dtype=torch.float64) for rows in (3, 5, 7, 9)]

    def gradient(make):
        rotations = shortest_rotations(vectors / vectors.norm(dim=-1, keepdim=True))
        total = sum((w * d.sin()).sum() for w, d in zip(weights, make(rotations), strict=True))
        return torch.autograd.grad(total, vectors)[0]

    right = gradient(lambda r: recursion(r, 4))
    assert (gradient(lambda r: wigner_matrices(r, 4)[1:]) - right).abs().max() < EXACT[
        torch.float64
    ] * right.abs().max()
    wrong = gradient(lambda r: wigner_matrices(r.detach() + 0 * r, 4)[1:]) * -1
    assert (wrong - right).abs().max() > BROKEN * right.abs().max()


def test_gradients_of_gradients_agree_with_finite_differences_at_the_poles_too():
    vectors = POLES[:2].clone().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda v: EdgeFrames(v, 3).wigner[1:], (vectors,))


@pytest.mark.parametrize("given", [
    torch.zeros(3), torch.zeros(2, 2), torch.ones(1, 3, dtype=torch.long), torch.full((1, 3), math.nan),
    torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), [[0.0, 1.0, 0.0]],
])  # fmt: skip
def test_vectors_without_a_direction_are_refused_in_a_sentence(given):
    with pytest.raises(ValueError, match=r"given; expected|no direction"):
        EdgeFrames(given, 1)


def test_no_edges_and_a_degree_of_zero_are_fine_and_13_is_not():
    assert [tuple(block.shape) for block in EdgeFrames(torch.zeros(0, 3), 2).wigner] == [
        (0, 1, 1),
        (0, 3, 3),
        (0, 5, 5),
    ]
    assert len(EdgeFrames(torch.ones(1, 3), 0).wigner) == 1
    with pytest.raises(ValueError, match="13"):
        EdgeFrames(torch.ones(1, 3), 13)
