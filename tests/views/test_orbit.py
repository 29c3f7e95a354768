"""Curves along an orbit that is no circle: the axis, the hover labels and the cursor follow its units."""

import numpy as np
import pytest

from tests.views import made
from workbench.measure.dataset import labelled
from workbench.views.orbit import curves, heading


def shifted():
    ds = made.error_dataset()
    place = np.linspace(0, 8, ds.sizes["transform"])
    ds = ds.drop_vars([name for name in ("angle_deg", "angle_shown_deg") if name in ds.variables])
    ds = ds.assign_coords(shift_x_px=labelled("transform", place, "input shifted right by", "pixels"))
    return ds.assign(shown=labelled((), 2.5, "input shifted right by", "pixels")).assign_attrs(along="shift_x_px")


def test_shifts_are_an_orbit_in_pixels():
    traces, layout, _, shapes = curves(shifted(), True, (0.2, 0.8))
    assert layout["xaxis"]["title"]["text"] == "input shifted right by [pixels]"
    assert layout["xaxis"]["range"] == [0, 8]
    assert layout["xaxis"]["ticksuffix"] == ""
    assert "shifted right by %{x:.1f} px" in next(t["hovertemplate"] for t in traces if "hovertemplate" in t)
    assert next(t for t in traces if t.get("name") == "place shown")["x"].tolist() == [2.5, 2.5]
    assert all((shape["y0"], shape["y1"]) == (0.2, 0.8) for shape in shapes)
    assert "at every place" in heading(shifted(), (0.2, 0.8))["text"]


def test_a_place_that_the_attribute_names_must_be_there():
    with pytest.raises(ValueError, match="no 'nowhere'"):
        curves(shifted().assign_attrs(along="nowhere"), True, (0.0, 1.0))
