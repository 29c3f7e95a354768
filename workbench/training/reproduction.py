"""Train the seeds of a method's experiments, run its studies, and store what was found as one labelled Dataset."""

from __future__ import annotations

import hashlib
import importlib
import json
import platform
import threading
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.models.method import Method, find_method
from workbench.training.jobs import Job, run_jobs
from workbench.training.run import Run
from workbench.training.settings import read_config

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

MOST_SEEDS = 1000  # a larger number is a slip of the hand
RESULTS = {  # variable of the claims -> (variable of a run's history, long name, units)
    "test_accuracy": ("test_accuracy", "test accuracy of the kept weights", "1"),
    "validation_accuracy": ("best_validation_accuracy", "validation accuracy of the kept weights", "1"),
    "train_accuracy": ("final_train_accuracy", "training accuracy of the kept weights", "1"),
    "test_loss": ("test_loss", "test loss of the kept weights", "nat"),
    "best_epoch": ("best_epoch", "epoch of the kept weights", "1"),
    "parameters": ("parameters", "trainable parameters", "1"),
    "epochs": ("epoch", "epochs trained", "1"),
    "seconds": ("seconds", "wall time of the training", "s"),
}
LAYERED = {  # variable over experiment, seed and layer -> (long name, units)
    "arc": ("share of the circle that the layer keeps", "1"),
    "gate": ("keep probability of the mirror gate or the mean of the rotation gates", "1"),
    "dial": ("how fast filters vary with the absolute place or rotation", "1"),
}


def reproduce(
    method: str | Method,
    seeds: Iterable[int] = range(5),
    out: str | Path | None = None,
    fast: bool = False,
    progress: bool | Callable[[float], None] = True,
    workers: int | None = None,
    *,
    scheduler: str | None = None,
    runs: str | Path | None = None,
    cancel: threading.Event | None = None,
) -> xr.Dataset:
    """Train every experiment of a method with every seed, run its studies, and store the labelled results.

    Finished seeds are not trained again, and stopped ones go on where they were: their run folders are kept in
    `runs`. In a script call this below `if __name__ == "__main__":`, since worker processes import it anew.

    Args:
        method: its name, or the method itself.
        seeds: one network per experiment and seed.
        out: the NetCDF file to write; by default data/claims/NAME.nc, or RUNS/claims.nc for the fast mode, whose
            numbers are not the claims'.
        fast: short training, to try things out.
        progress: True for a bar, or a function that receives the fraction done.
        workers: processes on this machine, one thread each: by default one a core, or a single one with a GPU;
            0 trains here, one after another, without Dask.
        scheduler: address of a Dask scheduler to use instead; its workers must see the folder `runs`.
        runs: folder of the run folders, by default runs/NAME (runs/NAME-fast) in the current folder.
        cancel: set it from another thread to stop; what was trained stays.

    Returns:
        Dims experiment, seed, layer and those of the studies. `test_accuracy`, `validation_accuracy`,
        `train_accuracy`, `test_loss`, `best_epoch`, `epochs`, `parameters`, `seconds` over (experiment, seed);
        `arc`, `gate` and `dial` of the kept weights over (experiment, seed, layer), NaN where a network has no such
        layer.

    Raises:
        ValueError: an unknown method, no seeds, repeated seeds.
        workbench.measure.Cancelled: stopped on demand.
        RuntimeError: some trainings failed (`workbench.training.jobs.FailedTrainings`); the sentence names them, and
            the others are kept.
    """
    chosen = find_method(method) if isinstance(method, str) else method
    numbers = _checked_seeds(seeds)
    paths = run_folders(chosen, numbers, fast=fast, runs=runs)
    jobs = [
        Job(f"{name}, seed {seed}", chosen.experiment(name).config(seed, fast=fast), path)
        for (name, seed), path in paths.items()
    ]
    run_jobs(jobs, progress=progress, workers=workers, scheduler=scheduler, cancel=cancel)
    dataset = collect(chosen, paths, numbers, fast=fast)
    dataset = _with_studies(dataset, chosen, paths, fast)
    _store(dataset, _claims_file(chosen.name, out, _runs_folder(chosen, fast, runs) if fast else None))
    return dataset


def load_claims(method: str | Method, path: str | Path | None = None) -> xr.Dataset:
    """The stored results of a method, from `path` or data/claims/NAME.nc.

    Raises FileNotFoundError, with the command that makes them, where there are none.
    """
    from workbench.measure import open_dataset

    name = method if isinstance(method, str) else method.name
    file = _claims_file(name, path, None)
    if not file.is_file():
        raise FileNotFoundError(f"no results of {name!r} are stored at {file}; make them: workbench reproduce {name}")
    return open_dataset(file)


def collect(method: Method, paths: Mapping[tuple[str, int], Path], seeds: list[int], *, fast: bool) -> xr.Dataset:
    """One labelled Dataset from the finished run folders, keyed by (experiment, seed)."""
    import numpy as np
    import xarray as xr

    from workbench.measure import labelled, provenance

    names = [experiment.name for experiment in method.experiments]
    histories = {key: Run(path).history() for key, path in paths.items()}
    layers = list(dict.fromkeys(str(layer) for history in histories.values() for layer in history.layer.values))
    grid, deep = ("experiment", "seed"), ("experiment", "seed", "layer")

    def over_runs(source: str) -> np.ndarray:
        cells = [[_last(histories[name, seed], source) for seed in seeds] for name in names]
        return np.array(cells).reshape(len(names), len(seeds))

    variables: dict[str, Any] = {
        name: labelled(grid, over_runs(source), words, units) for name, (source, words, units) in RESULTS.items()
    }
    for name, (words, units) in LAYERED.items():
        values = np.array([[_at_best(histories[key, seed], name, layers) for seed in seeds] for key in names])
        variables[name] = labelled(deep, values.reshape(len(names), len(seeds), len(layers)), words, units)
    configs = [json.dumps(dict(_plain_config(e.config(0, fast=fast))), sort_keys=True) for e in method.experiments]
    coords = {
        "experiment": labelled("experiment", np.asarray(names, dtype=str), "experiment"),
        "seed": labelled("seed", np.asarray(seeds, dtype=np.int64), "seed"),
        "layer": labelled("layer", np.asarray(layers, dtype=str), "layer"),
        "config": labelled("experiment", np.asarray(configs, dtype=str), "configuration without its seed, as JSON"),
    }
    attrs = provenance(
        "reproduce",
        seed=seeds,
        dtype="as each configuration says",
        reduction="none: one value per seed",
        input_kind="as each configuration says",
        method=method.name,
        arxiv=method.arxiv,
        fast=fast,
        machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    )
    return xr.Dataset(variables, coords, attrs)


def _last(history: xr.Dataset, name: str) -> float:
    """The last value of a quantity, NaN where this kind of run has none."""
    return float(history[name].values.flat[-1]) if name in history.variables else float("nan")


def _at_best(history: xr.Dataset, name: str, layers: list[str]) -> list[float]:
    if name not in history:  # a run folder of an earlier version
        return [float("nan")] * len(layers)
    kept = history[name].sel(epoch=int(history.best_epoch))
    known = dict(zip(map(str, history.layer.values), kept.values.tolist(), strict=True))
    return [known.get(layer, float("nan")) for layer in layers]


def _with_studies(dataset: xr.Dataset, method: Method, paths: Mapping[Any, Path], fast: bool) -> xr.Dataset:
    import xarray as xr

    for name, where in method.studies.items():
        found = _function(name, where)(dict(paths), fast)
        clash = sorted(str(v) for v in found.data_vars if v in dataset.variables)
        if clash:
            raise ValueError(f"the study {name!r} of {method.name!r} returns {clash}, which are taken; rename them")
        attrs = {f"{name}_{key}": value for key, value in found.attrs.items()}
        dataset = xr.merge([dataset, found], join="outer", compat="no_conflicts", combine_attrs="override")
        dataset = dataset.assign_attrs(attrs)
    return dataset


def _function(name: str, where: str) -> Callable[[dict, bool], xr.Dataset]:
    module, colon, function = where.partition(":")
    if not colon:
        raise ValueError(f"the study {name!r} says {where!r}; expected 'package.module:function'")
    return getattr(importlib.import_module(module), function)


def _checked_seeds(seeds: Iterable[int]) -> list[int]:
    numbers = [int(seed) for seed in islice(seeds, MOST_SEEDS + 1)] if isinstance(seeds, Iterable) else []
    if len(numbers) > MOST_SEEDS:
        raise ValueError(f"more than {MOST_SEEDS} seeds were given; expected at most so many: five tell a spread")
    if not numbers or len(set(numbers)) != len(numbers):
        raise ValueError(
            f"seeds is {numbers or seeds!r}; expected at least one whole number and none twice, such as range(5)"
        )
    return numbers


def run_folders(
    method: Method, seeds: Iterable[int], *, fast: bool = False, runs: str | Path | None = None
) -> dict[tuple[str, int], Path]:
    """Where `reproduce` keeps the run of each (experiment, seed).

    A changed experiment gets another folder, so that old runs neither block it nor pass for it.
    """
    folder, found = _runs_folder(method, fast, runs), {}
    for experiment in method.experiments:
        complete = _plain_config(experiment.config(0, fast=fast))
        mark = hashlib.sha256(json.dumps(complete, sort_keys=True).encode()).hexdigest()[:8]
        for seed in seeds:
            found[experiment.name, seed] = (folder / f"{experiment.name}-{mark}-seed{seed}").resolve()
    return found


def _runs_folder(method: Method, fast: bool, runs: str | Path | None) -> Path:
    return Path(runs) if runs is not None else Path("runs") / (f"{method.name}-fast" if fast else method.name)


def _plain_config(config: Mapping[str, Any]) -> dict[str, Any]:
    return {part: value for part, value in read_config(config)[0].items() if part != "seed"}


def _claims_file(name: str, given: str | Path | None, fast_folder: Path | None) -> Path:
    from workbench.datasets import checked_path, data_folder

    if given is not None:
        return Path(given)
    if fast_folder is not None:
        return fast_folder / "claims.nc"
    return checked_path(data_folder(), f"claims/{name}.nc")


def _store(dataset: xr.Dataset, file: Path) -> None:
    from workbench.measure import save

    file.parent.mkdir(parents=True, exist_ok=True)
    save(dataset, file)
