"""Pieces of a long sweep measured by the workers of a Dask cluster, a few at a time, kept as they come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from workbench.measure.behaviour import Behaviour
from workbench.measure.cells import Cell, measure_cell, seeded, versions
from workbench.measure.inference import checked_inputs
from workbench.measure.probe import report
from workbench.measure.question import Question
from workbench.measure.travel import Luggage, unpacked

PATIENCE_S = 30.0  # for a scheduler to answer, and for its first worker
POLL_S = 0.05  # how often cancel is looked at
PER_WORKER = 2  # cells under way: one is measured while the next one travels
LIMIT = "distributed.admin.large-graph-warning-threshold"

_one_at_a_time = threading.Lock()  # training flags and random generators belong to the whole process
_models: dict[Luggage, Callable] = {}


def measure_there(
    missing: Iterator[tuple[Cell, Tensor, str]],
    keep: Callable[[Cell, xr.Dataset, str], None],
    luggage: Luggage,
    question: Question,
    law: Behaviour,
    elements: Tensor,
    scheduler: str,
    cancel: Any,
) -> None:
    """Have every missing cell measured; ``keep`` gets the pieces in the order in which they come.

    What travels stays with the scheduler until it is used, so the work of a worker that dies is done by another one.

    Raises:
        ConnectionError: no scheduler answers, or it has no worker.
        RuntimeError: a piece was given up, because the workers that had it died.
        ValueError: a worker has other versions; whatever the model raises comes from there as it is.
    """
    import dask

    with _client(scheduler) as client, dask.config.set({LIMIT: "1TB"}):
        weights = client.submit(_held, luggage, pure=False)
        under_way: dict[Any, tuple[Cell, str]] = {}
        travelling: list[Any] = [None, None]  # the chunk that was sent last, and what holds it there
        try:
            for cell, images, data in missing:
                while len(under_way) >= PER_WORKER * max(1, len(client.scheduler_info()["workers"])):
                    _collect(under_way, keep, cancel)
                if travelling[0] is not images:
                    travelling = [images, client.submit(_held, images.detach().cpu().clone(), pure=False)]
                future = client.submit(
                    _in_worker, weights, travelling[1], seeded(question, cell), law, elements[cell.first : cell.last],
                    torch.get_num_threads(), pure=False,
                )  # fmt: skip
                under_way[future] = (cell, data)
            while under_way:
                _collect(under_way, keep, cancel)
        finally:
            client.cancel(list(under_way))


UNDER_WAY = ("pending", "lost")
"""A result that is lost with its worker is computed again by another one."""


def _collect(under_way: dict[Any, tuple[Cell, str]], keep: Callable, cancel: Any) -> None:
    """Wait for a while; keep what has come."""
    done = [future for future in under_way if future.status not in UNDER_WAY]
    for future in done:
        cell, data = under_way.pop(future)
        keep(cell, _piece(future, cell), data)
    report(None, cancel, 0.0)
    if not done:
        time.sleep(POLL_S)


def _piece(future: Any, cell: Cell) -> xr.Dataset:
    from distributed.scheduler import KilledWorker

    if future.status == "error" and isinstance(future.exception(), KilledWorker):
        raise RuntimeError(
            f"the samples {cell.start} to {cell.stop - 1} were given up, because every worker that had them died; "
            "finished pieces are kept; give the workers more memory, or a smaller chunk, and call again."
        )
    if future.status not in ("finished", "error", *UNDER_WAY):  # lost just now: its result waits for the next one
        raise RuntimeError(f"the scheduler gave up ({future.status}); finished pieces are kept; call again.")
    piece = future.result()
    if piece.attrs["versions"] != versions():
        raise ValueError(
            f"a worker with {piece.attrs['versions']} measured for {versions()}; expected the same versions "
            "everywhere, because others change the last bits."
        )
    return piece


def _held(value: Any) -> Any:
    return value


def _in_worker(
    luggage: Luggage, images: Tensor, question: Question, law: Behaviour, elements: Tensor, threads: int
) -> xr.Dataset:
    with _one_at_a_time:
        torch.set_num_threads(threads)  # another number adds up in another order
        if luggage not in _models:
            _models.clear()
            _models[luggage] = unpacked(luggage)
        model = _models[luggage]
        return measure_cell(
            model, checked_inputs(model, images, question.group, question.input), question, law, elements
        )


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    from distributed import Client

    if not isinstance(scheduler, str) or not scheduler:
        raise ValueError(f"scheduler = {scheduler!r} was given; expected an address such as 'tcp://127.0.0.1:8786'.")
    try:
        client = Client(scheduler, set_as_default=False, timeout=PATIENCE_S)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"no Dask scheduler answers at {scheduler}; expected one that runs; start it with `dask scheduler`."
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE_S)
        except TimeoutError as error:
            raise ConnectionError(
                f"the scheduler at {scheduler} has no worker; expected at least one; start it with `dask worker`."
            ) from error
        yield client
