"""Where the views of data put the test, the curve, the arc and the classes."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from tests.tolerances import AGAIN_SINGLE, AGAIN_ZERO, ONE_BIT
from tests.views import made
from workbench.views.data_symmetry import data_arcs, data_beside_model, data_picture


def named(figure: dict, name: str) -> dict:
    return next(trace for trace in figure["data"] if trace.get("name") == name)


def words(figure: dict) -> str:
    return json.dumps([note["text"] for note in figure["layout"]["annotations"]], ensure_ascii=False)


def test_the_distance_stands_over_the_band_of_the_null_with_the_floor():
    figure = data_picture(made.audit_of_data())
    assert np.allclose(
        named(figure, "data and its turned copy")["y"],
        np.sin(np.deg2rad(np.arange(0, 181, 10))),
        rtol=AGAIN_SINGLE,
        atol=AGAIN_ZERO,
    )
    assert named(figure, "95 % of the null")["fill"] == "tozeroy"
    assert np.allclose(named(figure, "resampling alone (floor)")["y"], 0.02, rtol=ONE_BIT, atol=0)
    assert "a turn changes it" in words(figure)
    assert "no turn is seen to change it" in words(data_picture(made.audit_of_data(), at=1))


def test_counted_fitted_and_delta_are_three_traces_and_stay_inside_the_panel():
    figure = data_picture(made.audit_of_data())
    assert named(figure, "counted")["mode"] == "markers"
    assert np.allclose(
        named(figure, "fitted")["y"], np.minimum(np.arange(0, 181, 5) / 120, 1), rtol=AGAIN_SINGLE, atol=AGAIN_ZERO
    )
    far = data_picture(made.audit_of_data(), at=1)
    assert named(far, "δ of the arc")["y"].max() <= 1.25


def test_the_dial_holds_the_arc_the_interval_and_the_truth():
    figure = data_picture(made.audit_of_data())
    rings = [trace for trace in figure["data"] if trace.get("fill") == "toself"]
    assert len(rings) == 3
    tops = [np.rad2deg(np.abs(np.arctan2(trace["x"], trace["y"])).max()) for trace in rings]
    assert np.allclose(tops[1:], [66, 54], rtol=0, atol=0.1)
    truth = named(figure, "made with")
    assert np.allclose(np.rad2deg(np.abs(np.arctan2(truth["x"], truth["y"]))), 60, rtol=0, atol=1e-3)
    assert "±60°" in words(figure)
    assert "all, 200 pictures: turned within ±60°" in words(figure)
    assert "not resolvable at this n" in words(data_picture(made.audit_of_data(), at=1))


def test_what_is_not_there_is_left_out():
    bare = made.audit_of_data().drop_vars(["picture", "floor", "made_half_width_deg", "angle_shown_deg"])
    names = {trace.get("name") for trace in data_picture(bare)["data"]}
    assert not {"pictures", "resampling alone (floor)", "made with", "angle shown"} & names


def test_every_class_has_its_row_and_one_that_is_not_resolvable_is_dotted():
    figure = data_arcs(made.audit_of_data())
    first, second = figure["data"]
    assert np.array_equal(first["x"], np.float32([54, 60, 66]))
    assert (first["line"]["dash"], second["line"]["dash"]) == ("solid", "dot")
    assert figure["layout"]["yaxis"]["ticktext"] == ["all", "8"]
    told = [
        note for note in data_arcs(made.audit_of_data_in_full())["layout"]["annotations"] if "at most" in note["text"]
    ]
    assert [(note["text"], note["y"]) for note in told] == [("3,100 pictures at most", 1)]


def axes_of(figure: dict, number: int) -> list[dict]:
    return [trace for trace in figure["data"] if trace.get("xaxis") == f"x{number}"]


def test_every_finite_symmetry_has_its_bar_and_the_end_of_its_null():
    figure = data_picture(made.audit_of_data_in_full())
    bars, ends = axes_of(figure, 5)
    assert np.array_equal(bars["x"], np.float32([0.10, 0.02]))
    assert np.array_equal(ends["x"], np.float32([0.03, 0.03]))
    assert bars["marker"]["color"][0] != bars["marker"]["color"][1]
    assert figure["layout"]["yaxis5"]["ticktext"] == ["left-right", "C4"]
    assert "about 35 pictures would show" in bars["hovertemplate"][0]
    assert "Is it the same mirrored? 1 of 2 change it" in words(figure)
    other = data_picture(made.audit_of_data_in_full(), at=1)
    assert "no difference is seen" in axes_of(other, 5)[0]["hovertemplate"][0]
    assert "yes, as far as is seen" in words(other)


def test_what_fewer_pictures_would_show_is_a_curve_for_each_and_a_word_about_the_arc():
    figure = data_picture(made.audit_of_data_in_full())
    first, second = axes_of(figure, 6)
    assert (first["name"], second["name"]) == ("left-right", "C4")
    assert first["x"].tolist() == [50, 100, 200]
    assert np.allclose(first["y"], [0.1, 0.5, 1.0], rtol=AGAIN_SINGLE, atol=AGAIN_ZERO)
    assert first["legend"] in figure["layout"]
    assert "arc: known within ±10°" in words(figure)
    assert "arc: ±10° takes 3,100 pictures at most" in words(data_picture(made.audit_of_data_in_full(), at=1))


@pytest.mark.parametrize(("draw", "number"), [(data_picture, "7"), (data_beside_model, "")])
def test_data_and_model_stand_on_one_axis(draw, number):
    figure = draw(made.audit_of_data_in_full())
    lost, distance, model = [trace for trace in figure["data"] if trace.get("xaxis") == f"x{number}"]
    assert np.allclose(lost["y"][-1], 1, rtol=ONE_BIT, atol=0)
    assert np.allclose(distance["y"], np.sin(np.deg2rad(np.arange(0, 181, 10))), rtol=AGAIN_SINGLE, atol=AGAIN_ZERO)
    assert model["x"].tolist() == [0, 45, 90, 135, 180]
    assert np.allclose(model["y"], np.linspace(0, 0.4, 5), rtol=AGAIN_SINGLE, atol=AGAIN_ZERO)
    assert "Your data: ±60°" in words(figure)


def test_without_power_curves_the_bars_have_the_row_to_themselves():
    figure = data_picture(made.audit_of_data_in_full().drop_vars(["element_power", "part_pictures"]))
    assert axes_of(figure, 6) == []
    assert figure["layout"]["xaxis5"]["domain"][1] == 1.0
    assert "follows at rest" not in words(figure)


def test_while_a_slider_moves_the_panels_keep_their_places_and_say_that_they_follow():
    moving, rest = data_picture(made.audit_of_data_in_full(known=False)), data_picture(made.audit_of_data_in_full())
    assert words(moving).count("follows at rest") == 3
    assert "follows at rest" not in words(rest)
    assert moving["layout"]["height"] == rest["layout"]["height"]
    for name in ("xaxis3", "yaxis5", "xaxis6", "yaxis7"):
        assert moving["layout"][name]["domain"] == rest["layout"][name]["domain"]


def test_r17_names_and_sentences_are_text():
    for draw in (data_picture, data_arcs, data_beside_model):
        drawn = json.dumps(draw(made.audit_of_data_in_full("<b>x</b>")), default=lambda array: array.tolist())
        assert "<b>x</b>" not in drawn


@pytest.mark.parametrize("missing", ["distance", "lost_fitted", "verdict"])
def test_a_missing_variable_is_named(missing):
    with pytest.raises(ValueError, match=f"view of data: the Dataset has no '{missing}'"):
        data_picture(made.audit_of_data().drop_vars(missing))


@pytest.mark.parametrize("missing", ["element_p_holm", "part_pictures"])
def test_a_missing_variable_of_a_further_panel_is_named(missing):
    with pytest.raises(ValueError, match=f"view of data: the Dataset has no '{missing}'"):
        data_picture(made.audit_of_data_in_full().drop_vars(missing))


def test_plotly_takes_the_figures():
    assert len(go.Figure(data_picture(made.audit_of_data())).data) == 13
    assert len(go.Figure(data_arcs(made.audit_of_data())).data) == 2
    assert len(go.Figure(data_picture(made.audit_of_data_in_full())).data) == 13 + 2 + 2 + 3
    assert len(go.Figure(data_beside_model(made.audit_of_data_in_full())).data) == 3
