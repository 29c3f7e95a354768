"""The answer explorer: what networks say of one picture at every angle, against the networks themselves."""

import numpy as np
import pytest
import torch

from tests.explorers.promises import finite, keeps_every_promise
from tests.tolerances import AGAIN, EXACT
from workbench.datasets import load
from workbench.explorers.answer import COARSE, FINE, AnswerExplorer
from workbench.training import Run


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # tiny tensors: a second thread would only wait for the first


def test_it_keeps_every_promise_of_an_explorer(runs, tmp_path):
    keeps_every_promise(AnswerExplorer(), tmp_path, angle_deg=33, n=4, mirror=True, picture="R", beside="nobody")


def test_it_opens_on_the_partial_network_beside_the_full_one(runs):
    explorer = AnswerExplorer()
    assert (explorer.network, explorer.beside) == ("six_180_partial/seed-0", "six_180_full/seed-0")


def test_without_any_run_it_asks_the_untrained_network(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    ds = AnswerExplorer().dataset()
    assert ds.sizes["model"] == 1
    assert list(ds["class_name"].values[0]) == list(load("digits").classes)


def test_the_bars_are_the_softmax_of_the_stored_network(runs):
    data = load("6-180")
    digits = load("digits")
    images, labels = digits.splits["test"]
    six = data.standardise(digits.pixels(images[labels == 6][:1]).clamp(0, 1))
    expected = Run(runs / "runs" / "six_180_partial" / "seed-0").model()(six).softmax(-1)[0].detach()
    assert np.allclose(AnswerExplorer().dataset()["answer"].values[0], expected, rtol=0, atol=EXACT[torch.float32])


def test_bars_and_curve_agree_at_every_angle_of_the_curve(runs):
    for angle in (-90, 0, 45, 180):
        ds = AnswerExplorer(angle_deg=angle).dataset()
        at = int(np.flatnonzero(np.isclose(ds["angle_deg"], angle, rtol=AGAIN, atol=AGAIN))[0])
        followed = [list(ds["class_name"].values[k]).index(ds["followed"].values[k]) for k in (0, 1)]
        shown = [ds["answer"].values[k, followed[k]] for k in (0, 1)]
        assert np.allclose(ds["probability"].values[:, at], shown, rtol=0, atol=EXACT[torch.float32])


def test_a_full_network_gives_the_same_answer_at_every_quarter_turn(runs):
    ds = AnswerExplorer(network="six_180_full/seed-0", beside="nobody").dataset()
    exact = ds["probability"].values[0, ds["lattice"].values]
    assert len(exact) == 5
    assert np.ptp(exact) <= EXACT[torch.float32]


def test_the_class_of_the_picture_is_followed_where_the_network_knows_it(runs):
    assert list(AnswerExplorer().dataset()["followed"].values) == ["6", "6"]
    surest = AnswerExplorer(picture="R").dataset()
    upright = surest["answer"].values[0]
    assert surest["followed"].values[0] == surest["class_name"].values[0, int(upright.argmax())]


def test_networks_with_different_classes_stand_side_by_side(runs):
    ds = AnswerExplorer(beside="untrained").dataset()
    assert (ds["class_name"].values != "").sum(1).tolist() == [2, 10]
    assert (ds["answer"].values[0, 2:] == 0).all()
    assert np.allclose(ds["answer"].sum("class"), 1, rtol=AGAIN, atol=AGAIN)
    assert finite(ds)


def test_a_plain_network_can_be_asked_as_well(runs):
    assert AnswerExplorer(network="six_180_plain/seed-0").dataset().sizes["model"] == 2


def test_a_moving_slider_gets_a_coarser_curve_that_holds_the_quarter_turns(runs):
    coarse = AnswerExplorer().at(coarse=True).dataset()
    assert (coarse.sizes["angle"], AnswerExplorer().dataset().sizes["angle"]) == (COARSE, FINE)
    assert int(coarse["lattice"].sum()) == 5


def test_a_picture_and_a_run_of_the_readers_own(runs):
    explorer = AnswerExplorer(beside="nobody")
    before = explorer.dataset()
    explorer.set_image(np.tile(np.linspace(0, 1, 20), (30, 1)))
    assert not np.array_equal(explorer.dataset()["picture"], before["picture"])
    explorer.set_image(None)
    explorer.set_run(runs / "runs" / "six_180_full" / "seed-0")
    assert list(explorer.dataset()["model"].values) == ["your own run"]
    other = AnswerExplorer(network="six_180_full/seed-0", beside="nobody").dataset()
    assert np.array_equal(explorer.dataset()["probability"], other["probability"])
    assert np.array_equal(explorer.at(angle_deg=9).dataset()["probability"], other["probability"]), "a copy knows it"


def test_the_menu_names_the_readers_run_and_leads_back_to_the_stored_ones(runs):
    explorer = AnswerExplorer(beside="nobody")
    explorer.set_run(runs / "runs" / "six_180_full" / "seed-0")
    (label,) = [label for label, name in explorer.controls()[0].options if name == explorer.network]
    assert label == "your own run"
    explorer.set(network="untrained")
    assert list(explorer.dataset()["model"].values) == ["untrained"]
    explorer.set_run(None)
    assert "your own run" not in dict(explorer.controls()[0].options)


@pytest.mark.parametrize(("given", "error", "said"), [
    (3, TypeError, "expected a workbench.training.Run"),
    ("nowhere", FileNotFoundError, "there is no run folder"),
])  # fmt: skip
def test_what_is_no_run_is_refused_and_nothing_changes(runs, given, error, said):
    explorer = AnswerExplorer()
    with pytest.raises(error, match=said):
        explorer.set_run(given)
    assert "run" not in explorer.attached
