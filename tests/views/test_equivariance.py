"""The error curve: floors and controls beside it, exact angles marked, an honest zero on a logarithmic axis."""

import numpy as np
import pytest

from tests.tolerances import AGAIN, AGAIN_SINGLE, ONE_BIT
from tests.views import made
from workbench.views import palette
from workbench.views.equivariance import LOWEST, orbit_error


def named(figure: dict, name: str) -> dict:
    return next(trace for trace in figure["data"] if trace.get("name") == name)


def test_n2_both_floors_are_on_the_plot_and_the_resampler_is_named():
    figure = orbit_error(made.error_dataset())
    for name in ("input floor", "output floor"):
        floor = named(figure, name)
        assert floor["line"]["color"] == palette.NEUTRAL
        assert floor["line"]["dash"] in ("dot", "dash")
    headings = [note["text"] for note in figure["layout"]["annotations"]]
    assert any("bicubic" in text for text in headings)
    ds = made.error_dataset()
    del ds.attrs["resampler"]
    with pytest.raises(ValueError, match="resampler"):
        orbit_error(ds)


def test_n3_exact_angles_are_marked_by_dots_and_lines():
    figure = orbit_error(made.error_dataset())
    dots = named(figure, "the network, exact angles")
    assert dots["x"].tolist() == [0, 90, 180, 270, 360]
    assert np.allclose(dots["y"], 2e-7, rtol=ONE_BIT, atol=0)
    lines = [shape for shape in figure["layout"]["shapes"] if shape["type"] == "line"]
    assert [line["x0"] for line in lines] == [0, 90, 180, 270, 360]


def test_n12_controls_have_their_own_colours_and_are_named_beside_their_curves():
    figure = orbit_error(made.error_dataset())
    colours = {named(figure, name)["line"]["color"] for name in ("the network", "plain network", "kernels in disorder")}
    assert len(colours) == 3
    labels = [note for note in figure["layout"]["annotations"] if note.get("yref") == "y"]
    assert {label["text"] for label in labels} >= {"the network", "plain network", "kernels in disorder"}
    assert {label["text"] for label in labels} >= {"input floor ·····", "output floor – –"}, (
        "grey lines by their stroke"
    )


@pytest.mark.parametrize("log", [True, False])
def test_direct_labels_stay_on_the_axis_and_apart(log):
    figure = orbit_error(made.error_dataset(), log=log)
    low, high = figure["layout"]["yaxis"]["range"]
    heights = sorted(note["y"] for note in figure["layout"]["annotations"] if note.get("yref") == "y")
    assert len(heights) == 7
    assert low <= heights[0]
    assert heights[-1] <= high + 1e-9
    assert np.diff(heights).min() >= 0.99 * (high - low) / 15


def test_zero_is_drawn_far_below_on_a_logarithmic_axis_and_as_zero_on_a_linear_one():
    logarithmic, linear = (
        named(orbit_error(made.error_dataset(), log=log), "input floor")["y"] for log in (True, False)
    )
    assert logarithmic.min() == np.float32(LOWEST)
    assert linear.min() == 0
    axis = orbit_error(made.error_dataset(), log=True)["layout"]["yaxis"]
    assert axis["type"] == "log"
    assert axis["range"][0] == pytest.approx(-7.15, rel=AGAIN)


def test_axes_have_titles_and_whole_degrees():
    layout = orbit_error(made.error_dataset())["layout"]
    assert layout["xaxis"]["title"]["text"] == "input turned by [°]"
    assert layout["xaxis"]["range"] == [0, 360]
    assert layout["yaxis"]["title"]["text"] == "relative error"


def test_hover_gives_angle_value_and_standard_error():
    curve = named(orbit_error(made.error_dataset()), "the network")
    assert "%{x:.1f}°: %{y:.2e} ± %{customdata:.1e}" in curve["hovertemplate"]
    assert np.allclose(curve["customdata"], 0.1 * np.maximum(curve["y"], 0), atol=0, rtol=1e-5)


def test_overlays_are_drawn_only_where_given():
    ds = made.error_dataset()
    assert named(orbit_error(ds), "partial layer, error")["y"].tolist() == pytest.approx([0.7] * 9, rel=AGAIN_SINGLE)
    names = [trace.get("name") for trace in orbit_error(ds.drop_vars(["delta", "sqrt_two_delta"]))["data"]]
    assert "partial layer, error" not in names


def test_the_cursor_stands_at_the_angle_shown():
    assert named(orbit_error(made.error_dataset()), "angle shown")["x"].tolist() == [30, 30]
