"""Equivariance error along an orbit, with both resampling floors, lattice angles, baselines and one angle opened up."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.both_ways import both_ways
from workbench.views.frame import (
    Figure,
    Trace,
    axis,
    figure,
    label,
    note,
    panel_title,
    require,
    small,
    text,
    values,
)

LOWEST = 1e-17
"""An exact zero has no place on a logarithmic axis; it is drawn here, far below rounding error, and labelled 0."""
CURVE = (0.0, 0.52)
NAMES_PX = 136
"""Width of the margin on the right, where the names of the curves stand."""


def orbit_error(ds: xr.Dataset, log: bool = True) -> Figure:
    """The error at every angle, beside what the picture's own resampling costs at that angle.

    Args:
        ds: with `error_mean(model, transform)`, `error_sem(model, transform)`, `angle_deg(transform)`,
            `lattice(transform)`. Optional: `input_floor_mean(transform)`, `output_floor_mean(transform)` (of the first
            model), `sqrt_two_delta(transform)`, `delta(transform)`, the scalar `angle_shown_deg`, and what
            `workbench.views.both_ways` draws at that angle.
        log: a logarithmic error axis.

    Returns:
        A plotly figure as a dictionary.

    Raises:
        ValueError: a variable, a dim or the provenance is missing; the resampler must be named.
    """
    require(
        ds,
        "equivariance view",
        dims={
            "error_mean": ("model", "transform"),
            "error_sem": ("model", "transform"),
            "angle_deg": ("transform",),
            "lattice": ("transform",),
        },
    )
    require(ds, "equivariance view", provenance=("resampler", "mask"))
    has_pictures = "input_map" in ds
    top = CURVE[1] if has_pictures else 0.93
    bands, curves, notes = _models(ds, log)
    floors, floor_notes = _floors(ds, log)
    pictures, picture_layout, picture_notes = both_ways(ds, (0.66, 1.0), 1.0) if has_pictures else ([], {}, [])
    headings = [panel_title(f"Error at every angle, {text(ds.attrs['resampler'])} resampling", 0.0, top + 0.02)]
    layout = {
        "xaxis": axis(
            label(ds, "angle_deg"),
            domain=[0.0, 1.0],
            range=[float(values(ds, "angle_deg").min()), float(values(ds, "angle_deg").max())],
            dtick=45,
            ticksuffix="°",
            showgrid=False,
        ),
        "yaxis": _error_axis(ds, log, top),
        **picture_layout,
    }
    return figure(
        [*bands, *floors, *curves, *_lattice(ds, log), *_cursor(ds, log), *pictures],
        ds,
        height=640 if has_pictures else 460,
        margin={"l": 72, "r": NAMES_PX, "t": 60, "b": 64},
        annotations=[*headings, *_spread(notes + floor_notes, ds, log), *picture_notes],
        shapes=_lattice_lines(ds, top),
        **layout,
    )


def _positive(numbers: np.ndarray, log: bool) -> np.ndarray:
    return small(np.maximum(numbers, LOWEST) if log else numbers)


def _limits(ds: xr.Dataset, log: bool) -> tuple[float, float]:
    """The error axis, from the data of all curves but in whole decades, so that it stays put while a slider moves."""
    drawn = [values(ds, "error_mean")] + [values(ds, name) for name in _FLOORS if name in ds]
    highest = max(float(np.nanmax(numbers)) for numbers in drawn)
    if not log:
        return 0.0, max(1.0, 0.5 * np.ceil(2 * highest)) * 1.05
    positive = np.concatenate([numbers[numbers > LOWEST].ravel() for numbers in drawn])
    lowest = float(positive.min()) if positive.size else LOWEST
    return np.floor(np.log10(max(lowest, LOWEST))) - 0.15, max(0.0, np.ceil(np.log10(max(highest, LOWEST)))) + 0.3


def _error_axis(ds: xr.Dataset, log: bool, top: float) -> dict:
    low, high = _limits(ds, log)
    kind = (
        {"type": "log", "dtick": max(1, int((high - low) // 6)), "exponentformat": "power", "tickfont": {"size": 9}}
        if log
        else {"nticks": 6}
    )
    return axis(label(ds, "error_mean"), domain=[CURVE[0], top], range=[low, high], **kind)


_FLOORS = {"input_floor_mean": "dot", "output_floor_mean": "dash"}
_OVERLAYS = {"sqrt_two_delta": "dash", "delta": "dot"}
_STROKES = {"dash": "– –", "dot": "·····"}


def _models(ds: xr.Dataset, log: bool) -> tuple[list[Trace], list[Trace], list[tuple[str, float, str]]]:
    angles = small(values(ds, "angle_deg"))
    mean = values(ds, "error_mean", "model", "transform")
    sem = values(ds, "error_sem", "model", "transform")
    bands, curves, notes = [], [], []
    for at, name in enumerate(values(ds, "model")):
        words, line = text(name), palette.series(at)
        low, high = _positive(mean[at] - sem[at], log), _positive(mean[at] + sem[at], log)
        bands.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": np.concatenate([angles, angles[::-1]]),
                "y": np.concatenate([high, low[::-1]]),
                "fill": "toself",
                "fillcolor": palette.with_alpha(line["color"], 0.18),
                "line": {"width": 0},
                "hoverinfo": "skip",
                "name": f"{words}, ± standard error",
            }
        )
        curves.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": angles,
                "y": _positive(mean[at], log),
                "customdata": small(sem[at]),
                "line": {"width": 2.4 if at == 0 else 1.6, **line},
                "name": words,
                "hovertemplate": f"{words}<br>turned by %{{x:.1f}}°: %{{y:.2e}} ± %{{customdata:.1e}}<extra></extra>",
            }
        )
        notes.append((words, _last(ds, mean[at]), line["color"]))
    return bands, curves, notes


def _floors(ds: xr.Dataset, log: bool) -> tuple[list[Trace], list[tuple[str, float, str]]]:
    traces, notes = [], []
    for name, dash in {**_FLOORS, **_OVERLAYS}.items():
        if name not in ds:
            continue
        require(ds, "equivariance view", dims={name: ("transform",)})
        colour = palette.NEUTRAL if name in _FLOORS else palette.PINK
        floor, words = values(ds, name), label(ds, name)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": small(values(ds, "angle_deg")),
                "y": _positive(floor, log),
                "line": {"width": 1.4, "dash": dash, "color": colour},
                "name": words,
                "hovertemplate": f"{words}<br>turned by %{{x:.1f}}°: %{{y:.2e}}<extra></extra>",
            }
        )
        notes.append((f"{words} {_STROKES[dash]}", _last(ds, floor), colour))
    return traces, notes


def _last(ds: xr.Dataset, curve: np.ndarray) -> float:
    """A curve's value at its last angle between the lattice angles, where it is named."""
    between = np.flatnonzero(~np.asarray(values(ds, "lattice"), dtype=bool))
    return float(curve[between[-1] if between.size else -1])


def _spread(labels: list[tuple[str, float, str]], ds: xr.Dataset, log: bool) -> list[dict]:
    """Direct labels right of the curves' ends, moved apart where they would overlap."""
    low, high = _limits(ds, log)
    apart = (high - low) / 15
    place = [np.log10(max(value, LOWEST)) if log else value for _, value, _ in labels]
    order = np.argsort(place)
    heights = np.clip(np.asarray(place)[order], low + 0.3 * apart, high)
    for at in range(1, len(heights)):
        heights[at] = max(heights[at], heights[at - 1] + apart)
    for at in range(len(heights) - 1, -1, -1):
        heights[at] = min(heights[at], heights[at + 1] - apart if at + 1 < len(heights) else high)
    notes = []
    for at, y in zip(order, heights, strict=True):
        words, _, colour = labels[at]
        font = {"size": 11} if colour == palette.NEUTRAL else {"size": 11, "color": colour}
        notes.append(note(words, 1.0, float(y), xref="paper", yref="y", xanchor="left", xshift=6, font=font))
    return notes


def _lattice(ds: xr.Dataset, log: bool) -> list[Trace]:
    """Dots at the angles where turning is exact: nothing but the network is measured there."""
    exact = np.asarray(values(ds, "lattice"), dtype=bool)
    mean = values(ds, "error_mean", "model", "transform")
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": small(values(ds, "angle_deg")[exact]),
            "y": _positive(mean[at][exact], log),
            "marker": {"size": 7, "color": palette.series(at)["color"]},
            "hovertemplate": f"{text(name)}<br>%{{x:.0f}}° maps pixels to pixels: %{{y:.2e}}<extra></extra>",
            "name": f"{text(name)}, exact angles",
        }
        for at, name in enumerate(values(ds, "model"))
    ]


def _lattice_lines(ds: xr.Dataset, top: float) -> list[dict]:
    exact = values(ds, "angle_deg")[np.asarray(values(ds, "lattice"), dtype=bool)]
    line = {"color": palette.GRID, "width": 1}
    return [
        {
            "type": "line",
            "x0": float(at),
            "x1": float(at),
            "y0": 0,
            "y1": top,
            "yref": "paper",
            "line": line,
            "layer": "below",
        }
        for at in exact
    ]


def _cursor(ds: xr.Dataset, log: bool) -> list[Trace]:
    if "angle_shown_deg" not in ds:
        return []
    low, high = _limits(ds, log)
    ends = [10.0**low, 10.0**high] if log else [low, high]
    shown = float(values(ds, "angle_shown_deg"))
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": small([shown, shown]),
            "y": small(ends),
            "line": {"width": 1.5, "dash": "dot", "color": palette.NEUTRAL},
            "hoverinfo": "skip",
            "name": "angle shown",
        }
    ]
