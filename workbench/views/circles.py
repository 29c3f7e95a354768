"""One circle for each layer: the arc of turns that it keeps, its mirrored copies, and the elements it is sampled at."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import Trace, degrees, note, require, small, text, values
from workbench.views.mosaic import GAP, signed, tiles

OUTER, INNER = 1.0, 0.80
"""Radii of the ring of rotations; mirrored copies sit on a second ring inside it."""
MIRROR_OUTER, MIRROR_INNER = 0.72, 0.56
STEPS = 48
SPACING = 2.9


KERNELS_TOP = -2.25
"""Where the strip of kernels begins, below the labels of its circle."""
TILE_WIDTH = 2.0
LABELS_TOP = -1.2


def circle_count(ds: xr.Dataset) -> int:
    return ds.sizes["layer"] + ("what_if_arc" in ds)


def colours(ds: xr.Dataset) -> list[str]:
    """One colour for each learned layer; layers that never learn stay neutral."""
    learned = np.asarray(values(ds, "learned"), dtype=bool)
    order = np.cumsum(learned) - 1
    return [
        palette.series(int(at))["color"] if is_on else palette.NEUTRAL for at, is_on in zip(order, learned, strict=True)
    ]


def on_circle(angle_rad: np.ndarray, radius: float | np.ndarray, centre: float) -> tuple[np.ndarray, np.ndarray]:
    """Zero is at the top and angles grow counter-clockwise, as the picture itself turns."""
    return centre - radius * np.sin(angle_rad), radius * np.cos(angle_rad)


def ring(share: float, centre: float, radii: tuple[float, float], colour: str, opacity: float, hover: str) -> Trace:
    sweep = np.pi * share * np.linspace(-1, 1, STEPS)
    outer_x, outer_y = on_circle(sweep, radii[0], centre)
    inner_x, inner_y = on_circle(sweep[::-1], radii[1], centre)
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
    x, y = on_circle(np.deg2rad(angles_deg), OUTER + 0.14, centre)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": small(x),
        "y": small(y),
        "marker": {"size": np.where(used, 6, 0).astype(np.uint8), "color": colour, "line": {"width": 0}},
        "customdata": small(angles_deg),
        "hovertemplate": "sampled element %{customdata:.1f}°<extra></extra>",
    }


def circles(ds: xr.Dataset) -> tuple[list[Trace], list[dict]]:
    traces: list[Trace] = []
    notes: list[dict] = []
    rows = list(zip(values(ds, "layer"), values(ds, "arc"), colours(ds), strict=True))
    gates = values(ds, "gate_probability") if "gate_probability" in ds else [np.nan] * len(rows)
    for at, (name, share, colour) in enumerate(rows):
        angles = values(ds, "element_angle_deg", "layer", "element")[at]
        used = values(ds, "element_used", "layer", "element")[at]
        fixed = "" if bool(values(ds, "learned")[at]) else " (fixed)"
        new_traces, new_notes = _circle(at, text(name) + fixed, float(share), colour, float(gates[at]), angles, used)
        traces += new_traces
        notes += new_notes
    if "what_if_arc" in ds:
        require(ds, "symmetry view", dims={"what_if_arc": (), "what_if_angle_deg": ("what_if_element",)})
        angles = values(ds, "what_if_angle_deg")
        used = values(ds, "what_if_used") if "what_if_used" in ds else np.ones(len(angles), bool)
        share = float(values(ds, "what_if_arc"))
        new_traces, new_notes = _circle(len(rows), "<i>what if</i>", share, palette.NEUTRAL, np.nan, angles, used)
        traces += new_traces
        notes += new_notes
    return traces, notes


def _circle(
    at: int, name: str, share: float, colour: str, gate: float, angles: np.ndarray, used: np.ndarray
) -> tuple[list[Trace], list[dict]]:
    """Rings and labels of one layer; a share or a gate that is NaN belongs to a factor its group does not have."""
    centre = SPACING * at
    rings: list[Trace] = []
    below = [name]
    notes: list[dict] = []
    if np.isfinite(share):
        half = degrees(180 * share)
        words = f"{name}<br>keeps {share:.1%} of the circle: −{half} to +{half}"
        rings += _rings(share, 1.0, centre, (OUTER, INNER), colour, words)
        notes.append(note(f"<b>{share:.0%}</b>", centre, 0.04, font={"size": 17}))
        below.append(f"<span style='font-size:11px'>±{half}</span>")
    if np.isfinite(gate):
        words = f"{name}<br>keeps the mirrored copies with probability {gate:.1%}"
        reach = share if np.isfinite(share) else 1.0
        rings += _rings(reach, gate, centre, (MIRROR_OUTER, MIRROR_INNER), colour, words)
        size, y = (10, -0.24) if np.isfinite(share) else (13, 0.0)
        notes.append(
            note(f"mirror<br><b>{gate:.0%}</b>" if size > 10 else f"mirror {gate:.0%}", centre, y, font={"size": size})
        )
    notes.append(note("<br>".join(below), centre, LABELS_TOP, yanchor="top", font={"size": 12}))
    return [*rings, _elements(angles, used, centre, colour)], notes


def _rings(
    share: float, kept: float, centre: float, radii: tuple[float, float], colour: str, words: str
) -> list[Trace]:
    """The whole circle in faint grey under the arc, whose strength is the probability that it is kept."""
    return [
        ring(1.0, centre, radii, palette.NEUTRAL, 0.18, words),
        ring(share, centre, radii, colour, 0.92 * kept, words),
    ]


def kernel_strip(ds: xr.Dataset) -> list[Trace]:
    """A few kernels of each layer below its circle, all in one heat map on the circles' own axes.

    Args:
        ds: with `kernel_shown(layer, number, y, x)`, as shares of each layer's largest weight.
    """
    require(ds, "symmetry view", dims={"kernel_shown": ("layer", "number", "y", "x")})
    kernels = values(ds, "kernel_shown", "layer", "number", "y", "x")
    layers, count, height, width = kernels.shape
    block = count * (width + GAP) - GAP
    step = round(SPACING / TILE_WIDTH * block)
    pixel = SPACING / step
    sheet = np.zeros((height, step * (layers - 1) + block), dtype=np.float32)
    for at in range(layers):
        sheet[:, at * step : at * step + block] = tiles(kernels[at][None])
    left, top = -pixel * (block - 1) / 2, KERNELS_TOP - pixel / 2
    strip = signed(sheet, 1.0, hovertemplate="%{z:.2f} of the layer’s largest weight<extra></extra>")
    place = {"x": small(left + pixel * np.arange(sheet.shape[1])), "y": small(top - pixel * np.arange(height))}
    return [{**strip, **place, "name": "kernels"}]
