"""The lists of elements that layers live on: even ones, random ones with weights, and what turns do with them."""

import math

import pytest
import torch

from tests.tolerances import BROKEN, EXACT
from workbench.groups import SL, SO2, C, GLPlus, RotationScale, Scale
from workbench.groups.elements import drawn_elements, even_elements, stretch_bounds

TOL = EXACT[torch.float64]
STRETCHING = [Scale(2, 1.74), RotationScale(1.74), SL(1.5), GLPlus(1.3)]
CIRCULAR = STRETCHING[1:]


def factors(group, elements: torch.Tensor) -> torch.Tensor:
    """By which each element changes lengths, smallest and largest."""
    return torch.linalg.svdvals(group.matrix(elements))


@pytest.mark.parametrize("group", STRETCHING, ids=str)
def test_lists_hold_elements_of_the_group_within_its_bounds(group):
    low, high = stretch_bounds(group)
    for elements in (even_elements(group, 4, 6, dtype=torch.float64), drawn_elements(group, 4, 50, torch.float64)[0]):
        assert bool(group.contains(elements).all())
        assert float(factors(group, elements).min()) >= low - TOL
        assert float(factors(group, elements).max()) <= high + TOL


@pytest.mark.parametrize("largest", [1.74, 2.0, 4.0])
def test_factors_reach_from_one_to_the_largest_evenly(largest):
    found = even_elements(Scale(2, largest), 5, dtype=torch.float64).log().flatten()
    assert torch.allclose(found, torch.linspace(0, math.log(largest), 5, dtype=torch.float64), rtol=0, atol=TOL)
    assert even_elements(Scale(2, largest), 1).tolist() == [[1.0]]


@pytest.mark.parametrize("group", CIRCULAR, ids=str)
@pytest.mark.parametrize("n", [4, 6])
@pytest.mark.parametrize("drawn", [False, True])
def test_a_step_of_the_circle_permutes_every_list(group, n, drawn):
    even = even_elements(group, n, 5, 0.3, torch.float64)
    elements = drawn_elements(group, n, 5, torch.float64)[0] if drawn else even
    own = group.matrix(elements)
    for angle, stays in ((2 * math.pi / n, True), (math.pi / n, False)):
        turned = SO2().matrix(torch.tensor([angle], dtype=torch.float64)) @ own
        gap = (turned[:, None] - own).flatten(-2).norm(dim=-1).min(1).values.max()
        assert (float(gap) < TOL * 10) == stays


def test_groups_that_keep_lengths_have_their_own_grid():
    assert torch.equal(even_elements(SO2(), 8), SO2().grid(8))
    assert torch.equal(even_elements(C(6), 3), C(6).grid(3))
    elements, volumes = drawn_elements(SO2(), 8, generator=torch.Generator().manual_seed(0))
    assert volumes is None
    assert torch.allclose(elements.diff(dim=0), torch.full((7, 1), math.pi / 4), rtol=0, atol=1e-6)


@pytest.mark.parametrize("group", [SL(2.0), GLPlus(1.5)], ids=str)
def test_even_stretches_of_a_group_balance_and_hold_the_identity_where_they_are_odd(group):
    v = group.log(even_elements(group, 1, 101, dtype=torch.float64))
    assert float(v[:, :2].mean(0).abs().max()) < TOL
    five = even_elements(group, 1, 5, dtype=torch.float64)
    assert float((five - group.identity(torch.float64)).norm(dim=-1).min()) == 0
    if group.chart_dim == 4:
        assert float(v[:, 3].mean().abs()) < BROKEN


@pytest.mark.parametrize("group", STRETCHING, ids=str)
def test_weights_of_drawn_elements_are_one_over_their_density(group):
    """Their mean is the volume of what is covered, whatever the density; all elements of a circle weigh the same."""
    count = 100_000
    rotations = 1 if isinstance(group, Scale) else 2
    given = (count, 1) if isinstance(group, Scale) else (2, count)
    elements, volumes = drawn_elements(group, *given, torch.float64, generator=torch.Generator().manual_seed(0))
    line, circle = math.log(group.largest), 2 * math.pi
    disc = math.pi * (math.cosh(2 * line) - 1) / 2 * circle
    volume = {"Scale": line, "RotationScale": line, "SL": disc, "GLPlus": 2 * disc * line}[type(group).__name__]
    assert elements.shape[0] == volumes.shape[0] == count * rotations
    assert float(volumes.mean()) == pytest.approx(volume, rel=BROKEN)
    assert torch.equal(volumes[::rotations], volumes[rotations - 1 :: rotations])
    assert float(volumes.std() / volumes.mean()) > BROKEN


@pytest.mark.parametrize("count", [0, -1, 2.5])
def test_bad_numbers_of_stretches_are_refused(count):
    with pytest.raises(ValueError, match="expected a positive integer"):
        even_elements(SL(), 4, count)
    with pytest.raises(ValueError, match="expected a positive integer"):
        drawn_elements(RotationScale(), 4, count)
