"""Radial bases: zero beyond the cutoff, twice continuously differentiable at it, of the order of one inside."""

import pytest
import torch

from tests.tolerances import EXACT
from workbench.e3.radial import BASES, RadialBasis, ShortenedBasis, envelope


def derivatives(function, at: float, orders: int) -> list[float]:
    x = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    values = [function(x)]
    for _ in range(orders):
        (slope,) = torch.autograd.grad(values[-1], x, create_graph=True)
        values.append(slope)
    return [float(value.detach()) for value in values]


@pytest.mark.parametrize("power", [3, 6])
def test_the_envelope_and_two_derivatives_vanish_at_the_cutoff(power: int) -> None:
    near = derivatives(lambda x: envelope(x, 5.0, power), 5.0 * (1 - 1e-9), 3)
    assert max(map(abs, near[:3])) < 1e-6
    assert abs(near[3]) > 0.1  # the third does not: nothing is zero by accident
    assert derivatives(lambda x: envelope(x, 5.0, power), 5.1, 1) == [0, 0]
    assert derivatives(lambda x: envelope(x, 5.0, power), 0.0, 1) == [1, 0]


@pytest.mark.parametrize("basis", BASES)
def test_every_function_is_smooth_at_the_cutoff_and_zero_beyond(basis: str) -> None:
    radial = RadialBasis(4.0, 6, basis)
    for number in range(6):
        inside = derivatives(lambda x, n=number: radial(x)[n], 4.0 - 1e-6, 2)
        assert max(map(abs, inside)) < 1e-3
    assert float(radial(torch.tensor([4.0, 4.5, 100.0])).abs().max()) == 0


@pytest.mark.parametrize("basis", BASES)
def test_no_function_has_a_kink_inside(basis: str) -> None:
    radial = RadialBasis(4.0, 6, basis)

    def worst_step(count: int) -> float:
        x = torch.linspace(0.3, 3.9, count, dtype=torch.float64, requires_grad=True)
        slope = torch.stack(
            [torch.autograd.grad(column.sum(), x, retain_graph=True)[0] for column in radial(x).unbind(-1)], -1
        )
        return float((slope[1:] - slope[:-1]).abs().max())

    assert worst_step(4001) < 0.6 * worst_step(2001)


@pytest.mark.parametrize("basis", BASES)
def test_functions_are_of_the_order_of_one_inside(basis: str) -> None:
    # the envelope takes the outer part away; between 0.5 and 3 of 5 angstrom it is above 0.6
    squares = RadialBasis(5.0, 8, basis)(torch.linspace(0.5, 3, 500)).square().mean()
    assert 0.3 < float(squares) < 2


def test_at_zero_nothing_is_infinite() -> None:
    x = torch.zeros(1, requires_grad=True)
    value = RadialBasis(5.0)(x).sum()
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(x.grad).all()


BAD = [
    ({"cutoff": 0}, "positive number"), ({"cutoff": float("nan")}, "positive number"),
    ({"cutoff": 5.0, "basis": "cosine"}, "bessel"), ({"cutoff": 5.0, "power": 1}, "at least 3"),
    ({"cutoff": 5.0, "count": 0}, "at least 1"), ({"cutoff": 5.0, "count": 10**9}, "whole number"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "sentence"), BAD)
def test_what_cannot_be_gets_a_sentence(given: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        RadialBasis(**given)


def test_the_formula_at_one_point() -> None:
    expected = 1 - 28 * 0.5**6 + 48 * 0.5**7 - 21 * 0.5**8
    assert float(envelope(torch.tensor(2.0, dtype=torch.float64), 4.0)) == pytest.approx(
        expected, rel=EXACT[torch.float64]
    )


def test_a_shortened_basis_is_the_basis_up_to_its_nearer_end_and_smooth_there() -> None:
    basis = RadialBasis(5.0, 6)
    short = ShortenedBasis(basis, 3.0, 0.5)
    near = torch.linspace(0.1, 2.5, 50, dtype=torch.float64)
    assert torch.equal(short(near), basis(near))
    assert float(short(torch.tensor([3.0, 4.0, 6.0])).abs().max()) == 0
    assert float(basis(torch.tensor([4.0])).abs().max()) > 0.01
    for number in range(6):
        end = derivatives(lambda x, n=number: short(x)[n], 3.0 - 1e-7, 2)
        assert max(map(abs, end)) < 1e-3
        start, kept = (derivatives(lambda x, f=f, n=number: f(x)[n], 2.5 + 1e-6, 2) for f in (short, basis))
        assert start == pytest.approx(kept, abs=1e-6)
    stretched = RadialBasis(3.0, 6)  # the broken twin: another basis, not the same with an end
    assert float((stretched(near) - basis(near)).abs().max()) > 0.1


@pytest.mark.parametrize(("cutoff", "width"), [(5.0, 0.5), (6.0, 0.5), (3.0, 0.0), (3.0, 4.0), (0.0, 0.5)])
def test_an_end_that_shortens_nothing_is_refused(cutoff: float, width: float) -> None:
    with pytest.raises(ValueError, match="cutoff"):
        ShortenedBasis(RadialBasis(5.0), cutoff, width)
