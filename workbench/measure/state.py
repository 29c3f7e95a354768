"""Measuring leaves no trace: training flags, gradients, buffers, hooks and random states come back as they were."""

import random
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

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

    Threads may measure one model at the same time: it stays in evaluation mode until the last of them is done.
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
        stack.enter_context(_ways_remembered())
        yield


class _Ways(threading.local):
    """What this thread has learned of models since its outermost block began."""

    learned: dict[int, set[str]] | None = None


_ways = _Ways()


@contextmanager
def _ways_remembered() -> Iterator[None]:
    """Not longer than a block lasts: each of them runs a model as the one before did, to the last random number."""
    before = _ways.learned
    _ways.learned = {} if before is None else before
    try:
        yield
    finally:
        _ways.learned = before


def ways_of(model: Callable) -> set[str]:
    """What a block has learned of how a model runs; what is added to it is forgotten at the end of the block.

    ``"gradients"``: it takes some inside, and fails without. ``"writes"``: it changes the tensor that it is given.
    """
    return set() if _ways.learned is None else _ways.learned.setdefault(id(model), set())


class _Found:
    """What blocks found before they changed it, by name; threads may measure one model at the same time.

    The last block out puts back what the first one found. A block inside another of the same thread puts back what it
    found itself; and while another thread still measures, nothing is put back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside: dict[Hashable, tuple[Any, list[int]]] = {}

    def enter(self, key: Hashable, own: Any) -> None:
        with self._lock:
            self._inside.setdefault(key, (own, []))[1].append(threading.get_ident())

    def leave(self, key: Hashable, own: Any, put_back: Callable[[Any], None]) -> None:
        with self._lock:
            first, threads = self._inside[key]
            threads.remove(me := threading.get_ident())
            if not threads:
                del self._inside[key]
            if not set(threads) - {me}:
                put_back(own if threads else first)


_found = _Found()


@contextmanager
def _module_state(module: nn.Module) -> Iterator[None]:
    with ExitStack() as stack:
        for p in module.parameters():
            stack.enter_context(_kept(p, (p.grad, None if p.grad is None else p.grad.clone()), _put_gradient))
        for m in module.modules():
            own = dict(m._buffers.items())  # of a scripted module no dict, but something with items
            copies = {name: None if b is None else b.detach().clone() for name, b in own.items()}
            stack.enter_context(_kept(m, (m.training, own, copies), _put_module))
            m.training = False  # by itself: train() may be overridden, and must not be called here
        yield


@contextmanager
def _kept(owner: Any, own: Any, put_back: Callable[[Any, Any], None]) -> Iterator[None]:
    _found.enter(id(owner), own)
    try:
        yield
    finally:
        _found.leave(id(owner), own, lambda found: put_back(owner, found))


def _put_module(module: nn.Module, found: tuple[bool, dict[str, Any], dict[str, Any]]) -> None:
    module.training, own, copies = found
    now = dict(module._buffers.items())
    if list(now) != list(own) or any(now[name] is not own[name] for name in own):
        module._buffers.clear()
        module._buffers.update(own)
    for name, buffer in own.items():
        if buffer is not None and not _same(buffer, copies[name]):
            with torch.no_grad():
                buffer.copy_(copies[name])


def _put_gradient(parameter: nn.Parameter, found: tuple[torch.Tensor | None, torch.Tensor | None]) -> None:
    parameter.grad, copy = found
    if parameter.grad is not None and copy is not None and not _same(parameter.grad, copy):
        with torch.no_grad():
            parameter.grad.copy_(copy)


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
    own = python, old_numpy, cpu, torch.cuda.get_rng_state_all() if on_gpu else []
    _found.enter("random", own)
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
        _found.leave("random", own, _put_random)


def _put_random(found: tuple[Any, Any, torch.Tensor, list[torch.Tensor]]) -> None:
    python, old_numpy, cpu, gpu = found
    random.setstate(python)
    np.random.set_state(old_numpy)  # noqa: NPY002
    torch.set_rng_state(cpu)
    if gpu:
        torch.cuda.set_rng_state_all(gpu)


@contextmanager
def _full_precision() -> Iterator[None]:
    """No TensorFloat-32 while measuring: it would look like a broken symmetry at the level of 1e-3."""
    own = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    _found.enter("precision", own)
    _put_precision((False, False))
    try:
        yield
    finally:
        _found.leave("precision", own, _put_precision)


def _put_precision(found: tuple[bool, bool]) -> None:
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = found
