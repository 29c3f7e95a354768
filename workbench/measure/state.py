"""Measuring leaves no trace: training flags, gradients, buffers, hooks and random states come back as they were."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import nn


def module_of(model: Callable) -> nn.Module | None:
    """The module behind a callable: itself, or the owner of a bound method; ``None`` for a plain function."""
    if isinstance(model, nn.Module):
        return model
    owner = getattr(model, "__self__", None)
    return owner if isinstance(owner, nn.Module) else None


@contextmanager
def undisturbed(model: Callable, seed: int | None = 0) -> Iterator[None]:
    """Run a block in evaluation mode, without gradients, from a given seed, and leave no trace of it.

    Restored exactly, also after an exception: every module's training flag, every ``.grad``, every buffer (the
    same tensor objects with the same values), the random states of Python, numpy and torch, and the switches of
    reduced precision, which are off inside.

    Args:
        model: any callable; a module, or a module's bound method, is put into evaluation mode.
        seed: of every random generator inside the block; ``None`` leaves them where they are.

    >>> net = nn.Dropout(0.5).train()
    >>> with undisturbed(net):
    ...     net.training
    False
    >>> net.training
    True
    """
    with ExitStack() as stack:
        stack.enter_context(_random_states(seed))
        stack.enter_context(_full_precision())
        module = module_of(model)
        if module is not None:
            stack.enter_context(_module_state(module))
        stack.enter_context(torch.no_grad())
        yield


@contextmanager
def _module_state(module: nn.Module) -> Iterator[None]:
    flags = [(m, m.training) for m in module.modules()]
    buffers = [(m, dict(m._buffers)) for m in module.modules() if m._buffers]
    copies = {id(b): b.detach().clone() for _, own in buffers for b in own.values() if b is not None}
    gradients = [(p, p.grad, None if p.grad is None else p.grad.clone()) for p in module.parameters()]
    # The flag is set on each module by itself: train() may be overridden, and must not be called here.
    for m, _ in flags:
        m.training = False
    try:
        yield
    finally:
        for m, flag in flags:
            m.training = flag
        for m, own in buffers:
            m._buffers.clear()
            m._buffers.update(own)
            for buffer in own.values():
                if buffer is not None and not _same(buffer, copies[id(buffer)]):
                    with torch.no_grad():
                        buffer.copy_(copies[id(buffer)])
        for p, gradient, copy in gradients:
            p.grad = gradient
            if gradient is not None and copy is not None and not _same(gradient, copy):
                with torch.no_grad():
                    gradient.copy_(copy)


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal, and NaN where the other is NaN."""
    if torch.equal(a, b):
        return True
    return torch.equal(a.isnan(), b.isnan()) and torch.equal(a.nan_to_num(), b.nan_to_num())


@contextmanager
def _random_states(seed: int | None) -> Iterator[None]:
    python, cpu = random.getstate(), torch.get_rng_state()
    old_numpy = np.random.get_state()  # noqa: NPY002 - the model may still draw from the global generator
    on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
    gpu = torch.cuda.get_rng_state_all() if on_gpu else []
    if seed is not None:
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        # not torch.manual_seed: that would also queue a seed for devices nobody uses yet
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.manual_seed_all(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(old_numpy)  # noqa: NPY002
        torch.set_rng_state(cpu)
        if on_gpu:
            torch.cuda.set_rng_state_all(gpu)


@contextmanager
def _full_precision() -> Iterator[None]:
    """No TensorFloat-32 while measuring: it would look like a broken symmetry at the level of 1e-3."""
    matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, cudnn
