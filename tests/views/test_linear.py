"""Where the picture of a linear map puts its parts, and what it says of maps without coordinates."""

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr

from tests.tolerances import AGAIN
from tests.views.made import ATTRS
from workbench.measure.dataset import labelled
from workbench.views.linear import LOWEST, linear_picture


def dataset(**changed) -> xr.Dataset:
    given = {"coordinate": [0.5, -0.2, np.pi / 2, 0.0], "determinant": 1.0, "exponential": True} | changed
    stages = np.stack([np.eye(2)] * 3 + [np.array([[0.0, -1.0], [2.0, 0.0]])])
    return xr.Dataset(
        {
            "picture": labelled(("stage", "y", "x"), np.zeros((4, 3, 3), np.float32), "The picture"),
            "so_far": labelled(("stage", "row", "column"), stages, "what is done so far"),
            "coordinate": labelled("name", np.array(given["coordinate"]), "polar coordinates"),
            "stretch": labelled("axis", [1.6, 0.6], "factors"),
            "determinant": labelled((), given["determinant"], "determinant"),
            "exponential": labelled((), given["exponential"], "an exponential"),
            "u": labelled("sample", [0.1, -0.4], "u: along x"),
            "q": labelled("sample", [0.0, 0.3], "q: along the diagonal"),
            "weight": labelled("sample", [0.25, 4.0], "weight"),
            "error": labelled(("samples", "count"), [[0.3, 1e-9], [0.3, 0.2]], "error"),
        },
        {
            "stage": labelled("stage", ["as it is", "turned", "stretched", "<b>scaled</b>"], "stage"),
            "samples": labelled("samples", ["with weights", "without"], "samples"),
            "count": labelled("count", [10, 100], "number of samples"),
        },
        {**ATTRS, "group": "SL(2)"},
    )


def test_arrows_are_the_columns_of_the_map_and_dots_grow_with_the_weight():
    figure = linear_picture(dataset())
    right, up = figure["data"][3:5]
    assert (right["x"][1], right["y"][1]) == (0, 2)
    assert (up["x"][1], up["y"][1]) == (-1, 0)
    small, large = figure["data"][5]["marker"]["size"]
    assert large == pytest.approx(4 * small, rel=AGAIN)
    assert figure["layout"]["xaxis"]["ticktext"][-1] == "&lt;b&gt;scaled&lt;/b&gt;"
    assert figure["data"][-2]["y"][1] == pytest.approx(LOWEST, rel=AGAIN)
    go.Figure(figure)


def test_the_headline_gives_the_coordinates_or_says_why_there_are_none():
    def said(ds: xr.Dataset) -> str:
        return linear_picture(ds)["layout"]["annotations"][0]["text"]

    assert "Turned by 90°, u = 0.50, q = -0.20, scaled by 1.00" in said(dataset())
    assert "no real matrix has it" not in said(dataset())
    assert "no real matrix has it as its exponential" in said(dataset(exponential=False))
    assert "Determinant -1.00: the plane is turned over" in said(dataset(coordinate=[np.nan] * 4, determinant=-1.0))
