"""The way into a model: it gets what it may change, gradients where it takes some, and one sentence where it fails."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from workbench.groups import GroupSignal
from workbench.measure.state import module_of, ways_of

_CHANNELS = re.compile(r"to have (\d+) channels, but got (\d+) channels")
_MISFIT = re.compile(
    r"shapes cannot be multiplied|must match|should contain \d+ elements|can't be greater than actual input size"
    r"|input to conv|input\.size\(-1\)|expected input with shape|number of channels in input|input channel size"
    r"|is invalid for input of size|size mismatch|expecting embedding dimension"
)
"""What torch's layers say of a shape that does not fit; every other failure is the model's own and stays as it is."""
NO_GRADIENT = "takes a gradient of what has none"
_NO_GRADIENT = re.compile(r"does(?:n.t| not) require grad")
"""What torch says where a gradient is taken of what has none."""
_LETTERS = {2: "(B, {})", 3: "(B, {}, L)", 4: "(B, {}, H, W)"}


def fed(
    model: Callable,
    inputs: Tensor,
    spare: bool = False,
    around: Callable[[], AbstractContextManager] = nullcontext,
) -> Any:
    """``model(inputs)``, with one sentence in place of torch's words where the inputs do not fit the model.

    The model gets a copy, because it may change what it is given. One that takes a gradient inside is run again with
    gradients switched on, and so from the first within the same :func:`workbench.measure.undisturbed`; its result comes
    without them.

    Args:
        spare: nobody reads the inputs afterwards, so that the model gets them themselves; not for the first pass,
            which may have to be run again.
        around: entered anew for each attempt.

    Raises:
        ValueError: what was given, what was expected by which layer, and the fix.

    >>> import torch
    >>> fed(nn.Conv2d(1, 2, 3), torch.zeros(1, 3, 8, 8))
    Traceback (most recent call last):
    ...
    ValueError: inputs of shape (1, 3, 8, 8) were given; the model's Conv2d expects 1 channel, (B, 1, H, W); give \
inputs of 1 channel, or build the model for 3.
    """
    known, asked = ways_of(model), torch.is_grad_enabled()
    for on in (True,) if asked or "gradients" in known else (False, True):
        given = inputs if spare and on == asked else inputs.clone()
        before = _version(given)
        try:
            with around(), torch.set_grad_enabled(on):
                result = model(given)
            break
        except (RuntimeError, AssertionError) as error:
            if not on and _NO_GRADIENT.search(str(error)):
                known.add("gradients")
                continue
            told = _told(model, inputs, error)
            if told is None:
                raise
            raise ValueError(told) from error
    if _version(given) != before or (given.requires_grad and not asked):
        known.add("writes")
    return result if on == asked else freed(result)


def _version(tensor: Tensor) -> int:
    """How often a tensor was changed in place, where that is counted."""
    return 0 if tensor.is_inference() else tensor._version


def freed(result: Any) -> Any:
    """A result without the graph behind it, and whatever it holds in dicts, lists and tuples; other things as such."""
    if isinstance(result, Tensor):
        return result.detach() if result.requires_grad else result
    if isinstance(result, GroupSignal):
        return result.with_values(result.values.detach()) if result.values.requires_grad else result
    if type(result) in (tuple, list):
        return type(result)(map(freed, result))
    return {key: freed(part) for key, part in result.items()} if type(result) is dict else result


def _told(model: Callable, inputs: Tensor, error: Exception) -> str | None:
    words = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    given, layer = f"inputs of shape {tuple(inputs.shape)} were given", _layer(model, error.__traceback__)
    channels = _CHANNELS.search(words)
    if channels and inputs.ndim > 1 and int(channels[2]) == inputs.shape[1]:
        wanted = f"{channels[1]} channel{'s' * (channels[1] != '1')}"
        form = _LETTERS.get(inputs.ndim, "(B, {}, ...)").format(channels[1])
        return (
            f"{given}; the model's {layer} expects {wanted}, {form}; give inputs of {wanted}, or build the model for "
            f"{channels[2]}."
        )
    if _NO_GRADIENT.search(words):
        return (
            f"the model's {layer} {NO_GRADIENT}, with gradients switched on as well ({words}); "
            "expected a result that depends on what it is taken by; look for torch.no_grad or detach inside the model."
        )
    if channels or _MISFIT.search(words):
        return f"{given}; they do not fit the model's {layer} ({words}); give the shape that the model was built for."
    return None


def _layer(model: Callable, trace: TracebackType | None) -> str:
    """The innermost module that was running."""
    module, found = module_of(model), None
    names = {id(one): name for name, one in module.named_modules()} if module is not None else {}
    while trace is not None:
        running = trace.tb_frame.f_locals.get("self")
        found = running if isinstance(running, nn.Module) else found
        trace = trace.tb_next
    if found is None:
        return "code"
    name = names.get(id(found), "")
    return f"layer {name!r}, a {type(found).__name__}," if name else type(found).__name__
