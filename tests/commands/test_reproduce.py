"""`workbench reproduce`: what it trains, what it ships, and where it reads stored results."""

from pathlib import Path

import pytest

from workbench import cli
from workbench.commands import reproduce
from workbench.models.method import Experiment, Method
from workbench.training import fit

TINY = {"epochs": 1, "max_steps": 1, "error_points": 0}
MODEL = {"name": "partial_gcnn", "preset": "demo"}


@pytest.fixture
def paper(monkeypatch):
    tried = Experiment("tried", MODEL, {"name": "6-180"}, TINY)
    method = Method("paper", "A Title", "Someone", 2030, "3001.00001", "What it is.", "07_new.ipynb", (tried,))
    monkeypatch.setattr("workbench.models.method.find_method", lambda name: method)
    return method


def test_the_options_reach_the_training(paper, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr("workbench.training.reproduce", lambda method, **options: calls.append(options))
    monkeypatch.setattr("workbench.training.verdict_table", lambda method, results: "paper says / we measured")
    assert cli.main(["reproduce", "paper", "--fast", "--seeds", "2", "--workers", "1"]) == 0
    assert calls == [{"seeds": range(2), "out": None, "fast": True, "workers": 1, "runs": Path("runs/paper-fast")}]
    assert "paper says / we measured" in capsys.readouterr().out


def test_stored_results_that_are_not_there_name_the_command_that_makes_them(paper, tmp_path, capsys):
    assert cli.main(["reproduce", "paper", "--stored", "--out", str(tmp_path / "none.nc")]) == 2
    assert "make them: workbench reproduce paper" in capsys.readouterr().err


def test_short_runs_are_never_shipped(paper, capsys):
    assert cli.main(["reproduce", "paper", "--fast", "--ship"]) == 2
    assert "must not pass for trained networks" in capsys.readouterr().err


@pytest.mark.slow
def test_shipping_copies_one_finished_run_per_experiment(paper, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "data"))
    fit(paper.experiment("tried").config(0), tmp_path / "runs" / "tried-0123abcd-seed0", progress=False)
    assert reproduce.ship_runs(paper, tmp_path / "runs") == ["paper/tried"]
    assert (tmp_path / "data" / "runs" / "paper" / "tried" / "weights.safetensors").is_file()
    with pytest.raises(FileNotFoundError, match="has no run of tried"):
        reproduce.ship_runs(paper, tmp_path / "elsewhere")
