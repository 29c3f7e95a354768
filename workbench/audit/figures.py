"""The pictures of a report: Datasets cut to what the views of the explorers draw, and the table beside each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from workbench.audit.answer import percent, words
from workbench.audit.questions import ROTATIONS, SHIFTS
from workbench.audit.result import AuditResult
from workbench.measure import labelled
from workbench.views.data_symmetry import data_picture
from workbench.views.equivariance import orbit_error
from workbench.views.layers import layer_errors

MOST_ROWS = 80


@dataclass(frozen=True)
class Table:
    """Rows of text under headings; `note` says what is left out."""

    caption: str
    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure, what it shows in a sentence for those who do not see it, and its numbers."""

    name: str
    title: str
    says: str
    figure: dict[str, Any]
    table: Table


def pictures(result: AuditResult) -> list[Picture]:
    """The curve of rotations beside its floors and control, and the layers at exact elements."""
    found = []
    curve = ROTATIONS if ROTATIONS in result.sweeps else _curve(result)
    if curve:
        found.append(_orbit(result, curve))
    layers = layer_dataset(result)
    if layers is not None:
        found.append(_layers(result, layers))
    if "data" in result.more:
        found.append(_data(result.more["data"]))
    return found


def _data(ds: xr.Dataset) -> Picture:
    rows = tuple(
        (
            f"{float(ds.angle_deg[i]):g}°",
            f"{float(ds.distance.values[0, i]):.3g}",
            f"{float(ds.null_high.values[0, i]):.3g}",
            f"{float(ds.p_holm.values[0, i]):.2g}",
        )
        for i in range(ds.sizes["transform"])
    )
    head = ("turned by", "distance", "95 % of the null", "p, corrected")
    table = Table("Distance between the data and their turned copies", head, rows)
    says = f"The data turned against themselves: {ds.verdict.values[0]}."
    return Picture("data", "Which rotations your data hold", says, data_picture(ds), table)


def _curve(result: AuditResult) -> str:
    """A sweep of a group the user named, if it is one of angles."""
    for name, ds in result.sweeps.items():
        angles = ds["angle_deg"].values if "angle_deg" in ds.variables else np.zeros(1)
        if len(np.unique(angles)) > 4 and np.all(ds["mirror"].values > 0):
            return name
    return ""


def orbit_dataset(result: AuditResult, question: str) -> xr.Dataset:
    """A sweep's end as the explorer's view takes it: `model` x `transform`, floors, the control as second model."""
    sweep = result.sweeps[question].sel(layer="output")
    found = {"your network": sweep}
    if result.control is not None and question == ROTATIONS:
        found["pixels in disorder"] = result.control.sel(layer="output")
    pair = ("model", "transform")
    units = sweep["error_mean"].attrs["units"]
    variables = {
        "error_mean": labelled(
            pair, np.stack([ds["error_mean"].values for ds in found.values()]), "relative error", units
        ),
        "error_sem": labelled(
            pair, np.stack([np.nan_to_num(ds["error_sem"].values) for ds in found.values()]), "standard error", units
        ),
        "input_floor_mean": labelled("transform", sweep["input_floor_mean"].values, "input floor", units),
    }
    if sweep["output_floor_mean"].values.any():
        variables["output_floor_mean"] = labelled("transform", sweep["output_floor_mean"].values, "output floor", units)
    coords = {
        "model": labelled("model", list(found), "network"),
        "angle_deg": labelled("transform", sweep["angle_deg"].values, "input turned by", "degrees"),
        "lattice": labelled("transform", sweep["lattice"].values, "turning moves pixels onto pixels"),
    }
    return xr.Dataset(variables, coords, {**sweep.attrs, "showing": result.data.showing})


def layer_dataset(result: AuditResult) -> xr.Dataset | None:
    """The worst exact element of each question, layer by layer; None where no layer was watched."""
    watched = {name: ds for name, ds in result.sweeps.items() if ds.sizes["layer"] > 1}
    if not watched:
        return None
    layers = [str(name) for name in next(iter(watched.values())).layer.values]
    blocks: dict[str, list[np.ndarray]] = {name: [] for name in ("error_mean", "error_low", "error_high")}
    for ds in watched.values():
        ds = ds.reindex(layer=layers)
        usable = (ds["exact"].values.astype(bool) & ds["lattice"].values[None]) & np.isfinite(ds["error_mean"].values)
        error = np.where(usable, ds["error_mean"].values, -1.0)
        at = error.argmax(1)
        rows = np.arange(len(layers))
        for name, block in blocks.items():
            block.append(np.where(usable.any(1), ds[name].values[rows, at], np.nan))
    first = next(iter(watched.values()))
    variables = {
        name: labelled(("question", "layer"), np.stack(block), f"relative error {end}", "1")
        for (name, block), end in zip(blocks.items(), ("", "(low)", "(high)"), strict=True)
    }
    variables["error_mean"][2]["long_name"] = "relative error, worst exact element"
    coords = {
        "question": labelled("question", list(watched), "question"),
        "layer": labelled("layer", layers, "layer"),
    }
    return xr.Dataset(variables, coords, {**first.attrs, "exact_below": result.limit, "showing": result.data.showing})


def _orbit(result: AuditResult, question: str) -> Picture:
    ds = orbit_dataset(result, question)
    sweep = result.sweeps[question].sel(layer="output")
    mean, floor = ds["error_mean"].values[0], ds["input_floor_mean"].values
    at = int(mean.argmax())
    says = (
        f"Curve of the relative error at {len(mean)} angles; it is largest at {float(ds.angle_deg[at]):g}°, "
        f"{percent(float(mean[at]))}, where resampling alone changes the input by {percent(float(floor[at]))}."
    )
    if len(ds.model) > 1:
        says += f" The control with its pixels in disorder reaches {percent(float(ds.error_mean.values[1].max()))}."
    rows = tuple(
        (
            f"{float(sweep.angle_deg[i]):g}°",
            "yes" if bool(sweep.lattice[i]) else "no",
            f"{mean[i]:.3g}",
            interval(sweep, i),
            f"{floor[i]:.3g}",
            f"{float(sweep.output_floor_mean[i]):.3g}",
            *([f"{ds.error_mean.values[1][i]:.3g}"] if len(ds.model) > 1 else []),
        )
        for i in range(len(mean))
    )
    head = ("angle", "pixels onto pixels", "error", "95 % interval", "input floor", "output floor")
    more = ("control",) if len(ds.model) > 1 else ()
    table = Table(f"Relative error, end to end, at every angle ({question})", (*head, *more), rows)
    return Picture(
        "orbit", "The error at every angle, beside what resampling alone costs", says, orbit_error(ds), table
    )


def _layers(result: AuditResult, ds: xr.Dataset) -> Picture:
    names, questions = ds.layer.values, [str(q) for q in ds.question.values]
    mean = ds["error_mean"].values
    broken = [
        f"{question}: first above rounding at {names[np.flatnonzero(row > result.limit)[0]]}"
        for question, row in zip(questions, np.nan_to_num(mean), strict=True)
        if (row > result.limit).any()
    ]
    told = "; ".join(broken) or "none is above rounding"
    says = f"One row for each of {len(names)} layers, in the order they run; {told}."
    rows = tuple(
        (str(name), *(cell for at in range(len(questions)) for cell in _cells(ds, at, layer)))
        for layer, name in enumerate(names)
    )
    head = ("layer", *(h for question in questions for h in (f"{question}: error", "95 % interval")))
    note = f"showing {MOST_ROWS} of {len(rows)} layers; audit.nc holds all" if len(rows) > MOST_ROWS else ""
    table = Table("Relative error behind every layer, at the worst exact element", head, rows[:MOST_ROWS], note)
    return Picture("layers", "Where it breaks: the error behind every layer", says, layer_errors(ds), table)


def _cells(ds: xr.Dataset, question: int, layer: int) -> tuple[str, str]:
    mean, low, high = (float(ds[n].values[question, layer]) for n in ("error_mean", "error_low", "error_high"))
    if not np.isfinite(mean):
        return "not compared", ""
    return f"{mean:.3g}", f"{max(0.0, low):.3g} to {high:.3g}" if np.isfinite(low) else ""


def interval(sweep: xr.Dataset, transform: int) -> str:
    """The 95 % interval of one element, or that there is none."""
    low, high = float(sweep.error_low[transform]), float(sweep.error_high[transform])
    return f"{max(0.0, low):.3g} to {high:.3g}" if np.isfinite(low) else "one sample"


def shift_table(result: AuditResult) -> Table | None:
    """The error at every shift; None where none was measured."""
    if SHIFTS not in result.sweeps:
        return None
    sweep = result.sweeps[SHIFTS].sel(layer="output")
    rows = tuple(
        (
            words(sweep, i),
            f"{float(sweep.error_mean[i]):.3g}",
            interval(sweep, i),
            f"{float(sweep.input_floor_mean[i]):.3g}",
        )
        for i in range(sweep.sizes["transform"])
    )
    return Table("Relative error, end to end, at every shift", ("shift", "error", "95 % interval", "input floor"), rows)
