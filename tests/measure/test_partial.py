"""What a partial layer loses: the formula by brute force, the measurement against it."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.tolerances import AGAIN_SINGLE, ARC_BRUTE_FORCE, EXACT, PARTIAL_LAYER
from workbench.actions import smooth
from workbench.groups import O2, SO2, ArcWithMirror, C, GroupSignal, MirrorGate, RotationGates, UniformArc
from workbench.kernels import KernelSpec
from workbench.layers import GroupConv, GroupReLU, LiftingConv
from workbench.measure import equivariance_error, overlap_loss, partial_layer_error, predicted_loss


def layers(theta: float, group: str = "SO2", n: int = 8) -> tuple[nn.Module, GroupConv]:
    torch.manual_seed(0)
    spec = KernelSpec(hidden=8, omega0=3.0)
    lift = nn.Sequential(LiftingConv(1, 3, 5, group=group, n=n, kernel=spec), GroupReLU())
    conv = GroupConv(3, 3, 5, group=group, n=n, partial=True, kernel=spec)
    with torch.no_grad():
        arc = getattr(conv.distribution, "arc", conv.distribution)
        if isinstance(arc, UniformArc):
            arc.theta.fill_(theta)
    return lift.double().eval(), conv.double().eval()


def lifted(lift: nn.Module, count: int = 3) -> GroupSignal:
    x = smooth(torch.randn(count, 1, 12, 12, generator=torch.Generator().manual_seed(1)).double(), 1.0)
    with torch.no_grad():
        return lift(x)


@pytest.mark.parametrize("theta", [0.05, 0.3, 0.5, 0.6, 0.92, 1.0])
def test_the_overlap_formula_agrees_with_counting(theta: float) -> None:
    angles = (np.arange(200000) + 0.5) / 200000 * 2 * math.pi - math.pi
    for omega in np.linspace(-7, 7, 15):
        inside = np.abs(angles) <= math.pi * theta
        turned = np.abs(np.remainder(angles - omega + math.pi, 2 * math.pi) - math.pi) <= math.pi * theta
        counted = (inside & ~turned).sum() / inside.sum()
        assert abs(float(overlap_loss(omega, theta)) - counted) <= ARC_BRUTE_FORCE


def test_the_overlap_formula_at_known_points() -> None:
    assert float(overlap_loss(math.pi / 2, 0.6)) == pytest.approx(0.4166667, rel=AGAIN_SINGLE)
    assert overlap_loss(np.linspace(0, 9, 7), 1.0).tolist() == [0.0] * 7
    assert overlap_loss(np.linspace(0, 2 * math.pi, 91), 0.92).max() <= 0.0870
    assert overlap_loss(np.zeros((2, 1)), np.array([0.2, 0.4])).shape == (2, 2)


@pytest.mark.parametrize(("omega", "theta"), [(math.nan, 0.5), (1.0, 0.0), (1.0, 1.5)])
def test_the_overlap_formula_refuses_nonsense(omega: float, theta: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        overlap_loss(omega, theta)


def test_the_density_predicts_the_same_as_the_closed_form() -> None:
    elements = SO2().grid(16, dtype=torch.float64)
    for theta in (0.3, 0.6, 1.0):
        delta, error = predicted_loss(UniformArc(theta), elements)
        expected = overlap_loss(elements[:, 0].numpy(), theta)
        assert np.abs(delta - expected).max() <= ARC_BRUTE_FORCE * 4
        assert np.abs(error - np.sqrt(2 * expected)).max() <= math.sqrt(ARC_BRUTE_FORCE * 8)


def test_gates_predict_their_own_loss() -> None:
    gates = RotationGates(4)
    with torch.no_grad():
        gates.logit.copy_(torch.tensor([-20.0, 20.0, -20.0]))  # only the half turn is kept
    delta, error = predicted_loss(gates, C(4).grid(dtype=torch.float64))
    assert np.allclose(delta, [0, 1, 0, 1], rtol=0, atol=1e-6)
    assert np.allclose(error, [0, math.sqrt(2), 0, math.sqrt(2)], rtol=0, atol=1e-6)
    mirror = ArcWithMirror(UniformArc(1.0), MirrorGate(-20.0))
    flips = torch.tensor([[0.0, 1.0], [0.0, -1.0]], dtype=torch.float64)
    assert np.allclose(predicted_loss(mirror, flips)[0], [0, 1], rtol=0, atol=1e-6)
    assert np.array_equal(predicted_loss(None, flips)[1], [0, 0])


def test_the_measured_error_lies_on_the_overlay_at_exact_angles() -> None:
    lift, conv = layers(0.6)
    elements = SO2().grid(4, dtype=torch.float64)
    ds = partial_layer_error(conv, lifted(lift), elements)
    assert float(ds.error.isel(transform=0).max()) <= EXACT[torch.float64]
    assert ds.delta.values[1] == pytest.approx(overlap_loss(math.pi / 2, 0.6), rel=1e-6)
    assert np.abs(ds.error_mean - ds.sqrt_two_delta).max() <= PARTIAL_LAYER
    assert float(ds.error_mean[1]) == pytest.approx(0.92, abs=PARTIAL_LAYER)


def test_a_whole_arc_loses_nothing_at_exact_angles() -> None:
    lift, conv = layers(1.0)
    elements = SO2().grid(4, dtype=torch.float64)
    ds = partial_layer_error(conv, lifted(lift), elements)
    assert float(ds.error.max()) <= EXACT[torch.float64]
    assert float(ds.sqrt_two_delta.max()) == 0.0


def test_a_full_layer_is_measured_like_a_whole_arc() -> None:
    lift, conv = layers(1.0)
    conv.distribution = None
    ds = partial_layer_error(conv, lifted(lift), SO2().grid(4, dtype=torch.float64))
    assert float(ds.error.max()) <= EXACT[torch.float64]
    assert (float(ds.arc), float(ds.delta.max())) == (1.0, 0.0)


def test_the_measure_sees_a_layer_that_mirrors_its_input() -> None:
    lift, conv = layers(1.0)
    forward = conv.forward
    conv.forward = lambda signal: forward(signal.with_values(signal.values.flip(-1)))  # type: ignore[method-assign]
    broken = partial_layer_error(conv, lifted(lift), SO2().grid(4, dtype=torch.float64))
    assert float(broken.error.max()) > 0.1


@pytest.mark.parametrize("group", ["O2", "C(4)", "D(1)"])
def test_other_groups_follow_their_own_prediction(group: str) -> None:
    n = {"O2": 8, "C(4)": 4, "D(1)": 2}[group]
    lift, conv = layers(0.6, group, n)
    elements = (
        torch.tensor([[0.0, 1.0], [math.pi / 2, 1.0], [0.0, -1.0]], dtype=torch.float64)
        if group != "C(4)"
        else conv.group.grid(dtype=torch.float64)
    )
    if group == "D(1)":
        elements = elements[[0, 2]]
    ds = partial_layer_error(conv, lifted(lift), elements, n_grid=32)
    assert float(ds.error.isel(transform=0).max()) <= EXACT[torch.float64]
    assert np.abs(ds.error_mean - ds.sqrt_two_delta).max() <= 2 * PARTIAL_LAYER


def test_inside_a_network_the_layer_is_compared_on_the_whole_group() -> None:
    lift, conv = layers(0.6)
    x = smooth(torch.randn(3, 1, 12, 12, generator=torch.Generator().manual_seed(1)).double(), 1.0)
    quarters = SO2().grid(4, dtype=torch.float64)
    ds = equivariance_error(nn.Sequential(lift, conv, GroupReLU(), _Mean()), x, "SO2", quarters, layers="all")
    assert ds.comparable.values.tolist() == [True, True, True, False, True, True]
    assert np.abs(ds.error_mean.sel(layer="1") - np.sqrt(2 * overlap_loss(quarters[:, 0], 0.6))).max() <= PARTIAL_LAYER


class _Mean(nn.Module):
    def forward(self, signal: GroupSignal) -> torch.Tensor:
        return signal.values.mean((2, 3, 4))


def test_samples_split_or_together_give_the_same_and_nothing_is_left_behind() -> None:
    lift, conv = layers(0.6)
    signal, elements = lifted(lift), SO2().grid(4, dtype=torch.float64)
    conv.train()
    state = {k: v.clone() for k, v in conv.state_dict().items()}
    whole = partial_layer_error(conv, signal, elements, n_grid=16)
    parts = [partial_layer_error(conv, signal.with_values(v), elements, n_grid=16) for v in signal.values.split(1)]
    split = np.concatenate([part.error for part in parts], -1)
    assert np.allclose(whole.error, split, rtol=1e-9, atol=1e-12)
    assert conv.training
    assert all(torch.equal(v, state[k]) for k, v in conv.state_dict().items())
    assert whole.identical(partial_layer_error(conv, signal, elements, n_grid=16))


def test_bad_input_gets_a_sentence() -> None:
    lift, conv = layers(0.6)
    signal = lifted(lift)
    arc = GroupSignal(signal.values, signal.elements / 2, SO2(), uniform=False)
    with pytest.raises(ValueError, match="group layer"):
        partial_layer_error(nn.ReLU(), signal)
    with pytest.raises(ValueError, match="whole group"):
        partial_layer_error(conv, arc)
    with pytest.raises(ValueError, match="n_grid"):
        partial_layer_error(conv, signal, n_grid=0)
    with pytest.raises(ValueError, match="expected"):
        partial_layer_error(conv, signal, O2().grid(8))
