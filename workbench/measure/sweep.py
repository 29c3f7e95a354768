"""The run behind the equivariance error: samples and elements in chunks, of which only norms are kept."""

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.groups import GroupSignal
from workbench.measure.behaviour import Behaviour, candidates
from workbench.measure.compare import FORMS, Action, error_of, shaped, tensor_of, with_tensor
from workbench.measure.followed import Followed
from workbench.measure.inference import LARGEST_SAMPLE, TRIAL_SAMPLES, change_between_runs, decide
from workbench.measure.known import scaling_norms
from workbench.measure.layer_laws import layer_laws
from workbench.measure.probe import IMAGE_DIMS, LIST_DIMS, OUTPUT, Output, copied, named_layers, report, run, watching
from workbench.measure.sums import Norms, Totals
from workbench.measure.tables import table
from workbench.measure.turning import Scratch, TurnedMaps, companions_first, turned_maps

VIEW = "view size is not compatible"  # what torch says of a view that would need a copy
FEW_PIXELS, FEWEST = 2**16, 8  # of a few samples
TRIED = 3  # elements at which laws of layers are tried
REPEATS = 8
"""Runs over which a stochastic model is averaged where nothing else is asked."""
PASS_BYTES = 2**24
"""Of the largest output of one pass on a processor: what lies in the cache is not fetched again by the next layer."""


class NotFinite(ValueError):
    """The model's output holds NaN or infinite numbers."""


class Sweep:
    """One run over samples and elements, in chunks that fit ``batch_size``; keeps norms only.

    Args:
        output: the declared behaviour of the result, ``None`` where it is to be inferred.
        repeats: runs to average; ``None``: one, or ``REPEATS`` where two runs of the same input differ.
        refuse: raise where two runs of the same input differ.
    """

    def __init__(
        self,
        model: Callable,
        action: Action,
        layers: str | Iterable[str],
        output: Behaviour | None,
        form: str,
        eps: float,
        batch_size: int,
        select: Any = None,
        repeats: int | None = None,
        refuse: bool = False,
    ) -> None:
        self.model, self.action, self.law, self.select = model, action, output, select
        self.form, self.eps, self.batch_size = form, eps, batch_size
        self.wanted_repeats, self.repeats, self.refuse = repeats, 1, refuse
        self.layers, self.strict = named_layers(model, layers), layers != "all"
        self.order = companions_first(action)
        known = bool(self.layers) and action.padding == "border" and form != "symmetric" and action.dtype is None
        self.scratch = Scratch()
        self.followed = Followed(scaling_norms(model) if known else {})
        self.forms = tuple(f for f in FORMS if f != "symmetric" or form == f)  # that one needs a norm more
        self.keys = ("error", *(f"{f}_error" for f in self.forms), "output_floor")
        self.dims = IMAGE_DIMS if action.input_kind == "image" else LIST_DIMS
        self.channels_last = action.input_kind == "image"  # convolutions on a processor are faster then
        self.inner: dict[str, Behaviour] | None = {} if action.input_kind == "image" else None  # laws of the layers
        self.stochastic: float | None = None  # relative change between two runs of the same input
        self._clear()

    def _clear(self) -> None:
        self.rows: dict[str, list[dict[str, Tensor]]] = {}  # per layer one dict for each sample batch
        self.exact: dict[str, Tensor] = {}
        self.refused: dict[str, str] = {}
        self.passed_over: dict[str, str] = {}  # outputs that cannot be compared, with the reason
        self.input_floor: list[Tensor] = []
        self.turned: dict[str, TurnedMaps | None] = {}  # maps of this batch, ready to be turned
        self.noise: dict[str, Tensor] = {}  # of this batch: what chance changes in an average
        self.largest_output = 0.0

    @property
    def names(self) -> list[str]:
        """Of the layers that were seen, the output last."""
        return list(self.rows)

    def trial(self, images: Tensor) -> dict[str, Output]:
        """What the layers put out for the first samples; settles how the output moves and whether chance is in it."""
        reference = self._reference(images[: self.at_once(images)], images)
        if self.stochastic is None:
            self._look_for_chance(images)
        return reference

    def measure(self, images: Tensor, progress: Callable[[float], None] | None, cancel: Any) -> None:
        self._pass(images, progress, cancel)
        if self.stochastic is None and self._identity_differs():
            # a generator of the model's own: nothing else that f(x) = f(ex) could fail for
            self._look_for_chance(images)
            if self.repeats > 1:
                self._clear()
                self._pass(images, None, cancel)
        self.stochastic = self.stochastic or 0.0

    def _pass(self, images: Tensor, progress: Callable[[float], None] | None, cancel: Any) -> None:
        count, few = len(self.action.elements), self._few(images)
        batches = [few_of for batch in images.split(self.at_once(images)) for few_of in batch.split(few)]
        for place, batch in enumerate(batches):
            report(progress, cancel, place / len(batches))
            # where it lies in memory decides the last bits of some products
            batch = batch.clone(memory_format=torch.contiguous_format)
            reference = self._reference(batch, images)
            self.turned = {}
            floors: list[Tensor] = []
            found: dict[str, list] = {name: [] for name in reference}  # of each chunk errors or totals
            step = self._elements_at_once(batch, images, reference)
            for start in range(0, count, step):
                part = replace(self.action, elements=self.action.elements[self.order[start : start + step]])
                floors.append(self._chunk(batch, part, reference, found))
                report(progress, cancel, (place + min(1.0, (start + step) / count)) / len(batches))
            self._keep(found, reference, floors)

    def _few(self, images: Tensor) -> int:
        """Samples asked of all elements before the next ones come: what is compared with stays in the cache."""
        if images.device.type != "cpu" or self.action.input_kind != "image":
            return len(images)
        return max(FEWEST, FEW_PIXELS // images[0, 0].numel())

    def _elements_at_once(self, batch: Tensor, images: Tensor, reference: dict[str, Output]) -> int:
        """Elements in one pass: what their largest output takes stays in the cache until the next layer reads it."""
        room = self.at_once(images) // len(batch)
        if batch.device.type == "cpu":
            largest = max(value.numel() * value.element_size() for value in map(tensor_of, reference.values()))
            room = min(room, PASS_BYTES // max(1, largest))
        return max(1, room)

    def at_once(self, images: Tensor) -> int:
        """Samples in one forward pass: as many as asked, fewer where they are large."""
        return max(1, min(self.batch_size, LARGEST_SAMPLE // images[0].numel()))

    def _reference(self, batch: Tensor, images: Tensor) -> dict[str, Output]:
        """What the model makes of samples that are not moved; the first time, what it makes of them at all."""
        before = _random_state()
        raw = self._first(batch)
        if self.inner is None:
            self.inner = self._inner_laws(images)
        if self.law is None:
            self.law = decide(self.model, raw[OUTPUT], images, self.action, self.select)
            if self.law.kind == "unknown":
                raise ValueError(f"{self.law.why}; declare one with output=..., or wrap the model.")
        if self.stochastic is None and (_random_state() != before or not self._has_identity()):
            self._look_for_chance(images)
        if self.repeats > 1:
            raw, again = {}, dict[str, Output]()
            self._run(batch, {}, lambda name, value: raw.__setitem__(name, value))
            self._run(batch, raw, lambda name, value: again.__setitem__(name, value))
            self.noise = {name: self._difference(again[name], value) for name, value in raw.items()}
        _refuse_what_is_not_finite(raw[OUTPUT])
        return {name: value if self.repeats > 1 else self._shaped(name, value) for name, value in raw.items()}

    def _inner_laws(self, images: Tensor) -> dict[str, Behaviour]:
        """How the outputs of layers move, tried at elements that are far from the identity."""
        far = self._identity_distance().argsort(descending=True)[:TRIED]
        tried = replace(self.action, elements=self.action.elements[far])
        return layer_laws(self.model, images, self.layers, tried, 0, self.select) if self.layers else {}

    def _difference(self, value: Output, reference: Output) -> Tensor:
        """The error that chance alone makes, ``(B,)``: that of the identity."""
        same = replace(self.action, elements=self.action.group.identity(torch.float64)[None])
        got, wanted = (same.cast(tensor_of(one)).detach().unsqueeze(0) for one in (value, reference))
        here, _ = same.windows(reference)
        norms = same.distance(got * here, wanted * here, reference)
        return error_of(self.form, norms, same.entries(reference), self.eps)[0]

    def _first(self, batch: Tensor) -> dict[str, Output]:
        """One pass, channels last in memory where the model allows it."""
        raw: dict[str, Output] = {}
        try:
            self._once(batch, lambda name, value: raw.__setitem__(name, copied(value)))
        except RuntimeError as error:
            if not self.channels_last or VIEW not in str(error):
                raise
            self.channels_last = False  # the model looks at its numbers in the order of memory
            return self._first(batch)
        return raw

    def _look_for_chance(self, images: Tensor) -> None:
        self.stochastic = change_between_runs(self.model, images[:TRIAL_SAMPLES], self.select)
        if self.stochastic and self.refuse:
            raise ValueError(
                f"a model whose output changes by {self.stochastic:.1%} between two runs of the same input was given; "
                "expected a deterministic one; fix its seed or switch its randomness off, or allow "
                "stochastic='average'."
            )
        self.repeats = self.wanted_repeats or (REPEATS if self.stochastic else 1)

    def _identity_distance(self) -> Tensor:
        group, elements = self.action.group, self.action.elements.double()
        return (elements - group.identity(torch.float64)).abs().sum(-1)

    def _has_identity(self) -> bool:
        return bool((self._identity_distance() < 1e-12).any())

    def _identity_differs(self) -> bool:
        place = int(self._identity_distance().argmin())
        error = torch.cat([row["relative_error"][place] for row in self.rows[OUTPUT]])
        dtype = self.action.dtype or torch.float32
        return bool(error.nan_to_num(nan=0.0).max() > torch.finfo(dtype).eps ** 0.5)

    def _shaped(self, name: str, value: Output, like: Output | None = None) -> Output:
        if name == OUTPUT:
            assert self.law is not None  # decided in the first pass
            return shaped(value, self.law, like)
        if isinstance(value, GroupSignal) or self.action.input_kind == "image":
            return value
        law = (self.inner or {}).get(name)
        return shaped(value, law or candidates(value, self.inputs, self.action.group, self.action.input_kind)[0], like)

    def _once(self, images: Tensor, receive: Callable[[str, Output], None], spare: bool = False) -> None:
        self.inputs, given = images, images
        skip = self.passed_over.setdefault
        if self.channels_last and images.device.type == "cpu" and images.ndim == 4 and images.shape[1] > 1:
            given = images.contiguous(memory_format=torch.channels_last)
            spare = spare or given is not images
        self.followed.forget()
        with watching(self.followed.norms, self.followed.hook):
            run(self.model, given, self.layers, self.strict, receive, skip, self.select, self.dims, spare)

    def _run(
        self, images: Tensor, like: dict[str, Output], receive: Callable[[str, Output], None], spare: bool = False
    ) -> None:
        """Passes over the samples; ``receive`` gets their mean where there are several."""
        if self.repeats == 1:
            self._once(images, lambda name, value: receive(name, self._shaped(name, value, like.get(name))), spare)
            return
        sums: dict[str, Output] = {}

        def add(name: str, value: Output) -> None:
            value = self._shaped(name, value, like[name] if name in like else sums.get(name))
            if name in sums and isinstance(value, GroupSignal) and not _same_elements(value, sums[name]):
                raise _redrawn(name)
            total = tensor_of(value).detach() / self.repeats
            sums[name] = with_tensor(value, total + tensor_of(sums[name]) if name in sums else total)

        for _ in range(self.repeats):
            self._once(images, add)
        for name, value in sums.items():
            receive(name, value)

    def _chunk(self, batch: Tensor, part: Action, reference: dict[str, Output], found: dict[str, list]) -> Tensor:
        """Norms for some elements; gives the input floor ``(E, B)``."""
        source = part.source(batch)
        turned = self._turned("input", part, source)
        moved, trip = (part.there(source), None) if turned is None else turned.moved(part)

        def receive(name: str, value: Output) -> None:
            if name not in found:
                raise ValueError(f"layer {name!r} ran for some images only; expected the same layers for every image.")
            if name not in self.refused:
                self._compare(name, value, part, reference[name], found)

        # before the model has them, which may change them
        floor = (
            self._floor(part, moved, source)
            if trip is None
            else error_of(self.form, trip, part.entries(source), self.eps)
        )
        self._run(moved.flatten(0, 1).to(batch.dtype), reference, receive, spare=True)
        return floor

    def _turned(self, name: str, part: Action, value: Output) -> TurnedMaps | None:
        if name not in self.turned:
            self.turned[name] = turned_maps(part, value, self.form == "symmetric", self.scratch)
        return self.turned[name]

    def _compare(self, name: str, value: Output, part: Action, reference: Output, found: dict[str, list]) -> None:
        if isinstance(value, GroupSignal) and not _same_elements(value, reference):
            raise _redrawn(name)
        if turned := self._turned(f"output of {name}", part, reference):
            totals = self.followed.totals_of(tensor_of(value))
            if totals is None:
                got = part.cast(tensor_of(value)).unflatten(0, (len(part.elements), -1))
                sums = turned.sums(part, got)
                self.followed.keep(tensor_of(value), sums)
                totals = sums.totals()
            found[name].append(totals)
            return
        try:
            wanted = part.there(reference)
            floor = self._floor(part, wanted, reference)
        except ValueError as error:  # a partial arc that g leads out of: nothing is known there
            if name == OUTPUT or self.strict:
                raise ValueError(f"{name}: {error}") from error
            self.refused[name] = str(error)
            return
        here, there = part.windows(reference)
        got = part.cast(tensor_of(value)).reshape(wanted.shape)
        norms = part.distance(got * here, wanted * there, reference)
        found[name].append(self._errors(norms, part.entries(reference), floor))

    def _errors(self, norms: Norms, entries: float | Tensor, floor: Tensor) -> dict[str, Tensor]:
        errors = {f"{form}_error": error_of(form, norms, entries, self.eps) for form in self.forms}
        return errors | {"error": errors[f"{self.form}_error"], "output_floor": floor}

    def _together(self, chunks: list, reference: Output) -> dict[str, Tensor]:
        """Errors at all elements, from those or the totals of each chunk."""
        if not isinstance(chunks[0], Totals):
            return {key: torch.cat([chunk[key] for chunk in chunks]) for key in self.keys}
        norms, trip = Totals.joined(chunks).norms()
        entries = self.action.entries(reference)
        return self._errors(norms, entries, error_of(self.form, trip, entries, self.eps))

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
        floor[rest] = error_of(self.form, norms, some.entries(value), self.eps)
        return floor

    def _keep(self, found: dict[str, list], reference: dict[str, Output], floors: list[Tensor]) -> None:
        place = self.order.argsort()  # from the order of measuring back to that of the elements
        self.input_floor.append(torch.cat(floors)[place])
        self.largest_output = max(
            self.largest_output, float(tensor_of(reference[OUTPUT]).abs().nan_to_num(nan=torch.inf).max())
        )
        for name, chunks in found.items():
            shape = self.input_floor[-1].shape
            unknown = torch.full(shape, torch.nan, dtype=torch.float64)
            refused = name in self.refused
            row = dict.fromkeys(self.keys, unknown) if refused else self._together(chunks, reference[name])
            if name in self.noise:
                row["noise_floor"] = unknown if refused else self.noise[name].expand(shape)
            self.rows.setdefault(name, []).append({key: value[place] for key, value in row.items()})
            self.exact[name] = torch.zeros(shape[0]).bool() if refused else self.action.exact(reference[name])

    def values(self) -> dict[str, np.ndarray]:
        """Every kind of number over layer, transform and sample; the input floor over transform and sample."""
        found = {
            key: np.stack([torch.cat([row[key] for row in self.rows[name]], 1).numpy() for name in self.names])
            for key in self.rows[OUTPUT][0]
        }
        return found | {"input_floor": torch.cat(self.input_floor, 1).numpy()}

    def dataset(self, coords: dict[str, tuple], form: str, kind: str = "bootstrap", seed: int = 0) -> xr.Dataset:
        exact = torch.stack([self.exact[name] for name in self.names]).numpy()
        comparable = [name not in self.refused for name in self.names]
        return table(self.values(), self.names, exact, comparable, coords, form, kind, seed)


def _same_elements(value: GroupSignal, reference: Output) -> bool:
    return isinstance(reference, GroupSignal) and torch.equal(value.elements, reference.elements)


def _redrawn(name: str) -> ValueError:
    return ValueError(
        f"{name} drew other group elements for other images; expected fixed ones in evaluation mode; "
        "set the layer's sampling to 'grid' or fix its offset."
    )


def _refuse_what_is_not_finite(value: Output) -> None:
    tensor = tensor_of(value)
    if bool(torch.isfinite(tensor).all()):
        return
    bad = (~torch.isfinite(tensor)).flatten(1).any(1) if tensor.ndim > 1 else ~torch.isfinite(tensor)
    raise NotFinite(
        f"the model puts out NaN or infinite numbers for {int(bad.sum())} of {len(bad)} inputs, the first is number "
        f"{int(bad.nonzero()[0])} of its batch; expected finite ones; look for a division by zero or an overflow."
    )


def _random_state() -> tuple:
    """Where the shared random generators stand: a model that draws from them moves it."""
    legacy: Any = np.random.get_state()  # noqa: NPY002 - the model may draw from the global generator
    return torch.get_rng_state().numpy().tobytes(), hash(random.getstate()), legacy[2], legacy[1].tobytes()
