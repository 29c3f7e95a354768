"""Stored curves: their spread, a cursor, and what is no number marked as such."""

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr

from tests.tolerances import AGAIN, AGAIN_SINGLE
from tests.views.made import ATTRS
from workbench.measure.dataset import labelled
from workbench.views.stored_curves import stored_curves


def dataset(**attrs) -> xr.Dataset:
    middle = np.array([[1e-3, 1e-2, np.nan], [1e-6, 1e-6, 1e-6]])
    return xr.Dataset(
        {name: labelled(("series", "at"), middle * by, "error") for name, by in
         (("low", 0.5), ("middle", 1), ("high", 2))},
        {"series": labelled("series", ["one", "<b>two</b>"], "series"), "at": labelled("at", [-1, -2, -3], "power")},
        {**ATTRS, "chosen": -2, "headline": "here 1", **attrs},
    )  # fmt: skip


def test_curves_keep_their_numbers_their_spread_and_the_cursor():
    figure = stored_curves(dataset())
    assert figure["data"][0]["y"][:2].tolist() == pytest.approx([1e-3, 1e-2], rel=AGAIN_SINGLE)
    assert figure["data"][0]["error_y"]["array"][1] == pytest.approx(1e-2, rel=AGAIN)
    assert figure["data"][0]["error_y"]["arrayminus"][1] == pytest.approx(5e-3, rel=AGAIN)
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [-2.0]
    assert [curve["marker"]["size"].argmax() for curve in figure["data"]] == [1, 1]
    assert stored_curves(dataset(chosen=-3))["data"][0]["marker"]["size"].argmax() == 2
    assert figure["layout"]["annotations"][0]["text"] == "<b>here 1</b>"
    assert figure["data"][1]["name"] == "&lt;b&gt;two&lt;/b&gt;"
    go.Figure(figure)


def test_what_is_no_number_is_marked_above_the_curves_where_it_means_something():
    assert len(stored_curves(dataset())["data"]) == 2
    figure = stored_curves(dataset(gaps="not a number"))
    (mark,) = figure["data"][2:]
    assert mark["x"].tolist() == [-3]
    assert mark["y"][0] > 2e-2
    assert "not a number" in [note["text"] for note in figure["layout"]["annotations"]]
    go.Figure(figure)


def test_a_reference_is_drawn_and_ticks_have_names():
    layout = stored_curves(dataset(reference=1e-4, words="as good", tick_words="a|b|pole"))["layout"]
    assert layout["shapes"][1]["y0"] == 1e-4
    assert layout["annotations"][1]["text"] == "as good"
    assert layout["xaxis"]["ticktext"] == ["a", "b", "pole"]


def test_a_dataset_typed_by_hand_is_refused():
    ds = dataset()
    ds.attrs.pop("created_by")
    with pytest.raises(ValueError, match="where its numbers come from"):
        stored_curves(ds)
