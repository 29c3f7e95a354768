"""One relaxed layer in three pictures: its filters over the image, its matrix, its extremes; and a training of some."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import (
    Figure,
    Trace,
    axis,
    bare_axis,
    figure,
    label,
    note,
    panel_title,
    require,
    small,
    text,
    values,
)
from workbench.views.mosaic import outline, signed, tiles

COLUMNS = ((0.0, 0.31), (0.38, 0.69), (0.75, 1.0))
MOVES = {"shifts": palette.PINK, "quarter turns": palette.BLUE, "both": palette.GREEN}
"""Colours of the present points in the triangle."""
SYMBOLS = {"shifts": "circle", "quarter turns": "square", "both": "diamond"}
CORNERS = {"linear": (0.5, 3**0.5 / 2), "equivariant": (0.0, 0.0), "invariant": (1.0, 0.0)}
"""Where the three extremes lie; each is one share, the three of a point sum to 1."""


def relaxed_picture(ds: xr.Dataset) -> Figure:
    """The filters at some places, the matrix of the layer, and its place between linear, equivariant and invariant.

    Args:
        ds: with `shown(row, column, y, x)`, `matrix(output, input)` as shares of the largest entry, and for each kind
            of move `share(about, extreme)`, `path(about, dial, extreme)`, `equivariance_error(about)` and
            `invariance_error(about)`; the scalar `rank`. The attributes `framed_row` and `framed_column` say which
            filter is framed.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    dims: dict[str, tuple[str, ...]] = {
        "shown": ("row", "column", "y", "x"), "matrix": ("output", "input"), "share": ("about", "extreme"),
        "path": ("about", "dial", "extreme"), "equivariance_error": ("about",), "invariance_error": ("about",),
        "rank": (),
    }  # fmt: skip
    require(ds, "relaxed view", dims=dims)
    atlas, frames = _atlas(ds)
    moves = [text(name) for name in values(ds, "about")]
    errors = values(ds, "equivariance_error")
    words = (
        label(ds, "shown"),
        f"Its matrix: rank {float(values(ds, 'rank')):.0f} of {min(ds.sizes['output'], ds.sizes['input'])}",
        f"Equivariance error {errors[0]:.3f}" if len(moves) == 1 else "Three extremes",
    )
    headings = [panel_title(one, domain[0], 1.02) for one, domain in zip(words, COLUMNS, strict=True)]
    triangle, notes = _triangle(ds)
    layout = {
        "xaxis": bare_axis(domain=list(COLUMNS[0]), constrain="domain", constraintoward="left"),
        "yaxis": bare_axis(domain=[0, 1], autorange="reversed", scaleanchor="x", constrain="domain",
                           constraintoward="top"),
        "xaxis2": axis(label(ds, "input"), domain=list(COLUMNS[1]), anchor="y2", showgrid=False, constrain="domain",
                       constraintoward="left"),
        "yaxis2": axis(label(ds, "output"), domain=[0, 1], anchor="x2", autorange="reversed", scaleanchor="x2",
                       scaleratio=ds.sizes["input"] / ds.sizes["output"], showgrid=False, constrain="domain",
                       constraintoward="top"),
        "xaxis3": bare_axis(domain=list(COLUMNS[2]), anchor="y3", range=[-0.22, 1.22]),
        "yaxis3": bare_axis(domain=[0, 1], anchor="x3", range=[-0.2, 1.1], scaleanchor="x3"),
    }  # fmt: skip
    return figure(
        [atlas, _matrix(ds), *triangle], ds, height=410, margin={"l": 20, "r": 20, "t": 52, "b": 56},
        annotations=[*headings, *notes], shapes=frames, **layout,
    )  # fmt: skip


def playback_picture(ds: xr.Dataset) -> Figure:
    """The filters at one moment of a training, and the course of dials and of filters, beside another training.

    Args:
        ds: with `shown(row, column, y, x)`, `dial_course(run, epoch, layer)`, `drift_course(run, snapshot, layer)`,
            the coordinate `snapshot_epoch(snapshot)` and the scalars `epoch_shown` and `layer_shown`; the first run is
            the one that is shown.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    dims: dict[str, tuple[str, ...]] = {
        "shown": ("row", "column", "y", "x"), "dial_course": ("run", "epoch", "layer"),
        "drift_course": ("run", "snapshot", "layer"), "epoch_shown": (), "layer_shown": (),
    }  # fmt: skip
    require(ds, "playback view", dims=dims)
    atlas, frames = _atlas(ds)
    epoch, layer = int(values(ds, "epoch_shown")), int(values(ds, "layer_shown"))
    dials = _courses(ds, "dial_course", "epoch", 2)
    drifts = _courses(ds, "drift_course", "snapshot_epoch", 3)
    headings = [
        panel_title(f"Layer {layer}, {label(ds, 'shown')}", COLUMNS[0][0], 1.02),
        panel_title(f"The dials, epoch {epoch}", COLUMNS[1][0], 1.02),
        panel_title("Change of the filters", 0.76, 1.02),
    ]
    tops = [1.08 * max(float(np.nanmax(values(ds, name))), 1e-3) for name in ("dial_course", "drift_course")]
    cursors = [
        {"type": "line", "xref": f"x{at}", "yref": f"y{at} domain", "x0": epoch, "x1": epoch, "y0": 0, "y1": 1,
         "line": {"color": palette.PINK, "width": 1.5, "dash": "dot"}}
        for at in (2, 3)
    ]  # fmt: skip
    layout = {
        "xaxis": bare_axis(domain=list(COLUMNS[0]), constrain="domain", constraintoward="left"),
        "yaxis": bare_axis(domain=[0, 1], autorange="reversed", scaleanchor="x", constrain="domain",
                           constraintoward="top"),
        "xaxis2": axis("epoch", domain=list(COLUMNS[1]), anchor="y2"),
        "yaxis2": axis("", domain=[0, 1], anchor="x2", range=[0, tops[0]]),
        "xaxis3": axis("epoch", domain=[0.76, 1.0], anchor="y3"),
        "yaxis3": axis("", domain=[0, 1], anchor="x3", range=[0, tops[1]]),
    }  # fmt: skip
    runs = [text(name) for name in values(ds, "run")]
    words = f"<b>{runs[0]}</b>: solid, layer {layer} thick" + (f"; {runs[1]}: dashed" if len(runs) > 1 else "")
    under = note(words, 1.0, 0.0, xref="paper", yref="paper", xanchor="right", yanchor="top", yshift=-40)
    return figure(
        [atlas, *dials, *drifts], ds, height=410, margin={"l": 20, "r": 20, "t": 52, "b": 72},
        annotations=[*headings, under], shapes=[*frames, *cursors], **layout,
    )  # fmt: skip


def _courses(ds: xr.Dataset, name: str, along: str, number: int) -> list[Trace]:
    """A line for each layer of each run: colours by layer, solid for the run that is shown, dashed for the other."""
    shown = int(values(ds, "layer_shown")) - 1
    traces: list[Trace] = []
    for run, one in enumerate(values(ds, name)):
        words = text(values(ds, "run")[run])
        for layer in range(one.shape[1]):
            line = {
                "color": palette.SERIES[layer % len(palette.SERIES)],
                "dash": "dash" if run else "solid",
                "width": 3 if layer == shown and not run else 1.5,
            }
            traces.append(
                {
                    "type": "scatter", "mode": "lines", "x": small(values(ds, along)), "y": small(one[:, layer]),
                    "xaxis": f"x{number}", "yaxis": f"y{number}", "name": f"{words}, layer {layer + 1}", "line": line,
                    "hovertemplate": f"{words}, layer {layer + 1}, epoch %{{x:.0f}}: %{{y:.3f}}<extra></extra>",
                }
            )  # fmt: skip
    return traces


def _atlas(ds: xr.Dataset) -> tuple[Trace, list[dict]]:
    shown = values(ds, "shown", "row", "column", "y", "x")
    _, _, height, width = shown.shape
    trace = signed(tiles(shown), 1.0, hovertemplate="weight %{z:.3f} of the largest<extra></extra>")
    row, column = int(ds.attrs["framed_row"]), int(ds.attrs["framed_column"])
    return trace, [outline(row, column, height, width, palette.PINK)]


def _matrix(ds: xr.Dataset) -> Trace:
    places = {"xaxis": "x2", "yaxis": "y2"}
    hover = "from input %{x} to output %{y}: %{z:.3f} of the largest<extra></extra>"
    return signed(values(ds, "matrix", "output", "input"), 1.0, hovertemplate=hover, **places)


def _triangle(ds: xr.Dataset) -> tuple[list[Trace], list[dict]]:
    """A triangle of the three extremes, the ways that the dials lead through it, and the present points."""
    names = [str(name) for name in values(ds, "extreme")]
    corners = np.array([CORNERS[name] for name in names])
    edge = np.array([*CORNERS.values(), CORNERS["linear"]])
    common = {"type": "scatter", "xaxis": "x3", "yaxis": "y3"}
    traces: list[Trace] = [
        {**common, "x": small(edge[:, 0]), "y": small(edge[:, 1]), "mode": "lines", "hoverinfo": "skip",
         "line": {"color": palette.NEUTRAL, "width": 1.5}},
    ]  # fmt: skip
    moves = [str(name) for name in values(ds, "about")]
    ways, heres = values(ds, "path", "about", "dial", "extreme"), values(ds, "share", "about", "extreme")
    equivariance, invariance = values(ds, "equivariance_error"), values(ds, "invariance_error")
    lines = []
    for at, move in enumerate(moves):
        way, here = ways[at] @ corners, heres[at] @ corners
        colour = MOVES.get(move, palette.NEUTRAL)
        shares = ", ".join(f"{text(n)} {s:.2f}" for n, s in zip(names, heres[at], strict=True))
        traces += [
            {**common, "x": small(way[:, 0]), "y": small(way[:, 1]), "mode": "lines+markers",
             "name": "way" if at == 0 else f"way of {text(move)}", "line": {"color": colour, "width": 1, "dash": "dot"},
             "marker": {"size": 4, "color": colour}, "customdata": small(values(ds, "dial")),
             "hovertemplate": f"{text(move)}, dial at %{{customdata:.2f}}<extra></extra>"},
            {**common, "x": small(here[:1]), "y": small(here[1:]), "mode": "markers",
             "name": "here" if at == 0 else f"here, {text(move)}",
             "marker": {"size": 13, "color": colour, "symbol": SYMBOLS.get(move, "x")},
             "hovertemplate": f"{text(move)}: {shares}<extra></extra>"},
        ]  # fmt: skip
        lines.append((text(move), colour, float(equivariance[at]), float(invariance[at])))
    anchors = {"linear": ("center", "bottom"), "equivariant": ("center", "top"), "invariant": ("center", "top")}
    notes = [
        note(text(name), x, y, xref="x3", yref="y3", xanchor=anchors[name][0], yanchor=anchors[name][1])
        for name, (x, y) in CORNERS.items()
    ]
    if len(lines) == 1:
        words = f"invariance error {lines[0][3]:.3f}"
        return traces, [*notes, note(words, 0.5, -0.2, xref="x3", yref="y3", font={"size": 12})]
    told = [("errors: equivariance, invariance", palette.NEUTRAL)]
    told += [(f"{move}: {e:.3f}, {i:.3f}", colour) for move, colour, e, i in lines]
    for at, (words, colour) in enumerate(told):
        place = {"xref": "x3", "yref": "y3", "yanchor": "top", "font": {"size": 11, "color": colour}}
        notes.append(note(words, 0.5, 0.0, yshift=-22 - 15 * at, **place))
    return traces, notes
