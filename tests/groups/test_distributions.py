"""Learned distributions: samples, densities, gates and the gradient of the arc's width."""

import math

import pytest
import torch

from tests.tolerances import AGAIN_SINGLE
from workbench.groups import (
    O2,
    SO2,
    ArcWithMirror,
    C,
    D,
    Dihedral,
    MirrorGate,
    RotationGates,
    Translation,
    UniformArc,
)
from workbench.groups.distributions import SMALLEST_ARC, learned_distribution


def arc_slope(gradient, theta, n, points=200):
    """d/dtheta of E[angle^2] by quadrature over the common offset: no sampling noise."""
    arc = UniformArc(theta, gradient).double()
    offsets = (torch.arange(points) + 0.5) / points
    value = torch.stack([(arc.rsample(n, u).elements ** 2).mean() for u in offsets]).mean()
    (slope,) = torch.autograd.grad(value, arc.theta)
    return float(slope)


@pytest.mark.parametrize("theta", [0.3, 0.6, 0.9])
def test_the_full_gradient_of_the_arc_is_the_analytic_one(theta):
    assert arc_slope("full", theta, 8) == pytest.approx(2 * theta * math.pi**2 / 3, rel=0.001)


def test_the_reference_rule_misses_the_spread_of_the_samples():
    m = math.ceil(8 * 0.6)
    slope = arc_slope("reference", 0.6, 8)
    assert slope == pytest.approx(2 * 0.6 * math.pi**2 / (3 * m * m), rel=0.01)
    assert slope < 0.05 * (2 * 0.6 * math.pi**2 / 3)


def test_both_gradient_rules_draw_the_same_angles():
    full, reference = UniformArc(0.6).rsample(8, 0.25), UniformArc(0.6, "reference").rsample(8, 0.25)
    torch.testing.assert_close(full.elements, reference.elements, rtol=AGAIN_SINGLE, atol=AGAIN_SINGLE)


@pytest.mark.parametrize(("theta", "count"), [(1.0, 8), (0.99, 8), (0.5, 4), (0.51, 5), (0.1, 1), (1e-3, 1)])
def test_fewer_elements_are_drawn_as_the_arc_shrinks(theta, count):
    arc = UniformArc(theta)
    draw = arc.rsample(8)
    assert len(draw.elements) == count
    assert draw.elements.abs().max() <= math.pi * theta + 1e-6
    assert draw.uniform == (theta == 1.0)


def test_a_whole_arc_is_the_even_grid_turned_by_half_a_circle():
    draw = UniformArc(1.0).double().rsample(8, 0.3)
    grid = SO2().grid(8, 0.3, dtype=torch.float64)
    assert SO2().distance(draw.elements.roll(4, 0), grid).max() < 1e-12


def test_evaluation_draws_are_centred_on_the_identity():
    for theta in (0.92, 0.5, 0.125):
        arc = UniformArc(theta).eval()
        assert abs(float(arc.rsample(8).elements.detach().mean())) < 1e-6
        assert torch.equal(arc.rsample(8).elements, arc.rsample(8).elements)


def test_the_projection_brings_the_width_back_and_forward_never_clamps():
    arc = UniformArc(1.0)
    arc.theta.data.fill_(1.3)
    (slope,) = torch.autograd.grad(arc.rsample(4, 0.25).elements.square().sum(), arc.theta)
    assert slope != 0
    arc.project_()
    assert arc.arc_fraction() == 1.0
    arc.theta.data.fill_(-2.0)
    arc.project_()
    assert arc.arc_fraction() == pytest.approx(SMALLEST_ARC, rel=AGAIN_SINGLE)


@pytest.mark.parametrize(
    "distribution",
    [
        UniformArc(0.35),
        MirrorGate(0.2),
        RotationGates(8, 0.4),
        ArcWithMirror(UniformArc(0.6), MirrorGate(-0.3)),
    ],
    ids=lambda d: type(d).__name__,
)
def test_densities_integrate_to_one_over_the_normalised_haar_measure(distribution):
    group = distribution.group
    grid = group.grid(dtype=torch.float64) if group.order else group.grid(20_000, 0.5, dtype=torch.float64)
    density = distribution.double().density(grid)
    assert float(density.detach().mean()) == pytest.approx(1.0, abs=2e-3)
    assert torch.equal(distribution.log_prob(grid), density.log())


def test_gates_are_hard_forward_and_have_a_slope_when_kept():
    torch.manual_seed(0)
    gate = MirrorGate(1.0)
    slopes = []
    for _ in range(200):
        value = gate.gate()
        assert float(value.detach()) in (0.0, 1.0)
        draw = gate.rsample(2)
        if len(draw.elements) == 2:
            slopes.append(float(torch.autograd.grad(draw.weights.sum(), gate.logit)[0]))
    assert len(slopes) > 100
    assert min(slopes) >= 0
    assert sum(slope > 0 for slope in slopes) > 0.5 * len(slopes)


@pytest.mark.parametrize("temperature", [0.5, 1e-4])
def test_the_keep_rate_is_sigmoid_2a_at_every_temperature(temperature):
    torch.manual_seed(1)
    gate = MirrorGate(0.4)
    gate.temperature = temperature
    n = 4000
    rate = sum(float(gate.gate().detach()) for _ in range(n)) / n
    p = 1 / (1 + math.exp(-0.8))
    assert abs(rate - p) < 4 * math.sqrt(p * (1 - p) / n)


def test_a_gate_that_reads_probabilities_as_logits_is_caught_by_the_keep_rate():
    torch.manual_seed(1)
    p = torch.sigmoid(torch.tensor(-200.0))
    wrong = torch.distributions.RelaxedBernoulli(torch.tensor(0.5), logits=p).sample((4000,))
    assert abs(float((wrong > 0.5).float().mean()) - float(p)) > 0.4


def test_the_identity_is_never_dropped_and_closed_gates_halve_the_list():
    for distribution in (MirrorGate(-50.0), RotationGates(4, -50.0), ArcWithMirror(gate=MirrorGate(-50.0))):
        n = distribution.group.order or 8
        draw = distribution.rsample(n)
        identity = distribution.group.identity()
        if isinstance(distribution, ArcWithMirror):
            assert len(draw.elements) == 4
            assert (draw.elements[:, 1] == 1).all()
        else:
            assert torch.equal(draw.elements, identity[None])


def test_each_group_gets_its_own_distribution():
    kinds = {g.name: type(learned_distribution(g)).__name__ for g in (SO2(), O2(), C(8), D(4), Dihedral(1))}
    assert kinds == {
        "SO2": "UniformArc", "O2": "ArcWithMirror",
        "C(8)": "RotationGates", "D(4)": "ArcWithMirror", "D(1)": "MirrorGate",
    }  # fmt: skip
    with pytest.raises(ValueError, match="no distribution is learned"):
        learned_distribution(Translation())


def test_bad_arguments_are_refused_with_a_sentence():
    for bad in (0.0, -0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="fraction of the circle"):
            UniformArc(bad)
    with pytest.raises(ValueError, match="'full' or 'reference'"):
        UniformArc(gradient="half")
    with pytest.raises(ValueError, match="even number"):
        ArcWithMirror().rsample(7)
    with pytest.raises(ValueError, match="order of"):
        RotationGates(8).rsample(4)
