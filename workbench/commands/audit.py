"""`workbench audit`: any network on any samples, answered in sentences, with a report to keep."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.commands.memory import keep_freed_memory

if TYPE_CHECKING:
    from workbench.audit import AuditResult

WIDTH = 30  # characters of the progress bar
EVERY_S = 1.0  # between two lines of progress where it is no terminal that shows them
STOPPED = 130


def run(options: argparse.Namespace) -> int:
    """Audit, print the answer, write the report; 1 where the error is above --fail-above, 130 where it was stopped."""
    with interruptible() as cancel:
        try:
            return _run(options, cancel)
        except KeyboardInterrupt:
            print(f"\nworkbench: {stopped(options)}", file=sys.stderr)
            return STOPPED


def _run(options: argparse.Namespace, cancel: threading.Event) -> int:
    keep_freed_memory()
    from workbench.audit import audit, audit_beside, load_model
    from workbench.audit.importing import RUNS_CODE, is_import_path
    from workbench.audit.selecting import place_or_key
    from workbench.measure import Cancelled

    named = (options.model, *options.beside, options.data)
    if any(is_import_path(name) and not Path(name).exists() for name in named):
        print(f"Note: {RUNS_CODE}", file=sys.stderr)
    asked: dict[str, Any] = {name: getattr(options, name) for name in _HANDED_ON}
    asked |= {"select": place_or_key(options.select), "output": options.moves}
    asked["folder"] = _pieces(options)
    asked["progress"] = Progress(sys.stderr.write, sys.stderr.isatty())
    found = [load_model(options.model, options.weights), *map(load_model, options.beside)]
    try:
        made = audit_beside(found, options.data, cancel=cancel, **asked) if options.beside else None
        result = audit(found[0], options.data, cancel=cancel, **asked) if made is None else made.results[0]
    except Cancelled:
        raise KeyboardInterrupt from None
    print("", file=sys.stderr)
    if made is None:
        _tell(result)
    else:
        each = [f"{name}. {one.taken} {one.scale}".rstrip() for name, one in zip(made.names, made.results, strict=True)]
        print("\n".join([*made.answer.splitlines(), *each, *made.notes]))
    dataset, report = (result if made is None else made).save(options.output)
    print(f"The report is {report}, its numbers are {dataset}.")
    return _judged(result, options.fail_above)


_HANDED_ON = (
    "group", "labels", "samples", "size", "mean", "std", "kind", "data_samples", "repeats", "seed", "scheduler",
)  # fmt: skip


def _tell(result: AuditResult) -> None:
    from workbench.audit.trial import in_training
    from workbench.audit.upfront import left_training
    from workbench.audit.words import both

    print("\n".join(filter(None, (f"{result.short}\n", result.taken, result.scale))))
    print(f"{result.unseen_line} The report names them all.\n" if result.unseen_line else "")
    for line in (*result.answer.splitlines(), *result.refused):
        print(f"{line}\n")
    if result.model.end_to_end:
        print("\n".join(result.model.notes), end="\n\n")
    for at in range(result.remedies.sizes["remedy"]):
        tried = result.remedies.isel(remedy=at)
        ends = [
            both(float(tried[end]), float(tried[f"absolute_{end}"]), result.verdicts[0].unit)
            for end in ("before", "after")
        ]
        print(f"Tried, {tried.remedy.item()}: error {ends[0]} becomes {ends[1]}.")
    for line in filter(None, (in_training(result.model.model), *left_training(result.findings))):
        print(line)
    for note in result.data.notes:
        if note.startswith("Read as") or "left out" in note:  # what they were taken for and what is missing is said
            print(note)
    if showing := result.data.showing:
        print(f"{showing[0].upper()}{showing[1:]}, chosen by the seed.")


def _judged(result: AuditResult, bound: float | None) -> int:
    if bound is None:
        return 0
    failed = not result.error <= bound
    hidden = any(v.level == "chance" for v in result.verdicts)
    told = " Part of it is chance or rounding, see above." if hidden else ""
    print(f"The error is {result.error:.3g}, {'above' if failed else 'not above'} {bound:g}.{told}")
    return 1 if failed else 0


def _pieces(options: argparse.Namespace) -> Path | None:
    return Path(options.output) / "pieces" if options.scheduler or options.resume else None


def stopped(options: argparse.Namespace) -> str:
    """What is kept of an audit that was stopped, and the command that goes on."""
    given = list(getattr(options, "given", ()))
    again = shlex.join(["workbench", *given, *([] if "--resume" in given else ["--resume"])])
    folder = _pieces(options)
    if folder is None:
        return f"stopped, and nothing is kept; with --resume the next one can go on after a stop: {again}"
    count = len(list(folder.glob("**/part-*.nc")))
    return f"stopped; {count} finished piece{'s' * (count != 1)} kept in {folder}; go on with: {again}"


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, so that what is being written is finished; the second interrupts at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def ask(number: int, frame: object) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


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
