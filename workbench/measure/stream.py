"""The equivariance error of more samples and elements than fit into memory, piece by piece, stopped and resumed."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, replace
from itertools import chain
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.groups import Group
from workbench.measure.cells import CELL_NUMBERS, MOST_ELEMENTS, Cell, cells, measure_cell, seeded, versions
from workbench.measure.cluster import measure_there
from workbench.measure.compare import tensor_of
from workbench.measure.error import equivariance_error
from workbench.measure.inference import TRIAL_SAMPLES, checked_inputs, one_output
from workbench.measure.meter import Meter
from workbench.measure.parts import ANSWERS, Facts, Parts, assemble
from workbench.measure.probe import OUTPUT, Cancelled, report
from workbench.measure.question import Question, ask
from workbench.measure.samples import Samples, digest
from workbench.measure.state import module_of, undisturbed
from workbench.measure.sweep import Sweep
from workbench.measure.travel import Luggage, packed, unpacked


def equivariance_error_streamed(
    model: Callable,
    images: Tensor | np.ndarray | str | os.PathLike | Iterable,
    group: Group | str,
    elements: Tensor | None = None,
    *,
    folder: str | os.PathLike,
    chunk: int | None = None,
    scheduler: str | None = None,
    build: str | Callable | None = None,
    progress: Callable[[float], None] | bool | None = None,
    cancel: Any = None,
    **options: Any,
) -> xr.Dataset:
    r"""The Dataset of :func:`equivariance_error`, to the bit, of data that do not fit into memory.

    .. math:: \text{bytes} \le w (s n + 2 b A + P) + 160 L e s + 56 L E + 2^{28}

    n numbers in a sample, s samples in a chunk, b in a forward pass (``batch_size``, fewer where a sample is large),
    A numbers that the L watched layers put out for one sample, w bytes each; P is what one forward pass and one
    comparison of b samples need for themselves; e <= 32 of the E elements at a time, fewer so that
    5 L e s <= 2^22 where s allows it. The number of samples is not in it, that of the elements only with the means;
    2^28 is for putting the whole together. An iterator adds one of its batches.

    Every piece (a chunk of samples under some elements) is written to ``folder`` when it is done: a NetCDF file that
    is there whole or not at all, with a checksum. Call again with the same folder to go on after a kill or a cancel:
    damaged pieces are measured anew, and a folder that belongs to other weights, data or options is refused.
    The same bits need the same kind of processor and the same number of threads.

    A stochastic model is averaged over ``repeats`` runs in every piece, which draws from a seed of its own: the same
    bits come again after a kill, on another worker or in another order, but not those of
    :func:`equivariance_error`, which draws from one seed from beginning to end.

    Args:
        model, group, elements: as in :func:`equivariance_error`; a stochastic model has to draw from the generators of
            torch, numpy or Python, not from one of its own, which no seed reaches.
        images: a tensor, a numpy array or memory map, the name of a .npy file, or an iterable of batches (a
            DataLoader; of ``(images, labels)`` the images are taken), which is gone through once.
        folder: for the pieces, their question (``question.nc``) and the whole (``error.nc``).
        chunk: samples in a piece, at least 4, rounded up to whole forward passes; one forward pass where not given.
        scheduler: address of a Dask scheduler, whose workers measure; they need this package and the module that
            ``build`` names. Connect to your own scheduler only: Dask runs what it is sent.
        build: ``"package.module:name"`` of a function without arguments that makes the module (or that function): the
            weights travel as safetensors beside it, and no module is pickled. Needed with ``scheduler``, unless the
            model is a plain function that can be imported. What it makes is compared with the model first.
        progress: called with the part done in [0, 1], a number whose ``seconds_left`` says how long the rest takes;
            ``True`` shows a bar. Where an iterator does not tell its length, 0 is told until the end.
        cancel: an event or function; stops with ``Cancelled``, finished pieces are kept. A worker ends its piece.
        options: those of :func:`equivariance_error`.

    Returns:
        As :func:`equivariance_error`; it lies in ``folder/error.nc``, and numbers are read when they are used.

    Raises:
        ValueError: for what cannot be measured, a model with a random generator of its own, or a folder of another
            question, in one sentence.
        TypeError: for unknown options, or images of another kind.
        ConnectionError, RuntimeError: no scheduler or worker; a piece whose workers died again and again.
        Cancelled: when asked to stop.

    >>> import tempfile
    >>> net = torch.nn.Conv2d(1, 2, 3, padding=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ds = equivariance_error_streamed(net, torch.rand(9, 1, 8, 8), "C(4)", folder=folder, batch_size=4).load()
    >>> dict(ds.error.sizes)
    {'layer': 1, 'transform': 4, 'sample': 9}

    Source: derived here.
    """
    samples = Samples(images)
    question, one = ask(model, samples.one, group, elements, **_complete(options))
    stream = _Stream(model, question, samples, one, chunk, cancel)
    luggage = None if scheduler is None else stream.luggage(build)
    parts = Parts(folder, stream.words(), stream.answers)
    count = None if samples.count is None else samples.count * len(question.elements)
    meter = Meter(count, progress)
    try:
        stream.measure(parts, meter, luggage, scheduler)
        meter.end()
    except Cancelled:
        raise Cancelled(
            f"the measure was cancelled with {meter.done():.0%} done; call it again with the same folder to go on."
        ) from None
    finally:
        meter.close()
    return stream.whole(parts)


class _Stream:
    """One question, asked of a stream of samples."""

    def __init__(
        self, model: Callable, question: Question, samples: Samples, one: Tensor, chunk: int | None, cancel: Any
    ) -> None:
        self.model, self.question, self.one, self.cancel = model, question, one, cancel
        self.sweep: Sweep = question.sweep(model, one)
        self.at_once = self.sweep.at_once(one)
        self.size = _whole_passes(chunk, self.at_once)
        chunks = samples.chunks(self.size)
        first = next(chunks)
        self.chunks = _whole_passes_first(chain([first], chunks), self.at_once)
        self.head = first[: max(self.at_once, TRIAL_SAMPLES)]
        self._try()

    def taken(self, images: Tensor) -> Tensor:
        return checked_inputs(self.model, images, self.question.group, self.question.input)

    def _try(self) -> None:
        with undisturbed(self.model, self.question.seed):
            reference = self.sweep.trial(self.taken(self.head))
        if self.sweep.stochastic and not self._follows_the_seed():
            raise ValueError(
                f"a model whose output changes by {self.sweep.stochastic:.1%} between two runs from the same seed was "
                "given; expected one that draws from the generators of torch, numpy or Python, because pieces have to "
                "be measured again; hand it no generator of its own, or use equivariance_error."
            )
        if not self.sweep.stochastic:
            self.sweep.repeats = 1  # nothing to average
        self.question = replace(self.question, repeats=self.sweep.repeats, inner=self.sweep.inner)
        assert self.sweep.law is not None  # settled by the trial
        self.law = self.sweep.law
        self.answers = tensor_of(reference[OUTPUT]).double().flatten()[:ANSWERS].cpu().numpy()
        self.order = self.sweep.order.numpy()
        self.facts = Facts(list(reference), self.order)

    def _follows_the_seed(self) -> bool:
        found = []
        for _ in range(2):
            with undisturbed(self.model, self.question.seed):
                found.append(tensor_of(one_output(self.model, self.taken(self.head), self.question.select)))
        return found[0].shape == found[1].shape and torch.equal(found[0], found[1])

    def words(self) -> dict[str, str]:
        """What was asked, by name; the samples are known by each piece."""
        module = module_of(self.model)
        asked = {f.name: getattr(self.question, f.name) for f in fields(self.question) if f.name != "inner"}  # follows
        asked |= {"elements": digest(self.question.elements), "group": self.question.group.name}
        asked["select"] = getattr(asked["select"], "__qualname__", asked["select"])
        return {name: repr(value) for name, value in asked.items()} | {
            "network": _called(self.model) if module is None else hashlib.sha256(str(module).encode()).hexdigest(),
            "weights": "none" if module is None else _weights(module),
            "chunk": f"{self.size} samples, {MOST_ELEMENTS} elements, {CELL_NUMBERS} numbers",
            "sample": f"{tuple(self.one.shape[1:])} {self.one.dtype}",
            "versions": versions(),
        }

    def luggage(self, build: str | Callable | None) -> Luggage:
        """The model ready to travel, after making sure that the same one arrives."""
        luggage = packed(self.model, build)
        other, head = unpacked(luggage), self.taken(self.head)
        found = []
        for model in (self.model, other):
            with undisturbed(model, self.question.seed):
                found.append(tensor_of(one_output(model, head, self.question.select)))
        if not torch.equal(found[0], found[1]):
            raise ValueError(
                f"build = {luggage.where!r} makes a model that answers otherwise than the given one with the same "
                "weights; expected the same model; make it with the same arguments."
            )
        if callable(self.question.select):
            raise ValueError("select is a function, which does not travel; expected a key or place; choose in build.")
        return luggage

    def missing(self, parts: Parts, meter: Meter) -> Iterator[tuple[Cell, Tensor, str]]:
        """The cells that are not on disk, with their samples and the fingerprint of these."""
        start, count, layers = 0, len(self.order), len(self.facts.names)
        known: list[Cell] = []
        for images in self.chunks:
            data = digest(images)
            for cell in cells(start, len(images), count, layers, self.at_once):
                known.append(cell)
                report(None, self.cancel, 0.0)
                piece = parts.read(cell, data)
                if piece is None:
                    yield cell, images, data
                else:
                    self.facts.add(cell, piece)
                    meter.on_disk(cell.size)
            start += len(images)
        parts.refuse_others(known)

    def measure(self, parts: Parts, meter: Meter, luggage: Luggage | None, scheduler: str | None) -> None:
        missing = self.missing(parts, meter)
        elements = self.question.elements[torch.from_numpy(self.order)]

        def keep(cell: Cell, piece: xr.Dataset, data: str) -> None:
            parts.write(cell, piece, data)
            self.facts.add(cell, piece)
            meter.finished(cell.size)

        if luggage is not None and scheduler is not None:
            measure_there(missing, keep, luggage, self.question, self.law, elements, scheduler, self.cancel)
            return
        for cell, images, data in missing:
            part = elements[cell.first : cell.last]
            piece = measure_cell(
                self.model,
                self.taken(images),
                seeded(self.question, cell),
                self.law,
                part,
                lambda share, size=cell.size: meter.now(share * size),  # type: ignore[misc]
                self.cancel,
            )
            keep(cell, piece, data)

    def whole(self, parts: Parts) -> xr.Dataset:
        facts, sweep, question = self.facts, self.sweep, self.question
        samples = max(cell.stop for cell in facts.cells)
        if sum(cell.size for cell in facts.cells) != samples * len(self.order):
            raise RuntimeError(f"{parts.folder} holds {len(facts.cells)} pieces, and some are missing; call again.")
        sweep.rows = {name: [] for name in facts.names}
        sweep.refused, sweep.passed_over = facts.refused(), facts.passed_over()
        sweep.largest_output = facts.largest_output
        attrs = question.attributes(self.model, self.one, samples, sweep)
        coords = question.coordinates(self.one)
        return assemble(parts, facts, coords, question.form, question.interval, question.seed, attrs)


def _complete(options: dict[str, Any]) -> dict[str, Any]:
    """The options with the defaults of the whole measure."""
    own = ("progress", "cancel")
    known = {
        name: parameter.default
        for name, parameter in inspect.signature(equivariance_error).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in own
    }
    if unknown := sorted(set(options) - set(known)):
        raise TypeError(f"the options {', '.join(unknown)} were given; expected some of {', '.join(known)}.")
    return known | options


def _whole_passes(chunk: int | None, at_once: int) -> int:
    if chunk is not None and (isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1):
        raise ValueError(f"chunk = {chunk!r} was given; expected a positive number of samples, or None.")
    return -(-max(chunk or at_once, TRIAL_SAMPLES) // at_once) * at_once


def _whole_passes_first(chunks: Iterable[Tensor], at_once: int) -> Iterator[Tensor]:
    """The chunks, of which the last is cut before a short pass: that one takes several elements at once."""
    for images in chunks:
        whole = len(images) // at_once * at_once
        yield from (part for part in (images[:whole], images[whole:]) if len(part))


def _called(model: Callable) -> str:
    return f"{getattr(model, '__module__', '')}:{getattr(model, '__qualname__', type(model).__qualname__)}"


def _weights(module: nn.Module) -> str:
    """Of every parameter and buffer, also of those that are not saved."""
    found = hashlib.sha256()
    for name, tensor in chain(module.named_parameters(), module.named_buffers()):
        found.update(f"{name} {digest(tensor.unsqueeze(0))}".encode())
    return found.hexdigest()
