"""Where the picture of scales puts filters, errors and their floor, and how it tells ends from inside."""

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr

from tests.tolerances import AGAIN, AGAIN_SINGLE
from tests.views.made import ATTRS
from workbench.measure.dataset import labelled
from workbench.views.scale import LOWEST, scale_picture


def dataset(remedy: str = "") -> xr.Dataset:
    kernel = np.zeros((1, 3, 3, 3), np.float32)
    kernel[0, 2] = 1
    error = np.array([[0.02, 1e-9], [0.4, 3.0]])
    return xr.Dataset(
        {
            "kernel": labelled(("channel", "scale", "y", "x"), kernel, "The filters"),
            "error": labelled(("layer", "pair"), error, "error"),
            "inner": labelled(("layer", "pair"), [[True, True], [True, False]], "inner"),
            "floor": labelled("pair", [0.01, 0.02], "floor"),
            "inside": labelled("layer", [0.02, 0.4], "inside"),
            "ends": labelled("layer", [np.nan, 3.0], "ends"),
        },
        {
            "layer": labelled("layer", ["lifting", "<b>group</b>"], "layer"),
            "pair": labelled("pair", ["1 to 2", "2 to 4"], "from scale to scale"),
            "factor": labelled("scale", [1.0, 2.0, 4.0], "scale"),
        },
        {**ATTRS, "support_px": 2.5, "remedy": remedy},
    )


def test_scales_are_columns_named_by_their_factor():
    figure = scale_picture(dataset())
    sheet = figure["data"][0]["z"]
    assert sheet.shape == (3, 11)
    assert sheet.sum() == 9
    assert (sheet[:, 8:] == 1).all()
    assert figure["layout"]["xaxis"]["ticktext"] == ["1.00", "2.00", "4.00"]
    go.Figure(figure)


def test_ends_are_hollow_and_every_number_lies_inside_the_axis():
    figure = scale_picture(dataset())
    lifting, group, floor = figure["data"][1:]
    assert lifting["marker"]["symbol"] == ["circle", "circle"]
    assert group["marker"]["symbol"] == ["diamond", "diamond-open"]
    low, high = (10**end for end in figure["layout"]["yaxis2"]["range"])
    for trace in (lifting, group, floor):
        assert low * 0.999 <= min(trace["y"])
        assert max(trace["y"]) < high
    assert lifting["y"][1] == pytest.approx(LOWEST, rel=AGAIN)
    assert group["y"].tolist() == pytest.approx([0.4, 3.0], rel=AGAIN_SINGLE)


def test_the_headings_say_the_support_the_remedy_and_the_errors():
    said = [one["text"] for one in scale_picture(dataset("use k = 15"))["layout"]["annotations"]]
    assert any("reaches 2.5 pixels only; use k = 15" in words for words in said)
    assert any("at most 0.400 inside, 3.000 at the ends" in words for words in said)
    assert not any("only" in one["text"] for one in scale_picture(dataset())["layout"]["annotations"])


def test_markup_in_names_is_not_obeyed():
    assert "<b>" not in scale_picture(dataset())["data"][2]["name"]


@pytest.mark.parametrize("name", ["kernel", "error", "floor", "ends"])
def test_a_missing_variable_is_named(name):
    with pytest.raises(ValueError, match=name):
        scale_picture(dataset().drop_vars(name))
