"""Panels about a data set beyond its turns: finite symmetries, what more pictures would show, a model beside it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import Trace, axis, note, panel_title, require, small, text, values

ANGLES = {"tickmode": "array", "tickvals": np.arange(0, 181, 30), "ticksuffix": "°", "range": [-3, 183]}
LATER = "follows at rest"


class Place(NamedTuple):
    """Where a panel stands: the number of its axes and its domains in paper coordinates."""

    number: int
    across: tuple[float, float]
    rows: tuple[float, float]

    @property
    def axes(self) -> dict[str, str]:
        return {"xaxis": f"x{self.number}", "yaxis": f"y{self.number}"}

    def layout(self, xaxis: dict, yaxis: dict) -> dict:
        return {
            f"xaxis{self.number}": {**xaxis, "domain": list(self.across), "anchor": f"y{self.number}"},
            f"yaxis{self.number}": {**yaxis, "domain": list(self.rows), "anchor": f"x{self.number}"},
        }

    def heading(self, words: str) -> dict:
        return panel_title(words, self.across[0], self.rows[1] + 0.015)

    def legend(self, **more: object) -> dict:
        """A legend of its own, inside the panel."""
        quiet = {"font": {"size": 11}, "bgcolor": "rgba(0,0,0,0)", "xref": "paper", "yref": "paper"}
        return {f"legend{self.number}": {**quiet, "x": self.across[1], "xanchor": "right", **more}}

    def later(self, words: str = LATER) -> dict:
        middle = sum(self.across) / 2, sum(self.rows) / 2
        return note(words, *middle, xref="paper", yref="paper", xanchor="center")


Panel = tuple[list[Trace], dict, list[dict]]


def elements(ds: xr.Dataset, at: int, place: Place) -> Panel:
    """A bar for each finite symmetry: the distance of the data to their copies, and where the null ends."""
    over = ("class", "question")
    names = ("element_distance", "element_null_high", "element_p_holm", "element_rejected", "element_needed")
    require(ds, "view of data", dims=dict.fromkeys(names, over))
    distance, null, p_value, rejected, needed = (values(ds, name, *over)[at] for name in names)
    words = [text(name) for name in values(ds, "question")]
    rows, known = np.arange(len(words), dtype=np.float32), bool(np.isfinite(distance).all())
    top = 1.15 * max(float(np.nanmax([*distance, *null, 0.02])), 0.02) if known else 1.0
    layout = place.layout(
        axis("energy distance to the copies", range=[0, top], nticks=5, showticklabels=known),
        axis("", range=[len(words) - 0.5, -0.5], tickmode="array", tickvals=rows, ticktext=words, showgrid=False),
    )
    if not known:
        return [], layout, [place.heading("Is it the same mirrored?"), place.later()]
    hover = [
        f"{text(long)}: p = {p:.2g} after correction; {_needed(count)}<extra></extra>"
        for long, p, count in zip(values(ds, "question_words"), p_value, needed, strict=True)
    ]
    bars = {
        "type": "bar", "orientation": "h", "x": small(distance), "y": rows, "width": 0.55,
        "marker": {"color": [palette.BLUE if no else palette.NEUTRAL for no in rejected], "line": {"width": 0}},
        "name": "data and their copies", "hovertemplate": hover, "showlegend": False, **place.axes,
    }  # fmt: skip
    ends = {
        "type": "scatter", "mode": "markers", "x": small(null), "y": rows, "name": "95 % of the null",
        "hoverinfo": "skip",
        "marker": {"symbol": "line-ns-open", "size": 17, "color": palette.TEXT, "line": {"width": 2}},
        "showlegend": False, **place.axes,
    }  # fmt: skip
    broken = int(np.sum(rejected))
    said = "yes, as far as is seen" if not broken else f"{broken} of {len(words)} change it"
    return [bars, ends], layout, [place.heading(f"Is it the same mirrored? {said}")]


def _needed(count: float) -> str:
    if not np.isfinite(count):
        return "no difference is seen that more pictures could confirm"
    return f"about {count:,.0f} pictures would show such a difference"


def power(ds: xr.Dataset, at: int, place: Place) -> Panel:
    """How often smaller parts of the data show each difference, and how many pictures the arc would need."""
    pictures = float(values(ds, "pictures")[at])
    title = place.heading("What fewer pictures would show")
    layout = place.layout(
        axis("pictures", range=[0, 1.05 * pictures], nticks=5),
        axis("", range=[-0.05, 1.05], tickformat=".0%", nticks=5),
    )
    if "element_power" not in ds.variables:
        return [], layout, [title, place.later()]
    require(ds, "view of data", dims={"part_pictures": ("class", "part"), "arc_needed": ("class",)})
    share = values(ds, "element_power", "class", "question", "part")[at]
    counts = values(ds, "part_pictures", "class", "part")[at]
    traces: list[Trace] = []
    for number, name in enumerate(values(ds, "question")):
        style = palette.series(number)
        traces.append({
            "type": "scatter", "mode": "lines+markers", "x": small(counts), "y": small(share[number]),
            "line": {"width": 2, **style}, "marker": {"size": 5}, "name": text(name),
            "legend": f"legend{place.number}",
            "hovertemplate": f"{text(name)}: rejected in %{{y:.0%}} of parts of %{{x:.0f}}<extra></extra>",
            **place.axes,
        })  # fmt: skip
    sure, needed = bool(values(ds, "resolvable")[at]), float(values(ds, "arc_needed")[at])
    words = "arc: known within ±10°" if sure else f"arc: ±10° takes {needed:,.0f} pictures at most"
    low = note(
        words, place.across[1], place.rows[0] + 0.01, xref="paper", yref="paper", xanchor="right", yanchor="bottom"
    )
    layout |= place.legend(y=sum(place.rows) / 2, yanchor="middle")
    return traces, layout, [title, low]


def beside_model(ds: xr.Dataset, at: int, place: Place) -> Panel:
    """Your data has this, your model has that: the distance of the data to their turned copy, the model's error below.

    Args:
        ds: with `distance(class, transform)`, `lost_fitted(class, difference)`, `model_error_mean(model_transform)`,
            `model_angle_deg(model_transform)` and the sentence `beside`; NaN where the model was not asked yet.
    """
    require(ds, "data beside a model", dims={
        "lost_fitted": ("class", "difference"), "verdict": ("class",), "model_error_mean": ("model_transform",),
        "model_angle_deg": ("model_transform",), "beside": ("class",),
    })  # fmt: skip
    angle, error = values(ds, "model_angle_deg"), values(ds, "model_error_mean")
    known = bool(np.isfinite(error).all())
    name = text(ds.attrs.get("model", "the model"))
    traces = [
        _line(values(ds, "difference_deg"), values(ds, "lost_fitted")[at], place, "the data: share lost by a turn",
              {"color": palette.ORANGE, "width": 2.5}),
    ]  # fmt: skip
    if "distance" in ds.variables:
        distance = values(ds, "distance", "class", "transform")[at]
        grey = {"color": palette.ORANGE, "width": 1.5, "dash": "dot"}
        traces.append(_line(values(ds, "angle_deg"), distance, place, "the data: distance to the turned copy", grey))
    if known:
        blue = {"color": palette.BLUE, "width": 2.5, "dash": "dash"}
        traces.append(_line(angle, error, place, f"the model: relative error of {name}", blue))
    top = 1.3 * max(1.0, float(error.max()) if known else 1.0)
    layout = place.layout(
        axis("turned by [°]", **ANGLES), axis("share lost, distance, error", range=[-0.05, top], nticks=6)
    )
    layout |= place.legend(y=place.rows[1], yanchor="top", orientation="h")
    heading = place.heading(text(values(ds, "beside")[at]) if known else "Your data and a model")
    return traces, layout, [heading] if known else [heading, place.later()]


def _line(x: np.ndarray, y: np.ndarray, place: Place, name: str, line: dict) -> Trace:
    return {
        "type": "scatter", "mode": "lines", "x": small(x), "y": small(y), "name": name, "line": line,
        "hovertemplate": f"{name} at %{{x:.0f}}°: %{{y:.3f}}<extra></extra>", "legend": f"legend{place.number}",
        **place.axes,
    }  # fmt: skip
