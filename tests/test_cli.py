"""The `workbench` command: every word teaches, mistakes get one sentence, and nothing needs the network."""

import subprocess
import sys

import pytest

from workbench import cli

WORDS = ("lab", "kernel", "serve", "list", "train", "reproduce", "doctor", "audit")


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
