"""Elements, products, orbit and maps of the group view."""

import numpy as np
import pytest

from tests.tolerances import AGAIN
from tests.views import made
from workbench.explorers.group import GroupExplorer
from workbench.views.group import group_picture


def dots(figure: dict) -> dict:
    return next(trace for trace in figure["data"] if trace.get("name") == "elements")


def test_elements_stand_counter_clockwise_from_the_top():
    trace = dots(group_picture(made.group_dataset()))
    assert trace["x"] == pytest.approx([0, -1, 0, 1], abs=1e-6)
    assert trace["y"] == pytest.approx([1, 0, -1, 0], abs=1e-6)
    assert list(trace["text"]) == ["0°", "90°", "180°", "270°"]


def test_mirrored_elements_stand_inside_and_have_colours_of_their_own():
    trace = dots(group_picture(made.group_dataset(mirrors=True)))
    radius = np.hypot(trace["x"], trace["y"])
    assert radius[:2] == pytest.approx([1, 1], rel=AGAIN)
    assert (radius[2:] < 0.7).all()
    assert len(set(trace["marker"]["color"].tolist())) == 4


def test_the_hand_points_where_the_input_was_turned_to():
    hand = next(trace for trace in group_picture(made.group_dataset())["data"] if trace.get("name") == "input")
    assert hand["x"][1] < -0.8
    assert hand["y"][1] == pytest.approx(0, abs=1e-6)


def test_the_table_has_the_colour_of_the_product_and_says_which_acts_first():
    figure = group_picture(made.group_dataset())
    table = next(trace for trace in figure["data"] if trace.get("xaxis") == "x2")
    colours = dots(figure)["marker"]["color"]
    assert np.array_equal(table["z"], colours[made.group_dataset()["product_index"].values])
    assert table["text"][1][2] == "270°"
    assert table["customdata"][1][2] == "180°, then 90°"


def test_orbit_and_maps_are_one_heat_map_each_with_a_tile_for_every_element():
    figure = group_picture(made.group_dataset())
    orbit, maps = (next(trace for trace in figure["data"] if trace.get("xaxis") == at) for at in ("x5", "x6"))
    assert orbit["z"].shape == (6, 4 * 7 - 1)
    assert maps["z"].shape == (3 * 7 - 1, 4 * 7 - 1)
    assert maps["z"][0, 7 * 3] == pytest.approx(0.75, rel=AGAIN)
    assert figure["layout"]["yaxis6"]["ticktext"] == ["turn, then filter", "filter, then turn", "difference"]
    assert figure["layout"]["xaxis6"]["ticktext"] == ["0°", "90°", "180°", "270°"]


def test_the_heading_names_group_and_angle():
    words = [note["text"] for note in group_picture(made.group_dataset())["layout"]["annotations"]]
    assert "<b>Elements of C(4)</b>" in words
    assert "<b>Turned by 90°</b>" in words


def test_names_of_elements_keep_clear_of_their_dots_however_small_the_circle():
    notes = [note for note in group_picture(made.group_dataset())["layout"]["annotations"] if "xshift" in note]
    assert notes
    assert all(np.hypot(note["xshift"], note["yshift"]) > 15 for note in notes)


@pytest.mark.parametrize(("name", "named"), [("C(8)", 8), ("C(12)", 12), ("D(8)", 8)])
def test_names_below_table_and_strip_have_room_for_every_group(name, named):
    layout = group_picture(GroupExplorer(group=name).dataset())["layout"]
    assert len(layout["xaxis2"]["ticktext"]) == 4
    assert len(layout["xaxis5"]["ticktext"]) == len(layout["xaxis5"]["tickvals"]) == named
