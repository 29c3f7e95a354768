"""The pictures of a report: Datasets cut to what the views of the explorers draw, and the table beside each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from workbench.audit.answer import moves, unit_of, words
from workbench.audit.kinds import PLACES
from workbench.audit.questions import FLIPS, HALF_TURNS, ROTATIONS, SHIFTS, TURNS
from workbench.audit.result import AuditResult, mean_of
from workbench.audit.words import PIXELS, both, percent
from workbench.measure import labelled
from workbench.measure.data_answer import with_model
from workbench.views.data_symmetry import data_arcs, data_picture
from workbench.views.equivariance import orbit_error
from workbench.views.layers import layer_errors

MOST_ROWS = 80
LATTICE = (TURNS, HALF_TURNS, FLIPS)
"""Questions to images in which nothing is resampled: the layers and the verdict say all."""
ALONG = ("angle_deg", "shift_samples", "scale")
"""Coordinates along which a sweep is a curve, where it has more than four different ones."""


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


def section(title: str, sentences: list[str], table: Table, opens: str = "Its numbers as a table") -> dict[str, Any]:
    """A part of the report: sentences, and a table that opens."""
    return {"title": title, "sentences": sentences, "table": table, "opens": opens}


def pictures(result: AuditResult) -> list[Picture]:
    """The curves beside their floors and control, and the layers at exact elements."""
    found = [_orbit(result, question, along) for question, along in drawn(result).items()]
    layers = layer_dataset(result)
    if layers is not None:
        found.append(_layers(result, layers))
    if "data" in result.more:
        ds = result.more["data"]
        found.append(_data(with_model(ds, result.sweeps[ROTATIONS]) if ROTATIONS in result.sweeps else ds))
        if ds.sizes["class"] > 1:
            found.append(_arcs(ds))
    return found


def _data(ds: xr.Dataset) -> Picture:
    floors = {float(angle): at for at, angle in enumerate(ds.floor_angle_deg.values)}
    rows = []
    for i, angle in enumerate(map(float, ds.angle_deg.values)):
        told = [f"{float(ds[name][0, i]):.3g}" for name in ("distance", "null_high", "p_holm")]
        floor = [f"{float(ds[name][0, floors[angle]]):.3g}" for name in ("floor", "floor_p")] if angle in floors else []
        rows.append((f"{angle:g}°", *told, *(floor or ("none: nothing is turned", "none"))))
    head = ("turned by", "distance", "95 % of the null", "p, corrected", "resampling alone (floor)", "p of the floor")
    table = Table("Distance between the data and their turned copies", head, tuple(rows))
    says = f"The data turned against themselves: {ds.verdict.values[0]}."
    return Picture("data", "Which rotations your data hold", says, data_picture(ds), table)


def _arcs(ds: xr.Dataset) -> Picture:
    """Every class beside the whole."""
    rows = tuple(
        (
            str(ds["class"].values[i]),
            *(f"{float(ds[name][i]):.0f}°" for name in ("arc_half_width_deg", "arc_low_deg", "arc_high_deg")),
            str(ds.verdict.values[i]),
        )
        for i in range(ds.sizes["class"])
    )
    head = ("class", "half width of the arc", "95 % interval from", "to", "in words")
    known = int(ds.resolvable.values[1:].sum())
    says = f"The arc of rotations of each class, with its interval: known for {known} of {len(rows) - 1} classes."
    table = Table("Arcs by class", head, rows)
    return Picture("classes", "Which rotations each class holds", says, data_arcs(ds), table)


def drawn(result: AuditResult) -> dict[str, str]:
    """The sweeps that are curves, and along which coordinate: of images the rotations alone, where they were asked."""
    if result.data.input == "image" and ROTATIONS in result.sweeps:
        return {ROTATIONS: "angle_deg"}
    found = {name: _along(ds) for name, ds in result.sweeps.items()}
    return {name: along for name, along in found.items() if along}


def _along(sweep: xr.Dataset) -> str:
    """The coordinate along which a sweep runs; empty where it is no curve."""
    if "moved" in sweep.variables or np.any(sweep["mirror"].values < 0):
        return ""
    several = [n for n in ALONG if n in sweep.variables and len(np.unique(np.round(sweep[n].values, 6))) > 4]
    return several[0] if len(several) == 1 else ""


def orbit_dataset(result: AuditResult, question: str, along: str = "angle_deg") -> xr.Dataset:
    """A sweep's end as the explorer's view takes it: `model` x `transform`, floors, the control as second model."""
    found = {"your network": result.sweeps[question]}
    if result.control is not None and question == ROTATIONS:
        found["pixels in disorder"] = result.control
    return curves_of(found, along).assign_attrs(showing=result.data.showing)


def curves_of(sweeps: dict[str, xr.Dataset], along: str) -> xr.Dataset:
    """The ends of several sweeps of the same elements as the explorer's view takes them, in the order of the curve."""
    first = next(iter(sweeps.values()))
    order = np.argsort(first[along].values, kind="stable")
    found = {name: ds.sel(layer="output").isel(transform=order) for name, ds in sweeps.items()}
    sweep = next(iter(found.values()))
    exact = sweep["lattice"].values & (sweep.attrs["input"] in _LATTICES)
    pair = ("model", "transform")
    units = sweep["error_mean"].attrs["units"]
    variables = {
        "error_mean": labelled(
            pair, np.stack([ds["error_mean"].values for ds in found.values()]), "relative error", units
        ),
        "error_sem": labelled(
            pair, np.stack([np.nan_to_num(ds["error_sem"].values) for ds in found.values()]), "standard error", units
        ),
    }
    if sweep["input_floor_mean"].values.any():
        variables["input_floor_mean"] = labelled("transform", sweep["input_floor_mean"].values, "input floor", units)
    if sweep["output_floor_mean"].values.any():
        variables["output_floor_mean"] = labelled("transform", sweep["output_floor_mean"].values, "output floor", units)
    coords = {
        "model": labelled("model", list(found), "network"),
        along: labelled("transform", sweep[along].values, _LONG[along], _UNITS[along]),
        "lattice": labelled("transform", exact, "no resampling"),
    }
    told = {"along": along, "places": PLACES[str(sweep.attrs["input"])]}
    resampler = "no" if sweep.attrs["resampler"] == "none" else sweep.attrs["resampler"]
    return xr.Dataset(variables, coords, {**sweep.attrs, **told, "resampler": resampler})


_LONG = {"angle_deg": "input turned by", "shift_samples": "input shifted by", "scale": "input stretched by"}
_UNITS = {"angle_deg": "degrees", "shift_samples": "samples", "scale": "1"}
_LATTICES = ("image", "series")
"""Kinds of which some elements act without resampling and some do not."""


LAYER_ENDS = ("error_mean", "error_low", "error_high", "absolute_error_mean")


def layer_dataset(result: AuditResult) -> xr.Dataset | None:
    """The worst exact element of each question, layer by layer; None where no layer was watched."""
    watched = {name: ds for name, ds in result.sweeps.items() if ds.sizes["layer"] > 1}
    if not watched:
        return None
    layers = [str(name) for name in next(iter(watched.values())).layer.values]
    blocks: dict[str, list[np.ndarray]] = {name: [] for name in LAYER_ENDS}
    for ds in watched.values():
        ds = ds.reindex(layer=layers)
        usable = (ds["exact"].values.astype(bool) & ds["lattice"].values[None]) & np.isfinite(ds["error_mean"].values)
        error = np.where(usable, ds["error_mean"].values, -1.0)
        at = error.argmax(1)
        rows = np.arange(len(layers))
        for name, block in blocks.items():
            known = mean_of(ds, name)
            block.append(np.full(len(layers), np.nan) if known is None else known.values[rows, at])
            block[-1] = np.where(usable.any(1), block[-1], np.nan)
    first = next(iter(watched.values()))
    variables = {
        name: labelled(("question", "layer"), np.stack(block), f"relative error {end}", "1")
        for (name, block), end in zip(blocks.items(), ("", "(low)", "(high)", ""), strict=True)
    }
    variables["absolute_error_mean"][2].update(long_name="root mean square error", units="output units")
    variables["error_mean"][2]["long_name"] = "relative error, worst exact element"
    coords = {
        "question": labelled("question", list(watched), "question"),
        "layer": labelled("layer", layers, "layer"),
    }
    return xr.Dataset(variables, coords, {**first.attrs, "exact_below": result.limit, "showing": result.data.showing})


def _orbit(result: AuditResult, question: str, along: str) -> Picture:
    ds = orbit_dataset(result, question, along)
    sweep = result.sweeps[question].sel(layer="output")
    sweep = sweep.isel(transform=np.argsort(sweep[along].values, kind="stable"))
    mean, floor = ds["error_mean"].values[0], sweep["input_floor_mean"].values
    at, many, one, unit = int(mean.argmax()), *CURVES[along]
    absolute = mean_of(sweep, "absolute_error_mean")
    sweep_absolute = np.full(len(mean), np.nan) if absolute is None else absolute.values
    says = (
        f"Curve of the relative error at {len(mean)} {many}; it is largest at {float(ds[along][at]):.4g}{unit}, "
        f"{both(float(mean[at]), float(sweep_absolute[at]), unit_of(sweep))}"
        + (f", where resampling alone changes the input by {percent(float(floor[at]))}." if floor.any() else ".")
    )
    if len(ds.model) > 1:
        says += f" The control with its pixels in disorder reaches {percent(float(ds.error_mean.values[1].max()))}."
    rows = tuple(
        (
            f"{float(sweep[along][i]):.4g}{unit}",
            "yes" if bool(sweep.lattice[i]) else "no",
            f"{mean[i]:.3g}",
            interval(sweep, i),
            absolute_cell(sweep, i),
            *(floor_cells(sweep, i) if resampled(sweep) else ()),
            *([f"{ds.error_mean.values[1][i]:.3g}"] if len(ds.model) > 1 else []),
        )
        for i in range(len(mean))
    )
    places = ds.attrs["places"]
    head = (one, f"{places} onto {places}", *ERROR_HEADS, absolute_head(sweep))
    head = (*head, *(floor_heads(sweep) if resampled(sweep) else ()))
    more = ("control",) if len(ds.model) > 1 else ()
    table = Table(f"Error, end to end, at every {one} ({question})", (*head, *more), rows)
    name = "orbit" if len(drawn(result)) == 1 else f"orbit-{list(result.sweeps).index(question)}"
    beside = ", beside what resampling alone costs" if sweep.attrs["resampler"] != "none" else ""
    title = f"The error at every {one}{beside}" + ("" if question == ROTATIONS else f": {question}")
    return Picture(name, title, says, orbit_error(ds), table)


CURVES = {
    "angle_deg": ("angles", "angle", "°"),
    "shift_samples": ("shifts", "shift", " samples"),
    "scale": ("factors", "factor", ""),
}
"""Of the coordinates of curves: many, one, and the unit."""


def _layers(result: AuditResult, ds: xr.Dataset) -> Picture:
    names, questions = ds.layer.values, [str(q) for q in ds.question.values]
    mean = ds["error_mean"].values
    known = next(one for one in result.sweeps.values() if one.sizes["layer"] > 1).reindex(layer=names)
    limit = known["rounding"].values if "rounding" in known.variables else np.full(len(names), result.limit)
    broken = [
        f"{question}: first above rounding at {names[np.flatnonzero(row > limit)[0]]}"
        for question, row in zip(questions, np.nan_to_num(mean), strict=True)
        if (row > limit).any()
    ]
    told = "; ".join(broken) or "none is above rounding"
    says = f"One row for each of {len(names)} layers, in the order they run; {told}."
    rows = tuple(
        (str(name), *(cell for at in range(len(questions)) for cell in _cells(ds, at, layer)))
        for layer, name in enumerate(names)
    )
    head = ("layer", *(h for q in questions for h in (f"{q}: relative error", "95 % interval", ABSOLUTE)))
    note = f"showing {MOST_ROWS} of {len(rows)} layers; audit.nc holds all" if len(rows) > MOST_ROWS else ""
    table = Table("Error behind every layer, at the worst exact element", head, rows[:MOST_ROWS], note)
    return Picture("layers", "Where it breaks: the error behind every layer", says, layer_errors(ds), table)


def _cells(ds: xr.Dataset, question: int, layer: int) -> tuple[str, str, str]:
    mean, low, high, absolute = (float(ds[n].values[question, layer]) for n in LAYER_ENDS)
    if not np.isfinite(mean):
        return "not compared", "", ""
    return f"{mean:.3g}", f"{max(0.0, low):.3g} to {high:.3g}" if np.isfinite(low) else "", f"{absolute:.3g}"


ERROR_HEADS = ("relative error", "95 % interval")
ABSOLUTE = "absolute error [units of its output]"


def absolute_head(sweep: xr.Dataset) -> str:
    """Heading of a column of absolute errors, with their unit."""
    return "absolute error [px]" if unit_of(sweep) == PIXELS else ABSOLUTE


def absolute_cell(sweep: xr.Dataset, transform: int) -> str:
    """The mean absolute error of one element."""
    found = mean_of(sweep, "absolute_error_mean")
    return "unknown" if found is None else f"{float(found[transform]):.3g}"


def resampled(sweep: xr.Dataset) -> bool:
    """Whether some of these elements act by interpolation."""
    return any(bool(np.any(sweep[f"{end}_floor_mean"].values)) for end in ("input", "output"))


def told_floor(sweep: xr.Dataset) -> str:
    """The floor beside which the error of an output stands: its own, or the input's where it is not resampled."""
    return "output" if np.any(sweep["output_floor_mean"].values) else "input"


def floor_heads(sweep: xr.Dataset) -> tuple[str, str, str]:
    """Headings of :func:`floor_cells`."""
    return "input floor", "output floor", f"error over {told_floor(sweep)} floor"


def floor_cells(sweep: xr.Dataset, transform: int) -> tuple[str, str, str]:
    """What resampling alone costs at one element, input and output, and the error in parts of it."""
    floors = [float(sweep[f"{end}_floor_mean"].values[transform]) for end in ("input", "output")]
    floor = floors[told_floor(sweep) == "output"]
    over = f"{float(sweep.error_mean[transform]) / floor:.3g}" if floor > 0 else "no floor"
    return f"{floors[0]:.3g}", f"{floors[1]:.3g}", over


def interval(sweep: xr.Dataset, transform: int) -> str:
    """The 95 % interval of one element, or that there is none."""
    low, high = float(sweep.error_low[transform]), float(sweep.error_high[transform])
    return f"{max(0.0, low):.3g} to {high:.3g}" if np.isfinite(low) else "one sample"


def element_tables(result: AuditResult) -> dict[str, Table]:
    """The error at every element of the questions that no picture shows; not of turns and flips of images."""
    plain = result.data.input == "image"
    asked = [q for q in result.sweeps if q not in drawn(result) and not (plain and q in LATTICE)]
    return {question[0].upper() + question[1:]: _elements(result, question) for question in asked}


def _elements(result: AuditResult, question: str) -> Table:
    sweep = result.sweeps[question].sel(layer="output")
    rows = tuple(
        (
            words(sweep, i),
            f"{float(sweep.error_mean[i]):.3g}",
            interval(sweep, i),
            absolute_cell(sweep, i),
            *(floor_cells(sweep, i) if resampled(sweep) else ()),
        )
        for i in np.flatnonzero(moves(sweep)).tolist()
    )
    one = "shift" if question == SHIFTS else "moved by"
    head = (one, *ERROR_HEADS, absolute_head(sweep), *(floor_heads(sweep) if resampled(sweep) else ()))
    return Table(f"Error, end to end, at every element ({question})", head, rows)
