"""One relaxed layer in three pictures: its filters over the image, its whole matrix, and which extreme it is near."""

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
    note,
    panel_title,
    require,
    small,
    text,
    values,
)
from workbench.views.mosaic import outline, signed, tiles

COLUMNS = ((0.0, 0.31), (0.38, 0.69), (0.75, 1.0))
CORNERS = {"linear": (0.5, 3**0.5 / 2), "equivariant": (0.0, 0.0), "invariant": (1.0, 0.0)}
"""Where the three extremes lie; each is one share, the three of a point sum to 1."""


def relaxed_picture(ds: xr.Dataset) -> Figure:
    """The filters at some places, the matrix of the layer, and its place between linear, equivariant and invariant.

    Args:
        ds: with `shown(row, column, y, x)`, `matrix(output, input)` as shares of the largest entry,
            `share(extreme)` and `path(dial, extreme)`, and the scalars `equivariance_error`, `invariance_error`,
            `rank`.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    scalars: dict[str, tuple[str, ...]] = dict.fromkeys(("equivariance_error", "invariance_error", "rank"), ())
    dims = {"shown": ("row", "column", "y", "x"), "matrix": ("output", "input"), "share": ("extreme",)}
    require(ds, "relaxed view", dims={**dims, "path": ("dial", "extreme"), **scalars})
    atlas, frames = _atlas(ds)
    errors = [float(values(ds, name)) for name in scalars]
    words = (
        label(ds, "shown"),
        f"Its matrix: rank {errors[2]:.0f} of {ds.sizes['output']}",
        f"Equivariance error {errors[0]:.3f}",
    )
    headings = [panel_title(one, domain[0], 1.02) for one, domain in zip(words, COLUMNS, strict=True)]
    triangle, notes = _triangle(ds)
    layout = {
        "xaxis": bare_axis(domain=list(COLUMNS[0]), constrain="domain", constraintoward="left"),
        "yaxis": bare_axis(domain=[0, 1], autorange="reversed", scaleanchor="x", constrain="domain",
                           constraintoward="top"),
        "xaxis2": axis(label(ds, "input"), domain=list(COLUMNS[1]), anchor="y2", showgrid=False, constrain="domain",
                       constraintoward="left"),
        "yaxis2": axis(label(ds, "output"), domain=[0, 1], anchor="x2", autorange="reversed", scaleanchor="x2",
                       showgrid=False, constrain="domain", constraintoward="top"),
        "xaxis3": bare_axis(domain=list(COLUMNS[2]), anchor="y3", range=[-0.22, 1.22]),
        "yaxis3": bare_axis(domain=[0, 1], anchor="x3", range=[-0.2, 1.1], scaleanchor="x3"),
    }  # fmt: skip
    return figure(
        [atlas, _matrix(ds), *triangle], ds, height=410, margin={"l": 20, "r": 20, "t": 52, "b": 56},
        annotations=[*headings, *notes], shapes=frames, **layout,
    )  # fmt: skip


def _atlas(ds: xr.Dataset) -> tuple[Trace, list[dict]]:
    shown = values(ds, "shown", "row", "column", "y", "x")
    rows, columns, height, width = shown.shape
    trace = signed(tiles(shown), 1.0, hovertemplate="weight %{z:.3f} of the largest<extra></extra>")
    return trace, [outline(rows // 2, columns // 2, height, width, palette.PINK)]


def _matrix(ds: xr.Dataset) -> Trace:
    places = {"xaxis": "x2", "yaxis": "y2"}
    hover = "from input %{x} to output %{y}: %{z:.3f} of the largest<extra></extra>"
    return signed(values(ds, "matrix", "output", "input"), 1.0, hovertemplate=hover, **places)


def _triangle(ds: xr.Dataset) -> tuple[list[Trace], list[dict]]:
    """A triangle of the three extremes, the way that the dial of the place leads through it, and the present point."""
    names = [str(name) for name in values(ds, "extreme")]
    corners = np.array([CORNERS[name] for name in names])
    edge = np.array([*CORNERS.values(), CORNERS["linear"]])
    way = values(ds, "path", "dial", "extreme") @ corners
    here = values(ds, "share", "extreme") @ corners
    common = {"type": "scatter", "xaxis": "x3", "yaxis": "y3"}
    shares = ", ".join(f"{text(n)} {s:.2f}" for n, s in zip(names, values(ds, "share", "extreme"), strict=True))
    traces: list[Trace] = [
        {**common, "x": small(edge[:, 0]), "y": small(edge[:, 1]), "mode": "lines", "hoverinfo": "skip",
         "line": {"color": palette.NEUTRAL, "width": 1.5}},
        {**common, "x": small(way[:, 0]), "y": small(way[:, 1]), "mode": "lines+markers", "name": "way",
         "line": {"color": palette.NEUTRAL, "width": 1, "dash": "dot"}, "marker": {"size": 4},
         "customdata": small(values(ds, "dial")), "hovertemplate": "dial at %{customdata:.2f}<extra></extra>"},
        {**common, "x": small(here[:1]), "y": small(here[1:]), "mode": "markers", "name": "here",
         "marker": {"size": 13, "color": palette.PINK}, "hovertemplate": f"{shares}<extra></extra>"},
    ]  # fmt: skip
    anchors = {"linear": ("center", "bottom"), "equivariant": ("center", "top"), "invariant": ("center", "top")}
    notes = [
        note(text(name), x, y, xref="x3", yref="y3", xanchor=anchors[name][0], yanchor=anchors[name][1])
        for name, (x, y) in CORNERS.items()
    ]
    words = f"invariance error {float(values(ds, 'invariance_error')):.3f}"
    return traces, [*notes, note(words, 0.5, -0.2, xref="x3", yref="y3", font={"size": 12})]
