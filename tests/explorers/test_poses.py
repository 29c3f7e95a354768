"""The explorer of poses: answers move as one piece, both ends of the list show, and the published faults stand out."""

import math

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from tests.explorers.promises import keeps_every_promise
from tests.tolerances import BROKEN, EXACT
from workbench.explorers.poses import SEVEN, PosesExplorer
from workbench.kernels import OF_SIMILARITIES
from workbench.kernels.faults import RELEASED, TRANSPOSED, VIEWED

SMALL = {"kernel_size": 7, "n": 4, "scales": 3}
STEP = 1.74**0.25


def coarse(**state):
    return PosesExplorer().at(coarse=True, **state).dataset()


def at_angle(ds, angle_deg: float) -> dict[str, float]:
    errors = ds["error_mean"].values[:, list(ds["angle_deg"].values).index(angle_deg)]
    return dict(zip(ds["model"].values, errors, strict=True))


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    other = {**SMALL, "layer": 1, "fault": "released", "factorisation": "dseparable", "enlarged": 0.8}
    keeps_every_promise(PosesExplorer(**SMALL), tmp_path, **other)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_quarter_turn_moves_every_answer_sideways_and_round(layer, quarters):
    ds = coarse(layer=layer, angle_deg=90 * quarters, enlarged=1)
    moved = np.roll(ds["upright"].values, 2 * quarters, axis=1)
    assert np.abs(ds["moved"].values - moved).max() <= 10 * EXACT[torch.float32]
    assert (ds["found_deg"], ds["found_factor"]) == (ds["expected_deg"], ds["start_factor"])


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("steps", [-2, -1, 1, 2])
def test_a_step_of_scale_moves_the_rows_that_stay_and_the_strongest_of_them(layer, steps):
    ds = coarse(layer=layer, angle_deg=0, enlarged=round(STEP**steps, 2))
    low, high = round(float(ds["block_low"])), round(float(ds["block_high"]))
    assert high - low + 1 == 5 - 2 * layer - abs(steps)
    before, after = ds["upright"].values[low : high + 1], ds["moved"].values[low + steps : high + 1 + steps]
    error = np.linalg.norm(after - before) / np.linalg.norm(before)
    assert error < BROKEN
    assert float(ds["found_factor"]) == pytest.approx(float(ds["expected_factor"]), rel=0.02)
    assert float(ds["found_deg"]) == float(ds["expected_deg"])


def test_rows_at_the_ends_are_the_twin_that_does_not_move_along():
    ds = coarse(layer=1, angle_deg=0, enlarged=round(STEP, 2))
    before, after = ds["upright"].values[[0, 3]], ds["moved"].values[[1, 4]]
    assert np.linalg.norm(after - before) / np.linalg.norm(before) > BROKEN


def test_answers_leave_the_list_when_the_picture_grows_beyond_it():
    ds = coarse(layer=1, enlarged=2)
    assert math.isnan(float(ds["found_deg"]))
    marks = [trace for trace in PosesExplorer(**SMALL).view(ds)["data"] if trace.get("name") == "none"]
    assert len(marks) == 3
    assert all(len(mark["x"]) == 0 for mark in marks)


def test_without_a_mistake_all_seven_are_exact_at_quarter_turns():
    ds = PosesExplorer(**SMALL).dataset()
    assert list(ds["model"].values) == ["separable", *(name for name in SEVEN if name != "separable")]
    assert float(ds["error_mean"].where(ds["lattice"], drop=True).max()) <= EXACT[torch.float32]
    assert float(ds["error_mean"].where(~ds["lattice"], drop=True).max()) > BROKEN


@pytest.mark.parametrize(("fault", "right"), [(TRANSPOSED, set()), (VIEWED, set(OF_SIMILARITIES))])
def test_a_mistake_shows_at_a_quarter_turn_wherever_there_is_a_place_for_it(fault, right):
    found = at_angle(PosesExplorer(**SMALL, fault=fault).dataset(), 90)
    assert {name for name, error in found.items() if error <= EXACT[torch.float32]} == right
    assert min([error for name, error in found.items() if name not in right]) > BROKEN


def test_the_released_code_fails_in_its_five_and_half_turns_tell_which_mistake_it_is():
    ds = PosesExplorer(**SMALL, fault="released").dataset()
    wrong = {name for name, error in at_angle(ds, 90).items() if error > BROKEN}
    assert wrong == set(RELEASED)
    assert {name for name, error in at_angle(ds, 180).items() if error > BROKEN} == {
        name for name, fault in RELEASED.items() if fault == VIEWED
    }


def test_a_moving_control_keeps_the_curves_and_computes_the_chosen_one_where_they_are_not_known():
    explorer = PosesExplorer(**SMALL)
    assert explorer.at(coarse=True).dataset().sizes["model"] == 1
    full = explorer.dataset()
    moving = explorer.at(coarse=True, angle_deg=33).dataset()
    assert moving["error_mean"].identical(full["error_mean"])
    other = explorer.at(coarse=True, factorisation="dseparable").dataset()
    assert other["model"].values[0] == "dseparable"
    np.testing.assert_array_equal(other["error_mean"].sel(model="separable"), full["error_mean"].sel(model="separable"))


def test_a_picture_of_ones_own_is_turned():
    explorer = PosesExplorer(**SMALL)
    stored = explorer.at(coarse=True).dataset()
    explorer.set_image(np.eye(30))
    assert not np.allclose(explorer.at(coarse=True).dataset()["picture"], stored["picture"], rtol=BROKEN, atol=0)
    assert explorer.showing == ""


def test_the_picture_has_its_panels_titles_and_units():
    figure = go.Figure(PosesExplorer(**SMALL, fault="released").figure_dict())
    titles = [note.text for note in figure.layout.annotations]
    assert sum("Answers to it" in title for title in titles) == 2
    assert any("turned 90°" in title for title in titles)
    assert {figure.layout.xaxis3.title.text, figure.layout.xaxis4.title.text} == {"angle of the pose [°]"}
    names = [trace.name for trace in figure.data]
    assert all(f"{name}, inside the list" in names for name in SEVEN)
