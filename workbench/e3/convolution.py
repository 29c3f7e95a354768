"""Convolution of features on a point cloud with spherical harmonics, and the gate that follows it.

Thomas et al. 2018, "Tensor field networks" (arXiv 1802.08219), and Batzner et al. 2022, "NequIP" (arXiv 2101.03164);
both are described from memory, and tested against a slow sum over Clebsch-Gordan coefficients.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from e3nn import nn as e3nn_nn
from e3nn import o3
from torch import Tensor, nn

from workbench.e3.graphs import Edges
from workbench.e3.irreps import check_degree, exact_module, harmonic_irreps, parse_irreps
from workbench.e3.product import EdgeProduct
from workbench.e3.wigner import EdgeFrames

ENGINES = ("e3nn", "dense", "dense-e3nn", "dense-so2")
"""What multiplies features with harmonics: e3nn's product channel by channel, or :class:`EdgeProduct` by its engine."""


class HarmonicConvolution(nn.Module):
    r"""A receiver sums what its neighbours send, each coupled to the direction it comes from.

    .. math:: f'_i = W \frac{1}{\sqrt d} \sum_{j \in N(i)} (V f)_j \otimes_{w(|r_{ij}|)} Y(\hat r_{ij})

    with :math:`r_{ij} = x_j - x_i`, from the receiver i to the sender j, and d the average number of neighbours. The
    product is channel by channel ("uvu"): one weight for each path (l_in, l_edge) -> l_out and channel, made from the
    distance by a network without biases, so that a neighbour's part vanishes at the cutoff as smoothly as the radial
    basis does. V and W mix channels.

    Args:
        irreps_in: of the features, layout mul_ir.
        irreps_out: of the result; degrees and parities that no path reaches are refused.
        lmax: the highest degree of the harmonics of the edges, parity (-1)^l.
        count: functions of the radial basis.
        hidden: width of the network that makes the weights.
        average_neighbours: d, measured on the training set.
        engine: ``"e3nn"`` as above. ``"dense"``, with more weights, mixes all channels within the product, by
            :class:`DenseMessages`; ``"dense-e3nn"`` and ``"dense-so2"`` name its engine and are one function.

    Raises:
        ValueError: for irreps that cannot be, an unknown engine, or an average that is not positive.

    >>> from workbench.e3.graphs import neighbours
    >>> from workbench.e3.harmonics import spherical_harmonics
    >>> conv = HarmonicConvolution("4x0e", "2x0e+3x1o", lmax=1, count=8)
    >>> edges = neighbours(torch.randn(5, 3), 3.0)
    >>> harmonics = spherical_harmonics(1, edges.vector)
    >>> conv(torch.randn(5, 4), edges, harmonics, torch.randn(len(edges.sender), 8)).shape
    torch.Size([5, 11])
    """

    def __init__(
        self,
        irreps_in: str | o3.Irreps,
        irreps_out: str | o3.Irreps,
        lmax: int,
        count: int,
        hidden: int = 16,
        average_neighbours: float = 1.0,
        engine: str = "e3nn",
    ) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out = parse_irreps(irreps_in), parse_irreps(irreps_out)
        check_degree("lmax", lmax)
        if engine not in ENGINES:
            raise ValueError(f"engine {engine!r} was given; expected one of {', '.join(ENGINES)}.")
        if not 0 < average_neighbours < float("inf"):
            raise ValueError(f"average_neighbours = {average_neighbours!r} was given; expected a positive number.")
        self.engine, self.average_neighbours = engine, float(average_neighbours)
        self.lmax = lmax
        if engine != "e3nn":
            kind = engine.partition("-")[2] or "auto"
            self.dense = DenseMessages(self.irreps_in, lmax, self.irreps_out, count, hidden, kind)
            return
        self.mix_in = o3.Linear(self.irreps_in, self.irreps_in)
        self.product = depthwise_product(self.irreps_in, harmonic_irreps(lmax), self.irreps_out)
        self.weights = e3nn_nn.FullyConnectedNet([count, hidden, self.product.weight_numel], nn.functional.silu)
        self.mix_out = o3.Linear(self.product.irreps_out.simplify(), self.irreps_out)
        self.register_load_state_dict_post_hook(HarmonicConvolution._refresh)

    def forward(
        self, features: Tensor, edges: Edges, harmonics: Tensor, radial: Tensor, frames: EdgeFrames | None = None
    ) -> Tensor:
        """Features ``(N, D_in)``, harmonics ``(E, (lmax+1)^2)`` and radial basis ``(E, count)`` to ``(N, D_out)``.

        Harmonics are normalised to "component" and have y as the polar axis, as `spherical_harmonics` makes them.
        A dense engine reads the vectors of the edges instead of harmonics, and the frames that layers may share.
        """
        with torch.autocast(features.device.type, enabled=False):  # e3nn's products know one type at a time
            return self._summed(features, edges, harmonics, radial, frames)

    def _summed(
        self, features: Tensor, edges: Edges, harmonics: Tensor, radial: Tensor, frames: EdgeFrames | None
    ) -> Tensor:
        if self.engine == "e3nn":
            messages = self.product(self.mix_in(features)[edges.sender], harmonics, self.weights(radial))
        else:
            frames = EdgeFrames(edges.vector, self.dense.product.lmax) if frames is None else frames
            messages = self.dense(features[edges.sender], frames, radial)
        summed = messages.new_zeros(len(features), messages.shape[-1]).index_add(0, edges.receiver, messages)
        summed = summed / self.average_neighbours**0.5
        return self.mix_out(summed) if self.engine == "e3nn" else summed

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> HarmonicConvolution:
        """What casts the layer, ``double()`` too, gives coefficients as exact as the new type allows."""
        super()._apply(fn, recurse)
        self._refresh()
        return self

    def _refresh(self, *_: object) -> None:
        """Coefficients of the layer's own type, whatever they were cast or loaded from."""
        if self.engine == "e3nn":
            exact_module(self.product, self.mix_in.weight.dtype)

    def extra_repr(self) -> str:
        """Irreps, engine and average number of neighbours."""
        return (
            f"{self.irreps_in} -> {self.irreps_out}, engine={self.engine!r}, "
            f"average_neighbours={self.average_neighbours:g}"
        )


class DenseMessages(nn.Module):
    """:class:`EdgeProduct` with every channel weighed by the distance, before it and after it.

    Its weights are shared by all edges; those of the distance come from a network without biases.

    Args:
        irreps_in, lmax, irreps_out, count, hidden: as in :class:`HarmonicConvolution`.
        engine: of the product, ``"auto"``, ``"e3nn"`` or ``"so2"``; they differ in cost alone.
    """

    before: Tensor
    after: Tensor

    def __init__(
        self, irreps_in: o3.Irreps, lmax: int, irreps_out: o3.Irreps, count: int, hidden: int, engine: str = "auto"
    ) -> None:
        super().__init__()
        _paths(irreps_in, harmonic_irreps(lmax), irreps_out)
        self.product = EdgeProduct(irreps_in, lmax, irreps_out, engine)
        numbers = irreps_in.num_irreps, irreps_out.num_irreps
        self.weights = e3nn_nn.FullyConnectedNet([count, hidden, sum(numbers)], nn.functional.silu)
        self.register_buffer("before", _each_channel(irreps_in), persistent=False)
        self.register_buffer("after", numbers[0] + _each_channel(irreps_out), persistent=False)

    def forward(self, sent: Tensor, frames: EdgeFrames, radial: Tensor) -> Tensor:
        """Features of the senders ``(E, D_in)`` to messages ``(E, D_out)``."""
        weights = self.weights(radial)
        result: Tensor = self.product(sent * weights[:, self.before], frames) * weights[:, self.after]
        return result


def _each_channel(irreps: o3.Irreps) -> Tensor:
    """For each number of a feature, which channel it belongs to."""
    sizes = torch.tensor([block.ir.dim for block in irreps for _ in range(block.mul)])
    return torch.repeat_interleave(torch.arange(len(sizes)), sizes)


def depthwise_product(irreps_in: o3.Irreps, irreps_edge: o3.Irreps, irreps_out: o3.Irreps) -> o3.TensorProduct:
    """e3nn's product channel by channel, weights given with each call, one output slot for each path.

    A path (l1, p1) x (l2, p2) -> (l3, p3) exists where |l1 - l2| <= l3 <= l1 + l2 and p3 = p1 p2; those whose result
    ``irreps_out`` holds are taken.

    Raises:
        ValueError: where no path leads to a block of ``irreps_out``.

    >>> depthwise_product(o3.Irreps("4x0e+4x1o"), o3.Irreps("0e+1o"), o3.Irreps("0e+1o")).weight_numel
    16
    """
    paths = _paths(irreps_in, irreps_edge, irreps_out)
    slots, order, _ = o3.Irreps([(mul, kind) for mul, kind, _, _ in paths]).sort()
    instructions = [(first, second, order[slot], "uvu", True) for slot, (_, _, first, second) in enumerate(paths)]
    return o3.TensorProduct(
        irreps_in, irreps_edge, slots, sorted(instructions, key=lambda one: one[2]),
        internal_weights=False, shared_weights=False,
    )  # fmt: skip


def _paths(irreps_in: o3.Irreps, irreps_edge: o3.Irreps, irreps_out: o3.Irreps) -> list[tuple[int, o3.Irrep, int, int]]:
    """Multiplicity, result, block of the input and block of the edge, of each path; every result must be reached."""
    wanted = {block.ir for block in irreps_out}
    paths = [
        (mul, kind, first, second)
        for first, (mul, one) in enumerate(irreps_in)
        for second, (_, other) in enumerate(irreps_edge)
        for kind in one * other
        if kind in wanted
    ]
    if missing := sorted(wanted - {kind for _, kind, _, _ in paths}):
        raise ValueError(
            f"irreps_out {irreps_out} were given; no path from {irreps_in} and edges {irreps_edge} leads to "
            f"{', '.join(map(str, missing))}; leave them out, or raise lmax."
        )
    return paths


def gate(irreps: str | o3.Irreps) -> e3nn_nn.Gate:
    """e3nn's gate that gives out ``irreps``: scalars through SiLU (tanh for ``0o``), the rest times a sigmoid each.

    What it takes in is its ``irreps_in``, with one more even scalar for each block that is gated. Unlike a
    non-linearity of the norm, its gradient at zero is finite.

    >>> gate("4x0e+3x1o").irreps_in
    7x0e+3x1o
    """
    parsed = parse_irreps(irreps)
    scalars = o3.Irreps([block for block in parsed if block.ir.l == 0])
    gated = o3.Irreps([block for block in parsed if block.ir.l > 0])
    gates = o3.Irreps([(block.mul, "0e") for block in gated])
    acts = [nn.functional.silu if block.ir.p > 0 else torch.tanh for block in scalars]
    return e3nn_nn.Gate(scalars, acts, gates, [torch.sigmoid] * len(gates), gated)
