"""A diagram of two rows of points, the matrix that it stands for, and how many of all diagrams are independent."""

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
from workbench.views.mosaic import signed

COLUMNS = ((0.0, 0.36), (0.43, 0.68), (0.77, 1.0))
BEND = 0.42
"""How far a line between two points of one row bows towards the other row."""
_ALONG = np.linspace(0, 1, 25)


def diagram_picture(ds: xr.Dataset) -> Figure:
    """Points and lines, the matrix of the map, and the singular values of all diagrams together.

    Args:
        ds: with `block(point)`, -1 in a determinant, `upper_row(point)`, `matrix(row, column)`, `strength(value)`, and
            the numbers `diagrams`, `dimension`, `shown` and `products`.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    dims = {"block": ("point",), "upper_row": ("point",), "matrix": ("row", "column"), "strength": ("value",)}
    numbers = dict.fromkeys(("diagrams", "dimension", "shown", "products"), ())
    require(ds, "diagram view", dims={**dims, **numbers}, provenance=("created_by", "seed", "dtype", "group"))
    matrix = values(ds, "matrix", "row", "column")
    heat = signed(matrix, 1.0, xaxis="x2", yaxis="y2", hovertemplate="row %{y}, column %{x}: %{z}<extra></extra>")
    strength = values(ds, "strength")
    bars: Trace = {
        "type": "bar", "x": small(np.arange(len(strength)) + 1), "y": small(strength), "xaxis": "x3", "yaxis": "y3",
        "marker": {"color": palette.BLUE}, "hovertemplate": "%{x}: %{y:.3f}<extra></extra>",
    }  # fmt: skip
    layout = {
        "xaxis": bare_axis(domain=list(COLUMNS[0]), range=[-0.7, max(_width(ds), 1) - 0.3]),
        "yaxis": bare_axis(domain=[0.05, 0.8], range=[-0.35, 1.35]),
        "xaxis2": axis("column: what is given", domain=list(COLUMNS[1]), anchor="y2", showgrid=False,
                       constrain="domain"),
        "yaxis2": axis("row: the result", domain=[0.0, 0.82], anchor="x2", autorange="reversed", showgrid=False,
                       scaleanchor="x2", constrain="domain"),
        "xaxis3": axis("number", domain=list(COLUMNS[2]), anchor="y3", dtick=max(1, len(strength) // 5)),
        "yaxis3": axis(label(ds, "strength"), domain=[0.0, 0.82], anchor="x3", range=[0, 1.08]),
    }  # fmt: skip
    titles = (
        f"Diagram {int(values(ds, 'shown'))} of {int(values(ds, 'diagrams'))}",
        label(ds, "matrix"),
        "All diagrams",
    )
    headings = [panel_title(_headline(ds), 0.0, 1.0)]
    headings += [panel_title(one, left, 0.86) for one, (left, _) in zip(titles, COLUMNS, strict=True)]
    return figure(
        [*_lines(ds), _points(ds), heat, bars], ds, height=440, margin={"l": 44, "r": 20, "t": 40, "b": 52},
        annotations=[*headings, *_rows(ds)], **layout,
    )  # fmt: skip


def _headline(ds: xr.Dataset) -> str:
    group, count, rank = text(ds.attrs["group"]), int(values(ds, "diagrams")), int(values(ds, "dimension"))
    if not count:
        return f"No map but 0 commutes with {group}"
    rows, columns = values(ds, "matrix", "row", "column").shape
    words = f"{count} diagram{'s' * (count > 1)}, {rank} independent: all maps that commute with {group}"
    return f"{words}. This one takes {int(values(ds, 'products'))} products, its matrix {rows * columns}"


def _width(ds: xr.Dataset) -> int:
    above = values(ds, "upper_row")
    return int(max(above.sum(), (~above).sum()))


def _places(ds: xr.Dataset) -> np.ndarray:
    """Where the points are, ``(point, 2)``, each row in the middle."""
    above = values(ds, "upper_row").astype(bool)
    x = np.where(above, np.cumsum(above), np.cumsum(~above)) - 1.0
    x += np.where(above, _width(ds) - above.sum(), _width(ds) - (~above).sum()) / 2
    return np.stack([x, above.astype(float)], -1)


def _points(ds: xr.Dataset) -> Trace:
    places = _places(ds)
    return {
        "type": "scatter", "mode": "markers", "x": small(places[:, 0]), "y": small(places[:, 1]),
        "marker": {"size": 15, "color": palette.NEUTRAL}, "hoverinfo": "skip",
    }  # fmt: skip


def _lines(ds: xr.Dataset) -> list[Trace]:
    """A line for each pair; larger groups and determinants meet in their middle."""
    block, places, made = values(ds, "block"), _places(ds), []
    for number in np.unique(block):
        own = places[block == number]
        line = {"color": palette.ORANGE, "width": 4} if number < 0 else {**palette.series(0), "width": 3}
        if number >= 0 and len(own) == 2:
            paths = [_between(*own)]
        else:
            x, y = own.mean(0)
            if np.ptp(own[:, 1]) == 0:  # all in one row: they meet between the rows
                y += (0.5 - y) * 2 * BEND
            paths = [np.stack([one, (x, y)]) for one in own]
        joined = np.concatenate([np.concatenate([path, [[np.nan, np.nan]]]) for path in paths])
        made.append({
            "type": "scatter", "mode": "lines", "x": small(joined[:, 0]), "y": small(joined[:, 1]), "line": line,
            "hoverinfo": "skip",
        })  # fmt: skip
    return made


def _between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Straight between the rows, a bow within one."""
    path = one + _ALONG[:, None] * (other - one)
    if one[1] == other[1]:
        path[:, 1] += (1 if one[1] == 0 else -1) * BEND * 4 * _ALONG * (1 - _ALONG) * min(1.0, abs(other[0] - one[0]))
    return path


def _rows(ds: xr.Dataset) -> list[dict]:
    above = values(ds, "upper_row").astype(bool)
    names = (("result", 1.0, above.any()), ("given", 0.0, (~above).any()))
    return [note(name, -0.65, y, xanchor="left", yshift=18 if y else -18) for name, y, there in names if there]
