"""A molecule at one angle of a scan, beside its energies and force errors at every angle."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import Figure, Trace, axis, degrees, figure, label, panel_title, require, small, text, values
from workbench.views.molecule import arrow_scale, molecule_in_space

SPACE, CURVES = (0.0, 0.4), (0.52, 1.0)
ENERGY, FORCE = (0.56, 1.0), (0.0, 0.4)
QUARTERS = [0, 90, 180, 270, 360]


def dihedral_picture(ds: xr.Dataset, arrow: float) -> Figure:
    """The molecule with both forces; energies of network and reference, and the force error, over the dihedral.

    Args:
        ds: with what :func:`workbench.measure.dihedral.dihedral_errors` returns, `energy_whole(angle)` and
            `force_mae_whole(angle)` of the network at its own cutoff, `cutoff`, `cutoff_trained`, `angle_shown_deg`,
            `reach`, and the molecule as :func:`workbench.views.molecule.molecule_in_space` takes it.
        arrow: angstrom for a force of 1 eV/angstrom.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    over = dict.fromkeys(("energy", "energy_reference", "energy_whole", "force_mae", "force_mae_whole"), ("angle",))
    alone = dict.fromkeys(("cutoff", "cutoff_trained", "angle_shown_deg", "range", "range_reference", "reach"), ())
    require(ds, "view of a dihedral", dims={**over, **alone})
    domain = {"x": list(SPACE), "y": [0.0, 1.0]}
    traces, scene = molecule_in_space(ds, arrow, domain, float(values(ds, "reach")))
    shown = float(values(ds, "angle_shown_deg"))
    ticks: dict[str, Any] = {"tickmode": "array", "tickvals": QUARTERS, "range": [-5, 365]}
    axes = {
        "xaxis": axis("", domain=list(CURVES), anchor="y", showticklabels=False, **ticks),
        "yaxis": axis("energy above its mean [meV]", domain=list(ENERGY), anchor="x"),
        "xaxis2": axis(label(ds, "angle"), domain=list(CURVES), anchor="y2", **ticks),
        "yaxis2": axis(label(ds, "force_mae"), domain=list(FORCE), anchor="x2", rangemode="tozero"),
    }
    legend = {"orientation": "h", "x": CURVES[0], "y": -0.13, "yanchor": "top", "font": {"size": 12}}
    headings = [
        panel_title(f"{text(ds.attrs['formula'])}, {text(ds.attrs['scan'])} at {degrees(shown)}", SPACE[0], 1.01),
        panel_title(_ranges(ds), CURVES[0], 1.01),
        panel_title(_sight(ds), CURVES[0], FORCE[1] + 0.01),
        arrow_scale(arrow, SPACE[0], 0.0),
    ]
    return figure(
        [*traces, *_curves(ds)], ds, height=600, margin={"l": 12, "r": 24, "t": 48, "b": 110}, scene=scene,
        showlegend=True, legend=legend, annotations=headings, **axes,
        shapes=[_cursor(shown, span) for span in (ENERGY, FORCE)],
    )  # fmt: skip


def _ranges(ds: xr.Dataset) -> str:
    model, known = (float(values(ds, name)) for name in ("range", "range_reference"))
    return f"From lowest to highest: network {model:.0f}, GFN2-xTB {known:.0f} meV"


def _sight(ds: xr.Dataset) -> str:
    cutoff, trained = (float(values(ds, name)) for name in ("cutoff", "cutoff_trained"))
    seen = f"trained to see {trained:g} Å" if cutoff >= trained else f"sees {cutoff:g} Å of the {trained:g} Å"
    return f"Forces off by {np.mean(values(ds, 'force_mae')):.0f} meV/Å on average; {seen}"


def _curves(ds: xr.Dataset) -> list[Trace]:
    ways: list[tuple[str, str, dict[str, Any]]] = [
        ("energy_reference", "GFN2-xTB", {"color": palette.BLUE, "width": 2}),
        ("energy", "network", {"color": palette.ORANGE, "width": 2}),
        ("force_mae", "network", {"color": palette.ORANGE, "width": 2}),
    ]
    if float(values(ds, "cutoff")) < float(values(ds, "cutoff_trained")):
        whole = {"color": palette.ORANGE, "width": 1.5, "dash": "dot"}
        ways += [(name, "network as trained", whole) for name in ("energy_whole", "force_mae_whole")]
    return [_curve(ds, *way) for way in ways]


def _curve(ds: xr.Dataset, name: str, words: str, line: dict[str, Any]) -> Trace:
    below = name.startswith("force")
    return {
        "type": "scatter", "mode": "lines", "x": small(values(ds, "angle")), "y": small(values(ds, name)),
        "xaxis": "x2" if below else "x", "yaxis": "y2" if below else "y", "name": words, "line": line,
        "showlegend": not below,
        "hovertemplate": f"{words}, %{{x:.0f}}°: %{{y:.1f}} {'meV/Å' if below else 'meV'}<extra></extra>",
    }  # fmt: skip


def _cursor(angle: float, span: tuple[float, float]) -> dict[str, Any]:
    return {
        "type": "line", "xref": "x", "yref": "paper", "x0": angle, "x1": angle, "y0": span[0], "y1": span[1],
        "line": {"color": palette.NEUTRAL, "width": 1.2, "dash": "dash"},
    }  # fmt: skip
