"""The symmetry of a data set: the test against its null, what a turn loses against the fitted arc, arcs by class."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.circles import OUTER, on_circle, ring
from workbench.views.data_elements import ANGLES, Place, beside_model, elements, power
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
from workbench.views.mosaic import gap_value, magnitude, tiles

PANEL_PX, GAP_PX = 186, 86
"""Height of a row of panels and of what is between two, in pixels."""
LEFT, RIGHT, INSET = (0.0, 0.46), (0.57, 1.0), (0.06, 0.46)
DIAL_RADII = (OUTER, 0.84)
ROW = 34
"""Height of one class in `data_arcs`, in pixels."""
_BY_CLASS = ("arc_half_width_deg", "arc_low_deg", "arc_high_deg", "verdict", "pictures", "rejected")


def data_picture(ds: xr.Dataset, at: int = 0) -> Figure:
    """One class of a data set: some pictures and their turned copies, its arc on a dial, the test and the curve.

    Below them, where the Dataset holds them: its finite symmetries with what fewer pictures would show, and a model.

    Args:
        ds: from `workbench.measure.data_symmetry`; optionally with `picture(copy, number, y, x)`, drawn in two rows,
            `angle_shown_deg`, `made_half_width_deg` where the truth is known, and what `beside_model` draws.
        at: the place of the class.

    Raises:
        ValueError: a variable or the provenance is missing.
    """
    over = {name: ("class", "transform") for name in ("distance", "null_high", "p_holm")}
    curves = {name: ("class", "difference") for name in ("lost", "lost_fitted", "delta")}
    require(ds, "view of data", dims={**over, **curves, **{name: ("class",) for name in _BY_CLASS}})
    pairs = [(_pictures, _dial), (_test, _lost)]
    traces: list[Trace] = []
    layout: dict = {}
    notes: list[dict] = []
    more = ("element_distance" in ds.variables) + ("model_error_mean" in ds.variables)
    rows, high = _rows(len(pairs) + more)
    panels = [draw(ds, at, rows[row]) for row, pair in enumerate(pairs) for draw in pair]
    if "element_distance" in ds.variables:
        told = "element_power" in ds.variables or not np.isfinite(values(ds, "element_distance")).any()
        panels.append(elements(ds, at, Place(5, (INSET[0], INSET[1] if told else RIGHT[1]), rows[2])))
        panels += [power(ds, at, Place(6, RIGHT, rows[2]))] if told else []
    if "model_error_mean" in ds.variables:
        panels.append(beside_model(ds, at, Place(7, (LEFT[0], RIGHT[1]), rows[-1])))
    for more_traces, more_layout, more_notes in panels:
        traces, layout, notes = traces + more_traces, layout | more_layout, notes + more_notes
    margin = {"l": 62, "r": 24, "t": 46, "b": 84}
    legend = {"orientation": "h", "x": 0, "y": -60 / high, "yanchor": "top", "font": {"size": 11}}
    height = high + margin["t"] + margin["b"]
    return figure(traces, ds, height=height, margin=margin, annotations=notes, showlegend=True, legend=legend, **layout)


def _rows(count: int) -> tuple[list[tuple[float, float]], int]:
    """Vertical domains of the rows of panels, from the top, and the height of them all in pixels."""
    high = count * PANEL_PX + (count - 1) * GAP_PX
    tops = [high - at * (PANEL_PX + GAP_PX) for at in range(count)]
    return [((top - PANEL_PX) / high, top / high) for top in tops], high


def _pictures(ds: xr.Dataset, at: int, rows: tuple[float, float]) -> tuple[list[Trace], dict, list[dict]]:
    if "picture" not in ds.variables:
        return [], {}, []
    sheet = tiles(values(ds, "picture", "copy", "number", "y", "x"), gap_value(0.0, 1.0))
    angle = degrees(float(values(ds, "angle_shown_deg"))) if "angle_shown_deg" in ds.variables else ""
    layout = {
        "xaxis": bare_axis(domain=list(LEFT), anchor="y", constrain="domain", constraintoward="left"),
        "yaxis": bare_axis(
            domain=list(rows), anchor="x", autorange="reversed", scaleanchor="x", constrain="domain",
            constraintoward="top",
        ),
    }  # fmt: skip
    words = f"Some of the data, and the same turned by {angle}"
    return (
        [magnitude(sheet, 0.0, 1.0, xaxis="x", yaxis="y", hoverinfo="skip", name="pictures")],
        layout,
        [panel_title(words, LEFT[0], 1.01)],
    )


def _dial(ds: xr.Dataset, at: int, rows: tuple[float, float]) -> tuple[list[Trace], dict, list[dict]]:
    """The fitted arc, its interval around it, and the truth where it is known."""
    half, low, high = (float(values(ds, name)[at]) for name in _BY_CLASS[:3])
    words = text(values(ds, "verdict")[at])
    rings = [
        ring(1.0, 0.0, DIAL_RADII, palette.NEUTRAL, 0.16, words),
        ring(high / 180, 0.0, DIAL_RADII, palette.ORANGE, 0.3, words),
        ring(max(low, 0.5) / 180, 0.0, DIAL_RADII, palette.ORANGE, 0.9, words),
    ]
    traces: list[Trace] = [{**one, "xaxis": "x2", "yaxis": "y2", "showlegend": False} for one in rings]
    if "made_half_width_deg" in ds.variables:
        made = float(values(ds, "made_half_width_deg"))
        x, y = on_circle(np.deg2rad(np.array([-made, made])), DIAL_RADII[0] + 0.14, 0.0)
        traces.append({
            "type": "scatter", "mode": "markers", "x": small(x), "y": small(y), "xaxis": "x2", "yaxis": "y2",
            "marker": {"size": 9, "color": palette.BLUE, "symbol": "diamond"}, "name": "made with",
            "showlegend": False, "hovertemplate": f"made with ±{degrees(made)}<extra></extra>",
        })  # fmt: skip
    place = {"xref": "x2", "yref": "y2"}
    middle = note(f"<b>±{degrees(half)}</b>", 0.0, 0.0, font={"size": 19}, **place)
    layout = {
        "xaxis2": bare_axis(domain=list(RIGHT), anchor="y2", range=[-1.3, 1.3]),
        "yaxis2": bare_axis(domain=[rows[0], rows[1] - 0.03], anchor="x2", range=[-1.2, 1.3], scaleanchor="x2"),
    }
    name = text(values(ds, "class")[at])
    count = int(values(ds, "pictures")[at])
    heading = panel_title(f"{name}, {count} pictures: {_short(words)}", RIGHT[0] - 0.05, 1.01)
    return traces, layout, [middle, heading]


def _short(sentence: str) -> str:
    """A verdict up to its reason, for a heading."""
    return sentence.partition(":")[0].partition(",")[0]


def _line(x: np.ndarray, y: np.ndarray, number: int, name: str, line: dict, **more: object) -> Trace:
    place = {"xaxis": f"x{number}", "yaxis": f"y{number}", "type": "scatter", "mode": "lines"}
    hover = f"{name} at %{{x:.0f}}°: %{{y:.3f}}<extra></extra>"
    return {**place, "x": small(x), "y": small(y), "name": name, "line": line, "hovertemplate": hover, **more}


def _cursor(ds: xr.Dataset, number: int, top: float) -> list[Trace]:
    if "angle_shown_deg" not in ds.variables:
        return []
    shown = float(values(ds, "angle_shown_deg"))
    line = {"color": palette.NEUTRAL, "width": 1.5, "dash": "dot"}
    more = {"hoverinfo": "skip", "hovertemplate": None, "showlegend": False}
    return [_line(np.array([shown, shown]), np.array([-top, top]), number, "angle shown", line, **more)]


def _test(ds: xr.Dataset, at: int, rows: tuple[float, float]) -> tuple[list[Trace], dict, list[dict]]:
    """Energy distance to the turned copy over the null's band, with the floor."""
    angle, distance = values(ds, "angle_deg"), values(ds, "distance", "class", "transform")[at]
    null = values(ds, "null_high", "class", "transform")[at]
    band = {"fill": "tozeroy", "fillcolor": palette.FAINT}
    grey = {"color": palette.NEUTRAL, "width": 1.2, "dash": "dash"}
    traces = [
        _line(angle, null, 3, "95 % of the null", grey, **band),
        _line(angle, distance, 3, "data and its turned copy", {"color": palette.BLUE, "width": 2.5}),
    ]
    if "floor" in ds.variables:
        floor = {"color": palette.GREEN, "width": 1.5, "dash": "dot"}
        traces.append(
            _line(values(ds, "floor_angle_deg"), values(ds, "floor")[at], 3, "resampling alone (floor)", floor)
        )
    top = 1.15 * float(max(distance.max(), null.max(), 0.02))
    layout = {
        "xaxis3": axis(label(ds, "angle_deg"), domain=list(LEFT), anchor="y3", **ANGLES),
        "yaxis3": axis("energy distance", domain=list(rows), anchor="x3", range=[0, top], nticks=5),
    }
    said = "a turn changes it" if bool(values(ds, "rejected")[at]) else "no turn is seen to change it"
    return (
        traces + _cursor(ds, 3, 2.0),
        layout,
        [panel_title(f"Is it the same turned? {said}", LEFT[0], rows[1] + 0.015)],
    )


def _lost(ds: xr.Dataset, at: int, rows: tuple[float, float]) -> tuple[list[Trace], dict, list[dict]]:
    """What a turn loses, counted on alike pairs, beside the fit and delta of its arc."""
    angle = values(ds, "difference_deg")
    seen, fitted, delta = (
        values(ds, name, "class", "difference")[at].clip(-0.2, 1.25) for name in ("lost", "lost_fitted", "delta")
    )
    dots = {"mode": "markers", "marker": {"size": 6, "color": palette.BLUE}}
    traces = [
        _line(angle, seen, 4, "counted", {"width": 0}, **dots),
        _line(angle, fitted, 4, "fitted", {"color": palette.ORANGE, "width": 2.5}),
        _line(angle, delta, 4, "δ of the arc", {"color": palette.NEUTRAL, "width": 1.5, "dash": "dash"}),
    ]
    layout = {
        "xaxis4": axis(label(ds, "difference_deg"), domain=list(RIGHT), anchor="y4", **ANGLES),
        "yaxis4": axis("", domain=list(rows), anchor="x4", range=[-0.22, 1.27], tickformat=".0%", nticks=5),
    }
    return traces + _cursor(ds, 4, 2.0), layout, [panel_title("What a turn loses", RIGHT[0], rows[1] + 0.015)]


def data_arcs(ds: xr.Dataset) -> Figure:
    """The arc of every class with its interval, one row each; where it cannot be told, how many pictures would tell it.

    Raises:
        ValueError: a variable or the provenance is missing.
    """
    require(ds, "view of arcs", dims={name: ("class",) for name in (*_BY_CLASS, "resolvable")})
    names, count = values(ds, "class"), ds.sizes["class"]
    half, low, high = (values(ds, name) for name in _BY_CLASS[:3])
    sure = values(ds, "resolvable")
    traces: list[Trace] = []
    for at in range(count):
        colour = palette.BLUE if sure[at] else palette.NEUTRAL
        hover = f"{text(names[at])}: {text(values(ds, 'verdict')[at])}<extra></extra>"
        traces.append({
            "type": "scatter", "mode": "lines+markers", "x": small([low[at], half[at], high[at]]),
            "y": small([at, at, at]), "line": {"color": colour, "width": 4, "dash": "solid" if sure[at] else "dot"},
            "marker": {"size": [0, 11, 0], "color": colour}, "name": text(names[at]), "hovertemplate": hover,
        })  # fmt: skip
    rows = {"tickmode": "array", "tickvals": np.arange(count), "range": [count - 0.4, -0.6], "showgrid": False}
    layout = {
        "xaxis": axis(label(ds, "arc_half_width_deg"), **ANGLES),
        "yaxis": axis("", ticktext=[text(name) for name in names], **rows),
    }
    heading = panel_title("Arc of each class, 95 % interval (dotted: not resolvable)", 0.0, 1.01)
    needed = values(ds, "arc_needed") if "arc_needed" in ds.variables else np.full(count, np.nan)
    more = [
        note(f"{needed[at]:,.0f} pictures at most", 1.0, float(at), xref="paper", xanchor="right", yshift=10)
        for at in np.flatnonzero(~np.asarray(sure, dtype=bool) & np.isfinite(needed))
    ]
    return figure(
        traces, ds, height=120 + ROW * count, margin={"l": 110, "r": 24, "t": 46, "b": 56},
        annotations=[heading, *more], **layout,
    )  # fmt: skip


def data_beside_model(ds: xr.Dataset, at: int = 0) -> Figure:
    """Your data has this, your model has that: what a turn loses of the data, and the model's error under it.

    Args:
        ds: from `workbench.measure.data_symmetry`, with a model beside it by `workbench.measure.with_model`.
        at: the place of the class.

    Raises:
        ValueError: a variable or the provenance is missing.
    """
    traces, layout, notes = beside_model(ds, at, Place(1, (0.0, 1.0), (0.0, 1.0)))
    plain = {f"{name}axis": {**layout[f"{name}axis1"], "anchor": other} for name, other in (("x", "y"), ("y", "x"))}
    traces = [{**trace, "xaxis": "x", "yaxis": "y", "legend": "legend"} for trace in traces]
    return figure(traces, ds, height=400, annotations=notes, showlegend=True, legend=layout["legend1"], **plain)
