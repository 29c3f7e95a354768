"""Features in irreducible representations: against matrices, harmonics and e3nn's own Wigner matrices."""

import math

import pytest
import torch

from tests.tolerances import EXACT
from workbench.actions import transform_irreps, transform_points
from workbench.actions.irreps import irreps_matrices
from workbench.groups import E3, O3, SO2, SO3

TIGHT = 10 * EXACT[torch.float64]
pytestmark = pytest.mark.filterwarnings("ignore")  # e3nn's own use of deprecated parts of torch


def some(group, count: int = 5) -> torch.Tensor:
    return group.sample(count, torch.Generator().manual_seed(0), torch.float64)


def test_vectors_have_the_same_axes_as_ours() -> None:
    for group in (SO3(), O3()):
        g = some(group)
        assert torch.allclose(irreps_matrices("1x1o", g, group), group.matrix(g), rtol=0, atol=TIGHT)


def test_the_polar_axis_of_the_harmonics_is_y() -> None:
    # m = 0 of degree 2 stands in the middle; turns about y leave it as it is, turns about z do not
    about = {axis: SO3().exp(0.7 * torch.eye(3).double()[place]) for place, axis in enumerate("xyz")}
    zonal = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]], dtype=torch.float64)
    moved = {axis: transform_irreps(zonal, g[None], SO3(), "1x2e")[0] for axis, g in about.items()}
    assert torch.allclose(moved["y"], zonal, rtol=0, atol=TIGHT)
    assert (moved["z"] - zonal).abs().max() > 0.1


@pytest.mark.parametrize("degree", range(7))
def test_the_matrices_are_e3nns_own_but_sharper(degree: int) -> None:
    from e3nn.o3 import Irrep

    g = some(SO3())
    ours = irreps_matrices(f"1x{degree}e", g, SO3())
    theirs = Irrep(degree, 1).D_from_quaternion(g)
    assert torch.allclose(ours, theirs.double(), rtol=0, atol=1e-4)  # theirs loses digits in an arc cosine
    eye = torch.eye(2 * degree + 1, dtype=torch.float64)
    assert torch.allclose(ours @ ours.mT, eye.expand_as(ours), rtol=0, atol=TIGHT)


@pytest.mark.parametrize("irreps", ["3x0e+2x1o", "1x0o+1x1e+1x2e+1x3o", "2x2o"])
@pytest.mark.parametrize("group", [SO3(), O3(), E3()], ids=str)
def test_they_are_a_representation(group, irreps: str) -> None:
    a, b = some(group, 2)
    one, other, both = (irreps_matrices(irreps, g[None], group) for g in (a, b, group.product(a, b)))
    assert torch.allclose(both, one @ other, rtol=0, atol=TIGHT)
    back = irreps_matrices(irreps, group.inverse(a)[None], group)
    assert torch.allclose(one @ back, torch.eye(one.shape[-1]).double().expand_as(one), rtol=0, atol=TIGHT)


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_harmonics_of_moved_points_are_moved_harmonics(degree: int) -> None:
    from e3nn.o3 import spherical_harmonics

    group, x = O3(), torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    g, parity = some(group), "e" if degree % 2 == 0 else "o"
    moved = spherical_harmonics(degree, transform_points(x, g, group), normalize=True)
    expected = transform_irreps(spherical_harmonics(degree, x, normalize=True), g, group, f"1x{degree}{parity}")
    assert torch.allclose(moved, expected, rtol=0, atol=TIGHT)
    wrong = transform_irreps(
        spherical_harmonics(degree, x, normalize=True), group.inverse(g), group, f"1x{degree}{parity}"
    )
    assert (moved - wrong).abs().max() > 0.1


def test_point_reflections_follow_the_parity() -> None:
    reflection = torch.tensor([[1.0, 0.0, 0.0, 0.0, -1.0]], dtype=torch.float64)
    signs = irreps_matrices("1x0e+1x0o+1x1e+1x1o", reflection, O3()).diagonal(dim1=-2, dim2=-1)[0]
    assert torch.allclose(signs, torch.tensor([1, -1, 1, 1, 1, -1, -1, -1]).double(), rtol=0, atol=TIGHT)


@pytest.mark.parametrize(
    ("irreps", "group", "sentence"),
    [
        ("1x1q", SO3(), "expected a text such as"),
        ("", SO3(), "expected 1 to 4096|expected a text"),
        ("1x30e", SO3(), "degrees up to 11"),
        ("1x1o", SO2(), "expected the group SO3, O3 or E3"),
    ],
)
def test_what_cannot_be_gets_a_sentence(irreps: str, group, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        irreps_matrices(irreps, group.identity()[None], group)
    with pytest.raises(ValueError, match=r"expected \(B, ..., 3\)"):
        transform_irreps(torch.zeros(2, 4), some(SO3()), SO3(), "1x1o")


def test_a_rotation_by_pi_about_y_keeps_y() -> None:
    half = SO3().exp(torch.tensor([[0.0, math.pi, 0.0]], dtype=torch.float64))
    moved = transform_irreps(torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64), half, SO3(), "1x1o")
    assert torch.allclose(moved, torch.tensor([[[-1.0, 2.0, -3.0]]], dtype=torch.float64), rtol=0, atol=TIGHT)
