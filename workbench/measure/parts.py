"""The folder of a long sweep: its question, one file for each finished piece, and the whole put together."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from workbench.measure import interval as intervals
from workbench.measure.cells import Cell
from workbench.measure.dataset import labelled, open_dataset, save
from workbench.measure.tables import FLOORS, ORDER, PER_SAMPLE, coordinates, per_sample, reduced, summary

QUESTION, RESULT = "question.nc", "error.nc"
ANSWERS = 64
"""Numbers of the first answers that are kept beside the question."""
_SAME = 1e-3  # two threads instead of one, or another machine, change the answers by far less
ROW_NUMBERS = 2**22
"""Held in memory at a time while the whole is put together, where no resampling asks for more rows."""


class Parts:
    """One writer's folder of pieces that all belong to one question.

    Args:
        folder: made where it is not there.
        question: what was asked, in words by name; everything that changes the numbers but the samples.
        answers: some of the model's first answers, compared with a tolerance.

    Raises:
        ValueError: the folder belongs to another question, or holds something else.
    """

    def __init__(self, folder: str | os.PathLike, question: dict[str, str], answers: np.ndarray) -> None:
        self.folder = Path(folder)
        self.mark = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"folder = {self.folder} is a file; expected a folder for the pieces; name another one.")
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / QUESTION).exists():
            self._compare(question, answers)
            return
        if any(self.folder.glob("part-*.nc")):
            raise ValueError(f"{self.folder} holds pieces without their question; expected an empty folder.")
        kept = labelled("number", answers.astype(np.float64), "first numbers that the model put out", "output units")
        save(xr.Dataset({"answers": kept}, attrs=question), self.folder / QUESTION)

    def _compare(self, question: dict[str, str], answers: np.ndarray) -> None:
        stored = open_dataset(self.folder / QUESTION)
        others = [name for name in question if stored.attrs.get(name) != question[name]]
        kept = stored["answers"].values
        if not others and not _alike(kept, answers):
            others = ["answers of the model"]
        if others:
            raise ValueError(
                f"{self.folder} holds the answer to another question (it differs in: {', '.join(others)}); expected a "
                "new folder, or exactly what was asked before; give another folder."
            )

    def read(self, cell: Cell, data: str) -> xr.Dataset | None:
        """The stored piece; ``None`` where there is none or it is damaged, so that it has to be measured.

        Raises:
            ValueError: it was measured on other samples.
        """
        path = self.folder / cell.name
        if not path.exists():
            return None
        try:
            piece = open_dataset(path)
        except ValueError:  # damaged: what it says of itself cannot be trusted either
            return None
        if piece.attrs.get("question") != self.mark or piece.attrs.get("data") != data:
            raise ValueError(
                f"{self.folder} holds the answer to another question (samples {cell.start} to {cell.stop - 1} were "
                "other ones, or came in another order); expected the same data; give another folder."
            )
        return piece

    def write(self, cell: Cell, piece: xr.Dataset, data: str) -> None:
        """Keep a piece; a reader finds all of it or nothing."""
        save(piece.assign_attrs(question=self.mark, data=data), self.folder / cell.name)

    def refuse_others(self, known: Iterable[Cell]) -> None:
        """Make sure that no piece lies here of samples that are not among those asked for."""
        left = sorted({path.name for path in self.folder.glob("part-*.nc")} - {cell.name for cell in known})
        if left:
            raise ValueError(
                f"{self.folder} holds the answer to another question ({len(left)} pieces of further samples, such as "
                f"{left[0]}); expected the same data; give another folder."
            )


def _alike(kept: np.ndarray, found: np.ndarray) -> bool:
    return kept.shape == found.shape and bool(np.abs(kept - found).max() <= _SAME * np.abs(kept).max() + 1e-12)


class Facts:
    """What the pieces say beside their numbers, gathered while they come in any order."""

    def __init__(self, names: list[str], order: np.ndarray) -> None:
        self.names, self.order = names, order
        self.exact = np.zeros((len(names), len(order)), dtype=bool)
        self.largest_output = 0.0
        self.cells: list[Cell] = []
        self._said: dict[tuple[int, int], tuple[dict[str, str], dict[str, str]]] = {}

    def add(self, cell: Cell, piece: xr.Dataset) -> None:
        if list(map(str, piece.layer.values)) != self.names:
            raise ValueError(
                f"other layers ran for the samples from {cell.start} on; expected the same ones for every sample."
            )
        self.cells.append(cell)
        self.exact[:, self.order[cell.first : cell.last]] = piece["exact"].values
        self.largest_output = max(self.largest_output, float(piece.attrs["largest_output"]))
        said = json.loads(piece.attrs["refused"]), json.loads(piece.attrs["passed_over"])
        if said[0] or said[1]:
            self._said[cell.start, cell.first] = said

    def refused(self) -> dict[str, str]:
        """Layers that could not be compared under some element, with the first reason."""
        return self._first(0)

    def passed_over(self) -> dict[str, str]:
        """Outputs that no sweep can compare, with the reason."""
        return self._first(1)

    def _first(self, which: int) -> dict[str, str]:
        found: dict[str, str] = {}
        for key in sorted(self._said):
            found |= {name: why for name, why in self._said[key][which].items() if name not in found}
        return found


def assemble(
    parts: Parts, facts: Facts, coords: dict[str, tuple], form: str, kind: str, seed: int, attrs: dict[str, Any]
) -> xr.Dataset:
    """Write the whole beside its pieces, a few rows at a time, and open it: numbers are read when they are used."""
    path = parts.folder / RESULT
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    samples = max(cell.stop for cell in facts.cells)
    try:
        xr.Dataset(coords=coordinates(coords, facts.names, samples), attrs=attrs).to_netcdf(partial, engine="h5netcdf")
        means, floor = _fill(partial, parts, facts, form, kind, seed)
        exact = facts.exact & ~np.isin(facts.names, list(facts.refused()))[:, None]
        comparable = [name not in facts.refused() for name in facts.names]
        small = xr.Dataset(summary(means, floor, exact, comparable, form))
        small.to_netcdf(partial, mode="a", engine="h5netcdf")
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    ds = xr.open_dataset(path, engine="h5netcdf")
    for variable in ds.variables.values():
        variable.encoding = {}
    ds.encoding = {}
    return ds[[name for name in ORDER if name in ds]]


def _fill(path: Path, parts: Parts, facts: Facts, form: str, kind: str, seed: int) -> tuple[dict, np.ndarray]:
    """Every number of every piece into its place; the means of the rows."""
    import h5netcdf

    refused = np.isin(facts.names, list(facts.refused()))
    with h5netcdf.File(path, "a") as file:
        for number, cell in enumerate(facts.cells):
            piece = open_dataset(parts.folder / cell.name)
            values = {str(name): piece[name].values for name in piece.data_vars if name != "exact"}
            values["error"] = values[f"{form}_error"]
            if number == 0:
                _declare(file, values, form)
            _place(file, values, cell, facts.order[cell.first : cell.last], refused)
        return _row_means(file, kind, seed), _floor_means(file)


def _declare(file: Any, names: Iterable[str], form: str) -> None:
    for name, (dims, words, units) in per_sample(form).items():
        if name in names:
            variable = file.create_variable(name, dims, "f8")
            variable.attrs["long_name"], variable.attrs["units"] = words, units


def _place(file: Any, values: dict[str, np.ndarray], cell: Cell, elements: np.ndarray, refused: np.ndarray) -> None:
    rising = np.argsort(elements)
    for name, numbers in values.items():
        if len(PER_SAMPLE) == numbers.ndim and refused.any():
            numbers = np.where(refused[:, None, None], np.nan, numbers)
        file[name][..., elements[rising], cell.start : cell.stop] = numbers[..., rising, :]


def _row_means(file: Any, kind: str, seed: int) -> dict[str, np.ndarray]:
    """Reduced as many rows at a time as the undivided sweep takes for a product with the resamples."""
    layers, elements, samples = file["error"].shape
    resampled = kind != "t" and intervals.FEWEST <= samples <= intervals.MOST
    step = max(1, intervals._AT_ONCE // intervals.RESAMPLES if resampled else ROW_NUMBERS // samples)
    pieces = []
    for start in range(0, layers * elements, step):
        stop = min(start + step, layers * elements)
        floors = {name: _rows(file[name], start, stop) for name in FLOORS if name in file}
        pieces.append(reduced(_rows(file["error"], start, stop), floors, kind, seed))
    whole = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    return {name: values.reshape(layers, elements) for name, values in whole.items()}


def _rows(variable: Any, start: int, stop: int) -> np.ndarray:
    """Rows of ``(layer x transform, sample)``."""
    elements = variable.shape[1]
    return np.concatenate(list(_stretches(variable, start, stop, elements)))


def _stretches(variable: Any, start: int, stop: int, elements: int) -> Iterator[np.ndarray]:
    for layer in range(start // elements, (stop - 1) // elements + 1):
        yield variable[layer, max(0, start - layer * elements) : min(elements, stop - layer * elements), :]


def _floor_means(file: Any) -> np.ndarray:
    floor = file["input_floor"]
    step = max(1, ROW_NUMBERS // floor.shape[1])
    return np.concatenate([floor[start : start + step].mean(-1) for start in range(0, floor.shape[0], step)])
