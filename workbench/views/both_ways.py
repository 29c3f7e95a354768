"""One picture turned before and after the network, side by side, with what is left between the two."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import Trace, axis, bare_axis, label, note, panel_title, require, text, values
from workbench.views.mosaic import magnitude, signed

GAP = 0.03
MAPS = ("turned_first", "turned_after", "difference")
FIRST_AXIS = 2
"""Number of the first axis pair; the curve below has the pair 1."""


def both_ways(ds: xr.Dataset, rows: tuple[float, float], width: float) -> tuple[list[Trace], dict, list[dict]]:
    """Traces, axes and headings of panels in a row: the turned input and three maps, or class scores.

    Args:
        ds: with `input_map(input_y, input_x)`, and either `turned_first`, `turned_after`, `difference` over
            `(map_y, map_x)` or `scores(order, score)`. Optional: `upright_map(input_y, input_x)`, shown first.
        rows: vertical domain of the panels in paper coordinates.
        width: share of the width that the panels take.

    Raises:
        ValueError: a variable or a dim is missing.
    """
    require(ds, "view of both ways", dims={"input_map": ("input_y", "input_x")})
    inputs = [name for name in ("upright_map", "input_map") if name in ds]
    column = (width - (len(inputs) + 2) * GAP) / (len(inputs) + 3)
    low, high = (float(limit([limit(values(ds, name)) for name in inputs])) for limit in (np.min, np.max))
    traces: list[Trace] = []
    layout: dict = {}
    notes = []
    for at, name in enumerate(inputs):
        shown, left = values(ds, name, "input_y", "input_x"), at * (column + GAP)
        axes = _axes(FIRST_AXIS + at)
        traces.append(magnitude(shown, low, high, **axes, hovertemplate="%{z:.3g}<extra></extra>"))
        layout |= _picture_axes(FIRST_AXIS + at, (left, left + column), rows)
        notes.append(_heading(label(ds, name), left, rows))
    draw = _scores if "scores" in ds else _maps
    more_traces, more_layout, more_notes = draw(ds, rows, column, width, len(inputs))
    return traces + more_traces, layout | more_layout, notes + more_notes


def _heading(words: str, left: float, rows: tuple[float, float]) -> dict:
    """A heading of a narrow panel, broken at its comma so that it does not run into the next one."""
    return panel_title(words.replace(", ", ",<br>"), left, rows[1] + 0.005, font={"size": 11})


def _axes(number: int) -> dict[str, str]:
    return {"xaxis": f"x{number}", "yaxis": f"y{number}"}


def _picture_axes(number: int, columns: tuple[float, float], rows: tuple[float, float]) -> dict:
    """Square pixels, first row at the top, no ticks."""
    keep = {"constrain": "domain"}
    return {
        f"xaxis{number}": bare_axis(domain=list(columns), anchor=f"y{number}", constraintoward="left", **keep),
        f"yaxis{number}": bare_axis(
            domain=list(rows),
            anchor=f"x{number}",
            autorange="reversed",
            scaleanchor=f"x{number}",
            constraintoward="top",
            **keep,
        ),
    }


def _maps(
    ds: xr.Dataset, rows: tuple[float, float], column: float, width: float, first: int
) -> tuple[list[Trace], dict, list[dict]]:
    """Three signed maps on one colour scale, so that a small difference looks small."""
    require(ds, "view of both ways", dims=dict.fromkeys(MAPS, ("map_y", "map_x")))
    shown = {name: values(ds, name, "map_y", "map_x") for name in MAPS}
    reach = max(float(np.abs(shown[name]).max()) for name in MAPS[:2]) or 1.0
    traces: list[Trace] = []
    layout: dict = {}
    notes = []
    for at, (name, numbers) in enumerate(shown.items(), start=first):
        left = at * (column + GAP)
        traces.append(signed(numbers, reach, **_axes(FIRST_AXIS + at), hovertemplate="%{z:.3g}<extra></extra>"))
        layout |= _picture_axes(FIRST_AXIS + at, (left, left + column), rows)
        notes.append(_heading(label(ds, name), left, rows))
    return traces, layout, notes


def _scores(
    ds: xr.Dataset, rows: tuple[float, float], column: float, width: float, first: int
) -> tuple[list[Trace], dict, list[dict]]:
    """The score of every class for the turned and for the upright picture, as pairs of bars."""
    require(ds, "view of both ways", dims={"scores": ("order", "score")})
    number, left = FIRST_AXIS + first, first * (column + GAP) + GAP
    names = [text(name) for name in values(ds, "score")]
    alone = first == 1  # beside two pictures there is no room for the title of an axis
    traces, notes = [], [_heading("What the network says" if alone else "Scores of classes", left, rows)]
    for at, (name, numbers) in enumerate(zip(values(ds, "order"), values(ds, "scores", "order", "score"), strict=True)):
        words, colour = text(name), palette.SERIES[at]
        traces.append(
            {
                "type": "bar",
                "x": np.arange(len(names)),
                "y": numbers.astype(np.float32),
                **_axes(number),
                "marker": {"color": colour, "line": {"width": 0}},
                "name": words,
                "text": names,
                "textposition": "none",
                "hovertemplate": f"%{{text}}, {words}: %{{y:.3g}}<extra></extra>",
            }
        )
        place = {"xref": "paper", "yref": "paper", "xanchor": "right", "yanchor": "bottom"}
        notes.append(note(words, width - 0.1 * at, rows[1] + 0.008, font={"size": 11, "color": colour}, **place))
    step = -(-len(names) // 20)
    ticks = {"tickmode": "array", "tickvals": np.arange(0, len(names), step), "ticktext": names[::step]}
    layout = {
        f"xaxis{number}": axis("", domain=[left, width], anchor=f"y{number}", showgrid=False, **ticks),
        f"yaxis{number}": axis(
            label(ds, "scores") if alone else "", domain=[rows[0] + 0.02, rows[1]], anchor=f"x{number}", nticks=4
        ),
        "bargap": 0.35,
        "bargroupgap": 0.05,
    }
    return traces, layout, notes
