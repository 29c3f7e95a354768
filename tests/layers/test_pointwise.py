"""Norms, activations and dropout act on the values alone and treat every element and pixel alike."""

import pytest
import torch
from torch import nn

from tests.layers.symmetry import lifted, relative
from tests.tolerances import EXACT
from workbench.groups import SO2, GroupSignal
from workbench.layers import (
    GroupBatchNorm,
    GroupDropout,
    GroupInstanceNorm,
    GroupLayerNorm,
    GroupPointwise,
    GroupReLU,
)

TIGHT = EXACT[torch.float64]
LAYERS = [GroupBatchNorm(3), GroupInstanceNorm(3), GroupLayerNorm(3), GroupReLU(), GroupDropout(0.3)]


def a_signal() -> GroupSignal:
    signal = lifted(SO2(), 4, size=6)
    gates = torch.tensor([1.0, 1.0, 0.5, 1.0], dtype=torch.float64)
    return GroupSignal(5 * signal.values + 2, signal.elements, signal.group, gates, uniform=False)


def standardised(v: torch.Tensor, dims: tuple[int, ...]) -> torch.Tensor:
    return (v - v.mean(dims, keepdim=True)) / (v.var(dims, correction=0, keepdim=True) + 1e-5).sqrt()


@pytest.mark.parametrize(
    ("layer", "dims"),
    [(GroupBatchNorm(3), (0, 2, 3, 4)), (GroupInstanceNorm(3), (2, 3, 4)), (GroupLayerNorm(3), (1, 2, 3, 4))],
    ids=lambda given: type(given).__name__,
)
def test_norms_take_their_statistics_over_elements_and_pixels_alike(layer, dims):
    signal = a_signal()
    assert relative(layer.double()(signal).values, standardised(signal.values, dims)) <= TIGHT


@pytest.mark.parametrize("layer", [*LAYERS, GroupPointwise(nn.GELU())], ids=lambda layer: type(layer).__name__)
def test_elements_weights_and_uniformity_pass_through(layer):
    signal = a_signal()
    out = layer.double()(signal)
    assert out.elements is signal.elements
    assert out.weights is signal.weights
    assert out.uniform == signal.uniform


def test_batch_norm_has_one_scale_per_channel_and_running_statistics():
    norm = GroupBatchNorm(3, momentum=1.0).double()
    signal = a_signal()
    norm(signal)
    assert {name: tuple(p.shape) for name, p in norm.named_parameters()} == {"norm.weight": (3,), "norm.bias": (3,)}
    wanted = signal.values.mean((0, 2, 3, 4))
    assert relative(norm.norm.running_mean, wanted) <= TIGHT
    a, b = norm.eval()(signal).values, norm(signal.with_values(signal.values[:1])).values
    assert relative(b, a[:1]) <= TIGHT  # an evaluated image does not depend on its batch


def test_dropout_can_drop_whole_channels_on_all_elements_at_once():
    signal = lifted(SO2(), 4, channels=50).map(torch.ones_like)
    dropped = GroupDropout(0.5, whole_channels=True)(signal).values
    per_channel = dropped.flatten(2)
    assert bool(((per_channel == 0).all(-1) | (per_channel == 2).all(-1)).all())
    single = GroupDropout(0.5)(signal).values.flatten(2)
    assert not bool(((single == 0).all(-1) | (single == 2).all(-1)).any())
    assert torch.equal(GroupDropout(0.5).eval()(signal).values, signal.values)
    for p in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match="probability"):
            GroupDropout(p)


def test_a_pointwise_module_serves_signals_and_vectors_alike():
    layer, signal = GroupPointwise(nn.Tanh()), a_signal()
    assert torch.equal(layer(signal).values, torch.tanh(signal.values))
    vector = torch.randn(2, 3)
    assert torch.equal(layer(vector), torch.tanh(vector))


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_a_plain_tensor_is_refused_with_a_sentence(layer):
    with pytest.raises(ValueError, match=f"{type(layer).__name__}: Tensor was given; expected a GroupSignal"):
        layer(torch.zeros(1, 3, 4, 4))
    with pytest.raises(ValueError, match="list was given"):
        GroupPointwise(nn.Tanh())([1.0])


@pytest.mark.parametrize("kind", [GroupBatchNorm, GroupInstanceNorm, GroupLayerNorm])
def test_channels_that_cannot_be_or_do_not_fit_are_refused(kind):
    for channels in (0, -1, 2.5, "3", True, 10**9):
        with pytest.raises(ValueError, match=f"{kind.__name__}: channels = "):
            kind(channels)
    with pytest.raises(ValueError, match=rf"3 channels was given; expected 5; build it as {kind.__name__}\(3\)"):
        kind(5)(lifted(SO2(), 4, dtype=torch.float32))


def test_what_is_no_module_or_probability_is_refused():
    with pytest.raises(TypeError, match="int was given; expected a torch module"):
        GroupPointwise(3)
    for p in ("a", 1, -0.1, float("nan")):
        with pytest.raises(ValueError, match="expected a probability"):
            GroupDropout(p)


@pytest.mark.parametrize("layer", [GroupBatchNorm(3), GroupLayerNorm(3)], ids=lambda layer: type(layer).__name__)
def test_their_weights_survive_saving_and_loading(layer):
    nn.init.normal_(layer.norm.weight)
    twin = type(layer)(3)
    twin.load_state_dict(layer.state_dict())
    signal = lifted(SO2(), 4, dtype=torch.float32)
    assert torch.equal(twin.eval()(signal).values, layer.eval()(signal).values)
