"""The view of harmonics: radius and colour are the function, the polar axis points up, and the door is watched."""

import numpy as np
import plotly.graph_objects as go
import pytest

from workbench.measure.harmonics import turned_harmonic
from workbench.views.harmonics import harmonic_picture

STILL = (1.0, 0.0, 0.0, 0.0, 1.0)


def picture(**options) -> go.Figure:
    return go.Figure(harmonic_picture(turned_harmonic(2, 1, STILL, **options)))


def test_the_radius_is_the_size_of_the_function_and_the_colour_its_sign() -> None:
    ds = turned_harmonic(2, 1, STILL)
    surface = picture().data[0]
    radius = np.sqrt(np.square([surface.x, surface.y, surface.z]).sum(0))
    np.testing.assert_allclose(radius, np.abs(ds["value"][0]), rtol=0, atol=1e-5)
    np.testing.assert_allclose(surface.surfacecolor, ds["value"][0], rtol=0, atol=1e-5)


def test_the_polar_axis_points_up_and_both_spaces_keep_one_scale() -> None:
    layout = picture().layout
    assert layout.scene.camera.up.y == 1
    assert layout.scene.xaxis.range == layout.scene2.zaxis.range
    assert layout.scene.domain.x[1] < layout.scene2.domain.x[0]
    assert layout.xaxis.domain[0] > layout.scene2.domain.x[1]


def test_axes_have_titles_and_orders_are_categories() -> None:
    figure = picture()
    assert figure.layout.xaxis.title.text == "order m before"
    assert figure.layout.yaxis.title.text == "order m after"
    assert list(figure.data[2].x) == ["-2", "-1", "0", "1", "2"]
    assert "33 x 64 directions" in figure.layout.annotations[-1].text


def test_a_dataset_without_its_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match="view of harmonics: the Dataset has no 'matrix'"):
        harmonic_picture(turned_harmonic(1, 0, STILL).drop_vars("matrix"))
    with pytest.raises(ValueError, match="does not say where its numbers come from"):
        harmonic_picture(turned_harmonic(1, 0, STILL).drop_attrs())
