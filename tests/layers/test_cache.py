"""Kernels are kept in evaluation, renewed whenever something they depend on changes, and never cost a gradient."""

import copy
import io

import pytest
import torch
from torch import nn

from tests.layers.symmetry import lifted, relative
from tests.tolerances import BF16, BROKEN, EXACT, SINGLE_AGAINST_DOUBLE
from workbench.groups import O2, SO2, GroupSignal
from workbench.kernels import KernelBank, KernelSpec
from workbench.kernels.geometry import lookup, plan
from workbench.layers import GroupConv, LiftingConv
from workbench.layers.spectral import transforms

SPEC = KernelSpec(hidden=8)


class Counting(KernelBank):
    """Counts how often kernels are generated."""

    generated = 0

    def values(self, *args, **kwargs):
        self.generated += 1
        return super().values(*args, **kwargs)


def network(partial=True, **options) -> nn.Sequential:
    net = nn.Sequential(LiftingConv(1, 3, 5, kernel=SPEC, **options), GroupConv(3, 2, 5, partial=partial, kernel=SPEC))
    for layer in net:
        layer.kernels.__class__ = Counting
    return net.eval()


def generated(net) -> tuple[int, ...]:
    return tuple(layer.kernels.generated for layer in net)


X = torch.linspace(-1, 1, 2 * 12 * 12).reshape(2, 1, 12, 12).sin()


@torch.no_grad()
def test_evaluation_generates_kernels_once():
    net = network()
    first = net(X).values
    kept = net[1]._kept_bank
    assert torch.equal(net(X).values, first)
    net(X[:1])
    assert generated(net) == (1, 1)
    assert net[1]._kept_bank is kept


def change_with_an_optimizer(net):
    optimizer = torch.optim.Adam(net.parameters(), 0.1)
    with torch.enable_grad():
        net(X).values.square().sum().backward()
    optimizer.step()


def change_with_a_fused_optimizer(net):
    optimizer = torch.optim.Adam(net.parameters(), 0.1, fused=True)
    net.train()
    with torch.enable_grad():
        net(X).values.square().sum().backward()
    optimizer.step()
    net.eval()


def load_other_weights(net):
    net.load_state_dict(network().state_dict())


def write_behind_the_version_counter(net):
    net.train()
    for p in net.parameters():
        p.data.mul_(1.5)
    net.eval()


def change_the_gain(net):
    net[1].kernels.gain.mul_(2)


def change_the_number(net):
    net[0].n = net[1].n = 4


def narrow_the_arc(net):
    net[1].distribution.theta.data.fill_(0.4)


def swap_a_parameter(net):
    net[1].kernels.network.readout.weight = nn.Parameter(torch.randn_like(net[1].kernels.network.readout.weight))


@pytest.mark.parametrize(
    "change",
    [
        change_with_an_optimizer,
        change_with_a_fused_optimizer,
        load_other_weights,
        write_behind_the_version_counter,
        change_the_gain,
        change_the_number,
        narrow_the_arc,
        swap_a_parameter,
    ],
)
def test_what_changes_the_kernels_renews_them(change):
    net = network()
    with torch.no_grad():
        before = net(X).values
        change(net)
        after = net(X).values
        fresh = copy.deepcopy(net)
        assert all(layer._kept_bank is None for layer in fresh)
        assert torch.equal(after, fresh(X).values)
    assert after.shape != before.shape or relative(after, before) > BROKEN


@torch.no_grad()
def test_another_precision_renews_the_kernels():
    net = network()
    single = net(X).values
    double = net.double()(X.double()).values
    assert double.dtype == torch.float64
    assert relative(double, single.double()) < SINGLE_AGAINST_DOUBLE
    assert torch.equal(net.float()(X).values, single)


@torch.no_grad()
def test_other_inputs_of_the_same_elements_renew_the_kernels():
    layer = GroupConv(3, 2, 5, group="O2", n=8, kernel=SPEC).eval().double()
    plain = lifted(O2(), 8)
    gates = torch.linspace(0.2, 1, 8, dtype=torch.float64)
    gated = GroupSignal(plain.values, plain.elements, plain.group, gates)
    assert relative(layer(gated).values, layer(plain).values) > BROKEN
    assert torch.equal(layer(plain).values, copy.deepcopy(layer)(plain).values)


def test_kept_kernels_never_stand_between_a_loss_and_the_weights():
    net = network(partial=False)
    with torch.no_grad():
        net(X)
    net(X).values.sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    before = generated(net)
    net(X)
    assert all(now > then for now, then in zip(generated(net), before, strict=True))


def test_kept_kernels_pass_gradients_to_the_image():
    net = network()
    net.requires_grad_(False)
    x = X.clone().requires_grad_()
    net(x)
    before = generated(net)
    (slope,) = torch.autograd.grad(net(x).values.square().sum(), x)
    assert generated(net) == before
    assert slope.abs().max() > 0


def test_inference_mode_and_ordinary_evaluation_do_not_share_kernels():
    net = network(partial=False)
    with torch.inference_mode():
        inside = net(X).values.clone()
    outside = net(X).values
    assert relative(inside, outside) <= EXACT[torch.float32]
    outside.sum().backward()
    with torch.inference_mode():
        assert relative(net(X).values, outside) <= EXACT[torch.float32]


def test_autocast_keeps_kernels_in_full_precision_and_leaves_nothing_behind():
    net = network(partial=False)
    for mode in (False, True):
        net.train(mode)
        plain = net(X).values
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            half = net(X).values
        with torch.no_grad():
            again = net(X).values
        assert half.dtype == torch.bfloat16
        assert again.dtype == torch.float32
        assert torch.equal(again, plain)
        assert relative(half.float(), plain) < BF16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        net.train()(X).values.float().square().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_a_stale_cache_would_be_seen():
    net = network()
    with torch.no_grad():
        before = net(X).values
        for layer in net:
            layer.kernels.network.readout.weight.data.mul_(1.5)  # evades the version counter
        assert torch.equal(net(X).values, before)  # the documented limit
        for layer in net:
            layer._forget()
        assert relative(net(X).values, before) > BROKEN


# ---- saving and copying


@pytest.mark.parametrize("group", ["SO2", "O2", "C(8)", "D(4)"])
def test_saving_and_loading_weights_gives_the_same_answers(group):
    def fresh():
        conv = GroupConv(3, 2, 5, group=group, partial=True, kernel=SPEC)
        return nn.Sequential(LiftingConv(1, 3, 5, group=group, kernel=SPEC), conv).eval()

    net, other = fresh(), fresh()
    for p in net[1].distribution.parameters():
        p.data.mul_(0.7)
    a, b = other(X).values, net(X).values
    assert a.shape != b.shape or relative(a, b) > BROKEN
    stored = io.BytesIO()
    torch.save(net.state_dict(), stored)
    stored.seek(0)
    other.load_state_dict(torch.load(stored, weights_only=True))
    assert torch.equal(other(X).values, net(X).values)


@torch.no_grad()
def test_a_deep_copy_is_independent():
    net = network()
    before = net(X).values
    twin = copy.deepcopy(net)
    assert torch.equal(twin(X).values, before)
    for p in twin.parameters():
        p.mul_(2)
    assert relative(twin(X).values, before) > BROKEN
    assert torch.equal(net(X).values, before)


def test_a_layer_with_kept_kernels_survives_torch_save():
    layer = GroupConv(3, 2, 5, kernel=SPEC).eval()
    with torch.no_grad():
        layer(lifted(SO2(), 8, dtype=torch.float32))
    assert layer._kept_bank is not None
    stored = io.BytesIO()
    torch.save(layer, stored)
    assert len(stored.getvalue()) < 200_000  # no kernels inside


@pytest.mark.parametrize("way", ["dense", "split", "spectral"])
def test_a_network_first_used_in_inference_mode_can_be_trained_afterwards(way, monkeypatch):
    for cached in (plan, lookup, transforms):
        cached.cache_clear()
    monkeypatch.setattr("workbench.layers.convolution.choose", lambda *_: way)
    net = network(partial=False)
    with torch.inference_mode():
        net(X)
    net.train()(X).values.square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())
