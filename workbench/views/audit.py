"""An audit at one glance: both ways of moving a picture, several networks' errors, and the parts of the first."""

from __future__ import annotations

from typing import Any

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
from workbench.views.orbit import NAMES_PX, curves, heading

PICTURES, CURVES, PARTS = (0.79, 1.0), (0.42, 0.72), (0.0, 0.3)
"""Vertical domains of the three rows, in paper coordinates."""
COLUMNS = ((0.0, 0.47), (0.53, 1.0))
FIRST_AXIS = 7
"""Number of the first axis pair of the lower row; the pictures have 2 to 6."""
MOST_ROWS = 24
LONGEST = 16
"""Letters of a part's name that have room."""
EXACT = 1e-5
"""A relative error below this is rounding in single precision; the axis of the shares reaches at least so far."""
SHARE = ("contribution_mean", "contribution_low", "contribution_high")
RATE = ("lie_mean", "lie_low", "lie_high")


def audit_picture(ds: xr.Dataset, log: bool = True) -> Figure:
    """Pictures on top, the curves of all networks below, and the parts of the first network at the bottom.

    Args:
        ds: what `workbench.views.orbit.curves` and `workbench.views.both_ways` draw. Optional, at rest:
            `contribution_mean`, `contribution_low`, `contribution_high` over `part`, each part's share in the error,
            and `lie_mean`, `lie_low`, `lie_high` over `part`, the Lie derivative behind it; NaN where not known. The
            attribute `compared_after` names where the ways are compared.
        log: a logarithmic axis for the curves.

    Returns:
        A plotly figure as a dictionary.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    traces, axes, names, shapes = curves(ds, log, CURVES)
    pictures, picture_axes, titles = both_ways(ds, PICTURES, 1.0)
    parts, part_axes, part_titles = _parts(ds)
    return figure(
        [*traces, *pictures, *parts],
        ds,
        height=940,
        margin={"l": 104, "r": NAMES_PX, "t": 52, "b": 64},
        annotations=[_after(ds, heading(ds, CURVES)), *names, *titles, *part_titles],
        shapes=shapes,
        **axes,
        **picture_axes,
        **part_axes,
    )


def _after(ds: xr.Dataset, title: dict) -> dict:
    """The heading of the curves says behind which part of the first network they were measured."""
    after = str(ds.attrs.get("compared_after", "output"))
    where = "of the answer" if after == "output" else f"behind {text(after)}"
    return {**title, "text": title["text"].replace("Error at", f"Error {where} at")}


def _parts(ds: xr.Dataset) -> tuple[list[Trace], dict, list[dict]]:
    """The lower row: empty axes with a word in them as long as nothing is known."""
    blocks: list[tuple[str, tuple[str, str, str], str]] = [
        ("Where it comes in", SHARE, palette.BLUE),
        ("How fast it sets in", RATE, palette.GREEN),
    ]
    traces: list[Trace] = []
    layout: dict[str, Any] = {}
    notes = []
    for at, (title, variables, colour) in enumerate(blocks):
        number, columns = FIRST_AXIS + at, COLUMNS[at]
        known = variables[0] in ds and bool(np.isfinite(values(ds, variables[0])).any())
        if known:
            require(ds, "audit view", dims=dict.fromkeys(variables, ("part",)))
            traces.append(_bars(ds, variables, number, colour))
        layout |= _axes(ds, variables, known, number, columns)
        notes.append(panel_title(title, columns[0], PARTS[1] + 0.02))
        if not known:
            words = "not defined here" if SHARE[0] in ds else "follows at rest"
            notes.append(note(words, sum(columns) / 2, sum(PARTS) / 2, xref="paper", yref="paper", xanchor="center"))
    if SHARE[0] in ds and ds.sizes["part"] > MOST_ROWS:
        words = f"showing {MOST_ROWS} of {ds.sizes['part']} parts"
        notes.append(note(words, 0.0, 0.0, xref="paper", yref="paper", xanchor="left", yanchor="top", yshift=-40))
    return traces, layout, notes


def _rows(ds: xr.Dataset) -> np.ndarray:
    """Which parts are drawn: all, or those with the largest shares, in the order in which they run."""
    count = ds.sizes["part"]
    if count <= MOST_ROWS:
        return np.arange(count)
    return np.sort(np.argsort(-np.abs(np.nan_to_num(values(ds, SHARE[0]))))[:MOST_ROWS])


def _bars(ds: xr.Dataset, variables: tuple[str, str, str], number: int, colour: str) -> Trace:
    """A bar for each part whose value is known, with its interval."""
    shown = _rows(ds)
    mean, low, high = (values(ds, name)[shown] for name in variables)
    known = np.isfinite(mean)
    half = np.nan_to_num(np.stack([high - mean, mean - low])[:, known])
    return {
        "type": "bar",
        "orientation": "h",
        "x": small(mean[known]),
        "y": np.flatnonzero(known).astype(np.float32),
        "width": 0.55,
        "marker": {"color": palette.with_alpha(colour, 0.75), "line": {"width": 0}},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": small(half[0]),
            "arrayminus": small(half[1]),
            "thickness": 1,
            "width": 0,
            "color": palette.NEUTRAL,
        },
        "name": label(ds, variables[0]),
        "text": [text(name) for name in values(ds, "part")[shown][known]],
        "textposition": "none",
        "hovertemplate": "%{text}: %{x:.3g}<extra></extra>",
        "xaxis": f"x{number}",
        "yaxis": f"y{number}",
    }


def _axes(
    ds: xr.Dataset, variables: tuple[str, str, str], known: bool, number: int, columns: tuple[float, float]
) -> dict[str, Any]:
    shown = _rows(ds) if SHARE[0] in ds else np.arange(0)
    names = [text(_short(str(part))) for part in values(ds, "part")[shown]] if len(shown) else []
    drawn = np.concatenate([values(ds, name)[shown] for name in variables]) if known else np.array([1.0])
    first = variables == SHARE
    return {
        f"xaxis{number}": axis(
            _title(ds, variables[0]) if known else "",
            domain=list(columns),
            anchor=f"y{number}",
            range=_reach(drawn, EXACT if first else 0.0),
            nticks=5,
            exponentformat="power",
            showticklabels=known,
        ),
        f"yaxis{number}": axis(
            "",
            domain=list(PARTS),
            anchor=f"x{number}",
            range=[max(len(names), 1) - 0.5, -0.5],
            tickmode="array",
            tickvals=np.arange(len(names), dtype=np.float32),
            ticktext=names if first else [""] * len(names),
            gridcolor=palette.FAINT,
            tickfont={"size": 9},
        ),
    }


def _title(ds: xr.Dataset, name: str) -> str:
    """The shares add up to the whole, which the title tells."""
    if name != SHARE[0]:
        return label(ds, name)
    whole = float(np.nansum(values(ds, name)))
    return f"share of {whole:.2g}" if whole > EXACT else "share of nothing but rounding"


def _short(name: str) -> str:
    """The end of a long name, where modules differ."""
    return name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"


def _reach(drawn: np.ndarray, least: float) -> list[float]:
    """From zero, or a little below the most negative value, to a little above the largest; never below `least`."""
    high = max(float(np.nanmax(drawn)), least) or 1.0
    low = min(float(np.nanmin(drawn)), 0.0)
    low = 0.0 if -low < least else low
    return [low - 0.04 * (high - low), high + 0.06 * (high - low)]
