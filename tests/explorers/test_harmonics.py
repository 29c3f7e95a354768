"""The explorer of harmonics: rounding is all that is left without a mistake, and every mistake leaves something."""

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from tests.explorers.promises import finite, keeps_every_promise
from tests.tolerances import BROKEN, SPACE
from workbench.explorers.harmonics import HarmonicsExplorer
from workbench.measure.harmonics import FEATURES, MISTAKES

SMALL = SPACE[torch.float64]


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    other = {"l": 3, "m": -2, "angle_deg": -70, "axis": "diagonal", "reflected": True, "normalization": "norm",
             "mistake": "transposed", "feature": "all degrees", "draw": 7}  # fmt: skip
    keeps_every_promise(HarmonicsExplorer(), tmp_path, **other)


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("l", range(7))
@pytest.mark.parametrize("axis", ["x", "y", "z", "diagonal"])
def test_the_surface_from_turned_numbers_is_the_turned_surface(l, axis, feature):  # noqa: E741
    state = {"l": l, "m": l - 1, "axis": axis, "feature": feature, "draw": 1 + 3 * l}
    ds = HarmonicsExplorer(angle_deg=77, reflected=bool(l % 2), **state).dataset()
    assert ds.sizes["row"] == ((l + 1) ** 2 if feature == "all degrees" else 2 * l + 1)
    assert float(ds["residual"]) <= SMALL
    assert finite(ds)


@pytest.mark.parametrize(
    ("mistake", "state"),
    [("transposed", {}), ("polar axis", {}), ("parity", {"l": 3, "reflected": True})]
    + [(mistake, {"feature": "one degree", "l": 3, "reflected": True}) for mistake in ("transposed", "parity")]
    + [(mistake, {"feature": "all degrees", "reflected": True}) for mistake in MISTAKES if mistake != "none"],
)
def test_every_mistake_leaves_something(mistake, state):
    state = {"l": 2, "m": 1, "axis": "z", "angle_deg": 40, **state}
    assert float(HarmonicsExplorer(mistake=mistake, **state).dataset()["residual"]) > 0.1
    assert float(HarmonicsExplorer(**state).dataset()["residual"]) <= SMALL


def test_another_draw_is_another_feature_and_one_harmonic_has_none():
    one, other = (
        HarmonicsExplorer(feature="one degree", draw=draw).dataset()["coefficient"].values for draw in (1, 20)
    )
    assert np.abs(one - other).max() > BROKEN
    one, other = (HarmonicsExplorer(draw=draw).dataset()["coefficient"].values for draw in (1, 20))
    assert np.array_equal(one, other)


def test_an_order_beyond_the_degree_is_the_nearest_one():
    assert HarmonicsExplorer(l=1, m=-6).dataset().attrs["order"] == -1
    assert HarmonicsExplorer(l=0, m=3).dataset().attrs["order"] == 0


def test_the_picture_names_both_surfaces_and_the_residual():
    figure = go.Figure(HarmonicsExplorer(l=3, m=-2).figure_dict())
    words = " ".join(note.text for note in figure.layout.annotations)
    assert "l = 3, m = −2" in words
    assert "turned 40°; residual " in words
    assert [trace.type for trace in figure.data] == ["mesh3d", "mesh3d", "heatmap", "bar"]


def test_while_a_control_moves_fewer_directions_are_drawn_and_the_picture_says_so():
    moving, rest = (HarmonicsExplorer(l=3).at(coarse=coarse).dataset() for coarse in (True, False))
    assert (moving.attrs["showing"], rest.attrs["showing"]) == (
        "surfaces of 17 x 32 directions", "surfaces of 33 x 64 directions",
    )  # fmt: skip
    np.testing.assert_allclose(moving["matrix"], rest["matrix"], rtol=0, atol=SMALL)
    assert float(moving["residual"]) < SMALL
