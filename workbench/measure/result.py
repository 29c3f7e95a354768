"""What a model gives back: one tensor is measured, of several one has to be chosen."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_MISSING = object()


def selected(result: Any, select: Any) -> Any:
    """The part of a result that is to be measured.

    Args:
        result: whatever the model gave back.
        select: a key or place, an attribute's name, a function of the result, or ``None``: the result itself. Parts of
            parts are reached by names joined with dots, ``"head.boxes"`` or ``"0.1"``.

    Raises:
        ValueError: for a dict or tuple that is not narrowed to one part, naming its parts, or a part that is not there.

    >>> selected({"head": {"logits": 1}, "features": 2}, "head.logits")
    1
    """
    if callable(select):
        return select(result)
    found = result if select is None else _reached(result, select)
    if found is _MISSING:
        nested = f", such as {_first(result)!r}" if isinstance(_first(result), str) and _several(result) else ""
        raise ValueError(f"select = {select!r} was given for {_parts(result)}; expected one of these{nested}.")
    if _several(found):
        what = "the model puts out" if select is None else f"select = {select!r} was given, which is"
        raise ValueError(
            f"{what} {_parts(found)}; expected one tensor, because each part may move in its own way; "
            f"choose one with select={_first(found, () if select is None else (select,))!r}."
        )
    return found


def _several(result: Any) -> bool:
    return isinstance(result, Mapping) or (isinstance(result, tuple | list) and len(result) > 0)


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
    for key in (name, int(name)) if place else (name,):
        try:
            return result[key]
        except (KeyError, IndexError, TypeError):
            continue
    return _MISSING


def _first(result: Any, path: tuple = ()) -> Any:
    """What selects the first part that has no parts itself."""
    while _several(result) and len(result):
        key = next(iter(result)) if isinstance(result, Mapping) else 0
        path, result = (*path, key), result[key]
    return path[0] if len(path) == 1 else ".".join(map(str, path))


def _parts(result: Any) -> str:
    if isinstance(result, Mapping):
        return f"a {type(result).__name__} with the keys {', '.join(repr(key) for key in list(result)[:12]) or 'none'}"
    if isinstance(result, tuple | list):
        kinds = [str(tuple(part.shape)) if isinstance(part, Tensor) else type(part).__name__ for part in result[:12]]
        return f"a {type(result).__name__} of {len(result)} parts ({', '.join(kinds)}), numbered from 0"
    return f"a {type(result).__name__}"


def measurable(value: Any, batch: int) -> bool:
    """Whether the result is a batch of numbers of any shape; whole numbers (labels) count."""
    if not isinstance(value, Tensor) or value.is_complex() or value.dtype == torch.bool:
        return False
    return value.ndim > 0 and len(value) == batch and value.numel() > 0
