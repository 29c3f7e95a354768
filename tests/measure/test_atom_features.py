"""Features of the atoms of a molecule turn by the matrix of their degree, and what does not is found."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.tolerances import BROKEN, EXACT, SEPARATION
from workbench.actions.irreps import irreps_matrices
from workbench.e3.irreps import default_dtype
from workbench.groups import O3, SO3
from workbench.measure.atom_features import MOST_SURFACES, atom_features, feature_floors
from workbench.measure.dataset import validate
from workbench.models import build_model

NUMBERS = torch.tensor([8, 6, 1, 1])
POSITIONS = torch.tensor([[0.0, 0.1, 0.2], [1.2, 0.0, 0.3], [1.8, 0.9, 0.1], [1.7, -0.9, 0.6]], dtype=torch.float64)
TURN = torch.cat([SO3().exp(torch.tensor([0.4, -1.1, 0.7], dtype=torch.float64)), torch.ones(1)])
IDENTITY = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
REFLECTION = TURN * torch.tensor([1, 1, 1, 1, -1])


@pytest.fixture(scope="module")
def potential() -> nn.Module:
    torch.manual_seed(0)
    with default_dtype(torch.float64):
        return build_model({"name": "molecular_potential", "lmax": 2, "channels": 3}).double().eval()


class Bent(nn.Module):
    """The features of a potential with their parity, their direction or their place in the list in disorder."""

    def __init__(self, inner: nn.Module, fault: str) -> None:
        super().__init__()
        self.inner, self.fault = inner, fault

    def atom_features(self, positions, numbers, batch=None, layer=0):
        features, irreps = self.inner.atom_features(positions, numbers, batch, layer)
        if self.fault == "one axis":
            features = features + positions[:, 2:]
        if self.fault == "parity":
            irreps = irreps.replace("1o", "1e")
        if self.fault == "order":
            features = features.roll(1, dims=1)
        return features, irreps


@pytest.mark.parametrize("element", [TURN, REFLECTION])
@pytest.mark.parametrize("degree", [1, 2])
def test_every_feature_turns_by_the_matrix_of_its_degree(potential: nn.Module, degree: int, element) -> None:
    for channel in (1, 2, 3):
        ds = atom_features(potential, NUMBERS, POSITIONS, element, degree, channel)
        assert float(ds["feature_error"]) < 10 * EXACT[torch.float64]
        upright = atom_features(potential, NUMBERS, POSITIONS, IDENTITY, degree, channel)
        matrix = irreps_matrices(f"1x{degree}{'o' if degree == 1 else 'e'}", element[None], O3())[0].numpy()
        wanted = upright["feature"].values @ matrix.T
        np.testing.assert_allclose(ds["feature"], wanted, rtol=0, atol=10 * EXACT[torch.float64])
        assert np.abs(upright["feature"].values @ matrix - wanted).max() > BROKEN / 10  # the twin, transposed
    assert validate(ds, {"feature": ("atom", "m"), "feature_error": ()}) is ds


@pytest.mark.parametrize(("fault", "element"), [("one axis", TURN), ("order", TURN), ("parity", REFLECTION)])
def test_a_feature_that_does_not_turn_as_it_says_is_found(potential: nn.Module, fault: str, element) -> None:
    broken = Bent(potential, fault)
    assert float(atom_features(broken, NUMBERS, POSITIONS, element, 1)["feature_error"]) > BROKEN
    assert (
        float(atom_features(Bent(potential, ""), NUMBERS, POSITIONS, element, 1)["feature_error"])
        < 10 * EXACT[torch.float64]
    )


def test_vectors_are_drawn_as_they_are_and_degree_two_as_the_function_it_stands_for(potential: nn.Module) -> None:
    arrows = atom_features(potential, NUMBERS, POSITIONS, TURN, 1)
    np.testing.assert_array_equal(arrows["vectors"].values, arrows["feature"].values)
    ds = atom_features(potential, NUMBERS, POSITIONS, TURN, 2)
    x, y, z = ds["direction_xyz"].values.T
    # Harmonics of degree 2 with y as the polar axis, in the component normalization, written out.
    five = [math.sqrt(15) * x * z, math.sqrt(15) * x * y, math.sqrt(5) * (y**2 - (x**2 + z**2) / 2),
            math.sqrt(15) * y * z, math.sqrt(15) / 2 * (z**2 - x**2)]  # fmt: skip
    np.testing.assert_allclose(ds["value"], ds["feature"].values @ np.stack(five), rtol=0, atol=EXACT[torch.float64])
    corners = ds["direction_xyz"].values[ds["triangle"].values]
    area = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum()
    assert 0.97 * 4 * np.pi < area < 4 * np.pi  # a closed sphere of flat triangles: none missing, none twice


def test_in_float32_error_and_floor_are_of_one_size(potential: nn.Module) -> None:
    torch.manual_seed(0)
    single = build_model({"name": "molecular_potential", "lmax": 2, "channels": 3}).eval()
    for degree in (1, 2):
        floors = feature_floors(single, NUMBERS, POSITIONS, degree)["feature_floor"]
        assert floors.shape == (3,)
        for channel in (1, 2, 3):
            ds = atom_features(single, NUMBERS, POSITIONS, TURN, degree, channel)
            assert float(ds["feature_error"]) < 2 * float(floors[channel - 1]) < 10 * EXACT[torch.float32]
    field = atom_features(Bent(single, "one axis"), NUMBERS, POSITIONS, TURN, 1)
    assert float(field["feature_error"]) > SEPARATION * float(floors.max())


def test_a_channel_beyond_the_last_is_the_last_and_the_potential_stays_as_it_was(potential: nn.Module) -> None:
    potential.train()
    last, beyond = (atom_features(potential, NUMBERS, POSITIONS, TURN, 1, at) for at in (3, 90))
    assert potential.training
    potential.eval()
    assert last["feature"].identical(beyond["feature"])
    assert beyond["feature"].attrs["long_name"] == "feature 3 of 3 of 1o"


def test_of_many_atoms_some_get_a_surface(potential: nn.Module) -> None:
    places = torch.arange(60).double()[:, None] * torch.tensor([1.1, 0.3, 0.0], dtype=torch.float64)
    ds = atom_features(potential, torch.ones(60, dtype=torch.int64), places, TURN, 2)
    assert (ds.sizes["atom"], ds.sizes["surface"]) == (60, MOST_SURFACES)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"potential": nn.Linear(3, 3)}, "tells no features"),
        ({"degree": 3}, "features of degree 3 were asked of the irreps"),
        ({"degree": 0}, "degrees above 0"),
        ({"layer": 2}, "layer 2 was given"),
        ({"element": torch.ones(3)}, r"\(\.\.\., 5\)|5"),
    ],
)
def test_what_has_no_such_feature_is_refused(potential: nn.Module, given: dict, words: str) -> None:
    usual = {"potential": potential, "numbers": NUMBERS, "positions": POSITIONS, "element": TURN, "degree": 1}
    with pytest.raises(ValueError, match=words):
        atom_features(**{**usual, **given})
