"""Where the picture of a diagram puts points and lines, and what it says where there is none."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from tests.tolerances import ONE_BIT
from tests.views.made import ATTRS
from workbench.measure.dataset import labelled
from workbench.views.diagrams import NOTHING, diagram_picture


def dataset(block, upper, **changed) -> xr.Dataset:
    given = {"diagrams": 3, "dimension": 2, "shown": 1, "products": 9, "broken": False} | changed
    matrix = given.pop("matrix", np.eye(9, 3))
    coefficient = given.pop("coefficient", [1.0, 0.0, 0.0])
    return xr.Dataset(
        {
            "block": labelled("point", np.array(block, dtype=np.int16), "joined"),
            "upper_row": labelled("point", np.arange(len(block)) < upper, "of the result"),
            "matrix": labelled(("row", "column"), matrix, "Matrix"),
            "coefficient": labelled("diagram", coefficient, "coefficient"),
            "residual": labelled(("map", "element"), [[3e-16, 0.0], [0.4123, 0.0]], "residual"),
            "strength": labelled("value", [1.0, 0.4, 0.0], "singular value"),
            **{name: labelled((), number, name) for name, number in given.items()},
        },
        coords={
            "diagram": labelled("diagram", [1, 2, 3], "diagram"),
            "map": labelled("map", ["as shown", "one entry changed"], "matrix"),
            "element": labelled("element", [1, 2], "member"),
        },
        attrs={**ATTRS, "group": "O(3)"},
    )


def words(figure) -> str:
    return " | ".join(one["text"] for one in figure["layout"]["annotations"])


def on(figure, axis) -> list:
    return [trace for trace in figure["data"] if trace.get("yaxis") == axis]


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


def test_coefficients_are_bars_and_that_of_the_diagram_drawn_has_the_colour_of_its_lines():
    figure = diagram_picture(dataset([0, 0], 1, shown=2, coefficient=[-0.5, 2.0, 0.25]))
    (bars,) = on(figure, "y4")
    assert bars["y"].tolist() == [-0.5, 2.0, 0.25]
    assert [colour == figure["data"][0]["line"]["color"] for colour in bars["marker"]["color"]] == [False, True, False]
    assert "The sum takes" in words(figure)


def test_the_colours_of_the_matrix_end_at_its_largest_and_never_below_one():
    for size, limit in ((0.2, 1.0), (3.5, 3.5)):
        figure = diagram_picture(dataset([0, 0], 1, matrix=-size * np.eye(9, 3)))
        (heat,) = on(figure, "y2")
        assert (heat["zmin"], heat["zmax"]) == (-limit, limit)
        assert heat["z"].min() == np.float32(-size)


def test_residuals_are_dots_over_the_line_of_rounding_and_a_number_in_the_heading():
    figure = diagram_picture(dataset([0, 0], 1))
    line, dots = on(figure, "y5")
    np.testing.assert_allclose(line["y"], np.finfo(np.float64).eps, atol=0, rtol=ONE_BIT)
    np.testing.assert_allclose(dots["y"], [3e-16, NOTHING], atol=0, rtol=ONE_BIT)
    np.testing.assert_allclose(dots["customdata"], [3e-16, 0.0], atol=0, rtol=ONE_BIT)
    assert "Residual 3e−16<" in words(figure)
    assert figure["layout"]["yaxis5"]["type"] == "log"
    assert figure["layout"]["shapes"] == []


def test_a_broken_entry_is_framed_and_its_residuals_stand_beside_the_others():
    figure = diagram_picture(dataset([0, 0], 1, broken=True))
    _, whole, broken = on(figure, "y5")
    np.testing.assert_allclose(broken["y"], [0.4123, NOTHING], atol=0, rtol=ONE_BIT)
    assert whole["marker"]["symbol"] != broken["marker"]["symbol"]
    assert "Residual 3e−16, broken 0.41<" in words(figure)
    assert "Matrix, broken" in words(figure)
    (frame,) = figure["layout"]["shapes"]
    assert (frame["x0"], frame["x1"], frame["y0"], frame["y1"]) == (-0.5, 0.5, -0.5, 0.5)
    go.Figure(figure)


def test_a_matrix_that_is_much_longer_than_wide_is_stretched():
    for shape, square in (((9, 3), True), ((4, 64), False), ((64, 1), False)):
        figure = diagram_picture(dataset([0, 0], 1, matrix=np.ones(shape)))
        assert ("scaleanchor" in figure["layout"]["yaxis2"]) == square


def test_where_there_is_no_diagram_no_points_are_joined():
    figure = diagram_picture(dataset([0, 0, 0], 2, diagrams=0, shown=0))
    assert [trace["mode"] for trace in figure["data"] if trace.get("xaxis", "x") == "x"] == ["markers"]
    assert "No diagram" in words(figure)
