"""What classifiers say while a picture turns: the turned picture, the answers at one angle, the course over all."""

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
    panel_title,
    require,
    small,
    text,
    values,
)
from workbench.views.mosaic import magnitude

TOP, BELOW = (0.62, 1.0), (0.0, 0.44)
PICTURE = (0.0, 0.2)
ANSWERS = ((0.3, 0.62), (0.68, 1.0))
"""Columns of the bars: one for each network, at most two."""
COURSE = (0.0, 1.0)


def answers(ds: xr.Dataset) -> Figure:
    """The turned picture, each network's answer to it as bars, and the probability of one class at every angle.

    Args:
        ds: with `picture(y, x)`, `answer(model, class)` where `class_name(model, class)` is empty for classes a network
            lacks, `probability(model, angle)` of the class `followed(model)`, and the scalar `angle_shown_deg`.

    Raises:
        ValueError: a variable or the provenance is missing.
    """
    dims = {"picture": ("y", "x"), "answer": ("model", "class"), "class_name": ("model", "class")}
    require(ds, "answer view", dims={**dims, "probability": ("model", "angle"), "followed": ("model",)})
    image = values(ds, "picture", "y", "x")
    traces = [magnitude(image, 0.0, 1.0, xaxis="x", yaxis="y", hovertemplate="%{z:.2f}<extra></extra>")]
    layout = {
        "xaxis": bare_axis(domain=list(PICTURE), anchor="y", constrain="domain", constraintoward="left"),
        "yaxis": bare_axis(
            domain=list(TOP), anchor="x", autorange="reversed", scaleanchor="x", constrain="domain",
            constraintoward="top",
        ),
    }  # fmt: skip
    notes = [panel_title(f"Turned by {label_of_angle(ds)}", 0.0, 1.01, font={"size": 12})]
    for draw in (_bars, _course):
        more_traces, more_layout, more_notes = draw(ds)
        traces, layout, notes = traces + more_traces, layout | more_layout, notes + more_notes
    return figure(
        traces, ds, height=540, margin={"l": 58, "r": 24, "t": 60, "b": 56}, annotations=notes, bargap=0.3, **layout
    )


def label_of_angle(ds: xr.Dataset) -> str:
    """The angle of the picture in words, mirrored or not."""
    angle = f"{float(values(ds, 'angle_shown_deg')):g}°".replace("-", "−")
    return f"{angle}, mirrored" if ds.attrs.get("mirror") == "true" else angle


def _bars(ds: xr.Dataset) -> tuple[list[Trace], dict, list[dict]]:
    traces: list[Trace] = []
    layout: dict = {}
    notes: list[dict] = []
    for at, name in enumerate(values(ds, "model")):
        known = values(ds, "class_name", "model", "class")[at] != ""
        names = [text(one) for one in values(ds, "class_name", "model", "class")[at][known]]
        heights = values(ds, "answer", "model", "class")[at][known]
        number, colour = at + 2, palette.SERIES[at]
        axes = {"xaxis": f"x{number}", "yaxis": f"y{number}"}
        bar = {"type": "bar", "x": np.arange(len(names)), "y": small(heights), "text": names, "textposition": "none"}
        look = {"marker": {"color": colour, "line": {"width": 0}}, "name": text(name)}
        traces.append({**bar, **look, **axes, "hovertemplate": "%{text}: %{y:.1%}<extra></extra>"})
        ticks = {"tickmode": "array", "tickvals": np.arange(len(names)), "ticktext": names}
        beside = {"range": [-0.6, max(len(names), 2) - 0.4], "showgrid": False}
        column = list(ANSWERS[at])
        layout[f"xaxis{number}"] = axis("", domain=column, anchor=f"y{number}", **ticks, **beside)
        layout[f"yaxis{number}"] = _share_axis(domain=list(TOP), anchor=f"x{number}", nticks=3)
        said = names[int(heights.argmax())]
        words = f"{text(name)}:<br>{said}"
        notes.append(panel_title(words, column[0], 1.01, font={"size": 12, "color": colour}))
    return traces, layout, notes


def _share_axis(**more: object) -> dict:
    return axis("", range=[-0.02, 1.04], tickformat=".0%", **more)


def _course(ds: xr.Dataset) -> tuple[list[Trace], dict, list[dict]]:
    angles = values(ds, "angle_deg")
    axes = {"xaxis": "x4", "yaxis": "y4"}
    traces: list[Trace] = []
    notes = [panel_title(text(ds.attrs.get("course", label(ds, "probability"))), COURSE[0], BELOW[1] + 0.02)]
    rows = zip(values(ds, "model"), values(ds, "followed"), values(ds, "probability", "model", "angle"), strict=True)
    for at, (name, followed, course) in enumerate(rows):
        colour = palette.SERIES[at]
        hover = f"{text(name)}<br>{text(followed)} at %{{x:.0f}}°: %{{y:.1%}}<extra></extra>"
        line = {"color": colour, "width": 2.5, "dash": palette.DASHES[at]}
        traces.append({"type": "scatter", "mode": "lines", "x": small(angles), "y": small(course), **axes,
                       "line": line, "name": text(name), "hovertemplate": hover})  # fmt: skip
    shown = float(values(ds, "angle_shown_deg"))
    cursor = {"color": palette.NEUTRAL, "width": 1.5, "dash": "dot"}
    traces.append({"type": "scatter", "mode": "lines", "x": small([shown, shown]), "y": small([-0.02, 1.04]), **axes,
                   "line": cursor, "hoverinfo": "skip", "name": "angle shown"})  # fmt: skip
    layout = {
        "xaxis4": axis(label(ds, "angle_deg"), domain=list(COURSE), anchor="y4", range=[-180, 180],
                       tickmode="array", tickvals=np.arange(-180, 181, 45), ticksuffix="°"),
        "yaxis4": _share_axis(domain=list(BELOW), anchor="x4", nticks=5),
    }  # fmt: skip
    return traces, layout, notes
