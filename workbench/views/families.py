"""Families of networks in one system of axes, beside how right each is over the number of training pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import Figure, Trace, axis, figure, label, panel_title, require, small, text, values
from workbench.views.labels import apart, beside_points

LEFT, RIGHT = (0.0, 0.51), (0.59, 0.785)
HEIGHT, MARGIN = 560, {"l": 64, "r": 16, "t": 44, "b": 146}
INSIDE = HEIGHT - MARGIN["t"] - MARGIN["b"]
WIDTHS = (330.0, 440.0, 620.0)
"""Pixels that the left panel may be wide: labels must not meet at any of these."""
LOGARITHMIC = ("quarter_error", "parameters", "multiply_adds", "training_s", "evaluation_ms", "data_needed")
SMALLEST = 1e-8  # an error of 0 is drawn here on a logarithmic axis
COLOURS = (palette.NEUTRAL, palette.ORANGE, palette.GREEN, palette.BLUE)
SYMBOLS = {"circle": "●", "square": "■", "diamond": "◆", "triangle-up": "▲", "cross": "✚", "star": "★"}


def families_picture(ds: xr.Dataset) -> Figure:
    """Families by two chosen quantities, each a mark with its interval or its seeds, beside their learning curves.

    Args:
        ds: with `x` and `y` over family, each with `_low`, `_high` and `_seed(family, seed)`, whose attribute
            `quantity` names what they are; `curve(family, size)`; the coordinates `where(family)` and
            `sentence(family)`; the scalar `target_percent`; the attributes `places` (all that `where` may be, in
            order), `family` (the one that is described, `numbers` its numbers) and `marks` ("seeds" or "means").

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    dims: dict[str, tuple[str, ...]] = {"curve": ("family", "size"), "target_percent": ()}
    for name in ("x", "y"):
        dims |= {name: ("family",), f"{name}_low": ("family",), f"{name}_high": ("family",)}
        dims |= {f"{name}_seed": ("family", "seed")}
    require(ds, "view of families", dims={**dims, "where": ("family",), "sentence": ("family",)})
    looks = _looks(ds)
    scales = {name: _Scale(ds, name) for name in ("x", "y")}
    shown = [at for at in range(ds.sizes["family"]) if np.isfinite([values(ds, n)[at] for n in ("x", "y")]).all()]
    seeds = ds.attrs.get("marks") == "seeds"
    traces = [trace for at in shown for trace in _marks(ds, at, looks[at], scales, seeds)]
    curves, notes, size_axis = _curves(ds, looks)
    labels = _names(ds, shown, looks, scales, seeds)
    headings = [
        panel_title(f"{len(shown)} families at once", LEFT[0], 1.02),
        panel_title("With fewer pictures", RIGHT[0], 1.02),
    ]
    layout = {
        "xaxis": axis(label(ds, "x"), domain=list(LEFT), anchor="y", **scales["x"].layout()),
        "yaxis": axis(label(ds, "y"), domain=[0, 1], anchor="x", **scales["y"].layout()),
        **size_axis,
    }
    told = [] if shown else [_middle("Nothing of this was stored: choose another number of pictures or another view.")]
    return figure(
        [*traces, *curves], ds, height=HEIGHT, margin=MARGIN, hovermode="closest",
        annotations=[*headings, *labels, *notes, *told, *_described(ds, looks)], **layout,
    )  # fmt: skip


class _Scale:
    """Range of one axis around everything that may be drawn on it, and where a value lies, from 0 to 1."""

    def __init__(self, ds: xr.Dataset, name: str) -> None:
        quantity = str(ds.variables[name].attrs.get("quantity", name))
        self.logarithmic = quantity in LOGARITHMIC
        ends = [
            values(ds, name),
            values(ds, f"{name}_seed").ravel(),
            *(values(ds, f"{name}_{e}") for e in ("low", "high")),
        ]
        numbers = self.put(np.concatenate(ends))
        numbers = numbers[np.isfinite(numbers)]
        low, high = (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 1.0)
        reach = max(high - low, 0.05 if self.logarithmic else 1e-3)
        self.low, self.high = low - 0.1 * reach, high + 0.12 * reach

    def put(self, numbers: Any) -> np.ndarray:
        """Values in the units of the axis: logarithms where it is one."""
        if not self.logarithmic:
            return np.asarray(numbers, dtype=float)
        return np.log10(np.maximum(np.asarray(numbers, dtype=float), SMALLEST))

    def layout(self) -> dict[str, Any]:
        more = {"range": [self.low, self.high]}
        if not self.logarithmic:
            return {**more, "nticks": 7}
        low, high = 10.0**self.low, 10.0**self.high
        digits = (1, 2, 5) if self.high - self.low < 2.5 else (1,)
        ticks: list[float] = [
            d * 10.0**power for power in range(-9, 13) for d in digits if low <= d * 10.0**power <= high
        ]
        words = [_tick(tick) for tick in ticks]
        return {"type": "log", **more, "tickmode": "array", "tickvals": small(ticks), "ticktext": words}


def _tick(number: float) -> str:
    """A round number in few letters.

    >>> _tick(2e6), _tick(500.0), _tick(0.05), _tick(1e-8)
    ('2M', '500', '0.05', '≤1e-08')
    """
    for size, letter in ((1e6, "M"), (1e4, "k")):
        if number >= size:
            return f"{number / (1e3 if letter == 'k' else size):g}{letter}"
    if number >= 1e-3:
        return f"{number:g}"
    return f"{number:.0e}" if number > 1.5 * SMALLEST else f"≤{SMALLEST:.0e}"


def _looks(ds: xr.Dataset) -> list[dict[str, Any]]:
    """Colour by where the symmetry is, symbol by number among those alike."""
    where = [str(one) for one in values(ds, "where")]
    kinds = list(dict.fromkeys(map(str, ds.attrs["places"].split("; "))))
    symbols = list(SYMBOLS)
    found = []
    for at, kind in enumerate(where):
        number = where[:at].count(kind)
        colour = COLOURS[kinds.index(kind) % len(COLOURS)] if kind in kinds else palette.NEUTRAL
        chosen = str(values(ds, "family")[at]) == ds.attrs.get("family")
        found.append({"color": colour, "symbol": symbols[number % len(symbols)], "chosen": chosen})
    return found


def _marks(ds: xr.Dataset, at: int, look: dict[str, Any], scales: dict[str, _Scale], each_seed: bool) -> list[Trace]:
    """One family on the left: its mean with both intervals, or its seeds."""
    name = text(values(ds, "family")[at])
    colour, size = look["color"], 15 if look["chosen"] else 11
    x, y = (float(values(ds, n)[at]) for n in ("x", "y"))
    hover = f"<b>{name}</b><br>{text(values(ds, 'sentence')[at])}<br>"
    lines = "<br>".join(_said(ds, n, at) for n in ("y", "x"))
    common = {"type": "scatter", "mode": "markers", "name": name}
    put = {n: (lambda v, s=scales[n]: np.maximum(v, SMALLEST) if s.logarithmic else v) for n in ("x", "y")}
    mean: Trace = {
        **common, "x": small(put["x"](np.array([x]))), "y": small(put["y"](np.array([y]))),
        "marker": {"color": colour, "symbol": look["symbol"], "size": size,
                   "line": {"width": 2 if look["chosen"] else 0, "color": palette.PINK}},
        "hovertemplate": f"{hover}{lines}<extra></extra>",
    }  # fmt: skip
    if not each_seed:
        for n in ("x", "y"):
            centre, low, high = (float(values(ds, f"{n}{end}")[at]) for end in ("", "_low", "_high"))
            up, down = (max(high - centre, 0.0), max(centre - low, 0.0)) if np.isfinite([low, high]).all() else (0, 0)
            mean[f"error_{n}"] = {
                "type": "data", "symmetric": False, "array": small([up]), "arrayminus": small([down]),
                "color": palette.with_alpha(colour, 0.7), "thickness": 2, "width": 0,
            }  # fmt: skip
        return [mean]
    seeds = values(ds, "seed")
    xs, ys = (put[n](values(ds, f"{n}_seed")[at]) for n in ("x", "y"))
    mean["marker"] |= {"size": 1, "opacity": 0}
    dots: Trace = {
        **common, "x": small(xs), "y": small(ys), "customdata": np.asarray(seeds).astype(np.int16),
        "marker": {"color": colour, "symbol": look["symbol"], "size": size - 3, "opacity": 0.75,
                   "line": {"width": 1.5 if look["chosen"] else 0, "color": palette.PINK}},
        "hovertemplate": f"{hover}seed %{{customdata}}: %{{y:.4~g}}, %{{x:.4~g}}<extra></extra>",
    }  # fmt: skip
    return [mean, dots]


def _said(ds: xr.Dataset, name: str, at: int) -> str:
    centre, low, high = (float(values(ds, f"{name}{end}")[at]) for end in ("", "_low", "_high"))
    interval = f" ({low:.3g} to {high:.3g})" if np.isfinite([low, high]).all() and high > low else ""
    return f"{label(ds, name)}: {centre:.4g}{interval}"


def _names(
    ds: xr.Dataset, shown: list[int], looks: list[dict[str, Any]], scales: dict[str, _Scale], each_seed: bool
) -> list[dict[str, Any]]:
    """A name beside each mark, moved aside where it would meet a mark or another name."""
    at_mean = [[float(scales[n].put(values(ds, n)[at])) for n in ("x", "y")] for at in shown]
    anchors = np.array(at_mean).reshape(-1, 2)
    low = np.array([scales[n].low for n in ("x", "y")])
    reach = np.array([scales[n].high for n in ("x", "y")]) - low
    marks = anchors
    if each_seed and shown:
        seeds = [np.stack([scales[n].put(values(ds, f"{n}_seed")[at]) for n in ("x", "y")], -1) for at in shown]
        seeds = [one[np.isfinite(one).all(-1)] for one in seeds]
        nearest = [np.abs((one - mean) / reach).sum(-1).argmin() for one, mean in zip(seeds, anchors, strict=True)]
        anchors = np.stack([one[at] for one, at in zip(seeds, nearest, strict=True)])
        marks = np.concatenate(seeds)
    words = [str(values(ds, "family")[at]) for at in shown]
    put = beside_points((anchors - low) / reach, (marks - low) / reach, words, WIDTHS, INSIDE)
    notes = []
    for at, word, anchor, (right, up) in zip(shown, words, anchors, put, strict=True):
        far = max(abs(right), abs(up)) > 16
        bold = looks[at]["chosen"]
        notes.append({
            "text": f"<b>{text(word)}</b>" if bold else text(word), "x": float(anchor[0]), "y": float(anchor[1]),
            "xref": "x", "yref": "y", "ax": right, "ay": -up,
            "xanchor": "left" if right > 1 else "right" if right < -1 else "center",
            "yanchor": "middle" if abs(right) > 1 else "bottom" if up > 0 else "top",
            "showarrow": True, "arrowhead": 0, "arrowwidth": 1, "standoff": 6, "font": {"size": 11},
            "arrowcolor": palette.with_alpha(palette.NEUTRAL, 0.6) if far else palette.CLEAR,
        })  # fmt: skip
    return notes


def _curves(
    ds: xr.Dataset, looks: list[dict[str, Any]]
) -> tuple[list[Trace], list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Accuracy over the number of training pictures, the accuracy asked for, and names at the ends of the lines."""
    sizes, curve = values(ds, "size").astype(float), values(ds, "curve", "family", "size")
    target = float(values(ds, "target_percent"))
    known = np.isfinite(curve).any(1)
    low = min([target, *curve[known].min(1, initial=100.0, where=np.isfinite(curve[known]))]) if known.any() else 0.0
    high = max([target, *curve[known].max(1, initial=0.0, where=np.isfinite(curve[known]))]) if known.any() else 100.0
    reach = max(high - low, 5.0)
    ends = [low - 0.06 * reach, high + 0.06 * reach]
    first, last = np.log2(sizes[0]), np.log2(sizes[-1])
    wide = max(last - first, 1.0)
    span = [2 ** (first - 0.06 * wide), 2 ** (last + 0.06 * wide)]
    common = {"type": "scatter", "xaxis": "x2", "yaxis": "y2"}
    traces: list[Trace] = [
        {**common, "mode": "lines", "x": small(span), "y": small([target, target]), "hoverinfo": "skip",
         "name": "asked for", "line": {"color": palette.PINK, "dash": "dot", "width": 1.5}}
    ]  # fmt: skip
    at_end = {}
    for at in np.flatnonzero(known):
        there, look = np.isfinite(curve[at]), looks[at]
        name = text(values(ds, "family")[at])
        marker = {"color": look["color"], "symbol": look["symbol"], "size": 9 if look["chosen"] else 6}
        traces.append({
            **common, "mode": "lines+markers", "x": small(sizes[there]), "y": small(curve[at][there]), "name": name,
            "line": {"color": look["color"], "width": 3 if look["chosen"] else 1.5}, "marker": marker,
            "hovertemplate": f"{name}, %{{x:.0f}} pictures: %{{y:.1f}} %<extra></extra>",
        })  # fmt: skip
        at_end[int(at)] = (curve[at][there][-1] - ends[0]) / (ends[1] - ends[0])
    notes = [
        {
            "text": f"<span style='color:{looks[at]['color']}'>{SYMBOLS[looks[at]['symbol']]}</span> "
            + (f"<b>{text(values(ds, 'family')[at])}</b>" if looks[at]["chosen"] else text(values(ds, "family")[at])),
            "x": RIGHT[1] + 0.006, "y": place, "xref": "paper", "yref": "paper", "xanchor": "left",
            "yanchor": "middle", "showarrow": False, "font": {"size": 11},
        }
        for at, place in zip(at_end, apart(np.array(list(at_end.values())), 14 / INSIDE), strict=True)
    ]  # fmt: skip
    shown = sizes if len(sizes) <= 6 else sizes[:: -(-len(sizes) // 6)]
    ticks = {"tickmode": "array", "tickvals": small(shown), "ticktext": [f"{size:,.0f}" for size in shown]}
    layout = {
        "xaxis2": axis(
            label(ds, "size"), domain=list(RIGHT), anchor="y2", type="log", range=list(np.log10(span)), **ticks
        ),
        "yaxis2": axis(label(ds, "curve"), domain=[0, 1], anchor="x2", range=ends, nticks=7),
    }
    return traces, notes, layout


def _described(ds: xr.Dataset, looks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the colours say, and the chosen family in a sentence."""
    kinds = list(map(str, ds.attrs["places"].split("; ")))
    legend = "Symmetry sits " + " · ".join(
        f"<span style='color:{COLOURS[at % len(COLOURS)]}'>●</span> {text(kind)}" for at, kind in enumerate(kinds)
    )
    below = {"x": 0.0, "y": 0.0, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "top",
             "showarrow": False, "align": "left", "font": {"size": 12}}  # fmt: skip
    found = [{**below, "text": legend, "yshift": -58}]
    for at, look in enumerate(looks):
        if look["chosen"]:
            words = f"<b>{text(values(ds, 'family')[at])}</b>: {text(values(ds, 'sentence')[at])}"
            found.append(
                {
                    **below,
                    "text": f"{words}<br>{text(ds.attrs.get('numbers', '')).replace('; ', '<br>')}",
                    "yshift": -80,
                }
            )
    return found


def _middle(words: str) -> dict[str, Any]:
    return {"text": text(words), "x": sum(LEFT) / 2, "y": 0.5, "xref": "paper", "yref": "paper", "showarrow": False}
