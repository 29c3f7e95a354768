"""What an audit found: the sweeps, the findings, and the answer in plain sentences."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from workbench.audit.beside_data import Pair, side_by_side
from workbench.audit.data import AuditData
from workbench.audit.data_look import data_line, data_sentence
from workbench.audit.kinds import NOUNS, PLACES
from workbench.audit.model import AuditedModel
from workbench.audit.questions import BUILT_IN
from workbench.audit.upfront import chance, guess, guessed, taken, unseen, unseen_line
from workbench.audit.words import FAINT, HIDDEN, OWN, percent
from workbench.measure import labelled, provenance, save

DATASET, REPORT = "audit.nc", "report.html"
_PLACED = ("shift_", "scale", "moved")
KEPT = (
    "error_mean", "error_sem", "error_low", "error_high", "absolute_error_mean", "output_floor_mean",
    "error_over_floor", "noise_floor_mean",
)  # fmt: skip
ASKED = (
    "output", "output_confidence", "output_why", "interval", "form", "group", "margin", "mask", "padding", "resampler",
    "stochastic", "repeats",
)  # fmt: skip
"""Attributes of a sweep that say how its question was asked."""


@dataclass(frozen=True)
class Verdict:
    """The answer to one question.

    Attributes:
        question: "quarter turns", "flips", "rotations", "shifts", those of series, points and sets
            (:mod:`workbench.audit.questions`), or the name of a group.
        level: "exact" (rounding only), "floor" (as good as resampling allows), "close" (below 1 %), "broken", or
            "chance", where what chance alone does to a stochastic network, or rounding in half precision, hides it.
        sentence: the answer in words.
        because: why, where that is known; else empty.
        advice: what to do; else empty.
        error, low, high: mean relative error at the worst element, with its 95 % interval.
        at: that element in words.
        floor: what resampling alone costs there; 0 where pixels move onto pixels.
        layer: the first layer that breaks the symmetry; empty where none was watched or none does.
        lattice_error: the worst mean error among the elements that move pixels onto pixels, less those whose error
            resampling of the answer explains; NaN where there is none.
        absolute: mean absolute error at the worst element, a root mean square in ``unit``.
        unit: that of the answer: "its own units", or "pixels" for boxes and key points.
    """

    question: str
    level: str
    sentence: str
    because: str
    advice: str
    error: float
    low: float
    high: float
    at: str
    floor: float
    layer: str
    lattice_error: float
    absolute: float = float("nan")
    unit: str = OWN

    @property
    def whole(self) -> str:
        """The answer, why, and what to do."""
        return " ".join(part for part in (self.sentence, self.because, self.advice) if part)


@dataclass(frozen=True, eq=False)
class AuditResult:
    """Everything one audit measured.

    Attributes:
        model, data: what was audited, on what.
        sweeps: question -> Dataset of :func:`workbench.measure.equivariance_error`, floors and provenance included.
        control: the sweep of rotations for the same network behind a fixed disorder of the pixels, or None.
        verdicts: one answer for each question.
        findings: of :func:`workbench.measure.will_it_be_equivariant`, or None where no layer can be seen.
        remedies: what was tried on a copy, over ``remedy``: error before and after; of length 0 where nothing was.
        cost: of :func:`workbench.measure.cost`, or None.
        decisions: over ``transform``: share of samples whose largest score moves to another class, or None.
        more: further measures by name: "attribution", "fixes", "Lie derivative", "task", "data", where they apply.
        notes: what the reader has to know, one sentence each.
        code: Python that measures the same again.
        limit: relative error up to which an element is called exact; in half precision what rounding can make, below
            which nothing can be told.
        spread: by how much the answers to two different inputs differ, relative; 1 where it was not measured.
        batch: that a sample's answer depends on the others of its batch, and what to do; else empty.
    """

    model: AuditedModel
    data: AuditData
    sweeps: dict[str, xr.Dataset]
    control: xr.Dataset | None
    verdicts: tuple[Verdict, ...]
    findings: xr.Dataset | None
    remedies: xr.Dataset
    cost: xr.Dataset | None
    decisions: xr.Dataset | None
    more: dict[str, xr.Dataset]
    notes: tuple[str, ...]
    code: str
    limit: float
    spread: float = 1.0
    batch: str = ""

    @property
    def cautions(self) -> tuple[str, ...]:
        """What takes the weight from every verdict: a guess, chance, other samples, a network that hardly looks."""
        found = guess(self.sweeps), chance(self.sweeps, self.data.input), self.batch, self._faint()
        return tuple(caution for caution in found if caution)

    @property
    def caution(self) -> str:
        """The same as one text; empty where there is none."""
        return " ".join(self.cautions)

    @property
    def taken(self) -> str:
        """How the answer was taken to move, and how sure that is."""
        return taken(self.sweeps)

    @property
    def scale(self) -> str:
        """What an error is to be held against: how far answers to two inputs differ; empty where it is not known."""
        if self.spread == 1.0 or self.spread < FAINT:  # then a caution says it
            return ""
        return (
            f"For scale: the network's answers to two different {NOUNS[self.data.input]} differ by "
            f"{percent(self.spread)}; an error of that size means that moving one matters as much as exchanging it."
        )

    @property
    def asked(self) -> dict[str, dict[str, Any]]:
        """How each question was asked: law of the output, its confidence and why, mask, padding, runs and the like."""
        return {q: {name: ds.attrs[name] for name in ASKED if name in ds.attrs} for q, ds in self.sweeps.items()}

    @property
    def unseen(self) -> dict[str, str]:
        """Layers that could not be compared, with the reason."""
        return unseen(self.sweeps, self.model.model)

    @property
    def unseen_line(self) -> str:
        """The same in one line; empty where every layer was compared."""
        watched = (ds for ds in self.sweeps.values() if ds.sizes["layer"] > 1)
        seen = {str(name) for ds in watched for name in ds.layer.values} - {"output"}
        return unseen_line(self.unseen, len(seen | set(self.unseen)))

    @property
    def refused(self) -> tuple[str, ...]:
        """Why questions that were to be asked have no answer, one sentence each."""
        begin = tuple(f"Not measured, {question}: " for question in BUILT_IN)
        return tuple(note for note in self.notes if note.startswith(begin))

    def _faint(self) -> str:
        if self.spread >= FAINT:
            return ""
        nouns = NOUNS[self.data.input]
        far = f"differ by {percent(self.spread)}" if self.spread else "are the same"
        return (
            f"Careful: its answers to two different {nouns} {far}, so it hardly looks at them; read every error beside "
            "that number. New weights (give trained ones by weights=... or --weights) and numbers in another range "
            "than it was trained on (--mean, --std) do that."
        )

    @property
    def short(self) -> str:
        """The answer in one sentence, and words of caution before it where they are due."""
        return f"{self.caution} {self.summary}".strip()

    @property
    def summary(self) -> str:
        """The answer in one sentence."""
        floor = f"as good as {PLACES[self.data.input]} allow"
        words = {"exact": "exact", "floor": floor, "close": "nearly there", "broken": "broken", "chance": HIDDEN}
        found = {level: [v.question for v in self.verdicts if v.level == level] for level in words}
        parts = [f"{words[level]}: {', '.join(named)}" for level, named in found.items() if named]
        under = ", under that guess" if any(map(guessed, self.sweeps.values())) else ""
        return f"In short{under}: {'; '.join(parts)}."

    @property
    def answer(self) -> str:
        """The answer in plain sentences, one line for each question."""
        told = [verdict.whole for verdict in self.verdicts]
        if "data" in self.more:
            told += [data_sentence(self.more["data"]), data_line(self.more["data"])]
            told += [*(f"Beside each other, {p.sentence}" for p in self.beside_data)]
        return "\n".join(filter(None, told))

    @property
    def beside_data(self) -> list[Pair]:
        """Finite symmetries of the data and of the network, where both were asked."""
        if "data" not in self.more:
            return []
        told = {v.question for v in self.verdicts if v.level != "chance"}
        sweeps = {question: ds for question, ds in self.sweeps.items() if question in told}
        return side_by_side(self.more["data"], sweeps, self.limit, self.spread)

    @property
    def error(self) -> float:
        """The number that ``--fail-above`` looks at.

        The largest mean relative error, end to end, over all elements that move pixels onto pixels, less those whose
        error resampling of the answer explains; where a group has none besides the identity, at the element that the
        answer tells.
        """
        exact = [v.lattice_error for v in self.verdicts if np.isfinite(v.lattice_error)]
        return max(exact or [v.error for v in self.verdicts])

    def to_dataset(self) -> xr.Dataset:
        """All sweeps as one labelled array set.

        Dims ``layer`` and ``transform`` (with the coordinate ``question``): means over samples ``error_mean`` (with
        ``error_sem``, ``error_low``, ``error_high``), ``absolute_error_mean`` (units of the output),
        ``output_floor_mean`` and ``error_over_floor``, NaN where a layer was not watched; ``noise_floor_mean`` where
        it was measured. Over ``transform``: ``input_floor_mean``, ``error_over_input_floor`` of the output,
        ``angle_deg``, ``mirror``, ``lattice``, and ``shift_x_px``, ``shift_y_px`` of images, or ``shift_...``,
        ``scale``, ``moved`` where the groups have them. How each question was asked is in the attributes
        :data:`ASKED`, as "question: value; question: value".
        """
        layers = list(dict.fromkeys(str(name) for ds in self.sweeps.values() for name in ds.layer.values))
        layers = [name for name in layers if name != "output"] + ["output"]
        variables = {name: _joined(self.sweeps, name, layers) for name in KEPT if _in_any(self.sweeps, name)}
        variables["input_floor_mean"] = labelled(
            "transform", _coordinate(self.sweeps, "input_floor_mean"), "input floor"
        )
        over = np.concatenate([over_floor(ds, "input_floor_mean") for ds in self.sweeps.values()])
        words = "mean error of the output over the mean input floor (NaN: no floor)"
        variables["error_over_input_floor"] = labelled("transform", over, words)
        coords = {
            "layer": labelled("layer", np.array(layers, dtype=str), "layer"),
            "question": labelled("transform", _repeated(self.sweeps), "question"),
            "transform": labelled("transform", np.arange(len(_repeated(self.sweeps))), "number of the transform"),
        }
        units = {"angle_deg": "degrees", "mirror": "1"}
        units |= {"shift_x_px": "pixels", "shift_y_px": "pixels"} if self.data.input == "image" else {}
        for ds in self.sweeps.values():
            units |= {n: str(ds[n].attrs["units"]) for n in map(str, ds.variables) if n.startswith(_PLACED)}
        for name, unit in units.items():
            coords[name] = labelled("transform", _coordinate(self.sweeps, name), name.split("_")[0], unit)
        places = PLACES[self.data.input]
        lattice = _coordinate(self.sweeps, "lattice").astype(bool)
        coords["lattice"] = labelled("transform", lattice, f"{places} to {places}")
        first = next(iter(self.sweeps.values()))
        attrs = provenance(
            "audit",
            **{name: first.attrs.get(name) for name in ("seed", "dtype", "reduction")},
            **{name: _told(self.asked, name) for name in ASKED},
            passed_over="; ".join(f"{name}: {why}" for name, why in self.unseen.items()) or None,
            caution=self.caution or None,
            input_kind=self.data.kind,
            model=self.model.name,
            model_kind=self.model.how,
            data=self.data.name,
            samples=len(self.data.inputs),
            samples_of=self.data.of,
            showing=self.data.showing,
            answer=self.answer,
            exact_below=self.limit,
        )
        return xr.Dataset(variables, coords, attrs)

    def save(self, folder: str | os.PathLike) -> tuple[Path, Path]:
        """Write ``audit.nc`` and ``report.html`` into a folder, which is made if need be; gives both paths.

        ``workbench.measure.open_dataset(path, group=name)`` reads one of :meth:`groups`.
        """
        from workbench.audit.report import write_report

        place = Path(folder)
        if place.exists() and not place.is_dir():
            raise FileExistsError(f"{place} is a file; expected a folder for the report; choose another name.")
        place.mkdir(parents=True, exist_ok=True)
        return save(self.to_dataset(), place / DATASET, self.groups()), write_report(self, place / REPORT)

    def groups(self) -> dict[str, xr.Dataset]:
        """All that was measured beside :meth:`to_dataset`, by the name of its group in ``audit.nc``.

        Every sweep by its question, with the errors of each sample; "control", "findings", "remedies", "cost",
        "decisions", and those of ``more``, where they were measured.
        """
        parts = {"control": self.control, "findings": self.findings, "remedies": self.remedies, "cost": self.cost,
                 "decisions": self.decisions}  # fmt: skip
        return self.sweeps | {name: ds for name, ds in parts.items() if ds is not None} | self.more

    def __str__(self) -> str:
        told = self.caution, self.taken, self.scale, self.answer, *self.refused, self.unseen_line
        return "\n".join(part for part in told if part)


def over_floor(sweep: xr.Dataset, floor: str) -> np.ndarray:
    """The error of the output in parts of a floor, over ``transform``; NaN where nothing is resampled."""
    end = sweep.sel(layer="output")
    floors, mean = np.asarray(end[floor].values, float), np.asarray(end["error_mean"].values, float)
    return np.divide(mean, floors, out=np.full_like(mean, np.nan), where=floors > 0)


def _told(asked: dict[str, dict[str, Any]], name: str) -> str:
    """One attribute of every question, "question: value; question: value"."""
    found = {question: known.get(name, "none") for question, known in asked.items()}
    words = {q: f"{value:.6g}" if isinstance(value, float) else str(value) for q, value in found.items()}
    return "; ".join(f"{question}: {text.replace('; ', ', ')}" for question, text in words.items())


def _in_any(sweeps: dict[str, xr.Dataset], name: str) -> bool:
    return any(mean_of(ds, name) is not None for ds in sweeps.values())


def _repeated(sweeps: dict[str, xr.Dataset]) -> np.ndarray:
    return np.concatenate([np.full(ds.sizes["transform"], name) for name, ds in sweeps.items()]).astype(str)


def _coordinate(sweeps: dict[str, xr.Dataset], name: str) -> np.ndarray:
    rest = 1.0 if name in ("mirror", "scale") else 0.0
    parts = [
        np.asarray(ds[name].values, dtype=float) if name in ds.variables else np.full(ds.sizes["transform"], rest)
        for ds in sweeps.values()
    ]
    return np.concatenate(parts)


def _joined(sweeps: dict[str, xr.Dataset], name: str, layers: list[str]) -> tuple:
    columns: list[np.ndarray] = []
    attrs: dict[str, Any] = {}
    for ds in sweeps.values():
        block = np.full((len(layers), ds.sizes["transform"]), np.nan)
        values = mean_of(ds, name)
        for at, layer in enumerate(ds.layer.values):
            if values is not None:
                block[layers.index(str(layer))] = values.values[at]
        attrs = attrs or ({} if values is None else values.attrs)
        columns.append(block)
    return labelled(("layer", "transform"), np.concatenate(columns, 1), attrs["long_name"], attrs["units"])


def mean_of(sweep: xr.Dataset, name: str) -> xr.DataArray | None:
    """A variable of a sweep, or the mean over samples of the one without ``_mean`` in its name; else None."""
    plain = name.removesuffix("_mean")
    if name in sweep.variables or plain not in sweep.variables:
        return sweep.get(name)
    words = f"{sweep[plain].attrs['long_name']}, mean over samples"
    mean = sweep[plain].mean("sample", skipna=False) if "sample" in sweep[plain].dims else sweep[plain]
    return mean.assign_attrs(sweep[plain].attrs | {"long_name": words})
