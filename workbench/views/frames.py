"""A molecule with its principal axes, what networks answer while it is squeezed and turned, and faults of frames."""

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
from workbench.views.molecule import COLOURS, SIZES

LEFT, RIGHT = (0.0, 0.42), (0.56, 1.0)
TOP, LOW = (0.58, 0.96), (0.0, 0.36)
LOWEST = 1e-17
"""Gaps below are drawn there: they are rounding."""
HALF = 0.5


def frames_picture(ds: xr.Dataset) -> Figure:
    """The molecule and its axes; gap and answers by squeeze; answers by turn.

    Args:
        ds: what :func:`workbench.explorers.frames.frames_dataset` returns.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    dims = {
        "positions": ("atom", "xyz"), "axes": ("axis", "xyz"), "bonded": ("bond", "end"), "answer": ("way", "squeeze"),
        "gap": ("squeeze",), "answer_turned": ("way", "turn_deg"),
    }  # fmt: skip
    require(ds, "view of frames", dims=dims)
    squeeze, turn = float(values(ds, "squeeze_shown")), float(values(ds, "turn_shown_deg"))
    reach = 0.3 + float(np.linalg.norm(values(ds, "positions", "atom", "xyz"), axis=1).max())
    side, log = {"visible": False, "range": [-reach, reach]}, {"type": "log", "dtick": 1, "exponentformat": "power"}
    words = (
        (f"{text(ds.attrs.get('formula', ''))}, squeezed by {squeeze:.3g}", LEFT, TOP),
        (f"Change of the answers, turned by {degrees(turn)}", RIGHT, TOP),
        ("Gap of the principal axes", LEFT, LOW),
        (f"Answers, squeezed by {squeeze:.3g}", RIGHT, LOW),
    )
    layout = {
        "scene": {
            "domain": {"x": list(LEFT), "y": list(TOP)}, "aspectmode": "cube", "uirevision": "molecule",
            "camera": {"eye": {"x": 0.8, "y": 0.8, "z": 0.55}}, **{f"{one}axis": side for one in "xyz"},
        },
        "xaxis": axis(label(ds, "squeeze"), domain=list(RIGHT), anchor="y"),
        "yaxis": axis(label(ds, "answer"), domain=list(TOP), anchor="x"),
        "xaxis2": axis(label(ds, "squeeze"), domain=[0.09, LEFT[1]], anchor="y2"),
        "yaxis2": axis("share of their sum", domain=list(LOW), anchor="x2", **log),
        "xaxis3": axis(label(ds, "turn_deg"), domain=list(RIGHT), anchor="y3", range=[0, 360], dtick=90),
        "yaxis3": axis(label(ds, "answer_turned"), domain=list(LOW), anchor="x3"),
    }  # fmt: skip
    return figure(
        [*_molecule(ds), *_answers(ds, "answer", "squeeze", "", True), _gap(ds),
         *_answers(ds, "answer_turned", "turn_deg", "3", False)],
        ds, height=680, margin={"l": 24, "r": 20, "t": 40, "b": 100}, showlegend=True,
        legend={"orientation": "h", "x": 0.0, "y": -0.13, "yanchor": "top", "font": {"size": 11}},
        annotations=[panel_title(said, across[0], down[1] + 0.012) for said, across, down in words],
        shapes=[_cursor(squeeze, ""), _cursor(squeeze, "2"), _cursor(turn, "3")], **layout,
    )  # fmt: skip


def faults_picture(ds: xr.Dataset) -> Figure:
    """Three faults of principal frames: species without them, a jump, slopes that grow as gaps close.

    Args:
        ds: with `gap(species)`, `pose_left(species, draw)`, `answer(stretch, draw)` and `slope(made, draw)`, as
            :func:`workbench.training.frame_faults.frame_faults` returns them; `smallest_gap`, where a line stands; and
            how many species lie `without` axes below it, and in how many of these the pose is `felt`.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    dims = {
        "gap": ("species",), "pose_left": ("species", "draw"), "answer": ("stretch", "draw"), "slope": ("made", "draw"),
        "smallest_gap": (), "without": (), "felt": (),
    }  # fmt: skip
    require(ds, "view of frame faults", dims=dims)
    log = {"type": "log", "exponentformat": "power", "dtick": 2}
    gap, left = values(ds, "gap"), values(ds, "pose_left", "species", "draw")
    counted = gap < float(ds["smallest_gap"])
    dots = {
        "type": "scatter", "mode": "markers", "x": small(gap.clip(LOWEST)), "y": small(np.median(left, 1)),
        "text": [text(one) for one in values(ds, "species")],
        "marker": {
            "color": [palette.ORANGE if one else palette.BLUE for one in counted], "size": 7,
            "symbol": ["circle" if one else "circle-open" for one in counted],
        },
        "hovertemplate": "%{text}: gap %{x:.1e}, left %{y:.1e}<extra></extra>",
    }  # fmt: skip
    jumps = [
        {"type": "scatter", "mode": "lines+markers", "x": small(values(ds, "stretch")), "y": small(one),
         "xaxis": "x2", "yaxis": "y2", "marker": {"size": 4},
         "line": {"color": palette.SERIES[at % 4], "dash": palette.DASHES[at // 4 % 4]},
         "hovertemplate": f"network {at}: %{{y:.3f}}<extra></extra>"}
        for at, one in enumerate(values(ds, "answer", "draw", "stretch"))
    ]  # fmt: skip
    slopes = [
        {"type": "scatter", "mode": "lines+markers", "x": small(values(ds, "made")), "y": small(one),
         "xaxis": "x3", "yaxis": "y3", "marker": {"size": 6},
         "line": {"color": palette.SERIES[at % 4], "dash": palette.DASHES[at // 4 % 4]},
         "hovertemplate": f"network {at}: %{{y:.3g}}<extra></extra>"}
        for at, one in enumerate(values(ds, "slope", "draw", "made"))
    ]  # fmt: skip
    without, felt = int(ds["without"]), int(ds["felt"])
    titles = (
        (f"{without} of {len(gap)} molecules have no axes; in {felt} of them the pose is felt", 0.0, 1.12),
        ("Pose left in the answer, float32", 0.0, 1.02), ("Stretched past equal axes", 0.38, 1.02),
        ("Gradient by gap", 0.74, 1.02),
    )  # fmt: skip
    return figure(
        [dots, *jumps, *slopes], ds, height=420, margin={"l": 64, "r": 16, "t": 80, "b": 60}, showlegend=False,
        annotations=[panel_title(said, x, y) for said, x, y in titles],
        shapes=[_cursor(float(ds["smallest_gap"]), "")],
        xaxis=axis("gap of the eigenvalues", domain=[0, 0.28], **(log | {"dtick": 4})),
        yaxis=axis("share of the bare network's", **log),
        xaxis2=axis(label(ds, "stretch"), domain=[0.38, 0.64], anchor="y2"),
        yaxis2=axis(label(ds, "answer"), anchor="x2"),
        xaxis3=axis(label(ds, "made"), domain=[0.74, 1], anchor="y3", **log),
        yaxis3=axis(label(ds, "slope"), anchor="x3", **log),
    )  # fmt: skip


def _molecule(ds: xr.Dataset) -> list[Trace]:
    where = values(ds, "positions", "atom", "xyz")
    pairs = where[values(ds, "bonded", "bond", "end")].reshape(-1, 2, 3)
    symbols = [text(one) for one in values(ds, "symbol")]
    atoms = {
        **_points(where), "mode": "markers", "text": symbols, "showlegend": False,
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "size": [HALF * SIZES.get(one, 28) for one in symbols], "opacity": 1.0,
            "color": [COLOURS.get(one, palette.PINK) for one in symbols],
        },
    }  # fmt: skip
    sticks = {**_segments(pairs), "line": {"width": 5, "color": palette.NEUTRAL}, "showlegend": False}
    made = [sticks, atoms]
    for at, one in enumerate(values(ds, "axes", "axis", "xyz")):
        made.append({
            **_segments(np.stack([-one, one])[None]), "line": {"width": 7, "color": palette.SERIES[at]},
            "name": f"axis {at + 1}", "showlegend": False,
        })  # fmt: skip
    return made


def _points(where: np.ndarray) -> Trace:
    return {"type": "scatter3d", **{one: small(each) for one, each in zip("xyz", where.T, strict=True)}}


def _segments(ends: np.ndarray) -> Trace:
    """Segments `(S, 2, 3)` as one trace with gaps."""
    gaps = np.concatenate([ends, np.full((len(ends), 1, 3), np.nan)], 1).reshape(-1, 3)
    return {**_points(gaps), "mode": "lines", "hoverinfo": "skip"}


def _answers(ds: xr.Dataset, name: str, over: str, where: str, legend: bool) -> list[Trace]:
    x = small(values(ds, over))
    return [
        {
            "type": "scatter", "mode": "lines", "x": x, "y": small(one), "name": text(way), "showlegend": legend,
            "legendgroup": text(way), "xaxis": f"x{where}", "yaxis": f"y{where}",
            "line": {"color": palette.SERIES[at], "width": 2, "dash": palette.DASHES[at]},
            "hovertemplate": f"{text(way)}: %{{y:.4f}}<extra></extra>",
        }
        for at, (way, one) in enumerate(zip(values(ds, "way"), values(ds, name, "way", over), strict=True))
    ]  # fmt: skip


def _gap(ds: xr.Dataset) -> Trace:
    gap = values(ds, "gap")
    return {
        "type": "scatter", "mode": "lines", "x": small(values(ds, "squeeze")), "y": small(gap.clip(LOWEST)),
        "showlegend": False, "line": {"color": palette.NEUTRAL, "width": 2, "dash": "dash"}, "xaxis": "x2",
        "yaxis": "y2", "hovertemplate": "%{x:.3f}: %{y:.1e}<extra></extra>", "name": label(ds, "gap"),
    }  # fmt: skip


def _cursor(at: float, where: str) -> dict:
    return {
        "type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "xref": f"x{where}", "yref": f"y{where} domain",
        "line": {"color": palette.PINK, "width": 1.5, "dash": "dot"},
    }  # fmt: skip
