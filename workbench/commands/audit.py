"""`workbench audit`: any network on any images, answered in sentences, with a report to keep."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from workbench.commands.memory import keep_freed_memory

WIDTH = 30  # characters of the progress bar
EVERY_S = 1.0  # between two lines of progress where it is no terminal that shows them


def run(options: argparse.Namespace) -> int:
    """Audit, print the answer, write the report; 1 where the error is above --fail-above."""
    keep_freed_memory()
    from workbench.audit import audit, load_model
    from workbench.audit.importing import RUNS_CODE, is_import_path

    if any(is_import_path(name) and not Path(name).exists() for name in (options.model, options.data)):
        print(f"Note: {RUNS_CODE}", file=sys.stderr)
    found = load_model(options.model, options.weights)
    pieces = Path(options.output) / "pieces" if options.scheduler or options.resume else None
    result = audit(
        found,
        options.data,
        options.group,
        labels=options.labels,
        samples=options.samples,
        size=options.size,
        mean=options.mean,
        std=options.std,
        data_samples=options.data_samples,
        seed=options.seed,
        folder=pieces,
        scheduler=options.scheduler,
        progress=Progress(sys.stderr.write, sys.stderr.isatty()),
    )
    print("", file=sys.stderr)
    print(f"{result.short}\n")
    for line in result.answer.splitlines():
        print(f"{line}\n")
    if found.end_to_end:
        print("\n".join(found.notes), end="\n\n")
    for at in range(result.remedies.sizes["remedy"]):
        tried = result.remedies.isel(remedy=at)
        print(f"Tried, {tried.remedy.item()}: error {float(tried.before):.2g} becomes {float(tried.after):.2g}.")
    dataset, report = result.save(options.output)
    print(f"The report is {report}, its numbers are {dataset}.")
    if options.fail_above is None:
        return 0
    failed = not result.error <= options.fail_above
    print(f"The error is {result.error:.3g}, {'above' if failed else 'not above'} {options.fail_above:g}.")
    return 1 if failed else 0


class Progress:
    """A bar that is drawn over itself on a terminal, and a line now and then where there is none."""

    def __init__(self, write: Callable[[str], object], terminal: bool) -> None:
        self.write, self.terminal = write, terminal
        self.start = self.last = time.monotonic()

    def __call__(self, part: float) -> None:
        """Show the part done in [0, 1] and the time left."""
        now = time.monotonic()
        if part < 1 and now - self.last < (0.1 if self.terminal else EVERY_S):
            return
        self.last = now
        left = (now - self.start) * (1 - part) / part if part > 0.02 else float("nan")
        words = f"{part:4.0%}" + (f", about {left:.0f} s left" if left == left and part < 1 else "")
        if self.terminal:
            full = round(part * WIDTH)
            self.write(f"\r[{'#' * full}{'.' * (WIDTH - full)}] {words}\x1b[K")
        else:
            self.write(f"{words}\n")
