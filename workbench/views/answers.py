"""What networks answer while a picture turns: the probability of one class at every angle, network by network."""

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
from workbench.views.mosaic import magnitude

PICTURE = (0.0, 0.2)
CURVES = (0.29, 0.86)
APART = 0.065
"""Least distance between two names beside the curves, as a probability."""


def answers(ds: xr.Dataset) -> Figure:
    """Curves of the probability of one class over the angle of the picture, beside the picture itself.

    Args:
        ds: with `probability(network, angle)`, `probability_sem(network, angle)`, `angle_deg(angle)`,
            `image(y, x)`, the scalar `angle_shown_deg` and the attribute `asked_class`.

    Returns:
        A plotly figure as a dictionary.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    require(
        ds,
        "view of answers",
        dims={
            "probability": ("network", "angle"),
            "probability_sem": ("network", "angle"),
            "angle_deg": ("angle",),
            "image": ("y", "x"),
            "angle_shown_deg": (),
        },
    )
    shown = float(values(ds, "angle_shown_deg"))
    image = values(ds, "image", "y", "x")
    picture = magnitude(image, float(image.min()), float(image.max()), hovertemplate="%{z:.2f}<extra></extra>")
    curves = [trace for at in range(ds.sizes["network"]) for trace in _curve(ds, at)]
    cursor: Trace = {
        "type": "scatter",
        "mode": "lines",
        "x": small([shown, shown]),
        "y": small([0, 1]),
        "xaxis": "x2",
        "yaxis": "y2",
        "line": {"color": palette.NEUTRAL, "width": 1.5, "dash": "dot"},
        "hoverinfo": "skip",
        "name": "angle shown",
    }
    asked = text(ds.attrs.get("asked_class", ""))
    layout = {
        "xaxis": bare_axis(domain=list(PICTURE), constrain="domain", constraintoward="left"),
        "yaxis": bare_axis(
            domain=[0.0, 0.9], autorange="reversed", scaleanchor="x", constrain="domain", constraintoward="top"
        ),
        "xaxis2": axis(
            label(ds, "angle_deg"),
            domain=list(CURVES),
            anchor="y2",
            range=[-180, 180],
            tickvals=[-180, -90, 0, 90, 180],
            ticksuffix="°",
        ),
        "yaxis2": axis(label(ds, "probability"), domain=[0.0, 0.9], anchor="x2", range=[-0.03, 1.03], tickformat=".0%"),
    }
    headings = [
        panel_title(f"Turned by {degrees(shown)}", PICTURE[0], 0.92),
        panel_title(f"How sure each network is of “{asked}”", CURVES[0], 0.92),
    ]
    return figure([picture, *curves, cursor], ds, annotations=[*headings, *_names(ds)], **layout)


def _curve(ds: xr.Dataset, at: int) -> list[Trace]:
    angles = small(values(ds, "angle_deg"))
    mean = values(ds, "probability", "network", "angle")[at]
    sem = values(ds, "probability_sem", "network", "angle")[at]
    words, line = text(values(ds, "network")[at]), palette.series(at)
    axes = {"type": "scatter", "mode": "lines", "xaxis": "x2", "yaxis": "y2"}
    band = {
        **axes,
        "x": np.concatenate([angles, angles[::-1]]),
        "y": small(np.concatenate([mean + sem, (mean - sem)[::-1]])),
        "fill": "toself",
        "fillcolor": palette.with_alpha(line["color"], 0.18),
        "line": {"width": 0},
        "hoverinfo": "skip",
        "name": f"{words}, ± standard error",
    }
    curve = {
        **axes,
        "x": angles,
        "y": small(mean),
        "line": {"width": 2.2, **line},
        "name": words,
        "hovertemplate": f"{words}<br>turned by %{{x:.0f}}°: %{{y:.1%}}<extra></extra>",
    }
    return [band, curve]


def _names(ds: xr.Dataset) -> list[dict]:
    """Each network's name at the right end of its curve, moved apart where two would overlap."""
    ends = values(ds, "probability", "network", "angle")[:, -1]
    order = np.argsort(ends)
    heights = ends[order].astype(float)
    for at in range(1, len(heights)):
        heights[at] = max(heights[at], heights[at - 1] + APART)
    heights -= max(0.0, heights[-1] - 1.0)
    place = {"xref": "paper", "yref": "y2", "xanchor": "left"}
    return [
        note(
            text(values(ds, "network")[at]),
            CURVES[1] + 0.01,
            float(y),
            font={"size": 11, "color": palette.series(int(at))["color"]},
            **place,
        )
        for at, y in zip(order, heights, strict=True)
    ]
