"""The error behind every layer of a network, in the order they run, one mark for each question that was asked."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import Figure, Trace, axis, figure, label, note, require, small, text, values
from workbench.views.orbit import LOWEST

ROW_PX = 17
MOST_ROWS = 70
SYMBOLS = ("circle", "diamond", "square", "cross")


def layer_errors(ds: xr.Dataset) -> Figure:
    """Each layer's worst mean error on a logarithmic axis, with its interval; the end of the network is the last row.

    Args:
        ds: with `error_mean`, `error_low`, `error_high` over `(question, layer)`, NaN where nothing was measured. The
            attribute `exact_below` is drawn as a line: what lies left of it is rounding. Of more than 70 layers
            the figure shows the first ones and the last, and says so.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    pair = ("question", "layer")
    require(ds, "view of layers", dims=dict.fromkeys(("error_mean", "error_low", "error_high"), pair))
    require(ds, "view of layers", provenance=("exact_below",))
    shown, of = _rows(ds.sizes["layer"])
    names = [text(name) for name in values(ds, "layer")[shown]]
    place = np.arange(len(names), dtype=np.float32)
    traces: list[Trace] = []
    notes: list[dict] = []
    for at, question in enumerate(values(ds, "question")):
        words = text(question)
        mean, low, high = (values(ds, n, *pair)[at][shown] for n in ("error_mean", "error_low", "error_high"))
        traces.append(_marks(at, words, names, place, mean, low, high))
        strokes = {"xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom"}
        colour = palette.series(at)["color"]
        notes.append(
            note(
                f"{'●◆■✚'[at % 4]} {words}",
                0.0 + 0.3 * at,
                1.0,
                yshift=6,
                font={"size": 12, "color": colour},
                **strokes,
            )
        )
    if of:
        ds = ds.assign_attrs(showing=f"showing {len(names)} of {of} layers")
    return figure(
        traces,
        ds,
        height=int(110 + ROW_PX * len(names)),
        margin={"l": 190, "r": 24, "t": 40, "b": 64},
        annotations=notes,
        shapes=[_line(float(ds.attrs["exact_below"]))],
        xaxis=axis(label(ds, "error_mean"), type="log", range=_range(ds), exponentformat="power", dtick=1),
        yaxis=axis(
            "",
            tickmode="array",
            tickvals=place,
            ticktext=names,
            range=[len(names) - 0.5, -0.5],
            gridcolor=palette.FAINT,
            tickfont={"size": 10},
        ),
    )


def _rows(count: int) -> tuple[np.ndarray, int]:
    """Rows drawn, and of how many they are some; 0 where all are drawn."""
    if count <= MOST_ROWS:
        return np.arange(count), 0
    return np.concatenate([np.arange(MOST_ROWS - 1), [count - 1]]), count


def _marks(
    at: int, words: str, names: list[str], place: np.ndarray, mean: np.ndarray, low: np.ndarray, high: np.ndarray
) -> Trace:
    known = np.isfinite(mean)
    centre = np.maximum(mean[known], LOWEST)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": small(centre),
        "y": place[known],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": small(np.nan_to_num(high[known] - mean[known])),
            "arrayminus": small(np.clip(np.nan_to_num(mean[known] - low[known]), 0, 0.99 * centre)),
            "thickness": 1,
            "width": 0,
        },
        "marker": {"size": 7, "symbol": SYMBOLS[at % 4], "color": palette.series(at)["color"]},
        "name": words,
        "text": [name for name, there in zip(names, known, strict=True) if there],
        "hovertemplate": f"%{{text}}<br>{words}: %{{x:.2e}}<extra></extra>",
    }


def _line(limit: float) -> dict:
    line = {"color": palette.NEUTRAL, "width": 1.2, "dash": "dot"}
    return {"type": "line", "x0": limit, "x1": limit, "y0": 0, "y1": 1, "yref": "paper", "line": line, "layer": "below"}


def _range(ds: xr.Dataset) -> list[float]:
    """Whole decades around what is drawn, the line of rounding included."""
    mean = values(ds, "error_mean")
    drawn = mean[np.isfinite(mean) & (mean > LOWEST)]
    limit = float(ds.attrs["exact_below"])
    low = min(float(drawn.min()) if drawn.size else limit, limit)
    high = max(float(drawn.max()) if drawn.size else limit, limit)
    return [float(np.floor(np.log10(low))) - 0.2, float(np.ceil(np.log10(high))) + 0.2]
