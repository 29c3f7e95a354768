"""The explorer of diagrams: counts, matrices, sliders past their end, the next even n."""

import numpy as np
import pytest
import torch

from tests.explorers.promises import keeps_every_promise
from tests.tolerances import BROKEN, SPACE
from workbench.e3.diagrams import dimension, matrices
from workbench.explorers.diagrams import DiagramsExplorer


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(DiagramsExplorer(), tmp_path, group="S", n=2, lower=2, upper=1, which=3, mix="sum",
                         coefficient=-0.5, others=1.5, broken=True)  # fmt: skip


@pytest.mark.parametrize(
    ("group", "n", "lower", "upper"), [("O", 2, 3, 3), ("SO", 3, 3, 2), ("S", 2, 3, 1), ("Sp", 4, 2, 2)]
)
def test_it_counts_the_independent_ones_and_shows_the_matrix_of_one(group, n, lower, upper):
    ds = DiagramsExplorer(group=group, n=n, lower=lower, upper=upper, which=2).dataset()
    assert int(ds["dimension"]) == dimension(group, n, lower, upper)
    every = matrices(group, n, lower, upper).numpy()
    assert int(ds["diagrams"]) == len(every)
    assert np.array_equal(ds["matrix"], every[1])
    assert not np.array_equal(ds["matrix"], every[0])


def test_a_slider_past_the_last_diagram_shows_the_last_one_and_none_is_said():
    last = DiagramsExplorer(which=200).dataset()
    assert int(last["shown"]) == int(last["diagrams"]) == 3
    none = DiagramsExplorer(lower=1, upper=2).dataset()
    assert int(none["diagrams"]) == int(none["dimension"]) == 0
    assert not none["matrix"].any()


def test_an_odd_symplectic_group_becomes_the_next_even_one():
    assert DiagramsExplorer(group="Sp", n=3).dataset().attrs["group"] == "Sp(4)"


@pytest.mark.parametrize("group", ["O", "SO", "Sp", "S"])
@pytest.mark.parametrize(("coefficient", "others"), [(-2, 2), (0.1, -0.3), (2, 0), (0, 1.7)])
def test_whatever_the_coefficients_a_sum_commutes_and_a_broken_entry_does_not(group, coefficient, others):
    state = {"group": group, "n": 3, "lower": 2, "upper": 2, "coefficient": coefficient, "others": others}
    residual = DiagramsExplorer(mix="sum", **state).dataset()["residual"]
    assert float(residual[0].max()) <= SPACE[torch.float64]
    assert float(residual[1].max()) > BROKEN


def test_coefficients_change_the_matrix_of_a_sum_and_not_that_of_one_diagram():
    def matrix(**state):
        return DiagramsExplorer(**state).dataset()["matrix"].values

    assert np.array_equal(matrix(coefficient=-1, others=2), matrix())
    for changed in ({"coefficient": -1.0}, {"others": 0.0}, {"broken": True}, {"which": 2}):
        assert np.abs(matrix(mix="sum", **changed) - matrix(mix="sum")).max() > BROKEN


def test_the_headings_say_residuals_and_what_is_broken():
    said = str(DiagramsExplorer(mix="sum", broken=True).figure_dict()["layout"]["annotations"])
    assert "Matrix of the sum, broken" in said
    assert "Residual" in said
    assert "broken 0." in said
