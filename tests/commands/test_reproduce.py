"""`workbench reproduce`: what it trains, what it ships, and where it reads stored results."""

from pathlib import Path

import pytest

from workbench import cli
from workbench.models.method import Experiment, Method
from workbench.training import fit
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
