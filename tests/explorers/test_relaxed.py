"""The explorer of relaxed filters shows one layer's filters, matrix and errors, read from the layer, at once."""

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from tests.explorers.promises import finite, keeps_every_promise
from tests.tolerances import AGAIN, AGAIN_SINGLE, BROKEN, EXACT
from workbench.datasets import data_folder
from workbench.explorers.relaxed import SIDE, SIZE, RelaxedExplorer, relaxed_dataset
from workbench.measure.relaxed import SHIFT, drift, operator_symmetry
from workbench.training import Run, load_claims

PLACES, DIGITS = "relaxed_cnn/place_learned", "relaxed_cnn/digit_learned"


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(RelaxedExplorer(), tmp_path, absolute=0.4, relative=0.3, kernel_size=5, show="difference")


@pytest.mark.parametrize("kernel_size", [3, 5, SIDE])
def test_at_zero_all_filters_are_the_same_and_the_layer_is_a_convolution(kernel_size):
    ds = RelaxedExplorer(absolute=0, kernel_size=kernel_size, show="difference").dataset()
    assert float(abs(ds["shown"]).max()) <= EXACT[torch.float64]
    assert ds["equivariance_error"].item() <= EXACT[torch.float64]
    assert ds["share"].sel(extreme="linear").item() <= EXACT[torch.float64]
    assert finite(ds)
    moved = RelaxedExplorer(absolute=0.1, kernel_size=kernel_size, show="difference").dataset()
    assert float(abs(moved["shown"]).max()) > BROKEN
    assert moved["equivariance_error"].item() > BROKEN


def test_a_flat_filter_as_wide_as_the_image_is_invariant_and_a_smaller_one_is_not():
    ds = RelaxedExplorer(relative=0).dataset()
    assert ds["invariance_error"].item() <= EXACT[torch.float64]
    assert float(ds["rank"]) == 1
    assert RelaxedExplorer(relative=0, kernel_size=5).dataset()["invariance_error"].item() > BROKEN


def test_the_numbers_are_those_of_the_matrix_that_is_drawn():
    ds = RelaxedExplorer(absolute=0.3, seed=4).dataset()
    found = operator_symmetry(torch.from_numpy(ds["matrix"].values.copy()).double(), SIZE, SHIFT)
    for name, value in found.items():
        assert ds[name].item() == pytest.approx(value, rel=1e-4)
    assert float(ds["share"].sum()) == pytest.approx(1, rel=AGAIN)
    assert float(abs(ds["matrix"]).max()) == 1


def test_a_filter_of_what_is_read_weighs_places_where_it_is_flat():
    """The card's corner: a flat filter as wide as the image is invariant only where it belongs to the answer."""
    found = {side: RelaxedExplorer(absolute=0.5, relative=0, side=side).dataset() for side in ("output", "input")}
    assert found["output"]["invariance_error"].item() <= EXACT[torch.float64]
    assert found["input"]["invariance_error"].item() > BROKEN
    assert [float(one["rank"]) for one in found.values()] == [1, 1]
    still = [RelaxedExplorer(absolute=0, side=side).dataset() for side in ("output", "input")]
    assert np.array_equal(still[0]["matrix"], still[1]["matrix"])  # without an absolute place there is nothing to tell


def errors(**values) -> dict[str, float]:
    ds = RelaxedExplorer(group="turns", **values).dataset()
    assert ds["share"].sum("extreme").values == pytest.approx([1, 1, 1], rel=AGAIN_SINGLE)
    return dict(zip(ds["about"].values.tolist(), ds["equivariance_error"].values.tolist(), strict=True))


@pytest.mark.parametrize("kernel_size", [3, SIDE])
@pytest.mark.parametrize("side", ["output", "input"])
def test_each_dial_gives_up_its_own_moves_and_no_others(kernel_size, side):
    common = {"kernel_size": kernel_size, "side": side}
    strict = errors(absolute=0, turning=0, **common)
    assert max(strict.values()) <= EXACT[torch.float64]
    rotation = errors(absolute=0, turning=0.1, **common)
    assert rotation["shifts"] <= EXACT[torch.float64] < BROKEN < min(rotation["quarter turns"], rotation["both"])
    place = errors(absolute=0.1, turning=0, **common)
    assert min(place.values()) > BROKEN


def test_the_ways_pass_where_both_dials_stand_and_begin_at_equivariant():
    ds = RelaxedExplorer(group="turns", absolute=0.25, turning=0.25).dataset()
    for about in ("shifts", "quarter turns", "both"):
        assert np.allclose(ds["path"].sel(about=about, dial=0.25), ds["share"].sel(about=about), rtol=AGAIN, atol=AGAIN)
    start = RelaxedExplorer(group="turns", absolute=0, turning=0).dataset()["path"].sel(dial=0.0, extreme="linear")
    assert start.values.tolist() == [0, 0, 0]


def test_orientations_are_turned_copies_at_zero_and_the_difference_says_so():
    ds = RelaxedExplorer(group="turns", absolute=0, turning=0).dataset()
    tiles = ds["shown"].values
    for q in range(4):
        assert np.allclose(tiles[q], np.rot90(tiles[0], q, (-2, -1)), rtol=0, atol=1e-6)
    still = RelaxedExplorer(group="turns", absolute=0, turning=0, show="difference").dataset()["shown"]
    moved = RelaxedExplorer(group="turns", absolute=0, turning=0.1, show="difference").dataset()["shown"]
    assert float(abs(still).max()) <= EXACT[torch.float32] < BROKEN < float(abs(moved).max())


def test_eight_orientations_are_a_layer_of_their_own():
    common = {"group": "eighths", "absolute": 0}
    ds = RelaxedExplorer(**common, turning=0, show="difference").dataset()
    assert ds["shown"].shape[:2] == (8, 5)
    assert float(abs(ds["shown"]).max()) <= EXACT[torch.float32]
    assert float(ds["equivariance_error"].max()) <= EXACT[torch.float64]
    four = RelaxedExplorer(group="turns", absolute=0.2, turning=0.3).dataset()["matrix"].values.reshape(4, -1)
    eight = RelaxedExplorer(group="eighths", absolute=0.2, turning=0.3).dataset()["matrix"].values.reshape(8, -1)
    for quarter in range(4):
        one, other = four[quarter], eight[2 * quarter]
        assert np.allclose(one / np.linalg.norm(one), other / np.linalg.norm(other), rtol=0, atol=1e-6)
    moved = RelaxedExplorer(**common, turning=0.1, show="difference").dataset()
    assert float(abs(moved["shown"]).max()) > BROKEN
    assert (
        moved["equivariance_error"].values[0] <= EXACT[torch.float64] < BROKEN < moved["equivariance_error"].values[1]
    )


# ---- the training of stored networks


def test_it_keeps_every_promise_along_a_training_too(tmp_path):
    start = RelaxedExplorer(run=PLACES)
    keeps_every_promise(start, tmp_path, run=DIGITS, moment_percent=30, layer=3, show="difference")


def test_the_moment_is_read_from_the_stored_filters():
    past = Run(data_folder() / "runs" / PLACES).history()
    for percent, at in ((0, 0), (100, 23), (50, 12)):
        ds = RelaxedExplorer(run=PLACES, moment_percent=percent, layer=2).dataset()
        assert int(ds["epoch_shown"]) == int(past["snapshot_epoch"][at])
        stored = past["kernel"].values[:, 1]
        tiles = stored[at].reshape(5, 5, 5, 5)[:, :, 1:4, 1:4] / np.abs(stored).max()
        assert np.allclose(ds["shown"], tiles, rtol=0, atol=1e-6)
        assert float(ds["drift_course"][0, at, 1]) == pytest.approx(float(drift(tiles)), rel=1e-5)


def test_the_shipped_courses_are_those_of_the_stored_results():
    claims = load_claims("relaxed_cnn")
    for name in (PLACES, DIGITS):
        ds = RelaxedExplorer(run=name).dataset()
        stored = claims["dial_course"].sel(experiment=name.rpartition("/")[2], seed=0)
        stored = stored.sel(epoch=ds["epoch"].values).dropna("layer").transpose("epoch", "layer")
        assert np.allclose(
            ds["dial_course"].values[0, :3], stored.values[:3], rtol=0, atol=1e-3
        )  # chaos of rounding, later


def test_the_two_tasks_move_apart():
    ds = RelaxedExplorer(run=PLACES).dataset()
    assert ds["run"].values.tolist() == ["place learned", "digit learned"]
    first, last = ds["dial_course"].values[:, 0], ds["dial_course"].values[:, -1]
    assert np.abs(first[0] - first[1]).max() < 0.1 < last[0].max() - last[1].max()
    drifts = ds["drift_course"].values[:, -1].max(-1)
    assert drifts[0] > 2 * drifts[1]
    place, digit = ds["dial_course"].values  # what notebook 04 says of them
    third = len(place) // 3
    assert place[third, 1] > 0.3 > 2 * place[third:, [0, 2]].max()
    assert place[0].max() < 0.15
    assert digit[third:].max() < 0.05


def test_a_training_without_filters_is_refused_with_a_sentence():
    explorer = RelaxedExplorer()
    with pytest.raises(ValueError, match="holds no filters of relaxed layers along its training"):
        explorer.set_run(data_folder() / "runs" / "partial_gcnn" / "rotated_plain")
    explorer.set_run(data_folder() / "runs" / PLACES)
    assert "dial_course" in explorer.at().dataset()
    explorer.set_run(None)
    assert "matrix" in explorer.dataset()
    go.Figure(RelaxedExplorer(group="turns").figure_dict())


def test_the_way_leads_from_equivariant_to_linear_and_passes_where_the_dial_stands():
    ds = RelaxedExplorer(absolute=0.5).dataset()
    assert ds["path"].sel(dial=0.0, extreme="linear").item() == 0
    assert (np.diff(ds["path"].sel(extreme="linear")[0])[:-1] > 0).all()  # beyond 1 there is no further to go
    assert np.allclose(ds["path"].sel(dial=0.5), ds["share"], rtol=AGAIN, atol=AGAIN)


def test_the_same_seed_gives_the_same_layer_and_another_one_another():
    one, again, other = (relaxed_dataset(0.2, 1.0, 5, seed) for seed in (0, 0, 1))
    assert one.identical(again)
    assert not np.array_equal(one["shown"], other["shown"])
