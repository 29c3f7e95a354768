"""Circles side by side on one axis, and the kernels of each layer in one heat map below."""

import numpy as np
import pytest

from tests.tolerances import ONE_BIT
from tests.views import made
from workbench.views import palette
from workbench.views.circles import KERNELS_TOP, LABELS_TOP, SPACING, circle_count, circles, colours, kernel_strip


def test_there_is_one_circle_for_each_layer_and_one_for_the_reader():
    ds = made.symmetry_dataset()
    assert circle_count(ds) == 5
    assert circle_count(ds.drop_vars("what_if_arc")) == 4
    assert len([note for note in circles(ds)[1] if note["y"] == LABELS_TOP]) == 5


def test_learned_layers_have_the_colours_of_their_curves_and_fixed_ones_are_grey():
    assert colours(made.symmetry_dataset()) == [palette.NEUTRAL, palette.BLUE, palette.ORANGE, palette.GREEN]


def test_kernels_lie_below_their_own_circle():
    (strip,) = kernel_strip(made.symmetry_dataset())
    assert strip["z"].shape == (len(strip["y"]), len(strip["x"]))
    assert strip["y"].max() < KERNELS_TOP
    for layer in range(4):
        near = np.abs(strip["x"] - SPACING * layer) < 1
        shown = np.unique(strip["z"][:, near])
        expected = np.unique(np.float32([0, layer, layer + 0.1]))
        assert np.allclose(shown, expected, rtol=ONE_BIT, atol=0)
        places = strip["x"][near & (np.abs(strip["z"]).max(0) > 0)]
        if layer:
            assert places.mean() == pytest.approx(SPACING * layer, abs=1e-5)


def test_an_element_that_is_not_drawn_is_hidden_but_keeps_its_place_in_the_array():
    traces, _ = circles(made.symmetry_dataset())
    last = [trace for trace in traces if trace.get("mode") == "markers"][-1]
    assert last["marker"]["size"].tolist() == [6, 6, 0]
