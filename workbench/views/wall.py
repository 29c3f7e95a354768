"""All kernels of a layer as a wall of tiles, how much of them is one picture, and that picture with its numbers."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import Figure, Trace, axis, figure, label, panel_title, require, small, text, values
from workbench.views.mosaic import centres, colour_bar, signed, tiles

WALL = (0.0, 0.52)
SIDE = (0.72, 1.0)
ROWS = ((0.71, 1.0), (0.27, 0.55), (0.0, 0.16))
MOST_TICKS, FEW_TICKS = 12, 5


def kernel_wall(ds: xr.Dataset) -> Figure:
    """Tiles by output and input pose, bars of the singular components, the first of them as picture and numbers.

    Args:
        ds: with `kernel(g_out, g_in, y, x)` as shares of the largest weight, the coordinates `pose_out(g_out)` and
            `pose_in(g_in)` in words, `energy(component)`, `picture(y, x)` and `number(g_in)`.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    dims = {"kernel": ("g_out", "g_in", "y", "x"), "pose_out": ("g_out",), "pose_in": ("g_in",)}
    rest = {"energy": ("component",), "picture": ("y", "x"), "number": ("g_in",)}
    require(ds, "kernel wall", dims={**dims, **rest})
    kernel = values(ds, "kernel", "g_out", "g_in", "y", "x")
    _, _, height, width = kernel.shape
    bar = colour_bar("weight, a share of the largest", WALL[1] + 0.01, 0.5, 0.7)
    hover = "weight %{z:.3f} of the largest<extra></extra>"
    wall = signed(tiles(kernel), 1.0, hovertemplate=hover, showscale=True, colorbar=bar)
    picture = signed(values(ds, "picture", "y", "x"), 1.0, hovertemplate=hover, xaxis="x3", yaxis="y3")
    share = float(values(ds, "energy")[0])
    words = (
        label(ds, "kernel"), f"One picture holds {share:.0%}", label(ds, "picture"), label(ds, "number")
    )  # fmt: skip
    places = ((WALL[0], 1.02), *((SIDE[0], row[1] + 0.02) for row in ROWS))
    down = {"autorange": "reversed", "scaleanchor": "x", "constrain": "domain", "constraintoward": "top"}
    bare = {"showticklabels": False, "showgrid": False, "constrain": "domain"}
    most = float(np.abs(values(ds, "number")).max()) or 1.0
    layout = {
        "xaxis": _poses(ds, "in", width, domain=list(WALL), constrain="domain", constraintoward="left"),
        "yaxis": _poses(ds, "out", height, **down),
        "xaxis2": axis(label(ds, "component"), domain=list(SIDE), anchor="y2", dtick=1),
        "yaxis2": axis("share of the energy", domain=list(ROWS[0]), anchor="x2", range=[0, 1.02], nticks=5),
        "xaxis3": axis("", domain=list(SIDE), anchor="y3", constraintoward="left", **bare),
        "yaxis3": axis("", domain=list(ROWS[1]), anchor="x3", autorange="reversed", scaleanchor="x3", **bare),
        "xaxis4": axis(label(ds, "pose_in"), domain=list(SIDE), anchor="y4", **_ticks(ds, "in", 0, FEW_TICKS)),
        "yaxis4": axis("", domain=list(ROWS[2]), anchor="x4", range=[-1.15 * most, 1.15 * most], nticks=3,
                       zeroline=True, zerolinecolor=palette.NEUTRAL),
    }  # fmt: skip
    headings = [panel_title(one, x, y) for one, (x, y) in zip(words, places, strict=True)]
    margin = {"l": 92, "r": 20, "t": 52, "b": 58}
    traces = [wall, _energy(ds), picture, _numbers(ds)]
    return figure(traces, ds, height=620, margin=margin, annotations=headings, showlegend=False, **layout)


def _energy(ds: xr.Dataset) -> Trace:
    return {
        "type": "bar", "x": small(values(ds, "component")), "y": small(values(ds, "energy")), "xaxis": "x2",
        "yaxis": "y2", "marker": {"color": palette.PINK},
        "hovertemplate": "component %{x}: %{y:.1%} of the energy<extra></extra>",
    }  # fmt: skip


def _numbers(ds: xr.Dataset) -> Trace:
    names = [text(name) for name in values(ds, "pose_in")]
    return {
        "type": "scatter", "mode": "lines+markers", "x": small(np.arange(len(names))), "y": small(values(ds, "number")),
        "xaxis": "x4", "yaxis": "y4", "line": {"color": palette.BLUE, "width": 1.5}, "marker": {"size": 5},
        "customdata": names, "hovertemplate": "%{customdata}: %{y:.3f}<extra></extra>",
    }  # fmt: skip


def _poses(ds: xr.Dataset, side: str, size: int, **more: object) -> dict:
    return axis(label(ds, f"pose_{side}"), showgrid=False, **_ticks(ds, side, size, MOST_TICKS), **more)


def _ticks(ds: xr.Dataset, side: str, size: int, most: int) -> dict:
    """At most so many poses by name: in the middle of tiles of that size, or by their number where it is 0."""
    names = values(ds, f"pose_{side}")
    shown = np.arange(0, len(names), -(-len(names) // most))
    places = centres(len(names), size)[shown] if size else small(shown)
    return {"tickmode": "array", "tickvals": places, "ticktext": [text(names[at]) for at in shown]}
