"""Copy what a reader needs of a trained run: configuration, weights and history, without the checkpoint."""

from __future__ import annotations

from pathlib import Path

from workbench.models.method import Method, find_method
from workbench.training.reproduction import run_folders
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


def ship_method(
    method: str | Method,
    folder: str | Path | None = None,
    *,
    seed: int = 0,
    fast: bool = False,
    runs: str | Path | None = None,
) -> list[Run]:
    """Ship one seed of every experiment of a method, as `reproduce` trained it, to FOLDER/METHOD/EXPERIMENT.

    `folder` is data/runs by default, where every explorer looks; `runs` and `fast` are those given to `reproduce`.
    Raises FileNotFoundError where that seed was not trained.
    """
    from workbench.datasets import data_folder

    chosen = find_method(method) if isinstance(method, str) else method
    target = Path(folder) if folder is not None else data_folder() / "runs"
    trained = run_folders(chosen, [seed], fast=fast, runs=runs)
    return [ship(path, target / chosen.name / experiment) for (experiment, _), path in trained.items()]
