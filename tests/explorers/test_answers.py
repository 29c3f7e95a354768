"""The answers explorer: networks trained on the same data, asked about one picture at every angle."""

import numpy as np
import pytest

from tests.explorers.promises import keeps_every_promise
from tests.explorers.stored import store_runs
from workbench.explorers.answers import COARSE, FINE, AnswersExplorer, families


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return store_runs(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def runs(stored, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(stored))


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(AnswersExplorer(), tmp_path, data="6-mirror", picture=3, angle_deg=-70)


def test_networks_stand_together_by_the_data_they_saw():
    assert {data: list(members) for data, members in families().items()} == {
        "6-180": ["six 180 full", "six 180 partial", "six 180 plain"],
        "6-mirror": ["six mirror partial"],
    }


def test_a_full_network_answers_alike_at_every_quarter_turn():
    ds = AnswersExplorer().dataset()
    flat = ds["probability"].sel(network="six 180 full").where(ds["lattice"], drop=True).values
    assert np.ptp(flat) < 1e-5
    assert ds.attrs["asked_class"] in ("6", "6 upside down")


def test_probabilities_run_once_around_and_close():
    ds = AnswersExplorer().dataset()
    assert ds["angle_deg"].values[[0, -1]].tolist() == [-180, 180]
    assert np.allclose(ds["probability"][:, 0], ds["probability"][:, -1], atol=1e-6)
    assert ds.sizes["angle"] == FINE
    assert AnswersExplorer().at(coarse=True).dataset().sizes["angle"] == COARSE


def test_the_picture_is_shown_as_it_is_turned():
    upright, turned = (AnswersExplorer(angle_deg=angle).dataset()["image"].values for angle in (0, 90))
    assert np.array_equal(turned, np.rot90(upright))


def test_without_stored_runs_the_untrained_network_is_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    ds = AnswersExplorer().dataset()
    assert ds["network"].values.tolist() == ["untrained"]
    assert ds.attrs["showing"].startswith("showing 1 of ")


def test_the_readers_own_picture_may_be_asked_about():
    explorer = AnswersExplorer()
    before = explorer.dataset()["probability"].values
    explorer.set_image(np.eye(30))
    assert not np.array_equal(explorer.dataset()["probability"].values, before)
