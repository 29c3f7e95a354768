"""Where the relaxed view puts filters, matrix and corners, and what it says of them."""

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr

from tests.tolerances import AGAIN, AGAIN_SINGLE
from tests.views.made import ATTRS
from workbench.measure.dataset import labelled
from workbench.views.relaxed import CORNERS, playback_picture, relaxed_picture


def dataset(share: tuple[float, float, float] = (0.0, 1.0, 0.0), about: tuple[str, ...] = ("shifts",)) -> xr.Dataset:
    shown = np.zeros((3, 3, 2, 2))
    shown[1, 1] = 1
    return xr.Dataset(
        {
            "shown": labelled(("row", "column", "y", "x"), shown, "The filter"),
            "matrix": labelled(("output", "input"), np.arange(16).reshape(4, 4) / 15, "share of the largest"),
            "share": labelled(("about", "extreme"), [list(share)] * len(about), "share"),
            "path": labelled(
                ("about", "dial", "extreme"), [[[0, 1, 0], [1, 0, 0]]] * len(about), "share along the dial"
            ),
            "equivariance_error": labelled("about", [0.25] * len(about), "error"),
            "invariance_error": labelled("about", [1.5] * len(about), "error"),
            "rank": labelled((), 3.0, "rank"),
        },
        {
            "output": labelled("output", range(4), "output pixel"),
            "input": labelled("input", range(4), "input pixel"),
            "extreme": labelled("extreme", ["linear", "equivariant", "invariant"], "extreme"),
            "dial": labelled("dial", [0.0, 2.0], "dial"),
            "about": labelled("about", list(about), "moves"),
        },
        {**ATTRS, "framed_row": 1, "framed_column": 1},
    )


def trace(figure: dict, name: str) -> dict:
    return next(one for one in figure["data"] if one.get("name") == name)


def test_the_filters_lie_side_by_side_with_the_middle_one_framed():
    figure = relaxed_picture(dataset())
    sheet = figure["data"][0]["z"]
    assert sheet.shape == (8, 8)
    assert (sheet[3:5, 3:5] == 1).all()
    assert sheet.sum() == 4
    (frame,) = figure["layout"]["shapes"]
    assert (frame["x0"], frame["x1"]) == (2.25, 4.75)
    go.Figure(figure)


def test_the_matrix_has_outputs_down_and_inputs_across():
    figure = relaxed_picture(dataset())
    assert figure["data"][1]["z"][0].tolist() == pytest.approx([0, 1 / 15, 2 / 15, 3 / 15], rel=AGAIN_SINGLE)
    assert figure["layout"]["yaxis2"]["autorange"] == "reversed"
    assert [figure["layout"][name]["title"]["text"] for name in ("xaxis2", "yaxis2")] == ["input pixel", "output pixel"]


@pytest.mark.parametrize("at", range(3))
def test_a_corner_is_where_its_name_stands(at):
    share = tuple(float(at == place) for place in range(3))
    figure = relaxed_picture(dataset(share))
    name = ("linear", "equivariant", "invariant")[at]
    here = trace(figure, "here")
    assert (float(here["x"][0]), float(here["y"][0])) == pytest.approx(CORNERS[name], rel=AGAIN_SINGLE)
    words = {note["text"]: (note["x"], note["y"]) for note in figure["layout"]["annotations"]}
    assert words[name] == CORNERS[name]


def test_the_way_goes_from_its_first_dial_to_its_last():
    way = trace(relaxed_picture(dataset()), "way")
    assert (float(way["x"][0]), float(way["y"][0])) == pytest.approx(CORNERS["equivariant"], rel=AGAIN)
    assert (float(way["x"][-1]), float(way["y"][-1])) == pytest.approx(CORNERS["linear"], rel=AGAIN_SINGLE)


def test_the_numbers_are_written_above():
    words = " ".join(note["text"] for note in relaxed_picture(dataset())["layout"]["annotations"])
    assert "rank 3 of 4" in words
    assert "Equivariance error 0.250" in words
    assert "invariance error 1.500" in words


@pytest.mark.parametrize("missing", ["shown", "matrix", "share", "path", "equivariance_error", "rank"])
def test_a_missing_variable_is_named(missing):
    with pytest.raises(ValueError, match=f"relaxed view: the Dataset has no '{missing}'"):
        relaxed_picture(dataset().drop_vars(missing))


def test_numbers_without_a_source_are_refused():
    with pytest.raises(ValueError, match="does not say where its numbers come from"):
        relaxed_picture(dataset().drop_attrs())


def test_each_kind_of_move_has_a_point_a_way_and_its_errors_in_words():
    figure = relaxed_picture(dataset(about=("shifts", "quarter turns", "both")))
    names = [one.get("name") for one in figure["data"]]
    assert {"here", "here, quarter turns", "here, both", "way", "way of quarter turns", "way of both"} <= set(names)
    points = [one["marker"] for one in figure["data"] if str(one.get("name")).startswith("here")]
    assert len({(one["color"], one["symbol"]) for one in points}) == 3
    words = " ".join(note["text"] for note in figure["layout"]["annotations"])
    assert "quarter turns: 0.250, 1.500" in words
    go.Figure(figure)


def training(runs: int = 2) -> xr.Dataset:
    line = np.arange(4.0)[None, :, None] * np.array([1.0, 2.0]) + 10 * np.arange(runs)[:, None, None]
    return xr.Dataset(
        {
            "shown": labelled(("row", "column", "y", "x"), np.zeros((3, 3, 2, 2)), "The filter"),
            "dial_course": labelled(("run", "epoch", "layer"), line, "dial"),
            "drift_course": labelled(("run", "snapshot", "layer"), line[:, ::3], "change"),
            "epoch_shown": labelled((), 3, "epoch shown"),
            "layer_shown": labelled((), 2, "layer shown"),
        },
        {
            "epoch": labelled("epoch", range(1, 5), "epoch"),
            "snapshot_epoch": labelled("snapshot", [1, 4], "epoch"),
            "run": labelled("run", ["one <b>", "other"][:runs], "training"),
        },
        {**ATTRS, "framed_row": 1, "framed_column": 1},
    )


def test_a_training_has_a_line_for_each_layer_of_each_run_and_a_cursor_at_the_moment():
    figure = playback_picture(training())
    first = trace(figure, "one &lt;b&gt;, layer 2")
    assert first["line"]["width"] == 3
    assert first["line"]["dash"] == "solid"
    assert first["y"].tolist() == [0, 2, 4, 6]
    assert trace(figure, "other, layer 1")["line"]["dash"] == "dash"
    cursors = [shape for shape in figure["layout"]["shapes"] if shape["type"] == "line"]
    assert [(shape["x0"], shape["x1"]) for shape in cursors] == [(3, 3), (3, 3)]
    words = " ".join(note["text"] for note in figure["layout"]["annotations"])
    assert "Layer 2" in words
    assert "epoch 3" in words
    go.Figure(figure)
    assert len(playback_picture(training(1))["data"]) == 5
    with pytest.raises(ValueError, match="playback view: the Dataset has no 'dial_course'"):
        playback_picture(training().drop_vars("dial_course"))
