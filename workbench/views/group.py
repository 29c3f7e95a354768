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
    values,
)
from workbench.views.mosaic import centres, gap_value, magnitude, signed, tiles

WIDTH_PX, TALLEST_TILE_PX, TOP_PX, HEADING_PX = 660, 100, 170, 62
"""Assumed width of the strips and heights of their parts; the page may stretch the width."""
MARGIN = {"l": 104, "r": 24, "t": 52, "b": 34}
COLUMNS = ((0.0, 0.22), (0.335, 0.545), (0.63, 0.81), (0.87, 1.0))
MOST_NAMES = 12
"""Below a strip; of more elements every second one is named."""
LABEL_PX = 19
"""From the middle of an element's dot to that of its name: a number of pixels, however small the circle."""
MIRRORED_RADIUS = 0.62
"""Mirrored elements sit on a smaller circle inside that of the rotations."""


Domain = list[float]


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
    height, top, strip, below = _domains(ds)
    circle, circle_layout = _circle(ds, top)
    table, table_layout = _table(ds, top)
    image, image_layout = _image(ds, top)
    orbit, orbit_layout = _orbit(ds, strip)
    maps, maps_layout = _maps(ds, below)
    shown = degrees(float(values(ds, "angle_shown_deg")))
    over = [f"Elements of {text(ds.attrs.get('group', 'the group'))}", "Row after column", f"Turned by {shown}"]
    headings = [
        *(
            panel_title(words, column[0], top[1] + 0.01, font={"size": 12})
            for words, column in zip([*over, label(ds, "filter")], COLUMNS, strict=True)
        ),
        panel_title(label(ds, "orbit"), 0.0, strip[1] + 0.01),
        panel_title(label(ds, "response"), 0.0, below[1] + 0.01),
    ]
    layouts = {**circle_layout, **table_layout, **image_layout, **orbit_layout, **maps_layout}
    return figure(
        [*circle, table, *image, orbit, maps],
        ds,
        height=height,
        margin=MARGIN,
        annotations=[*headings, *_circle_notes(ds)],
        **layouts,
    )


def _domains(ds: xr.Dataset) -> tuple[int, Domain, Domain, Domain]:
    """The figure's height in pixels and the vertical domains of its three storeys, from the size of a tile."""
    tile = min(TALLEST_TILE_PX, WIDTH_PX / ds.sizes["element"])
    maps = tile * ds.sizes["row"]
    inside = maps + HEADING_PX + tile + HEADING_PX + TOP_PX
    marks = np.cumsum([0, maps, HEADING_PX, tile, HEADING_PX, TOP_PX]) / inside
    below, strip, top = ([float(marks[at]), float(marks[at + 1])] for at in (0, 2, 4))
    return int(inside) + MARGIN["t"] + MARGIN["b"], top, strip, below


def _colour_positions(ds: xr.Dataset) -> np.ndarray:
    """Where each element sits on the two-turn colour scale: rotations on the first turn, mirrored on the second."""
    return np.mod(values(ds, "element_angle_deg"), 360) + 360 * (values(ds, "element_mirror") < 0)


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
    angle = np.deg2rad(values(ds, "element_angle_deg"))
    radius = np.where(values(ds, "element_mirror") < 0, MIRRORED_RADIUS, 1.0)
    return -radius * np.sin(angle), radius * np.cos(angle)


def _circle(ds: xr.Dataset, top: Domain) -> tuple[list[Trace], dict]:
    x, y = _places(ds)
    shown = np.deg2rad(float(values(ds, "angle_shown_deg")))
    turn = np.linspace(0, 2 * np.pi, 61)
    mirrors = bool((values(ds, "element_mirror") < 0).any())
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
            "size": 13,
            "color": small(_colour_positions(ds)),
            "cmin": 0,
            "cmax": 720 if mirrors else 360,
            "colorscale": _two_turns(mirrors),
        },
        "text": [text(name) for name in values(ds, "element")],
        "hovertemplate": "%{text}<extra></extra>",
        "name": "elements",
    }
    layout = {
        "xaxis": bare_axis(domain=list(COLUMNS[0]), anchor="y", range=[-1.5, 1.5]),
        "yaxis": bare_axis(domain=top, anchor="x", range=[-1.5, 1.5], scaleanchor="x"),
    }
    return [ring, hand, dots], layout


def _circle_notes(ds: xr.Dataset) -> list[dict]:
    x, y = _places(ds)
    plain = np.flatnonzero(values(ds, "element_mirror") > 0)
    every = -(-len(plain) // 8)
    names = values(ds, "element")
    return [
        note(
            text(names[at]),
            float(x[at]),
            float(y[at]),
            xshift=1.2 * LABEL_PX * float(x[at]),
            yshift=LABEL_PX * float(y[at]),
            font={"size": 10},
        )
        for at in plain[::every]
    ]


def _table(ds: xr.Dataset, top: Domain) -> tuple[Trace, dict]:
    product = values(ds, "product_index", "first", "second")
    names = np.asarray([text(name) for name in values(ds, "element")])
    mirrors = bool((values(ds, "element_mirror") < 0).any())
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
    at = np.arange(0, len(names), max(1, len(names) // 4))
    ticks = {"tickmode": "array", "tickvals": at, "ticktext": names[at].tolist(), "showgrid": False}
    layout = {
        "xaxis2": axis("", domain=list(COLUMNS[1]), anchor="y2", constrain="domain", constraintoward="left", **ticks),
        "yaxis2": axis(
            "",
            domain=top,
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


def _image(ds: xr.Dataset, top: Domain) -> tuple[list[Trace], dict]:
    image, taps = values(ds, "image", "y", "x"), values(ds, "filter", "filter_y", "filter_x")
    low, high = _range(ds.variables["orbit"])
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
            domain=top,
            anchor=f"x{number}",
            autorange="reversed",
            scaleanchor=f"x{number}",
            constrain="domain",
            constraintoward="top",
        )
    return traces, layout


def _range(variable: xr.Variable) -> tuple[float, float]:
    """The range that the measure states, so that overshoot of the resampler does not change the background."""
    if "valid_range" in variable.attrs:
        low, high = (float(value) for value in variable.attrs["valid_range"])
    else:
        low, high = float(variable.min()), float(variable.max())
    return low, high if high > low else low + 1.0


def _strip_axes(number: int, names: list[str], rows: list[str], size: tuple[int, int], domain: list[float]) -> dict:
    height, width = size
    shown = slice(None, None, -(-len(names) // MOST_NAMES))
    places = centres(len(names), width)[shown]
    x = {"tickmode": "array", "tickvals": places, "ticktext": names[shown], "tickangle": 0, "showgrid": False}
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


def _orbit(ds: xr.Dataset, strip: Domain) -> tuple[Trace, dict]:
    orbit = values(ds, "orbit", "element", "y", "x")
    low, high = _range(ds.variables["orbit"])
    names = [text(name) for name in values(ds, "element")]
    trace = magnitude(
        tiles(orbit[None], fill=gap_value(low, high)),
        low,
        high,
        xaxis="x5",
        yaxis="y5",
        hovertemplate="%{z:.2f}<extra></extra>",
    )
    return trace, _strip_axes(5, names, ["turned copies"], orbit.shape[1:], strip)


def _maps(ds: xr.Dataset, below: Domain) -> tuple[Trace, dict]:
    response = values(ds, "response", "row", "element", "map_y", "map_x")
    limit = float(np.abs(response).max()) or 1.0
    names = [text(name) for name in values(ds, "element")]
    rows = [text(name) for name in values(ds, "row")]
    trace = signed(tiles(response), limit, xaxis="x6", yaxis="y6", hovertemplate="answer %{z:.3f}<extra></extra>")
    return trace, _strip_axes(6, names, rows, response.shape[2:], below)
