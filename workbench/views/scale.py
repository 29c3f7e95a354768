"""A stack over scalings in two pictures: its filters at every scale, and how far each layer is from equivariance."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import Figure, Trace, axis, figure, label, panel_title, require, small, text, values
from workbench.views.mosaic import centres, colour_bar, signed, tiles

FILTERS, ERRORS = (0.62, 1.0), (0.0, 0.42)
SYMBOLS = ("circle", "diamond", "square")
LOWEST = 1e-3


def scale_picture(ds: xr.Dataset) -> Figure:
    """The filters side by side, one column a scale; below, the error of every layer and the floor of pixels.

    Args:
        ds: with `kernel(channel, scale, y, x)` as shares of the largest weight, `error(layer, pair)`,
            `inner(layer, pair)`, `floor(pair)`, `factor(scale)`, and `inside(layer)`, `ends(layer)`.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    dims = {"kernel": ("channel", "scale", "y", "x"), "error": ("layer", "pair"), "inner": ("layer", "pair")}
    rest = {"floor": ("pair",), "factor": ("scale",), "inside": ("layer",), "ends": ("layer",)}
    require(ds, "scale view", dims={**dims, **rest}, provenance=("created_by", "seed", "dtype", "support_px"))
    kernel = values(ds, "kernel", "channel", "scale", "y", "x")
    _, count, _, width = kernel.shape
    bar = colour_bar("share of the largest", 1.0, sum(FILTERS) / 2, 0.4)
    hover = "weight %{z:.3f} of the largest<extra></extra>"
    wall = signed(tiles(kernel), 1.0, hovertemplate=hover, showscale=True, colorbar=bar)
    ticks = {"tickvals": centres(count, width), "ticktext": [f"{one:.2f}" for one in values(ds, "factor")]}
    remedy = f" only; {text(ds.attrs['remedy'])}" if ds.attrs.get("remedy") else ""
    support = f"{label(ds, 'kernel')}: the smallest reaches {float(ds.attrs['support_px']):.1f} pixels{remedy}"
    highest = np.log10(max(2.0, 1.3 * max(float(values(ds, name).max()) for name in ("error", "floor"))))
    layout = {
        "xaxis": axis(label(ds, "factor"), tickmode="array", showgrid=False, constrain="domain", **ticks),
        "yaxis": axis("", domain=list(FILTERS), autorange="reversed", scaleanchor="x", showticklabels=False,
                      showgrid=False, constrain="domain"),
        "xaxis2": axis(label(ds, "pair"), anchor="y2", type="category"),
        "yaxis2": axis("relative error", domain=list(ERRORS), anchor="x2", type="log", dtick=1,
                       range=[np.log10(LOWEST), highest]),
    }  # fmt: skip
    words = (support, _summary(ds))
    headings = [panel_title(one, 0.0, top + 0.015) for one, top in zip(words, (FILTERS[1], ERRORS[1]), strict=True)]
    legend = {"orientation": "h", "x": 0.0, "y": -0.12, "yanchor": "top", "font": {"size": 12}}
    return figure(
        [wall, *_curves(ds), _floor(ds)], ds, height=560, margin={"l": 62, "r": 70, "t": 44, "b": 86},
        annotations=headings, showlegend=True, legend=legend, **layout,
    )  # fmt: skip


def _summary(ds: xr.Dataset) -> str:
    """The largest errors of the last layer, inside and at the ends of the list."""
    found = {name: float(values(ds, name)[-1]) for name in ("inside", "ends")}
    said = [f"{found[name]:.3f} {where}" for name, where in (("inside", "inside"), ("ends", "at the ends"))
            if np.isfinite(found[name])]  # fmt: skip
    return f"Error of the last layer, at most {', '.join(said)}"


def _curves(ds: xr.Dataset) -> list[Trace]:
    """A line for each layer; hollow marks where the list of scales ends."""
    pairs = [str(one) for one in values(ds, "pair")]
    error, inner = values(ds, "error", "layer", "pair"), values(ds, "inner", "layer", "pair")
    made = []
    for at, name in enumerate(values(ds, "layer")):
        symbol, colour = SYMBOLS[at % len(SYMBOLS)], palette.series(at)["color"]
        marks = [symbol if full else f"{symbol}-open" for full in inner[at]]
        made.append({
            "type": "scatter", "mode": "lines+markers", "x": pairs, "y": small(error[at].clip(LOWEST)),
            "name": text(name), "xaxis": "x2", "yaxis": "y2", "line": {**palette.series(at), "width": 1.6},
            "marker": {"symbol": marks, "size": 10, "color": colour, "line": {"width": 1.8, "color": colour}},
            "hovertemplate": f"{text(name)}, %{{x}}: %{{y:.3f}}<extra></extra>",
        })  # fmt: skip
    return made


def _floor(ds: xr.Dataset) -> Trace:
    return {
        "type": "scatter", "mode": "lines+markers", "x": [str(one) for one in values(ds, "pair")],
        "y": small(values(ds, "floor").clip(LOWEST)), "xaxis": "x2", "yaxis": "y2", "name": "floor: pixels alone",
        "line": {"color": palette.NEUTRAL, "width": 1.5, "dash": "dash"},
        "marker": {"symbol": "line-ew", "size": 12, "line": {"color": palette.NEUTRAL, "width": 1.5}},
        "hovertemplate": "pixels alone, %{x}: %{y:.3f}<extra></extra>",
    }  # fmt: skip
