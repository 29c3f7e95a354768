"""The quick comparison of turned maps gives what acting element by element gives."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.tolerances import BROKEN, EXACT, SPLIT
from workbench.actions import transform_image
from workbench.groups import SO2
from workbench.layers import GroupConv, GroupProjection, GroupReLU, LiftingConv
from workbench.measure import equivariance_error, orbit, sweep, turning
from workbench.measure.turning import taps

QUICK = {("SO2", "SO2", 8), ("O2", "O2", 8), ("C(8)", "C(4)", 4), ("D(4)", "D(4)", 8)}  # quarter turns permute n
NAMES = ("error", "output_floor", "input_floor", "relative_error", "absolute_error")


def model() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 2, 3)).double()


def images(size: int = 15) -> torch.Tensor:
    return torch.rand(3, 1, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("mask", ["disc", "none"])
@pytest.mark.parametrize("padding", ["zeros", "border"])
@pytest.mark.parametrize("resampler", ["bilinear", "bicubic"])
@pytest.mark.parametrize("group", ["SO2", "O2", "C(8)"])
def test_it_agrees_with_acting_element_by_element(monkeypatch, group, resampler, padding, mask) -> None:
    net, used = model(), []
    options = {"layers": "all", "resampler": resampler, "padding": padding, "mask": mask, "batch_size": 20}
    original = sweep.turned_maps
    monkeypatch.setattr(sweep, "turned_maps", lambda *given: used.append(1) or original(*given))
    quick = equivariance_error(net, images(), group, n_elements=13, **options)
    monkeypatch.setattr(sweep, "turned_maps", lambda *given: None)
    slow = equivariance_error(net, images(), group, n_elements=13, **options)
    assert used
    for name in NAMES:
        assert np.allclose(quick[name], slow[name], rtol=1e-9, atol=EXACT[torch.float64])


@pytest.mark.parametrize(
    ("group", "of", "n"),
    [("SO2", "SO2", 8), ("SO2", "SO2", 6), ("O2", "O2", 8), ("O2", "SO2", 4), ("C(8)", "C(4)", 4), ("D(4)", "D(4)", 8)],
)
def test_signals_agree_with_acting_element_by_element(monkeypatch, group, of, n) -> None:
    net = nn.Sequential(
        LiftingConv(1, 3, 3, group=of, n=n), GroupReLU(), GroupConv(3, 2, 3, group=of, n=n), GroupProjection("max")
    ).double()
    used = []
    original = sweep.turned_maps

    def counted(*given):
        used.append(original(*given))
        return used[-1]

    def run():
        return equivariance_error(net, images(8), group, n_elements=14, layers="all", batch_size=20)

    monkeypatch.setattr(sweep, "turned_maps", counted)
    quick = run()
    monkeypatch.setattr(sweep, "turned_maps", lambda *given: None)
    slow = run()
    assert any(maps is not None and maps.of for maps in used) == ((group, of, n) in QUICK)
    for name in NAMES:
        assert np.allclose(quick[name], slow[name], rtol=1e-9, atol=EXACT[torch.float64], equal_nan=True)


def test_a_wrong_order_of_the_elements_is_seen(monkeypatch) -> None:
    net = nn.Sequential(LiftingConv(1, 3, 3), GroupReLU(), GroupConv(3, 2, 3)).double()
    right = equivariance_error(net, images(8), "SO2", n_elements=5, layers="all")
    monkeypatch.setattr(turning, "_places", lambda *given: torch.arange(8))
    wrong = equivariance_error(net, images(8), "SO2", n_elements=5, layers="all")
    assert (
        float(right.error.sel(layer="2")[1, 0])
        <= EXACT[torch.float64]
        < BROKEN
        < float(wrong.error.sel(layer="2")[1, 0])
    )


@pytest.mark.parametrize("resampler", ["bilinear", "bicubic"])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_the_identity_has_no_error_at_all(channels, resampler) -> None:
    x = torch.rand(5, channels, 16, 16, generator=torch.Generator().manual_seed(0))
    ds = equivariance_error(nn.Identity(), x, "O2", n_elements=14, resampler=resampler)
    assert float(ds.error.max()) == 0


def test_the_order_of_the_elements_does_not_matter() -> None:
    elements = orbit(SO2(), 13)
    order = torch.randperm(len(elements), generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    nets = model()
    plain, mixed = (equivariance_error(nets, images(), "SO2", e, batch_size=7) for e in (elements, elements[order]))
    assert np.allclose(plain.error.values[:, order], mixed.error, rtol=SPLIT, atol=EXACT[torch.float64])


@pytest.mark.parametrize("resampler", ["bilinear", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border"])
@pytest.mark.parametrize("angle", [0.3, -0.7])
def test_the_weights_are_those_of_the_action(angle: float, padding: str, resampler: str) -> None:
    x = images(9)[0, 0]
    places, weights = taps(angle, 9, resampler, padding, torch.float64, x.device)
    ours = (x.flatten()[places.long()] * weights).sum(1).view(9, 9)
    wanted = transform_image(x, torch.tensor([angle], dtype=torch.float64), SO2(), resampler=resampler, padding=padding)
    assert torch.allclose(ours, wanted, rtol=0, atol=EXACT[torch.float64])


def test_quarter_turns_stay_exact() -> None:
    quarters = torch.arange(4, dtype=torch.float64).unsqueeze(-1) * (math.pi / 2)
    ds = equivariance_error(nn.Sequential(nn.ReLU(), nn.AvgPool2d(2)), images(16), "SO2", quarters, layers="all")
    assert float(ds.error.max()) <= EXACT[torch.float64]
    assert float(ds.output_floor.max()) == 0
