"""What a model gives back: one tensor is measured, of several one has to be chosen."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def selected(result: Any, select: Any) -> Any:
    """The part of a result that is to be measured.

    Args:
        result: whatever the model gave back.
        select: a key or place, an attribute's name, a function of the result, or ``None``: the result itself.

    Raises:
        ValueError: for a dict or tuple without ``select``, naming its parts, or a part that is not there.

    >>> selected({"logits": 1, "features": 2}, "features")
    2
    """
    if callable(select):
        return select(result)
    if isinstance(select, str) and not isinstance(result, Mapping) and hasattr(result, select):
        return getattr(result, select)
    if select is not None:
        try:
            return result[select]
        except (KeyError, IndexError, TypeError):
            raise ValueError(f"select = {select!r} was given for {_parts(result)}; expected one of these.") from None
    if isinstance(result, Mapping) or (isinstance(result, tuple | list) and result):
        example = next(iter(result), 0) if isinstance(result, Mapping) else 0
        raise ValueError(
            f"the model puts out {_parts(result)}; expected one tensor, because each part may move in its own way; "
            f"choose one with select={example!r}."
        )
    return result


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
