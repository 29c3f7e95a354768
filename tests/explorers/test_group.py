"""The group explorer: elements, products, orbit, and one convolution that turns along with its input."""

import numpy as np
import pytest
import torch

from tests.explorers.promises import finite, keeps_every_promise
from tests.tolerances import EXACT, ONE_BIT
from workbench.explorers.group import GroupExplorer, group_table

GROUPS = ("C(4)", "C(8)", "C(12)", "D(4)", "D(8)")


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(GroupExplorer(), tmp_path, group="D(4)", angle_deg=-30, picture="6", filter_seed=3)


@pytest.mark.parametrize("name", GROUPS)
def test_the_table_is_that_of_a_group(name):
    table = group_table(name)["product_index"].values.astype(int)
    n = len(table)
    assert (table[0] == np.arange(n)).all()
    assert (table[:, 0] == np.arange(n)).all()
    assert all(sorted(row) == list(range(n)) for row in (*table, *table.T))
    assert (table[table] == table[:, table]).all(), "associative"


def test_rotations_commute_and_mirrors_do_not():
    cyclic, dihedral = (group_table(name)["product_index"].values for name in ("C(8)", "D(4)"))
    assert (cyclic == cyclic.T).all()
    assert not (dihedral == dihedral.T).all()


def test_element_names_tell_angle_and_mirror():
    assert group_table("D(4)")["element"].values.tolist() == [
        "0°", "90°", "180°", "270°", "0° m", "90° m", "180° m", "270° m",
    ]  # fmt: skip


@pytest.mark.parametrize("angle_deg", [-180, -90, 0, 90, 180])
@pytest.mark.parametrize("name", ["C(4)", "C(8)", "D(4)"])
def test_at_quarter_turns_turning_and_filtering_may_change_places(name, angle_deg):
    ds = GroupExplorer(group=name, angle_deg=angle_deg).dataset()
    first, _, difference = ds["response"].values
    assert np.abs(difference).max() <= EXACT[torch.float32] * np.abs(first).max()


def test_at_a_step_of_the_group_the_maps_move_along_the_strip():
    upright, turned = (GroupExplorer(angle_deg=angle).dataset()["response"].values[0] for angle in (0, 90))
    for element in range(8):
        assert np.allclose(turned[(element + 2) % 8], np.rot90(upright[element]), rtol=0, atol=1e-6)


def test_between_the_steps_a_rest_is_left_and_shown():
    difference = GroupExplorer(angle_deg=20).dataset()["response"].values[2]
    assert np.abs(difference).max() > 1e-3


def test_the_orbit_holds_the_picture_under_every_element():
    ds = GroupExplorer(group="C(4)", angle_deg=0).dataset()
    for element in range(4):
        assert np.array_equal(ds["orbit"].values[element], np.rot90(ds["image"].values, element))


def test_every_group_and_picture_can_be_chosen():
    for control in GroupExplorer().controls():
        if control.kind == "choice":
            for _, value in control.options:
                assert finite(GroupExplorer(**{control.name: value}).dataset())


def test_the_reader_may_turn_a_picture_of_their_own():
    explorer = GroupExplorer(angle_deg=0)
    own = np.zeros((50, 60), dtype=np.uint8)
    own[:20] = 255
    explorer.set_image(own)
    image = explorer.dataset()["image"].values
    assert image.shape == (48, 48), "finer than the pictures of the menu, so that it is known again"
    assert image[0].min() == 1
    assert image[-1].max() == 0
    explorer.set_image(255 - own)
    assert np.allclose(explorer.dataset()["image"].values, image, rtol=ONE_BIT, atol=0), (
        "a pen on paper is turned light on dark"
    )
    explorer.set_image(None)
    assert explorer.dataset()["image"].shape == (24, 24)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (np.full((4, 4), np.nan), ValueError, "NaN"),
        (np.zeros((0, 4)), ValueError, "shape"),
        (np.zeros((4, 4, 4, 4, 4)), ValueError, "shape"),
        (np.full((4, 4), 7.0), ValueError, "0..1"),
        (np.array([["a"]]), TypeError, "whole numbers"),
        (3.0, TypeError, "expected an array"),
        (b"no picture", ValueError, "known kind"),
    ],
)
def test_what_is_no_picture_is_refused_and_nothing_changes(given, error, words):
    explorer = GroupExplorer()
    with pytest.raises(error, match=words):
        explorer.set_image(given)
    assert dict(explorer.attached) == {}
