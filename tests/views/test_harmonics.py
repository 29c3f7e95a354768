"""The view of harmonics: radius and colour are the function, the polar axis points up, and the door is watched."""

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from tests.tolerances import BROKEN, EXACT
from workbench.measure.harmonics import turned_harmonic
from workbench.views.harmonics import NAMES, harmonic_picture

STILL = (1.0, 0.0, 0.0, 0.0, 1.0)
HALF = np.radians(20)
TURNED = (np.cos(HALF), *np.sin(HALF) * np.array([2, 1, 2]) / 3, 1.0)
"""By 40 degrees about an axis that no pole lies on, so that D(g) is not its own transpose."""
DRAWN = EXACT[torch.float32]


def picture(**options) -> go.Figure:
    return go.Figure(harmonic_picture(turned_harmonic(2, 1, STILL, **options)))


def test_the_radius_is_the_size_of_the_function_and_the_colour_its_sign_before_and_after() -> None:
    ds = turned_harmonic(2, 1, TURNED)
    assert float(np.abs(ds["value"][1] - ds["value"][0]).max()) > BROKEN, "two pictures, not one"
    figure = go.Figure(harmonic_picture(ds))
    for at, scene in enumerate(("scene", "scene2")):
        surface = figure.data[at]
        assert surface.scene == scene
        value = ds["value"].values[at]
        drawn = np.stack([surface.x, surface.y, surface.z], -1).reshape(*value.shape, 3)
        np.testing.assert_allclose(drawn, np.abs(value)[..., None] * ds["direction"], rtol=0, atol=DRAWN)
        np.testing.assert_allclose(surface.intensity, value.ravel(), rtol=0, atol=DRAWN)


def test_the_triangles_of_a_surface_close_the_sphere_once() -> None:
    ds = turned_harmonic(0, 0, STILL)
    surface = go.Figure(harmonic_picture(ds)).data[0]
    points = np.stack([surface.x, surface.y, surface.z], -1)
    one, two, three = (points[corner] for corner in (surface.i, surface.j, surface.k))
    normal = np.cross(two - one, three - one) / 2
    area = np.linalg.norm(normal, axis=1).sum() / (4 * np.pi * np.linalg.norm(points[0]) ** 2)
    assert 0.995 < area < 1
    assert (np.einsum("tx,tx->t", normal, one + two + three) >= 0).all(), "all seen from outside"


def test_the_map_of_d_has_orders_before_in_columns_and_after_in_rows() -> None:
    ds = turned_harmonic(2, 1, TURNED)
    matrix = ds["matrix"].transpose("row", "column").values
    assert np.abs(matrix - matrix.T).max() > BROKEN
    drawn = go.Figure(harmonic_picture(ds)).data[2]
    np.testing.assert_allclose(drawn.z, matrix, rtol=0, atol=DRAWN)
    turned = ds["value"].values[1].ravel()
    others = [turned_harmonic(2, m, STILL)["value"].values[0].ravel() for m in range(-2, 3)]
    column = np.linalg.lstsq(np.stack(others, 1), turned, rcond=None)[0]
    np.testing.assert_allclose(np.asarray(drawn.z)[:, 3], column, rtol=0, atol=DRAWN)  # where m = 1 goes


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


def words(figure: go.Figure) -> str:
    return " | ".join(note.text for note in figure.layout.annotations)


@pytest.mark.parametrize(
    ("feature", "said"), [("one degree", "Degree 2: 5 numbers"), ("all degrees", "Degrees 0 to 2: 9 numbers")]
)
def test_a_feature_has_its_lengths_before_and_after_in_bars_and_its_heading_says_which(feature: str, said: str) -> None:
    ds = turned_harmonic(2, 0, TURNED, mistake="block order", feature=feature)
    figure = go.Figure(harmonic_picture(ds))
    assert said in words(figure)
    assert "D(g), blocks reversed" in words(figure)
    assert [bar.name for bar in figure.data[3:]] == ["before", "after"]
    for bar, lengths in zip(figure.data[3:], ds["feature_length"].values, strict=True):
        np.testing.assert_allclose(bar.y, lengths, rtol=0, atol=DRAWN)
        assert bar.marker.color in words(figure)
    moved = np.abs(np.subtract(figure.data[3].y, figure.data[4].y)).max()
    assert (moved > BROKEN) == (feature == "all degrees"), "what mixes degrees is seen"


def test_one_harmonic_keeps_the_lengths_of_the_harmonics() -> None:
    figure = picture(normalization="norm")
    assert len(figure.data) == 4
    np.testing.assert_allclose(figure.data[3].y, np.ones(7), rtol=0, atol=DRAWN)


def test_of_49_rows_those_in_the_middle_of_a_degree_have_names_where_there_is_room() -> None:
    figure = go.Figure(harmonic_picture(turned_harmonic(6, 0, STILL, feature="all degrees")))
    names = list(figure.data[2].x)
    assert len(names) == len(set(names)) == 49
    for one in (figure.layout.xaxis, figure.layout.yaxis):
        shown = [names.index(name) for name in one.tickvals]
        assert np.diff(shown).min() >= 49 / NAMES
        assert [names[at] for at in shown] == ["2, 0", "3, 0", "4, 0", "5, 0", "6, 0"]
    assert picture().layout.xaxis.tickvals is None
    alone = go.Figure(harmonic_picture(turned_harmonic(0, 0, STILL, feature="all degrees")))
    assert list(alone.data[2].x) == ["0"]
    assert "Degree 0: 1 number<" in words(alone)


def test_a_dataset_without_its_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match="view of harmonics: the Dataset has no 'matrix'"):
        harmonic_picture(turned_harmonic(1, 0, STILL).drop_vars("matrix"))
    with pytest.raises(ValueError, match="does not say where its numbers come from"):
        harmonic_picture(turned_harmonic(1, 0, STILL).drop_attrs())
