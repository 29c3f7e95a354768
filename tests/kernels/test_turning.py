"""Kernels of the absolute rotation: the strict bank at 0, another kernel per output beyond, nothing stale."""

import pytest
import torch

from tests.layers.symmetry import relative
from tests.tolerances import BROKEN, DIAL_AMPLITUDE, LOOKED_UP
from workbench.groups import Translation, parse_group
from workbench.kernels import KernelBank, KernelSpec, TurningKernels

SPEC = KernelSpec(hidden=8)


def made(group: str = "SO2", absolute: float = 0.0, learned: bool = False, seed: int = 0, **options) -> TurningKernels:
    torch.manual_seed(seed)
    return TurningKernels(2, 3, 5, parse_group(group), SPEC, absolute=absolute, learned=learned, **options)


def on_grid(kernels: KernelBank, n: int = 8, uniform: bool = True) -> torch.Tensor:
    grid = kernels.group.grid(n, dtype=kernels.weight.dtype)
    return kernels(grid, grid, uniform)


@pytest.mark.parametrize(("group", "n"), [("SO2", 8), ("C(8)", 8), ("O2", 8)])
def test_at_zero_quarter_turns_are_looked_up_and_that_is_what_direct_evaluation_gives(group, n):
    kernels = made(group).double()
    assert relative(on_grid(kernels, n), on_grid(kernels, n, uniform=False)) <= LOOKED_UP[torch.float64]


@pytest.mark.parametrize(("group", "n"), [("SO2", 8), ("C(8)", 8), ("O2", 8)])
def test_beyond_zero_turned_outputs_have_kernels_of_their_own(group, n):
    kernels = made(group, 0.5).double()
    assert torch.equal(on_grid(kernels, n), on_grid(kernels, n, uniform=False))
    with torch.no_grad():
        strict = KernelBank.values(kernels, kernels.group.grid(n).double(), kernels.group.grid(n).double(), True)
    assert relative(strict, on_grid(kernels, n)) > BROKEN  # the twin looks quarter turns up at any dial


def test_a_moved_dial_is_heard_although_the_elements_are_the_same():
    kernels = made("SO2", 0.5)
    grid = kernels.group.grid(8)
    first = kernels(grid, grid)
    with torch.no_grad():
        kernels.absolute.fill_(0.1)
    second = kernels(grid, grid)
    assert not torch.equal(first, second)
    with torch.no_grad():
        kernels.absolute.fill_(0.5)
    assert torch.equal(kernels(grid, grid), first)


def test_coordinates_kept_without_a_gradient_do_not_cost_the_dial_its_own():
    kernels = made("SO2", 0.5, learned=True)
    grid = kernels.group.grid(8)
    with torch.no_grad():
        kernels(grid, grid)
    kernels(grid, grid).square().sum().backward()
    assert float(kernels.absolute.grad.abs()) > 0


def test_the_dial_has_the_derivative_of_a_difference():
    kernels = made("O2", 0.3, learned=True).double()
    grid = kernels.group.grid(8).double()
    weight = torch.randn_like(kernels(grid, grid))

    def loss(dial: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(kernels, {"absolute": dial}, (grid, grid)).mul(weight).sum()

    torch.autograd.gradcheck(loss, kernels.absolute)


@pytest.mark.parametrize("value", [0.1, 1.0, 5.0])
def test_the_dial_keeps_the_size_of_the_kernels(value):
    with torch.no_grad():
        pairs = [(on_grid(made(absolute=at, seed=s)).norm() for at in (value, 0.0)) for s in range(8)]
        mean = sum(float(here / strict) for here, strict in pairs) / 8
    assert DIAL_AMPLITUDE[0] < mean < DIAL_AMPLITUDE[1]


def test_the_weights_at_zero_do_not_depend_on_the_dial_they_start_from():
    one, other = made(absolute=0.0), made(absolute=0.7)
    with torch.no_grad():
        other.absolute.zero_()
    assert torch.equal(on_grid(one), on_grid(other))


def test_what_cannot_be_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="a dial = -1 was given"):
        made(absolute=-1)
    with pytest.raises(ValueError, match=r"a dial of rotations on .* was given; expected SO2, O2, C\(n\) or D\(n\)"):
        TurningKernels(1, 1, 3, Translation(), SPEC)
    assert "absolute=0.5" in repr(made(absolute=0.5))
