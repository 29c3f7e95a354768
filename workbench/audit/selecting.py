"""A network heard as an audit needs it: one answer of several, on copies of its inputs, with gradients where asked."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from workbench.audit.model import AuditedModel
from workbench.measure.entry import freed
from workbench.measure.result import selected

_TOLD = {
    "gradients": "The network takes gradients inside: it was measured with gradients switched on in it.",
    "writes": "The network changes the tensor that it is given: it was measured on copies.",
}


def narrowed(found: AuditedModel, select: Any) -> AuditedModel:
    """The same network, of whose answer only the named part is given.

    A module stays a module with the same layers under the same names: a shallow copy, whose weights, buffers and
    layers are those of the network itself, with a hook of its own at its end.

    Args:
        select: key, place (also as text), attribute, or a function, as :func:`workbench.measure.equivariance_error`
            takes them; ``None`` gives the network back.
    """
    return found if select is None else replace(found, model=narrowed_model(found.model, select))


def narrowed_model(model: Callable, select: Any) -> Callable:
    """The network itself, of whose answer only the named part is given."""
    if select is None:
        return model
    if not isinstance(model, nn.Module):
        return _Then(model, select)
    some = _shallow(model)
    some.register_forward_hook(_Chosen(select))
    return some


def guarded(found: AuditedModel, ways: frozenset[str]) -> AuditedModel:
    """The same network, which may do with its inputs what it likes, whoever runs it.

    Args:
        ways: of :attr:`workbench.audit.trial.Trial.ways`; the network itself comes back where there are none.
    """
    if not ways:
        return found
    told = tuple(sentence for way, sentence in _TOLD.items() if way in ways)
    return replace(found, model=guarded_model(found.model, ways), notes=(*found.notes, *told))


def guarded_model(model: Callable, ways: frozenset[str]) -> Callable:
    """The network itself, given copies of its inputs, with gradients switched on inside where ``ways`` names them."""
    inside = _Inside("gradients" in ways)
    if not isinstance(model, nn.Module):
        return _Guarded(model, inside)
    some = _shallow(model)
    some.register_forward_pre_hook(inside.enter, prepend=True)
    some.register_forward_hook(inside.leave, prepend=True, always_call=True)
    return some


def _shallow(model: nn.Module) -> nn.Module:
    """The same weights, buffers and layers, with hooks of its own at its ends."""
    some = copy.copy(model)
    for name in list(some.__dict__):
        if name.startswith("_forward_") and "hooks" in name:
            some.__dict__[name] = OrderedDict(getattr(model, name))
    return some


class _Inside:
    """What stands at the two ends of a network: copies of what comes in, no graph in what goes out."""

    def __init__(self, gradients: bool) -> None:
        self.gradients, self.before = gradients, list[bool]()

    def enter(self, module: nn.Module | None, inputs: tuple) -> tuple:
        given = tuple(one.clone() if isinstance(one, Tensor) else one for one in inputs)
        self.before.append(torch.is_grad_enabled())
        torch.set_grad_enabled(self.gradients or self.before[-1])
        return given

    def leave(self, module: nn.Module | None, inputs: tuple, output: Any) -> Any:
        torch.set_grad_enabled(asked := self.before.pop())
        return output if asked else freed(output)


@dataclass(frozen=True)
class _Guarded:
    """A plain function between these ends."""

    model: Callable
    inside: _Inside

    def __call__(self, *inputs: Any) -> Any:
        output = None
        given = self.inside.enter(None, inputs)
        try:
            output = self.model(*given)
        finally:
            output = self.inside.leave(None, given, output)
        return output


@dataclass(frozen=True)
class _Chosen:
    """A hook at the end of a network; it travels with copies, as a function defined elsewhere would not."""

    select: Any

    def __call__(self, module: nn.Module, inputs: tuple, output: Any) -> Any:
        part = selected(output, self.select)
        return part if torch.is_grad_enabled() else freed(part)


@dataclass(frozen=True)
class _Then:
    """A plain function and the part of its answer."""

    model: Callable
    select: Any

    def __call__(self, *inputs: Any) -> Any:
        part = selected(self.model(*inputs), self.select)
        return part if torch.is_grad_enabled() else freed(part)


@dataclass(frozen=True)
class MembersFirst:
    """The chosen part with its members brought from the last axis to the one behind the samples, where they belong."""

    select: Any

    def __call__(self, output: Any) -> Any:
        return selected(output, self.select).transpose(1, 2)


def place_or_key(text: str | None) -> str | int | None:
    """What a word of the command line selects: a whole number is a place.

    >>> place_or_key("logits"), place_or_key("0")
    ('logits', 0)
    """
    return int(text) if text is not None and text.lstrip("-").isdigit() else text
