"""Where the views of data put the test, the curve, the arc and the classes."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from tests.views import made
from workbench.views.data_symmetry import data_arcs, data_beside_model, data_picture


def named(figure: dict, name: str) -> dict:
    return next(trace for trace in figure["data"] if trace.get("name") == name)


def words(figure: dict) -> str:
    return json.dumps([note["text"] for note in figure["layout"]["annotations"]], ensure_ascii=False)


def test_the_distance_stands_over_the_band_of_the_null_with_the_floor():
    figure = data_picture(made.audit_of_data())
    assert np.allclose(named(figure, "data and its turned copy")["y"], np.sin(np.deg2rad(np.arange(0, 181, 10))))
    assert named(figure, "95 % of the null")["fill"] == "tozeroy"
    assert np.allclose(named(figure, "resampling alone (floor)")["y"], 0.02)
    assert "a turn changes it" in words(figure)
    assert "no turn is seen to change it" in words(data_picture(made.audit_of_data(), at=1))


def test_counted_fitted_and_delta_are_three_traces_and_stay_inside_the_panel():
    figure = data_picture(made.audit_of_data())
    assert named(figure, "counted")["mode"] == "markers"
    assert np.allclose(named(figure, "fitted")["y"], np.minimum(np.arange(0, 181, 5) / 120, 1))
    far = data_picture(made.audit_of_data(), at=1)
    assert named(far, "δ of the arc")["y"].max() <= 1.25


def test_the_dial_holds_the_arc_the_interval_and_the_truth():
    figure = data_picture(made.audit_of_data())
    rings = [trace for trace in figure["data"] if trace.get("fill") == "toself"]
    assert len(rings) == 3
    tops = [np.rad2deg(np.abs(np.arctan2(trace["x"], trace["y"])).max()) for trace in rings]
    assert np.allclose(tops[1:], [66, 54], atol=0.1)
    truth = named(figure, "made with")
    assert np.allclose(np.rad2deg(np.abs(np.arctan2(truth["x"], truth["y"]))), 60, atol=1e-3)
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


def test_data_and_model_stand_on_one_axis():
    figure = data_beside_model(made.audit_of_data(), _error())
    data, model = figure["data"]
    assert np.allclose(data["y"][-1], 1)
    assert model["x"].tolist() == [0, 45, 90, 135, 180]
    assert "the network" in model["name"]


def _error():
    ds = made.error_dataset(maps=False)
    return ds.rename(model="layer")[["error_mean"]].assign_attrs(made.ATTRS)


def test_r17_names_and_sentences_are_text():
    for draw in (data_picture, data_arcs):
        drawn = json.dumps(draw(made.audit_of_data("<b>x</b>")), default=lambda array: array.tolist())
        assert "<b>x</b>" not in drawn


@pytest.mark.parametrize("missing", ["distance", "lost_fitted", "verdict"])
def test_a_missing_variable_is_named(missing):
    with pytest.raises(ValueError, match=f"view of data: the Dataset has no '{missing}'"):
        data_picture(made.audit_of_data().drop_vars(missing))


def test_plotly_takes_the_figures():
    assert len(go.Figure(data_picture(made.audit_of_data())).data) == 13
    assert len(go.Figure(data_arcs(made.audit_of_data())).data) == 2
    assert len(go.Figure(data_beside_model(made.audit_of_data(), _error())).data) == 2
