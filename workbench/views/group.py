"""A group as a picture: its elements, its product table, the orbit of an image and what one convolution answers."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import (
    Figure,
    Trace,
    axis,
    bare_axis,
    degrees,
    figure,
    label,
    note,
    panel_title,
    require,
    small,
    text,
)
from workbench.views.mosaic import centres, gap_value, magnitude, signed, tiles

TOP = (0.71, 0.965)
ORBIT = (0.49, 0.635)
MAPS = (0.0, 0.415)
COLUMNS = ((0.0, 0.22), (0.32, 0.54), (0.64, 0.82), (0.86, 1.0))
MIRRORED_RADIUS = 0.62
"""Mirrored elements sit on a smaller circle inside that of the rotations."""


def group_picture(ds: xr.Dataset) -> Figure:
    """Elements on a circle, their product table, an image's orbit, and the maps of one lifting convolution.

    Args:
        ds: with `element_angle_deg(element)`, `element_mirror(element)`, `product_index(first, second)`,
            `image(y, x)`, `filter(filter_y, filter_x)`, `orbit(element, y, x)`, `response(row, element, map_y, map_x)`,
            the label coordinates `element` and `row`, and the scalar `angle_shown_deg`.

    Returns:
        A plotly figure as a dictionary.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    require(
        ds,
        "group view",
        dims={
            "element_angle_deg": ("element",),
            "element_mirror": ("element",),
            "product_index": ("first", "second"),
            "image": ("y", "x"),
            "filter": ("filter_y", "filter_x"),
            "orbit": ("element", "y", "x"),
            "response": ("row", "element", "map_y", "map_x"),
            "angle_shown_deg": (),
        },
    )
    circle, circle_layout = _circle(ds)
    table, table_layout = _table(ds)
    image, image_layout = _image(ds)
    orbit, orbit_layout = _orbit(ds)
    maps, maps_layout = _maps(ds)
    shown = degrees(float(ds["angle_shown_deg"]))
    headings = [
        panel_title(f"The elements of {text(ds.attrs.get('group', 'the group'))}", COLUMNS[0][0], TOP[1] + 0.01),
        panel_title("Row after column", COLUMNS[1][0], TOP[1] + 0.01),
        panel_title(f"Input turned by {shown}", COLUMNS[2][0], TOP[1] + 0.01),
        panel_title(label(ds["filter"]), COLUMNS[3][0], TOP[1] + 0.01),
        panel_title(label(ds["orbit"]), 0.0, ORBIT[1] + 0.01),
        panel_title(label(ds["response"]), 0.0, MAPS[1] + 0.01),
    ]
    layouts = {**circle_layout, **table_layout, **image_layout, **orbit_layout, **maps_layout}
    return figure(
        [*circle, table, *image, orbit, maps],
        ds,
        height=820,
        margin={"l": 118, "r": 24, "t": 34, "b": 34},
        annotations=[*headings, *_circle_notes(ds)],
        **layouts,
    )


def _colour_positions(ds: xr.Dataset) -> np.ndarray:
    """Where each element sits on the two-turn colour scale: rotations on the first turn, mirrored on the second."""
    return np.mod(ds["element_angle_deg"].values, 360) + 360 * (ds["element_mirror"].values < 0)


def _two_turns(mirrors: bool) -> palette.Scale:
    """The cyclic scale, followed by a paler one for mirrored elements where there are any."""
    if not mirrors:
        return palette.CYCLIC
    first: palette.Scale = [[float(at) / 2, colour] for at, colour in palette.CYCLIC]
    second: palette.Scale = [
        [0.5 + float(at) / 2, palette.with_alpha(str(colour), 0.4)] for at, colour in palette.CYCLIC
    ]
    return [*first, *second]


def _places(ds: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    angle = np.deg2rad(ds["element_angle_deg"].values)
    radius = np.where(ds["element_mirror"].values < 0, MIRRORED_RADIUS, 1.0)
    return -radius * np.sin(angle), radius * np.cos(angle)


def _circle(ds: xr.Dataset) -> tuple[list[Trace], dict]:
    x, y = _places(ds)
    shown = np.deg2rad(float(ds["angle_shown_deg"]))
    turn = np.linspace(0, 2 * np.pi, 61)
    mirrors = bool((ds["element_mirror"].values < 0).any())
    ring = {
        "type": "scatter",
        "mode": "lines",
        "x": small(np.sin(turn)),
        "y": small(np.cos(turn)),
        "line": {"color": palette.GRID, "width": 1.5},
        "hoverinfo": "skip",
    }
    hand = {
        "type": "scatter",
        "mode": "lines",
        "x": small([0, -0.88 * np.sin(shown)]),
        "y": small([0, 0.88 * np.cos(shown)]),
        "line": {"color": palette.NEUTRAL, "width": 2},
        "hoverinfo": "skip",
        "name": "input",
    }
    dots = {
        "type": "scatter",
        "mode": "markers",
        "x": small(x),
        "y": small(y),
        "marker": {
            "size": 15,
            "color": small(_colour_positions(ds)),
            "cmin": 0,
            "cmax": 720 if mirrors else 360,
            "colorscale": _two_turns(mirrors),
        },
        "text": [text(name) for name in ds["element"].values],
        "hovertemplate": "%{text}<extra></extra>",
        "name": "elements",
    }
    layout = {
        "xaxis": bare_axis(domain=list(COLUMNS[0]), anchor="y", range=[-1.5, 1.5]),
        "yaxis": bare_axis(domain=list(TOP), anchor="x", range=[-1.5, 1.5], scaleanchor="x"),
    }
    return [ring, hand, dots], layout


def _circle_notes(ds: xr.Dataset) -> list[dict]:
    x, y = _places(ds)
    plain = np.flatnonzero(ds["element_mirror"].values > 0)
    every = -(-len(plain) // 8)
    names = ds["element"].values
    return [note(text(names[at]), 1.36 * float(x[at]), 1.29 * float(y[at]), font={"size": 10}) for at in plain[::every]]


def _table(ds: xr.Dataset) -> tuple[Trace, dict]:
    product = ds["product_index"].transpose("first", "second").values
    names = np.asarray([text(name) for name in ds["element"].values])
    mirrors = bool((ds["element_mirror"].values < 0).any())
    trace = {
        "type": "heatmap",
        "z": np.ascontiguousarray(_colour_positions(ds)[product], dtype=np.float32),
        "zmin": 0,
        "zmax": 720 if mirrors else 360,
        "colorscale": _two_turns(mirrors),
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
        "text": names[product].tolist(),
        "customdata": [[f"{b}, then {a}" for b in names] for a in names],
        "hovertemplate": "%{customdata}<br>gives %{text}<extra></extra>",
        "xaxis": "x2",
        "yaxis": "y2",
    }
    step = -(-len(names) // 6)
    at = np.arange(0, len(names), step)
    ticks = {"tickmode": "array", "tickvals": at, "ticktext": names[at].tolist(), "showgrid": False}
    layout = {
        "xaxis2": axis("", domain=list(COLUMNS[1]), anchor="y2", constrain="domain", constraintoward="left", **ticks),
        "yaxis2": axis(
            "",
            domain=list(TOP),
            anchor="x2",
            autorange="reversed",
            scaleanchor="x2",
            constrain="domain",
            constraintoward="top",
            **ticks,
        ),
    }
    for name in ("xaxis2", "yaxis2"):
        layout[name] |= {"tickfont": {"size": 9}, "tickangle": 0}
    return trace, layout


def _image(ds: xr.Dataset) -> tuple[list[Trace], dict]:
    image, taps = ds["image"].transpose("y", "x").values, ds["filter"].transpose("filter_y", "filter_x").values
    low, high = _range(ds["orbit"].values)
    traces = [
        magnitude(image, low, high, xaxis="x3", yaxis="y3", hovertemplate="%{z:.2f}<extra></extra>"),
        signed(
            taps,
            float(np.abs(taps).max()) or 1.0,
            xaxis="x4",
            yaxis="y4",
            hovertemplate="weight %{z:.3f}<extra></extra>",
        ),
    ]
    layout = {}
    for number, columns in ((3, COLUMNS[2]), (4, COLUMNS[3])):
        layout[f"xaxis{number}"] = bare_axis(
            domain=list(columns), anchor=f"y{number}", constrain="domain", constraintoward="left"
        )
        layout[f"yaxis{number}"] = bare_axis(
            domain=list(TOP),
            anchor=f"x{number}",
            autorange="reversed",
            scaleanchor=f"x{number}",
            constrain="domain",
            constraintoward="top",
        )
    return traces, layout


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return low, high if high > low else low + 1.0


def _strip_axes(number: int, names: list[str], rows: list[str], size: tuple[int, int], domain: list[float]) -> dict:
    height, width = size
    x = {"tickmode": "array", "tickvals": centres(len(names), width), "ticktext": names, "showgrid": False}
    y = {"tickmode": "array", "tickvals": centres(len(rows), height), "ticktext": rows, "showgrid": False}
    layout = {
        f"xaxis{number}": axis(
            "", domain=[0.0, 1.0], anchor=f"y{number}", constrain="domain", constraintoward="left", **x
        ),
        f"yaxis{number}": axis(
            "",
            domain=domain,
            anchor=f"x{number}",
            autorange="reversed",
            scaleanchor=f"x{number}",
            constrain="domain",
            constraintoward="top",
            **y,
        ),
    }
    for name in layout:
        layout[name]["tickfont"] = {"size": 10}
    return layout


def _orbit(ds: xr.Dataset) -> tuple[Trace, dict]:
    orbit = ds["orbit"].transpose("element", "y", "x").values
    low, high = _range(orbit)
    names = [text(name) for name in ds["element"].values]
    trace = magnitude(
        tiles(orbit[None], fill=gap_value(low, high)),
        low,
        high,
        xaxis="x5",
        yaxis="y5",
        hovertemplate="%{z:.2f}<extra></extra>",
    )
    return trace, _strip_axes(5, names, ["turned copies"], orbit.shape[1:], list(ORBIT))


def _maps(ds: xr.Dataset) -> tuple[Trace, dict]:
    response = ds["response"].transpose("row", "element", "map_y", "map_x").values
    limit = float(np.abs(response).max()) or 1.0
    names = [text(name) for name in ds["element"].values]
    rows = [text(name) for name in ds["row"].values]
    trace = signed(tiles(response), limit, xaxis="x6", yaxis="y6", hovertemplate="answer %{z:.3f}<extra></extra>")
    return trace, _strip_axes(6, names, rows, response.shape[2:], list(MAPS))
