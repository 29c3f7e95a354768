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
    kind_of,
    legal,
    properties,
    regular_representation,
    rotation_representation,
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
