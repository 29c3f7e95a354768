"""Networks over positions and orientations: symmetric under what moves their grid, against loops and broken twins."""

import pytest
import torch
from torch import Tensor

from tests.layers.symmetry import relative as relative_error
from tests.tolerances import BROKEN, EXACT, SPACE
from workbench.groups import O3, SO2, SO3
from workbench.groups.orientations import icosahedral_rotations
from workbench.layers import orientation_kernels
from workbench.layers.orientation_kernels import OrientationKernels, monomials, window
from workbench.layers.position_orientation import PositionOrientationNet, _gathered, _turned, edges_that_meet

TOL = SPACE[torch.float64]
ICOSAHEDRAL = ("icosahedron", "dodecahedron", "icosahedral(32)")


def network(grid: str, seed: int = 0, dtype: torch.dtype = torch.float64, **options) -> PositionOrientationNet:
    torch.manual_seed(seed)
    settings = {"scalars_in": 2, "vectors_in": 1, "scalars_out": 2, "vectors_out": 1, "channels": 6, "basis": 8}
    return PositionOrientationNet(**{**settings, "grid": grid, "radius": 4.0, **options}).to(dtype).eval()


def cloud(dim: int = 3, count: int = 6, seed: int = 1) -> tuple[Tensor, ...]:
    """Positions, scalars and vectors of points."""
    draw = torch.Generator().manual_seed(seed)
    shapes = (count, dim), (count, 2), (count, 1, dim)
    return tuple(torch.randn(*shape, generator=draw, dtype=torch.float64) for shape in shapes)


def everybody(count: int) -> tuple[Tensor, Tensor]:
    return (~torch.eye(count, dtype=torch.bool)).nonzero().unbind(1)


def answers(net: PositionOrientationNet, x: Tensor, scalars: Tensor, vectors: Tensor | None) -> tuple[Tensor, Tensor]:
    sender, receiver = everybody(len(x))
    return net(scalars, sender, receiver, x[sender] - x[receiver], vectors)


def error(net: PositionOrientationNet, matrix: Tensor, seed: int = 1) -> float:
    """Relative error of the vectors of a turned cloud, and of its scalars, the larger one; turned in float64."""
    dtype = next(net.parameters()).dtype
    x, scalars, vectors = cloud(net.dim, seed=seed)
    plain, turned = (
        [part.double() for part in answers(net, *(part.to(dtype) for part in given))]
        for given in ((x, scalars, vectors), (x @ matrix.T, scalars, vectors @ matrix.T))
    )
    return max(relative_error(turned[0], plain[0]), relative_error(turned[1], plain[1] @ matrix.T))


def sixty() -> Tensor:
    return SO3().matrix(icosahedral_rotations(torch.float64))


def turns(dim: int, count: int) -> Tensor:
    group = SO3() if dim == 3 else SO2()
    return group.matrix(group.sample(count, torch.Generator().manual_seed(3), dtype=torch.float64))


# ---- symmetries


@pytest.mark.parametrize("grid", ICOSAHEDRAL)
def test_rotations_that_permute_the_grid_are_symmetries_to_rounding(grid):
    net = network(grid)
    assert max(error(net, matrix) for matrix in sixty()[1::6]) <= TOL
    assert error(network("fibonacci(12)"), sixty()[7]) > BROKEN, "the twin: a grid that they do not permute"
    net.points[0] = -net.points[0]
    assert error(net, sixty()[7]) > BROKEN, "the twin: one orientation the wrong way"


@pytest.mark.parametrize("grid", [*ICOSAHEDRAL, "edges"])
def test_networks_of_single_precision_are_as_symmetric_as_it_allows(grid):
    net = network(grid, dtype=torch.float32)
    assert max(error(net, matrix) for matrix in sixty()[1::12]) <= SPACE[torch.float32]
    twin = network("fibonacci(12)", dtype=torch.float32)
    assert error(twin, sixty()[7]) > BROKEN, "the twin: a grid that they do not permute"


def test_weights_that_belong_to_other_orientations_are_the_twin_of_the_union():
    net = network("icosahedral(32)")
    net.weights[:] = net.weights.roll(3)
    assert error(net, sixty()[7]) > EXACT[torch.float32]


@pytest.mark.parametrize(
    ("count", "invariants", "separable"),
    [(8, "plane4", True), (5, "plane4", True), (8, "plane3", True), (8, "plane4", False)],
)
def test_turns_of_the_circle_are_symmetries_to_rounding(count, invariants, separable):
    net = network(f"circle({count})", invariants=invariants, separable=separable)
    angles = SO2().grid(count, dtype=torch.float64)
    assert max(error(net, SO2().matrix(angle)) for angle in angles) <= TOL
    assert error(net, SO2().matrix(angles[1] / 2)) > 1e3 * TOL


@pytest.mark.parametrize(("invariants", "exact"), [("ponita3", True), ("universal4", True), ("chiral5", False)])
def test_full_kernels_are_as_symmetric_and_only_the_determinant_sees_mirror_images(invariants, exact):
    net = network("icosahedron", invariants=invariants, separable=False, basis=4)
    assert max(error(net, matrix) for matrix in sixty()[1::20]) <= TOL
    mirror = -sixty()[5]
    assert (error(net, mirror) <= TOL) == exact


@pytest.mark.parametrize("invariants", ["ponita3", "universal4", "chiral5"])
def test_orientations_along_edges_are_exact_for_any_rotation_and_mirror_image(invariants):
    """The determinant of chiral5 is 0 here: the way between two edges that meet lies along one of them."""
    net = network("edges", invariants=invariants)
    group = O3()
    for element in group.sample(6, torch.Generator().manual_seed(3), dtype=torch.float64):
        assert error(net, group.matrix(element)) <= TOL
    assert error(network("icosahedron"), turns(3, 1)[0]) > 1e3 * TOL, "the twin: a grid"


def test_distances_are_exact_for_any_motion_and_have_no_vectors():
    net = network("distances", vectors_in=0, vectors_out=0)
    x, scalars, _ = cloud()
    plain = answers(net, x, scalars, None)[0]
    for matrix in turns(3, 3):
        assert relative_error(answers(net, x @ matrix.T + 5, scalars, None)[0], plain) <= TOL
    with pytest.raises(ValueError, match="vectors were asked"):
        network("distances")


def test_random_rotations_cost_what_the_grid_is_worth():
    """Designs beat a spiral of the same size, as in the table of the released code's study."""

    x, scalars, _ = cloud()

    def error_of_vectors(grid: str, seed: int, matrix: Tensor) -> Tensor:
        net = network(grid, seed, vectors_in=0, radius=None)
        plain, turned = (answers(net, 0.3 * each, scalars, None)[1].detach() for each in (x, x @ matrix.T))
        return torch.linalg.vector_norm(turned - plain @ matrix.T) / torch.linalg.vector_norm(plain)

    def median(grid: str) -> float:
        return float(torch.stack([error_of_vectors(grid, seed, m) for seed in range(4) for m in turns(3, 5)]).median())

    errors = {grid: median(grid) for grid in (*ICOSAHEDRAL, "fibonacci(32)")}
    assert errors["icosahedral(32)"] < errors["dodecahedron"] < errors["icosahedron"] < errors["fibonacci(32)"]


def test_points_may_come_in_any_order():
    net, (x, scalars, vectors) = network("icosahedron"), cloud()
    order = torch.tensor([3, 1, 0, 5, 4, 2])
    plain, other = answers(net, x, scalars, vectors), answers(net, x[order], scalars[order], vectors[order])
    for one, two in zip(plain, other, strict=True):
        assert relative_error(two, one[order]) <= TOL


# ---- against loops


def test_the_layer_is_the_sum_that_the_paper_writes_down():
    """A loop over pairs, orientations and channels, for separable kernels and full ones."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(4, 3, 2, generator=draw, dtype=torch.float64)
    sender, receiver = torch.tensor([0, 1, 2, 3]), torch.tensor([1, 0, 0, 2])
    near, own = torch.randn(5, 3, 2, generator=draw, dtype=torch.float64).split([4, 1])
    fibre = torch.randn(3, 3, 2, generator=draw, dtype=torch.float64)
    weights = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
    expected = torch.zeros_like(x)
    for p in range(3):
        for o in range(3):
            for i in range(4):
                expected[i, p] += fibre[p, o] * weights[o] * own[0, o] * x[i, o]
            for e in range(4):
                expected[receiver[e], p] += fibre[p, o] * weights[o] * near[e, o] * x[sender[e], o]
    separable = _turned(_gathered(x, near, own[0], sender, receiver, weights), fibre, weights)
    assert relative_error(separable, expected) <= TOL
    rank_one = near[:, None] * fibre, (own[:, None] * fibre)[0]
    assert relative_error(_gathered(x, *rank_one, sender, receiver, weights), expected) <= TOL
    crossed = _turned(_gathered(x, near, own[0], receiver, sender, weights), fibre, weights)
    assert relative_error(crossed, expected) > BROKEN, "the twin: sender and receiver exchanged"
    across = _turned(_gathered(x, near, own[0], sender, receiver, weights), fibre.transpose(0, 1), weights)
    assert relative_error(across, expected) > BROKEN, "the twin: the kernel of orientations transposed"


def test_the_kernels_of_all_layers_are_those_of_each_layer():
    kernels = OrientationKernels("ponita3", True, 3, 2, basis=4).double()
    points, r = network("icosahedron").points, torch.randn(5, 3, dtype=torch.float64)
    first, second = kernels(r, points, points)
    assert first.shape == second.shape == (5, 12, 3)
    alone = OrientationKernels("ponita3", True, 3, 1, basis=4).double()
    state = kernels.state_dict() | {name: kernels.state_dict()[name][3:] for name in ("spatial.weight", "fibre.weight")}
    alone.load_state_dict(state)
    assert relative_error(alone(r, points, points)[0], second) <= TOL
    assert relative_error(alone.of_fibre(points)[0], kernels.of_fibre(points)[1]) <= TOL


def test_monomials_are_all_ordered_products():
    x = torch.tensor([2.0, 3.0, 5.0])
    expected = [*x, *(a * b for a in x for b in x), *(a * b * c for a in x for b in x for c in x)]
    assert torch.equal(monomials(x, 3), torch.stack(expected))
    assert monomials(torch.ones(4, 2), 3).shape == (4, 14)


def test_pairs_that_meet_are_those_of_the_double_loop():
    sender, receiver = torch.tensor([0, 1, 2, 0, 3]), torch.tensor([1, 0, 0, 2, 0])
    found = {tuple(map(int, row)) for row in zip(*edges_that_meet(sender, receiver, 5), strict=True)}
    expected = set()
    for a in range(5):
        for b in range(5):
            if a != b and receiver[a] == receiver[b]:
                expected.add((a, b, 0))
            if a != b and receiver[a] == sender[b]:
                expected.add((a, b, 1))
    assert found == expected


def test_pairs_that_share_a_relative_position_may_share_its_kernel():
    net = network("circle(8)")
    x = torch.cartesian_prod(torch.arange(3.0), torch.arange(2.0)).double()
    _, scalars, vectors = cloud(2)
    sender, receiver = everybody(6)
    steps, which = torch.unique(x[sender] - x[receiver], dim=0, return_inverse=True)
    assert len(steps) < len(sender)
    shared = net(scalars, sender, receiver, steps, vectors, which)
    for one, other in zip(shared, answers(net, x, scalars, vectors), strict=True):
        assert relative_error(one, other) <= TOL
    wrong = net(scalars, sender, receiver, steps, vectors, which.flip(0))
    assert relative_error(wrong[1], shared[1]) > BROKEN


# ---- read-out, window, slopes


@pytest.mark.parametrize("grid", [*ICOSAHEDRAL, "circle(5)"])
def test_a_vector_lifted_and_read_again_is_itself(grid):
    """Blocks that add nothing, a lift and a read-out that pass one channel on."""
    net = network(grid, scalars_in=0, scalars_out=0, layers=1, channels=1)
    with torch.no_grad():
        for parameter in (*net.blocks[0].mix[3].parameters(), net.read.bias):
            parameter.zero_()
        net.lift.weight.fill_(1)
        net.read.weight.fill_(1)
    x, _, vectors = cloud(net.dim)
    again = answers(net, x, torch.zeros(6, 0).double(), vectors)[1]
    assert relative_error(again, vectors) <= TOL
    if net.dim == 3:
        net.points[:] = network(f"fibonacci({len(net.points)})").points
        again = answers(net, x, torch.zeros(6, 0).double(), vectors)[1]
        assert relative_error(again, vectors) > 1e-3, "the twin: a spiral"


@pytest.mark.parametrize("p", [2, 3, 6, 8])
def test_the_window_ends_with_value_slope_and_curvature_zero(p, monkeypatch):
    """Of every power; 1e-6 before the end they are of the order of the third derivative, p (p + 1) (p + 2)."""
    monkeypatch.setattr(orientation_kernels, "FADE", p)
    gap, third = 1e-6, p * (p + 1) * (p + 2)
    share = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    below = share - gap
    value = window(below)
    slope = torch.autograd.grad(value, share, create_graph=True)[0]
    curvature = torch.autograd.grad(slope, share)[0]
    rounding = third * EXACT[torch.float64]
    assert abs(float(value.detach())) < third * gap**3 / 6 + rounding
    assert abs(float(slope.detach())) < third * gap**2 + rounding
    assert abs(float(curvature)) < 2 * third * gap
    twin = 1 - (p + 1) * (p + 2) / 2 * below**p + p * (p + 2) * below ** (p + 1) - p * (p - 1) / 2 * below ** (p + 2)
    assert abs(float(twin.detach())) > BROKEN
    assert float(window(torch.tensor(0.0))) == 1


@pytest.mark.parametrize("grid", ["icosahedron", "edges", "distances"])
def test_a_neighbour_at_the_radius_is_no_neighbour(grid):
    bare = grid == "distances"
    net = network(grid, **({"vectors_in": 0, "vectors_out": 0} if bare else {}))
    scalars, vectors = torch.ones(2, 2).double(), None if bare else torch.ones(2, 1, 3).double()

    def at(length: float, linked: bool = True) -> Tensor:
        far = torch.tensor([[length, 0.1, 0.0]], dtype=torch.float64)
        sender, receiver = torch.tensor([[1, 0], [0, 1]])[:, : 2 * linked]
        return net(scalars, sender, receiver, torch.cat([far, -far])[: 2 * linked], vectors)[0]

    if grid != "edges":  # whose points are the neighbours
        assert relative_error(at(3.9999), at(3.9999, False)) < 1e-9
        assert relative_error(at(2.0), at(2.0, False)) > 1e-3
    else:
        assert torch.equal(at(1.0, False), torch.zeros(2, 2).double()), "nobody to look at"


@pytest.mark.parametrize("grid", ["icosahedron", "edges"])
def test_slopes_are_those_of_finite_differences_also_where_a_neighbour_lies_on_an_axis(grid):
    net = network(grid)
    axis = net.points[0] if grid == "icosahedron" else torch.tensor([0.0, 0.0, 1.0]).double()
    x = torch.stack([torch.zeros(3).double(), 1.5 * axis, torch.tensor([1.0, 2.0, 0.5]).double()])
    scalars, vectors = torch.ones(3, 2).double(), torch.ones(3, 1, 3).double()

    def energy(x: Tensor) -> Tensor:
        made = answers(net, x, scalars, vectors)
        return made[0].sum() + made[1].square().sum()

    x.requires_grad_(True)
    slope = torch.autograd.grad(energy(x), x)[0]
    step = torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        quotient = (energy(x + 1e-5 * step) - energy(x - 1e-5 * step)) / 2e-5
    assert float(((slope * step).sum() - quotient).abs() / quotient.abs()) < 1e-4


# ---- the start, and bad input


def test_the_first_training_pass_calibrates_and_no_other():
    net, (x, scalars, vectors) = network("icosahedron", layers=2, channels=16), cloud(count=12)
    before = net.kernels.spatial.weight.clone()
    answers(net, x, scalars, vectors)
    assert not net.calibrated
    net.train()
    answers(net, x, torch.zeros_like(scalars), torch.zeros_like(vectors))
    assert not net.calibrated, "nothing spreads"
    assert torch.equal(net.kernels.spatial.weight, before)
    sum(each.square().sum() for each in answers(net, x, scalars, vectors)).backward()
    assert net.calibrated
    after = net.kernels.spatial.weight.clone()
    answers(net, x, scalars, vectors)
    assert torch.equal(net.kernels.spatial.weight, after)
    sender, receiver = everybody(12)
    with torch.no_grad():
        lifted = net.lift(torch.cat([scalars[:, None].expand(-1, 12, -1), net.points @ vectors.mT], -1))
        steps = torch.cat([x[sender] - x[receiver], torch.zeros(1, 3).double()])
        spatial, fibre = net.kernels(steps, net.points, net.points)[0], net.kernels.of_fibre(net.points)[0]
        gathered = _gathered(lifted, spatial[:-1], spatial[-1], sender, receiver, net.weights)
        out = _turned(gathered, fibre, net.weights)
    assert abs(float(out.std() / lifted.std()) - 1) <= TOL
    assert abs(float(gathered.std() / lifted.std()) - 1) <= TOL


def test_calibration_is_kept_with_the_weights():
    net, (x, scalars, vectors) = network("circle(4)"), cloud(2)
    net.train()
    answers(net, x, scalars, vectors)
    other = network("circle(4)", seed=5)
    other.load_state_dict(net.state_dict())
    assert other.calibrated
    assert torch.equal(answers(other, x, scalars, vectors)[1], answers(net, x, scalars, vectors)[1])


@pytest.mark.parametrize("grid", ["icosahedron", "edges"])
def test_one_point_without_neighbours_has_answers(grid):
    net, (_, scalars, vectors) = network(grid), cloud(count=1)
    none = torch.zeros(0, dtype=torch.long)
    made = net(scalars, none, none, torch.zeros(0, 3).double(), vectors)
    assert [each.shape for each in made] == [(1, 2), (1, 1, 3)]
    assert all(torch.isfinite(each).all() for each in made)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"grid": "icosahedron", "invariants": "universal4"}, "use separable=False"),
        ({"grid": "icosahedron", "radius": -1.0}, "radius = -1.0 was given"),
        ({"grid": "icosahedron", "scalars_out": 0, "vectors_out": 0}, "no features of points"),
        ({"grid": "icosahedron", "scalars_in": -1}, "scalars_in = -1"),
        ({"grid": "octahedron"}, "orientation grid 'octahedron'"),
        ({"grid": "icosahedron", "dim": 2}, r"use grid = 'circle\(8\)'"),
        ({"grid": "edges", "dim": 4}, "dim = 4 was given"),
        ({"grid": "edges", "invariants": "all"}, "invariants 'all' were given"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        network(**options)


def test_wrong_shapes_are_refused_with_a_sentence():
    net, (x, scalars, _) = network("icosahedron"), cloud()
    with pytest.raises(ValueError, match=r"0 vectors .* were given; expected \(N, 2\), 1 and \(E, 3\)"):
        answers(net, x, scalars, None)


@pytest.mark.parametrize("grid", ["icosahedron", "edges"])
@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"sender": torch.tensor([0, 6])}, "sender with entries from 0 to 6 was given; expected 0 to 5"),
        ({"receiver": torch.tensor([-1, 0])}, "receiver with entries from -1 to 0"),
        ({"sender": torch.tensor([0, 1, 2])}, r"sender of \(3,\).* expected \(2,\)"),
        ({"receiver": torch.tensor([0.0, 1.0])}, "torch.float32 was given; expected .* of torch.int64"),
        ({"sender": [0, 1]}, "sender of list"),
        ({"which": torch.tensor([0, 2])}, "which with entries from 0 to 2 was given; expected 0 to 1"),
        ({"which": [0, 1]}, "which of list"),
        ({"relative": torch.full((2, 3), torch.nan).double()}, "relative with NaN or infinite"),
        ({"scalars": torch.full((6, 2), torch.inf).double()}, "scalars with NaN or infinite"),
        ({"vectors": torch.ones(6, 3).double()}, "0 vectors"),
        ({"relative": torch.ones(3).double()}, r"relative positions \(3,\)"),
        ({"relative": torch.ones(2, 3)}, "relative of torch.float32 .* network of torch.float64"),
        ({"scalars": torch.ones(6, 2).long()}, "scalars.float"),
    ],
)
def test_pairs_and_types_that_do_not_fit_are_refused_with_a_sentence(grid, wrong, sentence):
    net, (_, scalars, vectors) = network(grid), cloud()
    given = {
        "scalars": scalars, "sender": torch.tensor([0, 1]), "receiver": torch.tensor([1, 0]),
        "relative": torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]], dtype=torch.float64), "vectors": vectors,
    }  # fmt: skip
    net(**given)
    with pytest.raises(ValueError, match=sentence):
        net(**{**given, **wrong})
