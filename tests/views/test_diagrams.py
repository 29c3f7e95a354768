"""Where the picture of a diagram puts points and lines, and what it says where there is none."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from tests.views.made import ATTRS
from workbench.measure.dataset import labelled
from workbench.views.diagrams import diagram_picture


def dataset(block, upper, **changed) -> xr.Dataset:
    given = {"diagrams": 3, "dimension": 2, "shown": 1, "products": 9} | changed
    return xr.Dataset(
        {
            "block": labelled("point", np.array(block, dtype=np.int16), "joined"),
            "upper_row": labelled("point", np.arange(len(block)) < upper, "of the result"),
            "matrix": labelled(("row", "column"), np.eye(9, 3, dtype=np.float32), "The matrix"),
            "strength": labelled("value", [1.0, 0.4, 0.0], "singular value"),
            **{name: labelled((), number, name) for name, number in given.items()},
        },
        attrs={**ATTRS, "group": "O(3)"},
    )


def test_points_stand_in_two_rows_and_a_line_joins_each_pair():
    figure = diagram_picture(dataset([0, 1, 0, 1], upper=2))
    lines, points = figure["data"][:2], figure["data"][2]
    assert points["y"].tolist() == [1, 1, 0, 0]
    for line, at in zip(lines, (0, 1), strict=True):
        ends = [(line["x"][0], line["y"][0]), (line["x"][-2], line["y"][-2])]
        assert ends == [(at, 1), (at, 0)]
    go.Figure(figure)


def test_a_pair_within_a_row_bows_towards_the_other_row():
    figure = diagram_picture(dataset([0, 0, 1, 1], upper=2))
    above, below = (line["y"][:-1] for line in figure["data"][:2])
    assert above[0] == above[-1] == 1 > above.min() > 0.5
    assert below[0] == below[-1] == 0 < below.max() < 0.5


def test_a_determinant_meets_in_its_middle_in_a_colour_of_its_own():
    figure = diagram_picture(dataset([-1, -1, -1], upper=1))
    star = figure["data"][0]
    assert np.isnan(star["x"]).sum() == 3
    assert np.ptp(star["y"][1::3]) < 1e-6
    assert star["line"]["color"] != diagram_picture(dataset([0, 0], upper=1))["data"][0]["line"]["color"]


def test_the_headline_counts_or_says_that_there_is_none():
    said = [
        diagram_picture(dataset([0, 0], 1, **more))["layout"]["annotations"][0]["text"]
        for more in ({}, {"diagrams": 0})
    ]
    assert "3 diagrams, 2 independent: all maps that commute with O(3)" in said[0]
    assert "takes 9 products, its matrix 27" in said[0]
    assert "No map but 0 commutes with O(3)" in said[1]
