"""The explorer of linear maps: coordinates, pictures after each part, samples, sums with and without weights."""

import numpy as np
import torch

from tests.explorers.promises import keeps_every_promise
from tests.tolerances import BROKEN, EXACT
from workbench.explorers.linear import LinearExplorer


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    other = {"x_angle_deg": 180, "y_angle_deg": -90, "group": "GLPlus(2,3)", "spread": 0.5, "count": 50, "picture": "F"}
    keeps_every_promise(LinearExplorer(), tmp_path, **other)


def test_a_quarter_turn_turns_the_picture_and_leaves_the_rest_of_the_strip_as_it_is():
    ds = LinearExplorer(x_length=1, x_angle_deg=90, y_length=1, y_angle_deg=180).dataset()
    strip = ds["picture"].values
    assert np.abs(strip[1] - np.rot90(strip[0])).max() <= 10 * EXACT[torch.float32]
    assert np.abs(strip[1] - strip[0]).max() > BROKEN
    assert np.abs(strip[2:] - strip[1]).max() <= 10 * EXACT[torch.float32]


def test_a_map_that_turns_the_plane_over_still_has_a_picture():
    ds = LinearExplorer(x_length=1, x_angle_deg=0, y_length=1, y_angle_deg=-90).dataset()
    assert np.isnan(ds["coordinate"]).all()
    assert np.abs(ds["picture"][3].values - ds["picture"][0].values[::-1]).max() <= 10 * EXACT[torch.float32]
    flat = LinearExplorer(x_length=1, x_angle_deg=0, y_length=1, y_angle_deg=0).dataset()
    assert np.isnan(flat["picture"][1:]).all()


def test_a_picture_of_ones_own_is_mapped():
    explorer = LinearExplorer()
    explorer.set_image(np.eye(20, dtype=np.float32))
    assert not np.array_equal(explorer.dataset()["picture"], LinearExplorer().dataset()["picture"])


def test_with_weights_more_samples_help():
    error = LinearExplorer(spread=0.5).dataset()["error"]
    assert float(error.sel(samples="with weights")[-1]) < float(error.sel(samples="without")[-1])
    assert LinearExplorer().dataset()["u"].attrs["long_name"], "labels survive being put together"
