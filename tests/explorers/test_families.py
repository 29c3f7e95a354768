"""The explorer of families shows what is stored of each, on any two axes, at once, and says what is missing."""

import numpy as np
import pytest

from tests.explorers.promises import keeps_every_promise
from tests.measure.family_study import FAMILIES, made_study
from workbench.explorers import families
from workbench.explorers.families import ALL, AXES, FamiliesExplorer
from workbench.measure.families import QUANTITIES, SAMPLES, family_points


@pytest.fixture
def made(monkeypatch):
    """The explorer on a small study in which strict was not trained on 200 upright digits."""
    study = made_study(drop=(("strict", "digits-upright", SAMPLES, 200),))
    monkeypatch.setattr(families, "study", lambda: study)
    return study


def test_n7_seven_families_and_more_on_one_task_in_one_system_of_axes():
    explorer = FamiliesExplorer()
    ds = explorer.dataset()
    assert int((np.isfinite(ds["x"]) & np.isfinite(ds["y"])).sum()) >= 7
    assert {"family", "data_set", "view", "samples"} <= set(families.study().coords)


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    other = {"x": "error", "y": "data_needed", "target_percent": 82.0, "each_seed": True, "family": "strict"}
    keeps_every_promise(FamiliesExplorer(), tmp_path, **other)


@pytest.mark.parametrize("quantity", AXES.values())
def test_each_quantity_can_lie_on_either_axis_and_is_the_stored_one(made, quantity):
    ds = FamiliesExplorer(x=quantity, y=quantity, target_percent=70).dataset()
    points = family_points(made, "digits-rotated", SAMPLES, 400, 0.7)
    for name in ("x", "y"):
        assert np.array_equal(ds[name], points[quantity], equal_nan=True)
        assert ds[name].attrs["long_name"] == QUANTITIES[quantity].words
        assert ds[f"{name}_seed"].shape == (len(FAMILIES), 5)


def test_every_quantity_of_the_study_is_in_the_menu():
    assert set(AXES.values()) == set(QUANTITIES)


def test_the_menus_hold_what_is_stored(made):
    explorer = FamiliesExplorer()
    menus = {control.name: [value for _, value in control.options] for control in explorer.controls()}
    assert menus["samples"] == [ALL, 100, 200]
    assert menus["family"] == list(FAMILIES)
    assert len(menus["data"]) == 3
    assert explorer.dataset().attrs["samples"] == 400


def test_n15_what_was_not_trained_so_is_counted_and_left_out(made):
    explorer = FamiliesExplorer(data="digits-upright", samples=200, family="strict")
    assert explorer.showing == "showing 3 of 4 families"
    assert "was not trained on so many" in explorer.dataset().attrs["numbers"]
    assert "showing 3 of 4" in str(explorer.figure_dict()["layout"]["annotations"])
    assert FamiliesExplorer(data="digits-upright").showing == ""
    nobody = FamiliesExplorer(equal="equal compute", samples=100)
    assert nobody.showing == "showing 0 of 4 families"
    assert "Nothing of this was stored" in str(nobody.figure_dict())


def test_n15_a_family_that_does_not_reach_the_accuracy_is_left_out_where_data_needed_is_an_axis(made):
    explorer = FamiliesExplorer(x="data_needed", target_percent=77)
    assert explorer.showing == "showing 2 of 4 families"
    assert "does not reach 77 %" in explorer.dataset().attrs["numbers"]
