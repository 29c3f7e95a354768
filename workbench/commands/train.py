"""`workbench train`: one network, kept as a run folder."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from workbench.commands.memory import keep_freed_memory
from workbench.commands.remedy import STOPPED, told_as_commands


def run(options: argparse.Namespace) -> int:
    """Train, and say where the run lies."""
    if options.what is None and not options.resume:
        raise ValueError("say what to train: METHOD/EXPERIMENT or a JSON file; only --resume reads it from --out")
    config = None if options.what is None else read_what(options.what, seed=options.seed, fast=options.fast)
    keep_freed_memory()
    from workbench.training import fit

    try:
        with told_as_commands():
            finished = fit(config, options.out, progress=True, resume=options.resume)
    except KeyboardInterrupt as stopped:
        print(f"\nworkbench: {str(stopped) or 'stopped'}", file=sys.stderr)
        return STOPPED
    print(f"The run is in {options.out}.")
    for line in last_values(finished.history()):
        print(f"  {line}")
    return 0


def read_what(what: str, *, seed: int | None = None, fast: bool = False) -> dict[str, Any]:
    """The configuration that METHOD/EXPERIMENT or a JSON file means.

    Raises ValueError for a name that is neither, or a file that is no configuration.
    """
    if what.endswith(".json") or Path(what).is_file():
        return _from_file(Path(what), seed, fast)
    method, slash, experiment = what.partition("/")
    if not slash:
        raise ValueError(f"{what!r} is neither METHOD/EXPERIMENT nor a JSON file; `workbench list methods` names them")
    from workbench.models.method import find_method

    return find_method(method).experiment(experiment).config(seed or 0, fast=fast)


def last_values(history: Any) -> list[str]:
    """The losses and accuracies of a history's last epoch, one line each."""
    told = [n for n in history.data_vars if history[n].dims == ("epoch",) and str(n).endswith(("_loss", "_accuracy"))]
    return [f"{str(name).replace('_', ' ')}: {float(history[name][-1]):.4g}" for name in told]


def _from_file(path: Path, seed: int | None, fast: bool) -> dict[str, Any]:
    if fast:
        raise ValueError(f"--fast belongs to METHOD/EXPERIMENT; in {path} write a smaller number of epochs instead")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; give an existing JSON file or METHOD/EXPERIMENT")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # no JSON, no text, a number of thousands of digits, too deep
        raise ValueError(f"{path} is not JSON ({error}); a run's config.json is an example of what is needed") from None
    if not isinstance(config, dict):
        raise ValueError(f"{path} holds {type(config).__name__}; a mapping with model, data, training is needed")
    return config if seed is None else {**config, "seed": seed}
