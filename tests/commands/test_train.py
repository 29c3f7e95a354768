"""`workbench train`: what it reads, what it refuses, and the folder it leaves."""

import json

import pytest

from workbench import cli
from workbench.commands import train


def test_a_configuration_file_is_read_and_the_seed_replaced(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model": {"name": "m"}, "data": {"name": "d"}, "seed": 3}))
    assert train.read_what(str(path))["seed"] == 3
    assert train.read_what(str(path), seed=5)["seed"] == 5


@pytest.mark.slow
def test_training_leaves_a_run_folder_and_goes_on_with_resume_alone(tmp_path, capsys):
    config = {
        "model": {"name": "partial_gcnn", "preset": "demo"},
        "data": {"name": "6-180"},
        "training": {"epochs": 1, "max_steps": 2, "error_points": 0},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    run_folder = str(tmp_path / "run")
    assert cli.main(["train", str(tmp_path / "config.json"), "--out", run_folder]) == 0
    assert "validation accuracy" in capsys.readouterr().out
    assert cli.main(["train", "--out", run_folder, "--resume"]) == 0
    capsys.readouterr()
    assert cli.main(["train", str(tmp_path / "config.json"), "--out", run_folder]) == 2
    told = capsys.readouterr().err
    assert f"already holds a run; go on with it by `workbench train --out {run_folder} --resume`" in told
    assert "resume=" not in told, "the sentence must speak of what can be typed"


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong", [{"model": {"name": "zzz"}}, {"data": {"name": "digits"}}, {"training": {"epochs": 10**12}}]
)
def test_after_a_refused_configuration_the_corrected_one_runs_in_the_same_folder(wrong, tmp_path, capsys):
    right = {
        "model": {"name": "partial_gcnn", "preset": "demo", "classes": 2},
        "data": {"name": "6-180"},
        "training": {"epochs": 1, "max_steps": 1, "error_points": 0},
    }
    for config, code in (({**right, **wrong}, 2), (right, 0)):
        (tmp_path / "config.json").write_text(json.dumps(config))
        assert cli.main(["train", str(tmp_path / "config.json"), "--out", str(tmp_path / "run")]) == code
        told = capsys.readouterr().err
        assert (told.count("\n"), told[:11]) == (1, "workbench: ") or code == 0


def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    from workbench.training.remedies import resume_call

    def fit(config, path, **options):
        raise KeyboardInterrupt(f"training stopped with a checkpoint; go on with {resume_call(path)}")

    monkeypatch.setattr("workbench.training.fit", fit)
    assert cli.main(["train", "partial_gcnn/six_180_partial", "--out", str(tmp_path / "run")]) == 130
    assert f"go on with `workbench train --out {tmp_path / 'run'} --resume`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "resume"), [((), False), (("--resume",), True), (("--resume", "previous"), "previous")]
)
def test_resume_names_the_checkpoint_to_go_on_from(given, resume, tmp_path, monkeypatch):
    asked = []

    def fit(config, path, **options):
        asked.append(options["resume"])
        raise ValueError("far enough")

    monkeypatch.setattr("workbench.training.fit", fit)
    assert cli.main(["train", "partial_gcnn/six_180_partial", "--out", str(tmp_path / "run"), *given]) == 2
    assert asked == [resume]


def test_only_previous_may_follow_resume(tmp_path, capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "--out", str(tmp_path), "--resume", "partial_gcnn/six_180_partial"])
    assert "only 'previous' may follow --resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("{", "is not JSON"), ("[1]", "holds list"), ("[" * 10**5, "is not JSON"), ("9" * 5000, "is not JSON")],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path, text, sentence):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=sentence):
        train.read_what(str(path))
