"""Programs that torch saved: TorchScript and exported programs, opened only where nothing in them is a bare pickle.

A program is code. Running it is what an audit is for; but reading it must not run anything else, so archives that
would make torch unpickle arbitrary objects are refused before torch sees them.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workbench.audit.formulas import is_guard, is_name, is_operation, is_size

LARGEST_BYTES = 2**31
"""Of a program's archive, and of all that it unpacks to."""
_NO_NAME = "one of its names is none that torch gives"
_CHECKED = {
    "expr_str": (is_size, "one of its sizes is no formula of sizes"),
    "target": (is_operation, "one of its steps is no operation of torch"),
    "as_operator": (is_operation, "one of its steps is no operation of torch"),
    "name": (is_name, _NO_NAME),
    "as_name": (is_name, _NO_NAME),
    "parameter_name": (is_name, _NO_NAME),
    "buffer_name": (is_name, _NO_NAME),
    "tensor_constant_name": (is_name, _NO_NAME),
}
"""Texts by the key under which they stand, what they have to be, and what is said of any other."""
_IMPORTING = ("__enum__", "default_factory")  # in the description of arguments: torch imports what these name


class EndToEnd:
    """A program as a plain function on images: its layers cannot be watched, and its batches may be bounded.

    Args:
        batch: the only size of a batch that it takes, where there is one.
        least, most: the sizes that it takes otherwise. A batch that is too short is filled up by repetition.
    """

    def __init__(self, program: Callable, batch: int | None = None, least: int = 1, most: int | None = None) -> None:
        self.program, self.batch = program, batch
        self.least, self.most = (least, most) if batch is None else (batch, batch)

    def __call__(self, images: Tensor) -> Any:
        if len(images) >= self.least and (self.most is None or len(images) <= self.most):
            return self.program(images)
        answers = []
        for part in images.split(self.most or len(images)):
            missing = max(0, self.least - len(part))
            whole = torch.cat([part, part[-1:].expand(missing, *part.shape[1:])]) if missing else part
            answers.append(self.program(whole)[: len(part)])
        return torch.cat(answers)


def load_program(path: Path) -> tuple[EndToEnd, str, tuple[int, ...] | None]:
    """The program in a file, its kind in words, and the shape (B, C, H, W) it was exported for where it says so.

    Raises:
        ValueError: for anything but a whole TorchScript or exported program, also where reading it could run code.
    """
    if path.stat().st_size > LARGEST_BYTES:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes; expected at most {LARGEST_BYTES} (2 GB).")
    content = path.read_bytes()
    names = _members(content, path)
    if any(name.endswith("/constants.pkl") for name in names) and any("/code/" in name for name in names):
        return _torchscript(content, path), "TorchScript program", None
    if any("/models/" in name or name.startswith("models/") for name in names):
        return _exported(content, path)
    if any(name.endswith("data.pkl") for name in names):
        if code := _objects(path):
            raise ValueError(
                f"{path.name} holds a pickled object ({code[0]}), whose reading could run code; save the network as a "
                "program with torch.export.save (.pt2), or its state_dict() to give with --weights beside the code "
                "that builds it."
            )
        raise ValueError(
            f"{path.name} holds weights, not a program; name the code that builds the network, package.module:name, "
            f"and give this file with --weights (weights={path.name!r} in Python)."
        )
    raise ValueError(f"{path.name} is no TorchScript or exported program; save it with torch.export.save (.pt2).")


def _objects(path: Path) -> list[str]:
    """What a pickle in the archive would call, by name; only its text is looked at, nothing is called."""
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # damaged: the loader of weights says so
        return []


def _members(content: bytes, path: Path) -> list[str]:
    if not content.startswith(b"PK"):
        raise ValueError(
            f"{path.name} is no torch archive (first bytes {content[:8]!r}), so its objects could run code when read; "
            "save it with torch.export.save, or its weights with safetensors."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise ValueError(f"{path.name} is cut short or damaged ({error}); export it again.") from error
    unpacked = sum(info.file_size for info in infos)
    if unpacked > LARGEST_BYTES:
        raise ValueError(f"{path.name} unpacks to {unpacked} bytes; expected at most {LARGEST_BYTES} (2 GB).")
    return [info.filename for info in infos]


def _torchscript(content: bytes, path: Path) -> EndToEnd:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch says that TorchScript is deprecated, which the report says too
            program = torch.jit.load(io.BytesIO(content), map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path.name} cannot be read as TorchScript ({_first(error)}); save it again.") from error
    return EndToEnd(program.eval())


def _exported(content: bytes, path: Path) -> tuple[EndToEnd, str, tuple[int, ...] | None]:
    if reason := why_unsafe(content):
        raise ValueError(f"{path.name} was refused: {reason}, so reading it could run code; export it again without.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.load(io.BytesIO(content))
    except Exception as error:  # torch raises a dozen kinds for one damaged byte
        raise ValueError(
            f"{path.name} cannot be read as exported program ({_first(error)}); export it again."
        ) from error
    shape = _input_shape(program)
    fixed = shape[0] if shape and shape[0] > 0 else None
    return EndToEnd(program.module(), fixed, *_batches(program)), "exported program", shape


def why_unsafe(content: bytes) -> str | None:
    """What in an exported program's archive torch would unpickle, or evaluate, without a check; None for nothing."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if "/aotinductor/" in name:
                return "it holds compiled machine code"
            if name.endswith((".pt", ".pkl")) and "/sample_inputs/" not in name:
                return "it is of an older format whose weights are pickled"
            if "/sample_inputs/" in name and not _plain(archive.read(name)):
                return "its sample inputs are pickled objects"
            if name.endswith(".json") and (reason := _why_json(archive.read(name))):
                return reason
    return None


def _plain(content: bytes) -> bool:
    try:
        torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # whatever the safe loader says, the unsafe one must not get this
        return False
    return True


def _why_json(content: bytes) -> str | None:
    try:
        stored = json.loads(content)
    except ValueError:
        return "one of its tables is no JSON"
    for key, value in _entries(stored):
        if key == "use_pickle" and value:
            return "it holds pickled tensors"
        if key == "path_name" and str(value).startswith(("custom_obj", "opaque_obj")):
            return "it holds pickled objects"
        if key in _CHECKED and isinstance(value, str) and not _CHECKED[key][0](value):
            return _CHECKED[key][1]
        if key == "guards_code" and not all(is_guard(str(guard)) for guard in value or ()):
            return "one of its guards does more than compare sizes"
        if key in ("in_spec", "out_spec") and any(word in str(value) for word in _IMPORTING):
            return "the description of its arguments names modules to import"
        if key in ("in_spec", "out_spec", "forward_arg_names") and not all(map(is_name, _texts(value))):
            return _NO_NAME
    return None


def _texts(value: Any) -> Iterator[str]:
    """All texts in nested lists and tables, keys and texts that are tables themselves included."""
    if isinstance(value, dict):
        yield from _texts([*value.keys(), *value.values()])
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)
    elif isinstance(value, str):
        try:
            inner = json.loads(value)
        except ValueError:
            inner = None
        if isinstance(inner, dict | list):
            yield from _texts(inner)
        else:
            yield value


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield key, entry
            yield from _entries(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _entries(entry)


def _input_shape(program: Any) -> tuple[int, ...] | None:
    """Sides of the only input; 0 where a side is free."""
    sides = _sides(program)
    return None if sides is None else tuple(side if isinstance(side, int) else 0 for side in sides)


def _batches(program: Any) -> tuple[int, int | None]:
    """The smallest and the largest batch that a program of free batch size takes; None for any number."""
    free = (_sides(program) or [1])[0]
    allowed = None if isinstance(free, int) else program.range_constraints.get(free.node.expr)
    if allowed is None:
        return 1, None
    most = allowed.upper
    return max(1, int(allowed.lower)), int(most) if most.is_Integer and most < LARGEST_BYTES else None


def _sides(program: Any) -> list[Any] | None:
    users = set(program.graph_signature.user_inputs)
    inputs = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in users]
    if len(inputs) != 1 or not hasattr(inputs[0].meta.get("val"), "shape"):
        return None
    return list(inputs[0].meta["val"].shape)


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
