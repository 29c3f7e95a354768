"""The notebooks as readers meet them: executed from a clean kernel, offline, in time; stored inert; true in prose."""

import ast
import json
import os
import re
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from workbench.audit import check_advice
from workbench.datasets import data_folder
from workbench.measure import cost
from workbench.measure.families import ROUNDING, family_points
from workbench.measure.seeds import over_seeds
from workbench.models import find_method
from workbench.training import Run, load_claims

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LIMIT_S = 180
"""Wall time that one notebook may take in fast mode on two cores."""
GUARD = "import sitecustomize\nassert sitecustomize.attempts == [], sitecustomize.attempts"
THEORY = {50.0, 100.0, 99.0}
"""Percentages in prose that are no measurement: a coin, everything, a level of confidence."""
ALLOWED_IMPORTS = {"workbench", "torch", "e3nn", "tempfile", "pathlib", "matplotlib.cbook"}


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / name, as_version=4)


def stem(path: Path) -> str:
    return path.stem


def execute(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Run every cell in a fresh kernel; CellExecutionError names the first cell that fails."""
    client = NotebookClient(notebook, timeout=LIMIT_S, kernel_name="python3", resources={"metadata": {"path": FOLDER}})
    return client.execute(cwd=FOLDER)


def text_of(notebook: nbformat.NotebookNode) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


# ---- executed


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=stem)
def test_r9_n11_a_notebook_runs_from_a_clean_kernel_offline_and_in_time(path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_MODE", raising=False)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(GUARD))
    start = time.monotonic()
    execute(notebook)
    assert time.monotonic() - start <= LIMIT_S
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output for output in shown if output.output_type == "error"] == []
    assert sum("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in shown) >= 4
    static = [output for output in shown if "wb-static" in output.get("data", {}).get("text/html", "")]
    assert all(output["data"]["text/plain"] for output in static), "each explorer leaves a table in plain text"
    explorers = [cell for cell in notebook.cells if cell.source.endswith(".widget()")]
    assert len(static) == len(explorers)


def test_the_execution_catches_a_cell_that_fails():
    broken = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        execute(broken)


def test_r22_the_kernel_cannot_reach_another_machine():
    reach = "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=1)"
    curious = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(reach)])
    with pytest.raises(CellExecutionError, match="NetworkBlocked"):
        execute(curious)


@pytest.mark.slow
def test_n11_full_mode_is_the_same_cells_and_asks_for_its_data_by_the_command_that_fetches_them(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_MODE", "full")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # nothing was ever fetched
    notebook = read("01_partial_gcnn.ipynb")
    notebook.cells = [cell for cell in notebook.cells if cell.id in ("set-up", "train")]
    with pytest.raises(CellExecutionError, match="python -m workbench.datasets fetch mnist"):
        execute(notebook)


# ---- stored


@pytest.mark.parametrize("path", NOTEBOOKS, ids=stem)
def test_r8_r9_a_stored_notebook_is_valid_and_carries_no_output(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if "outputs" in cell)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=stem)
def test_r9_cell_ids_are_words_and_saving_again_changes_nothing(path):
    notebook = nbformat.read(path, as_version=4)
    assert all(re.fullmatch(r"[a-z][a-z-]*", cell.id) for cell in notebook.cells)
    written = json.dumps(json.loads(nbformat.writes(notebook)), indent=1, ensure_ascii=False, sort_keys=True)
    stored = json.dumps(json.loads(path.read_text("utf-8")), indent=1, ensure_ascii=False, sort_keys=True)
    assert written == stored


# ---- written


@pytest.mark.parametrize("path", NOTEBOOKS, ids=stem)
def test_every_explorer_has_a_question_before_it_and_a_folded_answer_after_it(path):
    cells = nbformat.read(path, as_version=4).cells
    places = [at for at, cell in enumerate(cells) if cell.source.endswith(".widget()")]
    assert len(places) >= 4
    for at in places:
        before, after = cells[at - 1].source, cells[at + 1].source
        assert "**Move *" in before, cells[at].id
        assert before.rstrip().endswith(("?", ".")), cells[at].id
        assert "?" in before.partition("**Move *")[2], cells[at].id
        assert after.startswith("<details>\n<summary><b>Answer</b></summary>\n\n"), cells[at].id


@pytest.mark.parametrize("path", NOTEBOOKS, ids=stem)
def test_the_cells_are_calls_into_the_package_without_mathematics_or_plotting(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        tree = ast.parse(cell.source)
        kinds = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While)
        assert not any(isinstance(node, kinds) for node in ast.walk(tree)), cell.id
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert all(n in ALLOWED_IMPORTS or n.partition(".")[0] == "workbench" for n in names), (cell.id, names)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=stem)
def test_what_a_notebook_points_to_is_there(path):
    links = re.findall(r"\]\((?!https?:|data:)([^)#]+)\)", text_of(nbformat.read(path, as_version=4)))
    assert [link for link in links if not (FOLDER / link).exists()] == []


def test_the_controls_that_the_prose_names_are_on_the_explorers():
    from workbench.explorers import explorers

    labels = [control.label for cls in explorers().values() for control in cls().controls()]
    named = re.findall(r"\*\*Move \*([^*]+)\*", "\n".join(text_of(nbformat.read(p, as_version=4)) for p in NOTEBOOKS))
    assert len(named) >= 14
    assert [name for name in named if not any(label.startswith(name) for label in labels)] == []


# ---- true


def stored_percentages() -> set[float]:
    """Whole percentages that the stored results give: mean accuracies, and learned widths of the shipped networks."""
    claims = load_claims("partial_gcnn")
    means = 100 * claims["test_accuracy"].mean("seed").values
    runs = sorted((data_folder() / "runs" / "partial_gcnn").iterdir())
    widths = [100 * Run(path).history()["arc"].isel(epoch=-1).values.ravel() for path in runs]
    return {float(np.round(value)) for value in np.concatenate([means, *widths]) if np.isfinite(value)}


def test_n10_every_percentage_in_the_prose_is_a_stored_result_or_stated_theory():
    known = stored_percentages() | THEORY
    for path in NOTEBOOKS:
        quoted = [
            float(number) for number in re.findall(r"(\d+(?:\.\d+)?) ?%", text_of(nbformat.read(path, as_version=4)))
        ]
        assert [number for number in quoted if number not in known] == [], path.name


def test_n10_the_widths_that_are_quoted_belong_to_the_layers_they_are_quoted_for():
    def widths(name: str) -> list[float]:
        return [float(x) for x in 100 * Run(data_folder() / "runs" / "partial_gcnn" / name).history()["arc"][-1]]

    prose = text_of(read("01_partial_gcnn.ipynb"))
    assert f"at {widths('six_180_partial')[0]:.0f} % in\nlayer 2" in prose
    second, _, fourth = widths("upright_partial")
    assert f"layer 2 opens to {second:.0f} % and that of layer 4 to {fourth:.0f} %" in prose
    assert min(widths("rotated_partial")) > 98
    assert min(widths("upright_partial")) < 90


def test_n10_layer_two_opens_first_and_before_the_accuracy_rises():
    past = Run(data_folder() / "runs" / "partial_gcnn" / "six_180_partial").history()
    arc, accuracy = past["arc"].values, past["validation_accuracy"].values
    opened = [int(np.argmax(arc[:, layer] < 0.98)) for layer in range(3)]
    assert arc[opened[0], 0] < 0.98
    assert all(opened[0] < other or (arc[:, at] >= 0.98).all() for at, other in enumerate(opened) if at)
    assert accuracy[opened[0]] <= 0.55
    assert accuracy[-1] == 1
    assert np.ptp(arc[-10:], axis=0).max() < 0.01, "the rings stand still at the end"


def test_n10_what_the_comparison_says_is_what_the_seeds_say():
    claims = load_claims("partial_gcnn")

    def gaps(task: str, against: str, **options: float) -> dict:
        names = [str(name) for name in claims["experiment"].values if str(name).startswith(task)]
        ds = over_seeds(claims, names, f"{task}_{against}", **options)
        return {name.removeprefix(f"{task}_"): ds.sel(experiment=name) for name in names}

    six = gaps("six_180", "augmented")
    assert sorted(six["augmented"]["accuracy"].values) == [50, 100, 100, 100, 100]
    assert (six["partial"]["accuracy"] == 100).all()
    assert six["partial"]["gap_low"] < 0 < six["partial"]["gap_high"]
    assert six["augmented"]["parameters"] / six["partial"]["parameters"] == pytest.approx(3, abs=0.1)

    rotated = gaps("rotated", "partial")
    assert rotated["augmented"]["gap_low"] > 0
    assert gaps("rotated", "partial", level=0.99)["augmented"]["gap_low"] < 0
    assert all(
        rotated["augmented"]["accuracy_mean"] > rotated[name]["accuracy_mean"]
        for name in rotated
        if name != "augmented"
    )
    assert rotated["full"]["gap_low"] < 0 < rotated["full"]["gap_high"]
    assert rotated["strict"]["accuracy_mean"] > rotated["full"]["accuracy_mean"]
    assert rotated["strict"]["accuracy"].std() < rotated["full"]["accuracy"].std()
    assert gaps("rotated", "full")["strict"]["gap_low"] < 0

    upright = gaps("upright", "full")
    assert int((upright["partial"]["gap"] > 0).sum()) == 4
    assert (upright["partial"]["gap"][:2] > 0).all()
    assert -0.2 < float(upright["partial"]["gap_low"]) < 0
    assert gaps("upright", "full", seeds=2)["partial"]["gap_low"] < 0
    won, lost = upright["partial"]["gap_mean"], upright["plain"]["gap_mean"]
    assert 0.5 < won / lost < 1


def test_n10_what_is_said_of_the_rings_over_all_seeds_holds():
    arcs = load_claims("partial_gcnn")["arc"]
    rotated, upright = (arcs.sel(experiment=f"{name}_partial").isel(layer=slice(3)) for name in ("rotated", "upright"))
    assert float(rotated.isel(layer=slice(2)).min()) >= 0.97
    assert int((rotated.isel(layer=2) < 0.97).sum()) == 4
    assert (upright.min("layer") < 0.98).all()


def test_n10_the_notebook_asserts_from_the_method_and_types_no_band():
    check = next(cell.source for cell in read("01_partial_gcnn.ipynb").cells if cell.id == "check")
    constants = [node.value for node in ast.walk(ast.parse(check)) if isinstance(node, ast.Constant)]
    assert [value for value in constants if isinstance(value, int | float)] == [1], "the whole circle, and no band"
    assert find_method("partial_gcnn").notebook == "01_partial_gcnn.ipynb"


def test_n10_augmentation_and_the_partial_network_do_about_the_same_arithmetic():
    folder = data_folder() / "runs" / "partial_gcnn"
    work = [
        float(cost(Run(folder / name).model(), (1, 1, 16, 16))["multiply_adds_disc"].sum())
        for name in ("six_180_partial", "six_180_augmented")
    ]
    assert 0.5 < work[0] / work[1] < 2


def test_n10_what_the_audit_says_of_one_picture_and_of_arcs_holds():
    from workbench.explorers.answer import AnswerExplorer
    from workbench.explorers.data import DataExplorer

    prose = text_of(read("02_audit_your_model.ipynb"))
    ds = AnswerExplorer(network="partial_gcnn/rotated_plain", beside="partial_gcnn/rotated_strict").dataset()
    plain, group = (dict(zip(ds["angle_deg"].values, row, strict=True)) for row in ds["probability"].values)
    assert "At 50° it does not, and it is sure of that; at 90° it sees a 6 again" in prose
    assert plain[50] < 0.05 < 0.9 < plain[90]
    assert min(group.values()) > 0.95, "no hole on this picture"

    arcs = {width: DataExplorer(width_deg=width).dataset() for width in (60, 90, 120)}
    assert "Up to a right angle the interval is narrow and holds the blue diamond" in prose
    for width in (60, 90):
        assert bool(arcs[width]["resolvable"][0])
        assert float(arcs[width]["arc_low_deg"][0]) <= width <= float(arcs[width]["arc_high_deg"][0])
    assert not bool(arcs[120]["resolvable"][0])


def test_n10_the_audit_asserts_what_it_says_and_quotes_no_percentage():
    cells = {cell.id: cell.source for cell in read("02_audit_your_model.ipynb").cells}
    assert cells["check"].count("assert ") >= 12
    prose = "\n".join(source for name, source in cells.items() if name.endswith(("about", "answer", "next", "last")))
    assert re.findall(r"\d ?%", prose) == []


def test_n10_what_is_said_of_relaxed_networks_holds():
    claims = load_claims("relaxed_cnn")

    def gap(task: str, name: str, against: str, **options: float) -> tuple[float, float, float]:
        names = [str(one) for one in claims["experiment"].values if str(one).startswith(task)]
        ds = over_seeds(claims, names, f"{task}_{against}", **options).sel(experiment=f"{task}_{name}")
        return tuple(float(ds[part]) for part in ("gap_low", "gap_mean", "gap_high"))

    assert (claims["test_accuracy"].sel(experiment="place_strict") < 0.27).all()
    low, mean, _ = gap("place", "fixed1", "learned")
    assert low > 0
    assert round(mean) == 2
    low, _, high = gap("place", "fixed1", "learned", seeds=2)
    assert low < 0 < high
    for name in ("fixed1", "free"):
        _, mean, high = gap("digit", name, "strict", level=0.99)
        assert round(mean) == -6
        assert high < 0
        assert float(claims["train_accuracy"].sel(experiment=f"digit_{name}").min()) > 0.99
    low, _, high = gap("digit", "learned", "strict")
    assert low < 0 < high
    dial = claims["dial"].max("layer")
    assert float(dial.sel(experiment="digit_learned").max()) < 0.05
    assert float(dial.sel(experiment="digit_free").min()) > 0.9
    loss = claims["validation_loss"]
    assert (loss.sel(experiment="digit_strict") < loss.sel(experiment="digit_fixed1")).all()
    assert (loss.sel(experiment="place_fixed1") < loss.sel(experiment="place_strict")).all()
    assert (loss.sel(experiment="digit_learned") < loss.sel(experiment="digit_free")).all()


def test_n10_the_notebook_of_relaxed_networks_quotes_no_percentage_and_types_no_band():
    cells = {cell.id: cell.source for cell in read("04_relaxed_equivariance.ipynb").cells}
    assert re.findall(r"\d ?%", "\n".join(cells[name] for name in cells if name not in ("train",))) == []
    constants = [node.value for node in ast.walk(ast.parse(cells["check"])) if isinstance(node, ast.Constant)]
    assert [value for value in constants if isinstance(value, int | float)] == []
    assert find_method("relaxed_cnn").notebook == "04_relaxed_equivariance.ipynb"


def test_n10_what_is_said_of_the_right_amount_holds_on_the_stored_results():
    there = load_claims("families_elsewhere")

    def check(family: str, kind: str) -> dict:
        return check_advice(family, f"rendered-{kind}", there)

    exact = ("test-time averaging", "canonical pose", "strict (same backbone)")
    rotated = family_points(there, "rendered-rotated")
    assert (rotated["quarter_error"].sel(family=list(exact)) < ROUNDING).all()
    assert check("plain", "rotated")["family"].values[:2].tolist() == ["canonical pose", "test-time averaging"]
    lowest = {name: float(rotated["accuracy_seed"].sel(family=name).min()) for name in ("plain", exact[2])}
    assert lowest[exact[2]] < lowest["plain"]
    upright = family_points(there, "rendered-upright")["accuracy_seed"]
    assert (upright.sel(family=["plain", "learned augmentation"]) == 100).all()
    assert (upright.sel(family=["augmented", *exact]).mean("seed") < 95).all()
    assert (upright.sel(family=["augmented", "test-time averaging"]) < 92).all(), "one seed would have told"
    interval = check("canonical pose", "interval")
    assert interval.attrs["place"] == 1
    assert float(interval["ahead_high"].sel(family="plain")) > 0
    for family in ("residual pathway", "relaxed group", "soft penalty"):
        assert float(interval["accuracy"].sel(family=family)) < float(interval["accuracy"].sel(family="plain"))
    assert check("strict (same backbone)", "upright").attrs["verdict"] == "worse than the best"
    assert check("plain", "rotated").attrs["verdict"] == "worse than the best"


def test_the_notebooks_all_have_a_number_of_their_own_and_the_first_one_is_there():
    numbers = [path.name[:3] for path in NOTEBOOKS]
    assert len(set(numbers)) == len(numbers)
    assert all(re.fullmatch(r"\d\d_", number) for number in numbers)
    assert (FOLDER / "00_start_here.ipynb") in NOTEBOOKS
    assert os.environ["PYTHONPATH"], "kernels of the tests inherit the guard against the network"
