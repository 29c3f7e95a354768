"""The view of orientations: the grid where it is and where it goes, cursors at the turns, errors on their scale."""

import numpy as np
import pytest
import xarray as xr

from tests.tolerances import AGAIN_SINGLE
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.views import palette
from workbench.views.orientations import LOWEST, orientation_picture


def made(grid: str = "one", **change: object) -> xr.Dataset:
    """Three orientations, two grids, four invariants, three angles."""
    points = np.eye(3)
    return xr.Dataset(
        {
            "point": labelled(("orientation", "xyz"), points, "orientations of the grid"),
            "moved": labelled(("orientation", "xyz"), points[[1, 2, 0]], "where the turn takes them"),
            "weight": labelled("orientation", [0.5, 0.25, 0.25], "share of the whole"),
            "curve": labelled("angle_deg", [1e-16, 0.1, 1e-16], "relative error"),
            "error": labelled("name", [1e-16, 0.2], "relative error"),
            "invariant": labelled(("kind", "around_deg"), [[k, k, k + 1] for k in range(4)], "invariants"),
            "invariant_now": labelled("kind", [0.5, 1.5, 2.5, 3.5], "invariants"),
            "turn_shown_deg": labelled((), 72.0, "turn", "degree"),
            "around_shown_deg": labelled((), 30.0, "turn of the sender", "degree"),
        },
        {
            "angle_deg": labelled("angle_deg", [0.0, 180.0, 360.0], "turn of the cloud", "degree"),
            "around_deg": labelled("around_deg", [0.0, 180.0, 360.0], "turn of the sender", "degree"),
            "name": labelled("name", [grid, "two"], "grid"),
            "kind": labelled("kind", ["a", "b", "c", "<b>"], "invariant"),
        },
        {**provenance("made", seed=0, dtype="float64", resampler="none"), "grid": grid, "strength": 5},
    )


def of(figure: dict, where: str, mode: str) -> list[dict]:
    return [trace for trace in figure["data"] if trace.get("xaxis") == where and trace["mode"] == mode]


def test_the_grid_stands_before_and_after_the_turn_and_larger_where_it_weighs_more():
    before, after = (trace for trace in orientation_picture(made())["data"] if trace["type"] == "scatter3d")
    assert before["x"].tolist() == [1, 0, 0]
    assert after["x"].tolist() == [0, 0, 1]
    sizes = np.asarray(before["marker"]["size"], dtype=float)
    assert sizes[0] == pytest.approx(np.sqrt(2) * sizes[1], rel=AGAIN_SINGLE)
    assert before["marker"]["symbol"] != after["marker"]["symbol"]


def test_errors_below_the_scale_lie_on_its_edge_and_tell_their_value():
    figure = orientation_picture(made())
    (curve,), (dots,) = of(figure, "x", "lines"), of(figure, "x2", "markers")
    assert curve["y"].tolist() == pytest.approx([10**LOWEST, 0.1, 10**LOWEST], rel=AGAIN_SINGLE)
    assert curve["customdata"].tolist() == pytest.approx([1e-16, 0.1, 1e-16], rel=AGAIN_SINGLE)
    assert dots["x"].tolist() == pytest.approx([10**LOWEST, 0.2], rel=AGAIN_SINGLE)
    assert dots["marker"]["color"] == [palette.BLUE, palette.ORANGE], "the chosen grid has a colour of its own"
    assert dots["error_x"]["arrayminus"].tolist() == pytest.approx([0.0, 0.2 - 10**LOWEST], rel=AGAIN_SINGLE)


def test_cursors_stand_at_both_turns_and_titles_name_them():
    figure = orientation_picture(made())
    assert [(shape["x0"], shape["xref"]) for shape in figure["layout"]["shapes"]] == [(72.0, "x"), (30.0, "x3")]
    titles = " ".join(note["text"] for note in figure["layout"]["annotations"])
    assert "3 orientations" in titles
    assert "strength 5" in titles
    assert "72" in titles


def test_the_papers_invariants_are_full_lines_and_the_others_dashed_with_marks_at_the_turn():
    figure = orientation_picture(made())
    assert [trace["line"]["dash"] for trace in of(figure, "x3", "lines")] == ["solid"] * 3 + ["dash"]
    marks = of(figure, "x3", "markers")
    assert [(trace["x"], trace["y"].tolist()) for trace in marks] == [([30.0], [k + 0.5]) for k in range(4)]


def test_names_are_no_markup_and_the_same_data_give_the_same_figure():
    shown = str(orientation_picture(made("<script>")))
    assert "<script>" not in shown
    assert "'<b>'" not in shown
    assert str(orientation_picture(made())) == str(orientation_picture(made()))


@pytest.mark.parametrize("missing", ["point", "weight", "curve", "error", "invariant"])
def test_a_dataset_without_a_variable_or_provenance_is_refused(missing):
    with pytest.raises(ValueError, match=missing):
        orientation_picture(made().drop_vars(missing))
    bare = made()
    bare.attrs = {}
    with pytest.raises(ValueError, match="created_by"):
        orientation_picture(bare)
