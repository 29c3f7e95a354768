"""Features times weighted spherical harmonics of an edge's direction, by e3nn or reduced to SO(2).

Both are the same function of the same weights, those of e3nn's FullyConnectedTensorProduct in its order:

    out^o_c = sum over paths (i, l) -> o of n_path sum_c' w_path[c', c] sum_m C^o_{i, l} f^i_c' Y^l(n).

With weights of each edge they are those of e3nn's TensorProduct with instructions "uvu", channel by channel, all paths
to a block of the output summed: out^o_c = sum over paths of n_path w_path[e, c] sum_m C^o_{i, l} f^i_c Y^l(n).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from e3nn import o3
from torch import Tensor, nn

from workbench.e3.irreps import check_degree, exact_module, parse_irreps
from workbench.e3.mixing import EdgeMixer, Mixer
from workbench.e3.so2 import Side, path_matrix, reduced_product
from workbench.e3.wigner import EdgeFrames
from workbench.groups.base import check_floating

ENGINES = ("auto", "e3nn", "so2")
WEIGHTS = ("shared", "edge")
REDUCED_FROM = {16: 2, 32: 2, 64: 2}
"""For each number of channels measured, the degree from which the reduced product is picked: where the gains of a plain
step and of one that differentiates gradients again, to learn forces, multiply to more than 1. At degree 2 the one takes
half of e3nn's time and the other as much; at degree 1 three quarters and half as much again
(tests/benchmarks/edge_product.py)."""
REDUCED_FROM_EDGE = 2
"""The same for weights of each edge, at any number of channels."""


@dataclass(frozen=True)
class Path:
    """One weight block of e3nn: input block, filter degree, output block, shape, and factor of its normalisation."""

    source: int
    degree: int
    target: int
    shape: tuple[int, int]
    factor: float
    start: int


class EdgeProduct(nn.Module):
    """Features ``(E, D_in)`` times harmonics of E directions, weighted: features ``(E, D_out)``.

    Equivariant under rotations; with ``reflections`` also under inversion, where parity then forbids half the paths.
    The polar axis is y, harmonics are normalised to "component".
    The engines differ in cost alone and have the same weights, so either reads the other's ``state_dict``. Output
    components have variance 1 for input components of variance 1.

    Args:
        irreps_in, irreps_out: any multiplicities and parities, such as ``"32x0e+32x1o"``.
        lmax_edge: the highest degree of the harmonics. None: every degree that some path could use, l_in + l_out; a
            smaller one leaves out functions.
        engine: ``"e3nn"``, ``"so2"``, or ``"auto"`` for the one that was measured to be faster, see
            :data:`REDUCED_FROM`.
        reflections: harmonics have their parity (-1)^l. False takes them as even, whatever the degree: declare all
            irreps even, and the odd paths are there, the cross product among them.
        mmax: in the frame of the edge keep |m| up to this only: fewer functions, still exactly equivariant
            (Liao et al. 2024, EquiformerV2, keep 2 of 6). Needs ``"so2"``.
        weights: ``"shared"`` by all edges and mixing all channels; or ``"edge"``: given with each call, channel by
            channel, such as a network makes them from the distance. All blocks then have one multiplicity, and all
            paths to a block of the output are summed, not kept apart.

    Attributes:
        weight: the shared weights, or None.
        weight_numel: how many weights, for each edge where edges have their own.

    Raises:
        ValueError: for irreps or degrees that cannot be, an unknown engine, or no path at all.

    >>> layer = EdgeProduct("4x0e+4x1o", 2, "4x0e+4x1o+4x2e", engine="so2")
    >>> vectors = torch.tensor([[0.0, 0.0, 1.0], [1.0, 2.0, 2.0]])
    >>> tuple(layer(torch.ones(2, 16), vectors).shape)
    (2, 36)
    >>> layer = EdgeProduct("4x0e+4x1o", 1, "4x0e+4x1o", weights="edge")
    >>> tuple(layer(torch.ones(2, 16), vectors, torch.ones(2, layer.weight_numel)).shape)
    (2, 16)
    """

    def __init__(
        self,
        irreps_in: str | o3.Irreps,
        lmax_edge: int | None,
        irreps_out: str | o3.Irreps,
        engine: str = "auto",
        *,
        reflections: bool = True,
        mmax: int | None = None,
        weights: str = "shared",
    ):
        super().__init__()
        self.irreps_in, self.irreps_out = parse_irreps(irreps_in), parse_irreps(irreps_out)
        self.lmax = max(self.irreps_in.lmax, self.irreps_out.lmax)
        all_degrees = self.irreps_in.lmax + self.irreps_out.lmax
        self.lmax_edge = (
            all_degrees if lmax_edge is None else min(check_degree("lmax_edge", lmax_edge, 24), all_degrees)
        )
        self.reflections = reflections
        self.mmax = _checked_mmax(mmax, engine)
        self.weights = _checked_weights(weights, self)
        self.engine = _checked_engine(engine, self)
        self.paths = _paths(self)
        last = self.paths[-1]
        self.weight_numel = last.start + math.prod(last.shape)
        self.weight = nn.Parameter(torch.randn(self.weight_numel)) if weights == "shared" else None
        self._inputs, self._outputs = (Side.of(irreps, reflections) for irreps in (self.irreps_in, self.irreps_out))
        smaller = min(self.irreps_in.lmax, self.irreps_out.lmax)
        self._top = smaller if mmax is None else min(mmax, smaller)
        self._mixers: dict[Any, Mixer | EdgeMixer] = {}
        self._products: dict[Any, nn.Module] = {}

    def extra_repr(self) -> str:
        kind = "O(3)" if self.reflections else "SO(3)"
        cut = "" if self.mmax is None else f", |m| <= {self.mmax}"
        return (
            f"{self.irreps_in} x (l <= {self.lmax_edge}) -> {self.irreps_out}, {len(self.paths)} paths, {kind}{cut}, "
            f"engine={self.engine!r}, weights={self.weights!r}"
        )

    @torch.compiler.disable  # Dynamo cannot guard an Irreps; around it a model compiles
    def forward(self, features: Tensor, edges: EdgeFrames | Tensor, weight: Tensor | None = None) -> Tensor:
        """The product.

        Args:
            features: ``(E, D_in)`` in e3nn's layout.
            edges: frames, which several layers may share, or vectors ``(E, 3)``.
            weight: ``(E, weight_numel)`` of each edge, in e3nn's order. Where weights are shared ``(weight_numel,)`` in
                the place of the layer's own, or None.
        """
        check_floating(features, "features")
        with torch.autocast(features.device.type, enabled=False):
            own = self.lmax if self.engine == "so2" else 0
            frames = edges if isinstance(edges, EdgeFrames) else EdgeFrames(edges, own)
            used = self._check(features, frames, weight)
            if self.engine == "so2":
                mixing = self._mixer(features)(used)
                return reduced_product(features, frames, self._inputs, self._outputs, mixing, self._top)
            result: Tensor = self._product(features)(features, frames.harmonics(self.lmax_edge), used)
            return result

    def to_reduced(self, weight: Tensor | None = None) -> dict[tuple[int, int], Tensor]:
        """The SO(2) numbers of every pair of blocks: h1 of m = 0.., then h2 of m = 1.., ``(2 min + 1, C_in, C_out)``.

        With all filter degrees and unit factors this is the orthogonal map of
        :func:`workbench.e3.so2.path_matrix`. Weights of edges ``(E, weight_numel)`` give ``(E, 2 min + 1, C, 1)``.
        """
        used = self._weight(weight)
        found: dict[tuple[int, int], Tensor] = {}
        for path in self.paths:
            part = used[..., path.start : path.start + math.prod(path.shape)].unflatten(-1, path.shape)
            column = self._column(path).to(used)[:, None, None] * part.unsqueeze(-3)
            pair = (path.source, path.target)
            found[pair] = found[pair] + column if pair in found else column
        return found

    @torch.no_grad()
    def from_reduced(self, reduced: dict[tuple[int, int], Tensor]) -> None:
        """Take weights that have these SO(2) numbers.

        Raises:
            ValueError: where no weights have them: a number is not 0 although parity or ``lmax_edge`` forbids it; or
                where weights are not the layer's own.
        """
        own = self._weight(None)
        found = torch.zeros_like(own, dtype=torch.float64)
        for pair, numbers in reduced.items():
            paths = [path for path in self.paths if (path.source, path.target) == pair]
            wanted = numbers.double().flatten(1)
            columns = (
                torch.stack([self._column(path) for path in paths], 1) if paths else wanted.new_zeros(len(wanted), 0)
            )
            solved = torch.linalg.pinv(columns) @ wanted
            if (columns @ solved - wanted).abs().max() > 1e-4 * wanted.abs().max():
                raise ValueError(
                    f"SO(2) numbers between blocks {pair} were given that no weights have; expected those of the "
                    f"{len(paths)} paths that parity and lmax_edge = {self.lmax_edge} allow there."
                )
            for path, values in zip(paths, solved, strict=True):
                found[path.start : path.start + math.prod(path.shape)] = values
        own.copy_(found)

    def _column(self, path: Path) -> Tensor:
        """What one path contributes to the SO(2) numbers of its pair of blocks, in float64."""
        l_in, l_out = self.irreps_in[path.source].ir.l, self.irreps_out[path.target].ir.l
        return path.factor * path_matrix(l_in, l_out)[:, path.degree - abs(l_in - l_out)]

    def _mixer(self, like: Tensor) -> Mixer | EdgeMixer:
        key = (like.dtype, like.device)
        if key not in self._mixers:
            with torch.inference_mode(False):  # it serves training, too
                self._mixers[key] = (Mixer if self.weights == "shared" else EdgeMixer)(self, like)
        return self._mixers[key]

    def _product(self, like: Tensor) -> nn.Module:
        key = (like.dtype, like.device)
        if key not in self._products:
            parities = [(-1) ** degree if self.reflections else 1 for degree in range(self.lmax_edge + 1)]
            harmonics = o3.Irreps([(1, (degree, parity)) for degree, parity in enumerate(parities)])
            with torch.inference_mode(False):
                if self.weights == "shared":
                    made = o3.FullyConnectedTensorProduct(
                        self.irreps_in, harmonics, self.irreps_out, internal_weights=False, shared_weights=True
                    )
                else:
                    made = o3.TensorProduct(
                        self.irreps_in, harmonics, self.irreps_out,
                        [(path.source, path.degree, path.target, "uvu", True) for path in self.paths],
                        internal_weights=False, shared_weights=False,
                    )  # fmt: skip
                self._products[key] = exact_module(made, like.dtype).to(like.device)
        return self._products[key]

    def _check(self, features: Tensor, frames: EdgeFrames, weight: Tensor | None) -> Tensor:
        """The weights of this call, if everything fits."""
        if features.ndim != 2 or features.shape[1] != self.irreps_in.dim or len(features) != len(frames):
            raise ValueError(
                f"features of shape {tuple(features.shape)} were given for {len(frames)} edges; expected "
                f"({len(frames)}, {self.irreps_in.dim}) of irreps {self.irreps_in}."
            )
        used = self._weight(weight)
        check_floating(used, "weight")
        expected = (self.weight_numel,) if self.weights == "shared" else (len(frames), self.weight_numel)
        if used.shape != expected:
            raise ValueError(
                f"weights of shape {tuple(used.shape)} were given for {len(frames)} edges; expected {expected}."
            )
        types = {features.dtype, frames.vectors.dtype, used.dtype}
        if len(types) > 1:
            names = " and ".join(sorted(map(str, types)))
            raise ValueError(f"features, vectors and weights of {names} were given; expected one type for all three.")
        if self.engine == "so2" and frames.lmax < self.lmax:
            raise ValueError(
                f"frames with lmax = {frames.lmax} were given; expected at least {self.lmax} for this layer."
            )
        return used

    def _weight(self, given: Tensor | None) -> Tensor:
        """The weights given, or the layer's own."""
        used = self.weight if given is None else given
        if used is None:
            raise ValueError(
                f"no weights were given to a product with weights = 'edge'; expected (E, {self.weight_numel})."
            )
        return used


def _paths(layer: EdgeProduct) -> tuple[Path, ...]:
    """The instructions of e3nn's FullyConnectedTensorProduct, in its order and with its factors; or of "uvu"."""
    found, shared = [], layer.weights == "shared"
    for (source, left), degree in product(enumerate(layer.irreps_in), range(layer.lmax_edge + 1)):
        parity = (-1) ** degree if layer.reflections else 1
        for target, right in enumerate(layer.irreps_out):
            if right.ir in left.ir * o3.Irrep(degree, parity):
                found.append((source, degree, target, (left.mul, right.mul if shared else 1)))
    if not found:
        raise ValueError(
            f"no path leads from {layer.irreps_in} with harmonics up to l = {layer.lmax_edge} to {layer.irreps_out}; "
            "expected degrees within the triangle and matching parities."
        )
    fan_in = dict.fromkeys((target for _, _, target, _ in found), 0)
    for _, _, target, shape in found:
        fan_in[target] += shape[0] if shared else 1
    paths, start = [], 0
    for source, degree, target, shape in found:
        factor = math.sqrt(layer.irreps_out[target].ir.dim / fan_in[target]) if fan_in[target] else 0.0
        paths.append(Path(source, degree, target, shape, factor, start))
        start += math.prod(shape)
    return tuple(paths)


def _checked_weights(weights: str, layer: EdgeProduct) -> str:
    if weights not in WEIGHTS:
        raise ValueError(f"weights = {weights!r} were given; expected one of {', '.join(WEIGHTS)}.")
    numbers = {block.mul for block in (*layer.irreps_in, *layer.irreps_out)}
    if weights == "edge" and len(numbers) > 1:
        raise ValueError(
            f"irreps {layer.irreps_in} and {layer.irreps_out} were given with weights of each edge; expected one "
            "multiplicity for all blocks, as the product goes channel by channel."
        )
    return weights


def _checked_mmax(mmax: int | None, engine: str) -> int | None:
    if mmax is None:
        return None
    if engine == "e3nn":
        raise ValueError(f"mmax = {mmax} was given with engine 'e3nn'; expected engine 'so2', which alone can cut |m|.")
    return check_degree("mmax", mmax)


def _checked_engine(engine: str, layer: EdgeProduct) -> str:
    if engine not in ENGINES:
        raise ValueError(f"engine {engine!r} was given; expected one of {', '.join(ENGINES)}.")
    if engine == "e3nn" and layer.lmax_edge > 12:
        raise ValueError(
            f"lmax_edge = {layer.lmax_edge} was given with engine 'e3nn', whose harmonics end at l = 12; use 'so2'."
        )
    if engine != "auto":
        return engine
    if layer.mmax is not None or layer.lmax_edge > 12:
        return "so2"
    if layer.weights == "edge":
        return "so2" if layer.lmax >= REDUCED_FROM_EDGE else "e3nn"
    channels = max(block.mul for block in layer.irreps_in)
    nearest = min(REDUCED_FROM, key=lambda known: abs(math.log(known / max(channels, 1))))
    return "so2" if layer.lmax >= REDUCED_FROM[nearest] else "e3nn"
