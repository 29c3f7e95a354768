"""What the picture of costs draws and says."""

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr

from tests.views.made import ATTRS
from workbench.measure.dataset import labelled
from workbench.views.layer_cost import cost_picture


def dataset() -> xr.Dataset:
    times = np.array([[8.0, 32.0], [4.0, 8.0]])
    over = ("way", "rotations")
    return xr.Dataset(
        {
            "multiply_adds": labelled("way", [1000.0, 10.0], "Multiply-adds"),
            "parameters": labelled("way", [5.0, 6.0], "Parameters"),
            "step_ms": labelled(over, times, "Time", "ms"),
            "step_low_ms": labelled(over, times - 1, "low", "ms"),
            "step_high_ms": labelled(over, times + 2, "high", "ms"),
        },
        {"way": labelled("way", ["whole", "<b>one</b>"], "way"), "rotations": labelled("rotations", [4, 8], "n")},
        {**ATTRS, "chosen": 8, "whole": "whole"},
    )


def test_bars_and_curves_are_the_numbers_and_the_spread_is_of_the_chosen_size():
    figure = cost_picture(dataset())
    products, time, parameters, *curves = figure["data"]
    assert products["x"].tolist() == [1000, 10]
    assert time["x"].tolist() == [32, 8]
    assert time["error_x"]["array"].tolist() == [2, 2]
    assert time["error_x"]["arrayminus"].tolist() == [1, 1]
    assert parameters["x"].tolist() == [5, 6]
    assert [curve["y"].tolist() for curve in curves] == [[8, 32], [4, 8]]
    assert len({curve["line"]["dash"] for curve in curves}) == len(curves), "not told apart by colour alone"
    assert figure["layout"]["shapes"][0]["x0"] == 8
    go.Figure(figure)


def test_the_sentence_is_read_from_the_numbers_and_markup_is_not_obeyed():
    said = [one["text"] for one in cost_picture(dataset())["layout"]["annotations"]]
    assert any("100 x fewer, 4 x faster" in words for words in said)
    assert not any("<b>one" in words for words in said)


@pytest.mark.parametrize("name", ["multiply_adds", "parameters", "step_ms", "step_low_ms"])
def test_a_missing_variable_is_named(name):
    with pytest.raises(ValueError, match=name):
        cost_picture(dataset().drop_vars(name))
