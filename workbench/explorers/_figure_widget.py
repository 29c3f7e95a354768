"""The picture of an explorer in a notebook: one plotly figure, patched by binary messages, never rebuilt.

Arrays travel as raw bytes in the smallest dtype that holds them and are no part of the widget's state, so a saved
notebook stays small. plotly.js comes from the installed plotly package, once per page, over the kernel's own channel.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

_HERE = Path(__file__).parent


class PlotlyLoader(anywidget.AnyWidget):
    """Brings plotly.js to the page: with its birth, and again when a reloaded page asks."""

    _esm = _HERE / "_plotly_loader.js"
    source = traitlets.Bytes().tag(sync=True)  # gzip; emptied as soon as the page has it

    def __init__(self) -> None:
        super().__init__(source=_plotly_source())
        self.on_msg(self._answer)

    def _answer(self, _widget: object, content: dict[str, Any], _buffers: object) -> None:
        if content.get("type") == "loaded":
            self.source = b""
        elif content.get("type") == "missing":
            self.send({"type": "plotly"}, [_plotly_source()])


@cache
def _plotly_source() -> bytes:
    return gzip.compress(files("plotly").joinpath("package_data/plotly.min.js").read_bytes(), compresslevel=6)


_loaders: list[PlotlyLoader] = []


def load_plotly() -> None:
    """Make sure this kernel's page gets plotly.js, once."""
    if not any(loader.comm is not None for loader in _loaders):
        _loaders[:] = [PlotlyLoader()]


class FigureWidget(anywidget.AnyWidget):
    """One figure with its status row and its buttons; `draw` shows a picture, `on_page(kind, answer)` hears the page.

    The first picture travels with the widget's birth and is dropped from its state once the page has drawn it.
    """

    _esm = _HERE / "_figure_widget.js"
    _css = _HERE / "_figure_widget.css"
    first = traitlets.Dict().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)  # what a screen reader says of the picture
    filename = traitlets.Unicode("explorer").tag(sync=True)
    accepts = traitlets.Unicode("").tag(sync=True)  # "image", "molecule" or nothing: what the reader may bring
    has_own = traitlets.Bool(False).tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        load_plotly()
        super().__init__(**traits)
        self._standing: dict[str, dict[str, Any]] = {}  # error and progress, told again to a page that comes late
        self._current: tuple[dict[str, Any], list[memoryview]] | None = None
        self._answers: dict[str, Callable[[dict[str, Any], list[memoryview]], None]] = {}
        self.on_msg(self._hear)

    def draw(self, figure: dict[str, Any], about: dict[str, Any], *, first: bool = False) -> None:
        """Show a figure; `about` (serial, asked, state, ...) becomes its `layout.meta`.

        An error stays until there is a picture that was asked for after it.
        """
        layout = {**figure["layout"], "meta": about}
        content, buffers = pack({"data": figure["data"], "layout": layout})
        if about["asked"] > self._standing.get("error", {}).get("asked", -1):
            self._standing.pop("error", None)
        self._current = (
            {"type": "figure", "serial": about["serial"], "asked": about["asked"], "figure": content},
            buffers,
        )
        if first:
            self.first = {"content": self._current[0], "buffers": [bytes(buffer) for buffer in buffers]}
        else:
            self.send(*self._current)

    @property
    def serial(self) -> int:
        """The serial of the last picture, -1 before the first."""
        return -1 if self._current is None else int(self._current[0]["serial"])

    def tell(self, kind: str, buffers: list[bytes] | None = None, **content: Any) -> None:
        """Send a message of another kind: "busy", "error", "text", "download"."""
        message = {"type": kind, **content}
        if kind == "error" or content.get("fraction") is not None:
            self._standing[kind] = message
        else:
            self._standing.pop(kind, None)
        self.send(message, buffers)

    def on_page(self, kind: str, answer: Callable[[dict[str, Any], list[memoryview]], None]) -> None:
        """Call `answer(content, buffers)` for each message of that kind from the page."""
        self._answers[kind] = answer

    def _hear(self, _widget: object, content: Any, buffers: Any) -> None:
        kind = content.get("type") if isinstance(content, dict) else None
        if kind == "ready":
            self._catch_up(content.get("serial"))
        elif isinstance(kind, str) and kind in self._answers:
            self._answers[kind](content, list(buffers or ()))

    def _catch_up(self, drawn: object) -> None:
        self.first = {}
        if self._current is not None and self.serial != drawn:
            self.send(*self._current)
        for message in list(self._standing.values()):
            self.send(message)


def pack(node: Any) -> tuple[Any, list[memoryview]]:
    """Split a figure into plain data for JSON and the raw bytes of its arrays.

    An array becomes {"__array__": index, "dtype": name, "shape": [...]}; numbers that JSON does not know become None.

    >>> content, buffers = pack({"z": np.array([[0.0, 1.0]]), "n": float("nan")})
    >>> content, bytes(buffers[0]) == np.array([[0, 1]], dtype="float32").tobytes()
    ({'z': {'__array__': 0, 'dtype': 'float32', 'shape': [1, 2]}, 'n': None}, True)
    """
    buffers: list[memoryview] = []

    def walk(part: Any) -> Any:
        if isinstance(part, np.ndarray) and part.dtype.kind in "iuf" and part.ndim:
            array = smallest(part)
            buffers.append(memoryview(array.tobytes()))
            return {"__array__": len(buffers) - 1, "dtype": array.dtype.name, "shape": list(array.shape)}
        if isinstance(part, np.ndarray | np.generic):
            return walk(part.astype(str).tolist() if part.dtype.kind == "M" else part.tolist())
        if isinstance(part, dict):
            return {key: walk(value) for key, value in part.items()}
        if isinstance(part, list | tuple):
            return [walk(value) for value in part]
        return None if isinstance(part, float) and not np.isfinite(part) else part

    return walk(node), buffers


def smallest(array: np.ndarray) -> np.ndarray:
    """The array, contiguous and little-endian, in the smallest dtype that shows the same.

    Whole numbers keep their values; real ones keep 24 bits, which no screen can tell from 53.

    >>> smallest(np.array([0, 200])).dtype.name, smallest(np.array([-1.0, 1e300])).dtype.name
    ('uint8', 'float64')
    """
    if array.dtype.kind == "f":
        largest = np.abs(array, where=np.isfinite(array), out=np.zeros(array.shape, array.dtype)).max(initial=0.0)
        kind: Any = np.float64 if largest > np.finfo(np.float32).max else np.float32
    else:
        low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
        kinds = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32)
        fits = (kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
        kind = next(fits, np.float64)
    return np.ascontiguousarray(array, dtype=np.dtype(kind).newbyteorder("<"))
