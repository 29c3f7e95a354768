"""The picture of learning curves draws what it is given, every seed of it."""

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr

from tests.tolerances import AGAIN, AGAIN_SINGLE
from workbench.measure import labelled, provenance
from workbench.views.learning_curves import learning_curves_picture

SIZES = np.array([50, 100])
ERROR = np.arange(1.0, 13.0).reshape(2, 2, 3)


def curves() -> xr.Dataset:
    told = np.array([[[9.0, 9, 9], [4, 4, 4]], [[8, 8, 8], [6, 6, 6]]])
    force = "meV/angstrom"
    return xr.Dataset(
        {
            "error": labelled(("lmax", "geometries", "seed"), ERROR, "error", force),
            **{f"slope{end}": labelled("lmax", np.array([-0.5, -0.25]), "slope") for end in ("", "_low", "_high")},
            "told_error": labelled(("lmax", "told", "seed"), told, "error on the way", force),
            "told_seconds": labelled(("lmax", "told"), np.array([[1.0, 2], [3, 6]]), "time", "s"),
            "now": labelled("lmax", np.array([4.0, np.nan]), "error now", force),
            "now_seconds": labelled((), 2.5, "time", "s"),
            "matched": labelled(("lmax", "seed"), np.array([[3.0, 3, 3], [5, 5, 5]]), "matched", force),
            "matched_seconds": labelled("lmax", np.array([2.0, 2.0]), "time", "s"),
        },
        {"lmax": ("lmax", [0, 1]), "geometries": labelled("geometries", SIZES, "geometries")},
        provenance("test", seed=0, dtype="float32"),
    )


def test_every_seed_has_its_dot_and_the_line_is_their_geometric_mean():
    figure = go.Figure(learning_curves_picture(curves()))
    lines = [trace for trace in figure.data if trace.mode == "lines" and trace.showlegend is None]
    dots = [trace for trace in figure.data if trace.mode == "markers" and trace.xaxis != "x2"]
    assert lines[1].y == pytest.approx(np.exp(np.log(ERROR[1]).mean(1)), rel=AGAIN_SINGLE)
    assert np.concatenate([trace.y for trace in dots]) == pytest.approx(ERROR.ravel(), rel=AGAIN)
    assert lines[0].name == "degree 0; slope −0.50 (−0.50 to −0.50)"


def test_the_heading_names_the_leader_and_the_cursor_stands_at_the_time():
    figure = go.Figure(learning_curves_picture(curves()))
    assert "After 2.5 s: degree 0 leads, 4 meV/Å" in figure.layout.annotations[1].text
    assert figure.data[-1].x == pytest.approx([2.5, 2.5], rel=AGAIN)
    early = curves()
    early["now"] = early["now"] * np.nan
    assert "nothing is told yet" in learning_curves_picture(early)["layout"]["annotations"][1]["text"]
    late = early.assign(now_seconds=early["now_seconds"] + 4)
    assert "Before 6.5 s every training had ended" in learning_curves_picture(late)["layout"]["annotations"][1]["text"]


def test_ticks_are_written_out_and_a_missing_slope_is_named():
    layout = learning_curves_picture(curves())["layout"]
    assert {"1", "1.5", "2", "5", "10"} <= set(layout["yaxis"]["ticktext"])
    with pytest.raises(ValueError, match="slope_low"):
        learning_curves_picture(curves().drop_vars("slope_low"))
