"""What the notebook on separable networks says of the stored results, held to them."""

import ast
import re
from pathlib import Path

import nbformat

from tests.tolerances import BROKEN
from workbench.explorers.layer_cost import LayerCostExplorer
from workbench.explorers.poses import PosesExplorer
from workbench.explorers.separable import SeparableExplorer
from workbench.kernels.faults import RELEASED
from workbench.measure.seeds import over_seeds
from workbench.models import find_method
from workbench.training import load_claims

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "03_separable_gcnn.ipynb"


def test_n10_what_is_said_of_separable_networks_holds():
    claims = load_claims("separable_gcnn")

    def share(**state: object) -> float:
        return float(SeparableExplorer(factorisation="nonseparable", **state).dataset()["energy"][0])

    assert share(omega0=1) > 0.98 > 0.9 > share(omega0=10)
    assert all(0.4 < share(weights=layer) < 0.65 for layer in "123")
    first = claims["group_energy"].sel(experiment="nonseparable", component=1).mean("group_layer")
    chance, drawn, trained = (first.sel(weights=kind) for kind in ("independent", "drawn", "trained"))
    assert (2 * chance < trained).all()
    assert (trained < drawn).all()
    assert float(claims["cut_accuracy"].sel(experiment="nonseparable", kept=1).max()) < 0.25

    ours = [f"separable_{kind}" for kind in ("equal_epochs", "equal_compute", "wide_equal_compute")]
    names = ["nonseparable", *ours, "plain"]
    assert str(claims["parameters"].sel(experiment=names).mean("seed").idxmax("experiment").values) == "plain"
    for seeds in (2, 5):
        ds = over_seeds(claims, names, "nonseparable", seeds=seeds)
        assert (ds["gap_low"] <= 0).all()
        assert (ds["gap_high"] >= 0).all()
    assert float(ds["gap_mean"][1]) < 0 < float(ds["gap_mean"][2]) < float(ds["gap_mean"][3])

    def faster(way: str, rotations: int) -> float:
        times = LayerCostExplorer(rotations=rotations).dataset()["step_ms"].sel(rotations=rotations)
        return float(times.sel(way="nonseparable") / times.sel(way=way))

    assert faster("separable", 16) > faster("separable", 4)
    assert max(faster(way, 16) for way in ("gseparable", "dseparable", "dgseparable")) < faster("separable", 16)
    counted = LayerCostExplorer(rotations=16).dataset()["multiply_adds"]
    assert float(counted.sel(way="gseparable")) == float(counted.sel(way="nonseparable"))
    assert float(counted.sel(way="nonseparable") / counted.sel(way="separable")) > 2 * faster("separable", 16)


def test_n10_what_is_said_of_the_two_mistakes_holds():
    def without_dip(fault: str, angle_deg: float) -> set[str]:
        error = PosesExplorer(layer=1, fault=fault).dataset().set_xindex("angle_deg")["error_mean"]
        here = error.sel(angle_deg=angle_deg)
        return {str(name) for name in here["model"].values if float(here.sel(model=name)) > BROKEN}

    together = {"nonseparable", "separable", "gseparable", "dseparable", "dgseparable"}
    every = together | {"separable+2d", "gseparable+2d"}
    expected = {
        "none": (set(), set()),
        "transposed": (every, set()),
        "viewed": (together, together),
        "released": (set(RELEASED), {"separable", "gseparable", "dgseparable"}),
    }
    assert {fault: (without_dip(fault, 90), without_dip(fault, 180)) for fault in expected} == expected
    assert len(RELEASED) == 5


def test_n10_the_notebook_of_separable_networks_quotes_no_percentage_and_types_no_band():
    cells = {cell.id: cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells}
    assert re.findall(r"\d ?%", "\n".join(cells[name] for name in cells if name not in ("train",))) == []
    constants = [node.value for node in ast.walk(ast.parse(cells["check"])) if isinstance(node, ast.Constant)]
    assert [value for value in constants if isinstance(value, int | float)] == [True, 1], "one picture, and no band"
    assert find_method("separable_gcnn").notebook == "03_separable_gcnn.ipynb"
