"""The explorer of activations: the table and the measure agree in every cell, and the trap and the remedy show."""

import numpy as np
import pytest
import torch

from tests.explorers.promises import finite, keeps_every_promise
from tests.tolerances import BROKEN, EXACT
from workbench.explorers.activations import FREQUENCIES, NUMBERS, SHOWN, ActivationsExplorer

TIGHT = EXACT[torch.float64]


def table(**state):
    return ActivationsExplorer(**state).dataset()


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(ActivationsExplorer(), tmp_path, angle_deg=45.0, n=21)


@pytest.mark.parametrize("angle_deg", [0, 1, 30, 45, 90, 180])
def test_a_cell_is_exact_if_and_only_if_its_row_allows_it(angle_deg):
    ds = table(angle_deg=angle_deg).isel(representation=slice(None, -1))
    assert finite(ds)
    assert np.array_equal(ds["error"].values <= TIGHT, ds["legal"].values)
    twin = ds["legal"].values[::-1]
    assert not np.array_equal(ds["error"].values <= TIGHT, twin), "rows exchanged"


def test_a_quarter_turn_is_a_trap_for_tanh_and_not_for_relu():
    def errors(angle_deg):
        return table(angle_deg=angle_deg)["error"].sel(representation="vector", activation=["tanh", "relu"]).values

    assert errors(90)[0] <= TIGHT
    assert errors(90)[1] > BROKEN
    assert errors(80).min() > BROKEN
    assert table(angle_deg=90)["kind"].values[4] == "signed permutation"
    assert table(angle_deg=45)["kind"].values[4:6].tolist() == ["general", "signed permutation"]


def test_on_samples_whole_steps_are_exact_and_others_improve_with_their_number():
    def last(**state):
        return table(**state)["error"].sel(representation="on samples")

    assert float(last(angle_deg=45, n=8).max()) <= TIGHT
    few, many = last(angle_deg=30, n=8), last(angle_deg=30, n=32)
    assert float(few.sel(activation="relu")) > 100 * TIGHT
    for name in ("relu", "tanh", "silu", "abs"):
        assert float(many.sel(activation=name)) < 0.3 * float(few.sel(activation=name))


def test_the_curve_of_cubes_ends_where_nothing_folds_back_and_that_of_relu_is_the_highest():
    curve = table()["curve"]
    cube = curve.sel(shown="cube")
    known = np.array(NUMBERS) > 4 * FREQUENCIES
    assert float(cube[known].max()) <= TIGHT
    assert float(cube[~known].min()) > BROKEN
    assert set(curve.isel(number=-1).idxmax("shown").values.ravel()) == {"relu"}
    assert curve["shown"].values.tolist() == list(SHOWN)
