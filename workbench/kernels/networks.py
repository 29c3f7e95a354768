"""Coordinate networks: from a point to all C_out * C_in values of a kernel at that point.

SIREN follows Romero & Lohit 2022 (arXiv 2110.10211, released code): sine layers sin(omega0 (W x + b)) and a
linear read-out. The multiplicative filter networks z_1 = g_1(x), z_{i+1} = (W_i z_i + b_i) g_{i+1}(x) use
Fourier filters, Gabor filters of one width, or anisotropic Gabor filters whose width differs per coordinate
(MAGNet).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from workbench.groups.base import check_number

WIDEST = 4096  # more than any kernel needs: a larger number is a slip of the hand
NETWORKS = ("siren", "fourier", "gabor", "magnet")
DEFAULT_OMEGA0 = {"siren": 10.0, "fourier": 256.0, "gabor": 256.0, "magnet": 256.0}
CONSTANT = 0.9  # size of a multiplicative network's constant at the start, as a share of what varies


@dataclass(frozen=True)
class KernelSpec:
    """How the kernels of a layer are parameterised.

    Attributes:
        network: ``"siren"``, ``"fourier"``, ``"gabor"`` or ``"magnet"``.
        hidden: width of the hidden layers.
        layers: layers of a SIREN, read-out included; multiplicative networks have this many products.
        omega0: frequency of the first sines, in radians per half kernel width; ``None`` takes the paper's
            value (10 for SIREN, an input scale of 256 for the multiplicative networks).
        encoding: of the relative angle, ``"periodic"`` as (cos, sin) or ``"raw"`` as angle / pi - 1, which
            jumps at the identity.
        bias: ``"random"``, or ``"zero"`` as in the released code. Zero biases make a periodic SIREN kernel
            exactly odd, and its average over an even grid vanishes (derived here).

    >>> from workbench.kernels import KernelSpec
    >>> KernelSpec(omega0=3).frequency
    3.0
    """

    network: str = "siren"
    hidden: int = 32
    layers: int = 3
    omega0: float | None = None
    encoding: str = "periodic"
    bias: str = "random"

    def __post_init__(self) -> None:
        for value, allowed, name in (
            (self.network, NETWORKS, "network"),
            (self.encoding, ("periodic", "raw"), "encoding"),
            (self.bias, ("random", "zero"), "bias"),
        ):
            if value not in allowed:
                raise ValueError(f"KernelSpec: {name} = {value!r} was given; expected one of {', '.join(allowed)}.")
        for count, least, name in ((self.hidden, 1, "hidden"), (self.layers, 2, "layers")):
            if isinstance(count, bool) or not isinstance(count, int) or not least <= count <= WIDEST:
                raise ValueError(
                    f"KernelSpec: hidden = {self.hidden!r} and layers = {self.layers!r} were given; expected integers, "
                    f"hidden >= 1 and layers >= 2, at most {WIDEST}; 32 and 3 are usual; {name} cannot be {count!r}."
                )
        if self.omega0 is not None:
            check_number(self.omega0, "KernelSpec: omega0", "a positive finite number; 10 is usual", lowest=0.0)

    @property
    def frequency(self) -> float:
        """omega0, or the network's default."""
        return float(DEFAULT_OMEGA0[self.network] if self.omega0 is None else self.omega0)

    def asdict(self) -> dict[str, object]:
        """Plain data for a run's configuration."""
        return asdict(self)


def make_network(spec: KernelSpec, in_features: int, out_features: int) -> Siren | MultiplicativeNetwork:
    """A coordinate network ``(P, in_features) -> (P, out_features)`` as ``spec`` says."""
    if spec.network == "siren":
        return Siren(in_features, out_features, spec)
    return MultiplicativeNetwork(in_features, out_features, spec)


class Siren(nn.Module):
    """sin(omega0 (W x + b)) ... then linear; shape ``(P, in) -> (P, out)``."""

    def __init__(self, in_features: int, out_features: int, spec: KernelSpec):
        super().__init__()
        widths = [in_features] + [spec.hidden] * (spec.layers - 1)
        self.omega0 = spec.frequency
        sines = [nn.Linear(a, b) for a, b in pairwise(widths)]
        self.sines = nn.ModuleList(sines)
        self.readout = nn.Linear(spec.hidden, out_features)
        inner = math.sqrt(6 / spec.hidden) / self.omega0
        with torch.no_grad():
            for i, layer in enumerate(sines):
                bound = 1 / in_features if i == 0 else inner
                layer.weight.uniform_(-bound, bound)
                reach = (math.pi if i == 0 else 1.0) if spec.bias == "random" else 0.0
                layer.bias.uniform_(-reach, reach)
            self.readout.weight.uniform_(-inner, inner)
            self.readout.bias.zero_()

    def features(self, x: Tensor) -> Tensor:
        """What the read-out sees, ``(P, hidden)``."""
        for layer in self.sines:
            x = torch.sin(self.omega0 * layer(x))
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.features(x))


class MultiplicativeNetwork(nn.Module):
    """Fourier, Gabor and MAGNet filters multiplied layer by layer; shape ``(P, in) -> (P, out)``.

    Fourier: g(x) = sin(A x + b). Gabor: exp(-|gamma (x - mu)|^2 / 2) sin(gamma A x + b), gamma ~
    Gamma(6 / (L + 1), 1), one per filter; MAGNet has one gamma per coordinate, Gamma(6 / (l + 1), 1) for
    filter l, so that deeper filters are wider.

    The product of several sines is small, and a read-out bias of torch's usual size would hide it: kernels would be
    nearly flat. Without any bias the values at different angles have nothing in common, their mean over n input
    elements shrinks as 1 / sqrt(n), and no gain suits every n. The bias is drawn in between (derived here).
    """

    def __init__(self, in_features: int, out_features: int, spec: KernelSpec):
        super().__init__()
        filters = spec.layers + 1
        scale = spec.frequency / math.sqrt(filters)
        self.kind = spec.network
        windows = [nn.Linear(in_features, spec.hidden) for _ in range(filters)]
        mixers = [nn.Linear(spec.hidden, spec.hidden) for _ in range(spec.layers)]
        self.filters, self.mixers = nn.ModuleList(windows), nn.ModuleList(mixers)
        self.readout = nn.Linear(spec.hidden, out_features)
        self.gamma = nn.ParameterList()
        self.mu = nn.ParameterList()
        for i in range(filters if self.kind != "fourier" else 0):
            per_coordinate = in_features if self.kind == "magnet" else 1
            shape = 6 / (i + 1 if self.kind == "magnet" else filters)
            gamma = torch.distributions.Gamma(shape, 1.0).sample((spec.hidden, per_coordinate))
            self.gamma.append(nn.Parameter(gamma))
            self.mu.append(nn.Parameter(torch.rand(spec.hidden, in_features) * 2 - 1))
        bound = 1 / math.sqrt(spec.hidden)
        with torch.no_grad():
            for layer in windows:
                layer.weight.mul_(scale)
                layer.bias.uniform_(-math.pi, math.pi)
            for layer in mixers:
                layer.weight.uniform_(-bound, bound)
            reach = CONSTANT * self._size(in_features)
            self.readout.bias.uniform_(-reach, reach)

    def _size(self, in_features: int) -> float:
        """Root mean square of the features over the cube that holds the coordinates; draws nothing from torch."""
        points = torch.rand(256, in_features, generator=torch.Generator().manual_seed(0), device="cpu") * 2 - 1
        return float(self.features(points.to(self.readout.weight)).square().mean().sqrt())

    def _filter(self, i: int, x: Tensor) -> Tensor:
        layer = cast(nn.Linear, self.filters[i])
        if self.kind == "fourier":
            return torch.sin(layer(x))
        gamma = self.gamma[i]
        phase = nn.functional.linear(x, gamma * layer.weight, layer.bias)
        spread = (gamma * (x.unsqueeze(-2) - self.mu[i])).square().sum(-1)
        return torch.exp(-0.5 * spread) * torch.sin(phase)

    def features(self, x: Tensor) -> Tensor:
        """What the read-out sees, ``(P, hidden)``."""
        z = self._filter(0, x)
        for i, mix in enumerate(self.mixers):
            z = mix(z) * self._filter(i + 1, x)
        return z

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.features(x))
