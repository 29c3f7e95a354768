"""Copy what a reader needs of a trained run: configuration, weights and history, without the checkpoint."""

from __future__ import annotations

from pathlib import Path

from workbench.training.run import CONFIG, HISTORY, WEIGHTS, Run
from workbench.training.store import Store, sweep_partials
from workbench.training.trainer import DONE


def ship(run: Run | str | Path, folder: str | Path) -> Run:
    """Copy a finished run to `folder` without its checkpoints, checked on the way; replaces an older copy.

    The result opens like any run (`model`, `history`, `weights`) and cannot be resumed.
    Raises ValueError for a run that is not finished, DamagedFile for one that is damaged.
    """
    source = run if isinstance(run, Run) else Run(run)
    if source.status not in DONE:
        raise ValueError(f"{source.path} is {source.status}; expected a finished run: resume it first")
    source.verify()
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    sweep_partials(target)
    read, write = Store(source.path), Store(target)
    for name in (CONFIG, WEIGHTS, HISTORY):
        write.write(name, read.read(name))
    return Run(target)
