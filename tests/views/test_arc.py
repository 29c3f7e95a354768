"""Where the arc view puts samples, the ways they go, and the slopes."""

import numpy as np
import plotly.graph_objects as go
import pytest

from tests.tolerances import AGAIN, ONE_BIT
from tests.views import made
from workbench.views.arc import FROM, SPACING, TO, arc_picture


def dots(figure: dict) -> list[dict]:
    return [trace for trace in figure["data"] if "customdata" in trace]


def words(figure: dict) -> list[str]:
    return [note["text"] for note in figure["layout"]["annotations"]]


def test_each_rule_has_a_circle_with_samples_and_where_they_go():
    full, released = dots(arc_picture(made.arc_dataset()))
    assert np.allclose(full["customdata"][:3], [[-60, -72], [0, 0], [60, 72]], rtol=ONE_BIT, atol=0)
    assert np.allclose(released["customdata"][:3], [[-60, -50], [0, 10], [60, 70]], rtol=ONE_BIT, atol=0)
    assert np.allclose(np.hypot(full["x"], full["y"])[:3], FROM, rtol=ONE_BIT, atol=0)
    assert np.allclose(np.hypot(full["x"], full["y"])[3:], TO, rtol=ONE_BIT, atol=0)
    assert np.allclose(np.hypot(released["x"] - SPACING, released["y"])[:3], FROM, rtol=ONE_BIT, atol=0)


def test_positive_angles_are_drawn_counter_clockwise_from_the_top():
    x, y = (dots(arc_picture(made.arc_dataset()))[0][axis][:3] for axis in "xy")
    assert x[0] > 0 > x[2]
    assert y[1] == pytest.approx(FROM, rel=AGAIN)


def test_the_rules_are_named_with_their_slopes_and_the_arc_with_its_samples():
    shown = words(arc_picture(made.arc_dataset()))
    assert {"<b>full<br>gradient</b>", "<b>released<br>rule</b>"} <= set(shown)
    assert {"full gradient: 3.00", "released rule: 0.25"} <= set(shown)
    assert shown.count("±90°, 3 samples") == 2


def test_a_single_sample_is_called_one():
    ds = made.arc_dataset().isel(sample=[1])
    assert "±90°, 1 sample" in words(arc_picture(ds))


def test_the_slopes_are_drawn_against_the_width_with_a_mark_at_the_present_one():
    figure = arc_picture(made.arc_dataset())
    curves = {trace["name"]: trace for trace in figure["data"] if trace.get("xaxis") == "x2"}
    assert np.allclose(curves["analytic"]["y"], curves["full gradient"]["y"], rtol=ONE_BIT, atol=0)
    assert np.allclose(curves["released rule"]["y"], 0, rtol=ONE_BIT, atol=0)
    assert figure["layout"]["xaxis2"]["title"]["text"] == "share of the circle"
    marks = [trace for trace in figure["data"] if trace.get("name") == "at this width"]
    assert [(float(mark["x"][0]), float(mark["y"][0])) for mark in marks] == [(0.5, 3.0), (0.5, 0.25)]


@pytest.mark.parametrize("missing", ["angle_deg", "moved_deg", "slope", "analytic_slope", "slope_here", "theta"])
def test_a_missing_variable_is_named(missing):
    with pytest.raises(ValueError, match=f"arc view: the Dataset has no '{missing}'"):
        arc_picture(made.arc_dataset().drop_vars(missing))


def test_plotly_takes_the_figure():
    assert len(go.Figure(arc_picture(made.arc_dataset())).data) == 13
