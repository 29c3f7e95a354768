"""A molecule in space with what its atoms feel or carry, and its equivariance error over a turn and four motions."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.atom_features import surfaces
from workbench.views.frame import Figure, Trace, axis, figure, label, note, panel_title, require, small, text, values
from workbench.views.orbit import NAMES_PX, curves

SPACE, CURVE, ERRORS = (0.48, 1.0), (0.23, 0.38), (0.0, 0.12)
COLOURS = {
    "H": "#c8c8c8", "C": "#555555", "N": "#3050f8", "O": "#e0201a", "F": "#6fbf3a", "Cl": "#1fa01f", "S": "#c9a800",
    "P": "#f08000", "Si": "#b08d57", "Na": "#8a4fd0", "Li": "#a050c8", "Al": "#9a8f8f", "B": "#e0928c", "Be": "#7fae00",
}  # fmt: skip
SIZES = {"H": 18}
SIZE = 28
FAR = 1.4
"""Times the distance of the outermost atom: longer arrows leave the picture, so that the molecule stays in sight."""
MARGIN = 0.6
"""Angstrom around the outermost atom."""
LOWEST = 1e-17
HEAD = 0.2
"""Angstrom that the cone of an arrow takes."""
BOND = "#d8d8d8"


def molecule_picture(ds: xr.Dataset, arrow: float) -> Figure:
    """Atoms, bonds and arrows in space; below, the error at every angle of the turn and of each motion, and rounding.

    Args:
        ds: with `positions(atom, xyz)`, `forces(atom, xyz)`, `reference(atom, xyz)` (NaN where there is none),
            `symbol(atom)`, `bonded(bond, end)`, `error(motion, element)`, `floor`, `error_here`, `force_mae`, and what
            :func:`workbench.views.orbit.curves` draws. Optional: `vectors(atom, xyz)` or `value(surface, direction)`, a
            feature that is drawn instead of forces, with `feature_error` and `feature_floor`.
        arrow: angstrom for a force of 1 eV/angstrom; features are drawn up to twice as many angstrom.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    require(ds, "molecule view", dims={"error": ("motion", "element"), "floor": (), "alone": ()})
    traces, scene = molecule_in_space(ds, arrow, {"x": [0, 1], "y": list(SPACE)})
    over, axes, names, _ = curves(ds, True, CURVE)
    lines, bottom = _errors(ds)
    legend = {"orientation": "h", "x": 0.0, "y": SPACE[0] - 0.01, "yanchor": "top", "font": {"size": 12}}
    headings = [
        panel_title(_heading(ds), 0.0, 1.01), arrow_scale(arrow, 0.0, SPACE[0]) if drawn_forces(ds) else _scale(arrow),
        panel_title("Error of the forces at every angle of this turn", 0.0, CURVE[1] + 0.01),
    ]  # fmt: skip
    return figure(
        [*traces, *({**one, "showlegend": False} for one in over), *lines], ds, height=820,
        margin={"l": 72, "r": NAMES_PX, "t": 44, "b": 56}, scene=scene, showlegend=True, legend=legend,
        annotations=[*headings, *names], **axes, **bottom,
    )  # fmt: skip


def drawn_forces(ds: xr.Dataset) -> bool:
    """Whether forces are drawn at the atoms, and not a feature."""
    return "vectors" not in ds and "value" not in ds


def molecule_in_space(
    ds: xr.Dataset, arrow: float, domain: dict[str, list[float]], reach: float | None = None
) -> tuple[list[Trace], dict]:
    """Traces of atoms, bonds and arrows, and the scene that they stand in.

    Args:
        ds: with `positions`, `forces`, `reference`, `symbol`, `bonded` as for :func:`molecule_picture`.
        arrow: angstrom for a force of 1 eV/angstrom.
        domain: where on the page the scene is.
        reach: angstrom from its middle to its sides; where not given, as far as this molecule needs.
    """
    each = ("atom", "xyz")
    dims = {"positions": each, "forces": each, "reference": each, "bonded": ("bond", "end"), "symbol": ("atom",)}
    require(ds, "molecule in space", dims=dims)
    where = values(ds, "positions", *each)
    reach = (_reach(ds, where, arrow) if reach is None else reach) + MARGIN
    side = {"range": [-reach, reach], "visible": False}
    scene = {
        "xaxis": side, "yaxis": side, "zaxis": side, "aspectmode": "cube", "domain": domain,
        "camera": {"eye": {"x": 0.72, "y": 0.72, "z": 0.46}},
    }  # fmt: skip
    traces = [_bonds(ds, where), _atoms(ds, where)]
    if "value" in ds:
        traces.append(surfaces(ds, 2 * arrow))
    if "vectors" in ds:
        longest = float(np.linalg.norm(values(ds, "vectors", "atom", "xyz"), axis=1).max())
        traces += _arrows(ds, "vectors", where, 2 * arrow / (longest or 1.0), palette.PINK)
    for name, colour in (("reference", palette.BLUE), ("forces", palette.ORANGE)) if drawn_forces(ds) else ():
        if np.isfinite(values(ds, name)).all():
            traces += _arrows(ds, name, where, arrow, colour)
    return traces, scene


def _reach(ds: xr.Dataset, where: np.ndarray, arrow: float) -> float:
    """Angstrom from the middle to the last atom, or to the end of what is drawn there if that is not far beyond."""
    drawn = [values(ds, name, "atom", "xyz") for name in ("forces", "reference")]
    tips = [where + arrow * force for force in drawn if np.isfinite(force).all()]
    farthest = float(np.linalg.norm(where, axis=1).max())
    if not drawn_forces(ds):
        return farthest + 2 * arrow
    return min(float(np.linalg.norm(np.stack([where, *tips]), axis=-1).max()), max(FAR * farthest, farthest + 1.0))


def _heading(ds: xr.Dataset) -> str:
    off, here, floor = (float(values(ds, name)) for name in ("force_mae", "error_here", "floor"))
    known = f", forces off by {off:.0f} meV/Å" if np.isfinite(off) else ""
    name, lonely = text(ds.attrs["formula"]), int(ds["alone"])
    frame = f" ({text(ds.attrs['frame'])})" if ds.attrs.get("frame") else ""
    told = f"{name}{frame}{known}; equivariance error here {here:.1e}, of rounding alone {floor:.1e}"
    if not drawn_forces(ds):
        words = text(ds.variables["feature"].attrs["long_name"])
        rest, least = (float(values(ds, one)) for one in ("feature_error", "feature_floor"))
        told = f"{name}{frame}: {words}; turns along up to {rest:.1e}, of rounding alone {least:.1e}"
    several = "atoms have" if lonely > 1 else "atom has"
    return (
        told if not lonely else f"{told}<br>{lonely} {several} no neighbour within the cutoff, so no force acts there"
    )


def arrow_scale(arrow: float, x: float, y: float) -> dict[str, Any]:
    """How long an arrow is drawn, in the lower left corner of a scene; `arrow` in angstrom for 1 eV/angstrom."""
    words = f"arrows: {arrow:g} Å for 1 eV/Å"
    return note(words, x, y, xref="paper", yref="paper", xanchor="left", yanchor="bottom")


def _scale(arrow: float) -> dict[str, Any]:
    words = f"the largest is drawn {2 * arrow:g} Å long"
    return note(words, 0.0, SPACE[0], xref="paper", yref="paper", xanchor="left", yanchor="bottom")


def _atoms(ds: xr.Dataset, where: np.ndarray) -> Trace:
    symbols = [str(symbol) for symbol in values(ds, "symbol")]
    return {
        "type": "scatter3d", "mode": "markers", "x": small(where[:, 0]), "y": small(where[:, 1]),
        "z": small(where[:, 2]), "text": [f"{text(s)} {at + 1}" for at, s in enumerate(symbols)],
        "marker": {
            "size": [SIZES.get(s, SIZE) for s in symbols], "color": [COLOURS.get(s, palette.PINK) for s in symbols],
            "opacity": 1.0, "line": {"width": 1, "color": palette.NEUTRAL},
        },
        "hovertemplate": "%{text}: (%{x:.3f}, %{y:.3f}, %{z:.3f}) Å<extra></extra>", "showlegend": False,
    }  # fmt: skip


def _lines(ends: np.ndarray, **more: object) -> Trace:
    """Segments `(S, 2, 3)` as one trace with gaps."""
    gaps = np.concatenate([ends, np.full((len(ends), 1, 3), np.nan)], 1).reshape(-1, 3)
    return {
        "type": "scatter3d", "mode": "lines", "x": small(gaps[:, 0]), "y": small(gaps[:, 1]), "z": small(gaps[:, 2]),
        "hoverinfo": "skip", **more,
    }  # fmt: skip


def _bonds(ds: xr.Dataset, where: np.ndarray) -> Trace:
    pairs = values(ds, "bonded", "bond", "end")
    return _lines(where[pairs].reshape(-1, 2, 3), line={"width": 9, "color": BOND}, showlegend=False)


def _arrows(ds: xr.Dataset, name: str, where: np.ndarray, arrow: float, colour: str) -> list[Trace]:
    force = values(ds, name, "atom", "xyz")
    tips = where + arrow * force
    words = text(ds.variables[name].attrs.get("long_name", name))
    shafts = _lines(np.stack([where, tips], 1), line={"width": 6, "color": colour}, name=words, showlegend=True)
    size = np.linalg.norm(force, axis=1, keepdims=True)
    head = HEAD * force / np.where(size > 0, size, 1.0)
    units = "" if ds.variables[name].attrs["units"] == "1" else " eV/Å"
    tell = [f"{words} {np.linalg.norm(one):.2f}{units}" for one in force]
    heads = {
        "type": "cone", "x": small(tips[:, 0]), "y": small(tips[:, 1]), "z": small(tips[:, 2]),
        "u": small(head[:, 0]), "v": small(head[:, 1]), "w": small(head[:, 2]), "anchor": "tip", "sizemode": "raw",
        "sizeref": 1.0, "showscale": False,
        "colorscale": [[0, colour], [1, colour]], "text": tell, "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip
    return [shafts, heads]


def _errors(ds: xr.Dataset) -> tuple[list[Trace], dict]:
    error = values(ds, "error", "motion", "element")
    names = [text(name) for name in values(ds, "motion")]
    floor = max(float(values(ds, "floor")), LOWEST)
    drawn = np.maximum(error, LOWEST)
    spread = np.linspace(-0.25, 0.25, error.shape[1]) if error.shape[1] > 1 else np.zeros(1)
    places = (np.arange(len(names))[:, None] + spread).ravel()
    dots = {
        "type": "scatter", "mode": "markers", "x": small(places), "y": small(drawn.ravel()), "showlegend": False,
        "xaxis": "x2", "yaxis": "y2",
        "marker": {"size": 7, "color": palette.BLUE}, "customdata": np.repeat(names, error.shape[1]).tolist(),
        "hovertemplate": "%{customdata}: %{y:.1e}<extra></extra>", "name": label(ds, "error"),
    }  # fmt: skip
    line = {
        "type": "scatter", "mode": "lines", "x": small([-0.5, len(names) - 0.5]), "y": small([floor, floor]),
        "xaxis": "x2", "yaxis": "y2",
        "line": {"dash": "dot", "color": palette.NEUTRAL, "width": 1.5}, "name": label(ds, "floor"),
        "hovertemplate": "rounding: %{y:.1e}<extra></extra>", "showlegend": True,
    }  # fmt: skip
    positive = np.log10(np.append(error[error > LOWEST], floor))
    low, high = np.floor(positive.min()) - 0.2, max(0.2, np.ceil(positive.max()) + 0.2)
    ticks = {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": names, "showgrid": False}
    axes = {
        "xaxis2": axis("motion", anchor="y2", range=[-0.5, len(names) - 0.5], **ticks),
        "yaxis2": axis("relative error", domain=list(ERRORS), anchor="x2", type="log", range=[low, high],
                       exponentformat="power", tickfont={"size": 9}, dtick=max(1, int((high - low) // 3))),
    }  # fmt: skip
    return [dots, line], axes
