"""What the notebook on scale and linear maps says of the stored results, held to them."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from workbench.explorers.poses import PosesExplorer
from workbench.groups import Scale, parse_group
from workbench.kernels.stretched import support_problem, support_radius
from workbench.measure.seeds import over_seeds
from workbench.models._similarity_claims import EXPERIMENTS
from workbench.training import load_claims

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "05_scale_and_affine.ipynb"
NAMES = [experiment.name for experiment in EXPERIMENTS]


@pytest.fixture(scope="module")
def claims():
    return load_claims("separable_gcnn")


def gap(claims, better, worse, seeds=5):
    ds = over_seeds(claims, NAMES, f"scaled_{worse}", seeds=seeds).sel(experiment=f"scaled_{better}")
    return tuple(float(ds[part]) for part in ("gap_low", "gap_mean", "gap_high"))


def test_n10_what_is_said_of_the_gaps_is_what_the_seeds_say(claims):
    low, mean, high = gap(claims, "se2", "sim2")
    assert low < 0 < high
    assert round(mean) == 3
    for seeds in (2, 3, 4):
        low, _, high = gap(claims, "se2", "sim2", seeds)
        assert low < 0 < high
    assert min(gap(claims, "sim2", "plain")[0], gap(claims, "se2", "plain")[0]) > 10
    assert 25 < gap(claims, "se2", "t2")[1] < 38
    low, _, high = gap(claims, "scale", "t2")
    assert low < 0 < high
    assert gap(claims, "plain", "t2")[0] > 0
    assert (claims["train_accuracy"].sel(experiment=["scaled_t2", "scaled_scale"]).mean("seed") < 0.75).all()


def test_n10_sizes_outside_the_trained_range_are_known_by_none(claims):
    by_size = claims["size_accuracy"].sel(experiment=NAMES).mean("seed")
    assert (by_size.idxmax("size_factor") == 0.7).all()
    for factor in (0.35, 1.15):
        own, other = (float(by_size.sel(experiment=f"scaled_{n}", size_factor=factor)) for n in ("sim2", "se2"))
        assert own <= other


def test_n10_what_is_said_of_costs_and_supports_holds(claims):
    count = claims["multiply_adds"]
    assert 3 < float(count.sel(experiment="scaled_sim2") / count.sel(experiment="scaled_se2")) < 4
    assert 2 < support_radius(Scale(2, 1.74), 9) < 2.5
    assert support_radius(Scale(2, 1.74), 7) < 2
    assert [bool(support_problem(Scale(2, 1.74), k)) for k in (7, 9, 11, 15, 17)] == [True, True, True, False, False]


def test_n10_what_is_said_of_the_maps_of_poses_holds():
    def block(**state):
        ds = PosesExplorer(**state).at(coarse=True).dataset()
        return float(ds["block_high"] - ds["block_low"]) + 1, ds

    height, ds = block(enlarged=1)
    assert (height, round(float(ds["pose_factor"][1]), 2)) == (5, 1.15)
    assert round(block(enlarged=1.15)[0], 1) == 4
    assert block(enlarged=1, layer=1)[0] == 3
    assert block(enlarged=1.9)[0] < 0.5, "no row is left"
    for enlarged in (0.76, 0.87, 1.15, 1.32):
        for angle_deg in (0, 90, 180):
            ds = block(enlarged=enlarged, angle_deg=angle_deg)[1]
            assert ds["found_deg"] == ds["expected_deg"]
            assert float(ds["found_factor"] / ds["expected_factor"]) == pytest.approx(1, rel=0.01)
    ds = PosesExplorer().dataset()
    assert float((ds["ends"] / ds["inside"]).min()) > 5, "at the same step"


def test_n10_no_percentage_is_quoted_and_no_measured_accuracy_is_typed_into_the_check():
    cells = {cell.id: cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells}
    prose = "\n".join(source for name, source in cells.items() if name not in ("train", "check"))
    assert re.findall(r"\d ?%", prose) == []
    numbers = [n.value for n in ast.walk(ast.parse(cells["check"])) if isinstance(n, ast.Constant)]
    assert {n for n in numbers if isinstance(n, int | float)} <= {0, 1, 4, 10, 0.2, 0.75}
    assert cells["check"].count("assert ") >= 8


def test_n10_what_is_said_of_networks_over_linear_maps_holds():
    accuracy = 100 * load_claims("affine_gcnn")["map_accuracy"]
    mean = accuracy.mean("seed")
    assert float(mean.sel(maps="none").min()) > 96, "all fit the upright digits"
    small = mean.sel(maps="small")
    assert str(small.idxmax("experiment").values) == "plain"
    for name in ("gl2", "sl2"):
        assert 8 < float(small.sel(experiment="plain") - small.sel(experiment=name)) < 12
        assert float(small.sel(experiment=name)) < float(small.sel(experiment="se2"))
    for maps in ("large", "any turn"):
        rest = mean.sel(maps=maps).drop_sel(experiment="se2")
        assert float(mean.sel(maps=maps, experiment="se2") - rest.max()) > 10
    gap = mean.sel(experiment="gl2") - mean.sel(experiment="t2")
    assert float(gap.sel(maps="any turn")) > 25 > 3 > float(gap.sel(maps=["none", "small", "large"]).max())
    assert 1.9 < support_radius(parse_group("GLPlus(2,1.2)"), 9) < 2.4
