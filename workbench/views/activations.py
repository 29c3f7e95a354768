"""Representations against activations as a table coloured by error, and the error of the remedy against its samples."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import (
    Figure,
    Trace,
    axis,
    degrees,
    figure,
    label,
    panel_title,
    require,
    small,
    text,
    values,
)
from workbench.views.mosaic import colour_bar, magnitude

TABLE, CURVES = (0.0, 0.5), (0.74, 1.0)
LOWEST = 1e-16
TURNED = ("vector", "frequency 2", "on samples")
DECADES = (-16, -12, -8, -4, 0)


def activations_picture(ds: xr.Dataset) -> Figure:
    """The table with a tick in every allowed cell; beside it a curve for each activation that is shown on samples.

    Args:
        ds: with `error(representation, activation)`, `legal(representation, activation)`, `kind(representation)`,
            `curve(shown, number)`, `here(shown)`, and the attributes `angle_deg` and `n`.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    pair = ("representation", "activation")
    dims = {"error": pair, "legal": pair, "kind": pair[:1], "curve": ("shown", "number"), "here": ("shown",)}
    require(ds, "view of activations", dims=dims, provenance=("created_by", "seed", "dtype", "angle_deg", "n"))
    turn = degrees(float(ds.attrs["angle_deg"]))
    names = [str(name) for name in values(ds, "representation")]
    rows = [
        f"{text(name)}{f', {turn}' if name in TURNED else ''}<br><i>{text(kind)}</i>"
        for name, kind in zip(names, values(ds, "kind"), strict=True)
    ]
    n = int(ds.attrs["n"])
    cursor = {
        "type": "line", "xref": "x2", "yref": "y2 domain", "x0": n, "x1": n, "y0": 0, "y1": 1,
        "line": {"color": palette.PINK, "width": 1.5, "dash": "dot"},
    }  # fmt: skip
    powers = [f"10<sup>{decade}</sup>".replace("-", "−") if decade else "1" for decade in DECADES]
    layout = {
        "xaxis": axis("", domain=list(TABLE), anchor="y", tickmode="array", showgrid=False, tickangle=-35,
                      tickvals=np.arange(ds.sizes["activation"]), ticktext=[text(a) for a in values(ds, "activation")]),
        "yaxis": axis("", anchor="x", tickmode="array", tickvals=np.arange(len(rows)), ticktext=rows, showgrid=False,
                      autorange="reversed", ticklabelstandoff=4),
        "xaxis2": axis(label(ds, "number"), domain=list(CURVES), anchor="y2", range=[0, 66]),
        "yaxis2": axis("", anchor="x2", type="log", range=[-16.5, 0.5], tickmode="array",
                       tickvals=[10.0**decade for decade in DECADES], ticktext=powers),
    }  # fmt: skip
    headings = [
        panel_title("Error; ✓ allowed by the rule", TABLE[0], 1.01),
        panel_title("Error on samples", CURVES[0] - 0.06, 1.01),
    ]
    legend = {"orientation": "h", "x": TABLE[1] + 0.06, "y": -0.19, "yanchor": "top", "font": {"size": 12}}
    bar = colour_bar("", TABLE[1] + 0.01, 0.5, 0.9) | {"tickvals": list(DECADES), "ticktext": powers}
    return figure(
        [*_table(ds, rows, bar), *_curves(ds, n)], ds, height=440, margin={"l": 170, "r": 18, "t": 36, "b": 92},
        shapes=[cursor], annotations=headings, showlegend=True, legend=legend, **layout,
    )  # fmt: skip


def _table(ds: xr.Dataset, rows: list[str], bar: dict) -> list[Trace]:
    """Cells by the logarithm of their error, and a mark in those that are allowed."""
    error = values(ds, "error", "representation", "activation")
    shown = np.log10(error.clip(LOWEST))
    hover = "error 10^%{z:.1f}<extra></extra>"
    cells = magnitude(shown, float(DECADES[0]), 0.0, hovertemplate=hover, showscale=True, colorbar=bar, xgap=1, ygap=1)
    cells |= {"zmin": float(DECADES[0]), "zmax": 0.0, "colorscale": palette.SEQUENTIAL}
    at = np.argwhere(values(ds, "legal", "representation", "activation"))
    marks: Trace = {
        "type": "scatter", "mode": "text", "x": small(at[:, 1]), "y": small(at[:, 0]), "text": ["✓"] * len(at),
        "textfont": {"size": 15, "color": palette.SEQUENTIAL[-1][1]}, "hoverinfo": "skip", "showlegend": False,
        "name": "allowed",
    }  # fmt: skip
    return [cells, marks]


def _curves(ds: xr.Dataset, n: int) -> list[Trace]:
    number, made = small(values(ds, "number")), []
    here = values(ds, "here")
    for at, name in enumerate(values(ds, "shown")):
        words, line = text(name), palette.series(at)
        curve = values(ds, "curve", "shown", "number")[at].clip(LOWEST)
        common = {"type": "scatter", "xaxis": "x2", "yaxis": "y2"}
        made += [
            {**common, "mode": "lines", "x": number, "y": curve.astype(np.float64), "name": words,
             "line": {"color": line["color"], "width": 1.8, "dash": palette.DASHES[at % 4]},
             "hovertemplate": f"{words}, %{{x:.0f}} samples: %{{y:.1e}}<extra></extra>"},
            {**common, "mode": "markers", "x": small([n]), "y": here[at : at + 1].clip(LOWEST).astype(np.float64),
             "name": f"{words} at this turn", "showlegend": False,
             "marker": {"size": 10, "color": line["color"], "symbol": "diamond"},
             "hovertemplate": f"{words} at this turn: %{{y:.1e}}<extra></extra>"},
        ]  # fmt: skip
    return made
