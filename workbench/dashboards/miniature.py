"""A figure as a small SVG picture without text: what the front page shows of an explorer."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from workbench.views import palette

WIDTH, HEIGHT = 640, 360  # SVG user units
MARGIN = 22
_MOST_POINTS = 600  # of one curve; more cannot be told apart at this size
_RGBA = re.compile(r"rgba?\(([^)]*)\)")

Box = tuple[float, float, float, float]  # left, top, width, height


@dataclass(frozen=True)
class Axes:
    """One pair of axes on the picture: data ranges, and the box they fill."""

    x: tuple[float, float]
    y: tuple[float, float]
    box: Box
    log: tuple[bool, bool] = (False, False)

    def place(self, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Data coordinates -> picture coordinates."""
        left, top, width, height = self.box
        across = left + width * (_scaled(x, self.log[0]) - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        down = top + height * (1 - (_scaled(y, self.log[1]) - self.y[0]) / ((self.y[1] - self.y[0]) or 1))
        return across, down


def miniature(figure: dict[str, Any]) -> str:
    """Draw curves, bars and heat maps of a figure as SVG, at 640 x 360, on a clear ground.

    Anything else (text, ticks, other kinds of traces) is left out: it could not be read at this size.

    >>> svg = miniature({"data": [{"type": "scatter", "x": [0, 1], "y": [0, 1]}], "layout": {}})
    >>> svg.count("<path"), svg.startswith("<svg")
    (1, True)
    """
    layout, parts = figure["layout"], []
    axes = {pair: _axes(pair, figure) for pair in _pairs(figure)}
    parts += [_shape(shape, axes) for shape in layout.get("shapes", ()) if shape.get("layer") == "below"]
    for trace in figure["data"]:
        draw = _DRAWN.get(trace.get("type", "scatter"))
        if draw and trace.get("visible", True) is True:
            parts.append(draw(trace, axes[_pair(trace)]))
    parts += [_shape(shape, axes) for shape in layout.get("shapes", ()) if shape.get("layer") != "below"]
    return svg("".join(parts))


def svg(content: str) -> str:
    """An SVG document of the front page's size around some content."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
    return f"{head}{content}</svg>"


# ---- axes


def _pair(trace: dict[str, Any]) -> tuple[str, str]:
    return trace.get("xaxis", "x"), trace.get("yaxis", "y")


def _pairs(figure: dict[str, Any]) -> set[tuple[str, str]]:
    return {_pair(trace) for trace in figure["data"] if trace.get("type", "scatter") in _DRAWN} | {("x", "y")}


def _axes(pair: tuple[str, str], figure: dict[str, Any]) -> Axes:
    x, y = (figure["layout"].get(f"{name[0]}axis{name[1:]}", {}) for name in pair)
    log = (x.get("type") == "log", y.get("type") == "log")
    traces = [trace for trace in figure["data"] if _pair(trace) == pair]
    ranges = _range(x, [_along(t, "x") for t in traces], log[0]), _range(y, [_along(t, "y") for t in traces], log[1])
    inner = (WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN)
    (x0, x1), (y0, y1) = x.get("domain", (0, 1)), y.get("domain", (0, 1))
    box = (MARGIN + inner[0] * x0, MARGIN + inner[1] * (1 - y1), inner[0] * (x1 - x0), inner[1] * (y1 - y0))
    if x.get("scaleanchor") or y.get("scaleanchor"):
        box = _same_scale(box, *ranges)
    return Axes(*ranges, box, log)


def _same_scale(box: Box, x: tuple[float, float], y: tuple[float, float]) -> Box:
    left, top, width, height = box
    across, down = abs(x[1] - x[0]) or 1, abs(y[1] - y[0]) or 1
    scale = min(width / across, height / down)
    return left + (width - scale * across) / 2, top + (height - scale * down) / 2, scale * across, scale * down


def _range(axis: dict[str, Any], values: list[np.ndarray], log: bool) -> tuple[float, float]:
    if axis.get("range"):
        low, high = axis["range"]
        return float(low), float(high)
    known = np.concatenate([_scaled(v, log).ravel() for v in values] or [np.zeros(0)])
    known = known[np.isfinite(known)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    return (high, low) if axis.get("autorange") == "reversed" else (low, high)


def _along(trace: dict[str, Any], name: str) -> np.ndarray:
    """The values of a trace along one axis; a heat map reaches half a cell further."""
    if trace.get("type") == "heatmap":
        centres = _centres(trace, name)
        step = (centres[-1] - centres[0]) / (len(centres) - 1) if len(centres) > 1 else 1.0
        return np.array([centres[0] - step / 2, centres[-1] + step / 2])
    values = _numbers(trace.get(name, ()))
    return np.append(values, 0.0) if trace.get("type") == "bar" and name == "y" else values


def _centres(trace: dict[str, Any], name: str) -> np.ndarray:
    size = np.shape(trace["z"])[1 if name == "x" else 0]
    given = _numbers(trace.get(name, ()))
    return given if given.size == size else np.arange(size) * trace.get(f"d{name}", 1) + trace.get(f"{name}0", 0)


def _numbers(values: Any) -> np.ndarray:
    """Values as numbers; categories become their places."""
    array = np.asarray(values)
    return array.astype(float) if array.dtype.kind in "biuf" else np.arange(array.size, dtype=float)


def _scaled(values: Any, log: bool) -> np.ndarray:
    numbers = _numbers(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(numbers) if log else numbers


# ---- traces


def _scatter(trace: dict[str, Any], axes: Axes) -> str:
    x, y = _numbers(trace.get("x", range(len(trace.get("y", ()))))), _numbers(trace.get("y", ()))
    every = max(1, -(-len(y) // _MOST_POINTS))
    across, down = axes.place(x[::every], y[::every])
    mode, line, parts = trace.get("mode", "lines"), trace.get("line", {}), []
    colour = _colour(line.get("color"), palette.BLUE)
    fill = _colour(trace.get("fillcolor"), "none") if trace.get("fill", "none") != "none" else "none"
    width = line.get("width", 2) if "lines" in mode else 0
    if "lines" in mode and (width or fill != "none"):
        dash = {"dot": "2 5", "dash": "9 6", "dashdot": "9 5 2 5"}.get(line.get("dash", "solid"), "none")
        stroke = f'stroke="{colour}" stroke-width="{width * 1.1:.3g}" stroke-dasharray="{dash}" stroke-linejoin="round"'
        parts.append(f'<path d="{_path(across, down)}" fill="{fill}" {stroke if width else ""}/>')
    if "markers" in mode:
        parts.append(_markers(trace.get("marker", {}), across, down, every))
    return _group(trace, "".join(parts))


def _markers(marker: dict[str, Any], across: np.ndarray, down: np.ndarray, every: int) -> str:
    sizes = marker.get("size", 6)
    each = np.broadcast_to(_numbers(sizes)[::every] if np.ndim(sizes) else float(sizes), across.shape)
    dots = zip(across, down, each, _marker_colours(marker, len(across), every), strict=True)
    return "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size / 2:.3g}" fill="{colour}"/>'
        for x, y, size, colour in dots
        if np.isfinite(x) and np.isfinite(y) and size > 0
    )


def _marker_colours(marker: dict[str, Any], count: int, every: int) -> list[str]:
    """One colour for each marker: a name, a list of names, or numbers on a colour scale."""
    given = marker.get("color")
    if given is None or isinstance(given, str):
        return [_colour(given, palette.BLUE)] * count
    values = np.asarray(given)[::every]
    if values.dtype.kind in "biuf":
        scale = {"colorscale": marker.get("colorscale"), "zmin": marker.get("cmin"), "zmax": marker.get("cmax")}
        painted = _painted(values[None].astype(float), {k: v for k, v in scale.items() if v is not None})[0]
        return ["#" + bytes(colour[:3].tolist()).hex() for colour in painted]
    return [_colour(str(colour), palette.BLUE) for colour in values]


def _bars(trace: dict[str, Any], axes: Axes) -> str:
    x, y = _numbers(trace.get("x", range(len(trace.get("y", ()))))), _numbers(trace.get("y", ()))
    across, down = axes.place(x, y)
    _, floor = axes.place(x, np.full(len(y), axes.y[0] if axes.log[1] else 0.0))
    width = 0.8 * (abs(across[-1] - across[0]) / (len(x) - 1) if len(x) > 1 else axes.box[2] / 4)
    colours = trace.get("marker", {}).get("color")
    each = colours if isinstance(colours, list | tuple) else [colours] * len(x)
    bars = zip(across, down, np.nan_to_num(floor, neginf=axes.box[1] + axes.box[3]), each, strict=False)
    return _group(
        trace,
        "".join(
            f'<rect x="{at - width / 2:.1f}" y="{min(top, base):.1f}" width="{width:.1f}" '
            f'height="{abs(base - top):.1f}" fill="{_colour(colour, palette.BLUE)}"/>'
            for at, top, base, colour in bars
            if np.isfinite(at) and np.isfinite(top)
        ),
    )


def _heat_map(trace: dict[str, Any], axes: Axes) -> str:
    z = np.asarray(trace["z"], dtype=float)
    x, y = _along(trace, "x"), _along(trace, "y")
    across, down = axes.place(x, y)
    if across[0] > across[1]:
        z = z[:, ::-1]
    if down[0] > down[1]:
        z = z[::-1]
    place = f'x="{across.min():.1f}" y="{down.min():.1f}" width="{np.ptp(across):.1f}" height="{np.ptp(down):.1f}"'
    look = 'preserveAspectRatio="none" style="image-rendering:pixelated"'
    return _group(trace, f'<image {place} {look} href="{_png(_painted(z, trace))}"/>')


_DRAWN = {"scatter": _scatter, "bar": _bars, "heatmap": _heat_map}


def _shape(shape: dict[str, Any], axes: dict[tuple[str, str], Axes]) -> str:
    pair = (shape.get("xref", "x"), shape.get("yref", "y"))
    if pair not in axes or shape.get("type") not in ("rect", "line"):
        return ""
    (x0, x1), (y0, y1) = axes[pair].place([shape["x0"], shape["x1"]], [shape["y0"], shape["y1"]])
    line = shape.get("line", {})
    look = f'stroke="{_colour(line.get("color"), palette.NEUTRAL)}" stroke-width="{line.get("width", 2):.3g}"'
    if shape["type"] == "line":
        return f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" {look}/>'
    box = f'x="{min(x0, x1):.1f}" y="{min(y0, y1):.1f}" width="{abs(x1 - x0):.1f}" height="{abs(y1 - y0):.1f}"'
    return f'<rect {box} fill="{_colour(shape.get("fillcolor"), "none")}" {look}/>'


def _group(trace: dict[str, Any], content: str) -> str:
    return f'<g opacity="{trace["opacity"]:.3g}">{content}</g>' if "opacity" in trace else content


def _path(across: np.ndarray, down: np.ndarray) -> str:
    pieces, pen = [], "M"
    for x, y in zip(across, down, strict=False):
        if not (np.isfinite(x) and np.isfinite(y)):
            pen = "M"
            continue
        pieces.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L"
    return "".join(pieces)


# ---- colours


def _colour(given: Any, otherwise: str) -> str:
    return escape(given) if isinstance(given, str) else otherwise


def _painted(z: np.ndarray, trace: dict[str, Any]) -> np.ndarray:
    """Values -> (H, W, 4) uint8 by the colour scale of the trace; what is no number is clear."""
    scale = trace.get("colorscale")
    if not isinstance(scale, list | tuple):
        scale = palette.SEQUENTIAL
    known = z[np.isfinite(z)]
    low = float(trace.get("zmin", known.min() if known.size else 0))
    high = float(trace.get("zmax", known.max() if known.size else 1))
    share = np.clip((np.nan_to_num(z) - low) / ((high - low) or 1), 0, 1)
    stops, colours = [float(at) for at, _ in scale], np.array([_rgba(str(colour)) for _, colour in scale])
    bands = [np.interp(share, stops, colours[:, band]) for band in range(4)]
    bands[3] = np.where(np.isfinite(z), bands[3], 0)
    return np.stack(bands, axis=-1).round().astype(np.uint8)


def _rgba(colour: str) -> Sequence[float]:
    """A colour of the palette as red, green, blue, alpha from 0 to 255.

    >>> _rgba("#ff0080"), _rgba("rgba(1, 2, 3, 0.5)")
    ([255, 0, 128, 255.0], [1.0, 2.0, 3.0, 127.5])
    """
    if colour.startswith("#") and len(colour) == 7:
        return [int(colour[at : at + 2], 16) for at in (1, 3, 5)] + [255.0]
    found = _RGBA.fullmatch(colour.strip())
    numbers = [float(part) for part in found.group(1).split(",")] if found else [128.0, 128.0, 128.0]
    return [*numbers[:3], 255.0 * (numbers[3] if len(numbers) > 3 else 1.0)]


def _png(pixels: np.ndarray) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
