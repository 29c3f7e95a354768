"""The compiled form of the one filter against torch's: values, gradients, products of some filters at a time, twins."""

import numpy as np
import pytest
import torch

from tests.layers.symmetry import relative
from tests.tolerances import AGAIN_SINGLE, AGAIN_ZERO, BROKEN, EXACT
from workbench.kernels import RelaxedKernels, loops
from workbench.kernels.relaxed import Same


def both_ways(dtype=torch.float64, *, gain=1.3, sizes=(3, 4, 5)):
    """Filters and gradients to everything given, compiled and by torch."""
    torch.manual_seed(0)
    kernels = RelaxedKernels(*sizes, absolute=0.0, relative=0.7, features=12).to(dtype)
    kernels.gain.data.fill_(gain)
    given = [getattr(kernels, name) for name in ("cycles_relative", "relative", "phase", "readout", "gain")]
    given = [each.detach().requires_grad_() for each in given]
    found = []
    for way in (loops.CompiledSame, Same):
        filters = way.apply(kernels.taps.to(dtype), *given, sizes[0])
        weights = torch.randn(filters.shape, dtype=dtype, generator=torch.Generator().manual_seed(1))
        found.append([filters.detach(), *torch.autograd.grad((filters * weights).sum(), given)])
    return zip(*found, strict=True)


def largest(pairs) -> float:
    return max(relative(mine, wanted) for mine, wanted in pairs)


@pytest.mark.parametrize("gain", [1.3, -0.2, 0.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_filters_and_gradients_are_those_of_torch(dtype, gain):
    pairs = [(mine, wanted) for mine, wanted in both_ways(dtype, gain=gain) if float(wanted.abs().max()) > 0]
    assert len(pairs) == (6 if gain else 1)  # filters of gain 0 are nothing, and so are all slopes but that of the gain
    assert largest(pairs) <= 10 * EXACT[dtype]


@pytest.mark.parametrize("at_once", [1, 1500, 10**9])
def test_products_of_some_filters_at_a_time_give_the_same(monkeypatch, at_once):
    monkeypatch.setattr(loops, "AT_ONCE", at_once)  # 25 taps of 12 features: each filter alone, five, all twelve
    assert largest(both_ways()) <= EXACT[torch.float64]


def test_a_loop_that_forgets_the_amplitude_or_some_filters_is_caught(monkeypatch):
    original = loops.slopes
    monkeypatch.setattr(loops, "slopes", lambda grad, *rest: original(grad - grad.mean(), *rest))
    assert largest(both_ways()) > BROKEN
    monkeypatch.undo()
    make = loops.make

    def short(*given):
        numbers = make(*given)
        given[-1][-1] = 0
        return numbers

    monkeypatch.setattr(loops, "make", short)
    assert largest(both_ways()) > BROKEN


def test_weights_changed_between_the_two_passes_are_noticed():
    kernels = RelaxedKernels(2, 2, 3, absolute=0.0)
    filters = kernels.same()
    assert "CompiledSame" in type(filters.grad_fn).__name__
    with torch.no_grad():
        kernels.readout.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        filters.sum().backward()


def test_wide_kernels_and_other_dtypes_stay_with_torch():
    assert type(RelaxedKernels(1, 1, 31, features=32).same().grad_fn).__name__ == "SameBackward"
    assert type(RelaxedKernels(1, 1, 3).bfloat16().same().grad_fn).__name__ == "SameBackward"


def test_loops_work_where_nothing_can_be_kept(monkeypatch) -> None:
    def refuses(*given, cache: bool = False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda loop: loop

    monkeypatch.setattr(loops, "njit", refuses)
    assert loops.compiled(len)([1, 2]) == 2


def test_what_memory_held_before_is_never_read():
    """Empty arrays come where freed ones were; NaN times 0 is NaN."""
    kernels = RelaxedKernels(2, 4, 5, absolute=0.0, features=12)
    for _ in range(20):
        held = [np.full(shape, np.nan, np.float32) for shape in ((2, 25, 12), (8, 25), (4, 2, 25), (25, 12))]
        del held
        filters = kernels.same()
        filters.square().sum().backward()
        assert torch.isfinite(filters).all()
        assert torch.isfinite(kernels.readout.grad).all()


def test_weights_may_lie_in_memory_in_another_order():
    kernels, other = (RelaxedKernels(2, 3, 3, absolute=0.0, features=6) for _ in range(2))
    other.load_state_dict(kernels.state_dict())
    other.readout.data = other.readout.data.T.contiguous().T
    for each in (kernels, other):
        each.same().square().sum().backward()
    assert torch.equal(kernels.same(), other.same())
    assert torch.allclose(kernels.readout.grad, other.readout.grad, rtol=AGAIN_SINGLE, atol=AGAIN_ZERO)
