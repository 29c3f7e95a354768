"""House rules read from the files themselves: nothing unsafe is loaded, notebooks are inert, files stay small."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.commands import listing

ROOT = Path(__file__).resolve().parent.parent
TEXT = {".py", ".js", ".css", ".md", ".toml", ".txt", ".ipynb", ".html", ""}
LINES_ALLOWED = 400


def files(*folders: str, suffixes: set[str] = TEXT) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*"))]
    hidden = {"__pycache__", ".ipynb_checkpoints"}
    return [path for path in found if path.is_file() and path.suffix in suffixes and not hidden & set(path.parts)]


PACKAGE_FILES = files("workbench", suffixes={".py"})
PYTHON_FILES = files("workbench", "tests", suffixes={".py"})
TEST_FILES = files("tests", suffixes={".py"})
NOTEBOOKS = files("notebooks", suffixes={".ipynb"})
ROOT_FILES = [path for path in sorted(ROOT.iterdir()) if path.is_file() and path.suffix in TEXT and path.name != ".git"]
ALL_FILES = [*files("workbench", "tests", "notebooks", "data", ".ci"), *ROOT_FILES]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


# ---- R1: nothing that can run code is ever loaded

LOADERS = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "cPickle.load", "dill.load", "dill.loads", "cloudpickle.load",
    "cloudpickle.loads", "joblib.load", "shelve.open", "marshal.loads", "marshal.load", "yaml.load", "yaml.full_load",
    "yaml.unsafe_load", "pandas.read_pickle", "pd.read_pickle", "torch.jit.load", "torch.package.PackageImporter",
}  # fmt: skip
SWITCHES = {("weights_only", False), ("allow_pickle", True)}
SUSPECT = re.compile("load|Unpickler|PackageImporter|shelve|read_pickle|weights_only|allow_pickle")
# A TorchScript program is what the user asks to have run; its objects are read by torch's own restricted reader.
PROGRAMS = {"workbench/audit/programs.py": {"torch.jit.load"}}


def unsafe_calls(source: str) -> Iterator[str]:
    """Calls in a piece of Python that could run code found in a file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{a.name}" for a in node.names if f"{node.module}.{a.name}" in LOADERS)
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in LOADERS:
            yield called
        for keyword in node.keywords:
            value = keyword.value
            if isinstance(value, ast.Constant) and (keyword.arg, value.value) in SWITCHES:
                yield f"{called}({keyword.arg}={value.value})"


def code_of(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    lines = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code").splitlines()
    return "\n".join("pass" if line.lstrip().startswith(("%", "!")) else line for line in lines)


def test_r1_no_file_loads_anything_that_can_run_code():
    found = {}
    for path in PYTHON_FILES + NOTEBOOKS:
        source = code_of(path) if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")
        calls = unsafe_calls(source) if SUSPECT.search(source) else ()  # what names none of them need not be parsed
        found[name_of(path)] = [call for call in calls if call not in PROGRAMS.get(name_of(path), ())]
    assert {name: calls for name, calls in found.items() if calls} == {}
    assert all(SUSPECT.search(name) for name in (*LOADERS, *(name for name, _ in SWITCHES)))


@pytest.mark.parametrize(
    "source",
    ["torch.load(p, weights_only=False)", "import pickle\npickle.load(f)", "np.load(p, allow_pickle=True)",
     "from joblib import load", "yaml.load(text)"],
)  # fmt: skip
def test_r1_the_scan_catches_each_unsafe_call(source):
    assert list(unsafe_calls(source))


def test_r1_r10_the_floors_of_torch_and_bokeh_are_declared():
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert "torch>=2.10" in needed  # CVE-2026-24747
    assert "bokeh>=3.8.2" in needed  # CVE-2026-21883


# ---- R8, R9: notebooks are inert and can be executed anywhere

MARKUP = re.compile(r"<\s*(script|iframe|object|embed)|\bon\w+\s*=\s*[\"']|javascript:|src\s*=\s*[\"']https?:", re.I)
REMOTE_PICTURE = re.compile(r"!\[[^\]]*\]\(https?:")


def complaints(notebook: dict) -> list[str]:
    """What is wrong with a notebook as a file that strangers open."""
    found = []
    metadata = notebook["metadata"]
    if metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("its kernelspec is not python3, so JupyterLab would ask for a kernel")
    if {"widgets", "signature", "trusted"} & set(metadata):
        found.append("it stores widget state or trust")
    ids = [cell.get("id") for cell in notebook["cells"]]
    if None in ids or len(set(ids)) != len(ids):
        found.append("cell ids are missing or repeated")
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code" and (cell["outputs"] or cell["execution_count"] is not None):
            found.append(f"cell {cell.get('id')} carries an output or a count")
        if cell["cell_type"] == "markdown" and (MARKUP.search(text) or REMOTE_PICTURE.search(text)):
            found.append(f"cell {cell.get('id')} carries active markup or asks another machine for a picture")
        if {"trusted"} & set(cell.get("metadata", {})):
            found.append(f"cell {cell.get('id')} claims trust")
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_r8_a_notebook_is_inert_and_names_its_kernel(path):
    assert complaints(json.loads(path.read_text(encoding="utf-8"))) == []


def test_r8_the_scan_catches_outputs_state_and_markup():
    code = {"cell_type": "code", "id": "a", "source": "1", "outputs": [{}], "execution_count": 1, "metadata": {}}
    text = {"cell_type": "markdown", "id": "a", "source": "<script>", "metadata": {"trusted": True}}
    broken = {"metadata": {"widgets": {}}, "cells": [code, text]}
    assert len(complaints(broken)) == 6


# ---- house rules


def test_no_file_is_longer_than_four_hundred_lines():
    lines = {name_of(p): len(p.read_text("utf-8").splitlines()) for p in ALL_FILES if p.suffix in (".py", ".js")}
    assert {name: count for name, count in lines.items() if count > LINES_ALLOWED} == {}


def prints(source: str) -> bool:
    """Whether a piece of Python calls print by its name."""
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return any(isinstance(call, ast.Name) and call.id == "print" for call in calls)


def test_the_package_prints_nothing():
    silent = [p for p in PACKAGE_FILES if p.name != "cli.py" and p.parent.name != "commands"]
    # what does not name it need not be parsed
    texts = {name_of(p): text for p in silent if "print" in (text := p.read_text("utf-8"))}
    assert [name for name, text in texts.items() if prints(text)] == []
    assert prints("def f():\n    print(1)")


# Written in pieces, so that this file passes its own scan.
PRIVATE = re.compile(
    "|".join(
        [
            r"/wo" r"rk/(main|shared|\.)", r"/ro" r"ot/", r"/opt/(whe" r"els|py" r"pi)", r"\.lib" r"rary\b",
            r"py" r"pi\.org", r"python" r"hosted", r"npm" r"js\.", r"download\.py" r"torch", r"ana" r"conda\.org",
            r"--(extra-)?index" r"-url", r"--find" r"-links", r"\bcard \d", r"\bissues? ?#?\d",
        ]
    )
)  # fmt: skip


def test_no_file_names_a_machine_path_or_a_package_host():
    found = {name_of(path): PRIVATE.search(path.read_text(encoding="utf-8")) for path in ALL_FILES}
    assert {name: match.group() for name, match in found.items() if match} == {}


def test_doctests_of_the_whole_package_are_part_of_the_suite():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    assert "--doctest-modules" in options["addopts"]
    assert "workbench" in options["testpaths"]
    assert options["filterwarnings"][0] == "error"


def test_no_test_is_skipped_or_expected_to_fail():
    marks = re.compile(r"pytest\.(mark\.)?(skip|skipif|xfail|importorskip)\b")
    assert [name_of(path) for path in PYTHON_FILES if marks.search(path.read_text(encoding="utf-8"))] == []


COMPARISONS = {"allclose", "isclose", "assert_allclose", "assert_close"}
COMPARING = re.compile(r"close\(|approx\(")
LIBRARIES = {"torch", "np", "numpy"}


def unbounded(source: str) -> list[str]:
    """Comparisons that leave a bound to the library: rtol or atol left out, and both rel and abs of approx."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        library, name = called.split(".")[0], called.split(".")[-1]
        given = {keyword.arg for keyword in node.keywords}
        if name == "approx":
            bounded = len(node.args) > 1 or bool({"rel", "abs"} & given)
        elif library in LIBRARIES | COMPARISONS and name in COMPARISONS:
            bounded = {"rtol", "atol"} <= given | set(("", "", "rtol", "atol")[: len(node.args)])
        else:
            continue
        if not bounded:
            found.append(f"line {node.lineno}: {called}")
    return found


def test_every_comparison_says_its_own_tolerance():
    texts = {name_of(p): p.read_text("utf-8") for p in TEST_FILES}
    found = {name: unbounded(text) for name, text in texts.items() if COMPARING.search(text)}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    ["torch.allclose(a, b, atol=T)", "np.allclose(a, b, rtol=T)", "np.testing.assert_allclose(a, b, atol=T)",
     "torch.isclose(a, b, T)", "torch.testing.assert_close(a, b, rtol=T)", "torch.allclose(a, b)", "np.isclose(a, b)",
     "np.testing.assert_allclose(a, b, equal_nan=True)", "assert_close(a, b, msg='')", "np.allclose(a, b, **tight)",
     "a == pytest.approx(b)", "a == approx(b, nan_ok=True)"],
)  # fmt: skip
def test_the_scan_catches_a_tolerance_that_is_left_to_the_library(source):
    assert unbounded(source)
    assert not unbounded("torch.allclose(a, b, rtol=0, atol=T), np.isclose(a, b, 0, T), torch.equal(a, b)")
    assert not unbounded("a == pytest.approx(b, rel=T), a == pytest.approx(b, T), a == approx(b, abs=T), a == b")


def test_wheels_carry_the_notebooks_and_the_data():
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert wheel["wheel"]["force-include"] == {"data": "workbench/_data", "notebooks": "workbench/_notebooks"}


# ---- README and CI say the same


def readme_commands() -> list[str]:
    blocks = re.findall(r"```(?:bash|sh)\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_ci_runs_exactly_the_test_command_of_the_readme():
    tests = [line for line in readme_commands() if "pytest" in line]
    assert len(tests) == 1
    assert tests[0] in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_readme_lists_every_method():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert listing.readme_table() in text, "run: workbench list --readme README.md"
