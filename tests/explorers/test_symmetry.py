"""The symmetry explorer reads its arcs from stored runs and moves through training without computing anything."""

import numpy as np
import pytest
import xarray as xr

from tests.explorers.promises import keeps_every_promise
from tests.explorers.stored import EPOCHS, SMALL, store_run
from tests.tolerances import AGAIN
from workbench.explorers import _runs
from workbench.explorers.symmetry import SymmetryExplorer, course
from workbench.training import Run


def test_it_keeps_every_promise_of_an_explorer(runs, tmp_path):
    keeps_every_promise(SymmetryExplorer(), tmp_path, moment_percent=25, what_if_percent=10, n=5, published=False)


def test_it_opens_on_a_partial_network_and_offers_no_network_without_group_layers(runs):
    explorer = SymmetryExplorer()
    assert explorer.run == "six_180_partial/seed-0"
    offered = dict(explorer.controls()[0].options)
    assert offered["six 180 partial, seed 0"] == "six_180_partial/seed-0"
    assert not any("plain" in name for name in offered.values())


def test_n5_arcs_are_those_of_the_stored_history_epoch_by_epoch(runs):
    past = Run(runs / "runs" / "six_180_partial" / "seed-0").history()
    for percent, epoch in ((0, 1), (25, 2), (100, 5)):
        ds = SymmetryExplorer(moment_percent=percent).dataset()
        assert int(ds["epoch_shown"]) == epoch
        assert ds["arc"].values[0] == 1, "the lifting keeps everything"
        assert np.array_equal(ds["arc"].values[1:], past["arc"].sel(epoch=epoch).values)
        assert ds.attrs["created_by"] == "fit"


def test_n5_reading_the_run_again_gives_the_same_picture_data(runs):
    first = SymmetryExplorer().dataset()
    for cached in (course, _runs.history, _runs.trained_model, _runs.config):
        cached.cache_clear()
    xr.testing.assert_identical(first, SymmetryExplorer().dataset())


def test_n6_moving_through_training_reads_no_file_and_runs_no_network(runs, monkeypatch):
    explorer = SymmetryExplorer()
    explorer.dataset()

    def refuse(*_: object) -> None:
        raise AssertionError("a slider must not read the run again")

    for name in ("history", "weights", "model"):
        monkeypatch.setattr(Run, name, refuse)
    shown = {int(explorer.at(moment_percent=percent).dataset()["epoch_shown"]) for percent in range(101)}
    assert shown == set(range(1, EPOCHS + 1))


def test_n6_kernels_move_along_and_are_shares_of_their_layers_largest_weight_in_all_of_training(runs):
    shown = {
        epoch: SymmetryExplorer(moment_percent=25 * (epoch - 1)).dataset()["kernel_shown"].values
        for epoch in range(1, EPOCHS + 1)
    }
    assert np.abs(shown[EPOCHS]).max(axis=(1, 2, 3)) == pytest.approx(1, rel=AGAIN)
    assert np.allclose(shown[2], 2 / EPOCHS * shown[EPOCHS], rtol=0, atol=1e-6)
    assert SymmetryExplorer().showing == "showing 2 of 2, 2 of 4, 2 of 4, 2 of 4 kernels per layer"


def test_accuracy_and_error_come_along_with_gaps_where_nothing_was_measured(runs):
    ds = SymmetryExplorer().dataset()
    assert ds["validation_accuracy"].values.tolist() == pytest.approx([0.6, 0.7, 0.8, 0.9, 1.0], rel=AGAIN)
    assert np.isfinite(ds["error"].values).tolist() == [True, False, True, False, True]


def test_a_full_network_keeps_everything_by_design(runs):
    ds = SymmetryExplorer(run="six_180_full/seed-0").dataset()
    assert (ds["arc"].values == 1).all()
    assert not ds["learned"].values.any()


def test_a_network_of_mirrors_shows_gates_and_no_arcs_no_what_if_and_no_published_arcs(runs):
    ds = SymmetryExplorer(run="six_mirror_partial/seed-0").dataset()
    assert np.isnan(ds["arc"].values).all()
    assert ds["gate_probability"].values[:2] == pytest.approx([1, 0.5], rel=AGAIN)
    assert "what_if_arc" not in ds
    assert "published_arc" not in ds


@pytest.mark.parametrize(("percent", "n", "drawn"), [(100, 8, 8), (50, 8, 4), (1, 8, 1), (30, 32, 10)])
def test_a_narrower_ring_needs_fewer_samples_and_they_lie_inside_it(runs, percent, n, drawn):
    ds = SymmetryExplorer(what_if_percent=percent, n=n).dataset()
    angles = ds["what_if_angle_deg"].values[ds["what_if_used"].values]
    assert len(angles) == drawn
    assert np.abs(angles).max() <= 1.8 * percent + 1e-6


def test_published_numbers_are_set_apart_and_name_their_source(runs):
    ds = SymmetryExplorer().dataset()
    assert "2110.10211" in ds["published_arc"].attrs["source"]
    assert ds["published_depth"].values[[0, -1]].tolist() == [0, 1]
    assert ds["published_arc"].sel(published="CIFAR-100").values.tolist() == [1, 1, 0.8545, 1e-4, 2e-4, 0.9526]


def test_without_stored_runs_the_untrained_network_is_shown_as_such(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    explorer = SymmetryExplorer()
    assert explorer.run == "untrained"
    assert explorer.dataset()["arc"].values.tolist() == [1, 1, 1, 1]
    assert explorer.dataset().attrs["status"] == "untrained"


def test_a_run_stored_later_appears_in_the_menu(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    assert len(SymmetryExplorer().controls()[0].options) == 1
    store_run(tmp_path, "another", {"name": "partial_gcnn", "preset": "demo", **SMALL})
    assert "another" in dict(SymmetryExplorer().controls()[0].options).values()


@pytest.mark.parametrize("name", ["../six", "/etc", "missing"])
def test_r16_a_run_that_is_not_in_the_menu_is_refused(runs, name):
    with pytest.raises(ValueError, match="was given"):
        SymmetryExplorer(run=name)


def test_a_run_of_the_readers_own_takes_the_place_of_the_menus(runs):
    explorer = SymmetryExplorer()
    explorer.set_run(runs / "runs" / "six_mirror_partial" / "seed-0")
    assert explorer.dataset().attrs["run"] == "your own run"
    assert dict(explorer.controls()[0].options)["your own run"] == explorer.run
    mirrors = SymmetryExplorer(run="six_mirror_partial/seed-0").dataset()
    assert np.array_equal(explorer.dataset()["gate_probability"], mirrors["gate_probability"])
    explorer.set_run(None)
    assert explorer.dataset().attrs["run"] == explorer.run
