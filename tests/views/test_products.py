"""What the picture of a tensor product says where there is a path and where there is none."""

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr

from tests.views.made import ATTRS
from workbench.measure.dataset import labelled
from workbench.views.products import product_picture

BEFORE = np.array([[2.0, 1.0, 0.0], [-1.0, 0.5, 0.25], [0.0, -0.5, 1.5]])
AFTER = np.array([[1.0, 0.0, -0.75], [0.0, -2.0, 0.0], [0.75, 0.0, 1.0]])
"""Neither is its own transpose, so that rows in the place of columns would be seen."""


def dataset(path, reflections=1) -> xr.Dataset:
    numbers = {"entries_before": 9, "entries_after": 3, "rest": 2e-16, "shares": 3}
    return xr.Dataset(
        {
            "path": labelled(("filter", "result"), np.array(path, dtype=np.int8), "path"),
            "before": labelled(("m_in", "m_out"), BEFORE, "before"),
            "after": labelled(("m_in", "m_out"), AFTER, "after"),
            **{name: labelled((), number, name) for name, number in numbers.items()},
        },
        coords={name: labelled(name, [-1, 0, 1], name) for name in ("m_in", "m_out")}
        | {"filter": labelled("filter", [0, 1], "l"), "result": labelled("result", [0, 1], "l")},
        attrs={**ATTRS, "l_in": 1, "l_filter": 1, "l_out": 1, "kind": "odd", "reflections": reflections},
    )


def headline(figure) -> str:
    return figure["layout"]["annotations"][0]["text"]


def test_even_and_odd_paths_have_marks_of_their_own_and_the_chosen_one_a_ring():
    figure = product_picture(dataset([[0, 2], [2, 1]], reflections=0))
    even, odd, chosen = figure["data"][:3]
    assert (even["x"].tolist(), even["y"].tolist()) == ([1, 0], [0, 1])
    assert (odd["x"].tolist(), odd["y"].tolist()) == ([1], [1])
    assert (chosen["x"], chosen["y"]) == ([1], [1])
    assert odd["marker"]["symbol"] == "circle"
    assert "at most 2e−16; 3 paths" in headline(figure)
    go.Figure(figure)


@pytest.mark.parametrize(("path", "words"), [([[0, 2], [2, 1]], "odd sum"), ([[0, 2], [2, 0]], "no triangle")])
def test_a_path_that_is_not_there_is_said_with_its_reason(path, words):
    figure = product_picture(dataset(path))
    assert words in headline(figure)
    assert [note["text"] for note in figure["layout"]["annotations"]].count("0") == 2
    assert figure["data"][1]["marker"]["symbol"] == "circle-open"


def test_both_maps_share_one_scale_and_keep_their_numbers():
    before, after = product_picture(dataset([[2, 2], [2, 2]]))["data"][3:]
    assert before["zmax"] == after["zmax"] == -after["zmin"] == 2.0
    assert np.asarray(before["z"]).tolist() == BEFORE.tolist()
    assert np.asarray(after["z"]).tolist() == AFTER.tolist()


def test_orders_of_the_feature_are_rows_and_those_of_the_result_columns():
    """Of l = 1 to l = 2, where a map with rows and columns exchanged has another shape as well."""
    ds = dataset([[2, 2], [2, 2]]).drop_dims("m_out")
    wide = np.arange(15.0).reshape(3, 5)
    maps = {name: labelled(("m_in", "m_out"), wide, name) for name in ("before", "after")}
    ds = ds.assign(maps).assign_coords(m_out=labelled("m_out", [-2, -1, 0, 1, 2], "m_out"))
    for drawn in product_picture(ds)["data"][3:]:
        assert np.asarray(drawn["z"]).tolist() == wide.tolist()
        assert drawn["x"] == ["-2", "-1", "0", "1", "2"]
        assert drawn["y"] == ["-1", "0", "1"]


def test_a_dataset_typed_by_hand_is_refused():
    ds = dataset([[2, 2], [2, 2]])
    ds.attrs.pop("created_by")
    with pytest.raises(ValueError, match="where its numbers come from"):
        product_picture(ds)
