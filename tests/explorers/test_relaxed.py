"""The explorer of relaxed filters shows one layer's filters, matrix and errors, read from the layer, at once."""

import time

import numpy as np
import pytest
import torch

from tests.explorers.promises import finite, keeps_every_promise
from tests.tolerances import BROKEN, EXACT
from workbench.explorers.relaxed import SIDE, SIZE, RelaxedExplorer, relaxed_dataset
from workbench.measure.relaxed import SHIFT, operator_symmetry


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(RelaxedExplorer(), tmp_path, absolute=0.4, relative=0.3, kernel_size=5, show="difference")


@pytest.mark.parametrize("kernel_size", [3, 5, SIDE])
def test_at_zero_all_filters_are_the_same_and_the_layer_is_a_convolution(kernel_size):
    ds = RelaxedExplorer(absolute=0, kernel_size=kernel_size, show="difference").dataset()
    assert float(abs(ds["shown"]).max()) <= EXACT[torch.float64]
    assert float(ds["equivariance_error"]) <= EXACT[torch.float64]
    assert ds["share"].sel(extreme="linear") == 0
    assert finite(ds)
    moved = RelaxedExplorer(absolute=0.1, kernel_size=kernel_size, show="difference").dataset()
    assert float(abs(moved["shown"]).max()) > BROKEN
    assert float(moved["equivariance_error"]) > BROKEN


def test_a_flat_filter_as_wide_as_the_image_is_invariant_and_a_smaller_one_is_not():
    ds = RelaxedExplorer(relative=0).dataset()
    assert float(ds["invariance_error"]) <= EXACT[torch.float64]
    assert float(ds["rank"]) == 1
    assert float(RelaxedExplorer(relative=0, kernel_size=5).dataset()["invariance_error"]) > BROKEN


def test_the_numbers_are_those_of_the_matrix_that_is_drawn():
    ds = RelaxedExplorer(absolute=0.3, seed=4).dataset()
    found = operator_symmetry(torch.from_numpy(ds["matrix"].values.copy()).double(), SIZE, SHIFT)
    for name, value in found.items():
        assert float(ds[name]) == pytest.approx(value, rel=1e-4)
    assert float(ds["share"].sum()) == pytest.approx(1)
    assert float(abs(ds["matrix"]).max()) == 1


def test_the_way_leads_from_equivariant_to_linear_and_passes_where_the_dial_stands():
    ds = RelaxedExplorer(absolute=0.5).dataset()
    assert ds["path"].sel(dial=0.0, extreme="linear") == 0
    assert (np.diff(ds["path"].sel(extreme="linear")) > 0).all()
    assert np.allclose(ds["path"].sel(dial=0.5), ds["share"])


def test_the_same_seed_gives_the_same_layer_and_another_one_another():
    one, again, other = (relaxed_dataset(0.2, 1.0, 5, seed) for seed in (0, 0, 1))
    assert one.identical(again)
    assert not np.array_equal(one["shown"], other["shown"])


@pytest.mark.parametrize(("name", "values"), [("absolute", (0.2, 0.3, 0.4)), ("relative", (0.2, 0.3, 0.4))])
def test_a_move_of_a_dial_is_answered_within_a_tenth_of_a_second(name, values):
    explorer = RelaxedExplorer()
    explorer.figure_dict()
    times = []
    for value in values:
        start = time.process_time()
        explorer.at(**{name: value}).figure_dict()
        times.append(time.process_time() - start)
    assert np.median(times) < 0.1
