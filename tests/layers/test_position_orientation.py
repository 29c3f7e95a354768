"""Networks over positions and orientations: against loops, read-out, window, slopes, their start, and bad input."""

import pytest
import torch
from torch import Tensor

from tests.layers.orientations import ICOSAHEDRAL, TOL, answers, cloud, everybody, network
from tests.layers.symmetry import relative as relative_error
from tests.tolerances import BROKEN, EXACT
from workbench.layers import orientation_kernels
from workbench.layers.orientation_kernels import OrientationKernels, monomials, window
from workbench.layers.position_orientation import _gathered, _turned, edges_that_meet

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
