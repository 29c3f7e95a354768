"""The page that lays several networks beside each other: verdicts, curves on one axis, paired differences."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench import __version__
from workbench.audit.answer import unit_of
from workbench.audit.compare import Comparison
from workbench.audit.figures import CURVES, Picture, Table, curves_of, drawn
from workbench.audit.kinds import NOUNS
from workbench.audit.report import fixtures, levels_of, template
from workbench.audit.result import AuditResult, mean_of
from workbench.audit.words import PIXELS, percent
from workbench.views.equivariance import orbit_error


def comparison_html(comparison: Comparison) -> str:
    """Several networks beside each other as one HTML document."""
    data = comparison.results[0].data
    return template("comparison.html").render(
        comparison=comparison,
        version=__version__,
        networks=list(zip(comparison.names, comparison.results, strict=True)),
        nouns=NOUNS[data.input],
        data=data,
        verdicts=_verdicts(comparison),
        differences=_differences(comparison),
        sentences=[one.sentence(comparison.names[0]) for one in comparison.differences],
        **fixtures(_pictures(comparison)),
    )


def _verdicts(comparison: Comparison) -> Table:
    """One row for each question, one column for each network."""
    levels = levels_of(comparison.results[0].data.input)
    asked = dict.fromkeys(verdict.question for result in comparison.results for verdict in result.verdicts)
    rows = tuple((q, *(_cell(result, q, levels) for result in comparison.results)) for q in asked)
    caption = "What was asked, and each network's answer with its largest mean error, relative; absolute"
    return Table(caption, ("question", *comparison.names), rows)


def _cell(result: AuditResult, question: str, levels: dict[str, str]) -> str:
    one = next((verdict for verdict in result.verdicts if verdict.question == question), None)
    if one is None:
        return "not measured"
    ends = f", {one.low:.3g} to {one.high:.3g}" if len(result.data.inputs) > 1 else ""
    return f"{levels[one.level]}: {one.error:.3g}{ends}; {_sized(one.absolute, one.unit)} ({one.at})"


def _sized(absolute: float, unit: str) -> str:
    return f"{absolute:.3g} px" if unit == PIXELS else f"{absolute:.3g} in {unit}"


def _differences(comparison: Comparison) -> Table:
    rows = tuple(
        (
            one.question, one.name, f"{one.first:.3g}", f"{one.other:.3g}", f"{one.mean:.3g}",
            f"{one.low:.3g} to {one.high:.3g}" if one.low == one.low else "one sample",
            _sized(one.absolute_first, one.unit), _sized(one.absolute_other, one.unit),
        )
        for one in comparison.differences
    )  # fmt: skip
    of = f"error of {comparison.names[0]}"
    head = (
        "question", "network", of, "its error", "difference", "95 % interval, paired",
        f"absolute {of}", "its absolute error",
    )  # fmt: skip
    caption = "Mean relative error over all elements but the identity, paired by sample, and mean absolute errors"
    return Table(caption, head, rows)


def _pictures(comparison: Comparison) -> list[Picture]:
    found: list[Picture] = []
    for question, along in drawn(comparison.results[0]).items():
        if question in comparison.questions:
            found.append(_picture(comparison, question, along, f"orbit-{len(found)}"))
    return found


def _picture(comparison: Comparison, question: str, along: str, name: str) -> Picture:
    sweeps = {name: result.sweeps[question] for name, result in zip(comparison.names, comparison.results, strict=True)}
    ds = curves_of(sweeps, along).drop_vars("output_floor_mean", errors="ignore")
    ds = ds.assign_attrs(showing=comparison.results[0].data.showing)
    mean, (many, one, unit) = ds["error_mean"].values, CURVES[along]
    worst = "; ".join(
        f"{network} reaches {percent(float(row.max()))} at {float(ds[along][int(row.argmax())]):.4g}{unit}"
        for network, row in zip(comparison.names, mean, strict=True)
    )
    floor = [ds["input_floor_mean"].values] if "input_floor_mean" in ds else []
    order = np.argsort(sweeps[comparison.names[0]][along].values, kind="stable")
    absolute = [_absolute_ends(sweep)[order] for sweep in sweeps.values()]
    rows = tuple(
        (f"{float(ds[along][i]):.4g}{unit}", *(f"{row[i]:.3g}" for row in (*mean, *absolute, *floor)))
        for i in range(mean.shape[1])
    )
    units = [f"{network}, absolute [{_short(unit_of(sweep))}]" for network, sweep in sweeps.items()]
    head = (one, *comparison.names, *units, *(["input floor"] if floor else []))
    table = Table(f"Relative and absolute error at every {one} ({question})", head, rows)
    says = f"Curves of the relative error of {len(mean)} networks at {mean.shape[1]} {many}; {worst}."
    return Picture(name, f"The error at every {one}, on one axis ({question})", says, orbit_error(ds), table)


def _absolute_ends(sweep: xr.Dataset) -> np.ndarray:
    found = mean_of(sweep.sel(layer="output"), "absolute_error_mean")
    return np.full(sweep.sizes["transform"], np.nan) if found is None else np.asarray(found.values)


def _short(unit: str) -> str:
    return "px" if unit == PIXELS else unit
