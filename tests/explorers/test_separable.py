"""The kernel wall shows the kernels of a real layer, their components, and the first picture with its numbers."""

import numpy as np
import pytest
import torch

from tests.explorers.promises import finite, keeps_every_promise
from tests.tolerances import AGAIN, BROKEN, EXACT
from workbench.datasets import data_folder
from workbench.explorers.separable import TRAINED, SeparableExplorer, wall_dataset
from workbench.layers import GroupConv
from workbench.measure import kernels, redundancy
from workbench.training import Run

F32 = EXACT[torch.float32]


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(
        SeparableExplorer(n=4), tmp_path, group="RotationScale", factorisation="gseparable", apart=True, scales=2
    )


@pytest.mark.parametrize("group", ["SO2", "Scale", "RotationScale"])
def test_each_row_of_a_separable_wall_is_one_picture_and_of_a_whole_one_it_is_not(group):
    one = SeparableExplorer(group=group, factorisation="separable", n=4).dataset()
    whole = SeparableExplorer(group=group, factorisation="nonseparable", n=4).dataset()
    for ds, single in ((one, True), (whole, False)):
        rows = ds["kernel"].values[ds.sizes["g_out"] // 2].reshape(ds.sizes["g_in"], -1).astype(np.float64)
        values = np.linalg.svd(rows, compute_uv=False)
        assert (values[1] / values[0] <= F32) == single
        assert (1 - float(ds["energy"][0]) <= F32) == single
        assert float(ds["energy"].sum()) <= 1 + F32
        assert finite(ds)


def test_rows_of_a_quarter_turn_further_are_the_same_pictures_turned():
    kernel = SeparableExplorer(n=4).dataset()["kernel"].values
    for column in range(4):
        turned = np.rot90(kernel[0, column])
        assert np.abs(turned - kernel[1, (column + 1) % 4]).max() <= F32
        assert np.abs(turned - kernel[1, column]).max() > BROKEN


@pytest.mark.parametrize("factorisation", ["separable", "nonseparable"])
def test_the_picture_and_its_numbers_make_a_row_as_far_as_one_picture_can(factorisation):
    ds = SeparableExplorer(factorisation=factorisation, n=6, kernel_size=7).dataset()
    row = ds["kernel"].values[0].astype(np.float64)
    rest = np.square(row - np.multiply.outer(ds["number"].values, ds["picture"].values)).sum() / np.square(row).sum()
    assert float(np.abs(ds["picture"]).max()) == 1
    assert abs(rest - (1 - float(ds["energy"][0]))) <= F32
    assert (rest <= F32) == (factorisation == "separable")


def test_a_trained_layer_is_that_of_the_stored_network_and_its_energy_that_of_all_channels():
    layers = [m for m in Run(data_folder() / "runs" / TRAINED).model().modules() if isinstance(m, GroupConv)]
    ds = SeparableExplorer(weights="2", n=6).dataset()
    assert np.allclose(ds["energy"], redundancy(layers[1], n=6)["energy"][:6], rtol=AGAIN, atol=AGAIN)
    assert not np.allclose(ds["energy"], redundancy(layers[0], n=6)["energy"][:6], rtol=BROKEN, atol=0)
    assert ds.attrs["showing"] == "showing the strongest of 64 pairs of channels"
    kernel = ds["kernel"].values
    assert any(
        np.allclose(
            kernel * ds.attrs["largest_weight"], kernels(layers[1], 6)["kernel"][:, :, a, b], rtol=0, atol=1e3 * F32
        )
        for a in range(8)
        for b in range(8)
    )


def test_without_the_stored_network_the_sentence_says_how_it_is_made(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    (tmp_path / "runs").mkdir()
    with pytest.raises(FileNotFoundError, match="workbench reproduce separable_gcnn --ship"):
        SeparableExplorer(weights="1", n=3).dataset()


def test_two_factors_of_the_group_are_for_products_of_group_and_plane_on_similarities_alone():
    for group, factorisation in (("SO2", "separable"), ("RotationScale", "dseparable")):
        ds = SeparableExplorer(group=group, factorisation=factorisation, apart=True, n=4, scales=2).dataset()
        assert ds.attrs["factorisation"] == factorisation


def test_poses_are_named_by_what_differs():
    names = {
        group: list(SeparableExplorer(group=group, n=4, scales=2).dataset()["pose_out"].values)
        for group in ("SO2", "Scale", "RotationScale")
    }
    assert names["SO2"] == ["0°", "90°", "180°", "270°"]
    assert names["Scale"] == ["x1.00", "x2.00"]
    assert len(set(names["RotationScale"])) == 8
    assert all("°" in name and "x" in name for name in names["RotationScale"])


def test_the_same_seed_gives_the_same_wall_and_another_one_another():
    one, again, other = (wall_dataset("SO2", "separable", 4, 2, 2.0, 7, 10.0, seed) for seed in (0, 0, 1))
    assert one.identical(again)
    assert not np.array_equal(one["kernel"], other["kernel"])
