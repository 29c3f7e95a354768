"""What all views share: the check at the door, text taken from the Dataset, and the look of axes and panels."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from workbench.views import palette

PROVENANCE = ("created_by", "seed", "dtype", "workbench_version")
"""Attributes without which an array could have been typed by hand; a measure always writes them."""

FONT = "Inter, 'Segoe UI', system-ui, -apple-system, 'Helvetica Neue', Arial, sans-serif"

Figure = dict[str, Any]
Trace = dict[str, Any]


def require(
    ds: xr.Dataset,
    view: str,
    *,
    dims: Mapping[str, Iterable[str]] | None = None,
    provenance: Iterable[str] = PROVENANCE,
) -> None:
    """Refuse a Dataset that this view cannot draw honestly.

    Args:
        ds: the Dataset.
        view: the name of the view, for the message.
        dims: for each variable that is drawn, the dims it must have, in any order.
        provenance: the attributes that must be present.

    Raises:
        TypeError: not a Dataset.
        ValueError: a variable, a dim or a provenance attribute is missing; the sentence names it.
    """
    if not isinstance(ds, xr.Dataset):
        raise TypeError(f"{view}: {type(ds).__name__} was given; expected an xarray.Dataset from workbench.measure.")
    for name, wanted in (dims or {}).items():
        if name not in ds.variables:
            present = ", ".join(map(str, ds.variables)) or "nothing"
            raise ValueError(f"{view}: the Dataset has no {name!r}; expected it over {tuple(wanted)} beside {present}.")
        dims_given = ds.variables[name].dims
        if set(dims_given) != set(wanted):
            raise ValueError(f"{view}: {name!r} has dims {tuple(dims_given)}; expected {tuple(wanted)}.")
    missing = [name for name in provenance if name not in ds.attrs]
    if missing:
        raise ValueError(
            f"{view}: the Dataset does not say where its numbers come from (missing attributes: {', '.join(missing)}); "
            "draw what a measure or a training run returned, not an array typed by hand."
        )


def text(value: object) -> str:
    """A name or label as plain text for a title, a tick or a hover label: markup in it is shown, not obeyed.

    >>> text("<b>net</b>")
    '&lt;b&gt;net&lt;/b&gt;'
    """
    return html.escape(str(value), quote=False).replace("%{", "%&#123;").replace("$", "&#36;")


def values(ds: xr.Dataset, name: str, *dims: str) -> np.ndarray:
    """The bare numbers of a variable, its axes in the given order.

    Read past the DataArray on purpose: building one costs more than drawing a curve.
    """
    variable = ds.variables[name]
    return variable.transpose(*dims).values if dims and variable.dims != dims else variable.values


def label(ds: xr.Dataset, name: str) -> str:
    """The axis title of a variable: its long name and its units, or its name alone.

    >>> ds = xr.Dataset({"angle": ((), 0.0, {"long_name": "input rotation", "units": "degrees"})})
    >>> label(ds, "angle")
    'input rotation [°]'
    """
    attrs = ds.variables[name].attrs
    words = text(attrs.get("long_name", name.replace("_", " ")))
    units = str(attrs.get("units", "1"))
    short = {"degrees": "°", "degree": "°", "percent": "%"}.get(units, units)
    return words if units in ("1", "") else f"{words} [{text(short)}]"


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """A quiet axis: hairline grid, no zero line, outside ticks off."""
    quiet = {
        "title": {"text": title, "standoff": 8, "font": {"size": 12}},
        "gridcolor": palette.GRID,
        "linecolor": palette.GRID,
        "zeroline": False,
        "showline": False,
        "ticks": "",
        "tickfont": {"size": 11},
        "fixedrange": False,
        "automargin": False,
    }
    return {**quiet, **more}


def bare_axis(**more: Any) -> dict[str, Any]:
    """An axis that only places things: no grid, no ticks, no zoom."""
    return {"visible": False, "fixedrange": True, **more}


def panel_title(words: str, x: float, y: float, **more: Any) -> dict[str, Any]:
    """A left-aligned heading above a panel, at paper coordinates; `words` must already be escaped."""
    heading = {
        "text": f"<b>{words}</b>",
        "x": x,
        "y": y,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "left",
        "yanchor": "bottom",
        "align": "left",
        "showarrow": False,
        "font": {"size": 13},
    }
    return {**heading, **more}


def note(words: str, x: float, y: float, **more: Any) -> dict[str, Any]:
    """A label inside a panel at data coordinates, without an arrow; `words` must already be escaped."""
    return {"text": words, "x": x, "y": y, "showarrow": False, "font": {"size": 11}, **more}


def showing(ds: xr.Dataset) -> list[dict[str, Any]]:
    """The sentence 'showing n of N' in the corner, when the measure looked at a part of the data only."""
    if not ds.attrs.get("showing"):
        return []
    words = text(ds.attrs["showing"])
    return [note(words, 1.0, 0.0, xref="paper", yref="paper", xanchor="right", yanchor="top", yshift=-40)]


def figure(traces: list[Trace], ds: xr.Dataset | None = None, **layout: Any) -> Figure:
    """Put traces and a layout together: transparent page, quiet font, zoom kept from one update to the next."""
    base: dict[str, Any] = {
        "template": {},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 13, "color": palette.TEXT},
        "margin": {"l": 58, "r": 24, "t": 40, "b": 64},
        "hoverlabel": {"font": {"family": FONT, "size": 12}, "align": "left"},
        "showlegend": False,
        "uirevision": "constant",
        "height": 460,
    }
    annotations = list(layout.pop("annotations", ())) + (showing(ds) if ds is not None else [])
    return {"data": traces, "layout": {**base, **layout, "annotations": annotations}}


def small(values: Any) -> np.ndarray:
    """Numbers in the smallest type a screen can tell apart: float32."""
    return np.ascontiguousarray(np.asarray(values, dtype=np.float32))


def degrees(value: float) -> str:
    """An angle as a person writes it, without a sign on zero and without a useless decimal.

    >>> degrees(-0.0), degrees(22.5)
    ('0°', '22.5°')
    """
    rounded = round(float(value), 1) + 0.0
    return f"{rounded:g}°".replace("-", "−")
