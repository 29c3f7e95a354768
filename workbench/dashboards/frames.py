"""A figure as one text and one buffer: numbers travel as bytes in their own type, everything else as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

_ALIGNMENT = 8  # bytes; typed arrays in the browser start at a multiple of their item size

# What a browser has no typed array for travels in the nearest type that loses nothing a screen shows.
_SENT_AS = {
    "bool": "uint8",
    "int64": "int32",
    "uint64": "uint32",
    "float16": "float32",
}


class Buffer:
    """Arrays, one after the other, in one run of bytes.

    >>> buffer = Buffer()
    >>> buffer.add(np.zeros((2, 3), np.float32))
    {'$': [0, 'float32', [2, 3]]}
    >>> len(buffer.bytes())
    24
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._length = 0

    def add(self, array: np.ndarray) -> dict[str, Any]:
        """Append an array of numbers; returns the reference that stands for it in the text."""
        sent = np.ascontiguousarray(array, dtype=_number_type(array))
        reference = {"$": [self._length, sent.dtype.name, list(sent.shape)]}
        padding = -sent.nbytes % _ALIGNMENT
        self._pieces += [sent.tobytes(), b"\0" * padding]
        self._length += sent.nbytes + padding
        return reference

    def bytes(self) -> bytes:
        """Everything added so far."""
        return b"".join(self._pieces)


def pack(figure: Mapping[str, Any]) -> tuple[str, bytes]:
    """Split a figure into JSON text and one buffer; each array of numbers becomes {"$": [offset, dtype, shape]}.

    >>> text, buffer = pack({"data": [{"y": np.array([1, 2], np.uint8)}], "layout": {"width": float("nan")}})
    >>> text
    '{"data":[{"y":{"$":[0,"uint8",[2]]}}],"layout":{"width":null}}'
    >>> list(buffer[:2])
    [1, 2]
    """
    buffer = Buffer()
    text = json.dumps(_plain(figure, buffer), separators=(",", ":"), allow_nan=False)
    return text, buffer.bytes()


def _plain(value: Any, buffer: Buffer) -> Any:
    if isinstance(value, np.ndarray):
        return buffer.add(value) if value.dtype.kind in "biuf" and value.ndim else _plain(value.tolist(), buffer)
    if isinstance(value, Mapping):
        return {str(key): _plain(kept, buffer) for key, kept in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(kept, buffer) for kept in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _number_type(array: np.ndarray) -> str:
    name = array.dtype.name
    sent = _SENT_AS.get(name, name)
    whole = sent in ("int32", "uint32") and name != sent
    if whole and array.size and not np.array_equal(array.astype(sent), array):
        return "float64"
    return sent
