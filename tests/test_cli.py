"""The `workbench` command: every word teaches, mistakes get one sentence, and nothing needs the network."""

import json
import subprocess
import sys

import pytest

from workbench import cli
from workbench.commands import memory, train

WORDS = ("lab", "kernel", "serve", "list", "train", "reproduce", "doctor")


def run(*arguments: str) -> int:
    try:
        return cli.main(list(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)


@pytest.mark.parametrize("word", WORDS)
def test_help_explains_the_word_and_shows_examples(word, capsys):
    assert run(word, "--help") == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert f"workbench {word}" in text.split("examples:")[1]
    assert len(text.split("usage:")[1].split("examples:")[0]) > 200


def test_the_overview_names_every_word(capsys):
    assert run("--help") == 0
    text = capsys.readouterr().out
    assert all(f"\n    {word} " in text for word in WORDS)


def test_python_dash_m_workbench_is_the_same_command():
    ran = subprocess.run([sys.executable, "-m", "workbench", "--version"], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0
    assert ran.stdout.startswith("workbench ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("lab", "nonsense.ipynb"), "there is no notebook"),
        (("lab", "--port", "99999"), "a port is a whole number from 0 to 65535"),
        (("doctor", "--", "x"), "nothing may follow --"),
        (("train", "nonsense", "--out", "runs/x"), "neither METHOD/EXPERIMENT nor a JSON file"),
        (("train", "nonsense/demo", "--out", "runs/x"), "there is no method 'nonsense'"),
        (("train", "--out", "runs/x"), "say what to train"),
        (("train", "missing.json", "--out", "runs/x"), "there is no file missing.json"),
        (("train", "x/y", "--out", "runs/x", "--seed", "-1"), "a seed is a whole number of at least 0"),
        (("reproduce", "nonsense"), "there is no method 'nonsense'"),
        (("reproduce", "x", "--seeds", "0"), "a whole number of at least 1"),
        (("list", "--readme", "missing.md"), "missing.md"),
        (("nonsense",), "invalid choice: 'nonsense'"),
        ((), "required"),
    ],
)
def test_a_mistake_gets_one_sentence_and_exit_code_two(arguments, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert "Traceback" not in told


def test_traceback_shows_where_an_error_came_from():
    with pytest.raises(FileNotFoundError):
        cli.main(["--traceback", "lab", "nonsense.ipynb"])


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
    assert cli.main(["train", str(tmp_path / "config.json"), "--out", run_folder]) == 2  # it holds a run already


@pytest.mark.parametrize(("text", "sentence"), [("{", "is not JSON"), ("[1]", "holds list")])
def test_a_file_that_is_no_configuration_is_refused(tmp_path, text, sentence):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=sentence):
        train.read_what(str(path))


def test_a_setting_of_the_users_own_for_freed_memory_is_kept(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "")  # so that it is put back as it was
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError("no such library")))
    assert memory.keep_freed_memory() is False
    assert memory.os.environ["MALLOC_TRIM_THRESHOLD_"] == "131072"
    assert memory.os.environ["MALLOC_MMAP_THRESHOLD_"] == str(2**30)
