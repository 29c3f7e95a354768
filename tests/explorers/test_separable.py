"""The kernel wall shows the kernels of a real layer, their components, and the cost of every factorisation."""

import time

import numpy as np
import pytest
import torch
from torch import nn

from tests.explorers.promises import finite, keeps_every_promise
from tests.tolerances import BROKEN, EXACT
from workbench.explorers.separable import SeparableExplorer, wall_dataset
from workbench.layers import LiftingConv, SeparableConv
from workbench.measure import cost

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


@pytest.mark.parametrize(
    ("factorisation", "apart"),
    [("nonseparable", False), ("separable", False), ("dseparable", False), ("dgseparable", False), ("separable", True)],
)
def test_the_cost_is_that_of_a_layer_as_it_runs(factorisation, apart):
    ds = SeparableExplorer(
        group="RotationScale", factorisation=factorisation, apart=apart, n=4, scales=2, kernel_size=17, channels=8
    ).dataset()
    name = f"{factorisation}+2d" if apart else factorisation
    assert ds.attrs["factorisation"] == name
    common = {"group": "RotationScale", "n": 4, "stretches": 2}
    layers = LiftingConv(1, 8, 17, **common), SeparableConv(8, 8, 17, factorisation=name, **common)
    counted = cost(nn.Sequential(*layers), (1, 1, 16, 16))["multiply_adds"][1]
    assert float(ds["multiply_adds"].sel(way=name)) == float(counted) / 256


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
    one, again, other = (wall_dataset("SO2", "separable", 4, 2, 7, 10.0, 8, seed) for seed in (0, 0, 1))
    assert one.identical(again)
    assert not np.array_equal(one["kernel"], other["kernel"])


@pytest.mark.parametrize(("name", "values"), [("omega0", (4, 5, 6)), ("seed", (3, 4, 5)), ("channels", (8, 32, 64))])
def test_a_move_is_answered_within_a_tenth_of_a_second(name, values):
    explorer = SeparableExplorer(group="RotationScale", factorisation="nonseparable", n=12, scales=4)
    explorer.figure_dict()
    times = []
    for value in values:
        start = time.process_time()
        explorer.at(**{name: value}).figure_dict()
        times.append(time.process_time() - start)
    assert np.median(times) < 0.1
