"""Force errors against the number of geometries, and against the time spent, a line for each degree."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import Figure, Trace, axis, figure, label, panel_title, require, small, values

LEFT, RIGHT = (0.0, 0.44), (0.56, 1.0)
STAGGER = 0.03
"""Share by which dots of neighbouring degrees are moved apart."""


def learning_curves_picture(ds: xr.Dataset) -> Figure:
    """Left, test errors over geometries, a dot for each seed; right, validation errors over CPU time.

    Args:
        ds: of :func:`workbench.training.kept_forces.curves_at`.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    require(ds, "view of learning curves", dims={
        "error": ("lmax", "geometries", "seed"), "slope": ("lmax",), "slope_low": ("lmax",), "slope_high": ("lmax",),
        "told_error": ("lmax", "told", "seed"), "told_seconds": ("lmax", "told"), "now": ("lmax",),
        "now_seconds": (), "matched": ("lmax", "seed"), "matched_seconds": ("lmax",),
    })  # fmt: skip
    traces = [one for at in range(ds.sizes["lmax"]) for one in (*_of_size(ds, at), *_of_time(ds, at))]
    here, high, low = float(values(ds, "now_seconds")), *_span(ds)
    cursor = {
        "type": "scatter", "mode": "lines", "x": small([here, here]), "y": small([low, high]), "xaxis": "x2",
        "yaxis": "y2", "line": {"dash": "dot", "color": palette.NEUTRAL, "width": 1.5}, "showlegend": False,
        "hoverinfo": "skip",
    }  # fmt: skip
    sizes = values(ds, "geometries")
    layout = {
        "xaxis": axis(label(ds, "geometries"), domain=list(LEFT), anchor="y", type="log", tickmode="array",
                      tickvals=sizes.tolist()),
        "yaxis": axis(label(ds, "error"), anchor="x", type="log", **_ticks(ds, "error")),
        "xaxis2": axis(label(ds, "told_seconds"), domain=list(RIGHT), anchor="y2", type="log",
                       **_ticks(ds, "told_seconds")),
        "yaxis2": axis(label(ds, "told_error"), anchor="x2", type="log", **_ticks(ds, "told_error")),
    }  # fmt: skip
    headings = [panel_title("More geometries", LEFT[0], 1.02), panel_title(_after(ds, here), RIGHT[0], 1.02)]
    legend = {"orientation": "h", "x": 0.0, "y": -0.2, "yanchor": "top", "font": {"size": 12}}
    return figure([*traces, cursor], ds, height=520, margin={"l": 70, "r": 20, "t": 46, "b": 120}, legend=legend,
                  showlegend=True, annotations=headings, **layout)  # fmt: skip


def _after(ds: xr.Dataset, seconds: float) -> str:
    now = values(ds, "now")
    if not np.isfinite(now).any() and seconds > np.nanmax(values(ds, "told_seconds")):
        return f"Before {seconds:.3g} s every training had ended"
    if not np.isfinite(now).any():
        return f"After {seconds:.3g} s nothing is told yet"
    best = int(np.nanargmin(now))
    return f"After {seconds:.3g} s: degree {int(values(ds, 'lmax')[best])} leads, {now[best]:.0f} meV/Å"


def _ticks(ds: xr.Dataset, name: str) -> dict[str, object]:
    """Round numbers a factor of about two apart, written out."""
    numbers = values(ds, name)
    powers = 10.0 ** np.arange(np.floor(np.log10(np.nanmin(numbers))), np.ceil(np.log10(np.nanmax(numbers))) + 1)
    found = np.outer(powers, [1, 1.5, 2, 3, 5, 7]).ravel()
    return {"tickmode": "array", "tickvals": found.tolist(), "ticktext": [f"{one:g}" for one in found]}


def _span(ds: xr.Dataset) -> tuple[float, float]:
    told = values(ds, "told_error")
    return float(np.nanmax(told)), float(np.nanmin(told))


def _of_size(ds: xr.Dataset, at: int) -> list[Trace]:
    """The mean over seeds as a line, seeds as dots, the slope of the force error in the legend."""
    degree, colour = int(values(ds, "lmax")[at]), palette.SERIES[at % len(palette.SERIES)]
    error, sizes = values(ds, "error", "lmax", "geometries", "seed")[at], values(ds, "geometries").astype(float)
    slope, low, high = (float(values(ds, name)[at]) for name in ("slope", "slope_low", "slope_high"))
    words = f"degree {degree}; slope {slope:.2f} ({low:.2f} to {high:.2f})".replace("-", "−")
    moved = sizes * (1 + STAGGER * (at - (ds.sizes["lmax"] - 1) / 2))
    return [
        {
            "type": "scatter", "mode": "lines", "x": small(sizes), "y": small(np.exp(np.log(error).mean(1))),
            "line": {"color": colour, "width": 2.5, "dash": palette.DASHES[at % len(palette.DASHES)]}, "name": words,
            "legendgroup": str(degree), "hoverinfo": "skip",
        },
        {
            "type": "scatter", "mode": "markers", "x": small(np.repeat(moved, error.shape[1])),
            "y": small(error.ravel()),
            "marker": {"size": 6, "color": colour, "opacity": 0.7}, "showlegend": False, "legendgroup": str(degree),
            "name": f"degree {degree}", "hovertemplate": f"degree {degree}: %{{y:.0f}}<extra></extra>",
        },
    ]  # fmt: skip


def _of_time(ds: xr.Dataset, at: int) -> list[Trace]:
    """Validation errors of one training on the way, and as crosses the test errors of trainings of one time."""
    degree, colour = int(values(ds, "lmax")[at]), palette.SERIES[at % len(palette.SERIES)]
    told = np.exp(np.log(values(ds, "told_error", "lmax", "told", "seed")[at]).mean(1))
    seconds, matched = values(ds, "told_seconds", "lmax", "told")[at], values(ds, "matched", "lmax", "seed")[at]
    common = {"type": "scatter", "xaxis": "x2", "yaxis": "y2", "showlegend": False, "legendgroup": str(degree)}
    there = np.full(len(matched), float(values(ds, "matched_seconds")[at]))
    return [
        {
            **common, "mode": "lines+markers", "x": small(seconds), "y": small(told), "name": f"degree {degree}",
            "line": {"color": colour, "width": 2.5, "dash": palette.DASHES[at % len(palette.DASHES)]},
            "marker": {"size": 5, "color": colour},
            "hovertemplate": f"degree {degree}: %{{y:.0f}} after %{{x:.3g}} s<extra></extra>",
        },
        {
            **common, "mode": "markers", "x": small(there), "y": small(matched), "name": f"degree {degree}, test",
            "marker": {"size": 9, "color": colour, "symbol": "x-thin", "line": {"width": 2, "color": colour}},
            "hovertemplate": f"degree {degree}, its own training, test: %{{y:.0f}}<extra></extra>",
        },
    ]  # fmt: skip
