"""Errors along one orbit of a group: curves, floors, exact elements and their names; a panel of several views."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import Trace, axis, label, note, panel_title, require, small, text, values

LOWEST = 1e-17
"""An exact zero has no place on a logarithmic axis; it is drawn here, far below rounding error, and labelled 0."""
NAMES_PX = 136
"""Width of the margin on the right, where the names of the curves stand."""
LINES = 50
"""So many names fit over the height of a page; a panel takes a part of it, and 15 at most."""
SHORT = {"degrees": "°", "pixels": " px"}


def curves(ds: xr.Dataset, log: bool, rows: tuple[float, float]) -> tuple[list[Trace], dict, list[dict], list[dict]]:
    """Traces, axes, headings and shapes of the panel; the first pair of axes is its own.

    Args:
        ds: with `error_mean(model, transform)`, `error_sem(model, transform)`, `lattice(transform)` and the place on
            the orbit, `angle_deg(transform)` or what the attribute `along` names. Optional: the floors
            `input_floor_mean(transform)`, `output_floor_mean(transform)`, `rounding_floor(transform)` (of the first
            model), `sqrt_two_delta` and `delta` over `transform`, and the scalar `angle_shown_deg`, or `shown`, that
            the cursor stands at.
        log: a logarithmic error axis.
        rows: vertical domain of the panel in paper coordinates.

    Raises:
        ValueError: a variable, a dim or the provenance is missing; the resampler must be named.
    """
    over = {name: ("model", "transform") for name in ("error_mean", "error_sem")}
    require(ds, "equivariance view", dims={**over, _along(ds): ("transform",), "lattice": ("transform",)})
    require(ds, "equivariance view", provenance=("resampler", "mask"))
    bands, lines, notes = _models(ds, log)
    floors, floor_notes = _floors(ds, log)
    place = values(ds, _along(ds))
    units, span = _units(ds), float(place.max() - place.min())
    layout = {
        "xaxis": axis(
            label(ds, _along(ds)),
            domain=[0.0, 1.0],
            range=[float(place.min()), float(place.max())],
            anchor="y",
            dtick=45 if units == "°" else max(1.0, np.ceil(span / 10)),
            ticksuffix=units.strip() if units == "°" else "",
            showgrid=False,
        ),
        "yaxis": _error_axis(ds, log, rows),
    }
    traces = [*bands, *floors, *lines, *_lattice(ds, log), *_cursor(ds, log)]
    return traces, layout, _spread(notes + floor_notes, ds, log, rows), _lattice_lines(ds, rows)


def heading(ds: xr.Dataset, rows: tuple[float, float]) -> dict:
    """The title above the panel."""
    words = "angle" if _along(ds) == "angle_deg" else "place"
    return panel_title(f"Error at every {words}, {text(ds.attrs['resampler'])} resampling", 0.0, rows[1] + 0.02)


def _along(ds: xr.Dataset) -> str:
    return str(ds.attrs.get("along", "angle_deg"))


def _moved(ds: xr.Dataset) -> str:
    """How a hover label says where a point lies."""
    words = str(ds.variables[_along(ds)].attrs.get("long_name", "moved by")).removeprefix("input ")
    return f"{text(words)} %{{x:.1f}}{_units(ds)}"


def _units(ds: xr.Dataset) -> str:
    units = str(ds.variables[_along(ds)].attrs.get("units", "1"))
    return SHORT.get(units, "" if units == "1" else f" {text(units)}")


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


def _error_axis(ds: xr.Dataset, log: bool, rows: tuple[float, float]) -> dict:
    low, high = _limits(ds, log)
    kind = (
        {"type": "log", "dtick": max(1, int((high - low) // 6)), "exponentformat": "power", "tickfont": {"size": 9}}
        if log
        else {"nticks": 6}
    )
    return axis(label(ds, "error_mean"), domain=list(rows), range=[low, high], **kind)


_FLOORS = {"input_floor_mean": "dot", "output_floor_mean": "dash", "rounding_floor": "dot"}
_OVERLAYS = {"sqrt_two_delta": "dash", "delta": "dot"}
_STROKES = {"dash": "– –", "dot": "·····"}


def _models(ds: xr.Dataset, log: bool) -> tuple[list[Trace], list[Trace], list[tuple[str, float, str]]]:
    place = small(values(ds, _along(ds)))
    mean = values(ds, "error_mean", "model", "transform")
    sem = values(ds, "error_sem", "model", "transform")
    bands, curves, notes = [], [], []
    for at, name in enumerate(values(ds, "model")):
        words, line = text(name), palette.series(at)
        apart = " ± %{customdata:.1e}" if sem[at].any() else ""  # a single sample has no spread
        low, high = _positive(mean[at] - sem[at], log), _positive(mean[at] + sem[at], log)
        bands.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": np.concatenate([place, place[::-1]]),
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
                "x": place,
                "y": _positive(mean[at], log),
                "customdata": small(sem[at]),
                "line": {"width": 2.4 if at == 0 else 1.6, **line},
                "name": words,
                "hovertemplate": f"{words}<br>{_moved(ds)}: %{{y:.2e}}{apart}<extra></extra>",
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
                "x": small(values(ds, _along(ds))),
                "y": _positive(floor, log),
                "line": {"width": 1.4, "dash": dash, "color": colour},
                "name": words,
                "hovertemplate": f"{words}<br>{_moved(ds)}: %{{y:.2e}}<extra></extra>",
            }
        )
        notes.append((f"{words} {_STROKES[dash]}", _last(ds, floor), colour))
    return traces, notes


def _last(ds: xr.Dataset, curve: np.ndarray) -> float:
    """A curve's value at its last angle between the lattice angles, where it is named."""
    between = np.flatnonzero(~np.asarray(values(ds, "lattice"), dtype=bool))
    return float(curve[between[-1] if between.size else -1])


def _spread(labels: list[tuple[str, float, str]], ds: xr.Dataset, log: bool, rows: tuple[float, float]) -> list[dict]:
    """Direct labels right of the curves' ends, moved apart where they would overlap."""
    low, high = _limits(ds, log)
    apart = (high - low) / min(15, LINES * (rows[1] - rows[0]))
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
    places = text(ds.attrs.get("places", "pixels"))
    told = f"{_units(ds)} maps {places} to {places}: %{{y:.2e}}<extra></extra>"
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": small(values(ds, _along(ds))[exact]),
            "y": _positive(mean[at][exact], log),
            "marker": {"size": 7, "color": palette.series(at)["color"]},
            "hovertemplate": f"{text(name)}<br>%{{x:.0f}}{told}",
            "name": f"{text(name)}, exact angles",
        }
        for at, name in enumerate(values(ds, "model"))
    ]


def _lattice_lines(ds: xr.Dataset, rows: tuple[float, float]) -> list[dict]:
    exact = values(ds, _along(ds))[np.asarray(values(ds, "lattice"), dtype=bool)]
    line = {"color": palette.GRID, "width": 1}
    return [
        {
            "type": "line",
            "x0": float(at),
            "x1": float(at),
            "y0": rows[0],
            "y1": rows[1],
            "yref": "paper",
            "line": line,
            "layer": "below",
        }
        for at in exact
    ]


def _cursor(ds: xr.Dataset, log: bool) -> list[Trace]:
    name = next((name for name in ("angle_shown_deg", "shown") if name in ds), "")
    if not name:
        return []
    low, high = _limits(ds, log)
    ends = [10.0**low, 10.0**high] if log else [low, high]
    shown = float(values(ds, name))
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": small([shown, shown]),
            "y": small(ends),
            "line": {"width": 1.5, "dash": "dot", "color": palette.NEUTRAL},
            "hoverinfo": "skip",
            "name": "angle shown" if name == "angle_shown_deg" else "place shown",
        }
    ]
