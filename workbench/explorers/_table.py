"""The numbers of a Dataset as a small table, in text and in escaped HTML: what is left without a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

_MOST_ROWS = 12
_MOST_COLUMNS = 6


def as_text(title: str, question: str, state: Sequence[tuple[str, str]], ds: xr.Dataset) -> str:
    """Title, question, controls and numbers in plain text, columns aligned."""
    lines = [f"{title}: {question}", "; ".join(f"{label}: {value}" for label, value in state)]
    for heading, rows, note in _tables(ds):
        widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
        lines.append("")
        lines += [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in [heading, *rows]
        ]
        lines += [note] if note else []
    if ds.attrs.get("showing"):
        lines.append(f"({ds.attrs['showing']})")
    return "\n".join(lines)


def as_html(title: str, question: str, state: Sequence[tuple[str, str]], ds: xr.Dataset) -> str:
    """The same as HTML without a script or a style; every text is escaped."""
    parts = [f"<p><strong>{escape(title)}</strong>: {escape(question)}</p>"]
    parts.append(f"<p>{escape('; '.join(f'{label}: {value}' for label, value in state))}</p>")
    for heading, rows, note in _tables(ds):
        head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in heading)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        parts += [f"<p>{escape(note)}</p>"] if note else []
    if ds.attrs.get("showing"):
        parts.append(f"<p>{escape(str(ds.attrs['showing']))}</p>")
    return "\n".join(parts)


def _tables(ds: xr.Dataset) -> list[tuple[list[str], list[list[str]], str]]:
    """Curves over one dimension become columns of one table per dimension; larger arrays one line of statistics."""
    curves: dict[str, list[str]] = {}
    for name, variable in ds.data_vars.items():
        if variable.ndim == 1:
            curves.setdefault(str(variable.dims[0]), []).append(str(name))
    tables = [_curve_table(ds, dim, names[: _MOST_COLUMNS - 1]) for dim, names in curves.items()]
    rest = [str(name) for name, variable in ds.data_vars.items() if variable.ndim != 1]
    return tables + ([_summary_table(ds, rest)] if rest else [])


def _curve_table(ds: xr.Dataset, dim: str, names: list[str]) -> tuple[list[str], list[list[str]], str]:
    along = [dim] if dim in ds.coords else [str(c) for c in ds.coords if ds[c].dims == (dim,)][:1]
    size = ds.sizes[dim]
    shown = np.unique(np.linspace(0, size - 1, min(size, _MOST_ROWS)).round().astype(int))
    columns = [ds[name].values for name in along + names]
    rows = [[_cell(column[i]) for column in columns] for i in shown]
    note = f"showing {len(shown)} of {size} rows" if len(shown) < size else ""
    return [_title(ds, name) for name in along + names], rows, note


def _summary_table(ds: xr.Dataset, names: list[str]) -> tuple[list[str], list[list[str]], str]:
    rows = []
    for name in names:
        values = np.atleast_1d(ds[name].values)
        size = " × ".join(f"{length} {dim}" for dim, length in ds[name].sizes.items())
        known = values[np.isfinite(values)] if values.dtype.kind in "fiu" else values[:0]
        figures = [_cell(f(known)) for f in (np.min, np.mean, np.max)] if known.size else ["", "", ""]
        rows.append([_title(ds, name), size, *figures])
    return ["quantity", "size", "lowest", "mean", "highest"], rows, ""


def _title(ds: xr.Dataset, name: str) -> str:
    label, units = ds[name].attrs.get("long_name", name), ds[name].attrs.get("units", "")
    return f"{label} ({units})" if units and units != "1" else str(label)


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
