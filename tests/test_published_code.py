"""The plug-in that measures the released code: it says what it needs, and keeps out of this tree."""

import ast
import json
import sys
from pathlib import Path

import pytest

from tests.benchmarks import published_code

ROOT = Path(__file__).resolve().parent.parent
SOURCE = (ROOT / "tests" / "benchmarks" / "published_code.py").read_text(encoding="utf-8")


def refusal(monkeypatch, capsys, *arguments: str) -> str:
    """What the script says when it leaves with exit code 2."""
    monkeypatch.setattr(published_code, "keep_freed_memory", lambda: True)  # it would hold for every later test
    monkeypatch.setattr(sys, "argv", ["published_code.py", *arguments])
    with pytest.raises(SystemExit) as left:
        published_code.main()
    assert left.value.code == 2
    return capsys.readouterr().err


def written(source: str) -> list[str]:
    """What a piece of Python calls to write a file, as far as the names of the calls tell."""
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = {"open", "write_text", "write_bytes", "mkdir", "touch", "copy", "copytree", "move", "dump", "save"}
    return [ast.unparse(call) for call in calls if getattr(call, "attr", getattr(call, "id", "")) in names]


def test_without_a_folder_it_names_the_repository_to_clone(monkeypatch, capsys):
    said = refusal(monkeypatch, capsys)
    assert "no folder was given" in said
    assert "merlresearch/partial_gcnn" in said
    assert "--folder" in said


def test_a_folder_with_other_code_is_refused_by_name(monkeypatch, capsys, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "ckresnet.py").write_text("")
    before = list(sys.path)
    said = refusal(monkeypatch, capsys, "--folder", str(tmp_path))
    assert f"{tmp_path} lacks" in said
    assert "merlresearch/partial_gcnn" in said
    assert sys.path == before


def test_what_was_found_with_other_threads_stays(tmp_path):
    path = tmp_path / "found.json"
    published_code.keep(path, 1, {"rows": [1], "of": "one"})
    published_code.keep(path, 2, {"rows": [2]})
    published_code.keep(path, 1, {"rows": [3]})
    assert json.loads(path.read_text()) == {"1": {"rows": [3], "of": "one"}, "2": {"rows": [2]}}


def test_it_writes_its_result_and_nothing_else():
    assert written(SOURCE) == ["path.write_text"]
    assert "keep(RESULT, " in SOURCE
    assert published_code.RESULT.parent == ROOT / "tests" / "benchmarks" / "results"
    assert written("shutil.copytree(folder, package)\nopen(path, 'w')")
