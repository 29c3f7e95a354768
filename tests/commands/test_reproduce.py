"""`workbench reproduce`: what it trains, what it ships, and where it reads stored results."""

import shlex
from pathlib import Path

import pytest

from tests.training.tiny import StopAt, tiny
from workbench import cli
from workbench.models.method import Experiment, Method
from workbench.training import fit
from workbench.training.jobs import FailedTrainings
from workbench.training.reproduction import run_folders

TINY = {"epochs": 1, "max_steps": 1, "error_points": 0}
MODEL = {"name": "partial_gcnn", "preset": "demo"}


@pytest.fixture
def paper(monkeypatch):
    tried = Experiment("tried", MODEL, {"name": "6-180"}, TINY)
    method = Method("paper", "A Title", "Someone", 2030, "3001.00001", "What it is.", "07_new.ipynb", (tried,))
    monkeypatch.setattr("workbench.models.method.find_method", lambda name: method)
    return method


@pytest.mark.parametrize("workers", [0, 1])
def test_the_options_reach_the_training(paper, workers, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr("workbench.training.reproduce", lambda method, **options: calls.append(options))
    monkeypatch.setattr("workbench.training.verdict_table", lambda method, results: "paper says / we measured")
    assert cli.main(["reproduce", "paper", "--fast", "--seeds", "2", "--workers", str(workers)]) == 0
    assert calls == [
        {"seeds": range(2), "out": None, "fast": True, "workers": workers, "runs": Path("runs/paper-fast")}
    ]
    assert "paper says / we measured" in capsys.readouterr().out


def test_stored_results_that_are_not_there_name_the_command_that_makes_them(paper, tmp_path, capsys):
    assert cli.main(["reproduce", "paper", "--stored", "--out", str(tmp_path / "none.nc")]) == 2
    assert "make them: workbench reproduce paper" in capsys.readouterr().err


def test_short_runs_are_never_shipped(paper, capsys):
    assert cli.main(["reproduce", "paper", "--fast", "--ship"]) == 2
    assert "must not pass for trained networks" in capsys.readouterr().err


@pytest.mark.slow
def test_a_damaged_run_is_said_in_one_sentence_whose_command_mends_it(monkeypatch, tmp_path, capsys):
    config = tiny(epochs=1, checkpoint_steps=3)
    tried = Experiment("tried", config["model"], config["data"], config["training"])
    method = Method("paper", "A Title", "Someone", 2030, "3001.00001", "What it is.", "07_new.ipynb", (tried,))
    monkeypatch.setattr("workbench.models.method.find_method", lambda name: method)
    given = ["reproduce", "paper", "--seeds", "1", "--workers", "0", "--runs", str(tmp_path / "my runs")]
    given += ["--out", str(tmp_path / "claims.nc")]
    ((_, folder),) = run_folders(method, [0], runs=tmp_path / "my runs").items()
    fit(method.experiment("tried").config(0), folder, progress=False, cancel=StopAt(8))
    (folder / "checkpoint.pt").write_bytes(b"damaged")
    assert cli.main(given) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("workbench: ")]
    assert "1 of 1 trainings failed" in told[0]
    word, *command = shlex.split(told[0].split("`")[1])
    assert (word, command) == ("workbench", ["train", "--out", str(folder), "--resume", "previous"])
    assert cli.main(command) == 0
    assert cli.main(given) == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, FailedTrainings])
def test_a_stop_and_a_failure_are_told_without_a_traceback(paper, error, monkeypatch, capsys):
    def reproduce(method, **options):
        raise error("1 of 5 trainings failed, and the others are kept")

    monkeypatch.setattr("workbench.training.reproduce", reproduce)
    stopped = error is KeyboardInterrupt
    assert cli.main(["reproduce", "paper"]) == (130 if stopped else 2)
    expected = "is kept in runs/paper: the same command goes on" if stopped else "workbench: 1 of 5 trainings failed"
    assert expected in capsys.readouterr().err


@pytest.mark.slow
def test_shipping_copies_one_finished_run_per_experiment(paper, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("workbench.training.reproduce", lambda method, **options: None)
    monkeypatch.setattr("workbench.training.verdict_table", lambda method, results: "")
    for (name, seed), folder in run_folders(paper, [0], runs=tmp_path / "runs").items():
        fit(paper.experiment(name).config(seed), folder, progress=False)
    assert cli.main(["reproduce", "paper", "--ship", "--runs", str(tmp_path / "runs")]) == 0
    assert "Copied for the explorers: tried" in capsys.readouterr().out
    assert (tmp_path / "data" / "runs" / "paper" / "tried" / "weights.safetensors").is_file()
    assert cli.main(["reproduce", "paper", "--ship", "--runs", str(tmp_path / "elsewhere")]) == 2
    assert "there is no run folder" in capsys.readouterr().err
