"""The cost of one layer in every factorisation: products and parameters counted, times measured, and over rotations."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import Figure, Trace, axis, figure, label, panel_title, require, small, text, values

BARS = ((0.0, 0.24), (0.29, 0.53))
CURVES = (0.68, 1.0)
ROWS = ((0.58, 1.0), (0.0, 0.38))
DOUBLING = math.log10(2)
SYMBOLS = ("circle", "diamond", "square", "cross", "x")


def cost_picture(ds: xr.Dataset) -> Figure:
    """Bars of multiply-adds, parameters and step times by factorisation; step times over the number of rotations.

    Args:
        ds: with `multiply_adds(way)`, `parameters(way)` and `step_ms`, `step_low_ms`, `step_high_ms` over (way,
            rotations); the attributes `chosen`, a number of rotations, and `whole`, the way that others are held to.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    over = ("way", "rotations")
    dims = {"multiply_adds": ("way",), "parameters": ("way",), "step_ms": over}
    dims |= {"step_low_ms": over, "step_high_ms": over}
    require(ds, "cost of a layer", dims=dims, provenance=("created_by", "seed", "dtype", "chosen", "whole"))
    names = [text(name) for name in values(ds, "way")]
    at = int(np.flatnonzero(values(ds, "rotations") == int(ds.attrs["chosen"]))[0])
    low, middle, high = (values(ds, name, *over)[:, at] for name in ("step_low_ms", "step_ms", "step_high_ms"))
    spread = {"array": small(high - middle), "arrayminus": small(middle - low), "thickness": 1.5, "width": 4}
    spread["color"] = palette.TEXT
    log, down = {"type": "log", "dtick": 1}, {"autorange": "reversed"}
    layout = {
        "xaxis": axis("per pixel and image", domain=list(BARS[0]), anchor="y", **log),
        "yaxis": axis("", domain=list(ROWS[0]), anchor="x", **down),
        "xaxis2": axis("ms", domain=list(BARS[1]), anchor="y2", rangemode="tozero", nticks=4),
        "yaxis2": axis("", domain=list(ROWS[0]), anchor="x2", showticklabels=False, **down),
        "xaxis3": axis("parameters", domain=list(BARS[0]), anchor="y3", rangemode="tozero", nticks=4),
        "yaxis3": axis("", domain=list(ROWS[1]), anchor="x3", **down),
        "xaxis4": axis(label(ds, "rotations"), domain=list(CURVES), anchor="y4", tickmode="array",
                       tickvals=small(values(ds, "rotations"))),
        "yaxis4": axis(label(ds, "step_ms"), domain=[0.0, 1.0], anchor="x4", type="log", tick0=0,
                       dtick=DOUBLING, tickformat=".3~g"),
    }  # fmt: skip
    words = ("Multiply-adds", label(ds, "step_ms"), label(ds, "parameters"), _summary(ds, at), "Over rotations")
    places = ((BARS[0][0], ROWS[0][1]), (BARS[1][0], ROWS[0][1]), (BARS[0][0], ROWS[1][1]),
              (BARS[1][0], ROWS[1][1]), (CURVES[0], 1.0))  # fmt: skip
    headings = [panel_title(one, x, y + 0.02) for one, (x, y) in zip(words, places, strict=True)]
    headings[3] |= {"text": words[3], "yanchor": "top", "font": {"size": 11}}
    traces = [
        _bars(names, values(ds, "multiply_adds"), "", "%{y}: %{x:,.0f} multiply-adds<extra></extra>"),
        _bars(names, middle, "2", "%{y}: %{x:.1f} ms<extra></extra>") | {"error_x": {"type": "data", **spread}},
        _bars(names, values(ds, "parameters"), "3", "%{y}: %{x:,.0f} parameters<extra></extra>"),
        *_curves(ds, names),
    ]
    legend = {"orientation": "v", "x": BARS[1][0], "y": 0.2, "yanchor": "top", "font": {"size": 11}}
    here = {"x0": int(ds.attrs["chosen"]), "x1": int(ds.attrs["chosen"]), "y0": 0, "y1": 1}
    line = {"color": palette.NEUTRAL, "width": 1.2, "dash": "dot"}
    mark = {"type": "line", "xref": "x4", "yref": "y4 domain", "line": line, **here}
    return figure(
        traces, ds, height=520, margin={"l": 104, "r": 20, "t": 52, "b": 58}, annotations=headings, shapes=[mark],
        showlegend=True, legend=legend, barmode="overlay", **layout,
    )  # fmt: skip


def _colours(count: int) -> list[str]:
    return [palette.SERIES[at] if at < len(palette.SERIES) else palette.NEUTRAL for at in range(count)]


def _bars(names: list[str], numbers: np.ndarray, number: str, hover: str) -> Trace:
    return {
        "type": "bar", "orientation": "h", "x": small(numbers), "y": names, "xaxis": f"x{number}",
        "yaxis": f"y{number}", "marker": {"color": _colours(len(names))}, "showlegend": False, "hovertemplate": hover,
    }  # fmt: skip


def _curves(ds: xr.Dataset, names: list[str]) -> list[Trace]:
    times, rotations = values(ds, "step_ms", "way", "rotations"), small(values(ds, "rotations"))
    return [
        {
            "type": "scatter", "mode": "lines+markers", "x": rotations, "y": small(row), "name": name, "xaxis": "x4",
            "yaxis": "y4", "line": {"color": colour, "width": 1.8, "dash": palette.DASHES[at % len(palette.DASHES)]},
            "marker": {"size": 8, "symbol": SYMBOLS[at % len(SYMBOLS)], "color": colour},
            "hovertemplate": f"{name}, %{{x}} rotations: %{{y:.1f}} ms<extra></extra>",
        }
        for at, (name, row, colour) in enumerate(zip(names, times, _colours(len(names)), strict=True))
    ]  # fmt: skip


def _summary(ds: xr.Dataset, at: int) -> str:
    """How many times fewer products and how many times faster each way is than the whole kernel."""
    ways = [str(way) for way in values(ds, "way")]
    whole = ways.index(str(ds.attrs["whole"]))
    counts, times = values(ds, "multiply_adds"), values(ds, "step_ms", "way", "rotations")[:, at]
    lines = [
        f"{text(way)}: {counts[whole] / count:.3g} x fewer, {times[whole] / spent:.2g} x faster"
        for way, count, spent in zip(ways, counts, times, strict=True)
        if way != ways[whole]
    ]
    return f"<b>Beside {text(ways[whole])}</b><br>" + "<br>".join(lines)
