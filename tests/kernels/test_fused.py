"""The fused network and read-out against the modules they stand for."""

import pytest
import torch
from torch.autograd import gradcheck

from tests.layers.symmetry import relative
from tests.tolerances import EXACT, SEPARATION
from workbench.kernels import KernelSpec
from workbench.kernels.fused import Places, Readout, SirenKernels
from workbench.kernels.networks import make_network

CHANNELS, SHAPE, POINTS = (3, 2), (2, 2, 3), 5


def case(network: str = "siren"):
    """A network, points, a factor and places with repeated points and two outside the disc."""
    torch.manual_seed(0)
    net = make_network(KernelSpec(network, hidden=4), 3, CHANNELS[0] * CHANNELS[1]).double()
    torch.nn.init.normal_(net.readout.bias)
    index = torch.tensor([0, 1, 2, 3, 4, POINTS, 4, 4, 1, POINTS, 0, 3])
    points = torch.randn(POINTS, 3, dtype=torch.float64, requires_grad=True)
    return net, points, torch.tensor(1.7, dtype=torch.float64), Places(index, SHAPE, CHANNELS)


def fused(net, points, scale, places):
    readout = net.readout.weight, net.readout.bias
    sines = (p for layer in net.sines for p in (layer.weight, layer.bias))
    return SirenKernels.apply(points, *readout, scale, places, net.omega0, *sines)


def slowly(net, points, scale, places):
    """The network's own modules, then one place after the other."""
    values = torch.cat([net(points) * scale, points.new_zeros(1, CHANNELS[0] * CHANNELS[1])])
    placed = torch.stack([values[int(i)] for i in places.points])
    return placed.view(*SHAPE, *CHANNELS).permute(3, 0, 4, 1, 2)


def test_kernels_and_every_gradient_are_those_of_the_modules():
    net, points, scale, places = case()
    given = [points, *net.parameters()]
    ours, theirs = (make(net, points, scale, places) for make in (fused, slowly))
    assert relative(ours, theirs) <= EXACT[torch.float64]
    weight = torch.randn_like(theirs)
    slopes = [torch.autograd.grad((made * weight).sum(), given) for made in (ours, theirs)]
    for a, b in zip(*slopes, strict=True):
        assert a.shape == b.shape
        assert relative(a, b) <= EXACT[torch.float64]


@pytest.mark.parametrize("network", ["siren", "fourier", "gabor", "magnet"])
def test_the_read_out_alone_serves_every_network(network):
    net, points, scale, places = case(network)
    ours = Readout.apply(net.features(points), net.readout.weight, net.readout.bias, scale, places)
    assert relative(ours, slowly(net, points, scale, places)) <= EXACT[torch.float64]
    given = [points, *net.parameters()]
    slopes = [torch.autograd.grad(made.square().sum(), given) for made in (ours, slowly(net, points, scale, places))]
    assert all(relative(a, b) <= 10 * EXACT[torch.float64] for a, b in zip(*slopes, strict=True))


def test_slopes_are_those_of_finite_differences():
    net, points, scale, places = case()
    assert gradcheck(lambda p: fused(net, p, scale, places), (points,))


def test_a_network_that_forgets_its_frequency_or_a_place_is_noticed():
    net, points, scale, places = case()
    right = slowly(net, points, scale, places)
    net.omega0 *= 1.01
    assert relative(fused(net, points, scale, places), right) > SEPARATION * EXACT[torch.float64]
    net.omega0 /= 1.01
    wrong = places._replace(points=places.points.flip(0))
    assert relative(fused(net, points, scale, wrong), right) > SEPARATION * EXACT[torch.float64]


def test_gradients_of_half_precision_losses_stay_whole():
    net, points, scale, places = case()
    net, points, scale = net.float(), points.detach().float(), scale.float()
    values = fused(net, points, scale, places)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (values.flatten(1) @ values.flatten(1).t()).sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in net.parameters())


def test_a_second_derivative_is_refused_and_not_silently_wrong():
    net, points, scale, places = case()
    (slope,) = torch.autograd.grad(fused(net, points, scale, places).square().sum(), points, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()
