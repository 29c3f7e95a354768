"""What every view shares: refusals, plain text, themes left to the page, one JSON for one Dataset."""

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr

from tests.views import made
from workbench.views.equivariance import orbit_error
from workbench.views.frame import PROVENANCE, degrees, figure, label, require, text
from workbench.views.group import group_picture
from workbench.views.kernels import film_strip
from workbench.views.symmetry import symmetry

VIEWS = {
    "symmetry": (symmetry, made.symmetry_dataset),
    "kernels": (film_strip, made.kernel_dataset),
    "equivariance": (orbit_error, made.error_dataset),
    "group": (group_picture, made.group_dataset),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_a_plain_dictionary_that_plotly_accepts(name):
    view, make = VIEWS[name]
    drawn = view(make())
    assert type(drawn) is dict
    assert set(drawn) == {"data", "layout"}
    assert len(go.Figure(drawn).data) == len(drawn["data"])


@pytest.mark.parametrize("name", VIEWS)
def test_the_same_data_gives_the_same_json_and_the_dataset_is_left_alone(name):
    view, make = VIEWS[name]
    ds, before = make(), make()
    assert go.Figure(view(ds)).to_json() == go.Figure(view(make())).to_json()
    xr.testing.assert_identical(ds, before)


@pytest.mark.parametrize("name", VIEWS)
def test_the_page_sets_the_theme(name):
    view, make = VIEWS[name]
    layout = view(make())["layout"]
    assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
    assert layout["uirevision"] == "constant"


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("attribute", PROVENANCE)
def test_n5_a_view_refuses_arrays_that_do_not_say_where_they_come_from(name, attribute):
    view, make = VIEWS[name]
    ds = make()
    del ds.attrs[attribute]
    with pytest.raises(ValueError, match=f"does not say where its numbers come from .*{attribute}"):
        view(ds)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_names_the_variable_that_is_missing_or_lies_the_wrong_way(name):
    view, make = VIEWS[name]
    needed = {"symmetry": "arc", "kernels": "kernel", "equivariance": "error_mean", "group": "orbit"}[name]
    with pytest.raises(ValueError, match=f"no '{needed}'; expected it over"):
        view(make().drop_vars(needed))
    ds = make()
    ds = ds.assign(
        {needed: ds[needed].rename({ds[needed].dims[0]: "other"}).drop_vars(list(ds[needed].coords), errors="ignore")}
    )
    with pytest.raises(ValueError, match=rf"'{needed}' has dims \('other'"):
        view(ds)


@pytest.mark.parametrize("name", VIEWS)
def test_heat_maps_travel_as_small_binary_arrays_without_gaps_of_nan(name):
    view, make = VIEWS[name]
    for trace in view(make())["data"]:
        if trace["type"] == "heatmap":
            assert isinstance(trace["z"], np.ndarray)
            assert trace["z"].dtype in (np.float32, np.uint8, np.int16)
            assert trace["z"].flags.c_contiguous
            assert np.isfinite(trace["z"]).all()


def test_dims_in_another_order_give_the_same_picture():
    ds = made.kernel_dataset()
    turned = ds.assign(kernel=ds["kernel"].transpose("x", "g_in", "y", "g_out"))
    assert go.Figure(film_strip(ds)).to_json() == go.Figure(film_strip(turned)).to_json()


def test_r17_markup_in_names_is_shown_not_obeyed():
    assert text("<b>%{x}</b> $a$") == "&lt;b&gt;%&#123;x}&lt;/b&gt; &#36;a&#36;"
    for drawn in (
        symmetry(made.symmetry_dataset("<script>")),
        orbit_error(made.error_dataset(markup="<script>")),
    ):
        assert "<script>" not in str(drawn)
        assert "&lt;script&gt;" in str(drawn)


def test_something_that_is_no_dataset_is_refused():
    with pytest.raises(TypeError, match=r"ndarray was given; expected an xarray.Dataset"):
        require(np.zeros(3), "a view")


def test_labels_carry_the_units_of_the_dataset():
    ds = xr.Dataset({"a": ((), 0.0, {"long_name": "turn", "units": "degrees"}), "b_c": ((), 1.0)})
    assert label(ds, "a") == "turn [°]"
    assert label(ds, "b_c") == "b c"


def test_n15_a_part_of_the_data_is_said_in_the_picture():
    ds = xr.Dataset(attrs={"showing": "showing 3 of 9 <b>"})
    words = [note["text"] for note in figure([], ds)["layout"]["annotations"]]
    assert words == ["showing 3 of 9 &lt;b&gt;"]
    assert figure([], xr.Dataset())["layout"]["annotations"] == []


def test_angles_are_written_as_people_write_them():
    assert [degrees(a) for a in (-0.0, -22.5, 90)] == ["0°", "−22.5°", "90°"]
