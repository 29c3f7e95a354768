"""What the networks of finished runs cost: multiply-adds counted, and the measured time of a training step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from workbench.training.randomness import own_randomness
from workbench.training.run import Run

if TYPE_CHECKING:
    import xarray as xr

ROUNDS, BATCH = 5, 64


def step_costs(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """Multiply-adds of each experiment's network, and the time of one training step of each run.

    Args:
        runs: (experiment, seed) -> the folder of a finished run.
        fast: one round, of few pictures.

    Returns:
        `multiply_adds(experiment)` of one image in evaluation; `step_ms(experiment, seed)`, process time of one forward
        and backward pass of 64 training images on one thread, the median of rounds that go round the experiments.
    """
    import xarray as xr

    from workbench.datasets import load
    from workbench.measure import cost, labelled, provenance

    names, seeds = list(dict.fromkeys(n for n, _ in runs)), sorted({s for _, s in runs})
    counted, spent = np.zeros(len(names), dtype=np.int64), np.zeros((len(names), len(seeds)))
    for column, seed in enumerate(seeds):
        steps = []
        for row, name in enumerate(names):
            run = Run(runs[name, seed])
            options = dict(run.config["data"])
            images, labels = load(options.pop("name"), **options).splits["train"]
            model = run.model()
            counted[row] = int(cost(model, (1, *images.shape[1:]))["multiply_adds"].sum())
            few = 8 if fast else BATCH
            steps.append(_step(model.train(), images[:few], labels[:few]))
        spent[:, column] = np.median(interleaved(steps, 1 if fast else ROUNDS), axis=1)
    return xr.Dataset(
        {
            "multiply_adds": labelled("experiment", counted, "multiply-adds of one image in evaluation"),
            "step_ms": labelled(("experiment", "seed"), spent, "process time of one training step", "ms"),
        },
        {
            "experiment": labelled("experiment", np.asarray(names, dtype=str), "experiment"),
            "seed": labelled("seed", np.asarray(seeds, dtype=np.int64), "seed"),
        },
        provenance(
            "step_costs", seed=seeds, dtype="float32", reduction="median over interleaved rounds",
            input_kind="training images", batch=8 if fast else BATCH, rounds=1 if fast else ROUNDS, threads=1,
        ),
    )  # fmt: skip


def _step(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    def step() -> None:
        model.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()

    return step


def interleaved(steps: list[Callable[[], None]], rounds: int) -> np.ndarray:
    """Milliseconds of process time ``(steps, rounds)`` on one thread; every round takes each step once, in turn."""
    spent = np.zeros((len(steps), rounds))
    with one_thread(), own_randomness(0):
        for turn in range(-1, rounds):  # the first warms up
            for at, step in enumerate(steps):
                begun = time.process_time()
                step()
                if turn >= 0:
                    spent[at, turn] = 1e3 * (time.process_time() - begun)
    return spent


@contextmanager
def one_thread() -> Iterator[None]:
    """A block in which torch computes on one thread, whatever it was told before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
