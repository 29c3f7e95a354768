"""Coordinate networks against their formulas, their start, and the sentences of their settings."""

import math

import pytest
import torch

from tests.layers.symmetry import relative
from tests.tolerances import BROKEN, EXACT
from workbench.groups import SO2
from workbench.kernels import NETWORKS, KernelBank, KernelSpec, disc_mask, make_network

TIGHT = EXACT[torch.float64]


def network(kind: str, inputs: int = 3, outputs: int = 4, **options):
    return make_network(KernelSpec(kind, **{"hidden": 5, **options}), inputs, outputs).double()


X = torch.linspace(-1, 1, 21).reshape(7, 3).double().sin()


def test_siren_is_sines_of_affine_maps_and_a_linear_end():
    net = network("siren", omega0=4.0)
    for x, wanted in zip(X, net(X), strict=True):
        for layer in net.sines:
            x = torch.stack([torch.sin(4.0 * (row @ x + b)) for row, b in zip(layer.weight, layer.bias, strict=True)])
        assert relative(net.readout.weight @ x + net.readout.bias, wanted) <= TIGHT


@pytest.mark.parametrize("kind", ["fourier", "gabor", "magnet"])
def test_multiplicative_networks_are_products_of_filters(kind):
    net = network(kind)

    def g(i: int, x: torch.Tensor) -> torch.Tensor:
        layer, out = net.filters[i], []
        for j in range(5):
            if kind == "fourier":
                out.append(torch.sin(layer.weight[j] @ x + layer.bias[j]))
                continue
            gamma, mu = net.gamma[i][j], net.mu[i][j]
            bell = torch.exp(-0.5 * sum((gamma.expand(3)[d] * (x[d] - mu[d])) ** 2 for d in range(3)))
            out.append(bell * torch.sin((gamma * layer.weight[j]) @ x + layer.bias[j]))
        return torch.stack(out)

    for x, wanted in zip(X, net(X), strict=True):
        z = g(0, x)
        for i, mix in enumerate(net.mixers):
            z = (mix.weight @ z + mix.bias) * g(i + 1, x)
        assert relative(net.readout.weight @ z + net.readout.bias, wanted) <= TIGHT


def test_widths_of_the_gaussians_are_one_per_filter_or_one_per_coordinate():
    assert {tuple(gamma.shape) for gamma in network("gabor").gamma} == {(5, 1)}
    assert {tuple(gamma.shape) for gamma in network("magnet").gamma} == {(5, 3)}
    torch.manual_seed(0)
    wide = network("magnet", hidden=1500)
    means = [float(gamma.mean().detach()) for gamma in wide.gamma]
    assert means == pytest.approx([6, 3, 2, 1.5], rel=0.05)  # deeper filters are wider
    assert float(network("gabor", hidden=1500).gamma[0].mean().detach()) == pytest.approx(6 / 4, rel=0.05)


def test_siren_starts_within_the_published_bounds():
    net = make_network(KernelSpec(hidden=64, omega0=10), 2, 8)
    first, second = net.sines
    inner = math.sqrt(6 / 64) / 10
    bounds = {1 / 2: first.weight, inner: second.weight, math.pi: first.bias, 1.0: second.bias}
    for bound, parameter in bounds.items():
        assert 0.8 * bound < float(parameter.detach().abs().max()) <= bound
    assert 0.8 * inner < float(net.readout.weight.detach().abs().max()) <= inner
    zero = make_network(KernelSpec(bias="zero"), 2, 8)
    assert all(float(layer.bias.detach().abs().max()) == 0 for layer in zero.sines)


def test_the_first_frequencies_of_the_multiplicative_networks_follow_their_scale():
    slow, fast = (network("fourier", hidden=500, omega0=w) for w in (4.0, 256.0))
    ratio = fast.filters[0].weight.detach().std() / slow.filters[0].weight.detach().std()
    assert float(ratio) == pytest.approx(64, rel=0.1)


@torch.no_grad()
@pytest.mark.parametrize("kind", NETWORKS)
def test_kernels_start_with_structure_instead_of_nearly_flat(kind):
    bank = KernelBank(8, 8, 7, SO2(), KernelSpec(kind), lifting=False)
    grid = SO2().grid(4)

    def structure() -> float:
        kernels = bank(grid, grid)[..., disc_mask(7)]
        return float(kernels.var(-1).mean() / kernels.square().mean())

    before = structure()
    assert before > 0.4
    if kind != "siren":
        bank.network.readout.reset_parameters()  # torch's own bias
        assert structure() < before / 2


@torch.no_grad()
def test_zero_biases_make_a_periodic_siren_kernel_odd_and_its_mean_over_an_even_grid_vanish():
    elements = SO2().grid(8, dtype=torch.float64)
    for bias in ("zero", "random"):
        bank = KernelBank(2, 2, 5, SO2(), KernelSpec(bias=bias), lifting=False).double()
        kernels = bank(elements, elements)
        total = kernels.sum((1, 3)).sum(-1).abs().max() / kernels.abs().sum((1, 3)).sum(-1).max()
        assert (float(total) <= TIGHT) == (bias == "zero")
        turned = kernels.roll(4, 3).flip(-1)  # k(-x, angle + pi)
        assert (relative(turned, -kernels) <= TIGHT) == (bias == "zero")


@torch.no_grad()
def test_the_raw_encoding_jumps_at_the_identity_and_the_periodic_one_does_not():
    near = torch.tensor([[-1e-3], [1e-3]], dtype=torch.float64)
    for encoding in ("raw", "periodic"):
        bank = KernelBank(2, 2, 3, SO2(), KernelSpec(encoding=encoding), lifting=False).double()
        below, above = bank(SO2().identity(torch.float64)[None], near).unbind(3)
        assert (relative(below, above) > BROKEN) == (encoding == "raw")


@pytest.mark.parametrize("kind", NETWORKS)
def test_weights_survive_saving_and_loading(kind):
    one, other = network(kind), network(kind)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(X), other(X))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"network": "relu"}, "expected one of siren, fourier, gabor, magnet"),
        ({"encoding": "degrees"}, "expected one of periodic, raw"),
        ({"bias": "one"}, "expected one of random, zero"),
        ({"hidden": 0}, "hidden >= 1"),
        ({"layers": 1}, "layers >= 2"),
        ({"hidden": 2.5}, "hidden cannot be 2.5"),
        ({"hidden": "8"}, "hidden cannot be '8'"),
        ({"hidden": True}, "hidden cannot be True"),
        ({"hidden": 10**9}, "at most 4096"),
        ({"layers": float("nan")}, "layers cannot be nan"),
        ({"omega0": "10"}, "positive finite"),
        ({"omega0": 0.0}, "positive finite"),
        ({"omega0": float("nan")}, "positive finite"),
    ],
)
def test_bad_settings_are_refused_with_a_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        KernelSpec(**options)


def test_a_setting_is_plain_data():
    spec = KernelSpec("magnet", hidden=7)
    assert KernelSpec(**spec.asdict()) == spec
    assert (spec.frequency, KernelSpec().frequency, KernelSpec(omega0=3).frequency) == (256.0, 10.0, 3.0)
