"""What products of features can and cannot represent: numbers of paths, which degrees interact, and a target to fit.

After Xie et al. 2025 (arXiv 2506.13523), who compare products by what they compute and not by time alone; their exact
definitions are unverified, the counts here are our own.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import torch
from e3nn import o3
from torch import Tensor

from workbench.e3.gaunt import gaunt_factor
from workbench.e3.irreps import check_degree

KINDS = ("all paths", "all paths, filters up to L", "even paths", "even paths, filters up to L", "Gaunt grid")
"""Products between features of degrees 0..L, once each: filters up to 2L or L, with or without odd l_i + l_f + l_o,
and point-wise multiplication on the sphere."""


def free_numbers(kind: str, lmax: int) -> int:
    """How many independent weights a product has for each pair of channels.

    The even paths with filters up to L are what e3nn has with the parity of harmonics.

    Raises:
        ValueError: for another kind or degree.

    >>> [free_numbers("all paths", lmax) for lmax in (1, 2, 3, 4, 5, 6)]
    [6, 19, 44, 85, 146, 231]
    >>> [free_numbers("Gaunt grid", lmax) for lmax in (1, 2, 3, 4, 5, 6)]
    [4, 7, 10, 13, 16, 19]
    """
    check_degree("lmax", lmax)
    if kind == "Gaunt grid":
        return 3 * (lmax + 1) - 2
    degrees = range(lmax + 1)
    highest = lmax if _checked(kind).endswith("up to L") else 2 * lmax
    return sum(interacts(kind, *three) for three in product(degrees, range(highest + 1), degrees))


def interacts(kind: str, l_in: int, l_filter: int, l_out: int) -> bool:
    """Whether an input and a filter of these degrees can reach that output at all.

    >>> interacts("all paths", 1, 1, 1), interacts("even paths", 1, 1, 1), interacts("Gaunt grid", 1, 1, 1)
    (True, False, False)
    """
    inside = abs(l_in - l_filter) <= l_out <= l_in + l_filter
    return inside and (_checked(kind).startswith("all") or (l_in + l_filter + l_out) % 2 == 0)


def coupling(kind: str, l_in: int, l_filter: int, l_out: int) -> Tensor:
    """The block of the product between these degrees, ``(2l_in+1, 2l_filter+1, 2l_out+1)`` in float64; 0 if none.

    >>> coupling("Gaunt grid", 1, 1, 1).abs().max()
    tensor(0., dtype=torch.float64)
    """
    if not interacts(kind, l_in, l_filter, l_out):
        return torch.zeros(2 * l_in + 1, 2 * l_filter + 1, 2 * l_out + 1, dtype=torch.float64)
    symbols = o3.wigner_3j(l_in, l_filter, l_out, dtype=torch.float64)
    return symbols * gaunt_factor(l_in, l_filter, l_out) if kind == "Gaunt grid" else symbols


def cross_product_floor(kind: str, samples: int = 200, seed: int = 0) -> float:
    """What is left of a x b, as a share of its size, after the best fit from (1, a) times (1, b).

    Every block from degrees 0 and 1 to degree 1 is a regressor with a weight of its own, more than the Gaunt product
    has.

    >>> cross_product_floor("all paths") < 1e-10, cross_product_floor("Gaunt grid") > 0.9
    (True, True)
    """
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, samples, 3, generator=generator, dtype=torch.float64)
    one = torch.ones(samples, 1, dtype=torch.float64)
    found = [
        torch.einsum("ijk,si,sj->sk", coupling(kind, l_a, l_b, 1), x, y).flatten()
        for (l_a, x), (l_b, y) in product(enumerate((one, a)), enumerate((one, b)))
    ]
    target = torch.linalg.cross(a, b).flatten()
    regressors = torch.stack(found, 1)
    rest = target - regressors @ (torch.linalg.pinv(regressors) @ target)
    return float(rest.norm() / target.norm())


@cache
def _checked(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"product {kind!r} was given; expected one of {', '.join(KINDS)}.")
    return kind
