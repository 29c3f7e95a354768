"""The panels beside a strip of kernels: the function behind one, its spectrum, its symmetry, numbers of all layers."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import Trace, axis, bare_axis, label, note, require, small, text, values
from workbench.views.mosaic import signed, tiles

SIDE = (0.72, 1.0)
NYQUIST = 0.5
"""Cycles per pixel that a grid of pixels holds along an axis, at most."""
Panel = tuple[list[Trace], dict, list[dict], str]
"""Traces, axes, notes and the heading; all empty where the Dataset lacks what is drawn."""


def surface(ds: xr.Dataset, number: int, domain: tuple[float, float]) -> Panel:
    """The continuous function that the taps of the first kernel are read from."""
    if "surface" not in ds:
        return [], {}, [], ""
    require(ds, "kernel view", dims={"surface": ("fine_y", "fine_x")})
    trace = signed(
        values(ds, "surface", "fine_y", "fine_x"),
        float(values(ds, "limit")),
        x=small(values(ds, "fine_x")),
        y=small(values(ds, "fine_y")),
        xaxis=f"x{number}",
        yaxis=f"y{number}",
        hovertemplate="x %{x:.2f}, y %{y:.2f}<br>weight %{z:.4f}<extra></extra>",
    )
    layout = {
        f"xaxis{number}": bare_axis(domain=list(SIDE), anchor=f"y{number}", constrain="domain", constraintoward="left"),
        f"yaxis{number}": bare_axis(domain=list(domain), anchor=f"x{number}", scaleanchor=f"x{number}"),
    }
    return [trace], layout, [], label(ds, "surface")


def power(ds: xr.Dataset, number: int, domain: tuple[float, float]) -> Panel:
    """The share of the kernel's power at each spatial frequency."""
    if "power" not in ds:
        return [], {}, [], ""
    require(ds, "kernel view", dims={"power": ("frequency",)})
    trace = {
        "type": "bar",
        "x": small(values(ds, "frequency")),
        "y": small(values(ds, "power")),
        "xaxis": f"x{number}",
        "yaxis": f"y{number}",
        "marker": {"color": palette.BLUE, "line": {"width": 0}},
        "hovertemplate": "%{x:.2f} cycles per pixel: %{y:.1%}<extra></extra>",
    }
    layout = {
        f"xaxis{number}": axis(label(ds, "frequency"), domain=list(SIDE), anchor=f"y{number}", showgrid=False),
        f"yaxis{number}": axis(
            "", domain=list(domain), anchor=f"x{number}", tickformat=".0%", rangemode="tozero", nticks=4
        ),
        "bargap": 0.25,
    }
    lines: list[Trace] = []
    notes = []
    top = 1.08 * float(values(ds, "power").max())
    told = {"most that pixels hold": (NYQUIST, "dot", palette.NEUTRAL, "limit")}
    if "bandwidth" in ds:
        told["95 % of the power"] = (float(values(ds, "bandwidth")), "dash", palette.ORANGE, "95 %")
    for words, (at, dash, colour, short) in told.items():
        lines.append(
            {
                "type": "scatter", "mode": "lines", "x": small([at, at]), "y": small([0, top]), "xaxis": f"x{number}",
                "yaxis": f"y{number}", "name": short, "line": {"color": colour, "width": 1.5, "dash": dash},
                "hovertemplate": f"{words}: %{{x:.2f}} cycles per pixel<extra></extra>",
            }
        )  # fmt: skip
        left = short == "95 %" and at < NYQUIST
        place = {"xref": f"x{number}", "yref": f"y{number}", "yanchor": "top", "font": {"size": 10, "color": colour}}
        high = top if short == "limit" else 0.82 * top  # they may stand close together
        notes.append(note(short, at, high, xanchor="right" if left else "left", **place))
    return [trace, *lines], layout, notes, label(ds, "power")


def course(ds: xr.Dataset, number: int, domain: tuple[float, float]) -> Panel:
    """One tap's weight while the relative rotation goes once around: it must close without a step."""
    if "weight" not in ds:
        return [], {}, [], ""
    require(ds, "kernel view", dims={"weight": ("relative_angle_deg",)})
    limit = float(values(ds, "limit"))
    trace = {
        "type": "scatter",
        "mode": "lines",
        "x": small(values(ds, "relative_angle_deg")),
        "y": small(values(ds, "weight")),
        "xaxis": f"x{number}",
        "yaxis": f"y{number}",
        "line": {"color": palette.BLUE, "width": 2},
        "hovertemplate": "%{x:.0f}°: weight %{y:.4f}<extra></extra>",
    }
    layout = {
        f"xaxis{number}": axis(
            label(ds, "relative_angle_deg"),
            domain=list(SIDE),
            anchor=f"y{number}",
            range=[-180, 180],
            tickvals=[-180, -90, 0, 90, 180],
            ticksuffix="°",
        ),
        f"yaxis{number}": axis(
            "", domain=list(domain), anchor=f"x{number}", range=[-1.2 * limit, 1.2 * limit], tickvals=[-limit, 0, limit]
        ),
    }
    return [trace], layout, [], label(ds, "weight")


CHANGES = {"turned": (palette.BLUE, "solid"), "mirrored": (palette.ORANGE, "dash"), "floor": (palette.NEUTRAL, "dot")}


def symmetry(ds: xr.Dataset, number: int, domain: tuple[float, float]) -> Panel:
    """How much the framed kernel changes when it is turned or mirrored by each angle, beside what turning costs."""
    if "turned" not in ds:
        return [], {}, [], ""
    require(ds, "kernel view", dims={name: ("angle_deg",) for name in CHANGES})
    traces: list[Trace] = [
        {
            "type": "scatter", "mode": "lines", "x": small(values(ds, "angle_deg")), "y": small(values(ds, name)),
            "xaxis": f"x{number}", "yaxis": f"y{number}", "name": name,
            "line": {"color": colour, "dash": dash, "width": 2},
            "hovertemplate": f"{name}, %{{x:.0f}}°: changed by %{{y:.3f}}<extra></extra>",
        }
        for name, (colour, dash) in CHANGES.items()
    ]  # fmt: skip
    layout = {
        f"xaxis{number}": _circle_axis(ds, number),
        f"yaxis{number}": axis("", domain=list(domain), anchor=f"x{number}", range=[0, 2.3], tickvals=[0, 1, 2]),
    }
    place = {"xref": f"x{number}", "yref": f"y{number}", "yanchor": "top", "font": {"size": 10}}
    notes = [
        note(words, at, 2.3, xanchor=anchor, **{**place, "font": {"size": 10, "color": CHANGES[words][0]}})
        for words, at, anchor in (("turned", 0, "left"), ("mirrored", 180, "center"), ("floor", 360, "right"))
    ]
    return traces, layout, notes, "Change of the kernel"


def lost(ds: xr.Dataset, number: int, domain: tuple[float, float]) -> Panel:
    """The share of power that a turned copy would need beyond what the grid holds."""
    if "lost" not in ds:
        return [], {}, [], ""
    require(ds, "kernel view", dims={"lost": ("angle_deg",)})
    trace = {
        "type": "scatter", "mode": "lines", "x": small(values(ds, "angle_deg")), "y": small(values(ds, "lost")),
        "xaxis": f"x{number}", "yaxis": f"y{number}", "line": {"color": palette.BLUE, "width": 2},
        "hovertemplate": "turned by %{x:.0f}°: %{y:.1%} of the power lost<extra></extra>",
    }  # fmt: skip
    layout = {
        f"xaxis{number}": _circle_axis(ds, number),
        f"yaxis{number}": axis(
            "", domain=list(domain), anchor=f"x{number}", tickformat=".0%", rangemode="tozero", nticks=4,
            range=[0, max(0.05, 1.1 * float(values(ds, "lost").max()))],
        ),
    }  # fmt: skip
    return [trace], layout, [], "Power lost by a turned copy"


def _circle_axis(ds: xr.Dataset, number: int) -> dict:
    words = {"range": [0, 360], "tickvals": [0, 90, 180, 270, 360], "ticksuffix": "°"}
    return axis(label(ds, "angle_deg"), domain=list(SIDE), anchor=f"y{number}", **words)


def sparsity(ds: xr.Dataset, number: int, domain: tuple[float, float]) -> Panel:
    return _number(ds, "sparsity", number, domain)


def entropy(ds: xr.Dataset, number: int, domain: tuple[float, float]) -> Panel:
    return _number(ds, "entropy", number, domain)


def orthogonality(ds: xr.Dataset, number: int, domain: tuple[float, float]) -> Panel:
    return _number(ds, "orthogonality", number, domain)


def _number(ds: xr.Dataset, name: str, number: int, domain: tuple[float, float]) -> Panel:
    """One number for every layer: of one orientation, of all together, and of random weights."""
    if name not in ds:
        return [], {}, [], ""
    require(ds, "kernel view", dims={name: ("layer", "over"), f"{name}_random": ("layer",)})
    layers = [text(one) for one in values(ds, "layer")]
    x = np.arange(1, 1 + len(layers))
    one, every = values(ds, name, "layer", "over").T
    random, spread = values(ds, f"{name}_random"), values(ds, f"{name}_random_std")
    places = {"type": "scatter", "mode": "markers", "xaxis": f"x{number}", "yaxis": f"y{number}", "text": layers}
    thin = {"color": palette.NEUTRAL, "thickness": 1, "width": 0}
    traces: list[Trace] = [
        {**places, "name": "random", "x": small(x), "y": small(random), "error_y": {**thin, "array": small(spread)},
         "marker": {"symbol": "line-ew", "size": 18, "line": {"width": 2, "color": palette.NEUTRAL}},
         "hovertemplate": "%{text}, random weights: %{y:.3f}<extra></extra>"},
        {**places, "name": "all orientations", "x": small(x), "y": small(every),
         "marker": {"symbol": "circle-open", "size": 11, "color": palette.ORANGE, "line": {"width": 2}},
         "hovertemplate": "%{text}, all orientations: %{y:.3f}<extra></extra>"},
        {**places, "name": "one orientation", "x": small(x), "y": small(one),
         "marker": {"size": 8, "color": palette.BLUE}, "hovertemplate": "%{text}: %{y:.3f}<extra></extra>"},
    ]  # fmt: skip
    found = np.concatenate([one, every, random])
    high = max(1.0, float(np.nanmax(found, initial=1.0)))
    layout = {
        f"xaxis{number}": axis(
            "layer", domain=list(SIDE), anchor=f"y{number}", range=[0.5, len(layers) + 0.5], dtick=-(-len(layers) // 8)
        ),
        f"yaxis{number}": axis("", domain=list(domain), anchor=f"x{number}", range=[-0.08, 1.08 * high], nticks=4),
    }
    notes = []
    if name == "sparsity":
        place = {"xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom", "font": {"size": 10}}
        words = "● one orientation  ○ all  ― random"
        notes = [note(words, SIDE[0], domain[1], **place)]
    return traces, layout, notes, label(ds, name)


def pictures(ds: xr.Dataset, number: int, domain: tuple[float, float]) -> Panel:
    """The first principal components of patches, largest variance first."""
    if "picture" not in ds:
        words = "No layer of these kernels reads images: choose a trained network."
        place = {"xref": "paper", "yref": "paper", "xanchor": "center", "align": "center"}
        return [], {}, [note(words.replace(": ", ":<br>"), sum(SIDE) / 2, 0.5, **place)], ""
    require(ds, "kernel view", dims={"picture": ("component", "patch_y", "patch_x")})
    pictures = values(ds, "picture", "component", "patch_y", "patch_x")[:9]
    side = pictures.shape[-1]
    sheet = np.zeros((9, side, side))
    sheet[: len(pictures)] = pictures / np.abs(pictures).max((1, 2), keepdims=True)
    trace = signed(
        tiles(sheet.reshape(3, 3, side, side)), 1.0, xaxis=f"x{number}", yaxis=f"y{number}", hoverinfo="skip"
    )
    layout = {
        f"xaxis{number}": bare_axis(domain=list(SIDE), anchor=f"y{number}", constrain="domain", constraintoward="left"),
        f"yaxis{number}": bare_axis(
            domain=list(domain), anchor=f"x{number}", scaleanchor=f"x{number}", autorange="reversed"
        ),
    }
    return [trace], layout, [], "Components of image patches"


def _ticks(found: np.ndarray) -> dict[str, object]:
    """1, 2 and 5 of each power of ten around these numbers, written out."""
    low, high = np.log10([found.min(initial=1e9, where=found > 0), found.max(initial=1e-9)])
    ticks = [d * 10.0**power for power in range(int(low) - 2, int(high) + 2) for d in (1, 2, 5)]
    near = [tick for tick in ticks if low - 0.3 <= np.log10(tick) <= high + 0.3]
    return {"tickmode": "array", "tickvals": near, "ticktext": [f"{tick:g}" for tick in near]}


def energy(ds: xr.Dataset, number: int, domain: tuple[float, float]) -> Panel:
    """How strongly the filters of the first layer answer to each component, beside a linear model's profile."""
    if "energy" not in ds:
        return [], {}, [], ""
    require(ds, "kernel view", dims={name: ("component",) for name in ("energy", "fitted", "variance")})
    energy = values(ds, "energy")
    places = {"type": "scatter", "x": small(values(ds, "component")), "xaxis": f"x{number}", "yaxis": f"y{number}"}
    variance = small(values(ds, "variance"))
    words = "component %{x}, variance %{customdata:.3g}: "
    traces: list[Trace] = [
        {**places, "mode": "markers", "name": "measured", "y": small(energy), "customdata": variance,
         "marker": {"color": palette.BLUE, "size": 7}, "hovertemplate": f"{words}energy %{{y:.3g}}<extra></extra>"},
        {**places, "mode": "lines", "name": "linear model", "y": small(values(ds, "fitted")), "customdata": variance,
         "line": {"color": palette.ORANGE, "width": 2, "dash": "dash"},
         "hovertemplate": f"{words}linear model %{{y:.3g}}<extra></extra>"},
    ]  # fmt: skip
    layout = {
        f"xaxis{number}": axis(label(ds, "component"), domain=list(SIDE), anchor=f"y{number}"),
        f"yaxis{number}": axis(
            "root mean square", domain=list(domain), anchor=f"x{number}", type="log", **_ticks(energy)
        ),
    }
    place = {"xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom", "font": {"size": 10}}
    left = float(values(ds, "left"))
    told = f"● measured  ‒ ‒ linear model, off by {np.expm1(left):.0%}"
    return traces, layout, [note(told, SIDE[0], domain[1], **place)], "Energy of the filters"
