"""Spherical harmonics: y is the polar axis, squared lengths as named, sentences beyond degree 12, calm at zero."""

import math

import numpy as np
import pytest
import torch
from e3nn import o3
from scipy.special import sph_harm_y

from tests.tolerances import EXACT, SPACE
from workbench.e3.harmonics import NORMALIZATIONS, spherical_harmonics
from workbench.e3.irreps import default_dtype, harmonic_irreps


def vectors(count: int = 20, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(0), dtype=dtype)


def in_scipys_words(degree: int, points: np.ndarray) -> np.ndarray:
    """Real harmonics from scipy's complex ones with y as the polar axis and z as the second: (z, x, y) of textbooks."""
    x, y, z = (points / np.linalg.norm(points, axis=-1, keepdims=True)).T
    polar, azimuth = np.arccos(y), np.arctan2(x, z)
    rows = []
    for m in range(-degree, degree + 1):
        value = (-1) ** m * sph_harm_y(degree, abs(m), polar, azimuth)
        rows.append(value.real if m == 0 else math.sqrt(2) * (value.imag if m < 0 else value.real))
    return np.stack(rows, -1)


def test_they_are_scipys_with_y_as_the_polar_axis() -> None:
    values = spherical_harmonics(6, vectors(), "integral").split([2 * degree + 1 for degree in range(7)], -1)
    for degree, value in enumerate(values):
        np.testing.assert_allclose(value, in_scipys_words(degree, vectors().numpy()), rtol=0, atol=SPACE[torch.float64])
    permuted = in_scipys_words(2, vectors().numpy()[:, [1, 2, 0]])  # z as the polar axis
    assert np.abs(values[2].numpy() - permuted).max() > 0.1


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_squared_lengths_are_those_of_the_normalization(normalization: str) -> None:
    expected = {"component": lambda d: 2 * d + 1, "norm": lambda d: 1, "integral": lambda d: (2 * d + 1) / 4 / math.pi}
    for degree, value in enumerate(spherical_harmonics(4, vectors(), normalization).split([1, 3, 5, 7, 9], -1)):
        squares = value.square().sum(-1)
        assert (squares - expected[normalization](degree)).abs().max() <= SPACE[torch.float64]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_they_turn_by_d_and_change_sign_by_parity(dtype: torch.dtype) -> None:
    with default_dtype(torch.float64):
        turn = -o3.rand_matrix(dtype=torch.float64)
        d = harmonic_irreps(4).D_from_matrix(turn)
    moved = spherical_harmonics(4, (vectors() @ turn.T).to(dtype)).double()
    still = spherical_harmonics(4, vectors().to(dtype)).double()
    assert (moved - still @ d.T).abs().max() / still.abs().max() <= SPACE[dtype]
    assert (moved - still @ d).abs().max() > 0.1  # transposed
    even = harmonic_irreps(4)
    flat = torch.cat([torch.full((block.dim,), float(block.ir.p)) for block in even]).double()
    assert (moved - (still * flat) @ d.T).abs().max() > 0.1  # parity forgotten


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-7])
def test_a_vector_without_direction_has_neither_value_nor_gradient(scale: float) -> None:
    x = (scale * torch.ones(2, 3)).requires_grad_()
    values = spherical_harmonics(3, x)
    assert torch.equal(values[:, 0], torch.ones(2))
    assert float(values[:, 1:].detach().abs().max()) == 0
    values.sum().backward()
    assert float(x.grad.abs().max()) == 0


def test_the_mask_changes_nothing_elsewhere() -> None:
    expected = o3.spherical_harmonics(harmonic_irreps(5), vectors(), normalize=True, normalization="component")
    assert torch.equal(spherical_harmonics(5, vectors()), expected)
    one = torch.tensor([[2e-6, 0.0, 0.0]], dtype=torch.float64)
    assert (spherical_harmonics(1, one)[0, 1] - math.sqrt(3)).abs() <= EXACT[torch.float64]


BAD = [
    (13, vectors(), "component", "end at l = 12"), (-1, vectors(), "component", "whole number"),
    (True, vectors(), "component", "whole number"), (2, torch.zeros(4, 2), "component", r"\(\.\.\., 3\)"),
    (2, torch.zeros(3, dtype=torch.int64), "component", "float"), (2, vectors(), "components", "component, norm"),
]  # fmt: skip


@pytest.mark.parametrize(("lmax", "given", "normalization", "sentence"), BAD)
def test_what_cannot_be_gets_a_sentence(lmax, given, normalization: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        spherical_harmonics(lmax, given, normalization)
