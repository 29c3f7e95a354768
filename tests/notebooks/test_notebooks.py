"""Every notebook runs from a clean kernel, top to bottom, offline and in time, and is committed without outputs."""

import json
import os
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SECONDS = 180  # of each notebook in fast mode on two cores


def test_the_notebooks_that_start_the_tour_are_there():
    assert [path.stem for path in NOTEBOOKS][:2] == ["00_start_here", "01_partial_gcnn"]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_r9_n11_the_notebook_runs_in_fast_mode_from_a_clean_kernel(path, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_MODE", "fast")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    started = time.monotonic()
    client.execute(cwd=os.fspath(tmp_path))
    spent = time.monotonic() - started
    errors = [out for cell in notebook.cells for out in cell.get("outputs", []) if out.output_type == "error"]
    assert not errors
    assert spent < SECONDS, f"{path.name} took {spent:.0f} s of {SECONDS}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_r8_the_notebook_is_committed_inert_and_with_stable_cell_ids(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["metadata"]["kernelspec"]["name"] == "python3"
    assert "widgets" not in content["metadata"]
    cells = content["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    for cell in cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert "trusted" not in cell["metadata"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_slider_comes_with_a_question_and_its_answer(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("**Question.**") >= 4
    assert text.count("<details>") >= 4
