"""A linear map of the plane as a picture: its arrows, its parts one after the other, samples, errors of sums."""

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
from workbench.views.mosaic import centres, gap_value, magnitude, tiles

STRIP, LOWER = (0.66, 1.0), (0.0, 0.44)
COLUMNS = ((0.0, 0.27), (0.37, 0.63), (0.74, 1.0))
REACH = 2.1
"""Of the plane with the arrows, to either side."""
LOWEST = 1e-3
_CIRCLE = np.stack([np.cos(a := np.linspace(0, 2 * np.pi, 73)), np.sin(a)])


def linear_picture(ds: xr.Dataset) -> Figure:
    """The parts of the map as a strip of pictures; below its arrows and ellipse, samples, and errors of sums.

    Args:
        ds: with `picture(stage, y, x)`, `so_far(stage, row, column)`, `coordinate(name)`, `stretch(axis)`,
            `determinant`, `exponential`, `u(sample)`, `q(sample)`, `weight(sample)` and `error(samples, count)`.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    dims = {
        "picture": ("stage", "y", "x"), "so_far": ("stage", "row", "column"), "coordinate": ("name",),
        "stretch": ("axis",), "determinant": (), "exponential": (), "u": ("sample",), "q": ("sample",),
        "weight": ("sample",), "error": ("samples", "count"),
    }  # fmt: skip
    require(ds, "linear map view", dims=dims)
    pictures = values(ds, "picture", "stage", "y", "x")
    names = [text(one) for one in values(ds, "stage")]
    gap = gap_value(0.0, 1.0)
    strip = magnitude(tiles(np.nan_to_num(pictures, nan=gap)[None], fill=gap), 0.0, 1.0, hoverinfo="skip")
    ticks = {"tickvals": centres(len(names), pictures.shape[-1]), "ticktext": names}
    far = float(np.abs([values(ds, name) for name in ("u", "q")]).max()) * 1.08
    top = np.log10(max(1.0, 1.3 * float(np.nanmax(values(ds, "error")))))
    layout = {
        "xaxis": axis("", tickmode="array", showgrid=False, constrain="domain", side="top", **ticks),
        "yaxis": bare_axis(domain=list(STRIP), autorange="reversed", scaleanchor="x", constrain="domain"),
        "xaxis2": axis("x", domain=list(COLUMNS[0]), anchor="y2", range=[-REACH, REACH]),
        "yaxis2": axis("y", domain=list(LOWER), anchor="x2", range=[-REACH, REACH], scaleanchor="x2"),
        "xaxis3": axis(label(ds, "u"), domain=list(COLUMNS[1]), anchor="y3", range=[-far, far]),
        "yaxis3": axis(label(ds, "q"), domain=list(LOWER), anchor="x3", range=[-far, far], scaleanchor="x3"),
        "xaxis4": axis(label(ds, "count"), domain=list(COLUMNS[2]), anchor="y4", type="log", dtick=1),
        "yaxis4": axis("relative error", domain=list(LOWER), anchor="x4", type="log", dtick=1,
                       range=[np.log10(LOWEST), top]),
    }  # fmt: skip
    titles = ("Where it sends the unit steps", f"Samples of {text(ds.attrs.get('group', ''))}", "Sums over samples")
    headings = [panel_title(_headline(ds), 0.0, STRIP[1] + 0.07)]
    headings += [panel_title(one, left, LOWER[1] + 0.03) for one, (left, _) in zip(titles, COLUMNS, strict=True)]
    return figure(
        [strip, *_arrows(ds), *_samples(ds), *_errors(ds)], ds, height=600, margin={"l": 52, "r": 24, "t": 78, "b": 54},
        annotations=[*headings, *_notes(ds)], **layout,
    )  # fmt: skip


def _headline(ds: xr.Dataset) -> str:
    """The coordinates in words, or why there are none."""
    u, q, angle, s = values(ds, "coordinate")
    if not np.isfinite(angle):
        return (
            f"Determinant {float(values(ds, 'determinant')):.2f}: the plane is turned over or flat, no member of GL⁺(2)"
        )
    whose = "" if bool(values(ds, "exponential")) else "; no real matrix has it as its exponential"
    return f"Turned by {degrees(np.rad2deg(angle))}, u = {u:.2f}, q = {q:.2f}, scaled by {np.exp(s):.2f}{whose}"


def _arrows(ds: xr.Dataset) -> list[Trace]:
    """The unit circle and what becomes of it, and the two arrows."""
    matrix = values(ds, "so_far", "stage", "row", "column")[-1]
    made: list[Trace] = []
    for points, line in ((_CIRCLE, {"color": palette.NEUTRAL, "width": 1, "dash": "dot"}),
                         (matrix @ _CIRCLE, {"color": palette.NEUTRAL, "width": 1.8})):  # fmt: skip
        made.append({
            "type": "scatter", "mode": "lines", "x": small(points[0]), "y": small(points[1]), "xaxis": "x2",
            "yaxis": "y2", "line": line, "hoverinfo": "skip",
        })  # fmt: skip
    for at, name in enumerate(("right", "up")):
        x, y = matrix[:, at]
        made.append({
            "type": "scatter", "mode": "lines+markers", "x": small([0, x]), "y": small([0, y]), "xaxis": "x2",
            "yaxis": "y2", "name": name, "line": {**palette.series(at), "width": 3},
            "marker": {"size": [0, 9], "color": palette.series(at)["color"]},
            "hovertemplate": f"a step {name} becomes (%{{x:.2f}}, %{{y:.2f}})<extra></extra>",
        })  # fmt: skip
    return made


def _samples(ds: xr.Dataset) -> list[Trace]:
    """Samples, larger where they weigh more, and the present map."""
    weight = values(ds, "weight")
    u, q, *_ = values(ds, "coordinate")
    dots: Trace = {
        "type": "scatter", "mode": "markers", "x": small(values(ds, "u")), "y": small(values(ds, "q")),
        "xaxis": "x3", "yaxis": "y3", "customdata": small(weight),
        "marker": {"size": small(np.clip(5 * np.sqrt(weight), 2, 24)), "color": palette.BLUE, "opacity": 0.45},
        "hovertemplate": "u %{x:.2f}, q %{y:.2f}<br>weight %{customdata:.2f} of the mean<extra></extra>",
    }  # fmt: skip
    here: Trace = {
        "type": "scatter", "mode": "markers", "x": small([u]), "y": small([q]), "xaxis": "x3", "yaxis": "y3",
        "marker": {"symbol": "x-thin", "size": 13, "line": {"width": 2.5, "color": palette.ORANGE}},
        "hovertemplate": "the map above<extra></extra>",
    }  # fmt: skip
    return [dots, here]


def _errors(ds: xr.Dataset) -> list[Trace]:
    counts, error = small(values(ds, "count")), values(ds, "error", "samples", "count")
    return [
        {
            "type": "scatter", "mode": "lines+markers", "x": counts, "y": small(row.clip(LOWEST)), "name": text(name),
            "xaxis": "x4", "yaxis": "y4", "line": {**palette.series(at), "width": 1.8},
            "hovertemplate": f"{text(name)}, %{{x}} samples: %{{y:.3f}}<extra></extra>",
        }
        for at, (name, row) in enumerate(zip(values(ds, "samples"), error, strict=True))
    ]  # fmt: skip


def _notes(ds: xr.Dataset) -> list[dict]:
    """The curves are named at their right ends."""
    count, error = float(values(ds, "count")[-1]), values(ds, "error", "samples", "count")
    return [
        note(text(name), np.log10(count), np.log10(max(float(row[-1]), LOWEST)), xref="x4", yref="y4",
             xanchor="right", yanchor="bottom", font={"size": 11, "color": palette.series(at)["color"]})
        for at, (name, row) in enumerate(zip(values(ds, "samples"), error, strict=True))
    ]  # fmt: skip
