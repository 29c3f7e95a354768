"""What a model gives back: one tensor is measured, of several one has to be chosen."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from workbench.groups import GroupSignal

_MISSING = object()


def selected(result: Any, select: Any) -> Any:
    """The part of a result that is to be measured.

    Args:
        result: whatever the model gave back.
        select: a key or place, an attribute's name, a function of the result, or ``None``: the result itself. Parts of
            parts are reached by names joined with dots, ``"head.boxes"`` or ``"0.1"``.

    Raises:
        ValueError: for a dict, tuple or object with fields that is not narrowed to one part, naming its parts, or a
            part that is not there.

    >>> selected({"head": {"logits": 1}, "features": 2}, "head.logits")
    1
    """
    if callable(select):
        return select(result)
    found = result if select is None else _reached(result, select)
    if found is _MISSING:
        if not _several(result):
            raise ValueError(
                f"select = {select!r} was given for {_parts(result)}, which has no such part; leave it out."
            )
        nested = f", such as {_first(result)!r}" if isinstance(_first(result), str) else ""
        raise ValueError(f"select = {select!r} was given for {_parts(result)}; expected one of these{nested}.")
    if _several(found):
        what = "the model puts out" if select is None else f"select = {select!r} was given, which is"
        raise ValueError(
            f"{what} {_parts(found)}; expected one tensor, because each part may move in its own way; "
            f"choose one with select={_first(found, () if select is None else (select,))!r}."
        )
    return found


def _several(result: Any) -> bool:
    return isinstance(result, Mapping) or bool(isinstance(result, tuple | list) and result) or bool(_fields(result))


def _fields(result: Any) -> list[str]:
    """What an object holds, by name, where one of them is a tensor; nothing of tensors, dicts and tuples themselves."""
    if isinstance(result, Tensor | GroupSignal | Mapping | tuple | list | type):
        return []
    if is_dataclass(result):
        return [field.name for field in fields(result) if hasattr(result, field.name)]
    held = {name: part for name, part in getattr(result, "__dict__", {}).items() if not name.startswith("_")}
    return list(held) if any(isinstance(part, Tensor) for part in held.values()) else []


def _reached(result: Any, select: Any) -> Any:
    """The part of that name, or of a part of it; the longest name first, since a key may hold dots itself."""
    found = _part(result, select)
    if found is not _MISSING or not isinstance(select, str):
        return found
    pieces = select.split(".")
    for count in range(len(pieces) - 1, 0, -1):
        outer = _part(result, ".".join(pieces[:count]))
        inner = _MISSING if outer is _MISSING else _reached(outer, ".".join(pieces[count:]))
        if inner is not _MISSING:
            return inner
    return _MISSING


def _part(result: Any, name: Any) -> Any:
    if isinstance(name, str) and not isinstance(result, Mapping) and hasattr(result, name):
        return getattr(result, name)
    place = isinstance(name, str) and isinstance(result, Mapping | tuple | list) and name.removeprefix("-").isdigit()
    if isinstance(result, Tensor) and isinstance(name, str):  # torch warns of a text as an index before it refuses
        return _MISSING
    for key in (name, int(name)) if place else (name,):
        try:
            return result[key]
        except (KeyError, IndexError, TypeError):
            continue
    return _MISSING


def _first(result: Any, path: tuple = ()) -> Any:
    """What selects the first part that has no parts itself, and is a tensor where there is one."""
    while held := _held(result):
        key = next((key for key, part in held if isinstance(part, Tensor) or _held(part)), held[0][0])
        path, result = (*path, key), dict(held)[key]
    return path[0] if len(path) == 1 else ".".join(map(str, path))


def _held(result: Any) -> list[tuple[Any, Any]]:
    """The parts of a result with what selects each of them."""
    if isinstance(result, Mapping):
        return list(result.items())
    if isinstance(result, tuple | list):
        return list(enumerate(result))
    return [(name, getattr(result, name)) for name in _fields(result)]


def _parts(result: Any) -> str:
    if isinstance(result, Mapping):
        return f"a {type(result).__name__} with the keys {', '.join(repr(key) for key in list(result)[:12]) or 'none'}"
    if isinstance(result, tuple | list):
        kinds = [str(tuple(part.shape)) if isinstance(part, Tensor) else type(part).__name__ for part in result[:12]]
        return f"a {type(result).__name__} of {len(result)} parts ({', '.join(kinds)}), numbered from 0"
    if named := _fields(result):
        return f"a {type(result).__name__} with the fields {', '.join(map(repr, named[:12]))}"
    return f"a {type(result).__name__}"


def measurable(value: Any, batch: int) -> bool:
    """Whether the result is a batch of numbers of any shape; whole numbers (labels) count."""
    if not isinstance(value, Tensor) or value.is_complex() or value.dtype == torch.bool:
        return False
    return value.ndim > 0 and len(value) == batch and value.numel() > 0


def tensors_of(value: Any) -> list[Tensor]:
    """All tensors of an answer or of arguments: in dicts, tuples and lists, and those of group signals.

    >>> len(tensors_of({"a": torch.zeros(2), "b": [torch.zeros(1), (torch.zeros(1), 3)]}))
    3
    """
    if isinstance(value, GroupSignal):
        return [value.values]
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return [tensor for part in parts for tensor in tensors_of(part)]
