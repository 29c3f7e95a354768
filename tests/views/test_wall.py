"""Where the kernel wall puts tiles, components, the first picture and its numbers, and what it says of them."""

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr

from tests.views.made import ATTRS
from workbench.measure.dataset import labelled
from workbench.views.wall import MOST_TICKS, kernel_wall


def dataset(outputs: int = 2, inputs: int = 3) -> xr.Dataset:
    kernel = np.zeros((outputs, inputs, 2, 2), np.float32)
    kernel[1, 2] = 1
    return xr.Dataset(
        {
            "kernel": labelled(("g_out", "g_in", "y", "x"), kernel, "Every kernel"),
            "energy": labelled("component", [0.75, 0.25], "Share"),
            "picture": labelled(("y", "x"), kernel[1, 2], "Picture"),
            "number": labelled("g_in", np.arange(inputs) - 1.0, "Number"),
        },
        {
            "pose_out": labelled("g_out", [f"{at}°" for at in range(outputs)], "output pose"),
            "pose_in": labelled("g_in", [f"<b>{at}</b>" for at in range(inputs)], "input pose"),
            "component": labelled("component", [1, 2], "singular component"),
        },
        ATTRS,
    )


def test_rows_are_outputs_and_columns_inputs():
    figure = kernel_wall(dataset())
    sheet = figure["data"][0]["z"]
    assert sheet.shape == (5, 8)
    assert (sheet[3:, 6:] == 1).all()
    assert sheet.sum() == 4
    assert figure["layout"]["yaxis"]["autorange"] == "reversed"
    go.Figure(figure)


def test_poses_are_named_at_their_tiles_and_markup_is_not_obeyed():
    layout = kernel_wall(dataset())["layout"]
    assert layout["yaxis"]["ticktext"] == ["0°", "1°"]
    assert layout["yaxis"]["tickvals"].tolist() == [0.5, 3.5]
    assert "<b>" not in "".join(layout["xaxis"]["ticktext"])


def test_no_more_poses_are_named_than_can_be_read():
    layout = kernel_wall(dataset(40, 40))["layout"]
    assert len(layout["yaxis"]["ticktext"]) <= MOST_TICKS
    assert len(kernel_wall(dataset(12, 12))["layout"]["yaxis"]["ticktext"]) == 12


def test_the_bars_the_picture_and_the_numbers_are_those_of_the_dataset():
    figure = kernel_wall(dataset())
    energy, picture, numbers = figure["data"][1:]
    assert energy["y"].tolist() == [0.75, 0.25]
    assert (picture["z"] == 1).all()
    assert numbers["y"].tolist() == [-1, 0, 1]
    assert figure["layout"]["yaxis4"]["range"][1] > 1
    said = [one["text"] for one in figure["layout"]["annotations"]]
    assert any("75%" in words for words in said)


@pytest.mark.parametrize("name", ["kernel", "energy", "picture", "number"])
def test_a_missing_variable_is_named(name):
    with pytest.raises(ValueError, match=name):
        kernel_wall(dataset().drop_vars(name))
