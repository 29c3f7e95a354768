"""Stored measurements as curves with their spread, a cursor where the reader stands, and what holds there in words."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import Figure, Trace, axis, figure, label, note, panel_title, require, small, text, values

DIMS = ("series", "at")
SIZE, CHOSEN_SIZE = 7, 13


def stored_curves(ds: xr.Dataset) -> Figure:
    """One curve for each series, on a logarithmic scale.

    Args:
        ds: with `middle`, `low` and `high` over (series, at), NaN where there is no number; the attributes `chosen`, a
            value of `at`, and `headline`; `reference`, a height to draw a line at, and `words` for it, where there is
            one; `gaps`, what a missing number is called, where some are missing and this means something; `tick_words`,
            the ticks' names, joined by "|", where values of `at` are not their own names.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    provenance = ("created_by", "seed", "dtype", "chosen", "headline")
    require(ds, "stored curves", dims=dict.fromkeys(("middle", "low", "high"), DIMS), provenance=provenance)
    at, middle = values(ds, "at"), values(ds, "middle", *DIMS)
    top = float(np.nanmax(values(ds, "high", *DIMS)))
    bottom = float(np.nanmin(values(ds, "low", *DIMS)))
    gaps = str(ds.attrs.get("gaps", ""))
    room = top * (top / bottom) ** 0.12
    traces = [
        *_curves(ds),
        *(_missing(ds, row, room) for row in range(len(middle)) if gaps and np.isnan(middle[row]).any()),
    ]
    notes = [panel_title(text(ds.attrs["headline"]), 0.0, 1.02)]
    shapes = [_line("x", float(ds.attrs["chosen"]))]
    if "reference" in ds.attrs:
        height = float(ds.attrs["reference"])
        shapes.append(_line("y", height))
        words = text(ds.attrs["words"])
        notes.append(note(words, 1.0, np.log10(height), xref="paper", xanchor="right", yanchor="bottom"))
    if gaps:
        notes.append(note(text(gaps), at[0], np.log10(room), xanchor="left", yanchor="bottom", yshift=6))
    names = str(ds.attrs.get("tick_words", "")).split("|") if "tick_words" in ds.attrs else [f"{one:g}" for one in at]
    return figure(
        traces, ds, height=460, margin={"l": 70, "r": 24, "t": 46, "b": 96}, annotations=notes, shapes=shapes,
        xaxis=axis(label(ds, "at"), tickvals=small(at), ticktext=names, tickmode="array"),
        yaxis=axis(label(ds, "middle"), type="log", exponentformat="power", nticks=9),
        showlegend=True, legend={"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"},
    )  # fmt: skip


def _curves(ds: xr.Dataset) -> list[Trace]:
    at = small(values(ds, "at"))
    sizes = small(np.where(at == float(ds.attrs["chosen"]), CHOSEN_SIZE, SIZE))
    found: list[Trace] = []
    low, middle, high = (values(ds, name, *DIMS) for name in ("low", "middle", "high"))
    for row, name in enumerate(values(ds, "series")):
        spread = {"array": small(high[row] - middle[row]), "arrayminus": small(middle[row] - low[row])}
        colour = palette.series(row)["color"]
        found.append({
            "type": "scatter", "mode": "lines+markers", "x": at, "y": small(middle[row]), "name": text(name),
            "line": {**palette.series(row), "width": 1.8}, "marker": {"size": sizes, "color": colour},
            "error_y": {"type": "data", "thickness": 1.2, "width": 4, "color": colour, **spread},
            "hovertemplate": f"{text(name)}: %{{y:.2g}}<extra></extra>",
        })  # fmt: skip
    return found


def _missing(ds: xr.Dataset, row: int, height: float) -> Trace:
    gone = np.isnan(values(ds, "middle", *DIMS)[row])
    name = text(values(ds, "series")[row])
    return {
        "type": "scatter", "mode": "markers", "x": small(values(ds, "at")[gone]),
        "y": small(np.full(gone.sum(), height)),
        "marker": {"symbol": "x", "size": 10, "color": palette.series(row)["color"]}, "showlegend": False, "name": name,
        "hovertemplate": f"{name}: {text(ds.attrs['gaps'])}<extra></extra>",
    }  # fmt: skip


def _line(along: str, place: float) -> dict:
    other = "y" if along == "x" else "x"
    line = {"color": palette.NEUTRAL, "width": 1.2, "dash": "dot"}
    return {
        "type": "line", f"{along}0": place, f"{along}1": place, f"{other}0": 0, f"{other}1": 1,
        f"{other}ref": f"{other} domain", "line": line,
    }  # fmt: skip
