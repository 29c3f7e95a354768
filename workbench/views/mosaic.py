"""Many small pictures as one heat map: one trace to send and one canvas to draw, whatever their number."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.views import palette
from workbench.views.frame import Trace

GAP = 1
"""Pixels between two tiles. They hold `fill`, never NaN, so that the array stays a plain binary buffer."""


def tiles(values: np.ndarray, fill: float = 0.0, gap: int = GAP) -> np.ndarray:
    """Lay tiles `(R, C, H, W)` side by side into one array `(R (H + gap) - gap, C (W + gap) - gap)`.

    >>> tiles(np.ones((2, 3, 4, 5))).shape
    (9, 17)
    """
    rows, columns, height, width = values.shape
    sheet = np.full((rows, height + gap, columns, width + gap), fill, dtype=values.dtype)
    sheet[:, :height, :, :width] = values.transpose(0, 2, 1, 3)
    sheet = sheet.reshape(rows * (height + gap), columns * (width + gap))
    return np.ascontiguousarray(sheet[: sheet.shape[0] - gap, : sheet.shape[1] - gap])


def centres(count: int, size: int, gap: int = GAP) -> np.ndarray:
    """Where the middle of each tile lies along an axis of the mosaic, in its pixels."""
    return (np.arange(count) * (size + gap) + (size - 1) / 2).astype(np.float32)


def outline(row: int, column: int, height: int, width: int, colour: str, gap: int = GAP, **more: Any) -> dict[str, Any]:
    """A frame around one tile, as a plotly shape."""
    top, left = row * (height + gap) - 0.5 - gap / 4, column * (width + gap) - 0.5 - gap / 4
    shape = {
        "type": "rect",
        "x0": left,
        "x1": left + width + gap / 2,
        "y0": top,
        "y1": top + height + gap / 2,
        "line": {"color": colour, "width": 1.6},
    }
    return {**shape, **more}


def signed(values: np.ndarray, limit: float, **more: Any) -> Trace:
    """A heat map of signed numbers, symmetric about zero; `limit` is the end of the scale on both sides."""
    return _heat(values, zmin=-limit, zmax=limit, colorscale=palette.DIVERGING, **more)


def magnitude(values: np.ndarray, low: float, high: float, **more: Any) -> Trace:
    """A heat map of magnitudes or grey values; far below `low` lies `gap_value(low, high)`, which shows the page."""
    below = low - gap_value(low, high)
    edge = below / (high - low + below)
    scale = [[0.0, palette.CLEAR], [edge / 2, palette.CLEAR], [edge / 2, palette.SEQUENTIAL[0][1]]]
    scale += [[edge + (1 - edge) * float(at), colour] for at, colour in palette.SEQUENTIAL]
    return _heat(values, zmin=low - below, zmax=high, colorscale=scale, **more)


def gap_value(low: float, high: float) -> float:
    """What to fill the gaps of a mosaic of magnitudes with: so far below that overshoot of a resampler stays apart."""
    return low - (high - low)


def _heat(values: np.ndarray, **more: Any) -> Trace:
    """Small integers stay small; anything else travels as float32."""
    keep = values.dtype in (np.uint8, np.int8, np.int16, np.uint16)
    sent = values if keep else values.astype(np.float32)
    return {"type": "heatmap", "z": np.ascontiguousarray(sent), "zsmooth": False, "showscale": False, **more}


def colour_bar(title: str, x: float, y: float, length: float) -> dict[str, Any]:
    """A thin colour bar right of a panel, at paper coordinates."""
    return {
        "title": {"text": title, "side": "right", "font": {"size": 11}},
        "x": x,
        "y": y,
        "yanchor": "middle",
        "len": length,
        "thickness": 8,
        "outlinewidth": 0,
        "tickfont": {"size": 10},
        "nticks": 5,
        "ticks": "",
    }
