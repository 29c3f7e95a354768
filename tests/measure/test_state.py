"""Measuring leaves no trace, also after an exception; and the test would see one."""

import random
import threading
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from tests.measure.toys import Nosy
from workbench.measure import equivariance_error, undisturbed
from workbench.measure.state import module_of


def snapshot(model: nn.Module) -> dict:
    return {
        "training": [m.training for m in model.modules()],
        "parameters": [p.detach().clone() for p in model.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "buffers": {name: b.clone() for name, b in model.named_buffers()},
        "buffer objects": [id(b) for b in model.buffers()],
        "gradient objects": [id(p.grad) for p in model.parameters()],
        "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),
        "torch": torch.get_rng_state(),
    }


def same(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def used_model() -> Nosy:
    """A model in the middle of training: one part in evaluation mode, gradients there, buffers filled."""
    model = Nosy().train()
    model.drop.eval()
    model(torch.rand(2, 1, 6, 6)).sum().backward()
    return model


X = torch.rand(2, 1, 6, 6)


@pytest.mark.parametrize("layers", [(), ["conv", "norm"], "all"])
def test_r24_a_measure_leaves_the_model_as_found(layers) -> None:
    model = used_model()
    before = snapshot(model)
    equivariance_error(model, X, "SO2", n_elements=5, layers=layers)
    assert same(before, snapshot(model))


def test_r24_also_after_an_exception() -> None:
    model = used_model()
    model.fails = True
    before = snapshot(model)
    with pytest.raises(RuntimeError, match="on purpose"):
        equivariance_error(model, X, "SO2", n_elements=5, layers="all")
    assert same(before, snapshot(model))


def test_the_comparison_sees_a_measure_that_does_not_clean_up() -> None:
    # the broken twin: the same forward passes without the guard change buffers, random states and hooks
    model = used_model()
    before = snapshot(model)
    model.conv.register_forward_hook(lambda *_: None)
    with torch.no_grad():
        model.eval()(X)
    after = snapshot(model)
    for part in ("training", "buffers", "buffer objects", "hooks", "torch"):
        assert not same(before[part], after[part])


def test_gradients_written_by_the_model_itself_are_taken_back() -> None:
    model = used_model()
    before = snapshot(model)
    with undisturbed(model), torch.enable_grad():
        model(X).sum().backward()
        model.conv.bias.grad.zero_()
    assert same(before, snapshot(model))


def test_inside_the_model_evaluates_without_gradients_from_the_seed() -> None:
    model = used_model()
    with undisturbed(model, seed=5):
        assert not any(m.training for m in model.modules())
        assert not model(X).requires_grad
    with undisturbed(model, seed=5):
        first = torch.rand(2), random.random(), np.random.rand()
    with undisturbed(model, seed=5):
        second = torch.rand(2), random.random(), np.random.rand()
    assert torch.equal(first[0], second[0])
    assert first[1:] == second[1:]


def test_a_buffer_of_nan_stays_as_it_is() -> None:
    model = nn.Module()
    model.register_buffer("empty", torch.tensor(float("nan")))
    buffer = model.empty
    with undisturbed(model):
        model.empty.zero_()
    assert model.empty is buffer
    assert bool(torch.isnan(model.empty))


def test_the_module_behind_a_callable_is_found() -> None:
    net = nn.ReLU()
    assert module_of(net) is net
    assert module_of(net.forward) is net
    assert module_of(torch.relu) is None


def test_a_second_thread_finds_the_model_in_evaluation_mode_until_it_is_done() -> None:
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5)).train()
    before, entered, leave = torch.get_rng_state(), threading.Event(), threading.Event()
    seen = []

    def other() -> None:
        with undisturbed(net, seed=5):
            entered.set()
            assert leave.wait(20)
            seen.append([m.training for m in net.modules()])
            net(torch.ones(1, 3))  # in training mode a batch norm refuses one sample

    with undisturbed(net):
        thread = threading.Thread(target=other)
        thread.start()
        assert entered.wait(20)
    leave.set()
    thread.join(20)
    assert seen == [[False, False, False]]
    assert all(m.training for m in net.modules())
    assert torch.equal(torch.get_rng_state(), before)


def test_an_inner_block_puts_back_what_it_found_and_not_what_the_outer_one_did() -> None:
    net = nn.Dropout(0.5).eval()
    with undisturbed(net):
        net.training = True
        torch.manual_seed(7)
        before = torch.get_rng_state()
        with undisturbed(net):
            assert not net.training
        assert net.training
        assert torch.equal(torch.get_rng_state(), before)
    assert not net.training


def test_a_scripted_module_with_buffers_is_measured_and_left_as_it_was() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, of scripts
        scripted = torch.jit.script(nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2)))
    before = {name: buffer.clone() for name, buffer in scripted.named_buffers()}
    ds = equivariance_error(scripted, torch.rand(2, 1, 8, 8), "C(4)")
    assert ds.sizes["layer"] == 1
    assert scripted.training
    assert all(torch.equal(buffer, before[name]) for name, buffer in scripted.named_buffers())
    with undisturbed(scripted), torch.no_grad():
        scripted[1].running_mean.add_(1)
    assert torch.equal(scripted[1].running_mean, before["1.running_mean"])
