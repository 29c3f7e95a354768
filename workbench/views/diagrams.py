"""A diagram of two rows of points, the matrix of a sum of them, how many are independent, and what is left of it."""

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

COLUMNS = ((0.0, 0.33), (0.41, 0.66), (0.75, 1.0))
UPPER, LOWER = (0.53, 0.86), (0.0, 0.3)
ROOM = 0.02
"""Between a panel and its heading."""
BEND = 0.42
"""How far a line between two points of one row bows towards the other row."""
NOTHING = 1e-20
"""Where a residual of 0 is drawn on an axis of powers."""
LONGEST = 4
"""Matrices longer than so many times their width are stretched, or their entries could not be told apart."""
ROUNDING = float(np.finfo(np.float64).eps)
_ALONG = np.linspace(0, 1, 25)


def diagram_picture(ds: xr.Dataset) -> Figure:
    """Points and lines, the coefficients, the matrix of the map, singular values of all diagrams, and residuals.

    Args:
        ds: of :func:`workbench.measure.diagrams.diagram_dataset`.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    dims = {"block": ("point",), "upper_row": ("point",), "matrix": ("row", "column"), "strength": ("value",)}
    more = {"coefficient": ("diagram",), "residual": ("map", "element")}
    numbers = dict.fromkeys(("diagrams", "dimension", "shown", "products", "broken"), ())
    require(ds, "diagram view", dims={**dims, **more, **numbers}, provenance=("created_by", "seed", "dtype", "group"))
    matrix = values(ds, "matrix", "row", "column")
    limit = max(1.0, float(np.abs(matrix).max()))
    heat = signed(matrix, limit, xaxis="x2", yaxis="y2", hovertemplate="row %{y}, column %{x}: %{z:.3g}<extra></extra>")
    strength, count = values(ds, "strength"), int(values(ds, "diagrams"))
    numbered = {"dtick": max(1, count // 5), "range": [0.4, max(count, 1) + 0.6]}
    square = {"scaleanchor": "x2"} if max(matrix.shape) <= LONGEST * min(matrix.shape) else {}
    layout = {
        "xaxis": bare_axis(domain=list(COLUMNS[0]), range=[-0.7, max(_width(ds), 1) - 0.3]),
        "yaxis": bare_axis(domain=list(UPPER), range=[-0.45, 1.45]),
        "xaxis2": axis("column: what is given", domain=list(COLUMNS[1]), anchor="y2", showgrid=False,
                       constrain="domain", dtick=max(1, matrix.shape[1] // 5)),
        "yaxis2": axis("row: the result", domain=[LOWER[0], UPPER[1]], anchor="x2", autorange="reversed",
                       showgrid=False, constrain="domain", constraintoward="top",
                       dtick=max(1, matrix.shape[0] // 5), **square),
        "xaxis3": axis("", domain=list(COLUMNS[2]), anchor="y3", **numbered),
        "yaxis3": axis(label(ds, "strength"), domain=list(UPPER), anchor="x3", range=[0, 1.08]),
        "xaxis4": axis(label(ds, "diagram"), domain=list(COLUMNS[0]), anchor="y4", **numbered),
        "yaxis4": axis(label(ds, "coefficient"), domain=list(LOWER), anchor="x4", nticks=5, rangemode="tozero"),
        "shapes": _changed(ds),
        "xaxis5": axis(label(ds, "element"), domain=list(COLUMNS[2]), anchor="y5", showgrid=False, nticks=7),
        "yaxis5": axis(label(ds, "residual"), domain=list(LOWER), anchor="x5", type="log",
                       range=[np.log10(NOTHING) - 1, 1], tickvals=[NOTHING, 1e-12, 1e-6, 1.0],
                       ticktext=["0", "1e−12", "1e−6", "1"]),
    }  # fmt: skip
    bars = [_bars(np.arange(len(strength)) + 1, strength, "3", palette.BLUE)]
    at = np.arange(count) + 1
    colours = np.where(at == int(values(ds, "shown")), palette.BLUE, palette.NEUTRAL).tolist()
    bars.append(_bars(at, values(ds, "coefficient"), "4", colours))
    return figure(
        [*_lines(ds), _points(ds), heat, *bars, *_dots(ds)], ds, height=540,
        margin={"l": 52, "r": 20, "t": 40, "b": 52}, annotations=[*_headings(ds), *_rows(ds)], **layout,
    )  # fmt: skip


def _bars(at: np.ndarray, heights: np.ndarray, panel: str, colour: str | list[str]) -> Trace:
    return {
        "type": "bar", "x": small(at), "y": small(heights), "xaxis": f"x{panel}", "yaxis": f"y{panel}",
        "marker": {"color": colour, "line": {"width": 0}}, "hovertemplate": "%{x}: %{y:.3f}<extra></extra>",
    }  # fmt: skip


def _maps(ds: xr.Dataset) -> int:
    """How many rows of residuals are drawn: the changed matrix only where it is the one that is shown."""
    return 2 if bool(values(ds, "broken")) else 1


def _dots(ds: xr.Dataset) -> list[Trace]:
    """Residuals by member of the group, above the line of rounding; 0 at the lower edge."""
    member = values(ds, "element")
    line: Trace = {
        "type": "scatter", "mode": "lines", "x": small([member[0] - 0.5, member[-1] + 0.5]),
        "y": small([ROUNDING] * 2), "xaxis": "x5", "yaxis": "y5", "hoverinfo": "skip",
        "line": {"color": palette.NEUTRAL, "dash": "dash", "width": 1.2},
    }  # fmt: skip
    looks = (("circle", palette.BLUE), ("x", palette.ORANGE))
    residual = values(ds, "residual", "map", "element")[: _maps(ds)]
    dots = [
        {
            "type": "scatter", "mode": "markers", "x": small(member), "y": small(np.maximum(row, NOTHING)),
            "customdata": small(row), "xaxis": "x5", "yaxis": "y5", "name": text(name),
            "marker": {"symbol": symbol, "color": colour, "size": 7},
            "hovertemplate": f"{text(name)}, member %{{x}}: %{{customdata:.1e}}<extra></extra>",
        }
        for row, name, (symbol, colour) in zip(residual, values(ds, "map"), looks, strict=False)
    ]  # fmt: skip
    return [line, *dots]


def _headings(ds: xr.Dataset) -> list[dict]:
    count = int(values(ds, "diagrams"))
    shown = f"Diagram {int(values(ds, 'shown'))} of {count}" if count else "No diagram"
    left = "Residual " + ", broken ".join(
        _number(float(row.max())) for row in values(ds, "residual", "map", "element")[: _maps(ds)]
    )
    matrix = label(ds, "matrix") + (", broken" if _maps(ds) == 2 else "")
    above, below = UPPER[1] + ROOM, LOWER[1] + ROOM
    return [
        panel_title(_headline(ds), 0.0, 1.0),
        *(panel_title(one, at[0], above) for one, at in zip((shown, matrix, "All diagrams"), COLUMNS, strict=True)),
        panel_title("Coefficients", COLUMNS[0][0], below),
        panel_title(left, 1.0, below, xanchor="right"),
        note("rounding", 1.0, np.log10(ROUNDING), xref="x5 domain", yref="y5", xanchor="right", yanchor="top",
             font={"size": 10}),
    ]  # fmt: skip


def _changed(ds: xr.Dataset) -> list[dict]:
    """A frame around the entry that was changed."""
    frame = {"type": "rect", "xref": "x2", "yref": "y2", "x0": -0.5, "x1": 0.5, "y0": -0.5, "y1": 0.5}
    return [{**frame, "line": {"color": palette.PINK, "width": 2}}] * (_maps(ds) - 1)


def _number(value: float) -> str:
    """As short as a heading needs it.

    >>> _number(0.0), _number(3.2e-16), _number(0.4123)
    ('0', '3e−16', '0.41')
    """
    return f"{value:.2g}" if value == 0 or value >= 1e-3 else f"{value:.0e}".replace("e-", "e−")


def _headline(ds: xr.Dataset) -> str:
    group, count, rank = text(ds.attrs["group"]), int(values(ds, "diagrams")), int(values(ds, "dimension"))
    if not count:
        return f"No map but 0 commutes with {group}"
    rows, columns = values(ds, "matrix", "row", "column").shape
    words = f"{count} diagram{'s' * (count > 1)}, {rank} independent: all maps that commute with {group}"
    which = "This one takes" if int((values(ds, "coefficient") != 0).sum()) == 1 else "The sum takes"
    return f"{words}.<br>{which} {int(values(ds, 'products'))} products, its matrix {rows * columns}"


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
    if not int(values(ds, "diagrams")):
        return []
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
