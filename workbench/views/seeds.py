"""Results over seeds: a dot for each seed, a bar for the interval of the mean, and the gap to one of the networks."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import Figure, Trace, axis, figure, label, panel_title, require, small, text, values

COLUMNS = ((0.0, 0.5), (0.59, 1.0))
ROW = 62
"""Height of one row, in pixels."""
LIFT, SPREAD = 0.14, 0.2
"""Seeds lie this much above their row's bar, and are spread over this much, in rows."""


def seeds_picture(ds: xr.Dataset) -> Figure:
    """Accuracy of each experiment, seed by seed with its interval, beside the gap to one of them.

    Args:
        ds: from `workbench.measure.seeds.over_seeds`.

    Raises:
        ValueError: a variable or the provenance is missing.
    """
    dims: dict[str, tuple[str, ...]] = {}
    for name in ("accuracy", "gap"):
        dims |= {name: ("experiment", "seed"), **{f"{name}_{end}": ("experiment",) for end in ("mean", "low", "high")}}
    require(ds, "view of seeds", dims={**dims, "parameters": ("experiment",)})
    count = ds.sizes["experiment"]
    names = [_words(ds, at) for at in range(count)]
    level = f"{100 * float(ds.attrs.get('level', 0.95)):g} % interval"
    rows = {"tickmode": "array", "tickvals": np.arange(count), "range": [count - 0.55, -0.65], "showgrid": False}
    layout = {
        "xaxis": axis(label(ds, "accuracy"), domain=list(COLUMNS[0]), anchor="y", **_range(ds, "accuracy")),
        "yaxis": axis("", anchor="x", ticktext=names, **rows),
        "xaxis2": axis(label(ds, "gap"), domain=list(COLUMNS[1]), anchor="y2", **_range(ds, "gap")),
        "yaxis2": axis("", anchor="x2", showticklabels=False, **rows),
    }
    layout["xaxis2"] |= {"zeroline": True, "zerolinecolor": palette.NEUTRAL, "zerolinewidth": 1.5}
    traces = [*_rows(ds, "accuracy", ""), *_rows(ds, "gap", "2")]
    headings = [
        panel_title(f"Accuracy, {level}", COLUMNS[0][0], 1.01),
        panel_title("Gap, seed by seed", COLUMNS[1][0], 1.01),
    ]
    return figure(
        traces, ds, height=130 + ROW * count, margin={"l": 146, "r": 36, "t": 52, "b": 54}, annotations=headings,
        **layout,
    )  # fmt: skip


def _words(ds: xr.Dataset, at: int) -> str:
    """An experiment's name and its size, on two lines."""
    name = text(str(values(ds, "experiment")[at]).replace("_", " "))
    return f"{name}<br><span style='font-size:10px'>{float(values(ds, 'parameters')[at]):,.0f} parameters</span>"


def _range(ds: xr.Dataset, name: str) -> dict:
    """Around everything drawn at the widest interval of interest, so that the axis stays put: from the seeds alone."""
    numbers = values(ds, name)
    low, high = float(numbers.min()), float(numbers.max())
    reach = max(high - low, 4.0)
    return {"range": [low - 0.42 * reach, high + 0.42 * reach], "nticks": 6}


def _rows(ds: xr.Dataset, name: str, number: str) -> list[Trace]:
    """Bars, means and seeds of one panel; each experiment has its colour."""
    count, seeds = ds.sizes["experiment"], ds.sizes["seed"]
    colours = [palette.SERIES[at % len(palette.SERIES)] for at in range(count)]
    mean, low, high = (values(ds, f"{name}_{end}") for end in ("mean", "low", "high"))
    unit = {"percent": " %", "points": " points"}.get(str(ds.variables[name].attrs.get("units")), "")
    common = {"type": "scatter", "xaxis": f"x{number}", "yaxis": f"y{number}"}
    traces: list[Trace] = []
    for at, colour in enumerate(colours):
        hover = f"mean {mean[at]:.2f}{unit}<br>{low[at]:.2f} to {high[at]:.2f}<extra></extra>"
        traces.append({
            **common, "mode": "lines+markers", "x": small([low[at], mean[at], high[at]]), "y": small([at, at, at]),
            "line": {"color": colour, "width": 5}, "marker": {"size": [0, 12, 0], "color": colour},
            "hovertemplate": hover, "name": text(values(ds, "experiment")[at]),
        })  # fmt: skip
    numbers = values(ds, name, "experiment", "seed")
    traces.append({
        **common, "mode": "markers", "x": small(numbers.ravel()),
        "y": small(np.add.outer(np.arange(count), -LIFT - SPREAD * np.linspace(0, 1, seeds)).ravel()),
        "marker": {"size": 8, "color": np.repeat(colours, seeds).tolist(), "opacity": 0.75, "line": {"width": 0}},
        "customdata": np.tile(values(ds, "seed"), count).astype(np.int16), "name": "seeds",
        "hovertemplate": f"seed %{{customdata}}: %{{x:.2f}}{unit}<extra></extra>",
    })  # fmt: skip
    return traces
