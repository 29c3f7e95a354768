"""The network to be audited, found by its name: an import path, a run folder, or a program that torch saved."""

from __future__ import annotations

import inspect
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from workbench.audit.importing import RUNS_CODE, import_object, is_import_path
from workbench.audit.programs import LARGEST_BYTES, EndToEnd, load_program

if TYPE_CHECKING:
    from workbench.datasets import ImageSet

END_TO_END = (
    "It was measured end to end only: the hooks through which layers are watched do not reach the inside of a "
    "TorchScript or exported program. Reasons are those that can be found from outside (sizes, steps, the frame); to "
    "have layers named, audit the Python network by its import path, with its weights by --weights."
)


@dataclass(frozen=True, eq=False)
class AuditedModel:
    """A network, where it came from, and what its origin tells about its input.

    Attributes:
        model: the callable that is measured.
        name: as it was asked for.
        how: what it is, in words.
        notes: what the reader of a report has to know, one sentence each.
        end_to_end: its layers cannot be watched.
        input_shape: (C, H, W) where the origin says so; 0 for a side that is free.
        images: the data set a run was trained on, whose standardising the input needs.
    """

    model: Callable
    name: str
    how: str
    notes: tuple[str, ...] = ()
    end_to_end: bool = False
    input_shape: tuple[int, int, int] | None = None
    images: ImageSet | None = field(default=None, repr=False)


def load_model(name: str | Path | Callable, weights: str | Path | None = None) -> AuditedModel:
    """Find a network by its name.

    Args:
        name: ``package.module:attribute`` or ``file.py:attribute`` (a module, or a function or class that makes one
            without arguments; **its code is run**), a run folder, a TorchScript (.pt) or exported program (.pt2), or
            a callable, which is taken as it is.
        weights: safetensors, or a state dict that torch saved, to be put into a network found by its import path.

    Raises:
        ValueError, TypeError, FileNotFoundError, ModuleNotFoundError: one sentence on what was expected.

    >>> load_model("torch.nn:Flatten").how
    'torch module Flatten'
    """
    if callable(name) and not isinstance(name, str):
        found = AuditedModel(name, _called(name), _kind(name), end_to_end=not isinstance(name, nn.Module))
    else:
        found = _by_name(str(name))
    if weights is not None:
        _fill(found, Path(weights))
        found = AuditedModel(
            found.model, found.name, f"{found.how} with the weights of {Path(weights).name}", found.notes
        )
    return found


def _by_name(name: str) -> AuditedModel:
    if "\0" in name:
        raise ValueError("the model's name has a NUL character; give a plain name.")
    path = Path(name).expanduser()
    if path.is_dir():
        return _run_folder(name, path)
    if path.is_file():
        return _program(name, path)
    if is_import_path(name):
        return _imported(name)
    raise FileNotFoundError(
        f"there is no file or folder {name}; expected package.module:name, a run folder, a TorchScript program "
        "(.pt) or an exported program (.pt2)."
    )


def _run_folder(name: str, path: Path) -> AuditedModel:
    from workbench.datasets import load
    from workbench.training import Run

    run = Run(path)
    data = dict(run.config["data"])
    images = load(data.pop("name"), **data)
    how = f"run folder, {run.config['model']['name'].replace('_', ' ')} trained on {images.name}"
    return AuditedModel(run.model(), name, how, input_shape=images.image_shape, images=images)


def _program(name: str, path: Path) -> AuditedModel:
    if path.suffix.lower() not in (".pt", ".pth", ".pt2", ".ts", ".jit"):
        raise ValueError(f"{path.name} is no program; expected .pt (TorchScript) or .pt2 (exported), or module:name.")
    program, kind, shape = load_program(path)
    notes = [END_TO_END]
    if program.batch:
        notes.append(f"It was exported for batches of {program.batch}; smaller ones were filled up by repetition.")
    if kind.startswith("TorchScript"):
        notes.append("torch has deprecated TorchScript; torch.export.save writes what replaces it.")
    sides = (shape[1], shape[2], shape[3]) if shape is not None and len(shape) == 4 else None
    return AuditedModel(program, name, kind, tuple(notes), True, sides)


def _imported(name: str) -> AuditedModel:
    value = import_object(name)
    if isinstance(value, nn.Module):
        return AuditedModel(value, name, _kind(value), (RUNS_CODE,))
    if not callable(value):
        raise TypeError(f"{name} is a {type(value).__name__}; expected a torch module, or what makes or is one.")
    if _takes_nothing(value):
        try:
            made = value()
        except Exception as error:
            words = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(f"{name}() failed: {words}; expected a torch module without arguments.") from error
        if not callable(made):
            raise TypeError(f"{name}() gave a {type(made).__name__}; expected a torch module.")
        return AuditedModel(made, name, _kind(made), (RUNS_CODE,), not isinstance(made, nn.Module))
    if inspect.isclass(value):
        raise ValueError(f"{name} needs arguments; write a function without any that makes it, and name that.")
    return AuditedModel(value, name, _kind(value), (RUNS_CODE, "A plain function shows no layers."), True)


def _takes_nothing(value: Callable) -> bool:
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return inspect.isclass(value)
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return all(p.default is not p.empty or p.kind in free for p in parameters)


def _kind(value: Any) -> str:
    if isinstance(value, nn.Module):
        return f"torch module {type(value).__name__}"
    return "exported or scripted program" if isinstance(value, EndToEnd) else "function"


def _called(value: Any) -> str:
    return type(value).__name__ if isinstance(value, nn.Module) else getattr(value, "__name__", type(value).__name__)


def _fill(found: AuditedModel, path: Path) -> None:
    if not isinstance(found.model, nn.Module):
        raise ValueError(f"weights were given for a {found.how}; expected a network named package.module:name.")
    tensors = _weights(path)
    for wrapper in ("state_dict", "model", "model_state_dict"):  # how training scripts often wrap them
        if isinstance(tensors.get(wrapper), dict):
            tensors = tensors[wrapper]
    tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    try:
        found.model.load_state_dict(tensors)
    except (RuntimeError, TypeError) as error:
        lines = str(error).strip().splitlines()
        raise ValueError(f"{path.name} does not fit {found.name}: {lines[-1].strip()[:200]}") from error


def _weights(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; expected weights, .safetensors or a state dict (.pt).")
    if path.stat().st_size > LARGEST_BYTES:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes; expected at most {LARGEST_BYTES} (2 GB).")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path.name} is no whole safetensors file; save the weights again.") from error
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path.name} is no torch archive, so its objects could run code; save it with torch.save.")
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds; the safe loader ran nothing
        raise ValueError(
            f"{path.name} was refused: it holds more than tensors, numbers and strings, which could run code; save "
            "model.state_dict() alone."
        ) from error
    if not isinstance(stored, dict):
        raise ValueError(f"{path.name} holds a {type(stored).__name__}; expected a state dict.")
    return stored
