"""The most recent results of an explorer: a slider that moves to and fro costs nothing."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr


class Results:
    """The most recent results by state, shared between an explorer and its copies in other threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[tuple[Any, ...], xr.Dataset] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[Any, ...]) -> xr.Dataset | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: tuple[Any, ...], ds: xr.Dataset) -> None:
        with self._lock:
            self._kept[key] = ds
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
