"""The house picture as a test: which room may import which, and what `import workbench` may not load."""

import ast
import json
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import workbench

PACKAGE = Path(workbench.__file__).parent

# The table of CONTRIBUTING.md: a room may import itself, the rooms named here, and nothing else of ours.
MAY_IMPORT = {
    "groups": set(),
    "actions": {"groups"},
    "kernels": {"groups"},
    "layers": {"groups", "kernels"},
    "e3": {"groups"},
    "models": {"groups", "kernels", "layers", "e3"},
    "datasets": {"groups", "actions"},
    "measure": {"groups", "actions", "kernels", "e3"},
    "training": {"groups", "layers", "models", "datasets", "measure"},
    "views": set(),
    "audit": {"groups", "actions", "e3", "models", "datasets", "training", "measure", "views"},
    "explorers": {
        "groups", "actions", "kernels", "layers", "e3", "models", "datasets", "training", "measure", "views",
    },
    "dashboards": {"datasets", "explorers", "measure", "models", "views"},
    "commands": {"models", "datasets", "training", "measure", "audit", "explorers", "dashboards"},
    "cli": {"commands"},
}  # fmt: skip

DRAWING = {"plotly", "panel", "bokeh", "ipywidgets", "anywidget", "matplotlib"}
NEVER = {
    **dict.fromkeys(("groups", "actions", "kernels", "layers", "e3", "models", "datasets"), DRAWING | {"lightning"}),
    "measure": DRAWING | {"lightning"},
    "training": DRAWING,
    "audit": {"panel", "bokeh", "ipywidgets", "anywidget", "matplotlib", "lightning"},
    "views": {"torch", "panel", "bokeh", "ipywidgets", "anywidget", "lightning"},
    "explorers": {"panel", "bokeh"},
}
HEAVY = ("panel", "bokeh", "e3nn", "lightning", "dask", "distributed", "plotly", "xarray", "ipywidgets", "jupyterlab")


def imported(source: str) -> set[str]:
    """Every module a file imports, anywhere in it, as dotted names."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def trespasses(room: str, source: str) -> set[str]:
    """What a file of that room imports although the picture forbids it."""
    found = set()
    for name in imported(source):
        first, *rest = name.split(".")
        if first == "workbench" and rest and rest[0] in MAY_IMPORT:
            found |= {name} if rest[0] not in MAY_IMPORT[room] | {room} else set()
        elif first in NEVER.get(room, set()):
            found.add(name)
    return found


def rooms() -> dict[str, list[Path]]:
    folders = [folder for folder in sorted(PACKAGE.iterdir()) if any(folder.glob("*.py"))]
    return {folder.name: sorted(folder.rglob("*.py")) for folder in folders if folder.is_dir()} | {
        "cli": [PACKAGE / "cli.py"]
    }


def test_every_room_has_its_row_in_the_table():
    assert set(rooms()) <= set(MAY_IMPORT)


def test_the_table_has_no_circle():
    left = dict(MAY_IMPORT)
    while left:
        free = {room for room, needs in left.items() if not needs & set(left)}
        assert free, f"these rooms import each other in a circle: {sorted(left)}"
        left = {room: needs for room, needs in left.items() if room not in free}


@pytest.mark.parametrize("room", rooms())
def test_a_room_imports_only_what_the_picture_allows(room):
    wrong = {
        str(path.relative_to(PACKAGE)): sorted(found)
        for path in rooms()[room]
        if (found := trespasses(room, path.read_text(encoding="utf-8")))
    }
    assert wrong == {}


def test_the_check_catches_a_group_that_imports_a_layer_and_a_measure_that_draws():
    assert trespasses("groups", "from workbench.layers import GroupConv")
    assert trespasses("groups", "def f():\n    from workbench import layers")
    assert trespasses("measure", "import plotly.graph_objects as go")
    assert trespasses("views", "from torch import Tensor")
    assert trespasses("layers", "from workbench.groups import C\nfrom workbench.kernels import bank") == set()


def undeclared(names: set[str]) -> set[str]:
    """Third-party modules among these dotted names whose distribution pyproject.toml does not name for users.

    What the extra "chemistry" names may be missing: what imports it says so in a sentence.
    """
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["chemistry"]]
    declared = {canonicalize_name(Requirement(line).name) for line in named}
    own = {*sys.stdlib_module_names, "workbench"}
    tops = {name.partition(".")[0] for name in names} - own
    providers = packages_distributions()
    return {top for top in tops if not declared & {canonicalize_name(name) for name in providers.get(top, ())}}


def test_whatever_the_package_imports_is_declared_and_no_other_package_has_to_bring_it():
    sources = [path.read_text(encoding="utf-8") for paths in rooms().values() for path in paths]
    assert undeclared(set().union(*map(imported, sources))) == set()
    assert undeclared({"yaml", "nowhere.at.all", "tqdm.auto", "os.path"}) == {"yaml", "nowhere"}


def test_import_workbench_and_its_core_load_nothing_heavy():
    core = ("workbench", "workbench.cli", "workbench.groups", "workbench.layers", "workbench.models.method")
    program = f"""
import importlib, sys
for module in {core!r}:
    importlib.import_module(module)
    print(module, [name for name in {HEAVY!r} if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert ran.stdout.splitlines() == [f"{module} []" for module in core]


def test_the_measured_import_cost_is_stored_and_within_its_bound():
    stored = json.loads((Path(__file__).parent / "benchmarks" / "results" / "import_cost.json").read_text("utf-8"))
    assert len(stored["ratios"]["workbench"]) >= 5
    assert stored["ratio_median"]["workbench"] <= stored["ratio_allowed"] == 1.2
