"""Answers at every angle and scale before and after a picture moves, and how far layers are from moving them along."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import frame, palette
from workbench.views.frame import Figure, Trace, axis, bare_axis, degrees, label, note, panel_title, small, text, values
from workbench.views.mosaic import colour_bar, magnitude, signed
from workbench.views.orbit import NAMES_PX, curves

MAPS, TURNS, SIZES = (0.70, 0.98), (0.29, 0.57), (0.0, 0.16)
PICTURE, UPRIGHT, MOVED = (0.0, 0.19), (0.335, 0.62), (0.715, 1.0)
BEYOND = 1.4
"""Steps of scale that the maps show past both ends of the list."""
LOWEST = 1e-3
MARKS = (("start", "3", "circle"), ("found", "4", "circle"), ("expected", "4", "x"))
LIGHT = palette.SEQUENTIAL[-1][1]
"""Beside the pink of the marks: seen on either end of the colours of a map and on either page."""


def pose_picture(ds: xr.Dataset) -> Figure:
    """The picture, both maps of poses, and below the errors at every angle and at every step of scale.

    Args:
        ds: with `picture(y, x)`, `upright(scale, angle)` and `moved(scale, angle)` as shares of the largest answer,
            `pose_angle_deg(angle)`, `pose_factor(scale)`, the scalars `block_low`, `block_high`, `block_steps`,
            `angle_shown_deg`, `factor_shown`, and `_deg` and `_factor` of `start`, `expected` and `found`, NaN where
            none is left; and what :func:`workbench.measure.poses.pose_error` returns.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    maps = {name: ("scale", "angle") for name in ("upright", "moved")}
    over = {"picture": ("y", "x"), "inside": ("model", "step"), "ends": ("model", "step"), "factor": ("step",)}
    frame.require(ds, "view of poses", dims={**maps, **over, "pose_factor": ("scale",), "pose_angle_deg": ("angle",)})
    turning, layout, names, shapes = curves(ds, True, TURNS)
    picture = values(ds, "picture", "y", "x")
    low, high = float(picture.min()), float(max(picture.max(), picture.min() + 1e-6))
    hover = "%{customdata}<br>%{z:.3f} of the largest<extra></extra>"
    bar = colour_bar("share of the largest", MOVED[1] + 0.005, sum(MAPS) / 2, MAPS[1] - MAPS[0])
    told = _told(ds)
    heat = [
        magnitude(picture, low, high, xaxis="x2", yaxis="y2", hovertemplate="%{z:.2f}<extra></extra>"),
        signed(values(ds, "upright", "scale", "angle"), 1.0, xaxis="x3", yaxis="y3", customdata=told,
               hovertemplate=hover),
        signed(values(ds, "moved", "scale", "angle"), 1.0, xaxis="x4", yaxis="y4", customdata=told,
               hovertemplate=hover, showscale=True, colorbar=bar),
    ]  # fmt: skip
    marks = [_mark(ds, *one) for one in MARKS]
    angle, factor = (float(values(ds, name)) for name in ("angle_shown_deg", "factor_shown"))
    words = (
        (f"turned {degrees(angle)},<br>{factor:.2f} times", PICTURE, MAPS),
        (label(ds, "upright"), UPRIGHT, MAPS),
        (label(ds, "moved"), MOVED, MAPS),
        ("Error at every angle, pictures drawn anew", (0.0, 1.0), TURNS),
        (
            f"Error at every step of scale; hollow: {text(values(ds, 'model')[0])} at the ends of the list",
            (0, 1),
            SIZES,
        ),
    )
    headings = [panel_title(said, across[0], down[1] + 0.012) for said, across, down in words]
    return frame.figure(
        [*heat, *marks, *turning, *_growing(ds)], ds, height=810, margin={"l": 72, "r": NAMES_PX, "t": 50, "b": 60},
        annotations=[*headings, *names, *_ends(ds)], shapes=[*shapes, *_limits(ds), _cursor(factor)],
        **layout, **_axes(ds),
    )  # fmt: skip


def _axes(ds: xr.Dataset) -> dict:
    factors, angles = values(ds, "pose_factor"), values(ds, "pose_angle_deg")
    made: dict = {
        "xaxis2": bare_axis(domain=list(PICTURE), anchor="y2", constrain="domain", constraintoward="left"),
        "yaxis2": bare_axis(domain=list(MAPS), anchor="x2", autorange="reversed", scaleanchor="x2", constrain="domain",
                            constraintoward="top"),
    }  # fmt: skip
    step = max(1, len(angles) // 4)
    shown = np.arange(0, len(angles), step)
    for number, across in (("3", UPRIGHT), ("4", MOVED)):
        made[f"xaxis{number}"] = axis(
            label(ds, "pose_angle_deg"), domain=list(across), anchor=f"y{number}", showgrid=False, tickmode="array",
            tickvals=small(shown), ticktext=[degrees(angles[at]) for at in shown], range=[-0.5, len(angles) - 0.5],
        )  # fmt: skip
        made[f"yaxis{number}"] = axis(
            label(ds, "pose_factor") if number == "3" else "", domain=list(MAPS), anchor=f"x{number}", showgrid=False,
            tickmode="array", tickvals=small(np.arange(len(factors))), ticktext=[f"{one:.2f}" for one in factors],
            range=[-0.5 - BEYOND, len(factors) - 0.5 + BEYOND],
        )  # fmt: skip
    steps = values(ds, "factor")
    ends = max(float(np.log10(steps.max())), 0.01) * 1.08
    every = np.concatenate([steps[steps < 1], [1.0], steps[steps > 1]])
    found = np.concatenate([values(ds, "inside").ravel(), values(ds, "ends").ravel()])
    highest = np.log10(max(1.0, 1.5 * float(np.nanmax(found))))
    made["xaxis5"] = axis(
        label(ds, "factor"), domain=[0.0, 1.0], anchor="y5", type="log", range=[-ends, ends], showgrid=False,
        tickmode="array", tickvals=every, ticktext=[f"{one:.2f}" for one in every],
    )  # fmt: skip
    made["yaxis5"] = axis(
        "relative error", domain=list(SIZES), anchor="x5", type="log", dtick=1, exponentformat="power",
        range=[np.log10(LOWEST) - 0.1, highest], tickfont={"size": 9},
    )  # fmt: skip
    return made


def _told(ds: xr.Dataset) -> np.ndarray:
    """Angle and scale of each cell in words."""
    factors, angles = values(ds, "pose_factor"), values(ds, "pose_angle_deg")
    return np.array([[f"{degrees(angle)}, scale {factor:.2f}" for angle in angles] for factor in factors])


def _mark(ds: xr.Dataset, name: str, number: str, symbol: str) -> Trace:
    factors, count = values(ds, "pose_factor"), len(values(ds, "pose_angle_deg"))
    factor, angle = float(values(ds, f"{name}_factor")), float(values(ds, f"{name}_deg"))
    left = np.isfinite(factor)
    column = (angle * count / 360 + 0.5) % count - 0.5
    row = np.log(factor / factors[0]) / np.log(factors[-1] / factors[0]) * (len(factors) - 1)
    words = f"{label(ds, f'{name}_factor').partition(':')[0]}: {degrees(angle)}, scale {factor:.2f}" if left else "none"
    size, fill, width, rim = (16, LIGHT, 2.4, palette.PINK) if symbol == "circle" else (9, palette.PINK, 1, LIGHT)
    return {
        "type": "scatter", "mode": "markers", "x": small([column] if left else []), "y": small([row] if left else []),
        "xaxis": f"x{number}", "yaxis": f"y{number}", "name": words, "hovertemplate": f"{text(words)}<extra></extra>",
        "marker": {"symbol": symbol, "size": size, "color": fill, "line": {"width": width, "color": rim}},
    }  # fmt: skip


def _limits(ds: xr.Dataset) -> list[dict]:
    """The frame of the list on both maps, and that of the answers which are in the list before and after."""
    last, end = len(values(ds, "pose_factor")) - 0.5, len(values(ds, "pose_angle_deg")) - 0.5
    low, high, steps = (float(values(ds, f"block_{name}")) for name in ("low", "high", "steps"))
    made = []
    for number, up in (("3", 0.0), ("4", steps)):
        place = {"type": "rect", "x0": -0.5, "x1": end, "xref": f"x{number}", "yref": f"y{number}"}
        made.append({**place, "y0": -0.5, "y1": last, "line": {"color": palette.NEUTRAL, "width": 1}})
        if high + 0.5 >= low:
            line = {"color": palette.PINK, "width": 2, "dash": "dot"}
            made.append({**place, "y0": low + up - 0.5, "y1": high + up + 0.5, "line": line})
    return made


def _ends(ds: xr.Dataset) -> list[dict]:
    """What lies past the frame, in words."""
    last = len(values(ds, "pose_factor")) - 1
    middle = (len(values(ds, "pose_angle_deg")) - 1) / 2
    places = ((last + 0.5 + 0.75 * BEYOND, "larger than the list"), (-0.5 - 0.75 * BEYOND, "smaller than the list"))
    return [
        note(words, middle, row, xref=f"x{number}", yref=f"y{number}", font={"size": 10})
        for number in "34" for row, words in places
    ]  # fmt: skip


def _cursor(factor: float) -> dict:
    """Where the shown scale lies among the steps."""
    return {"type": "line", "x0": factor, "x1": factor, "xref": "x5", "y0": SIZES[0], "y1": SIZES[1], "yref": "paper",
            "line": {"width": 1.5, "dash": "dot", "color": palette.NEUTRAL}}  # fmt: skip


def _growing(ds: xr.Dataset) -> list[Trace]:
    """Errors inside the list of every layer, and of the first one at its ends, against the input's scale."""
    factor = values(ds, "factor")
    made = []
    rows = [("inside", at, str(name)) for at, name in enumerate(values(ds, "model"))]
    for kind, at, name in [("ends", 0, rows[0][2]), *rows[::-1]]:
        numbers = values(ds, kind, "model", "step")[at]
        drawn, line, inside = np.isfinite(numbers), palette.series(at), kind == "inside"
        words = f"{text(name)}, {'inside' if inside else 'at the ends of'} the list"
        made.append({
            "type": "scatter", "mode": "lines+markers", "x": small(factor[drawn]), "xaxis": "x5", "yaxis": "y5",
            "y": small(numbers[drawn].clip(LOWEST)), "name": words,
            "line": {**line, "width": 2.4 if inside and not at else 1.4, **({} if inside else {"dash": "dot"})},
            "marker": {"symbol": "circle" if inside else "circle-open", "size": 8 if not at else 5,
                       "color": line["color"]},
            "hovertemplate": f"{words}, %{{x:.2f}} times: %{{y:.3f}}<extra></extra>",
        })  # fmt: skip
    return made
