"""A turned harmonic: matrices of known rotations, lengths by normalization, two ways that agree, and sentences."""

import math

import numpy as np
import pytest
import torch

from tests.tolerances import SPACE
from workbench.groups import O3, SO3
from workbench.measure.harmonics import EVERY, turned_harmonic

SMALL = SPACE[torch.float64]
STILL = (1.0, 0.0, 0.0, 0.0, 1.0)


def about(axis: tuple[float, float, float], angle_deg: float, parity: float = 1.0) -> torch.Tensor:
    turn = SO3().exp(torch.tensor(axis, dtype=torch.float64) * math.radians(angle_deg))
    return torch.cat([turn, turn.new_tensor([parity])])


def test_the_matrix_of_degree_one_is_that_of_the_rotation_itself() -> None:
    element = O3().sample(1, torch.Generator().manual_seed(3), torch.float64)[0]
    ds = turned_harmonic(1, 0, element)
    np.testing.assert_allclose(ds["matrix"], O3().matrix(element), rtol=0, atol=SMALL)


def test_about_the_polar_axis_orders_mix_with_their_opposites_alone() -> None:
    matrix = turned_harmonic(3, 1, about((0, 1, 0), 35))["matrix"].values
    m = np.arange(-3, 4)
    allowed = np.abs(m)[:, None] == np.abs(m)[None]
    assert np.abs(matrix[~allowed]).max() <= SMALL
    np.testing.assert_allclose(np.diag(matrix), np.cos(np.radians(35) * m), rtol=0, atol=SMALL)
    assert np.abs(turned_harmonic(3, 1, about((1, 0, 0), 35))["matrix"].values[~allowed]).max() > 0.1


@pytest.mark.parametrize("degree", range(7))
def test_a_point_reflection_gives_the_sign_of_the_degree(degree: int) -> None:
    ds = turned_harmonic(degree, 0, (1.0, 0.0, 0.0, 0.0, -1.0))
    np.testing.assert_allclose(ds["matrix"], (-1) ** degree * np.eye(2 * degree + 1), rtol=0, atol=SMALL)
    np.testing.assert_allclose(ds["value"][1], (-1) ** degree * ds["value"][0], rtol=0, atol=SMALL)


@pytest.mark.parametrize(
    ("normalization", "expected"),
    [("component", [1, 3, 5, 7, 9, 11, 13]), ("norm", [1] * 7),
     ("integral", [(2 * k + 1) / 4 / math.pi for k in range(7)])],
)  # fmt: skip
def test_squared_lengths_are_those_of_the_normalization(normalization: str, expected: list) -> None:
    np.testing.assert_allclose(
        turned_harmonic(0, 0, STILL, normalization)["squared_length"], expected, atol=0, rtol=SMALL
    )


def test_the_drawn_sphere_closes_and_its_directions_have_y_as_the_polar_axis() -> None:
    ds = turned_harmonic(2, 1, about((1, 1, 0), 50), grid=(7, 12))
    direction = ds["direction"].values
    assert direction.shape == (7, 13, 3)
    np.testing.assert_allclose(direction[0], np.tile([0, 1, 0], (13, 1)), rtol=0, atol=SMALL)
    np.testing.assert_allclose(np.linalg.norm(direction, axis=-1), 1, rtol=0, atol=SMALL)
    np.testing.assert_allclose(ds["value"][:, :, 0], ds["value"][:, :, -1], rtol=0, atol=SMALL)
    xy = math.sqrt(15) * direction[..., 0] * direction[..., 1]  # component normalization, m = -1 of degree 2
    np.testing.assert_allclose(turned_harmonic(2, -1, STILL, grid=(7, 12))["value"][0], xy, rtol=0, atol=SMALL)


def test_the_residual_is_the_difference_to_the_moved_function() -> None:
    element = about((0.3, 0.5, -0.2), 100, -1.0)
    ds = turned_harmonic(3, 2, element, mistake="parity", grid=(10, 15))
    assert float(ds["residual"]) == pytest.approx(
        2 * float(np.abs(ds["value"][1, ::EVERY, ::EVERY]).max() / np.abs(ds["value"][0]).max()), rel=1e-9
    )


BAD = [
    ((7, 0, STILL), "l from 0 to 6"), ((2, 3, STILL), "-l to l"), ((2.0, 0, STILL), "whole numbers"),
    ((True, 0, STILL), "whole numbers"), ((1, 0, (2.0, 0, 0, 0, 1)), r"one of O\(3\)"),
    ((1, 0, (1.0, 0, 0, 0, 0.5)), r"one of O\(3\)"), ((1, 0, (math.nan, 0, 0, 0, 1)), r"one of O\(3\)"),
    ((1, 0, STILL, "area"), "component, norm"), ((1, 0, STILL, "norm", "sign"), "expected one of none"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "sentence"), BAD)
def test_what_cannot_be_gets_a_sentence(given: tuple, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        turned_harmonic(*given)
