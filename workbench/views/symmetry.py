"""Learned symmetry on circles: which turned copies each layer still produces, over depth and over training."""

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
)

OUTER, INNER = 1.0, 0.80
"""Radii of the ring of rotations; mirrored copies sit on a second ring inside it."""
MIRROR_OUTER, MIRROR_INNER = 0.72, 0.56
STEPS = 48
SPACING = 2.9
CIRCLES = (0.60, 0.93)
PANELS = (0.0, 0.40)
COLUMNS = ((0.0, 0.26), (0.37, 0.63), (0.74, 1.0))


def symmetry(ds: xr.Dataset) -> Figure:
    """Circles with the arc that every layer kept, its place in depth, and its course over training.

    Args:
        ds: with `arc(layer)`, `learned(layer)`, `relative_depth(layer)`, `element_angle_deg(layer, element)`,
            `element_used(layer, element)`; optionally `gate_probability(layer)`, `what_if_arc()` with
            `what_if_angle_deg(what_if_element)`, `arc_history(epoch, layer)`, `validation_accuracy(epoch)`,
            `error(epoch)`, `published_arc(published, stage)` with `published_depth(stage)`, the scalar `epoch_shown`.

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
    circles, circle_notes = _circles(ds)
    depth, depth_notes = _depth(ds)
    course, course_notes = _course(ds)
    progress, progress_notes = _progress(ds)
    count = _circle_count(ds)
    layout = {
        "xaxis": bare_axis(domain=[0, 1], range=[-1.5, SPACING * (count - 1) + 1.5]),
        "yaxis": bare_axis(domain=list(CIRCLES), range=[-1.75, 1.25], scaleanchor="x"),
        "xaxis2": axis("relative depth of the layer", domain=list(COLUMNS[0]), anchor="y2", range=[-0.04, 1.04]),
        "yaxis2": _share_axis(label(ds["arc"]), "x2"),
        "xaxis3": axis("epoch", domain=list(COLUMNS[1]), anchor="y3"),
        "yaxis3": _share_axis(label(ds["arc"]), "x3"),
        "xaxis4": axis("epoch", domain=list(COLUMNS[2]), anchor="y4", matches="x3"),
        "yaxis4": _share_axis("share of images, relative error", "x4"),
    }
    heading = panel_title(_circle_heading(ds), 0.0, 0.95)
    return figure(
        [*circles, *depth, *course, *progress],
        ds,
        height=600,
        margin={"l": 60, "r": 28, "t": 36, "b": 62},
        annotations=[heading, *circle_notes, *depth_notes, *course_notes, *progress_notes],
        **layout,
    )


def _share_axis(title: str, anchor: str) -> dict:
    return axis(title, domain=list(PANELS), anchor=anchor, range=[-0.04, 1.08], tickformat=".0%", nticks=6)


def _circle_heading(ds: xr.Dataset) -> str:
    when = f", epoch {int(ds['epoch_shown'])}" if "epoch_shown" in ds else ""
    return f"Rotations that each layer still answers{when}"


def _circle_count(ds: xr.Dataset) -> int:
    return ds.sizes["layer"] + ("what_if_arc" in ds)


def _colours(ds: xr.Dataset) -> list[str]:
    """One colour for each learned layer; layers that never learn stay neutral."""
    learned = np.asarray(ds["learned"].values, dtype=bool)
    order = np.cumsum(learned) - 1
    return [
        palette.series(int(at))["color"] if is_on else palette.NEUTRAL for at, is_on in zip(order, learned, strict=True)
    ]


def _on_circle(angle_rad: np.ndarray, radius: float, centre: float) -> tuple[np.ndarray, np.ndarray]:
    """Zero is at the top and angles grow counter-clockwise, as the picture itself turns."""
    return centre - radius * np.sin(angle_rad), radius * np.cos(angle_rad)


def _ring(share: float, centre: float, radii: tuple[float, float], colour: str, opacity: float, hover: str) -> Trace:
    sweep = np.pi * share * np.linspace(-1, 1, STEPS)
    outer_x, outer_y = _on_circle(sweep, radii[0], centre)
    inner_x, inner_y = _on_circle(sweep[::-1], radii[1], centre)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": small(np.concatenate([outer_x, inner_x])),
        "y": small(np.concatenate([outer_y, inner_y])),
        "fill": "toself",
        "fillcolor": palette.with_alpha(colour, opacity),
        "line": {"width": 0, "color": colour},
        "hoveron": "fills",
        "hoverinfo": "text",
        "text": hover,
    }


def _elements(angles_deg: np.ndarray, used: np.ndarray, centre: float, colour: str) -> Trace:
    """Dots where the sampled elements sit; those that were not drawn are hidden, so the arrays keep their length."""
    x, y = _on_circle(np.deg2rad(angles_deg), OUTER + 0.14, centre)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": small(x),
        "y": small(y),
        "marker": {"size": np.where(used, 6, 0).astype(np.uint8), "color": colour, "line": {"width": 0}},
        "customdata": small(angles_deg),
        "hovertemplate": "sampled element %{customdata:.1f}°<extra></extra>",
    }


def _circles(ds: xr.Dataset) -> tuple[list[Trace], list[dict]]:
    traces: list[Trace] = []
    notes: list[dict] = []
    rows = list(zip(ds["layer"].values, ds["arc"].values, _colours(ds), strict=True))
    gates = ds["gate_probability"].values if "gate_probability" in ds else [None] * len(rows)
    for at, (name, share, colour) in enumerate(rows):
        angles = ds["element_angle_deg"].transpose("layer", "element").values[at]
        used = ds["element_used"].transpose("layer", "element").values[at]
        fixed = "" if bool(ds["learned"].values[at]) else " (fixed)"
        new_traces, new_notes = _circle(at, text(name) + fixed, float(share), colour, gates[at], angles, used)
        traces += new_traces
        notes += new_notes
    if "what_if_arc" in ds:
        require(ds, "symmetry view", dims={"what_if_arc": (), "what_if_angle_deg": ("what_if_element",)})
        angles = ds["what_if_angle_deg"].values
        used = ds["what_if_used"].values if "what_if_used" in ds else np.ones(len(angles), bool)
        share = float(ds["what_if_arc"])
        new_traces, new_notes = _circle(len(rows), "<i>what if</i>", share, palette.NEUTRAL, None, angles, used)
        traces += new_traces
        notes += new_notes
    return traces, notes


def _circle(
    at: int, name: str, share: float, colour: str, gate: float | None, angles: np.ndarray, used: np.ndarray
) -> tuple[list[Trace], list[dict]]:
    centre = SPACING * at
    half = degrees(180 * share)
    hover = f"{name}<br>keeps {share:.1%} of the circle: −{half} to +{half}"
    traces = [
        _ring(1.0, centre, (OUTER, INNER), palette.NEUTRAL, 0.18, hover),
        _ring(share, centre, (OUTER, INNER), colour, 0.92, hover),
        _elements(angles, used, centre, colour),
    ]
    notes = [
        note(f"<b>{share:.0%}</b>", centre, 0.04, font={"size": 17}),
        note(name, centre, -1.38, font={"size": 12}),
        note(f"±{half}", centre, -1.66, font={"size": 11}),
    ]
    if gate is not None and np.isfinite(gate):
        kept = f"{name}<br>keeps the mirrored copies with probability {gate:.1%}"
        traces.append(_ring(1.0, centre, (MIRROR_OUTER, MIRROR_INNER), palette.NEUTRAL, 0.18, kept))
        traces.append(_ring(share, centre, (MIRROR_OUTER, MIRROR_INNER), colour, 0.92 * float(gate), kept))
        notes.append(note(f"mirror {gate:.0%}", centre, -0.24, font={"size": 10}))
    return traces, notes


def _depth(ds: xr.Dataset) -> tuple[list[Trace], list[dict]]:
    traces: list[Trace] = []
    notes = [panel_title("Where in the network", COLUMNS[0][0], PANELS[1] + 0.02)]
    if "published_arc" in ds:
        require(ds, "symmetry view", dims={"published_arc": ("published", "stage"), "published_depth": ("stage",)})
        source = text(ds["published_arc"].attrs.get("source", ""))
        for at, name in enumerate(ds["published"].values):
            values = ds["published_arc"].transpose("published", "stage").values[at]
            traces.append(_ghost(ds["published_depth"].values, values, text(name), source, palette.DASHES[1 + at % 3]))
            notes.append(_ghost_label(ds["published_depth"].values, values, text(name)))
    traces.append(
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": small(ds["relative_depth"].values),
            "y": small(ds["arc"].values),
            "xaxis": "x2",
            "yaxis": "y2",
            "line": {"color": palette.NEUTRAL, "width": 2},
            "marker": {"size": 10, "color": _colours(ds)},
            "text": [text(name) for name in ds["layer"].values],
            "hovertemplate": "%{text}<br>keeps %{y:.1%} of the circle<extra></extra>",
            "name": "this run",
        }
    )
    return traces, notes


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
        font={"size": 10},
    )


def _course(ds: xr.Dataset) -> tuple[list[Trace], list[dict]]:
    """The kept share of every learned layer over training, with a cursor at the epoch shown."""
    notes = [panel_title("While it learned", COLUMNS[1][0], PANELS[1] + 0.02)]
    if "arc_history" not in ds:
        return [], [*notes, note("no history was stored", 0.5, 0.5, xref="x3 domain", yref="y3 domain")]
    require(ds, "symmetry view", dims={"arc_history": ("epoch", "layer")})
    epochs = ds["epoch"].values
    values = ds["arc_history"].transpose("layer", "epoch").values
    traces = []
    for at, (name, colour) in enumerate(zip(ds["layer"].values, _colours(ds), strict=True)):
        if bool(ds["learned"].values[at]):
            traces.append(_curve(epochs, values[at], text(name), {"color": colour}, "x3", "y3"))
    if "gate_history" in ds:
        gates = ds["gate_history"].transpose("layer", "epoch").values
        for at, (name, colour) in enumerate(zip(ds["layer"].values, _colours(ds), strict=True)):
            if np.isfinite(gates[at]).all():
                line = {"color": colour, "dash": "dot"}
                traces.append(_curve(epochs, gates[at], f"{text(name)}, mirror gate", line, "x3", "y3"))
    return [*traces, _cursor(ds, "x3", "y3")], notes


def _progress(ds: xr.Dataset) -> tuple[list[Trace], list[dict]]:
    """Accuracy and equivariance error over training, with the same cursor."""
    notes = [panel_title("What it could do", COLUMNS[2][0], PANELS[1] + 0.02)]
    traces = []
    for name, line in (
        ("validation_accuracy", {"color": palette.BLUE}),
        ("train_accuracy", {"color": palette.BLUE, "dash": "dot"}),
        ("error", {"color": palette.ORANGE}),
    ):
        if name in ds:
            require(ds, "symmetry view", dims={name: ("epoch",)})
            traces.append(_curve(ds["epoch"].values, ds[name].values, label(ds[name]), line, "x4", "y4"))
            notes.append(_end_label(ds["epoch"].values, ds[name].values, label(ds[name]), line["color"]))
    return [*traces, _cursor(ds, "x4", "y4")] if traces else [], notes


def _end_label(epochs: np.ndarray, values: np.ndarray, words: str, colour: str) -> dict:
    return note(
        words,
        float(epochs[-1]),
        float(values[-1]),
        xref="x4",
        yref="y4",
        xanchor="right",
        yanchor="top",
        yshift=-4,
        font={"size": 10, "color": colour},
    )


def _curve(epochs: np.ndarray, values: np.ndarray, name: str, line: dict, xaxis: str, yaxis: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": small(epochs),
        "y": small(values),
        "xaxis": xaxis,
        "yaxis": yaxis,
        "line": {"width": 2, **line},
        "name": name,
        "hovertemplate": f"{name}<br>epoch %{{x}}: %{{y:.1%}}<extra></extra>",
    }


def _cursor(ds: xr.Dataset, xaxis: str, yaxis: str) -> Trace:
    shown = float(ds["epoch_shown"]) if "epoch_shown" in ds else float(ds["epoch"].values[-1])
    return {
        "type": "scatter",
        "mode": "lines",
        "x": small([shown, shown]),
        "y": small([-0.04, 1.08]),
        "xaxis": xaxis,
        "yaxis": yaxis,
        "line": {"width": 1.5, "dash": "dot", "color": palette.NEUTRAL},
        "hoverinfo": "skip",
        "name": "epoch shown",
    }
