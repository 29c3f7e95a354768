"""One kernel from every orientation: a film strip, the function behind it, its spectrum and its course in angle."""

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
    panel_title,
    require,
    small,
    values,
)
from workbench.views.mosaic import centres, colour_bar, outline, signed, tiles

STRIP = (0.0, 0.53)
SIDE = (0.72, 1.0)
ROWS = ((0.68, 1.0), (0.36, 0.555), (0.0, 0.195))
MOST_TICKS = 12


def film_strip(ds: xr.Dataset) -> Figure:
    """The kernels of a layer for every pair of output and input rotation, as one mosaic, with three side panels.

    Args:
        ds: with `kernel(g_out, g_in, y, x)`, the coordinates `angle_out_deg(g_out)` and `angle_in_deg(g_in)`, and
            the scalar `limit`, the end of the colour scale. Optional: `copy_column(g_out)`, the tile of each row that
            is a turned copy of one kernel; `surface(fine_y, fine_x)`; `power(frequency)`; `weight(relative_angle_deg)`.

    Returns:
        A plotly figure as a dictionary.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    require(
        ds,
        "kernel view",
        dims={
            "kernel": ("g_out", "g_in", "y", "x"),
            "angle_out_deg": ("g_out",),
            "angle_in_deg": ("g_in",),
            "limit": (),
        },
    )
    strip, strip_layout, frames = _strip(ds)
    headings = [panel_title(label(ds, "kernel"), STRIP[0], 1.025)]
    side: list[Trace] = []
    layout: dict = {}
    for draw, number, domain in zip((_surface, _power, _course), (2, 3, 4), ROWS, strict=True):
        traces, more, words = draw(ds, number, domain)
        side += traces
        layout |= more
        if words:
            headings.append(panel_title(words, SIDE[0], domain[1] + 0.025, font={"size": 12}))
    return figure(
        [strip, *side],
        ds,
        height=640,
        margin={"l": 66, "r": 20, "t": 56, "b": 58},
        annotations=headings,
        shapes=frames,
        **strip_layout,
        **layout,
    )


def _strip(ds: xr.Dataset) -> tuple[Trace, dict, list[dict]]:
    kernel = values(ds, "kernel", "g_out", "g_in", "y", "x")
    _, _, height, width = kernel.shape
    limit = float(values(ds, "limit"))
    trace = signed(
        tiles(kernel),
        limit,
        hovertemplate="weight %{z:.3f} of the largest<extra></extra>",
        showscale=True,
        colorbar=colour_bar("weight, a share of the largest", STRIP[1] + 0.01, 0.6, 0.62),
    )
    layout = {
        "xaxis": _tile_axis(label(ds, "angle_in_deg"), values(ds, "angle_in_deg"), width, domain=list(STRIP)),
        "yaxis": _tile_axis(
            label(ds, "angle_out_deg"),
            values(ds, "angle_out_deg"),
            height,
            autorange="reversed",
            scaleanchor="x",
            constrain="domain",
            constraintoward="top",
        ),
    }
    layout["xaxis"] |= {"constrain": "domain", "constraintoward": "left"}
    frames = []
    if "copy_column" in ds:
        require(ds, "kernel view", dims={"copy_column": ("g_out",)})
        frames = [
            outline(row, int(at), height, width, palette.PINK) for row, at in enumerate(values(ds, "copy_column"))
        ]
    return trace, layout, frames


def _tile_axis(title: str, angles_deg: np.ndarray, size: int, **more: object) -> dict:
    step = -(-len(angles_deg) // MOST_TICKS)
    shown = np.arange(0, len(angles_deg), step)
    return axis(
        title,
        tickmode="array",
        tickvals=centres(len(angles_deg), size)[shown],
        ticktext=[degrees(angles_deg[at]) for at in shown],
        showgrid=False,
        **more,
    )


def _surface(ds: xr.Dataset, number: int, domain: tuple[float, float]) -> tuple[list[Trace], dict, str]:
    """The continuous function that the taps of the first kernel are read from."""
    if "surface" not in ds:
        return [], {}, ""
    require(ds, "kernel view", dims={"surface": ("fine_y", "fine_x")})
    trace = signed(
        values(ds, "surface", "fine_y", "fine_x"),
        float(values(ds, "limit")),
        x=small(values(ds, "fine_x")),
        y=small(values(ds, "fine_y")),
        xaxis=f"x{number}",
        yaxis=f"y{number}",
        hovertemplate="x %{x:.2f}, y %{y:.2f}<br>weight %{z:.4f}<extra></extra>",
    )
    layout = {
        f"xaxis{number}": bare_axis(domain=list(SIDE), anchor=f"y{number}", constrain="domain", constraintoward="left"),
        f"yaxis{number}": bare_axis(domain=list(domain), anchor=f"x{number}", scaleanchor=f"x{number}"),
    }
    return [trace], layout, label(ds, "surface")


def _power(ds: xr.Dataset, number: int, domain: tuple[float, float]) -> tuple[list[Trace], dict, str]:
    """The share of the kernel's power at each spatial frequency."""
    if "power" not in ds:
        return [], {}, ""
    require(ds, "kernel view", dims={"power": ("frequency",)})
    trace = {
        "type": "bar",
        "x": small(values(ds, "frequency")),
        "y": small(values(ds, "power")),
        "xaxis": f"x{number}",
        "yaxis": f"y{number}",
        "marker": {"color": palette.BLUE, "line": {"width": 0}},
        "hovertemplate": "%{x:.2f} cycles per pixel: %{y:.1%}<extra></extra>",
    }
    layout = {
        f"xaxis{number}": axis(label(ds, "frequency"), domain=list(SIDE), anchor=f"y{number}", showgrid=False),
        f"yaxis{number}": axis(
            "", domain=list(domain), anchor=f"x{number}", tickformat=".0%", rangemode="tozero", nticks=4
        ),
        "bargap": 0.25,
    }
    return [trace], layout, label(ds, "power")


def _course(ds: xr.Dataset, number: int, domain: tuple[float, float]) -> tuple[list[Trace], dict, str]:
    """One tap's weight while the relative rotation goes once around: it must close without a step."""
    if "weight" not in ds:
        return [], {}, ""
    require(ds, "kernel view", dims={"weight": ("relative_angle_deg",)})
    limit = float(values(ds, "limit"))
    trace = {
        "type": "scatter",
        "mode": "lines",
        "x": small(values(ds, "relative_angle_deg")),
        "y": small(values(ds, "weight")),
        "xaxis": f"x{number}",
        "yaxis": f"y{number}",
        "line": {"color": palette.BLUE, "width": 2},
        "hovertemplate": "%{x:.0f}°: weight %{y:.4f}<extra></extra>",
    }
    layout = {
        f"xaxis{number}": axis(
            label(ds, "relative_angle_deg"),
            domain=list(SIDE),
            anchor=f"y{number}",
            range=[-180, 180],
            tickvals=[-180, -90, 0, 90, 180],
            ticksuffix="°",
        ),
        f"yaxis{number}": axis(
            "", domain=list(domain), anchor=f"x{number}", range=[-1.2 * limit, 1.2 * limit], tickvals=[-limit, 0, limit]
        ),
    }
    return [trace], layout, label(ds, "weight")
