"""Many pictures in one heat map: every tile where it belongs, gaps constant."""

import numpy as np
import pytest

from tests.tolerances import AGAIN
from workbench.views import palette
from workbench.views.mosaic import GAP, centres, gap_value, magnitude, outline, signed, tiles


@pytest.mark.parametrize("shape", [(1, 1, 3, 3), (2, 3, 4, 5), (8, 8, 7, 7)])
def test_every_tile_lies_in_its_row_and_column(shape):
    rows, columns, height, width = shape
    values = np.random.default_rng(0).random(shape)
    sheet = tiles(values, fill=-1)
    assert sheet.shape == (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP)
    for row in range(rows):
        for column in range(columns):
            top, left = row * (height + GAP), column * (width + GAP)
            assert np.array_equal(sheet[top : top + height, left : left + width], values[row, column])
    assert (sheet == -1).sum() == sheet.size - values.size


def test_centres_and_outlines_point_at_their_tiles():
    sheet = tiles(np.arange(6.0)[None, :, None, None] * np.ones((1, 6, 5, 5)))
    for column, x in enumerate(centres(6, 5)):
        assert sheet[2, int(x)] == column
        frame = outline(0, column, 5, 5, palette.PINK)
        assert frame["x0"] < x < frame["x1"]
        assert frame["x1"] - frame["x0"] == pytest.approx(5 + GAP / 2, rel=AGAIN)


def test_the_gap_of_a_mosaic_of_magnitudes_is_drawn_as_the_page():
    trace = magnitude(np.array([[0.0, 1.0]]), 0.0, 1.0)

    def colour(value: float) -> str:
        at = (value - trace["zmin"]) / (trace["zmax"] - trace["zmin"])
        return [c for place, c in trace["colorscale"] if place <= at][-1]

    assert colour(gap_value(0.0, 1.0)) == palette.CLEAR
    assert colour(-0.2) == palette.SEQUENTIAL[0][1], "overshoot of a resampler is dark, not a hole"
    assert colour(0.0) == palette.SEQUENTIAL[0][1]
    assert colour(1.0) == palette.SEQUENTIAL[-1][1]
    places = [place for place, _ in trace["colorscale"]]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0.0, 1.0)


def test_signed_values_are_symmetric_about_zero():
    trace = signed(np.array([[1.0]]), 2.5)
    assert (trace["zmin"], trace["zmax"]) == (-2.5, 2.5)
    assert trace["colorscale"] == palette.DIVERGING


@pytest.mark.parametrize("kind", [np.uint8, np.int16])
def test_small_integers_stay_small(kind):
    assert signed(np.ones((2, 2), dtype=kind), 1.0)["z"].dtype == kind
    assert signed(np.ones((2, 2), dtype=np.int64), 1.0)["z"].dtype == np.float32
