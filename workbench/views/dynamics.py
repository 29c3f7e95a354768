"""The total energy of a molecule that moves by a potential's forces, for several time steps."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import Figure, Trace, axis, figure, label, panel_title, require, small, values

LEFT, RIGHT = (0.0, 0.56), (0.68, 1.0)


def dynamics_picture(ds: xr.Dataset, step_fs: float) -> Figure:
    """Left, the change of the total energy over time; right, its swing against the step.

    One step is drawn strong, and fills the height of the left side.

    Args:
        ds: with `dynamics_change(step_fs, time_fs)`, `dynamics_swing(seed, step_fs)`, `dynamics_drift(step_fs)`.
        step_fs: the time step that is drawn strong, in fs; one of those of `ds`.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    require(ds, "view of dynamics", dims={
        "dynamics_change": ("step_fs", "time_fs"), "dynamics_swing": ("seed", "step_fs"),
        "dynamics_drift": ("step_fs",),
    })  # fmt: skip
    steps = values(ds, "step_fs")
    chosen = int(np.abs(steps - step_fs).argmin())
    swing, drift = values(ds, "dynamics_swing", "seed", "step_fs"), float(values(ds, "dynamics_drift")[chosen])
    reach = 1.3 * float(np.nanmax(np.abs(values(ds, "dynamics_change", "step_fs", "time_fs")[chosen]))) or 1.0
    unit = str(ds.variables["dynamics_drift"].attrs["units"])
    layout = {
        "xaxis": axis(label(ds, "time_fs"), domain=list(LEFT), anchor="y"),
        "yaxis": axis(label(ds, "dynamics_change"), anchor="x", nticks=7, range=[-reach, reach]),
        "xaxis2": axis(label(ds, "step_fs"), domain=list(RIGHT), anchor="y2", type="log", tickmode="array",
                       tickvals=steps.tolist()),
        "yaxis2": axis(label(ds, "dynamics_swing"), anchor="x2", type="log", exponentformat="power", dtick=1),
    }  # fmt: skip
    words = f"Steps of {steps[chosen]:g} fs: drift {drift:.2g} {unit} per atom".replace("-", "−")
    headings = [panel_title(words, LEFT[0], 1.02), panel_title("All potentials", RIGHT[0], 1.02)]
    legend = {"orientation": "h", "x": 0.0, "y": -0.2, "yanchor": "top", "font": {"size": 12}}
    lines = [_line(ds, at, at == chosen) for at in range(len(steps))]
    return figure([*lines, *_swings(steps, swing)], ds, height=460, margin={"l": 72, "r": 20, "t": 46, "b": 110},
                  legend=legend, showlegend=True, annotations=headings, **layout)  # fmt: skip


def _line(ds: xr.Dataset, at: int, chosen: bool) -> Trace:
    step = float(values(ds, "step_fs")[at])
    colour = palette.SERIES[at % len(palette.SERIES)]
    return {
        "type": "scatter", "mode": "lines", "x": small(values(ds, "time_fs")),
        "y": small(values(ds, "dynamics_change", "step_fs", "time_fs")[at]), "name": f"{step:g} fs",
        "line": {"color": colour, "width": 3 if chosen else 1, "dash": palette.DASHES[at % len(palette.DASHES)]},
        "opacity": 1.0 if chosen else 0.6, "hovertemplate": f"{step:g} fs: %{{y:.3g}} meV<extra></extra>",
    }  # fmt: skip


def _swings(steps: np.ndarray, swing: np.ndarray) -> list[Trace]:
    """A dot for each potential, and what a second order integrator is expected to do."""
    common = {"type": "scatter", "xaxis": "x2", "yaxis": "y2"}
    second = np.nanmedian(swing[:, 0]) * (steps / steps[0]) ** 2
    return [
        {
            **common, "mode": "markers", "x": small(np.tile(steps, len(swing))), "y": small(swing.ravel()),
            "marker": {"size": 8, "color": palette.BLUE, "opacity": 0.7}, "showlegend": False, "name": "potentials",
            "hovertemplate": "%{x:g} fs: %{y:.3g} meV<extra></extra>",
        },
        {
            **common, "mode": "lines", "x": small(steps), "y": small(second), "name": "as the square of the step",
            "line": {"color": palette.NEUTRAL, "dash": "dot", "width": 1.5}, "hoverinfo": "skip",
        },
    ]  # fmt: skip
