"""Several networks audited on the same samples, beside each other: verdicts, and paired differences of their errors."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from workbench.audit.answer import moves, unit_of
from workbench.audit.audit import affordable_samples, audit
from workbench.audit.data import AuditData
from workbench.audit.kinds import NOUNS
from workbench.audit.model import AuditedModel, load_model
from workbench.audit.plan import first
from workbench.audit.result import DATASET, REPORT, AuditResult, mean_of
from workbench.audit.words import OWN, both, percent
from workbench.groups import Group
from workbench.measure import labelled, provenance, save
from workbench.measure.interval import interval, interval_name

ENDS = (
    "error_mean", "error_sem", "error_low", "error_high", "absolute_error_mean", "input_floor_mean",
    "output_floor_mean", "error_over_floor",
)  # fmt: skip
_PLACED = ("angle_deg", "mirror", "shift_", "scale", "moved", "lattice")


@dataclass(frozen=True)
class Difference:
    """How much another network errs more than the first, over one question: paired, one number for each sample.

    Attributes:
        question, name: what was asked, and the other network.
        first, other: mean relative errors over the elements and samples.
        mean, low, high: of the other's error minus the first's, with its 95 % interval; NaN for one sample.
        absolute_first, absolute_other, unit: mean absolute errors, and their unit.
    """

    question: str
    name: str
    first: float
    other: float
    mean: float
    low: float
    high: float
    absolute_first: float = float("nan")
    absolute_other: float = float("nan")
    unit: str = OWN

    def sentence(self, of: str) -> str:
        """The difference in words; ``of`` is the first network."""
        one, two = both(self.first, self.absolute_first, self.unit), both(self.other, self.absolute_other, self.unit)
        each = f"{self.question}: {of} errs by {one}, {self.name} by {two}"
        if not np.isfinite(self.low):
            return f"{each}; one sample, so no interval."
        ends = f"the difference, {_signed(self.mean)}, lies between {_signed(self.low)} and {_signed(self.high)} (95 %)"
        if self.low <= 0 <= self.high:
            return f"{each}; {ends}: none can be told."
        return f"{each}; {ends}: {self.name} errs {'more' if self.mean > 0 else 'less'}."


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several results of the same questions on the same samples.

    Attributes:
        results, names: of each network; the first is what the others are compared with.
        differences: for each common question and each other network.
        notes: what the reader has to know, one sentence each.
    """

    results: tuple[AuditResult, ...]
    names: tuple[str, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    @property
    def questions(self) -> tuple[str, ...]:
        """Those that every network was asked."""
        return tuple(dict.fromkeys(one.question for one in self.differences))

    @property
    def answer(self) -> str:
        """What was found, one line for each network and each difference."""
        each = [f"{name}. {result.short}" for name, result in zip(self.names, self.results, strict=True)]
        return "\n".join([*each, *(one.sentence(self.names[0]) for one in self.differences)])

    def to_dataset(self) -> xr.Dataset:
        """The ends of all networks over ``model`` and ``transform``, with the coordinate ``question``.

        Means over samples, as in :meth:`AuditResult.to_dataset`: :data:`ENDS`; ``difference``, ``difference_low`` and
        ``difference_high`` of a network's error from the first one's, paired over samples.
        """
        whole = self.results[0].to_dataset()
        whole = whole.isel(transform=np.isin(whole.question.values, self.questions))
        coords: dict[str, Any] = {str(n): v for n, v in whole.coords.items() if v.dims == ("transform",)}
        coords["model"] = labelled("model", np.array(self.names, dtype=str), "network")
        count = len(self.results[0].data.inputs)
        attrs = {name: whole.attrs[name] for name in ("seed", "dtype", "resampler", "reduction", "data", "input_kind")}
        found = provenance(
            "compare", **attrs, samples=count, answer=self.answer,
            interval=f"95 %, paired, {interval_name('bootstrap', count)}",
        )  # fmt: skip
        return xr.Dataset(self._variables(), coords, found)

    def _variables(self) -> dict[str, tuple]:
        pair = ("model", "transform")
        each = [[result.sweeps[q].sel(layer="output") for q in self.questions] for result in self.results]

        def joined(name: str) -> np.ndarray:
            return np.stack([np.concatenate([ds[name].values for ds in sweeps]) for sweeps in each])

        found = {}
        for name in ENDS:
            known = [[mean_of(ds, name) for ds in sweeps] for sweeps in each]
            attrs = known[0][0].attrs  # type: ignore[union-attr]
            values = np.stack([np.concatenate([one.values for one in row]) for row in known])  # type: ignore[union-attr]
            found[name] = labelled(pair, values, str(attrs["long_name"]), str(attrs["units"]))
        error = joined("relative_error")
        apart = error - error[:1]
        low, high = interval(apart, seed=int(each[0][0].attrs["seed"]))
        found["difference"] = labelled(pair, apart.mean(-1), "relative error minus that of the first network")
        found["difference_low"] = labelled(pair, low, "lower end of its 95 % interval")
        found["difference_high"] = labelled(pair, high, "upper end of its 95 % interval")
        return found

    def save(self, folder: str | os.PathLike) -> tuple[Path, Path]:
        """Write ``audit.nc`` and ``report.html`` on all networks, and those of each one into ``network-1``, ..."""
        from workbench.audit.compare_report import comparison_html
        from workbench.audit.report import write_whole

        place = Path(folder)
        if place.exists() and not place.is_dir():
            raise FileExistsError(f"{place} is a file; expected a folder for the reports; choose another name.")
        for at, result in enumerate(self.results, 1):
            result.save(place / f"network-{at}")
        return save(self.to_dataset(), place / DATASET), write_whole(comparison_html(self), place / REPORT)

    def __str__(self) -> str:
        return self.answer


def compare(results: Sequence[AuditResult], names: Sequence[str] = ()) -> Comparison:
    """Audits of several networks on the same samples beside each other, with paired differences.

    Args:
        results: at least two, of the same samples, seed and group.
        names: of the networks; their own where not given.

    Raises:
        TypeError: for anything but results of :func:`audit`.
        ValueError: fewer than two, other samples, or no common question.

    >>> import torch
    >>> x = torch.rand(8, 1, 8, 8)
    >>> pool, conv = torch.nn.AvgPool2d(2), torch.nn.Conv2d(1, 1, 3, padding=1)
    >>> found = compare([audit(net, x, "C(4)") for net in (pool, conv)], ["mean", "filter"])
    >>> found.differences[0].mean > 0
    True
    """
    results = tuple(results)
    if not all(isinstance(result, AuditResult) for result in results):
        raise TypeError("something else than results of an audit was given; expected at least two of them.")
    if len(results) < 2:
        raise ValueError(f"{len(results)} result was given; expected at least two, to lay them beside each other.")
    if names and len(names) != len(results):
        raise ValueError(f"{len(names)} names were given for {len(results)} results; expected one for each.")
    for other in results[1:]:
        _check_samples(results[0], other)
    given = _different(tuple(names) or tuple(result.model.name for result in results))
    common = [q for q in results[0].sweeps if all(q in other.sweeps for other in results[1:])]
    common = [q for q in common if all(_same_elements(results[0].sweeps[q], r.sweeps[q]) for r in results[1:])]
    if not common:
        raise ValueError("the networks were asked nothing in common; expected the same group and kind of samples.")
    found = tuple(
        _difference(question, name, results[0], other)
        for question in common
        for name, other in zip(given[1:], results[1:], strict=True)
    )
    asked = dict.fromkeys(q for result in results for q in result.sweeps)
    missing = [q for q in asked if q not in common]
    data = results[0].data
    notes = [f"Paired over the same {len(data.inputs)} {NOUNS[data.input]} and the same elements."]
    if missing:
        notes.append(f"Not compared, because not every network was asked alike: {', '.join(missing)}.")
    return Comparison(results, given, found, tuple(notes))


def audit_beside(
    models: Sequence[AuditedModel | str | Path | Callable],
    data: AuditData | Any,
    group: Group | str = "auto",
    *,
    names: Sequence[str] = (),
    samples: int | None = None,
    folder: str | Path | None = None,
    progress: Callable[[float], None] | None = None,
    **options: Any,
) -> Comparison:
    """Audit several networks on the same samples, as many as the largest of them can afford, and compare them.

    Args:
        models: as :func:`audit` takes them.
        data, group, samples, folder, progress, options: as in :func:`audit`; each network has pieces of its own.
        names: as in :func:`compare`.
    """
    found = [model if isinstance(model, AuditedModel) else load_model(model) for model in models]
    if len(found) < 2:
        raise ValueError(f"{len(found)} network was given; expected at least two, to lay them beside each other.")
    if samples is None:
        known = ("size", "mean", "std", "kind", "select", "labels", "seed")
        these = {name: options[name] for name in known if name in options}
        samples = min(affordable_samples(model, data, group, **these) for model in found)
    if isinstance(data, AuditData):
        data = first(data, samples)
    results = []
    for at, model in enumerate(found):
        own = None if folder is None else Path(folder) / f"network-{at + 1}"
        part = None if progress is None else _part(progress, at, len(found))
        results.append(audit(model, data, group, samples=samples, folder=own, progress=part, **options))
    return compare(results, names)


def _part(progress: Callable[[float], None], at: int, of: int) -> Callable[[float], None]:
    return lambda fraction: progress((at + fraction) / of)


def _check_samples(one: AuditResult, other: AuditResult) -> None:
    def told(result: AuditResult) -> tuple:
        seed = next(iter(result.sweeps.values())).attrs["seed"]
        return result.data.name, result.data.input, result.data.of, len(result.data.inputs), seed

    same = told(one) == told(other)
    alike = one.data.inputs.shape == other.data.inputs.shape and one.model.images is other.model.images is None
    if not same or (alike and not torch.equal(one.data.inputs, other.data.inputs)):
        raise ValueError(
            f"{one.model.name} and {other.model.name} were audited on other samples; expected the same data, number of "
            "samples and seed; use audit_beside."
        )


def _same_elements(one: xr.Dataset, other: xr.Dataset) -> bool:
    """The same elements, and nothing entering at the frame of one that goes round that of the other."""
    names = [n for n in map(str, one.variables) if n.startswith(_PLACED)]
    if one.attrs.get("padding") != other.attrs.get("padding"):
        return False
    return one.sizes["transform"] == other.sizes["transform"] and all(
        n in other.variables and np.allclose(one[n].values, other[n].values) for n in names
    )


def _difference(question: str, name: str, one: AuditResult, other: AuditResult) -> Difference:
    """Over all elements but the identity."""
    ends = [result.sweeps[question].sel(layer="output") for result in (one, other)]
    each = [ds["relative_error"].values[moves(one.sweeps[question])].mean(0) for ds in ends]
    apart = each[1] - each[0]
    low, high = interval(apart[None], seed=int(ends[0].attrs["seed"]))
    first_error, other_error = (float(errors.mean()) for errors in each)
    sizes = [float(ds["absolute_error"].values[moves(one.sweeps[question])].mean()) for ds in ends]
    return Difference(
        question, name, first_error, other_error, float(apart.mean()), float(low[0]), float(high[0]),
        sizes[0], sizes[1], unit_of(ends[0]),
    )  # fmt: skip


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, told apart by a number where they are the same."""
    return tuple(
        name if names.count(name) == 1 else f"{name} ({names[: at + 1].count(name)})" for at, name in enumerate(names)
    )


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else ''}{percent(abs(value))}"
