"""`workbench reproduce`: train a method's seeds, check its claims, print what the paper says and what we measured."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.commands.memory import keep_freed_memory

if TYPE_CHECKING:
    from workbench.models.method import Method

SHIPPED_SEED = 0


def run(options: argparse.Namespace) -> int:
    """Train or read, then print the verdicts."""
    from workbench.models.method import find_method

    method = find_method(options.method)
    from workbench import training

    if options.stored:
        results = training.load_claims(method, options.out)
    else:
        if options.ship and options.fast:
            raise ValueError("--ship and --fast exclude each other: short runs must not pass for trained networks")
        keep_freed_memory()
        runs = Path(options.runs or Path("runs") / (f"{method.name}-fast" if options.fast else method.name))
        results = training.reproduce(
            method,
            seeds=range(options.seeds),
            out=options.out,
            fast=options.fast,
            workers=options.workers,
            runs=runs,
        )
        if options.ship:
            print(f"Copied for the explorers: {', '.join(ship_runs(method, runs))}")
    print(training.verdict_table(method, results))
    return 0


def ship_runs(method: Method, runs: Path) -> list[str]:
    """Copy one trained network per experiment to data/runs, where the explorers find it; returns their names."""
    from workbench.datasets import data_folder
    from workbench.training import ship

    names = []
    for experiment in method.experiments:
        # A folder's name holds a mark of its configuration; after a change of the recipe the newest is meant.
        trained = sorted(
            runs.glob(f"{experiment.name}-*-seed{SHIPPED_SEED}"), key=lambda path: (path / "history.nc").stat().st_mtime
        )
        if not trained:
            raise FileNotFoundError(f"{runs} has no run of {experiment.name} with seed {SHIPPED_SEED}")
        names.append(f"{method.name}/{experiment.name}")
        ship(trained[-1], data_folder() / "runs" / names[-1])
    return names
