"""Frames of point clouds: exact where they exist, and what becomes of them on symmetric molecules."""

import math

import pytest
import torch
from torch import Tensor, nn

from tests.layers.symmetry import relative
from tests.tolerances import BROKEN, SPACE
from workbench.datasets.molecules import molecules
from workbench.groups import O3, SO2, SO3
from workbench.groups.orientations import icosahedral_rotations
from workbench.layers.frames import FrameAveraged, GroupAveraged, eigenvalue_gap, gram_schmidt, principal_frames

TOL = SPACE[torch.float64]
# In angstrom: C, C, O and the hydrogens of ethanol, near its relaxed structure.
ETHANOL = torch.tensor(
    [[1.17, -0.41, 0.0], [0.0, 0.56, 0.0], [-1.19, -0.21, 0.0], [-1.95, 0.38, 0.03], [2.12, 0.14, 0.02],
     [1.12, -1.05, 0.88], [1.14, -1.04, -0.9], [0.03, 1.2, 0.89], [0.01, 1.21, -0.87]],
    dtype=torch.float64,
)  # fmt: skip


def benzene() -> Tensor:
    """Six carbons at 1.39 and six hydrogens at 2.48 angstrom from the middle."""
    angles = torch.arange(6, dtype=torch.float64) * (math.pi / 3)
    ring = torch.stack([angles.cos(), angles.sin(), torch.zeros_like(angles)], -1)
    return torch.cat([1.39 * ring, 2.48 * ring])


def methane() -> Tensor:
    corners = torch.tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64)
    return torch.cat([torch.zeros(1, 3).double(), corners * (1.09 / math.sqrt(3))])


class Flat(nn.Module):
    """A network that knows no symmetry: coordinates in a row."""

    def __init__(self, count: int, outputs: int, dim: int = 3):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(dim * count, 32), nn.Tanh(), nn.Linear(32, outputs)).double()

    def forward(self, points: Tensor) -> Tensor:
        return self.layers(points.flatten(1))


class Points(Flat):
    def forward(self, points: Tensor) -> Tensor:
        return super().forward(points).view_as(points)


def turns(count: int) -> Tensor:
    group = SO3()
    return group.matrix(group.sample(count, torch.Generator().manual_seed(2), dtype=torch.float64))


def unsure(net: nn.Module, cloud: Tensor, count: int = 12) -> float:
    """Spread of the answer over poses as a share of the plain network's."""
    posed = cloud @ turns(count).mT
    plain = net.network(posed).std()
    return float((net(posed).std() / plain).detach())


# ---- frames that exist


@pytest.mark.parametrize("reflections", [False, True])
def test_frames_move_with_the_cloud_as_a_set(reflections):
    frames, centre = principal_frames(ETHANOL[None], reflections=reflections)
    assert frames.shape == (1, 8 if reflections else 4, 3, 3)
    for matrix in [*turns(3), *(-turns(1) if reflections else [])]:
        moved, there = principal_frames((ETHANOL @ matrix.T + 2)[None], reflections=reflections)
        expected = matrix @ frames[0]
        gaps = (moved[0][:, None] - expected).flatten(2).abs().amax(-1)
        assert float(gaps.amin(0).max()) <= TOL
        assert float(gaps.amin(1).max()) <= TOL
        assert torch.allclose(there[0], matrix @ centre[0] + 2, rtol=0, atol=TOL)
    own = frames[0].mT @ frames[0] - torch.eye(3, dtype=torch.float64)
    assert float(own.abs().max()) <= TOL
    if not reflections:
        assert torch.allclose(torch.linalg.det(frames), torch.ones(1, 4).double(), rtol=0, atol=TOL)


@pytest.mark.parametrize("reflections", [False, True])
def test_averages_over_frames_are_invariant_and_mirror_images_tell_the_groups_apart(reflections):
    net = FrameAveraged(Flat(9, 2), lambda p, w: principal_frames(p, w, reflections=reflections))
    plain = net(ETHANOL[None])
    for matrix in turns(3):
        moved = (ETHANOL @ matrix.T + 1.5)[None]
        assert relative(net(moved), plain) <= TOL
        assert relative(net.network(moved), net.network(ETHANOL[None])) > BROKEN, "the twin: no frames"
    mirrored = relative(net(-ETHANOL[None]), plain)
    assert (mirrored <= TOL) if reflections else (mirrored > BROKEN)


def test_vectors_and_positions_turn_with_the_cloud():
    vectors, positions = (FrameAveraged(Points(9, 27), vectors=True, moved=moved) for moved in (False, True))
    for matrix in turns(3):
        moved = (ETHANOL @ matrix.T + 1.5)[None]
        assert relative(vectors(moved), vectors(ETHANOL[None]) @ matrix.T) <= TOL
        assert relative(positions(moved), positions(ETHANOL[None]) @ matrix.T + 1.5) <= TOL
        twin = FrameAveraged(Points(9, 27))
        assert relative(twin(moved), twin(ETHANOL[None]) @ matrix.T) > BROKEN, "the twin: answers not turned back"


def test_frames_of_the_transposed_matrix_are_caught():
    """Coordinates R y in the place of R^T y: the same set of matrices, each used as its inverse."""

    def inverse(points: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        frames, centre = principal_frames(points, weights)
        return frames.mT, centre

    right, twin = (FrameAveraged(Flat(9, 2), frames) for frames in (principal_frames, inverse))
    moved = (ETHANOL @ turns(1)[0].T)[None]
    assert relative(right(moved), right(ETHANOL[None])) <= TOL
    assert relative(twin(moved), twin(ETHANOL[None])) > BROKEN


def test_a_lone_frame_instead_of_all_its_signs_is_the_twin_that_fails():
    def first(points: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        frames, centre = principal_frames(points, weights)
        return frames[:, :1], centre

    errors = [
        relative(
            FrameAveraged(Flat(9, 1), first)((ETHANOL @ m.T)[None]), FrameAveraged(Flat(9, 1), first)(ETHANOL[None])
        )
        for m in turns(8)
    ]
    assert max(errors) > BROKEN


def test_padding_of_no_weight_changes_nothing():
    weights = torch.cat([torch.ones(9), torch.zeros(3)])[None].double()
    padded = torch.cat([ETHANOL, torch.full((3, 3), 7.0).double()])[None]
    frames, centre = principal_frames(padded, weights)
    alone = principal_frames(ETHANOL[None])
    assert torch.allclose(centre, alone[1], rtol=0, atol=TOL)
    assert torch.allclose(frames.abs(), alone[0].abs(), rtol=0, atol=TOL)
    net = FrameAveraged(Flat(12, 1))
    other = torch.cat([ETHANOL, torch.full((3, 3), -2.0).double()])[None]
    assert relative(net(padded, weights=weights), net(other, weights=weights)) <= TOL
    assert relative(net(padded), net(other)) > BROKEN, "the twin: padding counted"


def test_the_plane_has_two_frames_without_mirrors_and_four_with():
    cloud = torch.randn(2, 7, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turn = SO2().matrix(torch.tensor([0.7]).double())
    net = FrameAveraged(Flat(7, 1, dim=2))
    assert principal_frames(cloud)[0].shape == (2, 2, 2, 2)
    assert principal_frames(cloud, reflections=True)[0].shape == (2, 4, 2, 2)
    assert relative(net(cloud @ turn.T), net(cloud)) <= TOL


# ---- one canonical pose


@pytest.mark.parametrize("reflections", [False, True])
def test_gram_schmidt_turns_with_its_vectors_and_gives_one_pose(reflections):
    take = 3 if reflections else 2

    def pose(cloud: Tensor) -> Tensor:
        return gram_schmidt(cloud[1 : 1 + take] - cloud[0], reflections=reflections)

    frame = pose(ETHANOL)
    assert torch.allclose(frame.mT @ frame, torch.eye(3).double(), rtol=0, atol=TOL)
    group = O3() if reflections else SO3()
    for element in group.sample(4, torch.Generator().manual_seed(1), dtype=torch.float64):
        matrix = group.matrix(element)
        moved = ETHANOL @ matrix.T
        assert torch.allclose(pose(moved), matrix @ frame, rtol=0, atol=TOL)
        assert torch.allclose(moved @ pose(moved), ETHANOL @ frame, rtol=0, atol=TOL)
    if not reflections:
        assert torch.allclose(torch.linalg.det(frame), torch.ones(()).double(), rtol=0, atol=TOL)
        mirrored = -ETHANOL
        assert not torch.allclose(mirrored @ pose(mirrored), ETHANOL @ frame, rtol=0, atol=BROKEN)
    rows = pose(moved).mT
    assert not torch.allclose(moved @ rows, ETHANOL @ frame.mT, rtol=0, atol=BROKEN), "the twin: axes in rows"


def test_a_canonical_pose_serves_as_the_only_frame_and_its_slopes_are_those_of_differences():
    def canonical(points: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        return gram_schmidt(points[:, 1:3] - points[:, :1])[:, None], points.mean(1)

    net = FrameAveraged(Flat(9, 1), canonical)
    for matrix in turns(2):
        assert relative(net((ETHANOL @ matrix.T)[None]), net(ETHANOL[None])) <= TOL
    assert slope_error(net, ETHANOL) < 1e-6
    assert slope_error(FrameAveraged(Flat(9, 1), canonical, detach=True), ETHANOL) > BROKEN, "the twin: detached"


def slope_error(net: nn.Module, cloud: Tensor) -> float:
    """Relative difference between a slope and its difference quotient."""
    x = cloud.clone().requires_grad_(True)
    slope = torch.autograd.grad(net(x[None]).sum(), x)[0]
    step = torch.randn(cloud.shape, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        quotient = (net((cloud + 1e-5 * step)[None]) - net((cloud - 1e-5 * step)[None])).sum() / 2e-5
    return float(((slope * step).sum() - quotient).abs() / quotient.abs())


# ---- averages over a group


def test_averages_over_the_sixty_rotations_are_exact_for_them_and_no_others():
    group = SO3().matrix(icosahedral_rotations(torch.float64))
    net = GroupAveraged(Flat(9, 1), group)
    plain = net(ETHANOL[None])
    assert max(relative(net((ETHANOL @ m.T)[None]), plain) for m in group[1::12]) <= TOL
    assert relative(net((ETHANOL @ turns(1)[0].T)[None]), plain) > 1e3 * TOL
    vectors = GroupAveraged(Points(9, 27), group, vectors=True)
    assert relative(vectors((ETHANOL @ group[7].T)[None]), vectors(ETHANOL[None]) @ group[7].T) <= TOL
    short = GroupAveraged(Flat(9, 1), group[:-1])
    errors = [relative(short((ETHANOL @ m.T)[None]), short(ETHANOL[None])) for m in group[1::12]]
    assert max(errors) > 1e3 * TOL, "the twin: one rotation left out"


def test_random_rotations_average_with_the_root_of_their_number():
    def spread(count: int) -> float:
        group = SO3()
        draws = torch.Generator().manual_seed(0)
        found = [
            GroupAveraged(Flat(9, 1), group.matrix(group.sample(count, draws, dtype=torch.float64)))(ETHANOL[None])
            for _ in range(60)
        ]
        return float(torch.cat(found).std().detach())

    assert 2.5 < spread(8) / spread(128) < 6


# ---- what goes wrong


@pytest.mark.parametrize(("cloud", "gap"), [(benzene(), 0.0), (methane(), 0.0), (ETHANOL, 0.02)])
def test_the_gap_of_symmetric_molecules_is_zero(cloud, gap):
    found = float(eigenvalue_gap(cloud[None]))
    assert (found < 1e-12) if gap == 0 else (found > gap)


@pytest.mark.parametrize("cloud", [benzene(), methane()])
def test_frames_of_symmetric_molecules_leave_the_answer_to_the_pose_or_its_rounding(cloud):
    count = len(cloud)
    assert unsure(FrameAveraged(Flat(count, 1)), cloud) > 1e-3
    assert unsure(FrameAveraged(Flat(9, 1)), ETHANOL) <= TOL


def test_answers_jump_where_two_axes_become_equally_long():
    """Stretched step by step through a crossing: one step moves the answer far more than any other."""
    net = FrameAveraged(Flat(9, 1))
    frames, centre = principal_frames(ETHANOL[None])
    upright = (ETHANOL - centre) @ frames[0, 0]
    values = upright.square().sum(0)
    crossing = float((values[2] / values[1]).sqrt())
    factors = torch.linspace(0.9 * crossing, 1.1 * crossing, 40, dtype=torch.float64)
    clouds = upright * torch.stack([torch.ones(40).double(), factors, torch.ones(40).double()], -1)[:, None]
    steps = net(clouds).flatten().detach().diff().abs()
    assert float(steps.max()) > 10 * float(steps.median())
    assert abs(int(steps.argmax()) - 19) <= 1


def test_slopes_grow_without_bound_towards_equal_eigenvalues_and_only_detached_ones_do_not():
    base = torch.diag(torch.tensor([3.0, 2.0, 1.0]).double())
    cloud = torch.cat([base, -base, torch.tensor([[0.3, 0.2, -0.1]]).double()])

    def slope(gap: float, detach: bool) -> float:
        squeezed = cloud * torch.tensor([1.0, 1.5 * (1 - gap), 1.0]).double()
        x = squeezed.clone().requires_grad_(True)
        net = FrameAveraged(Flat(7, 1), detach=detach)
        return float(torch.linalg.vector_norm(torch.autograd.grad(net(x[None]).sum(), x)[0]))

    # an almost symmetric cloud: the seventh point couples the two axes whose lengths meet
    kept = [slope(gap, False) for gap in (0.2, 0.02, 0.012)]
    assert slope_error(FrameAveraged(Flat(7, 1)), cloud) < 1e-5
    assert kept[-1] > 3 * kept[0]
    assert max(slope(gap, True) for gap in (0.02, 0.012)) < 3 * slope(0.2, True)


def test_benzene_has_no_single_frame_of_its_own():
    """Any vector that turns with benzene is zero or along its axis, and two such depend on each other."""
    cloud = benzene()
    summed = (cloud.pow(2).sum(-1, keepdim=True) * cloud).sum(0)
    with pytest.raises(ValueError, match="a symmetric cloud has no single frame"):
        gram_schmidt(torch.stack([summed, torch.tensor([0.0, 0.0, 1.0]).double()]))
    with pytest.raises(ValueError, match="depend on each other"):
        gram_schmidt(torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 2.0]]))


@pytest.mark.parametrize(
    ("points", "weights", "sentence"),
    [
        (torch.zeros(3, 3), None, "expected"), (torch.zeros(1, 3, 4), None, "expected"),
        (torch.full((1, 2, 3), float("nan")), None, "NaN"), (torch.zeros(1, 2, 3), torch.zeros(1, 2), "without weight"),
    ],
)  # fmt: skip
def test_wrong_clouds_are_refused_with_a_sentence(points, weights, sentence):
    with pytest.raises(ValueError, match=sentence):
        principal_frames(points, weights)
    with pytest.raises(ValueError, match="expected vectors = True"):
        FrameAveraged(nn.Identity(), moved=True)
    with pytest.raises(ValueError, match="expected"):
        gram_schmidt(torch.zeros(3, 3))


def test_half_of_the_small_molecules_have_no_principal_frames():
    """Of 148 relaxed species 72 have a gap below a thousandth of the trace, 47 none at all."""
    ds = molecules("g2")
    ds = ds.isel(structure=ds["rattle"].values == 0)
    weights = torch.from_numpy(ds["numbers"].values > 0).double()
    gaps = eigenvalue_gap(torch.from_numpy(ds["positions"].values).double().nan_to_num(), weights)
    assert len(gaps) == 148
    assert int((gaps < 1e-3).sum()) == 72
    assert 40 <= int((gaps < 1e-8).sum()) <= 50
