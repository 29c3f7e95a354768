"""Facts about reproductions: every seed once, labelled, stored atomically, resumable, stoppable."""

import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.training.tiny import tiny
from workbench.measure import Cancelled, labelled, validate
from workbench.models import Experiment, Method
from workbench.training import Run, load_claims, reproduce
from workbench.training.reproduction import RESULTS

pytestmark = pytest.mark.slow


def method(studies: dict[str, str] | None = None, **training: Any) -> Method:
    config = tiny(epochs=1, **training)
    plain = {**config["model"], "partial": False}
    experiments = (
        Experiment("partial", config["model"], config["data"], {**config["training"], "epochs": 2}, {"epochs": 1}),
        Experiment("full", plain, config["data"], config["training"]),
    )
    return Method("toy", "Toy", "A. Author", 2020, "0", "", "", experiments=experiments, studies=studies or {})


def runs_seen(runs: dict, fast: bool) -> xr.Dataset:
    """A study: how many runs it was given."""
    seeds = sorted({seed for _, seed in runs})
    found = {"runs": labelled("seed", [sum(s == seed for _, s in runs) for seed in seeds], "runs")}
    return xr.Dataset(found, {"seed": labelled("seed", seeds, "seed")}, {"fast_mode": str(fast)})


def taken(runs: dict, fast: bool) -> xr.Dataset:
    """A study that returns a name which is taken."""
    return xr.Dataset({"arc": ((), 1.0)})


def here(tmp_path: Path, given: Method, **options: Any) -> xr.Dataset:
    chosen = {"seeds": range(2), "out": tmp_path / "claims" / "toy.nc", "runs": tmp_path / "runs", **options}
    return reproduce(given, progress=False, workers=0, **chosen)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both seeds of both experiments, trained once for all tests and only read."""
    folder = tmp_path_factory.mktemp("reproduced")
    here(folder, method())
    return folder / "runs"


@pytest.fixture
def trained(once: Path, tmp_path: Path) -> Path:
    """A copy of these trainings, as `here` would have left them."""
    return shutil.copytree(once, tmp_path / "runs")


def test_results_are_labelled_stored_and_those_of_the_run_folders(trained: Path, tmp_path: Path) -> None:
    dataset = here(tmp_path, method({"seen": "tests.training.test_reproduction:runs_seen"}))
    assert {name: dataset.sizes[name] for name in ("experiment", "seed", "layer")} == {
        "experiment": 2, "seed": 2, "layer": 3,
    }  # fmt: skip
    validate(dataset, {name: ("experiment", "seed") for name in RESULTS})
    validate(dataset, {"arc": ("experiment", "seed", "layer"), "runs": ("seed",)})
    xr.testing.assert_identical(load_claims("toy", tmp_path / "claims" / "toy.nc"), dataset)
    for folder in trained.iterdir():
        run = Run(folder)
        cell = dataset.sel(experiment="partial" if "partial" in folder.name else "full", seed=run.config["seed"])
        assert float(cell.test_accuracy) == float(run.history().test_accuracy)
        learned = sorted(t.item() for name, t in run.weights().items() if name.endswith("theta"))
        assert sorted(cell.arc.values[np.isfinite(cell.arc.values)].tolist()) == learned
    assert dataset.runs.values.tolist() == [2, 2]
    assert dataset.attrs["seen_fast_mode"] == "False"


def test_finished_seeds_are_not_trained_again_and_new_ones_are(trained: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*.safetensors")}
    assert len(before) >= 4
    dataset = here(tmp_path, method(), seeds=range(3))
    assert dataset.sizes["seed"] == 3
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_changed_experiment_is_trained_anew(trained: Path, tmp_path: Path) -> None:
    here(tmp_path, method(lr=1e-4), seeds=[0])
    assert len(list(trained.iterdir())) == 6


def test_the_fast_mode_is_short_and_never_overwrites_the_claims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "data"))
    dataset = reproduce(method(), [0], fast=True, progress=False, workers=0)
    assert dataset.epochs.values.tolist() == [[1], [2]]
    assert dataset.attrs["fast"] == "true"
    assert (tmp_path / "runs" / "toy-fast" / "claims.nc").exists()
    assert not (tmp_path / "data").exists()
    with pytest.raises(FileNotFoundError, match="workbench reproduce toy"):
        load_claims("toy")


def test_a_stopped_reproduction_keeps_what_was_trained_and_goes_on(tmp_path: Path) -> None:
    stop = threading.Event()
    told: list[float] = []

    def after_the_first(fraction: float) -> None:
        told.append(fraction)
        stop.set()

    with pytest.raises(Cancelled, match="1 of 4 trainings finished"):
        reproduce(
            method(), range(2), tmp_path / "toy.nc", progress=after_the_first, workers=0, runs=tmp_path / "runs",
            cancel=stop,
        )  # fmt: skip
    assert told[0] == 0.25
    assert not (tmp_path / "toy.nc").exists()
    assert here(tmp_path, method()).sizes["seed"] == 2


def test_one_failing_seed_is_named_and_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.training import jobs

    whole = jobs.fit

    def fails_once(config: dict, path: Path, **options: Any) -> Run:
        if config["seed"] == 0 and "full" in path.name:
            raise FloatingPointError("the loss is not a number at step 3")
        return whole(config, path, **options)

    monkeypatch.setattr(jobs, "fit", fails_once)
    with pytest.raises(RuntimeError, match=r"1 of 4 trainings failed.*full, seed 0 \(the loss is not a number"):
        here(tmp_path, method())
    monkeypatch.undo()
    assert here(tmp_path, method()).sizes["seed"] == 2


def test_worker_processes_find_the_same_as_training_here(trained: Path, tmp_path: Path) -> None:
    told: list[float] = []
    options = {"seeds": [0], "out": tmp_path / "there.nc", "runs": tmp_path / "there"}
    there = reproduce(method(), progress=told.append, workers=2, **options)  # type: ignore[arg-type]
    local = here(tmp_path, method(), seeds=[0])
    xr.testing.assert_identical(there.drop_vars("seconds"), local.drop_vars("seconds"))
    assert told[-1] == 1
    assert not list((tmp_path / "there").glob(".stop*"))


def test_absurdly_many_seeds_are_refused_before_they_are_counted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="more than 1000 seeds were given"):
        here(tmp_path, method(), seeds=range(10**12))


@pytest.mark.parametrize("seeds", [[], [0, 0], 3])
def test_no_seeds_and_repeated_seeds_are_refused(tmp_path: Path, seeds: list[int]) -> None:
    with pytest.raises(ValueError, match="at least one whole number and none twice"):
        here(tmp_path, method(), seeds=seeds)


def test_an_unknown_method_and_a_study_that_takes_a_name_are_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no method 'no_such_paper'"):
        reproduce("no_such_paper")
    with pytest.raises(ValueError, match=r"returns \['arc'\], which are taken"):
        here(tmp_path, method({"seen": "tests.training.test_reproduction:taken"}), seeds=[0])
    with pytest.raises(ValueError, match="expected 'package.module:function'"):
        here(tmp_path, method({"seen": "somewhere"}), seeds=[0])
