"""The explorer of anchors: exact under every cyclic shift, as a slow alignment says, and not under a real one."""

import itertools

import numpy as np
import pytest
import torch

from tests.explorers.promises import keeps_every_promise
from tests.tolerances import AGAIN_SINGLE, AGAIN_ZERO, BROKEN, EXACT
from workbench.explorers.anchored_cnn import REACH, AnchoredExplorer


def worst(**state) -> tuple[float, float]:
    return tuple(AnchoredExplorer(**state).dataset()["worst"].values.tolist())


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    other = {"right_px": -3, "up_px": 2, "stride": 8, "kind": "real", "picture": "R", "filter_seed": 3}
    keeps_every_promise(AnchoredExplorer(), tmp_path, **other)


@pytest.mark.parametrize(("stride", "picture"), [(2, "6"), (4, "6"), (8, "6"), (2, "F"), (4, "F")])
def test_the_anchored_layer_follows_every_cyclic_shift_and_its_twin_without_anchor_does_not(stride, picture):
    plain, anchored = worst(stride=stride, picture=picture, filter_seed=stride)
    assert anchored <= EXACT[torch.float32]
    assert plain > BROKEN


def test_two_grids_of_equal_strength_are_a_tie_and_then_the_anchor_fails():
    plain, anchored = worst(stride=8, picture="F")
    assert min(plain, anchored) > BROKEN
    first = AnchoredExplorer(picture="F").dataset()["picture"][0].values
    strength = sorted((first**2).reshape(2, 8, 2, 8).sum((0, 2)).ravel())
    assert strength[-1] == strength[-2]


def test_where_pixels_come_in_neither_follows():
    assert min(worst(kind="real")) > BROKEN


def test_the_plain_layer_follows_by_whole_strides():
    ds = AnchoredExplorer(stride=4, up_px=-4).dataset()
    along = ds["error_along"].sel(layer="plain")
    whole = ds["shift_px"].values % 4 == 0
    assert float(along[whole].max()) <= EXACT[torch.float32]
    assert float(along[~whole].min()) > BROKEN


def test_the_grid_moves_with_the_picture_and_the_error_is_that_of_the_maps_that_are_shown():
    ds = AnchoredExplorer(right_px=3, up_px=1, stride=4).dataset()
    row, column = (ds[f"grid_{way}"].sel(layer="anchored").values for way in ("row", "column"))
    assert ((row[1] - row[0] + 1) % 4, (column[1] - column[0] - 3) % 4) == (0, 0)
    assert not ds["grid_row"].sel(layer="plain").values.any()
    assert np.array_equal(ds["picture"][1].values, np.roll(ds["picture"][0].values, (-1, 3), (0, 1)))
    for name in ("plain", "anchored"):
        still, moved = ds["answer"].sel(layer=name).values
        tries = [np.roll(still, by, (1, 2)) for by in itertools.product(range(4), repeat=2)]
        slow = min(np.linalg.norm(moved - one) for one in tries) / np.linalg.norm(still)
        assert abs(slow - float(ds["error"].sel(layer=name))) <= EXACT[torch.float32]
        assert float(ds["error_along"].sel(layer=name, shift_px=3)) == float(ds["error"].sel(layer=name))


def test_a_picture_of_ones_own_is_moved_too():
    explorer = AnchoredExplorer(right_px=REACH)
    own = np.pad(np.arange(1.0, 26).reshape(5, 5) / 25, (5, 6))
    explorer.set_image(own)
    ds = explorer.dataset()
    assert np.allclose(ds["picture"][0], own, rtol=AGAIN_SINGLE, atol=AGAIN_ZERO)
    assert float(ds["worst"].sel(layer="plain")) > BROKEN
