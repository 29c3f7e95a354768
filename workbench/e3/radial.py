"""Functions of the distance: a basis with compact support, and the envelope that takes it smoothly to zero."""

from __future__ import annotations

import math

from e3nn.math import soft_one_hot_linspace
from torch import Tensor, nn

from workbench.e3.graphs import check_cutoff
from workbench.e3.irreps import check_degree

BASES = ("bessel", "smooth_finite", "gaussian", "fourier")
"""e3nn's bases whose functions have no kink inside the cutoff; its cosine basis has one in its first derivative."""


def envelope(distance: Tensor, cutoff: float, power: int = 6) -> Tensor:
    """A polynomial from 1 at 0 to 0 at the cutoff, where its first and second derivatives vanish too.

    u(x) = 1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2), x = distance / cutoff: DimeNet (Gasteiger, Groß &
    Günnemann 2020, arXiv 2003.03123), equation 8; the citation is from memory, the derivatives are tested.

    >>> import torch
    >>> envelope(torch.tensor([0.0, 2.5, 5.0, 6.0]), 5.0).round(decimals=3).tolist()
    [1.0, 0.855, 0.0, 0.0]
    """
    x = (distance / cutoff).clamp(max=1.0)
    a, b, c = (power + 1) * (power + 2) / 2, power * (power + 2), power * (power + 1) / 2
    return 1 - a * x**power + b * x ** (power + 1) - c * x ** (power + 2)


class RadialBasis(nn.Module):
    """``count`` functions of the distance, each twice continuously differentiable and zero from the cutoff on.

    Args:
        cutoff: in the units of the distances.
        count: how many functions.
        basis: one of e3nn's ``"bessel"``, ``"smooth_finite"``, ``"gaussian"``, ``"fourier"``.
        power: of the envelope, at least 3.

    Raises:
        ValueError: for a cutoff that is no positive number, another basis or power.

    >>> import torch
    >>> RadialBasis(5.0, 8)(torch.tensor([1.0, 5.0, 7.0])).shape
    torch.Size([3, 8])
    """

    def __init__(self, cutoff: float, count: int = 8, basis: str = "bessel", power: int = 6) -> None:
        super().__init__()
        self.cutoff = check_cutoff(cutoff)
        if basis not in BASES:
            raise ValueError(f"basis {basis!r} was given; expected one of {', '.join(BASES)}.")
        if check_degree("power of the envelope", power, 64) < 3 or check_degree("count", count, 1024) < 1:
            raise ValueError(f"power {power} and count {count} were given; expected at least 3 and at least 1.")
        self.count, self.basis, self.power = count, basis, power

    def forward(self, distance: Tensor) -> Tensor:
        """Distances ``(...)`` to ``(..., count)``, of the order of 1 inside the cutoff."""
        inside = distance.clamp(1e-6, self.cutoff)  # Bessel functions divide by the distance
        values = soft_one_hot_linspace(inside, 0.0, self.cutoff, self.count, self.basis, cutoff=True)
        return math.sqrt(self.count) * values * envelope(distance, self.cutoff, self.power).unsqueeze(-1)

    def extra_repr(self) -> str:
        """Cutoff and basis."""
        return f"cutoff={self.cutoff:g}, count={self.count}, basis={self.basis!r}, power={self.power}"


class ShortenedBasis(nn.Module):
    """The functions of a basis as they are, taken smoothly to zero at a nearer end.

    Weights that were trained with the basis keep their meaning: only what comes from farther away is missing. Another
    cutoff of the basis itself would stretch every function, and leave the weights with functions they never saw.

    Args:
        basis: the functions.
        cutoff: the nearer end, below that of the basis.
        width: over which they are taken to zero, by :func:`envelope`; as they were at cutoff - width and before.

    Raises:
        ValueError: for a cutoff that is not positive or not below that of the basis, or a width that is not positive.

    >>> import torch
    >>> basis, where = RadialBasis(5.0), torch.tensor([1.0, 3.4, 3.6])
    >>> ShortenedBasis(basis, 3.5)(where)[:, 0].div(basis(where)[:, 0]).round(decimals=1).tolist()
    [1.0, 0.2, 0.0]
    """

    def __init__(self, basis: RadialBasis, cutoff: float, width: float = 0.5) -> None:
        super().__init__()
        self.basis, self.cutoff = basis, check_cutoff(cutoff)
        if not cutoff < basis.cutoff or not 0 < width <= cutoff:
            raise ValueError(
                f"cutoff = {cutoff!r} and width = {width!r} were given; expected a cutoff below the {basis.cutoff:g} "
                "of the basis, and a width above 0 and at most the cutoff."
            )
        self.width = float(width)

    def forward(self, distance: Tensor) -> Tensor:
        """Distances ``(...)`` to ``(..., count)``."""
        past = (distance - (self.cutoff - self.width)).clamp(min=0.0)
        return self.basis(distance) * envelope(past, self.width).unsqueeze(-1)

    def extra_repr(self) -> str:
        """The nearer end."""
        return f"cutoff={self.cutoff:g}, width={self.width:g}"
