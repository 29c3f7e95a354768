"""The explorer of seeds reads stored results and keeps tasks, networks and seeds in order."""

import json

import numpy as np
import pytest
import xarray as xr

from tests.explorers.promises import finite, keeps_every_promise
from workbench.explorers.seeds import SeedsExplorer, stored_tasks
from workbench.measure import labelled, provenance, save

GRID = ("experiment", "seed")
TASKS = {"six_full": "6-180", "six_partial": "6-180", "upright_plain": "upright", "upright_partial": "upright"}


@pytest.fixture
def claims(tmp_path, monkeypatch):
    """Stored results of four experiments on two data sets over four seeds."""
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    names = [*TASKS, "lonely"]
    accuracy = np.linspace(0.5, 1, 20).reshape(5, 4)
    configs = [json.dumps({"data": {"name": TASKS.get(name, "digits")}}) for name in names]
    ds = xr.Dataset(
        {
            "test_accuracy": labelled(GRID, accuracy, "test accuracy"),
            "parameters": labelled(GRID, np.full((5, 4), 6000.0), "parameters"),
        },
        coords={
            "experiment": labelled("experiment", names, "experiment"),
            "seed": labelled("seed", range(4), "seed"),
            "config": labelled("experiment", configs, "configuration"),
        },
        attrs=provenance("reproduce", seed=range(4), dtype="float32"),
    )
    (tmp_path / "claims").mkdir()
    save(ds, tmp_path / "claims" / "partial_gcnn.nc")
    return ds


def test_it_keeps_every_promise_of_an_explorer(claims, tmp_path):
    keeps_every_promise(SeedsExplorer(), tmp_path, task="partial_gcnn/upright", seeds=2, level_percent=80)


def test_networks_of_one_data_set_are_compared_and_a_lonely_one_is_not_a_task(claims):
    assert stored_tasks() == {
        "partial_gcnn/6-180": ["six_full", "six_partial"],
        "partial_gcnn/upright": ["upright_plain", "upright_partial"],
    }


def test_the_gap_is_taken_to_the_chosen_kind_or_else_to_the_first_network(claims):
    explorer = SeedsExplorer()
    assert dict(explorer.controls()[1].options).keys() == {"full", "partial", "plain"}
    assert explorer.against == "full"
    assert explorer.dataset().attrs["against"] == "six_full"
    explorer.set(against="plain")
    assert explorer.dataset().attrs["against"] == "six_full"
    explorer.set(task="partial_gcnn/upright")
    assert explorer.dataset().attrs["against"] == "upright_plain"
    assert explorer.dataset()["experiment"].values.tolist() == ["upright_plain", "upright_partial"]


def test_the_numbers_are_those_of_the_store(claims):
    ds = SeedsExplorer().dataset()
    stored = 100 * claims["test_accuracy"].sel(experiment=["six_full", "six_partial"])
    assert np.array_equal(ds["accuracy"], stored)
    assert finite(ds)


def test_n15_fewer_seeds_than_there_are_is_said(claims):
    assert SeedsExplorer().controls()[2].bounds == (2, 4)
    assert SeedsExplorer(seeds=3).showing == "showing 3 of 4 seeds"
    assert SeedsExplorer().showing == ""


def test_without_stored_results_it_names_the_command_that_makes_them(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="workbench reproduce partial_gcnn"):
        SeedsExplorer().dataset()


def test_the_shipped_results_can_be_drawn_for_every_task():
    explorer = SeedsExplorer()
    for _, task in explorer.controls()[0].options:
        explorer.set(task=task)
        assert explorer.figure_dict()["data"]
