"""The run behind the equivariance error: samples and elements in chunks, of which only norms are kept."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.groups import GroupSignal
from workbench.measure.compare import Action, error_of, tensor_of
from workbench.measure.dataset import labelled
from workbench.measure.probe import OUTPUT, Output, copied, named_layers, report, run

CONFIDENCE = 0.95


class Sweep:
    """One run over samples and elements, in chunks that fit ``batch_size``; keeps norms only."""

    def __init__(
        self,
        model: Callable,
        action: Action,
        layers: str | Iterable[str],
        output: str,
        form: str,
        eps: float,
        batch_size: int,
    ) -> None:
        self.model, self.action, self.output = model, action, output
        self.form, self.eps, self.batch_size = form, eps, batch_size
        self.layers, self.strict = named_layers(model, layers), layers != "all"
        self.rows: dict[str, list[dict[str, Tensor]]] = {}  # per layer one dict for each sample batch
        self.exact: dict[str, Tensor] = {}
        self.refused: dict[str, str] = {}
        self.input_floor: list[Tensor] = []
        self.largest_output = 0.0

    def measure(self, images: Tensor, progress: Callable[[float], None] | None, cancel: Any) -> None:
        count, batches = len(self.action.elements), images.split(self.batch_size)
        for place, batch in enumerate(batches):
            report(progress, cancel, place / len(batches))
            reference: dict[str, Output] = {}
            self._run(batch, lambda name, value: reference.__setitem__(name, copied(value)))  # noqa: B023 - runs now
            floors: list[Tensor] = []
            found: dict[str, list[dict[str, Tensor]]] = {name: [] for name in reference}
            step = max(1, self.batch_size // len(batch))
            for start in range(0, count, step):
                part = replace(self.action, elements=self.action.elements[start : start + step])
                floors.append(self._chunk(batch, part, reference, found))
                report(progress, cancel, (place + min(1.0, (start + step) / count)) / len(batches))
            self._keep(found, reference, floors)

    def _run(self, images: Tensor, receive: Callable[[str, Output], None]) -> None:
        def invariant(name: str, value: Output) -> None:
            flat = name == OUTPUT and self.output == "invariant"
            receive(name, tensor_of(value).flatten(1) if flat else value)

        run(self.model, images, self.layers, self.strict, invariant)

    def _chunk(self, batch: Tensor, part: Action, reference: dict[str, Output], found: dict[str, list]) -> Tensor:
        """Norms for some elements; gives the input floor ``(E, B)``."""
        moved = part.there(batch)

        def receive(name: str, value: Output) -> None:
            if name not in found:
                raise ValueError(f"layer {name!r} ran for some images only; expected the same layers for every image.")
            if name not in self.refused:
                self._compare(name, value, part, reference[name], found)

        self._run(moved.flatten(0, 1).to(batch.dtype), receive)
        return self._floor(part, moved, batch)

    def _compare(self, name: str, value: Output, part: Action, reference: Output, found: dict[str, list]) -> None:
        if isinstance(value, GroupSignal) and not _same_elements(value, reference):
            raise ValueError(
                f"{name} drew other group elements for other images; expected fixed ones in evaluation mode; "
                "set the layer's sampling to 'grid' or fix its offset."
            )
        try:
            wanted = part.there(reference)
            floor = self._floor(part, wanted, reference)
        except ValueError as error:  # a partial arc that g leads out of: nothing is known there
            if name == OUTPUT or self.strict:
                raise ValueError(f"{name}: {error}") from error
            self.refused[name] = str(error)
            return
        here, there = part.windows(reference)
        got = part.cast(tensor_of(value)).view(wanted.shape)
        norms = part.distance(got * here, wanted * there, reference)
        entries = part.entries(reference)
        found[name].append(
            {
                "error": error_of(self.form, norms, entries, self.eps),
                "absolute_error": error_of("absolute", norms, entries, self.eps),
                "output_floor": floor,
            }
        )

    def _floor(self, part: Action, moved: Tensor, value: Output) -> Tensor:
        """The round trip there and back, in the form of the error, ``(E, B)``."""
        exact = part.exact(value)
        floor = torch.zeros(len(part.elements), len(tensor_of(value)), dtype=torch.float64)
        if bool(exact.all()):
            return floor
        rest = (~exact).nonzero().flatten()
        some = replace(part, elements=part.elements[rest])
        still = part.cast(tensor_of(value)).expand(len(rest), *tensor_of(value).shape)
        here, _ = part.windows(value)
        norms = some.distance(some.back(moved[rest], value) * here, still * here, value)
        floor[rest] = error_of(self.form, norms, part.entries(value), self.eps)
        return floor

    def _keep(self, found: dict[str, list], reference: dict[str, Output], floors: list[Tensor]) -> None:
        self.input_floor.append(torch.cat(floors))
        self.largest_output = max(
            self.largest_output, float(tensor_of(reference[OUTPUT]).abs().nan_to_num(nan=torch.inf).max())
        )
        for name, chunks in found.items():
            shape = self.input_floor[-1].shape
            unknown = torch.full(shape, torch.nan, dtype=torch.float64)
            keys = ("error", "absolute_error", "output_floor")
            refused = name in self.refused
            row = {key: unknown if refused else torch.cat([c[key] for c in chunks]) for key in keys}
            self.rows.setdefault(name, []).append(row)
            self.exact[name] = torch.zeros(shape[0]).bool() if refused else self.action.exact(reference[name])

    def dataset(self, coords: dict[str, tuple], form: str) -> xr.Dataset:
        names = list(self.rows)
        values = {
            key: np.stack([torch.cat([row[key] for row in self.rows[name]], 1).numpy() for name in names])
            for key in ("error", "absolute_error", "output_floor")
        }
        values["input_floor"] = torch.cat(self.input_floor, 1).numpy()
        units = "output units" if form == "absolute" else "1"
        dims = ("layer", "transform", "sample")
        mean, sem, low, high = statistics(values["error"])
        variables = {
            "error": labelled(dims, values["error"], f"{form} equivariance error", units),
            "absolute_error": labelled(dims, values["absolute_error"], "root mean square error", "output units"),
            "error_mean": labelled(dims[:2], mean, f"{form} equivariance error, mean over samples", units),
            "error_sem": labelled(dims[:2], sem, "standard error of the mean over samples", units),
            "error_low": labelled(dims[:2], low, "lower end of the 95 % interval of the mean", units),
            "error_high": labelled(dims[:2], high, "upper end of the 95 % interval of the mean", units),
            "input_floor": labelled(dims[1:], values["input_floor"], "input resampling floor", units),
            "input_floor_mean": labelled(dims[1], values["input_floor"].mean(-1), "input resampling floor", units),
            "output_floor": labelled(dims, values["output_floor"], "output resampling floor", units),
            "output_floor_mean": labelled(dims[:2], values["output_floor"].mean(-1), "output resampling floor", units),
            "exact": labelled(
                dims[:2], torch.stack([self.exact[n] for n in names]), "g acted on the output without interpolation"
            ),
            "comparable": labelled("layer", [n not in self.refused for n in names], "the output could be compared"),
        }
        coords = coords | {
            "layer": labelled("layer", names, "layer"),
            "sample": labelled("sample", np.arange(values["error"].shape[-1]), "number of the sample"),
        }
        return xr.Dataset(variables, coords)


def _same_elements(value: GroupSignal, reference: Output) -> bool:
    return isinstance(reference, GroupSignal) and torch.equal(value.elements, reference.elements)


def statistics(error: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard error and the ends of the 95 % interval over the last axis; NaN spread for one sample."""
    from scipy.special import stdtrit

    count, mean = error.shape[-1], error.mean(-1)
    if count == 1:
        unknown = np.full_like(mean, np.nan)
        return mean, unknown, unknown.copy(), unknown.copy()
    sem = error.std(-1, ddof=1) / np.sqrt(count)
    reach = sem * stdtrit(count - 1, 0.5 + CONFIDENCE / 2)
    return mean, sem, mean - reach, mean + reach
