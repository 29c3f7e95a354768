"""The error behind a norm is that of comparing its maps, and channels last in memory change nothing but the time."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.tolerances import BROKEN, EXACT, SINGLE_AGAINST_DOUBLE
from workbench.layers import GroupBatchNorm, GroupConv, GroupReLU, LiftingConv
from workbench.measure import equivariance_error, sweep
from workbench.measure.followed import Followed

NAMES = ("error", "relative_error", "absolute_error", "output_floor")


def random_norm(norm: nn.Module, mean: float = 0.3) -> nn.Module:
    norm.running_mean.normal_(mean)
    norm.running_var.uniform_(0.5, 2.0)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def plane() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), random_norm(nn.BatchNorm2d(4)), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1)
    )


def signals() -> nn.Sequential:
    norm = GroupBatchNorm(3)
    random_norm(norm.norm)
    return nn.Sequential(LiftingConv(3, 3, 3), norm, GroupReLU(), GroupConv(3, 2, 3))


def images(size: int = 12) -> torch.Tensor:
    return torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def measured(net: nn.Module, x: torch.Tensor, **options):
    group = "SO2" if isinstance(net[0], LiftingConv) else "O2"
    return equivariance_error(net, x, group, n_elements=13, layers="all", batch_size=12, **options)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("padding", ["border", "zeros"])
@pytest.mark.parametrize("make", [plane, signals])
def test_the_error_behind_a_norm_follows(monkeypatch, make, padding, dtype) -> None:
    torch.manual_seed(1)
    net, x, used = make().to(dtype), images().to(dtype), []
    given = Followed.totals_of
    monkeypatch.setattr(Followed, "totals_of", lambda self, value: used.append(given(self, value)) or used[-1])
    followed = measured(net, x, padding=padding)
    assert any(sums is not None for sums in used) == (padding == "border")
    monkeypatch.setattr(sweep, "scaling_norms", lambda model: {})
    compared = measured(net, x, padding=padding)
    rtol, atol = (1e-9, EXACT[dtype]) if dtype == torch.float64 else (0, SINGLE_AGAINST_DOUBLE)
    for name in NAMES:
        assert np.allclose(followed[name], compared[name], rtol=rtol, atol=atol)


def test_a_norm_in_training_mode_is_compared(monkeypatch) -> None:
    """The twin trusts a norm that takes the statistics of its batch."""

    class Restless(nn.BatchNorm2d):
        def forward(self, x):
            self.training = True
            return super().forward(x)

    torch.manual_seed(1)
    net = plane().double()
    net[1] = random_norm(Restless(4)).double()
    honest = measured(net, images())
    monkeypatch.setattr(sweep, "scaling_norms", lambda model: {})
    compared = measured(net, images())
    assert np.allclose(honest.error, compared.error, rtol=1e-9, atol=EXACT[torch.float64])
    monkeypatch.setattr(sweep, "scaling_norms", lambda model: {"1": model[1]})
    monkeypatch.setattr(Followed, "hook", trusting)
    fooled = measured(net, images())
    assert float(abs(fooled.error - compared.error).sel(layer="1").max()) > BROKEN


def trusting(self: Followed, name: str, norm: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
    norm.training = False
    if self.last is not None:
        followed = self.last[1].scaled(self.scales[id(norm)])
        self.scaled = None if followed is None else (type(self.last[0]).of(output), followed)


def test_a_norm_that_leaves_little_of_a_large_constant_is_compared(monkeypatch) -> None:
    """Sums would cancel there, and their rounding would be all that is left."""
    torch.manual_seed(1)
    net = plane()
    net[0].bias.data.fill_(300.0)
    net[1].running_mean.fill_(300.0)
    x = images().float()
    followed = measured(net, x)
    monkeypatch.setattr(sweep, "scaling_norms", lambda model: {})
    compared = measured(net, x)
    assert np.allclose(followed.error, compared.error, rtol=0, atol=SINGLE_AGAINST_DOUBLE)


class Viewer(nn.Module):
    """Looks at its numbers in the order of memory, and counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.calls = nn.Conv2d(3, 2, 3, padding=1), 0

    def forward(self, x):
        self.calls += 1
        return self.conv(x).view(len(x), -1).view(len(x), 2, *x.shape[-2:])


def test_a_model_that_views_its_numbers_gets_them_in_their_usual_order() -> None:
    net = Viewer().double()
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        net(images().contiguous(memory_format=torch.channels_last))
    plain = nn.Sequential(net.conv)
    viewed, usual = (equivariance_error(model, images(), "SO2", n_elements=7) for model in (net, plain))
    assert np.allclose(viewed.error, usual.error, rtol=1e-9, atol=EXACT[torch.float64])


def test_channels_last_in_memory_change_nothing_but_the_time(monkeypatch) -> None:
    torch.manual_seed(1)
    net, orders = plane().double(), []
    net[0].register_forward_hook(lambda module, given, output: orders.append(output.is_contiguous()))
    last = measured(net, images())
    assert not all(orders)
    monkeypatch.setattr(torch, "channels_last", torch.contiguous_format)
    orders.clear()
    usual = measured(net, images())
    assert all(orders)
    for name in NAMES:
        assert np.allclose(last[name], usual[name], rtol=1e-9, atol=EXACT[torch.float64])


def test_images_whose_channels_lie_last_are_measured_as_any_others() -> None:
    torch.manual_seed(1)
    net = plane().double()
    last, usual = measured(net, images().contiguous(memory_format=torch.channels_last)), measured(net, images())
    assert np.allclose(last.error, usual.error, rtol=1e-9, atol=EXACT[torch.float64])
