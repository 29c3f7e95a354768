"""A feature and its turned copy in space, beside the matrix that turned it and lengths by degree."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import (
    PROVENANCE,
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
from workbench.views.mosaic import signed
from workbench.views.surfaces import signed_surface

SPACES = ((0.0, 0.34), (0.35, 0.69))
SIDE, MATRIX, BARS = (0.76, 1.0), (0.5, 1.0), (0.0, 0.28)
BARS_IN = (palette.BLUE, palette.ORANGE)
VIEW_FROM = {"x": 1.25, "y": 0.75, "z": 1.35}
ROOM = 1.08  # a sphere that just fits would be cut at its poles
NAMES = 12
"""So many names of rows fit beside a matrix."""


def harmonic_picture(ds: xr.Dataset) -> Figure:
    """Two surfaces of radius |f|, coloured by the sign of f; the matrix D(g); squared lengths by degree.

    The lengths are those of the harmonics where one of them is drawn, else those of the feature's numbers, before and
    after.

    Args:
        ds: of :func:`workbench.measure.harmonics.turned_harmonic`.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    require(ds, "view of harmonics", dims={
        "value": ("picture", "polar", "azimuth"), "direction": ("polar", "azimuth", "xyz"),
        "matrix": ("row", "column"), "squared_length": ("degree",), "feature_length": ("picture", "degree"),
        "residual": (),
    }, provenance=(*PROVENANCE, "feature", "degree", "order"))  # fmt: skip
    limit = float(np.abs(values(ds, "value")).max()) or 1.0
    traces = [_surface(ds, at, limit) for at in range(2)]
    layout: dict[str, Any] = {name: _space(span, limit) for name, span in zip(("scene", "scene2"), SPACES, strict=True)}
    traces += [_matrix(ds), *_bars(ds)]
    layout |= {
        "xaxis": _names(ds, "column", domain=list(SIDE), anchor="y"),
        "yaxis": _names(ds, "row", domain=list(MATRIX), anchor="x", autorange="reversed"),
        "xaxis2": axis(label(ds, "degree"), domain=list(SIDE), anchor="y2", dtick=1, showgrid=False),
        "yaxis2": axis("", domain=list(BARS), anchor="x2", rangemode="tozero", nticks=4),
        "barmode": "group", "bargap": 0.25,
    }  # fmt: skip
    return figure(traces, ds, height=540, margin={"l": 12, "r": 24, "t": 48, "b": 62}, annotations=_headings(ds),
                  **layout)  # fmt: skip


def _surface(ds: xr.Dataset, at: int, limit: float) -> Trace:
    value = values(ds, "value", "picture", "polar", "azimuth")[at]
    where = (np.abs(value)[..., None] * values(ds, "direction", "polar", "azimuth", "xyz")).reshape(-1, 3)
    return signed_surface(
        where, _triangles(*value.shape), value.ravel(), limit, scene="scene2" if at else "scene",
        name=text(values(ds, "picture")[at]),
        hovertemplate="x %{x:.2f}, y %{y:.2f}, z %{z:.2f}<br>f %{intensity:.3f}<extra></extra>",
    )  # fmt: skip


@lru_cache(maxsize=8)
def _triangles(polar: int, azimuths: int) -> np.ndarray:
    """Corners of the triangles of a grid of directions, ``(T, 3)``; its last azimuth is the first one again."""
    at = (np.arange(polar - 1)[:, None] * azimuths + np.arange(azimuths - 1)).ravel()
    halves = ((at, at + azimuths, at + 1), (at + 1, at + azimuths, at + azimuths + 1))
    return np.concatenate([np.stack(corners, 1) for corners in halves]).astype(np.int32)


def _space(span: tuple[float, float], limit: float) -> dict[str, Any]:
    """Axes that stay where they are while the surface turns; y, the polar axis, points up."""
    quiet = {"showbackground": False, "gridcolor": palette.GRID, "zerolinecolor": palette.NEUTRAL, "showspikes": False,
             "showticklabels": False, "range": [-ROOM * limit, ROOM * limit]}  # fmt: skip
    return {
        "domain": {"x": list(span), "y": [0.0, 1.0]}, "aspectmode": "cube", "uirevision": "constant",
        "camera": {"up": {"x": 0, "y": 1, "z": 0}, "eye": VIEW_FROM},
        **{f"{one}axis": {**quiet, "title": {"text": one}} for one in "xyz"},
    }  # fmt: skip


def _names(ds: xr.Dataset, name: str, **more: Any) -> dict[str, Any]:
    """An axis of categories; of several degrees only the middle row of each has its name, where there is room."""
    names = [str(one) for one in values(ds, name)]
    if _several(ds):
        middle = [at for at, one in enumerate(names) if one.endswith(", 0")]
        room = [below <= at - len(names) / NAMES for below, at in pairwise(middle)]
        more |= {"tickvals": [names[at] for at, kept in zip(middle, [*room, True], strict=True) if kept]}
    return axis(label(ds, name), type="category", showgrid=False, nticks=10, **more) | {"tickfont": {"size": 9}}


def _matrix(ds: xr.Dataset) -> Trace:
    return signed(
        small(values(ds, "matrix", "row", "column")), 1.0, x=[str(one) for one in values(ds, "column")],
        y=[str(one) for one in values(ds, "row")], hovertemplate="%{x} to %{y}: %{z:.3f}<extra></extra>",
    )  # fmt: skip


def _bars(ds: xr.Dataset) -> list[Trace]:
    """One series of the harmonics, or two of the feature's numbers."""
    if ds.attrs["feature"] == "one harmonic":
        series = [("squared length", values(ds, "squared_length"))]
    else:
        series = list(zip(("before", "after"), values(ds, "feature_length", "picture", "degree"), strict=True))
    return [
        {
            "type": "bar", "x": small(values(ds, "degree")), "y": small(lengths), "xaxis": "x2", "yaxis": "y2",
            "marker": {"color": colour, "line": {"width": 0}}, "name": name,
            "hovertemplate": f"{name}, l = %{{x}}: %{{y:.3f}}<extra></extra>",
        }
        for (name, lengths), colour in zip(series, BARS_IN, strict=False)
    ]  # fmt: skip


def _headings(ds: xr.Dataset) -> list[dict[str, Any]]:
    turn = degrees(float(values(ds, "angle_shown_deg")))
    rest = float(values(ds, "residual"))
    words = [
        (_feature(ds), SPACES[0][0]),
        (f"turned {turn}; residual {rest:.0e}".replace("e-", "e−"), SPACES[1][0]),
        (label(ds, "matrix"), SIDE[0]),
    ]
    found = [panel_title(one, at, 1.01) for one, at in words]
    lengths = "squared length"
    if ds.attrs["feature"] != "one harmonic":
        both = zip(("before", "after"), BARS_IN, strict=True)
        lengths = "length² " + ", ".join(f"<span style='color:{colour}'>{name}</span>" for name, colour in both)
    return [*found, panel_title(lengths, SIDE[0], BARS[1] + 0.015)]


def _feature(ds: xr.Dataset) -> str:
    degree, order = int(ds.attrs["degree"]), int(ds.attrs["order"])
    if ds.attrs["feature"] == "one harmonic":
        return f"Y, l = {degree}, m = {order}".replace("-", "−")
    count = ds.sizes["row"]
    which = f"Degrees 0 to {degree}" if _several(ds) else f"Degree {degree}"
    return f"{which}: {count} number{'s' * (count > 1)}"


def _several(ds: xr.Dataset) -> bool:
    return ds.attrs["feature"] == "all degrees" and int(ds.attrs["degree"]) > 0
