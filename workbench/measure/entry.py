"""Inputs that a model cannot take: what its layers say of them, as one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import TracebackType
from typing import Any

from torch import Tensor, nn

from workbench.measure.state import module_of

_CHANNELS = re.compile(r"to have (\d+) channels, but got (\d+) channels")
_MISFIT = re.compile(
    r"shapes cannot be multiplied|must match|should contain \d+ elements|can't be greater than actual input size"
    r"|input to conv|input\.size\(-1\)|expected input with shape|number of channels in input|input channel size"
    r"|is invalid for input of size|size mismatch|expecting embedding dimension"
)
"""What torch's layers say of a shape that does not fit; every other failure is the model's own and stays as it is."""
_LETTERS = {2: "(B, {})", 3: "(B, {}, L)", 4: "(B, {}, H, W)"}


def fed(model: Callable, inputs: Tensor) -> Any:
    """``model(inputs)``, with one sentence in place of torch's words where the inputs do not fit the model.

    Raises:
        ValueError: what was given, what was expected by which layer, and the fix.

    >>> import torch
    >>> fed(nn.Conv2d(1, 2, 3), torch.zeros(1, 3, 8, 8))
    Traceback (most recent call last):
    ...
    ValueError: inputs of shape (1, 3, 8, 8) were given; the model's Conv2d expects 1 channel, (B, 1, H, W); give \
inputs of 1 channel, or build the model for 3.
    """
    try:
        return model(inputs)
    except (RuntimeError, AssertionError) as error:
        told = _told(model, inputs, error)
        if told is None:
            raise
        raise ValueError(told) from error


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
