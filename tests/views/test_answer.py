"""Where the answer view puts the picture, the bars and the curves."""

import numpy as np
import plotly.graph_objects as go
import pytest

from tests.views import made
from workbench.views import palette
from workbench.views.answer import answers


def of_type(figure: dict, kind: str) -> list[dict]:
    return [trace for trace in figure["data"] if trace["type"] == kind]


def words(figure: dict) -> list[str]:
    return [note["text"] for note in figure["layout"]["annotations"]]


def test_each_network_has_its_own_bars_with_its_own_classes():
    first, second = of_type(answers(made.answer_dataset()), "bar")
    assert (first["text"], second["text"]) == (["6", "9"], ["6", "9", "0"])
    assert np.array_equal(first["y"], np.float32([0.75, 0.25]))
    assert {first["xaxis"], second["xaxis"]} == {"x2", "x3"}


def test_the_headings_say_the_angle_and_what_each_network_answers():
    shown = words(answers(made.answer_dataset()))
    assert "<b>Turned by −30°</b>" in shown
    assert "<b>partial:<br>6</b>" in shown
    assert "<b>full:<br>0</b>" in shown


def test_a_mirrored_picture_is_named_so():
    ds = made.answer_dataset().assign_attrs(mirror="true")
    assert "<b>Turned by −30°, mirrored</b>" in words(answers(ds))


def test_the_curves_differ_in_colour_and_dash_and_the_cursor_stands_at_the_angle():
    partial, full, cursor = of_type(answers(made.answer_dataset()), "scatter")
    assert (partial["line"]["color"], full["line"]["color"]) == palette.SERIES[:2]
    assert partial["line"]["dash"] != full["line"]["dash"]
    assert np.array_equal(cursor["x"], [-30, -30])
    assert "%{x:.0f}°" in partial["hovertemplate"]
    assert partial["y"].dtype == np.float32


def test_the_axes_are_fixed_and_titled():
    layout = answers(made.answer_dataset())["layout"]
    assert layout["xaxis4"]["range"] == [-180, 180]
    assert layout["xaxis4"]["title"]["text"] == "input turned by [°]"
    assert layout["yaxis4"]["range"] == [-0.02, 1.04]
    assert "<b>Probability of '6'</b>" in words(answers(made.answer_dataset()))


def test_moving_the_picture_leaves_every_curve_alone():
    ds = made.answer_dataset()
    moved = ds.assign(angle_shown_deg=((), 40.0, ds["angle_shown_deg"].attrs))
    for before, after in zip(of_type(answers(ds), "scatter")[:2], of_type(answers(moved), "scatter")[:2], strict=True):
        assert np.array_equal(before["y"], after["y"])


def test_r17_markup_in_names_is_shown_and_not_obeyed():
    figure = answers(made.answer_dataset("<img src=x>"))
    assert "<img" not in str(words(figure)) + str([t.get("name") for t in figure["data"]])
    assert "&lt;img" in str(words(figure))
    assert "&lt;img" in str(of_type(figure, "bar")[0]["text"])


@pytest.mark.parametrize("missing", ["picture", "answer", "class_name", "probability", "followed"])
def test_a_missing_variable_is_named(missing):
    with pytest.raises(ValueError, match=f"answer view: the Dataset has no '{missing}'"):
        answers(made.answer_dataset().drop_vars(missing))


def test_numbers_typed_by_hand_are_refused():
    with pytest.raises(ValueError, match="not an array typed by hand"):
        answers(made.answer_dataset().drop_attrs(deep=False))


def test_plotly_takes_the_figure():
    assert len(go.Figure(answers(made.answer_dataset())).data) == 6
