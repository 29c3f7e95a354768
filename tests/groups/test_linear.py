"""Area-preserving and orientation-preserving linear maps of the plane: the polar chart, the measure, the samples."""

import math

import pytest
import torch
from torch import Tensor

from tests.tolerances import AGAIN, BROKEN, EXACT
from workbench.groups import SL, SO2, GLPlus, Plane, RotationScale, Scale, parse_group

TOL = EXACT[torch.float64]
LINEAR = [SL(), GLPlus()]
SAMPLED = [Scale(2, 8.0), RotationScale(8.0), SL(4.0), GLPlus(4.0)]
BY = {"Scale": [0.4], "RotationScale": [0.5, 0.4], "SL": [0.3, 0.2, 0.5], "GLPlus": [0.3, 0.2, 0.5, 0.1]}


def coordinates(group: SL, count: int = 50, most: float = 2.0) -> Tensor:
    """With |log P| of at most ``most``."""
    v = torch.randn(count, group.chart_dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    own = [0, 1] if group.chart_dim == 3 else [0, 1, 3]
    v[:, own] *= most / v[:, own].norm(dim=-1, keepdim=True) * torch.linspace(0, 1, count).unsqueeze(-1)
    v[:, 2] = (v[:, 2] + math.pi) % (2 * math.pi) - math.pi
    return v


def polar_referee(m: Tensor) -> tuple[Tensor, Tensor]:
    """log P and R by eigenvectors, as published."""
    values, vectors = torch.linalg.eigh(m @ m.mT)
    log = vectors @ torch.diag_embed(values.log() / 2) @ vectors.mT
    return log, vectors @ torch.diag_embed(values.rsqrt()) @ vectors.mT @ m


@pytest.mark.parametrize("group", LINEAR, ids=str)
def test_chart_and_inverse_round_trip(group: SL) -> None:
    v = coordinates(group)
    assert float((group.log(group.exp(v)) - v).abs().max()) < TOL
    g = group.exp(v)
    size = g.norm(dim=-1, keepdim=True)
    assert float(((group.exp(group.log(g)) - g) / size).abs().max()) < TOL
    assert bool(group.contains(g).all())
    undone = group.product(g, group.inverse(g)) - group.identity(torch.float64)
    assert float(undone.abs().max()) < TOL * float(size.max() ** 2)


@pytest.mark.parametrize("group", LINEAR, ids=str)
def test_the_chart_is_the_logarithm_of_the_stretch_and_the_angle_of_the_turn(group: SL) -> None:
    g = group.exp(coordinates(group)[1:])
    log, turn = polar_referee(group.matrix(g))
    v = group.log(g)
    mean = v[:, 3] if group.chart_dim == 4 else torch.zeros(len(v), dtype=torch.float64)
    found = torch.stack([mean + v[:, 0], v[:, 1], v[:, 1], mean - v[:, 0]], -1).view(-1, 2, 2)
    assert torch.allclose(found, log, rtol=0, atol=TOL * 100)
    assert torch.allclose(SO2().matrix(v[:, 2:3]), turn, rtol=0, atol=TOL * 100)


def test_the_chart_reaches_what_the_matrix_exponential_does_not() -> None:
    group, g = SL(), torch.tensor([-2.0, 0.0, 0.0, -0.5], dtype=torch.float64)
    v = group.log(g)
    assert torch.allclose(v, torch.tensor([math.log(2), 0.0, -math.pi], dtype=torch.float64), rtol=AGAIN, atol=AGAIN)
    assert torch.allclose(group.exp(v), g, rtol=0, atol=TOL)
    u, q, angle = v
    wrong = torch.linalg.matrix_exp(torch.stack([u, q - angle, q + angle, -u]).view(2, 2))
    assert float((wrong.flatten() - g).norm() / g.norm()) > BROKEN  # the exponential of the same coordinates


def test_quarter_turns_and_the_identity_are_exact_and_have_slopes() -> None:
    group = GLPlus()
    v = torch.zeros(2, 4, dtype=torch.float64)
    v[1, 2] = math.pi / 2
    v.requires_grad_()
    g = group.exp(v)
    assert g.tolist() == [[1, 0, 0, 1], [0, -1, 1, 0]]
    group.log(g).sum().backward()
    assert torch.isfinite(v.grad).all()
    assert torch.allclose(v.grad, torch.ones(2, 4, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize("group", LINEAR, ids=str)
def test_the_distance_is_symmetric(group: SL) -> None:
    a, b = group.sample(20, torch.Generator().manual_seed(1), torch.float64).split(10)
    assert torch.allclose(group.distance(a, b), group.distance(b, a), rtol=0, atol=1e-9)


def test_the_measure_over_the_chart_is_that_of_all_matrices_over_the_squared_determinant() -> None:
    group, v = GLPlus(), coordinates(GLPlus(), 12, 1.5)[1:]
    found = []
    for one in v:
        slope = torch.autograd.functional.jacobian(group.exp, one)
        found.append(torch.linalg.det(slope).abs() / torch.linalg.det(group.matrix(group.exp(one))) ** 2)
    share = torch.stack(found) / group.volume_density(v)
    assert torch.allclose(share, share[0].expand_as(share), atol=0, rtol=1e-9)
    flat = torch.stack(found)  # the twin: a chart without the weight
    assert float(flat.max() / flat.min()) > 1 + BROKEN


def bump(group, g: Tensor, width: float) -> Tensor:
    """Smooth, and 0 beyond ``width`` from the identity."""
    square = (group.distance(group.identity(torch.float64), g) / width).square()
    return torch.where(square < 1, torch.exp(-1 / (1 - square.clamp(max=1 - 1e-9))), 0.0)


def moved_errors(group, count: int, seed: int) -> tuple[float, float]:
    """Relative error of a sampled group convolution (F * k)(a) = integral of F(b) k(a^-1 b), after moving F by h.

    The first with the weights of its samples, the second without.
    """
    h = group.exp(torch.tensor(BY[type(group).__name__], dtype=torch.float64))
    b, weights = group.draw(count, 0.5, torch.Generator().manual_seed(seed), torch.float64)
    a = group.exp(torch.zeros(1, len(group.log(h)), dtype=torch.float64))

    def terms(moved: bool) -> Tensor:
        at = group.product(h, a) if moved else a
        where = group.product(group.inverse(h), b) if moved else b
        signal = bump(group, where, 0.8)
        kernel = bump(group, group.product(group.inverse(at), b), 0.9)
        return signal * kernel

    def error(weights: Tensor) -> float:
        before, after = (weights * still).mean(), (weights * gone).mean()
        return float((after - before).abs() / before.abs().clamp_min(1e-30))

    still, gone = terms(False), terms(True)
    return error(weights), error(torch.ones_like(weights))


@pytest.mark.parametrize("group", SAMPLED, ids=str)
def test_a_sampled_integral_over_the_group_needs_the_weights_of_its_samples(group) -> None:
    """Moving both by h leaves the integral as it is; its estimate errs by 1 / sqrt(samples), or for good."""

    def typical(count: int) -> list[float]:
        return torch.tensor([moved_errors(group, count, seed) for seed in range(15)]).median(0).values.tolist()

    (few, _), (many, without) = typical(1_000), typical(100_000)
    assert 4 < few / many < 25  # sqrt(100) = 10
    assert many < BROKEN
    assert without > max(4 * many, 2 * BROKEN)


@pytest.mark.parametrize("group", SAMPLED, ids=str)
def test_drawn_elements_stay_within_the_bound_and_their_weights_add_up_to_its_volume(group) -> None:
    g, weights = group.draw(200_000, 0.5, torch.Generator().manual_seed(0), torch.float64)
    most = math.log(group.scales.largest if isinstance(group, RotationScale) else group.largest)
    line, circle = 2 * most, 2 * math.pi
    disc = math.pi * (math.cosh(2 * most) - 1) / 2 * circle
    volume = {"Scale": line, "RotationScale": line * circle, "SL": disc, "GLPlus": disc * line}[type(group).__name__]
    assert float(weights.mean()) == pytest.approx(volume, rel=0.1)
    assert bool(group.contains(g).all())
    v = group.log(g)
    if isinstance(group, SL):
        assert float(v[:, :2].norm(dim=-1).max()) <= most + 1e-9
    for bad in (0, -1.0, math.nan, "wide"):
        with pytest.raises(ValueError, match="spread = .* expected a positive number"):
            group.draw(4, bad)
    with pytest.raises(ValueError, match="positive integer"):
        group.draw(0)


@pytest.mark.parametrize("group", LINEAR, ids=str)
def test_samples_are_even_for_the_measure(group: SL) -> None:
    """Half of them lie within the radius that holds half of the measure, and no direction is preferred."""
    v = group.log(group.sample(20_000, torch.Generator().manual_seed(3), torch.float64))
    radius = v[:, :2].norm(dim=-1)
    half = math.acosh(1 + (math.cosh(2 * math.log(group.largest)) - 1) / 2) / 2
    assert abs(float((radius < half).double().mean()) - 0.5) < 4 * 0.5 / math.sqrt(len(v))
    assert float(v[:, :3].mean(0).abs().max()) < 4 * math.pi / math.sqrt(len(v))


@pytest.mark.parametrize("group", LINEAR, ids=str)
@pytest.mark.parametrize(("count", "closed"), [(1, False), (2, False), (3, False), (4, True), (8, True)])
def test_quarter_turns_permute_a_grid_of_four_times_as_many_rotations(group: SL, count: int, closed: bool) -> None:
    grid = group.grid(count, dtype=torch.float64)
    assert len(grid) == count ** (group.chart_dim - 1)
    quarter = torch.tensor([0.0, -1.0, 1.0, 0.0], dtype=torch.float64)
    turned = group.product(quarter, grid)
    apart = (turned[:, None] - grid).norm(dim=-1).min(1).values
    assert (float(apart.max()) < TOL * 10) == closed


def test_the_planar_group_of_similarities_has_a_name() -> None:
    assert parse_group("Sim2") == Plane(RotationScale())
    assert parse_group("R2xSL(2)").linear == SL()
    assert parse_group("GLPlus(2,3)").largest == 3


@pytest.mark.parametrize("largest", [1.0, 0.5, math.inf, "2"])
def test_a_bound_that_is_no_stretch_is_refused(largest) -> None:
    with pytest.raises(ValueError, match="expected a stretch above 1"):
        SL(largest)


@pytest.mark.parametrize("group", LINEAR, ids=str)
def test_coordinates_of_another_length_are_refused(group):
    for count in (2, 5):
        with pytest.raises(
            ValueError, match=rf"coordinates of shape \({count},\) .* expected \(..., {group.chart_dim}\)"
        ):
            group.exp(torch.zeros(count))


@pytest.mark.parametrize("group", [SL(), GLPlus()], ids=str)
def test_a_mirror_has_no_coordinates_and_is_refused(group: SL) -> None:
    mirrors = torch.tensor([[1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, -1.0]])
    with pytest.raises(ValueError, match=r"\.log: a matrix of determinant -1 was given; expected one above 0"):
        group.log(mirrors)
    with pytest.raises(ValueError, match="determinant 0 was given"):
        group.log(torch.zeros(4))
