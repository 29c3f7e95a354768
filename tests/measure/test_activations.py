"""The table of legal activations against the measured error, cell by cell."""

import math

import pytest
import torch

from tests.tolerances import BROKEN, EXACT
from workbench.measure import open_dataset, save
from workbench.measure.activations import (
    ACTIVATIONS,
    KINDS,
    activation_check,
    fourier_representation,
    kind_of,
    legal,
    properties,
    regular_representation,
    rotation_representation,
    sampled,
    sampled_error,
)

TIGHT = EXACT[torch.float64]
SWAP = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
MATRICES = {
    "4-cycle": regular_representation(4),
    "signed swap": torch.tensor([[[0.0, 1.0], [-1.0, 0.0]]]),
    "uneven swap": torch.tensor([[[0.0, 2.0], [0.5, 0.0]]]),
    "uneven signed swap": torch.tensor([[[0.0, 2.0], [-0.5, 0.0]]]),
    "rotation by 0.3": rotation_representation(torch.tensor([0.3])),
    "mixing rows that sum to 1": torch.tensor([[[0.5, 0.5], [0.25, 0.75]]]),
}
LEGAL = {
    "4-cycle": set(ACTIVATIONS),
    "signed swap": {"tanh", "cube", "linear"},
    "uneven swap": {"relu", "leaky relu", "abs", "linear"},
    "uneven signed swap": {"linear"},
    "rotation by 0.3": {"linear"},
    "mixing rows that sum to 1": {"linear", "affine"},
}


@pytest.mark.parametrize("name", MATRICES)
def test_the_table_says_what_is_measured(name):
    ds = activation_check(MATRICES[name])
    assert {str(a) for a in ds.activation.values[ds.legal.values]} == LEGAL[name]
    for activation in ACTIVATIONS:
        error = float(ds.error.sel(activation=activation).max())
        assert error <= TIGHT if activation in LEGAL[name] else error > BROKEN, activation


def test_every_row_of_the_table_is_told():
    assert [kind_of(m) for m in MATRICES.values()] == [*KINDS, "general"]


def test_a_quarter_turn_of_vectors_is_a_trap():
    quarters = rotation_representation(torch.arange(4).double() * math.pi / 2)
    assert legal(quarters, torch.tanh)
    assert not legal(quarters, torch.relu)
    eighths = rotation_representation(torch.arange(8).double() * math.pi / 4)
    assert not legal(eighths, torch.tanh)
    assert legal(rotation_representation(torch.arange(8).double() * math.pi / 4, frequency=2), torch.tanh)


@pytest.mark.parametrize("name", ["regular", "rotation"])
def test_representations_are_homomorphisms(name):
    n = 6
    m = (
        regular_representation(n)
        if name == "regular"
        else rotation_representation(torch.arange(n).double() * 2 * math.pi / n)
    )
    for g in range(n):
        for h in range(n):
            assert float((m[g] @ m[h] - m[(g + h) % n]).abs().max()) <= TIGHT


def test_properties_of_activations_are_told_from_their_values():
    assert properties(torch.sin) == {"odd": True, "homogeneous": False, "linear": False, "affine": False}
    assert properties(torch.abs) == {"odd": False, "homogeneous": True, "linear": False, "affine": False}
    assert properties(ACTIVATIONS["affine"]) == {"odd": False, "homogeneous": False, "linear": False, "affine": True}


def test_one_wrong_matrix_among_many_is_enough():
    matrices = torch.cat([regular_representation(2), SWAP.double()[None] * torch.tensor([[1.0], [-1.0]])])
    ds = activation_check(matrices)
    assert not bool(ds.legal.sel(activation="relu"))
    errors = ds.error.sel(activation="relu").values
    assert errors[:2].max() <= TIGHT
    assert errors[2] > BROKEN


def test_the_same_seed_gives_the_same_dataset_and_the_file_says_the_same(tmp_path):
    one, other = (activation_check(MATRICES["rotation by 0.3"], seed=3) for _ in range(2))
    assert one.identical(other)
    save(one, tmp_path / "a.nc")
    assert open_dataset(tmp_path / "a.nc").identical(one)
    assert one.attrs["representation"] == "general"


@pytest.mark.parametrize("wrong", [torch.eye(3), torch.zeros(2, 3, 2), torch.full((1, 2, 2), math.nan)])
def test_what_is_no_representation_is_refused(wrong):
    with pytest.raises(ValueError, match=r"expected finite \(G, d, d\)"):
        activation_check(wrong)


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="samples = 0 was given"):
        activation_check(MATRICES["4-cycle"], samples=0)


# ---- the remedy: sigma on samples over the circle

GENERIC = torch.tensor([0.3, 1.1, 2.9])


def test_a_turned_signal_is_the_signal_read_at_turned_points():
    x = torch.randn(5, dtype=torch.float64)
    points = torch.arange(40, dtype=torch.float64) * 2 * math.pi / 40

    def signal(c: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        return c[0] + sum(c[2 * m - 1] * (m * at).cos() + c[2 * m] * (m * at).sin() for m in (1, 2))

    for angle in GENERIC.double():
        turned = fourier_representation(angle, 2)[0] @ x
        assert float((signal(turned, points) - signal(x, points - angle)).abs().max()) <= TIGHT


@pytest.mark.parametrize("n", [3, 5, 8])
def test_on_samples_every_sigma_commutes_with_turns_by_whole_steps(n):
    steps = torch.arange(n).double() * 2 * math.pi / n
    assert float(sampled_error([n], steps).error.max()) <= TIGHT
    between = sampled_error([n], steps[1:] / 2, {"relu": torch.relu}).error
    assert float(between.max()) > TIGHT * 1e6


def test_cubes_are_exact_above_four_times_the_frequencies_and_not_at_it():
    for frequencies in (1, 2, 3):
        numbers = [4 * frequencies, 4 * frequencies + 1]
        ds = sampled_error(numbers, GENERIC, {"cube": lambda x: x**3}, frequencies=frequencies)
        assert float(ds.error[0, 0]) > TIGHT * 1e6
        assert float(ds.error[0, 1]) <= TIGHT


def test_the_error_falls_fast_for_a_smooth_sigma_and_as_a_power_for_relu():
    ds = sampled_error([16, 32, 64], GENERIC, {"tanh": torch.tanh, "relu": torch.relu})
    smooth, kinked = ds.error.values
    assert smooth[2] < smooth[0] * 1e-4
    assert kinked[2] > kinked[0] * 1e-3
    assert kinked[2] < kinked[1] < kinked[0]


def test_a_way_back_that_turns_the_other_way_is_caught():
    """The twin: sines with the wrong sign on the way back."""
    sigma = sampled(torch.tanh, 64, 2)
    flip = torch.tensor([1.0, 1, -1, 1, -1], dtype=torch.float64)
    x, turn = torch.randn(8, 5, dtype=torch.float64), fourier_representation(GENERIC[:1], 2)[0].T
    for way, holds in ((sigma, True), (lambda y: sigma(y) * flip, False)):
        error = float((way(x @ turn) - way(x) @ turn).norm() / way(x).norm())
        assert error < 1e-3 if holds else error > BROKEN


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: sampled(torch.relu, 0, 2), "n = 0 was given"),
        (lambda: fourier_representation(GENERIC, 0), "frequencies = 0 was given"),
        (lambda: sampled_error([8], GENERIC, samples=True), "samples = True was given"),
    ],
)
def test_counts_that_are_none_are_refused(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
