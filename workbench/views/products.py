"""Paths of a tensor product, allowed or not, and the coefficients of one of them on both sides of the turn."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.frame import Figure, Trace, axis, figure, label, note, panel_title, require, small, values
from workbench.views.mosaic import signed

COLUMNS = ((0.0, 0.2), (0.3, 0.62), (0.7, 1.0))
WORDS = {0: "outside the triangle", 1: "odd sum", 2: "even sum"}


def product_picture(ds: xr.Dataset) -> Figure:
    """Marks for the paths of one feature, and two heat maps of coefficients.

    Args:
        ds: with `path(filter, result)`, `before(m_in, m_out)`, `after(m_in, m_out)`, the numbers `entries_before`,
            `entries_after`, `rest` and `shares`, and the attributes `l_in`, `l_filter`, `l_out`, `kind` and
            `reflections`.

    Raises:
        ValueError: a variable, a dim or the provenance is missing.
    """
    dims = {"path": ("filter", "result"), "before": ("m_in", "m_out"), "after": ("m_in", "m_out")}
    numbers = dict.fromkeys(("entries_before", "entries_after", "rest", "shares"), ())
    require(ds, "view of products", dims={**dims, **numbers})
    limit = float(np.abs(values(ds, "before")).max()) or 1.0
    maps = [_coefficients(ds, name, at, limit) for at, name in enumerate(("before", "after"), 2)]
    layout = {
        "xaxis": axis(label(ds, "result"), domain=list(COLUMNS[0]), anchor="y", dtick=1, showgrid=False),
        "yaxis": axis(label(ds, "filter"), domain=[0.0, 0.82], anchor="x", dtick=1, showgrid=False),
    }  # fmt: skip
    for at, domain in enumerate(COLUMNS[1:], 2):
        layout[f"xaxis{at}"] = axis(label(ds, "m_out"), domain=list(domain), anchor=f"y{at}", type="category",
                                    showgrid=False)  # fmt: skip
        layout[f"yaxis{at}"] = axis(label(ds, "m_in"), domain=[0.0, 0.82], anchor=f"x{at}", type="category",
                                    autorange="reversed", showgrid=False)  # fmt: skip
    titles = (
        "Paths from this feature",
        _entries(ds, "before", "As the edge lies"),
        _entries(ds, "after", "In its frame"),
    )
    headings = [panel_title(_headline(ds), 0.0, 1.0)]
    headings += [panel_title(words, left, 0.85) for words, (left, _) in zip(titles, COLUMNS, strict=True)]
    return figure(
        [*_marks(ds), *maps], ds, height=470, margin={"l": 52, "r": 20, "t": 40, "b": 56},
        annotations=[*headings, *_forbidden(ds)], **layout,
    )  # fmt: skip


def _headline(ds: xr.Dataset) -> str:
    path = f"l = {ds.attrs['l_in']} with l = {ds.attrs['l_filter']} to l = {ds.attrs['l_out']}"
    why = _why_not(ds)
    if why:
        return f"{path}: no such path, {why}"
    rest = f"{float(values(ds, 'rest')):.0e}".replace("e-", "e−")
    shares = int(values(ds, "shares"))
    words = f"{shares} path{'s' * (shares > 1)} in all"
    return f"{path}: {ds.attrs['kind']} sum; off both diagonals at most {rest}; {words}"


def _why_not(ds: xr.Dataset) -> str:
    """Why nothing can come out, or nothing."""
    path = int(values(ds, "path", "filter", "result")[int(ds.attrs["l_filter"]), int(ds.attrs["l_out"])])
    if path == 0:
        return "the three form no triangle"
    return "reflections forbid an odd sum" if path == 1 and ds.attrs["reflections"] else ""


def _entries(ds: xr.Dataset, name: str, words: str) -> str:
    whole = values(ds, name).size
    return f"{words}: {int(values(ds, f'entries_{name}'))} of {whole} entries"


def _forbidden(ds: xr.Dataset) -> list[dict]:
    if not _why_not(ds):
        return []
    return [note("0", 0.5, 0.5, xref=f"x{at} domain", yref=f"y{at} domain", font={"size": 28}) for at in (2, 3)]


def _marks(ds: xr.Dataset) -> list[Trace]:
    """Filled marks are allowed, hollow ones are forbidden by parity; the chosen path has a ring."""
    path = values(ds, "path", "filter", "result")
    traces: list[Trace] = []
    for kind, colour in ((2, palette.BLUE), (1, palette.ORANGE)):
        rows, columns = np.nonzero(path == kind)
        hollow = kind == 1 and ds.attrs["reflections"]
        traces.append({
            "type": "scatter", "mode": "markers", "x": small(columns), "y": small(rows), "name": WORDS[kind],
            "marker": {"size": 11, "color": colour, "symbol": "circle-open" if hollow else "circle"},
            "hovertemplate": f"{WORDS[kind]}{', forbidden' if hollow else ''}: %{{y}} to %{{x}}<extra></extra>",
        })  # fmt: skip
    traces.append({
        "type": "scatter", "mode": "markers", "x": [int(ds.attrs["l_out"])], "y": [int(ds.attrs["l_filter"])],
        "marker": {"size": 20, "color": palette.NEUTRAL, "symbol": "circle-open", "line": {"width": 2}},
        "hoverinfo": "skip",
    })  # fmt: skip
    return traces


def _coefficients(ds: xr.Dataset, name: str, at: int, limit: float) -> Trace:
    return signed(
        small(values(ds, name, "m_in", "m_out")), limit, xaxis=f"x{at}", yaxis=f"y{at}",
        x=[str(one) for one in values(ds, "m_out")], y=[str(one) for one in values(ds, "m_in")],
        hovertemplate="m %{y} to %{x}: %{z:.3f}<extra></extra>",
    )  # fmt: skip
