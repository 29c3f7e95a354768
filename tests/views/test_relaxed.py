"""Where the relaxed view puts filters, matrix and corners, and what it says of them."""

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr

from tests.views.made import ATTRS
from workbench.measure.dataset import labelled
from workbench.views.relaxed import CORNERS, relaxed_picture


def dataset(share: tuple[float, float, float] = (0.0, 1.0, 0.0)) -> xr.Dataset:
    shown = np.zeros((3, 3, 2, 2))
    shown[1, 1] = 1
    return xr.Dataset(
        {
            "shown": labelled(("row", "column", "y", "x"), shown, "The filter"),
            "matrix": labelled(("output", "input"), np.arange(16).reshape(4, 4) / 15, "share of the largest"),
            "share": labelled("extreme", list(share), "share"),
            "path": labelled(("dial", "extreme"), [[0, 1, 0], [1, 0, 0]], "share along the dial"),
            "equivariance_error": labelled((), 0.25, "error"),
            "invariance_error": labelled((), 1.5, "error"),
            "rank": labelled((), 3.0, "rank"),
        },
        {
            "output": labelled("output", range(4), "output pixel"),
            "input": labelled("input", range(4), "input pixel"),
            "extreme": labelled("extreme", ["linear", "equivariant", "invariant"], "extreme"),
            "dial": labelled("dial", [0.0, 2.0], "dial"),
        },
        ATTRS,
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
    assert figure["data"][1]["z"][0].tolist() == pytest.approx([0, 1 / 15, 2 / 15, 3 / 15])
    assert figure["layout"]["yaxis2"]["autorange"] == "reversed"
    assert [figure["layout"][name]["title"]["text"] for name in ("xaxis2", "yaxis2")] == ["input pixel", "output pixel"]


@pytest.mark.parametrize("at", range(3))
def test_a_corner_is_where_its_name_stands(at):
    share = tuple(float(at == place) for place in range(3))
    figure = relaxed_picture(dataset(share))
    name = ("linear", "equivariant", "invariant")[at]
    here = trace(figure, "here")
    assert (float(here["x"][0]), float(here["y"][0])) == pytest.approx(CORNERS[name])
    words = {note["text"]: (note["x"], note["y"]) for note in figure["layout"]["annotations"]}
    assert words[name] == CORNERS[name]


def test_the_way_goes_from_its_first_dial_to_its_last():
    way = trace(relaxed_picture(dataset()), "way")
    assert (float(way["x"][0]), float(way["y"][0])) == pytest.approx(CORNERS["equivariant"])
    assert (float(way["x"][-1]), float(way["y"][-1])) == pytest.approx(CORNERS["linear"])


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
