"""The symmetry of a data set: the test against its null, what a turn loses against the fitted arc, arcs by class."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.circles import OUTER, on_circle, ring
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

TOP, BELOW = (0.61, 1.0), (0.0, 0.42)
LEFT, RIGHT = (0.0, 0.46), (0.57, 1.0)
DIAL_RADII = (OUTER, 0.84)
ROW = 34
"""Height of one class in `data_arcs`, in pixels."""
_BY_CLASS = ("arc_half_width_deg", "arc_low_deg", "arc_high_deg", "verdict", "pictures", "rejected")
_ANGLES = {"tickmode": "array", "tickvals": np.arange(0, 181, 30), "ticksuffix": "°", "range": [-3, 183]}


def data_picture(ds: xr.Dataset, at: int = 0) -> Figure:
    """One class of a data set: some pictures and their turned copies, its arc on a dial, the test and the curve.

    Args:
        ds: from `workbench.measure.data_symmetry`; optionally with `picture(copy, number, y, x)`, drawn in two rows,
            `angle_shown_deg`, and `made_half_width_deg` where the truth is known.
        at: the place of the class.

    Raises:
        ValueError: a variable or the provenance is missing.
    """
    over = {name: ("class", "transform") for name in ("distance", "null_high", "p_holm")}
    curves = {name: ("class", "difference") for name in ("lost", "lost_fitted", "delta")}
    require(ds, "view of data", dims={**over, **curves, **{name: ("class",) for name in _BY_CLASS}})
    traces: list[Trace] = []
    layout: dict = {}
    notes: list[dict] = []
    for draw in (_pictures, _dial, _test, _lost):
        more_traces, more_layout, more_notes = draw(ds, at)
        traces, layout, notes = traces + more_traces, layout | more_layout, notes + more_notes
    margin = {"l": 62, "r": 24, "t": 46, "b": 84}
    legend = {"orientation": "h", "x": 0, "y": -0.13, "yanchor": "top", "font": {"size": 11}}
    return figure(traces, ds, height=580, margin=margin, annotations=notes, showlegend=True, legend=legend, **layout)


def _pictures(ds: xr.Dataset, at: int) -> tuple[list[Trace], dict, list[dict]]:
    if "picture" not in ds.variables:
        return [], {}, []
    sheet = tiles(values(ds, "picture", "copy", "number", "y", "x"), gap_value(0.0, 1.0))
    angle = degrees(float(values(ds, "angle_shown_deg"))) if "angle_shown_deg" in ds.variables else ""
    layout = {
        "xaxis": bare_axis(domain=list(LEFT), anchor="y", constrain="domain", constraintoward="left"),
        "yaxis": bare_axis(
            domain=list(TOP), anchor="x", autorange="reversed", scaleanchor="x", constrain="domain",
            constraintoward="top",
        ),
    }  # fmt: skip
    words = f"Some of the data, and the same turned by {angle}"
    return (
        [magnitude(sheet, 0.0, 1.0, xaxis="x", yaxis="y", hoverinfo="skip", name="pictures")],
        layout,
        [panel_title(words, LEFT[0], 1.01)],
    )


def _dial(ds: xr.Dataset, at: int) -> tuple[list[Trace], dict, list[dict]]:
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
        "yaxis2": bare_axis(domain=[TOP[0], TOP[1] - 0.05], anchor="x2", range=[-1.2, 1.3], scaleanchor="x2"),
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


def _test(ds: xr.Dataset, at: int) -> tuple[list[Trace], dict, list[dict]]:
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
        "xaxis3": axis(label(ds, "angle_deg"), domain=list(LEFT), anchor="y3", **_ANGLES),
        "yaxis3": axis("energy distance", domain=list(BELOW), anchor="x3", range=[0, top], nticks=5),
    }
    said = "a turn changes it" if bool(values(ds, "rejected")[at]) else "no turn is seen to change it"
    return (
        traces + _cursor(ds, 3, 2.0),
        layout,
        [panel_title(f"Is it the same turned? {said}", LEFT[0], BELOW[1] + 0.02)],
    )


def _lost(ds: xr.Dataset, at: int) -> tuple[list[Trace], dict, list[dict]]:
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
        "xaxis4": axis(label(ds, "difference_deg"), domain=list(RIGHT), anchor="y4", **_ANGLES),
        "yaxis4": axis("", domain=list(BELOW), anchor="x4", range=[-0.22, 1.27], tickformat=".0%", nticks=5),
    }
    return traces + _cursor(ds, 4, 2.0), layout, [panel_title("What a turn loses", RIGHT[0], BELOW[1] + 0.02)]


def data_arcs(ds: xr.Dataset) -> Figure:
    """The arc of every class with its interval, one row each.

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
        "xaxis": axis(label(ds, "arc_half_width_deg"), **_ANGLES),
        "yaxis": axis("", ticktext=[text(name) for name in names], **rows),
    }
    heading = panel_title("Arc of each class, 95 % interval (dotted: not resolvable)", 0.0, 1.01)
    return figure(
        traces, ds, height=120 + ROW * count, margin={"l": 110, "r": 24, "t": 46, "b": 56}, annotations=[heading],
        **layout,
    )  # fmt: skip


def data_beside_model(ds: xr.Dataset, error: xr.Dataset, at: int = 0) -> Figure:
    """Your data has this, your model has that: what a turn loses of the data, and the model's error under it.

    Args:
        ds: from `workbench.measure.data_symmetry`.
        error: from `workbench.measure.equivariance_error` over rotations; its first layer is drawn.
        at: the place of the class.

    Raises:
        ValueError: a variable or the provenance is missing.
    """
    require(ds, "data beside a model", dims={"lost_fitted": ("class", "difference"), "verdict": ("class",)})
    require(error, "data beside a model", dims={"error_mean": ("layer", "transform")})
    angle = values(error, "angle_deg")
    part = (angle >= 0) & (angle <= 180)
    if "mirror" in error.variables:
        part &= values(error, "mirror") > 0
    mean = values(error, "error_mean", "layer", "transform")[0]
    name = text(values(error, "layer")[0])
    traces = [
        _line(values(ds, "difference_deg"), values(ds, "lost_fitted")[at], 1, "the data: share lost by a turn",
              {"color": palette.ORANGE, "width": 2.5}),
        _line(angle[part], mean[part], 1, f"the model: relative error of {name}",
              {"color": palette.BLUE, "width": 2.5, "dash": "dash"}),
    ]  # fmt: skip
    for trace in traces:
        trace |= {"xaxis": "x", "yaxis": "y"}
    top = max(1.1, float(mean[part].max()) * 1.1 if part.any() else 1.1)
    layout = {
        "xaxis": axis("turned by [°]", **_ANGLES),
        "yaxis": axis("share lost, relative error", range=[-0.05, top], nticks=6),
    }
    heading = panel_title(f"Data: {_short(text(values(ds, 'verdict')[at]))}", 0.0, 1.02)
    legend = {"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top", "font": {"size": 11}}
    return figure(traces, ds, height=400, annotations=[heading], showlegend=True, legend=legend, **layout)
