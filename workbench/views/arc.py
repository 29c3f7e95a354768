"""An arc of sampled angles on a circle, where two gradient rules would send them, and the slope that is left."""

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

SPACING = 3.3
RADII = (OUTER, 0.9)
FROM, TO = 1.1, 1.24
"""Radii of a sample and of where it goes: apart, so that a short way can be seen."""
TRAIL = 14
COLUMNS = ((0.0, 0.58), (0.68, 1.0))
WORDS = {"full": "full gradient", "reference": "released rule"}


def arc_picture(ds: xr.Dataset) -> Figure:
    """Two circles with the samples of one arc and where each rule sends them, beside the slope against the width.

    Args:
        ds: from `workbench.measure.arc.arc_response`.

    Raises:
        ValueError: a variable or the provenance is missing.
    """
    dims = {"angle_deg": ("sample",), "moved_deg": ("rule", "sample"), "slope": ("rule", "width"), "theta": ()}
    require(ds, "arc view", dims={**dims, "analytic_slope": ("width",), "slope_here": ("rule",)})
    traces, notes = _circles(ds)
    curves, more = _slopes(ds)
    span = SPACING * (ds.sizes["rule"] - 1)
    layout = {
        "xaxis": bare_axis(domain=list(COLUMNS[0]), range=[-1.5, span + 1.5]),
        "yaxis": bare_axis(domain=[0, 1], range=[-1.75, 1.45], scaleanchor="x"),
        "xaxis2": axis(label(ds, "width"), domain=list(COLUMNS[1]), anchor="y2", range=[0, 1.02], tickformat=".0%"),
        "yaxis2": axis("slope [rad²]", anchor="x2", range=[-0.3, 8.6], tickvals=[0, 2, 4, 6]),
    }
    headings = [
        panel_title("Where the samples go if the arc grows", COLUMNS[0][0], 1.02),
        panel_title("What the width is told", COLUMNS[1][0], 1.02),
    ]
    return figure(
        [*traces, *curves], ds, height=392, margin={"l": 24, "r": 24, "t": 52, "b": 52},
        annotations=[*headings, *notes, *more], **layout,
    )  # fmt: skip


def _circles(ds: xr.Dataset) -> tuple[list[Trace], list[dict]]:
    share, angles = float(values(ds, "theta")), values(ds, "angle_deg")
    traces: list[Trace] = []
    notes: list[dict] = []
    rows = zip(values(ds, "rule"), values(ds, "moved_deg", "rule", "sample"), strict=True)
    for at, (rule, moved) in enumerate(rows):
        centre, colour = SPACING * at, palette.SERIES[at]
        words = f"{WORDS.get(str(rule), text(rule))}<br>{share:.0%} of the circle, {len(angles)} samples"
        traces += [
            ring(1.0, centre, RADII, palette.NEUTRAL, 0.18, words),
            ring(share, centre, RADII, colour, 0.92, words),
            _ways(angles, moved, centre, colour),
            _dots(angles, moved, centre, colour),
        ]
        half, count = degrees(180 * share), "1 sample" if len(angles) == 1 else f"{len(angles)} samples"
        name = WORDS.get(str(rule), text(rule)).replace(" ", "<br>")
        notes.append(note(f"<b>{name}</b>", centre, 0.0, font={"size": 13}))
        notes.append(note(f"±{half}, {count}", centre, -1.6))
    return traces, notes


def _ways(angles: np.ndarray, moved: np.ndarray, centre: float, colour: str) -> Trace:
    """A trail of fine dots from each sample to where it goes."""
    steps = np.linspace(0, 1, TRAIL)
    along = np.deg2rad(angles[:, None] + (moved - angles)[:, None] * steps)
    x, y = on_circle(along, FROM + (TO - FROM) * steps, centre)
    dots = {"mode": "markers", "marker": {"size": 2.5, "color": colour}, "hoverinfo": "skip"}
    return {"type": "scatter", "x": small(x.ravel()), "y": small(y.ravel()), **dots}


def _dots(angles: np.ndarray, moved: np.ndarray, centre: float, colour: str) -> Trace:
    """A ring at each sample and a full dot where it goes."""
    x, y = on_circle(np.deg2rad(np.concatenate([angles, moved])), np.repeat([FROM, TO], len(angles)), centre)
    full = np.repeat([palette.NEUTRAL, colour], len(angles)).tolist()
    return {
        "type": "scatter",
        "mode": "markers",
        "x": small(x),
        "y": small(y),
        "marker": {"size": 7, "color": full, "line": {"width": 0}},
        "customdata": small(np.tile(np.stack([angles, moved], -1), (2, 1))),
        "hovertemplate": "from %{customdata[0]:.1f}° to %{customdata[1]:.1f}°<extra></extra>",
    }


def _slopes(ds: xr.Dataset) -> tuple[list[Trace], list[dict]]:
    widths, share = values(ds, "width"), float(values(ds, "theta"))
    common = {"type": "scatter", "xaxis": "x2", "yaxis": "y2", "x": small(widths)}
    hover = "%{x:.0%} of the circle: %{y:.3g}<extra></extra>"
    thick = {"color": palette.NEUTRAL, "width": 7}
    traces: list[Trace] = [
        {**common, "mode": "lines", "y": small(values(ds, "analytic_slope")), "line": thick, "opacity": 0.45,
         "name": "analytic", "hovertemplate": f"analytic, {hover}"}
    ]  # fmt: skip
    place_of = {"xref": "x2", "yref": "y2", "xanchor": "left", "yanchor": "middle"}
    notes = [
        note("grey: what calculus says", 0.04, 7.5, **{**place_of, "font": {"size": 11, "color": palette.NEUTRAL}})
    ]
    for at, (rule, curve) in enumerate(zip(values(ds, "rule"), values(ds, "slope", "rule", "width"), strict=True)):
        words, colour = WORDS.get(str(rule), text(rule)), palette.SERIES[at]
        here = float(values(ds, "slope_here")[at])
        line = {"color": colour, "width": 2}
        traces.append({**common, "mode": "lines", "y": small(curve), "line": line, "name": words,
                       "hovertemplate": f"{words}, {hover}"})  # fmt: skip
        traces.append({**common, "mode": "markers", "x": small([share]), "y": small([here]), "name": "at this width",
                       "marker": {"size": 10, "color": colour}, "hovertemplate": f"{words}, {hover}"})  # fmt: skip
        notes.append(
            note(f"{words}: {here:.2f}", 0.04, 8.15 - 1.3 * at, **{**place_of, "font": {"size": 12, "color": colour}})
        )
    return traces, notes
