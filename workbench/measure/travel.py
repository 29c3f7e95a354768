"""A model on its way to another process: its weights as safetensors and the import path of what builds it.

No module is pickled: pickles run code when they are read, and they keep only the name of a class, not what its
constructor was told. The worker imports and calls the same function as we do, and gets the same numbers put in.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from workbench.e3.copies import copied
from workbench.measure.probe import first_tensor


@dataclass(frozen=True)
class Luggage:
    """Where to build a model, its state, and on which kind of device; the state of a plain function is ``None``."""

    where: str
    state: bytes | None
    device: str


def packed(model: Callable, build: str | Callable | None) -> Luggage:
    """What travels.

    Args:
        model: a module, or a function that can be imported.
        build: ``"package.module:name"`` of a function without arguments that makes the module, or that function.

    Raises:
        ValueError: for a module without ``build``, or a function that another process cannot import.
    """
    reference = first_tensor(model)
    device = "cpu" if reference is None else reference.device.type
    if isinstance(model, nn.Module):
        if build is None:
            raise ValueError(
                f"a {type(model).__name__} was given for a scheduler without build; expected the import path of a "
                "function without arguments that makes it, because modules are not pickled; give "
                "build='package.module:function'."
            )
        return Luggage(_path(build), _state(model), device)
    return Luggage(_path(model if build is None else build), None, device)


def unpacked(luggage: Luggage) -> Callable:
    """The model again."""
    found = imported(luggage.where)
    if luggage.state is None:
        return found
    model = copied(found) if isinstance(found, nn.Module) else found()
    if not isinstance(model, nn.Module):
        raise ValueError(f"{luggage.where}() gave a {type(model).__name__}; expected a torch module.")
    from safetensors.torch import load

    tensors = load(luggage.state)
    try:
        model.load_state_dict(tensors, assign=True)  # assigned, not copied into: the dtype is kept
    except RuntimeError as error:
        last = str(error).strip().splitlines()[-1].strip()
        raise ValueError(f"{luggage.where} makes a module that the weights do not fit: {last[:200]}") from error
    return model.to(luggage.device)


def imported(where: str) -> Any:
    """The object behind ``package.module:name``; the code of the module is run."""
    module, colon, name = where.partition(":")
    if not colon or not name or not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
        raise ValueError(f"build = {where!r} was given; expected 'package.module:function'.")
    try:
        value: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"there is no module {error.name!r} here (process {os.getpid()}), which {where} needs; expected it "
            "wherever the model is built, on every worker too; install it there, or start the worker in its folder.",
            name=error.name,
        ) from error
    for part in name.split("."):
        value = getattr(value, part, None)
    if value is None:
        raise ValueError(f"build = {where!r} was given; expected a name that {module} has.")
    return value


def _path(given: str | Callable) -> str:
    if isinstance(given, str):
        imported(given)
        return given
    module, name = getattr(given, "__module__", None), getattr(given, "__qualname__", "<none>")
    if module in (None, "__main__") or "<" in name:
        raise ValueError(
            f"{name} of {module} was given; expected a function that a worker can import; put it into a module of its "
            "own and give 'package.module:function'."
        )
    return f"{module}:{name}"


def _state(model: nn.Module) -> bytes:
    from safetensors.torch import save

    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in model.state_dict().items()
               if isinstance(t, torch.Tensor)}  # fmt: skip
    return save(tensors)
