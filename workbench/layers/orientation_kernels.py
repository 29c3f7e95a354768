"""Kernels over positions and orientations: from invariants of pairs to the weights of every layer in one product.

E. J. Bekkers, S. Vadgama, R. Hesselink, P. A. van der Linden, D. W. Romero, ICLR 2024, arXiv 2310.02970: a small
network turns invariants into basis functions that all layers share, and each layer has a linear map of its own.
"""

from __future__ import annotations

from itertools import accumulate, repeat

import torch
from torch import Tensor, nn

from workbench.layers.pair_invariants import COLUMNS, SEPARABLE, SPATIAL, length, pair_invariants, spatial_invariants

DISTANCES = "distances"
_TINY = 1e-20  # under a root whose slope at 0 the window multiplies by 0
FADE = 6
"""Power of the window: value, slope and curvature vanish at the radius for every one."""


class KernelBasis(nn.Module):
    """Monomials of invariants, then two linear maps with GELU: ``(..., d)`` to ``(..., basis)``.

    >>> KernelBasis(2, 16, 8)(torch.zeros(5, 2)).shape
    torch.Size([5, 8])
    """

    def __init__(self, invariants: int, hidden: int, basis: int, degree: int = 3):
        super().__init__()
        self.degree = degree
        features = sum(invariants**power for power in range(1, degree + 1))
        self.network = nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, basis), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        """Invariants ``(..., d)`` to the values of the basis functions ``(..., basis)``."""
        return self.network(monomials(x, self.degree))


class OrientationKernels(nn.Module):
    """The kernels of all depth-wise layers of a network over positions and orientations.

    Separable kernels are k(r, o_j) k'(o_i, o_j), as features move first and mix over orientations then; full ones are
    k(r, o_i, o_j). Kernels of distances know no orientations.

    Args:
        invariants: ``"distances"``, or a kind of :func:`workbench.layers.pair_invariants.pair_invariants`.
        separable: whether kernels are products.
        channels: C of each layer.
        layers: L.
        basis: basis functions, hidden units of the network that makes them.
        degree: of the monomials.
        radius: beyond which the kernels are zero, in units of the positions; None: nowhere.

    Raises:
        ValueError: for unknown invariants, or separable kernels of invariants that mix all three vectors.
    """

    def __init__(
        self, invariants: str, separable: bool, channels: int, layers: int, *, basis: int = 32, degree: int = 3,
        radius: float | None = None,
    ):  # fmt: skip
        super().__init__()
        _check(invariants, separable, radius)
        self.invariants, self.separable, self.radius = invariants, separable, radius
        self.channels, self.layers = channels, layers
        spatial = 1 if invariants == DISTANCES else SPATIAL if separable else COLUMNS[invariants]
        self.spatial_basis = KernelBasis(spatial, basis, basis, degree)
        self.spatial = nn.Linear(basis, channels * layers, bias=False)
        if self.has_fibre:
            self.fibre_basis = KernelBasis(COLUMNS[invariants] - SPATIAL, basis, basis, degree)
            self.fibre = nn.Linear(basis, channels * layers, bias=False)

    @property
    def has_fibre(self) -> bool:
        """Whether there are kernels of orientations apart."""
        return self.separable and self.invariants != DISTANCES

    def forward(self, relative: Tensor, receiver: Tensor, sender: Tensor) -> tuple[Tensor, ...]:
        """The kernels of space of every layer.

        Args:
            relative: sender's position minus receiver's, ``(E, d)``.
            receiver: the receiver's orientations, ``(O, d)``, the same for all pairs, or ``(E, O, d)``.
            sender: the sender's, likewise.

        Returns:
            L tensors ``(E, O, C)``, or ``(E, O, O', C)`` where kernels are not separable: receiver, then sender.
        """
        r = relative[:, None]
        if self.invariants == DISTANCES:
            seen = length(r)[..., None]
        elif self.separable:
            seen = spatial_invariants(r, receiver)
        else:
            seen = pair_invariants(self.invariants, r[:, None], receiver[..., :, None, :], sender[..., None, :, :])
        basis = self.spatial_basis(seen)
        if self.radius is not None:
            distance = (relative.square().sum(-1) + _TINY).sqrt()
            basis = basis * window(distance / self.radius).view(-1, *[1] * (basis.ndim - 1))
        return self.spatial(basis).split(self.channels, -1)

    def of_fibre(self, grid: Tensor) -> tuple[Tensor, ...]:
        """The kernels of orientations of every layer: L tensors ``(O, O', C)``, receiver, then sender."""
        kinds = pair_invariants(self.invariants, torch.zeros_like(grid[0]), grid[:, None], grid)
        return self.fibre(self.fibre_basis(kinds[..., SPATIAL:])).split(self.channels, -1)

    @torch.no_grad()
    def scale(self, layer: int, spatial: Tensor, fibre: Tensor | None = None) -> None:
        """Multiply the kernels of one layer."""
        rows = slice(layer * self.channels, (layer + 1) * self.channels)
        self.spatial.weight[rows] *= spatial
        if fibre is not None:
            self.fibre.weight[rows] *= fibre

    def extra_repr(self) -> str:
        """What the kernels depend on, and how many there are."""
        kind = "separable" if self.has_fibre else "full"
        return f"{self.invariants}, {kind}, channels={self.channels}, layers={self.layers}, radius={self.radius}"


def monomials(x: Tensor, degree: int) -> Tensor:
    """All ordered products of 1 to ``degree`` entries: ``(..., d)`` to ``(..., d + d^2 + ...)``.

    >>> monomials(torch.tensor([2.0, 3.0]), 2).tolist()
    [2.0, 3.0, 4.0, 6.0, 6.0, 9.0]
    """
    powers = accumulate(repeat(x, degree), lambda kept, new: (kept[..., None] * new[..., None, :]).flatten(-2))
    return torch.cat(list(powers), -1)


def window(share: Tensor) -> Tensor:
    """From 1 at 0 to 0 at 1 and beyond, where slope and curvature vanish too: the polynomial of power 6.

    1 - (p + 1)(p + 2)/2 x^p + p(p + 2) x^(p + 1) - p(p + 1)/2 x^(p + 2), J. Gasteiger, J. Gross, S. Günnemann, ICLR
    2020, arXiv 2003.03123 (unverified).

    >>> window(torch.tensor([0.0, 1.0, 2.0])).tolist()
    [1.0, 0.0, 0.0]
    """
    p, x = FADE, share.clamp(max=1.0)
    value = 1 - x**p * ((p + 1) * (p + 2) / 2 - x * (p * (p + 2) - x * (p * (p + 1) / 2)))
    return torch.where(share < 1, value, torch.zeros_like(value))


def _check(invariants: str, separable: bool, radius: float | None) -> None:
    if invariants != DISTANCES and invariants not in COLUMNS:
        raise ValueError(f"invariants {invariants!r} were given; expected {DISTANCES}, {', '.join(COLUMNS)}.")
    if separable and invariants not in (DISTANCES, *SEPARABLE):
        raise ValueError(
            f"invariants {invariants!r} were given for separable kernels; expected {', '.join(SEPARABLE)}, whose "
            "columns are of space or of orientations; use separable=False."
        )
    if radius is not None and not (isinstance(radius, int | float) and 0 < radius < float("inf")):
        raise ValueError(f"radius = {radius!r} was given; expected a positive length, or None for no limit.")
