"""`workbench reproduce`: train a method's seeds, check its claims, print what the paper says and what we measured."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from workbench.commands.memory import keep_freed_memory
from workbench.commands.remedy import STOPPED, told_as_commands


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
        try:
            with told_as_commands():
                results = training.reproduce(
                    method,
                    seeds=range(options.seeds),
                    out=options.out,
                    fast=options.fast,
                    workers=options.workers,
                    runs=runs,
                )
        except KeyboardInterrupt:
            print(
                f"\nworkbench: stopped; what was trained is kept in {runs}: the same command goes on", file=sys.stderr
            )
            return STOPPED
        if options.ship:
            shipped = training.ship_method(method, runs=runs)
            print(f"Copied for the explorers: {', '.join(run.path.name for run in shipped)}")
    print(training.verdict_table(method, results))
    return 0
