"""What the Lie derivative takes over from the output compared before: same rates, and never where it does not hold."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.tolerances import BROKEN, EXACT, SPLIT
from workbench.actions import smooth
from workbench.layers import GroupBatchNorm, GroupConv, LiftingConv
from workbench.measure import known, lie, lie_derivative


def images(count: int = 5, channels: int = 3, size: int = 12) -> torch.Tensor:
    noise = torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return smooth(noise, 1.5)


def used(norm: nn.Module) -> nn.Module:
    """Statistics and weights as after training."""
    inner = getattr(norm, "norm", norm)
    generator = torch.Generator().manual_seed(1)
    inner.running_mean = torch.randn(inner.num_features, generator=generator)
    inner.running_var = torch.rand(inner.num_features, generator=generator) + 0.1
    with torch.no_grad():
        inner.weight.copy_(torch.randn(inner.num_features, generator=generator))
        inner.bias.copy_(torch.randn(inner.num_features, generator=generator))
    return norm


def plain(norm: nn.Module | None = None) -> nn.Sequential:
    torch.manual_seed(0)
    norm = used(nn.BatchNorm2d(4)) if norm is None else norm
    layers = nn.Conv2d(3, 4, 3, padding=1), norm, nn.ReLU(inplace=True), nn.Conv2d(4, 2, 3), nn.Identity()
    return nn.Sequential(*layers).double()


def grouped() -> nn.Sequential:
    torch.manual_seed(0)
    layers = LiftingConv(3, 2, 3, n=4), used(GroupBatchNorm(2)), GroupConv(2, 2, 3, n=4), used(GroupBatchNorm(2))
    return nn.Sequential(*layers).double()


@pytest.mark.parametrize("padding", ["border", "circular", "zeros"])
@pytest.mark.parametrize("make", [plain, grouped])
def test_rates_after_a_norm_are_those_that_a_comparison_finds(make, padding: str, monkeypatch) -> None:
    model, compared = make(), []
    monkeypatch.setattr(lie.Generator, "sums", counted(lie.Generator.sums, compared))
    short = lie_derivative(model, images(), padding=padding)
    some = len(compared)
    monkeypatch.setattr(lie, "scaling_norms", lambda model: {})
    full = lie_derivative(model, images(), padding=padding)
    assert len(compared) - some > some or padding == "zeros"
    assert np.allclose(short.lie, full.lie, atol=0, rtol=SPLIT)
    assert np.allclose(short.absolute_lie, full.absolute_lie, atol=0, rtol=SPLIT)


def counted(function, calls: list):
    def count(*given):
        calls.append(1)
        return function(*given)

    return count


class Crooked(nn.BatchNorm2d):
    """Calls itself a norm and adds a pattern."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + torch.arange(x.shape[-1], dtype=x.dtype)


def hooked() -> nn.Module:
    norm = used(nn.BatchNorm2d(4))
    norm.register_forward_hook(lambda module, given, out: out + torch.arange(out.shape[-1], dtype=out.dtype))
    return norm


@pytest.mark.parametrize("make", [lambda: used(Crooked(4)), hooked])
def test_what_is_no_plain_norm_is_compared_itself(make, monkeypatch) -> None:
    model = plain(make())
    found = lie_derivative(model, images())
    monkeypatch.setattr(lie, "scaling_norms", lambda model: {"1": model[1]})  # the twin that trusts the name
    wrong = lie_derivative(model, images())
    trusted = float(abs(wrong.lie - found.lie).sel(layer="1").max())
    monkeypatch.setattr(lie, "scaling_norms", lambda model: {})
    full = lie_derivative(model, images())
    assert np.allclose(found.lie, full.lie, atol=0, rtol=SPLIT)
    assert trusted > BROKEN


def test_an_output_changed_in_place_is_compared_again() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = nn.Identity(), nn.Identity(), nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.second(self.first(x * 1))
            x.mul_(torch.linspace(0, 1, x.shape[-1], dtype=x.dtype))
            return self.third(x)

    ds = lie_derivative(Twice().double(), images())
    first, second, third = (ds.lie.sel(layer=name) for name in ("first", "second", "third"))
    assert np.array_equal(first, second)
    assert float(third.min()) > BROKEN > EXACT[torch.float64]


def test_a_norm_that_leaves_next_to_nothing_is_compared_itself() -> None:
    last = known.Last({"norm": (norm := nn.BatchNorm2d(1).eval())})
    given = torch.full((2, 1, 4, 4), 1.0)
    norm.running_mean.fill_(1.0)
    last.factors = {id(norm): known._powers(norm)}
    last.keep("conv", given, np.array([[[0.0]], [[64.0]], [[32.0]]]), np.zeros((2, 1)))
    out = norm(given)
    last.hook("norm", norm, (given,), out)
    assert last.rows_of(out, 16) is None
    assert last.rows_of(given, 16) is not None


class Viewed(nn.Module):
    """Looks at its numbers in the order of memory."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4 * 144, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return self.linear(x.view(len(x), -1))


def test_a_model_that_views_its_maps_is_measured_as_one_that_flattens_them(monkeypatch) -> None:
    torch.manual_seed(0)
    model = Viewed().double()
    twin = nn.Sequential(model.conv, nn.Flatten(), model.linear)
    found, wanted = lie_derivative(model, images()), lie_derivative(twin, images())
    assert np.allclose(found.lie.sel(layer="output"), wanted.lie.sel(layer="output"), atol=0, rtol=SPLIT)
    assert np.allclose(found.lie.sel(layer="conv"), wanted.lie.sel(layer="0"), atol=0, rtol=SPLIT)
    monkeypatch.setattr(lie, "_VIEW", "something else")
    with pytest.raises(RuntimeError, match="view size"):  # the twin that does not try the other order
        lie_derivative(model, images())
