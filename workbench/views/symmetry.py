"""Learned symmetry on circles: which turned copies each layer still produces, over depth and over training."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.circles import SPACING, circle_count, circles, colours, kernel_strip
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

CIRCLES = (0.49, 1.0)
PANELS = (0.0, 0.375)
UPPER, LOWER = (0.22, 0.375), (0.0, 0.155)
COLUMNS = ((0.0, 0.25), (0.38, 0.63), (0.75, 1.0))


def symmetry(ds: xr.Dataset) -> Figure:
    """Circles with the arc that every layer kept, its place in depth, and its course over training.

    Args:
        ds: with `arc(layer)`, `learned(layer)`, `relative_depth(layer)`, `element_angle_deg(layer, element)`,
            `element_used(layer, element)`; optionally `gate_probability(layer)`, `what_if_arc()` with
            `what_if_angle_deg(what_if_element)`, `arc_history(epoch, layer)`, `validation_accuracy(epoch)`,
            `error(epoch)`, `kernel_shown(layer, number, y, x)`, `published_arc(published, stage)` with
            `published_depth(stage)`, and the scalar `epoch_shown`.

    Returns:
        A plotly figure as a dictionary.

    Raises:
        ValueError: a variable or the provenance is missing: arcs are read from a trained model, never typed.
    """
    require(
        ds,
        "symmetry view",
        dims={
            "arc": ("layer",),
            "learned": ("layer",),
            "relative_depth": ("layer",),
            "element_angle_deg": ("layer", "element"),
            "element_used": ("layer", "element"),
        },
    )
    rings, ring_notes = circles(ds)
    depth, depth_notes = _depth(ds)
    course, course_notes = _course(ds)
    progress, progress_notes = _progress(ds)
    count, top = circle_count(ds), _highest(ds)
    kernels = kernel_strip(ds) if "kernel_shown" in ds else []
    lowest = -2.85 if kernels else -2.0
    layout = {
        "xaxis": bare_axis(domain=[0, 1], range=[-1.5, SPACING * (count - 1) + 1.5], constrain="domain"),
        "yaxis": bare_axis(
            domain=list(CIRCLES), range=[lowest, 1.25], scaleanchor="x", constrain="domain", constraintoward="top"
        ),
        "xaxis2": axis("relative depth of the layer", domain=list(COLUMNS[0]), anchor="y2", range=[-0.04, 1.04]),
        "yaxis2": _share_axis(_kept_words(ds), "x2"),
        "xaxis3": axis("epoch", domain=list(COLUMNS[1]), anchor="y3"),
        "yaxis3": _share_axis(_kept_words(ds), "x3"),
        "xaxis4": axis("", domain=list(COLUMNS[2]), anchor="y4", matches="x3", showticklabels=False),
        "yaxis4": _share_axis("", "x4", domain=list(UPPER), nticks=4),
        "xaxis5": axis("epoch", domain=list(COLUMNS[2]), anchor="y5", matches="x3"),
        "yaxis5": axis("", domain=list(LOWER), anchor="x5", range=[-0.04 * top, 1.08 * top], nticks=4),
    }
    heading = panel_title(_circle_heading(ds), 0.0, CIRCLES[1] + 0.015)
    return figure(
        [*rings, *kernels, *depth, *course, *progress],
        ds,
        height=660,
        margin={"l": 60, "r": 28, "t": 56, "b": 62},
        annotations=[heading, *ring_notes, *depth_notes, *course_notes, *progress_notes],
        **layout,
    )


def _share_axis(title: str, anchor: str, **more: object) -> dict:
    usual = {"domain": list(PANELS), "range": [-0.04, 1.12], "tickformat": ".0%", "nticks": 6}
    return axis(title, anchor=anchor, **{**usual, **more})


def _highest(ds: xr.Dataset) -> float:
    """The end of the error axis: the next half above the largest error of the run."""
    largest = float(np.nanmax(values(ds, "error"))) if "error" in ds else 1.0
    return max(0.5, float(np.ceil(2 * largest) / 2))


def _kept_words(ds: xr.Dataset) -> str:
    """What the layers keep: a share of the circle or, where their group has no rotations, their mirror."""
    mirrors_only = "gate_probability" in ds and not np.isfinite(values(ds, "arc")).any()
    return label(ds, "gate_probability" if mirrors_only else "arc")


def _circle_heading(ds: xr.Dataset) -> str:
    when = f" at epoch {int(values(ds, 'epoch_shown'))}" if "epoch_shown" in ds else ""
    below = ", above a few of its kernels" if "kernel_shown" in ds else ""
    return f"What each layer keeps{when}{below}"


def _depth(ds: xr.Dataset) -> tuple[list[Trace], list[dict]]:
    traces: list[Trace] = []
    notes = [panel_title("Where in the network", COLUMNS[0][0], PANELS[1] + 0.02)]
    if "published_arc" in ds:
        require(ds, "symmetry view", dims={"published_arc": ("published", "stage"), "published_depth": ("stage",)})
        source = text(ds.variables["published_arc"].attrs.get("source", ""))
        for at, name in enumerate(values(ds, "published")):
            shares = values(ds, "published_arc", "published", "stage")[at]
            traces.append(_ghost(values(ds, "published_depth"), shares, text(name), source, palette.DASHES[1 + at % 3]))
            notes.append(_ghost_label(values(ds, "published_depth"), shares, text(name)))
    traces.append(
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": small(values(ds, "relative_depth")),
            "y": small(_kept(ds)),
            "xaxis": "x2",
            "yaxis": "y2",
            "line": {"color": palette.NEUTRAL, "width": 2},
            "marker": {"size": 10, "color": colours(ds)},
            "text": [text(name) for name in values(ds, "layer")],
            "hovertemplate": "%{text}<br>keeps %{y:.1%}<extra></extra>",
            "name": "this run",
        }
    )
    return traces, notes


def _kept(ds: xr.Dataset) -> np.ndarray:
    """The share of the circle, or where a layer's group has mirrors only, the probability of its gate."""
    if "gate_probability" not in ds:
        return values(ds, "arc")
    return np.where(np.isfinite(values(ds, "arc")), values(ds, "arc"), values(ds, "gate_probability"))


def _ghost(depth: np.ndarray, values: np.ndarray, name: str, source: str, dash: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": small(depth),
        "y": small(values),
        "xaxis": "x2",
        "yaxis": "y2",
        "line": {"color": palette.NEUTRAL, "width": 1.2, "dash": dash},
        "opacity": 0.75,
        "name": name,
        "hovertemplate": f"published, {name}: %{{y:.1%}}<br>{source}<extra></extra>",
    }


def _ghost_label(depth: np.ndarray, values: np.ndarray, name: str) -> dict:
    """A ghost is named at its lowest point, where the curves are furthest apart."""
    at = int(np.argmin(values))
    left = depth[at] > 0.5
    return note(
        f"<i>{name}</i>",
        float(depth[at]),
        float(values[at]),
        xref="x2",
        yref="y2",
        xanchor="right" if left else "left",
        yanchor="bottom",
        xshift=-6 if left else 6,
        yshift=3,
        font={"size": 10},
    )


def _course(ds: xr.Dataset) -> tuple[list[Trace], list[dict]]:
    """The kept share of every learned layer over training, with a cursor at the epoch shown."""
    notes = [panel_title("While it learned", COLUMNS[1][0], PANELS[1] + 0.02)]
    if "arc_history" not in ds:
        return [], [*notes, note("no history was stored", 0.5, 0.5, xref="x3 domain", yref="y3 domain")]
    require(ds, "symmetry view", dims={"arc_history": ("epoch", "layer")})
    epochs = values(ds, "epoch")
    shares = values(ds, "arc_history", "layer", "epoch")
    courses: list[tuple[np.ndarray, str, dict]] = [(shares, "", {})]
    if "gate_history" in ds:
        courses.append((values(ds, "gate_history", "layer", "epoch"), ", mirror gate", {"dash": "dot"}))
    learned = np.flatnonzero(values(ds, "learned"))
    traces = [
        _curve(epochs, rows[at], text(values(ds, "layer")[at]) + what, {"color": colours(ds)[at], **dash}, "x3", "y3")
        for rows, what, dash in courses
        for at in learned
        if np.isfinite(rows[at]).any()
    ]
    return [*traces, _cursor(ds, "x3", "y3")], notes


def _progress(ds: xr.Dataset) -> tuple[list[Trace], list[dict]]:
    """Accuracy above, equivariance error below, over training and with the same cursor."""
    notes, traces = [], []
    for name, words, line, number in (
        ("validation_accuracy", "Accuracy", {"color": palette.BLUE}, 4),
        ("train_accuracy", "", {"color": palette.BLUE, "dash": "dot", "width": 1.2}, 4),
        ("error", "Equivariance error", {"color": palette.ORANGE}, 5),
    ):
        if name not in ds:
            continue
        require(ds, "symmetry view", dims={name: ("epoch",)})
        axes = (f"x{number}", f"y{number}")
        traces.append(_curve(values(ds, "epoch"), values(ds, name), label(ds, name), line, *axes))
        if words:
            traces.append(_cursor(ds, *axes, highest=1.0 if number == 4 else _highest(ds)))
            top = (UPPER if number == 4 else LOWER)[1]
            notes.append(panel_title(words, COLUMNS[2][0], top + 0.02))
    if "train_accuracy" in ds:
        at = {"xref": "paper", "yref": "paper", "xanchor": "right", "yanchor": "bottom", "font": {"size": 10}}
        notes.append(note("dots: training", COLUMNS[2][1], UPPER[1] + 0.022, xshift=22, **at))
    return traces, notes


def _curve(epochs: np.ndarray, values: np.ndarray, name: str, line: dict, xaxis: str, yaxis: str) -> Trace:
    known = np.isfinite(values)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": small(epochs[known]),
        "y": small(values[known]),
        "xaxis": xaxis,
        "yaxis": yaxis,
        "line": {"width": 2, **line},
        "name": name,
        "hovertemplate": f"{name}<br>epoch %{{x}}: %{{y:.1%}}<extra></extra>",
    }


def _cursor(ds: xr.Dataset, xaxis: str, yaxis: str, highest: float = 1.0) -> Trace:
    shown = float(values(ds, "epoch_shown")) if "epoch_shown" in ds else float(values(ds, "epoch")[-1])
    return {
        "type": "scatter",
        "mode": "lines",
        "x": small([shown, shown]),
        "y": small([-0.04 * highest, 1.1 * highest]),
        "xaxis": xaxis,
        "yaxis": yaxis,
        "line": {"width": 1.5, "dash": "dot", "color": palette.NEUTRAL},
        "hoverinfo": "skip",
        "name": "epoch shown",
    }
