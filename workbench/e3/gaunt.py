"""The Gaunt product: two features as functions on the sphere, multiplied point by point.

Real Gaunt coefficients are a multiple of 3j symbols, int Y_1 Y_2 Y_3 = g(l1, l2, l3) W3j, and g = 0 for odd
l1 + l2 + l3 (Luo, Chen & Krishnapriyan 2024, arXiv 2401.10216). It is another, much smaller space of products than
:class:`workbench.e3.product.EdgeProduct` (Xie et al. 2025, "The Price of Freedom", arXiv 2506.13523) and never stands
in for it: one weight for each degree of either input and of the output instead of one for each path, and no cross
product.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from e3nn import o3
from torch import Tensor, nn

from workbench.e3.irreps import check_degree
from workbench.groups.base import check_floating


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is kept serves training, too
def sphere_grid(degree: int) -> tuple[Tensor, Tensor]:
    """Points ``(P, 3)`` and weights ``(P,)`` that integrate polynomials up to that degree exactly, in float64.

    floor(degree / 2) + 1 nodes of Gauss and Legendre along the polar axis y, times degree + 1 even angles about it.

    >>> points, weights = sphere_grid(18)
    >>> len(points), round(float(weights.sum() / math.pi), 9)
    (190, 4.0)
    """
    nodes, shares = np.polynomial.legendre.leggauss(degree // 2 + 1)
    height, share = torch.from_numpy(nodes), torch.from_numpy(shares)
    angle = torch.arange(degree + 1, dtype=torch.float64) * (2 * math.pi / (degree + 1))
    radius = (1 - height.square()).sqrt()[:, None]
    points = torch.stack(
        [radius * angle.sin(), height[:, None].expand(-1, degree + 1), radius * angle.cos()], -1
    ).flatten(0, 1)
    return points, (share[:, None] * (2 * math.pi / (degree + 1))).expand(-1, degree + 1).flatten()


@lru_cache(maxsize=1024)
def gaunt_factor(l1: int, l2: int, l3: int) -> float:
    """g in int Y_1 Y_2 Y_3 = g W3j, 0 outside the triangle and for odd l1 + l2 + l3.

    >>> gaunt_factor(1, 1, 1), round(gaunt_factor(0, 0, 0) * math.sqrt(4 * math.pi), 9)
    (0.0, 1.0)
    """
    if not abs(l1 - l2) <= l3 <= l1 + l2 or (l1 + l2 + l3) % 2:
        return 0.0
    lengths = math.prod(math.sqrt((2 * degree + 1) / (4 * math.pi)) for degree in (l1, l2, l3))
    return 4 * math.pi * lengths * float(o3.wigner_3j(l1, l2, l3, dtype=torch.float64)[l1, l2, l3])


class GauntProduct(nn.Module):
    """Two features ``(..., (L1+1)^2)`` and ``(..., (L2+1)^2)`` to one ``(..., (L3+1)^2)``, exact on its grid.

    out^l3 = sum over even l1 + l2 + l3 of w1_l1 w2_l2 w3_l3 g W3j x^l1 y^l2.

    Args:
        lmax_first, lmax_second, lmax_out: L1, L2 and L3.

    Attributes:
        first, second, out: weights of degrees, ``(L1+1,)``, ``(L2+1,)`` and ``(L3+1,)``, 1 at the start; a factor
            moved from one to another changes nothing, so two fewer of them count.

    Raises:
        ValueError: for degrees that cannot be, or features of another width.

    >>> one = torch.tensor([math.sqrt(4 * math.pi), 0.0, 0.0, 0.0])
    >>> x = torch.tensor([1.0, 2.0, 3.0, 4.0])
    >>> bool((GauntProduct(1, 1, 1)(x, one) - x).abs().max() < 1e-5)
    True
    """

    def __init__(self, lmax_first: int, lmax_second: int, lmax_out: int):
        super().__init__()
        self.degrees = tuple(
            check_degree(f"GauntProduct: {name}", degree, 12)
            for name, degree in (("lmax_first", lmax_first), ("lmax_second", lmax_second), ("lmax_out", lmax_out))
        )
        self.first, self.second, self.out = (nn.Parameter(torch.ones(degree + 1)) for degree in self.degrees)

    def extra_repr(self) -> str:
        return "l <= {} x l <= {} -> l <= {}".format(*self.degrees)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """The product; leading dimensions broadcast."""
        for what, x, degree in (("first", first, self.degrees[0]), ("second", second, self.degrees[1])):
            check_floating(x, what)
            if x.shape[-1:] != ((degree + 1) ** 2,):
                raise ValueError(
                    f"the {what} feature of shape {tuple(x.shape)} was given; expected (..., {(degree + 1) ** 2})."
                )
        if first.dtype != second.dtype:
            raise ValueError(f"features of {first.dtype} and {second.dtype} were given; expected one type for both.")
        with torch.autocast(first.device.type, enabled=False):
            return self._product(first, second)

    def _product(self, first: Tensor, second: Tensor) -> Tensor:
        there, other, back = _matrices(self.degrees, torch.promote_types(first.dtype, self.out.dtype), first.device)
        values = (first * spread(self.first)) @ there * ((second * spread(self.second)) @ other)
        return (values @ back) * spread(self.out)


def spread(weights: Tensor) -> Tensor:
    """One weight for each degree, repeated for its 2l + 1 components.

    >>> spread(torch.tensor([1.0, 2.0]))
    tensor([1., 2., 2., 2.])
    """
    counts = 2 * torch.arange(len(weights), device=weights.device) + 1
    return weights.repeat_interleave(counts)


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is kept serves training, too
def _matrices(degrees: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Coefficients to values for both inputs, and values to coefficients, made in float64."""
    points, weights = sphere_grid(sum(degrees))
    there, other, back = (
        o3.spherical_harmonics(list(range(degree + 1)), points, False, normalization="integral") for degree in degrees
    )
    made = there.T, other.T, back * weights[:, None]
    return tuple(matrix.contiguous().to(device, dtype) for matrix in made)
