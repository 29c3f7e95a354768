"""A picture and the picture moved, the grids that two strided layers look at, their answers, and what differs."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import (
    Figure,
    Trace,
    axis,
    bare_axis,
    figure,
    label,
    panel_title,
    require,
    small,
    text,
    values,
)
from workbench.views.mosaic import magnitude, outline, signed, tiles

COLUMNS = ((0.0, 0.2), (0.25, 0.45), (0.5, 0.7))
ROWS = ((0.53, 0.94), (0.0, 0.41))
CURVES = (0.8, 1.0)
LOWEST = 1e-8
SYMBOLS = ("circle-open", "circle")


def anchoring_picture(ds: xr.Dataset) -> Figure:
    """Still above, moved below; from left to right the picture with both grids, the answer of each layer, the errors.

    Args:
        ds: with `picture(state, y, x)`, `grid_row` and `grid_column` (state, layer), `answer(layer, state, channel, v,
            u)` as shares of the largest, `error(layer)`, `error_along(layer, shift_px)`, `worst(layer)`, and the
            attributes `stride`, `right_px`, `up_px`.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    dims = {
        "picture": ("state", "y", "x"), "grid_row": ("state", "layer"), "grid_column": ("state", "layer"),
        "answer": ("layer", "state", "channel", "v", "u"), "error": ("layer",), "worst": ("layer",),
        "error_along": ("layer", "shift_px"),
    }  # fmt: skip
    require(ds, "view of anchors", dims=dims, provenance=("created_by", "seed", "dtype", "stride", "right_px", "up_px"))
    traces: list[Trace] = []
    layout: dict = {}
    notes, frames = [], []
    moves = f"moved by {int(ds.attrs['right_px'])}, {int(ds.attrs['up_px'])}"
    names, errors = [text(name) for name in values(ds, "layer")], values(ds, "error")
    low, high = (float(f(values(ds, "picture"))) for f in (np.min, np.max))
    for row, state in enumerate(("still", moves)):
        traces += _picture(ds, row, low, high, {"xaxis": f"x{2 + row}", "yaxis": f"y{2 + row}"})
        layout |= _axes(2 + row, COLUMNS[0], ROWS[row], *values(ds, "picture").shape[-2:])
        notes.append(panel_title(state, COLUMNS[0][0], ROWS[row][1] + 0.01, font={"size": 12}))
        for at, name in enumerate(names):
            number = 4 + 2 * at + row
            maps = values(ds, "answer", "layer", "state", "channel", "v", "u")[at, row]
            height, width = maps.shape[1:]
            sheet = tiles(maps.reshape(2, -1, height, width))
            hover = f"{name}, {state}: %{{z:.3f}} of the largest<extra></extra>"
            traces.append(signed(sheet, 1.0, hovertemplate=hover, xaxis=f"x{number}", yaxis=f"y{number}"))
            layout |= _axes(number, COLUMNS[1 + at], ROWS[row], *sheet.shape)
            frames += [
                outline(r, c, height, width, palette.GRID, xref=f"x{number}", yref=f"y{number}", layer="below")
                for r, c in np.ndindex(2, len(maps) // 2)
            ]
            words = f"{name}, {'still' if row == 0 else f'error {_number(errors[at])}'}"
            notes.append(panel_title(words, COLUMNS[1 + at][0], ROWS[row][1] + 0.01, font={"size": 12}))
    notes.append(panel_title("Error at every shift", CURVES[0] - 0.03, ROWS[0][1] + 0.01, font={"size": 12}))
    top = np.log10(max(2.0, 2 * float(values(ds, "error_along").max())))
    cursor = {
        "type": "line", "x0": int(ds.attrs["right_px"]), "x1": int(ds.attrs["right_px"]), "y0": 0, "y1": 1,
        "yref": "y domain", "line": {"color": palette.PINK, "width": 1.5, "dash": "dot"},
    }  # fmt: skip
    layout["xaxis"] = axis(label(ds, "shift_px"), domain=list(CURVES), anchor="y")
    layout["yaxis"] = axis("", domain=[ROWS[1][0], ROWS[0][1]], anchor="x", type="log", dtick=1,
                           range=[np.log10(LOWEST) - 0.3, top], exponentformat="power")  # fmt: skip
    legend = {"orientation": "h", "x": 0.0, "y": -0.13, "yanchor": "top", "font": {"size": 12}}
    return figure(
        [*_curves(ds, names), *traces], ds, height=490, margin={"l": 12, "r": 16, "t": 30, "b": 92},
        shapes=[cursor, *frames], annotations=notes, showlegend=True, legend=legend, **layout,
    )  # fmt: skip


def _axes(number: int, columns: tuple[float, float], rows: tuple[float, float], height: int, width: int) -> dict:
    """Square pixels, first row at the top, no ticks."""
    keep = {"constrain": "domain"}
    return {
        f"xaxis{number}": bare_axis(
            domain=list(columns), anchor=f"y{number}", constraintoward="left", range=[-0.75, width - 0.25], **keep
        ),
        f"yaxis{number}": bare_axis(
            domain=list(rows), anchor=f"x{number}", scaleanchor=f"x{number}", constraintoward="top",
            range=[height - 0.25, -0.75], **keep,
        ),
    }  # fmt: skip


def _picture(ds: xr.Dataset, row: int, low: float, high: float, axes: dict[str, str]) -> list[Trace]:
    """The picture of one state and, on it, the pixels that each layer's grid holds."""
    shown = values(ds, "picture", "state", "y", "x")[row]
    traces: list[Trace] = [magnitude(shown, low, high, hovertemplate="%{z:.2f}<extra></extra>", **axes)]
    stride = int(ds.attrs["stride"])
    steps = np.arange(0, shown.shape[0], stride)
    for at, name in enumerate(values(ds, "layer")):
        first, second = (int(values(ds, f"grid_{way}", "state", "layer")[row, at]) for way in ("row", "column"))
        rows, columns = np.meshgrid(steps + first, steps + second, indexing="ij")
        colour = palette.series(1 - at)["color"]
        traces.append({
            "type": "scatter", "mode": "markers", "x": small(columns.ravel()), "y": small(rows.ravel()), **axes,
            "name": f"grid of the {text(name)} layer", "showlegend": row == 0, "hoverinfo": "skip",
            "marker": {"symbol": SYMBOLS[at], "size": min(11, 3 + 2 * stride) - 4 * at, "color": colour,
                       "line": {"width": 1.6, "color": colour}},
        })  # fmt: skip
    return traces


def _curves(ds: xr.Dataset, names: list[str]) -> list[Trace]:
    along = values(ds, "error_along", "layer", "shift_px")
    made: list[Trace] = []
    for at, name in enumerate(names):
        colour = palette.series(1 - at)["color"]
        made.append({
            "type": "scatter", "mode": "lines+markers", "x": small(values(ds, "shift_px")),
            "y": small(along[at].clip(LOWEST)), "name": f"error, {name}", "xaxis": "x", "yaxis": "y",
            "line": {"color": colour, "width": 1.6, "dash": palette.DASHES[1 - at]},
            "marker": {"symbol": SYMBOLS[at], "size": 6, "color": colour},
            "customdata": small(along[at]),
            "hovertemplate": f"{name}, %{{x:.0f}} pixels: %{{customdata:.1e}}<extra></extra>",
        })  # fmt: skip
    return made


def _number(value: float) -> str:
    """An error as a person reads it: two digits, or its power of ten where it is rounding.

    >>> _number(0.634), _number(1.3e-7), _number(0.0)
    ('0.63', '1e-07', '0')
    """
    return "0" if value == 0 else f"{value:.2f}" if value >= 0.01 else f"{value:.0e}"
