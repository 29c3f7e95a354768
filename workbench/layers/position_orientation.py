"""Convolution over positions and orientations: every point carries features in each direction of a grid.

E. J. Bekkers, S. Vadgama, R. Hesselink, P. A. van der Linden, D. W. Romero, "Fast, Expressive SE(n) Equivariant
Networks through Weight-Sharing in Position-Orientation Space", ICLR 2024, arXiv 2310.02970 (equations from the released
code). Rotations that permute the grid are symmetries of the network to rounding; others only as far as the grid goes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from workbench.groups.base import check_floating
from workbench.groups.orientations import orientation_grid
from workbench.layers.orientation_kernels import DISTANCES, OrientationKernels

EDGES = "edges"
WIDENING = 4


class OrientationBlock(nn.Module):
    """Group convolution channel by channel, then a norm, two linear maps with GELU between, and what came in.

    The frame is that of ConvNeXt (Z. Liu et al., CVPR 2022). Norm and maps treat every point and orientation alike.

    Args:
        channels: C.
        layer_scale: start of a learned factor of what is added to the input, one a channel; None: 1, not learned.
    """

    def __init__(self, channels: int, layer_scale: float | None = None):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.mix = nn.Sequential(
            nn.LayerNorm(channels), nn.Linear(channels, WIDENING * channels), nn.GELU(),
            nn.Linear(WIDENING * channels, channels),
        )  # fmt: skip
        self.layer_scale = None if layer_scale is None else nn.Parameter(torch.full((channels,), float(layer_scale)))

    def forward(self, x: Tensor, convolved: Tensor) -> Tensor:
        """Features ``(N, O, C)`` and what the convolution made of them to new features of the same shape."""
        added = self.mix(convolved + self.bias)
        return x + (added if self.layer_scale is None else self.layer_scale * added)


class PositionOrientationNet(nn.Module):
    """Scalars and vectors of points to scalars and vectors of points, through features over orientations.

    Args:
        scalars_in, vectors_in, scalars_out, vectors_out: how many of each a point has.
        grid: a name for :func:`workbench.groups.orientations.orientation_grid`, in the plane ``"circle(n)"``;
            ``"distances"``: no orientations, invariant kernels of distances, exact for all motions;
            ``"edges"``: no grid, every neighbour of a point is an orientation of it, exact for all rotations; not
            continuous where a neighbour comes or goes.
        dim: of the positions, 2 or 3; a grid has its own, the other two have 3 if not told.
        invariants: what kernels depend on, see :mod:`workbench.layers.pair_invariants`; by default the paper's three
            in space and the complete four in the plane.
        separable: kernels as products of space and orientations; there are none for ``"edges"``.
        channels, layers: C and L.
        layer_scale: see :class:`OrientationBlock`.
        seed: of a grid that is drawn.
        options: ``basis``, ``degree``, ``radius`` of :class:`workbench.layers.orientation_kernels.OrientationKernels`.

    The first pass in training mode scales the kernels of each layer so that its outputs spread as its inputs do; the
    buffer `calibrated` tells that it was done.

    Raises:
        ValueError: for settings that cannot be.

    >>> net = PositionOrientationNet(1, scalars_out=2, grid="circle(4)", channels=4, layers=1)
    >>> sender, receiver = torch.tensor([0, 1]), torch.tensor([1, 0])
    >>> scalars, _ = net(torch.ones(2, 1), sender, receiver, torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    >>> scalars.shape
    torch.Size([2, 2])
    """

    points: Tensor  # of double precision, as grids in single are no designs and have no exact symmetries in double
    weights: Tensor
    calibrated: Tensor

    def __init__(
        self, scalars_in: int, vectors_in: int = 0, scalars_out: int = 1, vectors_out: int = 0, *,
        grid: str = "icosahedron", dim: int | None = None, invariants: str | None = None, separable: bool = True,
        channels: int = 32, layers: int = 2, layer_scale: float | None = None, seed: int = 0, **options: Any,
    ):  # fmt: skip
        super().__init__()
        _check_counts(scalars_in=scalars_in, vectors_in=vectors_in, scalars_out=scalars_out, vectors_out=vectors_out)
        self.inputs, self.outputs = (scalars_in, vectors_in), (scalars_out, vectors_out)
        self.grid = grid
        found = None if grid in (DISTANCES, EDGES) else orientation_grid(grid, seed, torch.float64)
        self.dim = (dim or 3) if found is None else found.points.shape[1]
        if dim not in (None, 2, 3) or self.dim != (dim or self.dim):
            raise ValueError(
                f"dim = {dim!r} was given with the grid {grid!r} of {self.dim} dimensions; expected none, or that of "
                "the grid; in the plane use grid = 'circle(8)'."
            )
        if grid == DISTANCES and (vectors_in or vectors_out):
            raise ValueError("vectors were asked of a network of distances, which has none; use another grid.")
        self.register_buffer("points", torch.zeros(1, self.dim).double() if found is None else found.points)
        self.register_buffer("weights", torch.ones(1).double() if found is None else found.weights)
        self.register_buffer("calibrated", torch.tensor(False))
        kind = invariants or ("plane4" if self.dim == 2 else "universal4" if grid == EDGES else "ponita3")
        self.kernels = OrientationKernels(
            DISTANCES if grid == DISTANCES else kind, separable and grid != EDGES, channels, layers, **options
        )
        self.lift = nn.Linear(scalars_in + vectors_in, channels, bias=False)
        self.blocks = nn.ModuleList(OrientationBlock(channels, layer_scale) for _ in range(layers))
        self.read = nn.Linear(channels, layers * (scalars_out + vectors_out))

    def forward(
        self, scalars: Tensor, sender: Tensor, receiver: Tensor, relative: Tensor, vectors: Tensor | None = None,
        which: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Features of points and their neighbours to new features of the points.

        Args:
            scalars: ``(N, scalars_in)``.
            sender, receiver: who hears of whom, ``(E,)``; a point hears of itself without being named here.
            relative: sender's position minus receiver's, ``(E, d)``.
            vectors: ``(N, vectors_in, d)``.
            which: where pairs share relative positions, as on a lattice: for each pair the row of `relative`.

        Returns:
            Scalars ``(N, scalars_out)`` and vectors ``(N, vectors_out, d)``.

        Raises:
            ValueError: for other shapes.
        """
        self._check(scalars, relative, vectors)
        _check_pairs(sender, receiver, which, len(scalars), len(relative))
        given = scalars, vectors, sender, receiver, relative, which
        run = self._along_edges if self.grid == EDGES else self._over_grid
        if self.training and not bool(self.calibrated):
            with torch.no_grad():
                run(*given, calibrate=True)
        return run(*given)

    def _over_grid(
        self, scalars: Tensor, vectors: Tensor | None, sender: Tensor, receiver: Tensor, relative: Tensor,
        which: Tensor | None, calibrate: bool = False,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Every point has all orientations of the grid."""
        points, weights = self.points.to(relative), self.weights.to(relative)
        features = [scalars[:, None].expand(-1, len(points), -1)]
        if vectors is not None:
            features.append(points @ vectors.mT)
        spatial = self.kernels(torch.cat([relative, relative.new_zeros(1, self.dim)]), points, points)
        x = self.lift(torch.cat(features, -1))
        read = self._trunk(x, spatial, sender, receiver, which, calibrate)
        own, others = read.split(self.outputs, -1)
        pointing = points * weights[:, None] * self.dim
        return torch.einsum("o,noc->nc", weights, own), torch.einsum("noc,od->ncd", others, pointing)

    def _along_edges(
        self, scalars: Tensor, vectors: Tensor | None, sender: Tensor, receiver: Tensor, relative: Tensor,
        which: Tensor | None, calibrate: bool = False,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Every pair of neighbours becomes a point at the receiver that looks at the sender."""
        relative = relative if which is None else relative[which]
        count, (n_scalars, n_vectors) = len(scalars), self.outputs
        made = scalars.new_zeros(count, n_scalars), scalars.new_zeros(count, n_vectors, self.dim)
        if len(relative) == 0:
            return made
        looks = nn.functional.normalize(relative, dim=-1)
        features = [scalars[receiver]]
        if vectors is not None:
            features.append(torch.einsum("ecd,ed->ec", vectors[receiver], looks))
        heard, hearer, ahead = edges_that_meet(sender, receiver, count)
        between = torch.where(ahead[:, None], relative[hearer], torch.zeros_like(relative[hearer]))
        # the last kernel is that of a pair and itself: the first look stands for all, which are alike in this
        ends = [torch.cat([looks[each], looks[:1]])[:, None] for each in (hearer, heard)]
        spatial = self.kernels(torch.cat([between, relative.new_zeros(1, self.dim)]), *ends)
        x = self.lift(torch.cat(features, -1))[:, None]
        read = self._trunk(x, spatial, heard, hearer, None, calibrate)[:, 0]
        share = 1 / torch.bincount(receiver, minlength=count).clamp(min=1)[receiver, None].to(read)
        own, others = (read * share).split(self.outputs, -1)
        pointing = self.dim * others[..., None] * looks[:, None]
        return made[0].index_add(0, receiver, own), made[1].index_add(0, receiver, pointing)

    def _trunk(
        self, x: Tensor, spatial: tuple[Tensor, ...], sender: Tensor, receiver: Tensor, which: Tensor | None,
        calibrate: bool,
    ) -> Tensor:  # fmt: skip
        """All blocks, and the mean of what is read after each: ``(N, O, C)`` to ``(N, O, outputs)``."""
        points, weights = self.points.to(x), self.weights.to(x)
        fibre = self.kernels.of_fibre(points) if self.kernels.has_fibre else (None,) * len(spatial)
        maps = self.read.weight.chunk(len(spatial)), self.read.bias.chunk(len(spatial))
        total = x.new_zeros(())
        for layer, block in enumerate(self.blocks):
            near, of_itself = spatial[layer][:-1], spatial[layer][-1]
            gathered = _gathered(x, near if which is None else near[which], of_itself, sender, receiver, weights)
            turned = _turned(gathered, fibre[layer], weights)
            factor = self._calibrate(layer, x, gathered, turned) if calibrate else None
            if factor is not None:
                turned = turned * factor
            calibrate = factor is not None  # without spread in one layer none of the next is scaled
            x = block(x, turned)
            total = total + nn.functional.linear(x, maps[0][layer], maps[1][layer])
        return total / len(self.blocks)

    def _calibrate(self, layer: int, x: Tensor, gathered: Tensor, turned: Tensor) -> Tensor | None:
        """Scale one layer's kernels; returns the factor of its output, None where nothing spreads."""
        spreads = torch.stack([each.std() for each in (x, gathered, turned)])
        if not bool((spreads > 0).all()) or not bool(spreads.isfinite().all()):
            return None
        fibre = spreads[1] / spreads[2] if self.kernels.has_fibre else None
        self.kernels.scale(layer, spreads[0] / spreads[1], fibre)
        if layer == len(self.blocks) - 1:
            self.calibrated.fill_(True)
        return spreads[0] / spreads[2] if self.kernels.has_fibre else spreads[0] / spreads[1]

    def _check(self, scalars: Tensor, relative: Tensor, vectors: Tensor | None) -> None:
        for name, x in (("scalars", scalars), ("relative", relative), ("vectors", vectors)):
            if x is not None:
                check_floating(x, name)
                if not bool(torch.isfinite(x).all()):
                    raise ValueError(
                        f"{type(self).__name__}: {name} with NaN or infinite numbers were given; expected finite ones; "
                        "leave these points out."
                    )
                if x.dtype != self.lift.weight.dtype:
                    raise ValueError(
                        f"{type(self).__name__}: {name} of {x.dtype} were given to a network of "
                        f"{self.lift.weight.dtype}; expected one type; use {name}.to({self.lift.weight.dtype})."
                    )
        shaped = vectors is None or (vectors.ndim == 3 and vectors.shape[::2] == (len(scalars), self.dim))
        given = scalars.shape[-1], 0 if vectors is None or not shaped else vectors.shape[1]
        if scalars.ndim != 2 or relative.ndim != 2 or given != self.inputs or relative.shape[-1] != self.dim:
            raise ValueError(
                f"{type(self).__name__}: scalars {tuple(scalars.shape)}, {given[1]} vectors and relative positions "
                f"{tuple(relative.shape)} were given; expected (N, {self.inputs[0]}), {self.inputs[1]} and "
                f"(E, {self.dim})."
            )

    def extra_repr(self) -> str:
        """Where the orientations come from."""
        return f"grid={self.grid}, dim={self.dim}"


def _check_pairs(sender: Tensor, receiver: Tensor, which: Tensor | None, points: int, rows: int) -> None:
    """Refuse lists of pairs that do not fit the points, or each other."""
    pairs = rows if which is None else len(which)
    for name, listed, end in (("which", which, rows), ("sender", sender, points), ("receiver", receiver, points)):
        if listed is None:
            continue
        if not isinstance(listed, Tensor) or listed.dtype != torch.int64 or listed.shape != (pairs,):
            given = f"{tuple(listed.shape)} and {listed.dtype}" if isinstance(listed, Tensor) else type(listed).__name__
            raise ValueError(f"{name} of {given} was given; expected ({pairs},) of torch.int64, one for each pair.")
        if pairs and not 0 <= int(listed.min()) <= int(listed.max()) < end:
            raise ValueError(
                f"{name} with entries from {int(listed.min())} to {int(listed.max())} was given; expected 0 to "
                f"{end - 1}."
            )


def edges_that_meet(sender: Tensor, receiver: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Which pairs of neighbours hear of which, seen as points at their receivers that look at their senders.

    A pair hears of all others at its own receiver, and of those at its sender. Which pairs the released code joins is
    unverified.

    Args:
        sender, receiver: ``(E,)``.
        count: points.

    Returns:
        The pair heard and the pair that hears, ``(P,)`` each, and whether the first lies at the second's sender.

    >>> [each.tolist() for each in edges_that_meet(torch.tensor([0, 1]), torch.tensor([1, 0]), 2)]
    [[1, 0], [0, 1], [True, True]]
    """
    at = torch.cat([receiver, sender])
    order, sizes = torch.argsort(receiver, stable=True), torch.bincount(receiver, minlength=count)
    many = sizes[at]
    first = (torch.cumsum(sizes, 0) - sizes)[at]
    within = torch.arange(int(many.sum()), device=at.device) - (torch.cumsum(many, 0) - many).repeat_interleave(many)
    hearer = torch.arange(len(at), device=at.device).repeat_interleave(many)
    heard, ahead = order[first.repeat_interleave(many) + within], hearer >= len(sender)
    hearer = hearer % max(len(sender), 1)
    other = heard != hearer
    return heard[other], hearer[other], ahead[other]


def _gathered(x: Tensor, near: Tensor, of_itself: Tensor, sender: Tensor, receiver: Tensor, weights: Tensor) -> Tensor:
    """Sums over neighbours and the point itself: ``(N, O, C)``; full kernels ``(E, O, O', C)`` sum over O' too."""
    if near.ndim == 3:
        return (of_itself * x).index_add(0, receiver, near * x[sender])
    weighted = x * weights[:, None]
    own = torch.einsum("poc,noc->npc", of_itself, weighted)
    return own.index_add(0, receiver, torch.einsum("epoc,eoc->epc", near, weighted[sender]))


def _turned(x: Tensor, kernel: Tensor | None, weights: Tensor) -> Tensor:
    """The weighted sum over the sender's orientations, ``(N, O, C)``; without a kernel what came in."""
    return x if kernel is None else torch.einsum("noc,poc->npc", x, kernel * weights[:, None])


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"{name} = {value!r} was given; expected a whole number of at least 0.")
    if counts["scalars_in"] + counts["vectors_in"] == 0 or counts["scalars_out"] + counts["vectors_out"] == 0:
        raise ValueError("no features of points were given; expected scalars or vectors, in and out.")
