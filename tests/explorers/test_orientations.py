"""The explorer of orientations: exact where a turn permutes the grid, and blind where three invariants are."""

import numpy as np
import plotly.graph_objects as go
import pytest

from tests.explorers.promises import keeps_every_promise
from tests.tolerances import BROKEN
from workbench.explorers.orientations import GRIDS, OrientationsExplorer

EXACT_ERROR = 1e-12
ICOSAHEDRAL = ("icosahedron", "dodecahedron", "icosahedral(32)")


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(
        OrientationsExplorer(), tmp_path, grid="fibonacci(32)", axis="none", turn_deg=80, around_deg=10, seed=3
    )


@pytest.mark.parametrize(("axis", "turn_deg"), [("vertex", 72), ("vertex", 144), ("face", 120), ("edge", 180)])
def test_symmetries_of_the_icosahedron_are_exact_on_its_grids_and_on_no_spiral(axis, turn_deg):
    ds = OrientationsExplorer(axis=axis, turn_deg=turn_deg).dataset()
    errors = dict(zip(ds["name"].values, ds["error"].values, strict=True))
    assert max(errors[name] for name in ICOSAHEDRAL) < EXACT_ERROR
    assert min(errors[name] for name in GRIDS if name.startswith("fibonacci")) > BROKEN
    moved, point = ds["moved"].values, ds["point"].values
    assert np.abs(moved[:, None] - point).max(-1).min(1).max() < EXACT_ERROR


@pytest.mark.parametrize(("axis", "turn_deg"), [("none", 72), ("vertex", 36), ("face", 60)])
def test_other_turns_cost_something_on_every_grid(axis, turn_deg):
    ds = OrientationsExplorer(axis=axis, turn_deg=turn_deg, grid="dodecahedron").dataset()
    assert float(ds["error"].min()) > 1e3 * EXACT_ERROR


def test_the_curve_passes_through_the_chosen_turn():
    ds = OrientationsExplorer(turn_deg=42, grid="dodecahedron").dataset()
    assert float(ds["curve"].sel(angle_deg=42)) == pytest.approx(float(ds["error"].sel(name="dodecahedron")), rel=1e-9)
    zeros = ds["curve"].sel(angle_deg=[0, 72, 144, 216, 288, 360]) if 72 in ds["angle_deg"] else ds["curve"][[0]]
    assert float(zeros.max()) < EXACT_ERROR
    coarse = OrientationsExplorer(turn_deg=42, grid="dodecahedron").at(coarse=True).dataset()
    assert coarse.sizes["angle_deg"] < ds.sizes["angle_deg"]


def test_three_invariants_do_not_see_the_senders_turn_and_two_do():
    ds = OrientationsExplorer().dataset()
    swing = np.ptp(ds["invariant"].values, axis=1)
    assert swing[:3].max() < EXACT_ERROR
    assert swing[3:].min() > 1
    at = OrientationsExplorer(around_deg=120).dataset()
    np.testing.assert_allclose(at["invariant_now"], at["invariant"].sel(around_deg=120), rtol=0, atol=EXACT_ERROR)


def test_the_picture_has_its_panels():
    ds = OrientationsExplorer().dataset()
    figure = go.Figure(OrientationsExplorer().figure_dict())
    titles = " ".join(note.text for note in figure.layout.annotations)
    assert "12 orientations" in titles
    assert "strength 5" in titles
    assert [len(trace.x) for trace in figure.data[:2]] == [12, 12]
    assert figure.data[0].type == "scatter3d"
    assert ds.attrs["strength"] == 5


def test_a_moving_control_still_sees_that_most_turns_cost_something():
    ds = OrientationsExplorer().at(coarse=True).dataset()
    assert float(ds["curve"].max()) > 1e3 * EXACT_ERROR
    assert ds.attrs["showing"] == f"showing {ds.sizes['name']} of {len(GRIDS)} grids"
