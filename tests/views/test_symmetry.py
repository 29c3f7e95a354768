"""Where arcs, ghosts, cursors and labels of the symmetry view lie."""

import numpy as np
import pytest

from tests.tolerances import AGAIN
from tests.views import made
from workbench.views import palette
from workbench.views.symmetry import symmetry


def named(figure: dict, name: str) -> list[dict]:
    return [trace for trace in figure["data"] if trace.get("name") == name]


def words(figure: dict) -> list[str]:
    return [note["text"] for note in figure["layout"]["annotations"]]


def test_axes_carry_titles_and_fixed_ranges():
    layout = symmetry(made.symmetry_dataset())["layout"]
    assert layout["xaxis2"]["title"]["text"] == "relative depth of the layer"
    assert layout["yaxis2"]["title"]["text"] == layout["yaxis3"]["title"]["text"] == "share of the circle kept"
    assert layout["xaxis3"]["title"]["text"] == layout["xaxis5"]["title"]["text"] == "epoch"
    assert layout["yaxis3"]["range"] == [-0.04, 1.12]
    assert layout["yaxis5"]["range"][1] == pytest.approx(1.08 * 2.5, rel=AGAIN), "the error reaches 2.2"


def test_every_layer_says_what_it_kept():
    shown = words(symmetry(made.symmetry_dataset()))
    assert [text for text in shown if text.endswith("%</b>") and "mirror" not in text] == [
        "<b>100%</b>",
        "<b>75%</b>",
        "<b>50%</b>",
        "<b>100%</b>",
        "<b>50%</b>",
    ]
    below = [text for text in shown if "±" in text]
    assert below[0].startswith("lifting (fixed)<br>")
    assert below[1].startswith("layer 2<br>")
    assert "±135°" in below[1]
    assert "mirror 25%" in shown
    assert any("epoch 7" in text for text in shown)


def test_zero_is_at_the_top_and_half_an_arc_is_the_upper_half():
    rings = [trace for trace in symmetry(made.symmetry_dataset())["data"] if trace.get("fill") == "toself"]
    half = next(
        ring for ring in rings if "keeps 50.0% of the circle" in ring["text"] and ring["fillcolor"].endswith(",0.92)")
    )
    assert half["y"].min() == pytest.approx(0, abs=1e-6)
    assert half["y"].max() == pytest.approx(1, abs=1e-3)


def test_positive_angles_are_drawn_counter_clockwise():
    figure = symmetry(made.symmetry_dataset())
    dots = next(trace for trace in figure["data"] if trace.get("mode") == "markers")
    left = dots["customdata"] > 0
    assert (dots["x"][left] < 0).all()
    assert (dots["x"][~left] > 0).all()
    assert "%{customdata:.1f}°" in dots["hovertemplate"]


def test_the_cursors_stand_at_the_epoch_shown():
    cursors = named(symmetry(made.symmetry_dataset()), "epoch shown")
    assert len(cursors) == 3
    assert all(np.array_equal(cursor["x"], [7, 7]) for cursor in cursors)


def test_n6_moving_the_epoch_changes_cursors_and_circles_but_no_curve():
    ds = made.symmetry_dataset()
    moved = ds.assign(epoch_shown=((), 2, ds["epoch_shown"].attrs), arc=ds["arc"] * 0.5)
    before, after = symmetry(ds)["data"], symmetry(moved)["data"]
    same = [
        a
        for a, b in zip(before, after, strict=True)
        if np.array_equal(a["x"], b["x"]) and np.array_equal(a["y"], b["y"])
    ]
    curves = [trace for trace in before if trace.get("xaxis") in ("x3", "x4", "x5") and trace["name"] != "epoch shown"]
    assert all(any(trace is kept for kept in same) for trace in curves)
    assert len(same) < len(before)


def test_epochs_where_the_error_was_not_measured_are_left_out_not_drawn_as_nan():
    curve = named(symmetry(made.symmetry_dataset()), "equivariance error")[0]
    assert np.isfinite(curve["y"]).all()
    assert curve["x"].tolist() == [1, 3, 5, 7, 9, 11]


def test_published_curves_are_dashed_grey_and_name_their_source():
    ds = made.symmetry_dataset()
    ds["published_arc"].attrs["source"] = "a paper"
    ghost = named(symmetry(ds), "CIFAR-10")[0]
    assert ghost["line"]["color"] == palette.NEUTRAL
    assert ghost["line"]["dash"] != "solid"
    assert "published, CIFAR-10" in ghost["hovertemplate"]
    assert "a paper" in ghost["hovertemplate"]


def test_layers_of_a_group_without_rotations_show_their_mirror_only():
    ds = made.symmetry_dataset()
    ds = ds.assign(arc=ds["arc"] * np.nan, gate_probability=ds["gate_probability"].fillna(1.0))
    ds["gate_probability"].attrs["long_name"] = "probability that the mirror is kept"
    figure = symmetry(ds)
    assert "mirror<br><b>25%</b>" in words(figure)
    assert figure["layout"]["yaxis2"]["title"]["text"] == "probability that the mirror is kept"
    assert named(figure, "this run")[0]["y"].tolist() == [1, 0.25, 0.5, 1]


def test_without_history_or_what_if_the_rest_is_still_drawn():
    ds = made.symmetry_dataset().drop_vars(
        [
            "arc_history",
            "gate_history",
            "error",
            "validation_accuracy",
            "train_accuracy",
            "what_if_arc",
            "published_arc",
        ]
    )
    assert "no history was stored" in words(symmetry(ds))
