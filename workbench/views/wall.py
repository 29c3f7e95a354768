"""All kernels of a layer as a wall of tiles, how much of them is one picture, and what each factorisation costs."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import Figure, Trace, axis, figure, label, panel_title, require, small, text, values
from workbench.views.mosaic import centres, colour_bar, signed, tiles

WALL = (0.0, 0.5)
SIDE = (0.74, 1.0)
ROWS = ((0.6, 1.0), (0.0, 0.38))
MOST_TICKS = 12


def kernel_wall(ds: xr.Dataset) -> Figure:
    """Tiles by output and input pose, bars of the singular components, and bars of multiply-adds by factorisation.

    Args:
        ds: with `kernel(g_out, g_in, y, x)` as shares of the largest weight, the coordinates `pose_out(g_out)` and
            `pose_in(g_in)` in words, `energy(component)` and `multiply_adds(way)`; the attribute `factorisation` names
            the way that is shown.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    dims = {"kernel": ("g_out", "g_in", "y", "x"), "pose_out": ("g_out",), "pose_in": ("g_in",)}
    require(ds, "kernel wall", dims={**dims, "energy": ("component",), "multiply_adds": ("way",)})
    kernel = values(ds, "kernel", "g_out", "g_in", "y", "x")
    _, _, height, width = kernel.shape
    bar = colour_bar("weight, a share of the largest", WALL[1] + 0.01, 0.5, 0.7)
    hover = "weight %{z:.3f} of the largest<extra></extra>"
    wall = signed(tiles(kernel), 1.0, hovertemplate=hover, showscale=True, colorbar=bar)
    energy, cost = _energy(ds), _cost(ds)
    share = float(values(ds, "energy")[0])
    words = (label(ds, "kernel"), f"One picture holds {share:.0%} of the energy", label(ds, "multiply_adds"))
    places = ((WALL[0], 1.02), (SIDE[0], 1.02), (SIDE[0], ROWS[1][1] + 0.02))
    down = {"autorange": "reversed", "scaleanchor": "x", "constrain": "domain", "constraintoward": "top"}
    layout = {
        "xaxis": _poses(ds, "in", width, domain=list(WALL), constrain="domain", constraintoward="left"),
        "yaxis": _poses(ds, "out", height, **down),
        "xaxis2": axis(label(ds, "component"), domain=list(SIDE), anchor="y2", dtick=1),
        "yaxis2": axis("share of the energy", domain=list(ROWS[0]), anchor="x2", range=[0, 1.02]),
        "xaxis3": axis("multiply-adds", domain=list(SIDE), anchor="y3", type="log"),
        "yaxis3": axis("", domain=list(ROWS[1]), anchor="x3", autorange="reversed"),
    }
    headings = [panel_title(one, x, y) for one, (x, y) in zip(words, places, strict=True)]
    margin = {"l": 92, "r": 20, "t": 52, "b": 58}
    return figure([wall, energy, cost], ds, height=560, margin=margin, annotations=headings, showlegend=False, **layout)


def _energy(ds: xr.Dataset) -> Trace:
    return {
        "type": "bar", "x": small(values(ds, "component")), "y": small(values(ds, "energy")), "xaxis": "x2",
        "yaxis": "y2", "marker": {"color": palette.PINK},
        "hovertemplate": "component %{x}: %{y:.1%} of the energy<extra></extra>",
    }  # fmt: skip


def _cost(ds: xr.Dataset) -> Trace:
    names = [str(name) for name in values(ds, "way")]
    colours = [palette.PINK if name == ds.attrs.get("factorisation") else palette.NEUTRAL for name in names]
    return {
        "type": "bar", "orientation": "h", "x": small(values(ds, "multiply_adds")), "y": [text(n) for n in names],
        "xaxis": "x3", "yaxis": "y3", "marker": {"color": colours},
        "hovertemplate": "%{y}: %{x:,.0f} multiply-adds<extra></extra>",
    }  # fmt: skip


def _poses(ds: xr.Dataset, side: str, size: int, **more: object) -> dict:
    names = values(ds, f"pose_{side}")
    shown = np.arange(0, len(names), -(-len(names) // MOST_TICKS))
    ticks = {"tickvals": centres(len(names), size)[shown], "ticktext": [text(names[at]) for at in shown]}
    return axis(label(ds, f"pose_{side}"), tickmode="array", showgrid=False, **ticks, **more)
