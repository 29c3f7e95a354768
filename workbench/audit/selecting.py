"""A network of several answers, heard for one of them alone."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from workbench.audit.model import AuditedModel
from workbench.measure.result import selected


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
    some = copy.copy(model)
    some.__dict__["_forward_hooks"] = OrderedDict(model._forward_hooks)
    for name in ("_forward_hooks_with_kwargs", "_forward_hooks_always_called"):
        some.__dict__[name] = OrderedDict(getattr(model, name))
    some.register_forward_hook(_Chosen(select))
    return some


@dataclass(frozen=True)
class _Chosen:
    """A hook at the end of a network; it travels with copies, as a function defined elsewhere would not."""

    select: Any

    def __call__(self, module: nn.Module, inputs: tuple, output: Any) -> Any:
        return selected(output, self.select)


@dataclass(frozen=True)
class _Then:
    """A plain function and the part of its answer."""

    model: Callable
    select: Any

    def __call__(self, *inputs: Any) -> Any:
        return selected(self.model(*inputs), self.select)


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
