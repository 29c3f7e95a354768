"""Gradients of whole layers against finite differences, the arc's width and the gates included."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.func import functional_call

from tests.layers.symmetry import lifted, relative
from tests.tolerances import BROKEN, EXACT
from workbench.groups import O2, SO2, Draw, GroupSignal
from workbench.kernels import KernelSpec
from workbench.kernels.networks import NETWORKS
from workbench.layers import GroupConv, GroupProjection, LiftingConv

SPEC = KernelSpec(hidden=4, omega0=3.0)  # low frequencies keep finite differences accurate


def check(layer: nn.Module, given, names: list[str] | None = None) -> bool:
    """Finite differences of ``layer(given)`` in its named parameters, all of them by default."""
    parameters = {k: v.detach().clone() for k, v in layer.named_parameters()}
    chosen = {k: parameters[k].requires_grad_() for k in (names or parameters)}

    def run(*inputs: Tensor) -> Tensor:
        out = functional_call(layer, {**parameters, **dict(zip(chosen, inputs, strict=True))}, (given,))
        return out.values if isinstance(out, GroupSignal) else out

    return gradcheck(run, tuple(chosen.values()), raise_exception=False, fast_mode=True)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_parameter_of_both_convolutions(network):
    spec = KernelSpec(network, 3, omega0=3.0)
    x, signal = torch.randn(1, 1, 4, 4).double(), lifted(O2(), 4, channels=2, size=3)
    assert check(LiftingConv(1, 2, 3, n=2, kernel=spec).double(), x)
    assert check(GroupConv(2, 1, 3, group="O2", n=4, kernel=spec).double(), signal)


def test_the_input_of_a_group_convolution():
    layer = GroupConv(2, 2, 5, n=4, kernel=SPEC).double()
    signal = lifted(SO2(), 4, channels=2, size=5)
    values = signal.values.clone().requires_grad_()
    assert gradcheck(lambda v: layer(signal.with_values(v)).values, (values,), fast_mode=True)


@pytest.mark.parametrize("theta", [0.45, 1.0])
@pytest.mark.parametrize("n", [3, 4, 8])
def test_the_width_of_the_arc(n, theta):
    layer = GroupConv(2, 1, 3, n=n, kernel=SPEC, partial=True).double()
    layer.distribution.theta.data.fill_(theta)
    assert check(layer, lifted(SO2(), 4, channels=2, size=3), ["distribution.theta"])


def test_the_width_of_the_arc_before():
    """A layer's kernels feel the widths of the layer before as well, through its input elements."""
    net = nn.Sequential(
        LiftingConv(1, 2, 3, n=4, kernel=SPEC),
        GroupConv(2, 2, 3, n=4, kernel=SPEC, partial=True),
        GroupConv(2, 1, 3, n=4, kernel=SPEC, partial=True),
        GroupProjection("mean"),
    ).double()
    assert check(net, torch.randn(1, 1, 4, 4).double(), ["1.distribution.theta", "2.distribution.theta"])


@pytest.mark.parametrize("theta", [0.45, 0.9])
def test_the_truncated_gradient_of_the_released_code_is_seen(theta):
    layer = GroupConv(2, 1, 3, n=8, kernel=SPEC, partial=True, gradient="reference").double()
    layer.distribution.theta.data.fill_(theta)
    assert not check(layer, lifted(SO2(), 4, channels=2, size=3), ["distribution.theta"])


def test_gate_values_in_their_own_layer_and_in_the_next_mean():
    first = GroupConv(2, 2, 3, group="O2", n=4, kernel=SPEC).double()
    second = GroupConv(2, 1, 3, group="O2", n=4, kernel=SPEC).double()
    signal = lifted(O2(), 4, channels=2, size=3)
    gates = torch.tensor([1.0, 1.0, 0.8, 0.4], dtype=torch.float64, requires_grad=True)
    project = GroupProjection("mean")

    def run(gates: Tensor) -> tuple[Tensor, Tensor]:
        out = first(signal, at=Draw(signal.elements, gates, True))
        return second(out).values, project(out)

    assert gradcheck(run, (gates,))


@pytest.mark.parametrize(("group", "n"), [("O2", 4), ("D(1)", 2), ("C(4)", 4), ("D(2)", 4)])
def test_gate_logits_get_the_slope_of_the_relaxed_gate(group, n):
    layer = GroupConv(2, 1, 3, group=group, n=n, kernel=SPEC, partial=True).double().train()
    logits = [p for name, p in layer.named_parameters() if name.endswith("logit")]
    signal = lifted(layer.group, n, channels=2, size=3)
    for seed in range(20):  # a draw that keeps every element
        torch.manual_seed(seed)
        out = layer(signal)
        if len(out.elements) == n:
            break
    loss = out.values.square().sum()
    slopes = torch.autograd.grad(loss, [*logits, out.weights], retain_graph=True)
    assert len(out.elements) == n
    assert all(slope.abs().max() > 0 for slope in slopes)
    # the chain rule by hand: d loss / d weight, times d weight / d logit
    through = torch.autograd.grad(out.weights, logits, slopes[-1])
    assert all(relative(a, b) <= EXACT[torch.float64] for a, b in zip(slopes, through, strict=False))


def test_a_closed_gate_gets_no_gradient_and_breaks_nothing():
    layer = GroupConv(2, 1, 3, group="D(1)", partial=True).double()
    layer.distribution.logit.data.fill_(-50.0)
    signal = lifted(layer.group, 2, channels=2, size=3)
    out = layer(signal)
    assert len(out.elements) == 1
    out.values.sum().backward()
    assert layer.distribution.logit.grad is None or float(layer.distribution.logit.grad) == 0


def test_looked_up_quarter_turns_would_falsify_the_slope_of_the_arc():
    """Turned copies move with the angle they were copied from; the slope of the width needs each angle's own."""
    layer = GroupConv(2, 1, 3, n=8, kernel=SPEC, partial=True).double()
    signal = lifted(SO2(), 8, channels=2, size=3)
    drawn = layer.distribution.rsample(8, 0.3)

    def slope(uniform: bool, values: Any = layer.kernels.values) -> Tensor:
        bank = values(drawn.elements, signal.elements, uniform, None, None)
        weight = torch.linspace(-1, 1, bank.numel(), dtype=bank.dtype).view_as(bank)
        return torch.autograd.grad((bank * weight).sum(), layer.distribution.theta, retain_graph=True)[0]

    own = slope(False)
    assert relative(slope(True), own) <= EXACT[torch.float64]
    twin = slope(True, layer.kernels._values)
    assert math.isfinite(float(twin))
    assert relative(twin, own) > BROKEN
    still = layer.kernels(drawn.elements.detach(), signal.elements, True)
    assert torch.equal(layer.kernels(drawn.elements, signal.elements, True), still), "values are the looked-up ones"


@pytest.mark.parametrize("way", ["dense", "split", "spectral"])
def test_every_way_of_convolving_has_the_gradients_of_the_layer(way, monkeypatch):
    monkeypatch.setattr("workbench.layers.convolution.choose", lambda *_: way)
    layer = GroupConv(2, 2, 5, group="O2", n=4, kernel=SPEC, partial=True).double().eval()
    layer.distribution.arc.theta.data.fill_(0.8)
    signal = lifted(O2(), 4, channels=2, size=5)
    gated = GroupSignal(signal.values, signal.elements, signal.group, torch.linspace(0.3, 1, 4).double())
    names = [name for name, _ in layer.named_parameters() if "logit" not in name]
    assert check(layer, gated, names)
    values = signal.values.clone().requires_grad_()
    assert gradcheck(lambda v: layer(gated.with_values(v)).values, (values,), fast_mode=True)
