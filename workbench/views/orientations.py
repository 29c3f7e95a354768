"""A grid of orientations on the sphere, what turns cost a network on it, and what its kernels see of a pair."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import (
    Figure,
    Trace,
    axis,
    degrees,
    figure,
    label,
    panel_title,
    require,
    small,
    text,
    values,
)

SPHERE, CURVE = (0.0, 0.46), (0.60, 1.0)
TOP, LOW = (0.57, 0.96), (0.0, 0.36)
LOWEST, HIGHEST = -4.0, 0.5
"""Powers of ten of the errors that are drawn; what is smaller lies on the lower edge."""
KNOWN = 3


def orientation_picture(ds: xr.Dataset) -> Figure:
    """The grid before and after the turn; errors round the circle and of all grids; invariants of one pair.

    Args:
        ds: what :func:`workbench.explorers.orientations.orientation_dataset` returns.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    dims = {
        "point": ("orientation", "xyz"), "moved": ("orientation", "xyz"), "weight": ("orientation",),
        "curve": ("angle_deg",), "error": ("name",), "invariant": ("kind", "around_deg"), "invariant_now": ("kind",),
    }  # fmt: skip
    require(ds, "view of orientations", dims=dims)
    turn, around = (float(values(ds, name)) for name in ("turn_shown_deg", "around_shown_deg"))
    grid, strength = text(ds.attrs.get("grid", "")), int(ds.attrs.get("strength", 0))
    words = (
        (f"{grid}: {ds.sizes['orientation']} orientations,<br>a design of strength {strength}", SPHERE, TOP),
        (f"Error of its vectors, turned by {degrees(turn)}", CURVE, TOP),
        (f"Errors of grids at {degrees(turn)}", SPHERE, LOW),
        (f"Invariants, sender turned by {degrees(around)}", CURVE, LOW),
    )
    power = {"type": "log", "range": [LOWEST, HIGHEST], "dtick": 1, "exponentformat": "power"}
    ends = {"range": [0, 360], "tickvals": [0, 72, 144, 216, 288, 360], "showgrid": True}
    kinds = {"tickmode": "array", "tickvals": small(np.arange(0, 361, 90))}
    layout = {
        "scene": {
            "domain": {"x": list(SPHERE), "y": list(TOP)}, "aspectmode": "cube", "uirevision": "sphere",
            "camera": {"eye": {"x": 0.85, "y": 0.85, "z": 0.6}},
            **{f"{one}axis": {"visible": False, "range": [-1.15, 1.15]} for one in "xyz"},
        },
        "xaxis": axis(label(ds, "angle_deg"), domain=list(CURVE), anchor="y", **ends),
        "yaxis": axis("relative error", domain=list(TOP), anchor="x", **power),
        "xaxis2": axis("relative error", domain=[0.2, SPHERE[1]], anchor="y2", **power),
        "yaxis2": axis("", domain=list(LOW), anchor="x2", type="category", autorange="reversed"),
        "xaxis3": axis(label(ds, "around_deg"), domain=list(CURVE), anchor="y3", range=[0, 360], **kinds),
        "yaxis3": axis("invariant", domain=list(LOW), anchor="x3"),
    }  # fmt: skip
    return figure(
        [*_points(ds), _curve(ds), _bars(ds), *_invariants(ds)], ds, height=680,
        margin={"l": 24, "r": 20, "t": 40, "b": 110}, showlegend=True,
        legend={"orientation": "h", "x": 0.0, "y": -0.13, "yanchor": "top", "font": {"size": 11}},
        annotations=[panel_title(said, across[0], down[1] + 0.012) for said, across, down in words],
        shapes=[_cursor(turn, "x", "y"), _cursor(around, "x3", "y3")], **layout,
    )  # fmt: skip


def _points(ds: xr.Dataset) -> list[Trace]:
    """The grid as discs, larger where they weigh more, and as circles where it is turned to."""
    share = values(ds, "weight")
    size = 9 * np.sqrt(share / share.mean()) * min(1.0, np.sqrt(32 / len(share)) + 0.3)
    made = []
    for name, symbol, colour in (("point", "circle", palette.BLUE), ("moved", "circle-open", palette.ORANGE)):
        x, y, z = values(ds, name, "orientation", "xyz").T
        made.append({
            "type": "scatter3d", "mode": "markers", "x": small(x), "y": small(y), "z": small(z),
            "name": label(ds, name),
            "marker": {"symbol": symbol, "size": small(size), "color": colour, "line": {"width": 2, "color": colour}},
            "customdata": small(share), "hovertemplate": "weight %{customdata:.4f}<extra></extra>", "scene": "scene",
        })  # fmt: skip
    return made


def _curve(ds: xr.Dataset) -> Trace:
    return {
        "type": "scatter", "mode": "lines", "x": small(values(ds, "angle_deg")), "showlegend": False,
        "y": small(values(ds, "curve").clip(10**LOWEST)), "line": {"color": palette.BLUE, "width": 2},
        "customdata": small(values(ds, "curve")), "hovertemplate": "%{x}°: %{customdata:.2g}<extra></extra>",
        "xaxis": "x", "yaxis": "y",
    }  # fmt: skip


def _bars(ds: xr.Dataset) -> Trace:
    names, found = [text(one) for one in values(ds, "name")], values(ds, "error")
    chosen = text(ds.attrs.get("grid", ""))
    return {
        "type": "scatter", "mode": "markers", "x": small(found.clip(10**LOWEST)), "y": names, "showlegend": False,
        "marker": {"size": 11, "color": [palette.BLUE if one == chosen else palette.ORANGE for one in names]},
        "error_x": {"type": "data", "symmetric": False, "array": small(np.zeros(len(names))),
                    "width": 0, "color": palette.GREEN,
                    "arrayminus": small(found.clip(10**LOWEST) - 10**LOWEST), "thickness": 3},
        "customdata": small(found), "hovertemplate": "%{y}: %{customdata:.2g}<extra></extra>",
        "xaxis": "x2", "yaxis": "y2",
    }  # fmt: skip


def _invariants(ds: xr.Dataset) -> list[Trace]:
    """The paper's three as full lines, the others dashed; marks at the present turn."""
    around, here = small(values(ds, "around_deg")), float(values(ds, "around_shown_deg"))
    made = []
    for at, name in enumerate(values(ds, "kind")):
        colour = palette.SERIES[at % len(palette.SERIES)]
        shared: dict = {"name": text(name), "xaxis": "x3", "yaxis": "y3", "hovertemplate": f"{text(name)}: %{{y:.2f}}"}
        line = {"color": colour, "width": 2, "dash": "solid" if at < KNOWN else "dash"}
        made.append({
            "type": "scatter", "mode": "lines", "x": around, "line": line, **shared,
            "y": small(values(ds, "invariant", "kind", "around_deg")[at]),
        })  # fmt: skip
        made.append({
            "type": "scatter", "mode": "markers", "x": [here], "y": small(values(ds, "invariant_now")[at : at + 1]),
            **shared, "showlegend": False, "marker": {"color": colour, "size": 9},
        })  # fmt: skip
    return made


def _cursor(at: float, across: str, up: str) -> dict:
    return {
        "type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "xref": across, "yref": f"{up} domain",
        "line": {"color": palette.PINK, "width": 1.5, "dash": "dot"},
    }  # fmt: skip
