"""At the start no layer swells or shrinks its signal, whatever the network, the kernel size and the count.

The signal is *lifted white noise*: independent standard normal pixels, lifted by a layer of the same kind with
the same elements, both with circular padding so that no border dilutes the figure.
"""

import pytest
import torch

from tests.tolerances import STD_RATIO
from workbench.groups import parse_group
from workbench.kernels import KernelSpec
from workbench.kernels.calibration import element_counts
from workbench.kernels.networks import NETWORKS
from workbench.layers import GroupConv, LiftingConv

COUNTS = (1, 2, 4, 8, 16, 32)


def offered(group: str) -> list[int]:
    g = parse_group(group)
    return [n for n in COUNTS if n in element_counts(g) or (g.order is None and n > 8)]


def gain(x: torch.Tensor, y: torch.Tensor) -> float:
    return float(y.std() / x.std())


def within(ratio: float) -> bool:
    return STD_RATIO[0] <= ratio <= STD_RATIO[1]


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("k", [1, 3, 5, 7, 9])
@pytest.mark.parametrize("group", ["SO2", "O2"])
@pytest.mark.parametrize("network", NETWORKS)
def test_the_standard_deviation_is_kept(network, group, k):
    spec = KernelSpec(network)
    lift = LiftingConv(3, 8, max(k, 3), group=group, kernel=spec, padding_mode="circular")
    conv = GroupConv(8, 8, k, group=group, kernel=spec, padding_mode="circular")
    noise = torch.randn(1, 3, 20, 20)
    for n in offered(group):
        lift.n = conv.n = n
        signal = lift(noise)
        assert within(gain(noise, signal.values)), n
        assert within(gain(signal.values, conv(signal).values)), n


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("network", NETWORKS)
def test_kernels_of_one_pixel_keep_it_on_every_draw(network, seed):
    torch.manual_seed(seed)
    spec = KernelSpec(network)
    lift = LiftingConv(3, 8, 3, kernel=spec, padding_mode="circular")
    conv = GroupConv(8, 8, 1, kernel=spec)
    noise = torch.randn(1, 3, 20, 20)
    for n in offered("SO2"):
        lift.n = conv.n = n
        signal = lift(noise)
        assert within(gain(signal.values, conv(signal).values)), n


@torch.no_grad()
@pytest.mark.parametrize("group", ["C(1)", "C(8)", "D(1)", "D(4)"])
def test_finite_groups_keep_it_too(group):
    lift = LiftingConv(1, 16, 5, group=group, padding_mode="circular")
    conv = GroupConv(16, 16, 5, group=group, padding_mode="circular", partial=True).eval()
    signal = lift(torch.randn(1, 1, 20, 20))
    assert within(float(signal.values.std()))
    assert within(gain(signal.values, conv(signal).values))


@torch.no_grad()
@pytest.mark.parametrize("theta", [1.0, 0.6, 0.2, 1e-3])
def test_partial_layers_keep_it_at_every_width(theta):
    lift, conv = (
        LiftingConv(1, 16, 7, padding_mode="circular"),
        GroupConv(16, 16, 7, padding_mode="circular", partial=True),
    )
    conv.distribution.theta.fill_(theta)
    signal = lift(torch.randn(1, 1, 20, 20))
    assert within(gain(signal.values, conv(signal).values))


@torch.no_grad()
@pytest.mark.parametrize(("channels_in", "channels_out"), [(1, 64), (64, 1), (64, 64)])
def test_the_number_of_channels_does_not_matter(channels_in, channels_out):
    lift = LiftingConv(1, channels_in, 5, padding_mode="circular")
    conv = GroupConv(channels_in, channels_out, 5, padding_mode="circular")
    signal = lift(torch.randn(2, 1, 16, 16))
    assert within(gain(signal.values, conv(signal).values))


@torch.no_grad()
@pytest.mark.parametrize("network", ["fourier", "gabor", "magnet"])
def test_products_of_sines_without_any_constant_suit_no_gain(network):
    spec = KernelSpec(network)
    lift, conv = (
        LiftingConv(3, 8, 3, kernel=spec, padding_mode="circular"),
        GroupConv(8, 8, 3, kernel=spec, padding_mode="circular"),
    )
    for layer in (lift, conv):
        layer.kernels.network.readout.bias.zero_()
    noise, gains = torch.randn(1, 3, 20, 20), []
    for n in COUNTS:
        lift.n = conv.n = n
        signal = lift(noise)
        gains.append(gain(signal.values, conv(signal).values))
    assert max(gains) / min(gains) > STD_RATIO[1] / STD_RATIO[0]


@torch.no_grad()
def test_kernels_without_their_gain_are_seen():
    lift, conv = LiftingConv(16, 16, 7, padding_mode="circular"), GroupConv(16, 16, 7, padding_mode="circular")
    noise = torch.randn(1, 16, 20, 20)
    signal = lift(noise)
    for layer, given in ((lift, noise), (conv, signal)):
        layer.kernels.gain.fill_(1.0)
        before = given if layer is lift else given.values
        assert not within(gain(before, layer(given).values))


def test_calibration_leaves_the_generator_as_it_was():
    torch.manual_seed(5)
    GroupConv(2, 2, 3)
    after = torch.rand(1)
    torch.manual_seed(5)
    layer = GroupConv(2, 2, 3)
    assert torch.equal(torch.rand(1), after)
    assert not torch.equal(layer.kernels.network.readout.weight, GroupConv(2, 2, 3).kernels.network.readout.weight)
