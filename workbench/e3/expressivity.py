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

from workbench.e3.degree_products import DEGREE_KINDS, path_numbers, random_product_left
from workbench.e3.irreps import check_degree

KINDS = ("all paths", "all paths, filters up to L", "even paths", "even paths, filters up to L", *DEGREE_KINDS)
"""Products between features of degrees 0..L, once each: filters up to 2L or L, with or without odd l_i + l_f + l_o;
point-wise multiplication on the sphere; the cross product, point by point, of fields of vectors on the sphere; and the
product of matrices (2s+1, 2s+1), s the smallest whole number with 2s at least the largest degree."""


def free_numbers(kind: str, lmax: int) -> int:
    """How many independent weights a product has for each pair of channels.

    The even paths with filters up to L are what e3nn has with the parity of harmonics. Products of
    :mod:`workbench.e3.degree_products` have weights for the degrees of three sides, of which some factors can be moved
    from one to another, and never more than paths.

    Raises:
        ValueError: for another kind or degree.

    >>> [free_numbers("all paths", lmax) for lmax in (1, 2, 3, 4, 5, 6)]
    [6, 19, 44, 85, 146, 231]
    >>> [free_numbers("Gaunt grid", lmax) for lmax in (1, 2, 3, 4, 5, 6)]
    [4, 7, 10, 13, 16, 19]
    """
    check_degree("lmax", lmax)
    degrees = range(lmax + 1)
    highest = lmax if kind in DEGREE_KINDS or _checked(kind).endswith("up to L") else 2 * lmax
    paths = sum(interacts(kind, *three) for three in product(degrees, range(highest + 1), degrees))
    if kind == "vector Gaunt":
        return min(paths, 9 * lmax - 1) if lmax else 0
    return min(paths, 3 * (lmax + 1) - 2) if kind in DEGREE_KINDS else paths


def interacts(kind: str, l_in: int, l_filter: int, l_out: int) -> bool:
    """Whether an input and a filter of these degrees can reach that output at all.

    >>> [interacts(kind, 1, 1, 1) for kind in ("all paths", "even paths", "Gaunt grid", "vector Gaunt")]
    [True, False, False, True]
    """
    if not abs(l_in - l_filter) <= l_out <= l_in + l_filter:
        return False
    if _checked(kind) in DEGREE_KINDS:
        return bool(_numbers(kind, l_in, l_filter, l_out).abs().max() > 1e-12)
    return kind.startswith("all") or (l_in + l_filter + l_out) % 2 == 0


def coupling(kind: str, l_in: int, l_filter: int, l_out: int) -> Tensor:
    """The block of the product between these degrees, ``(2l_in+1, 2l_filter+1, 2l_out+1)`` in float64; 0 if none.

    Of fields of vectors, which have several, it is that of the three kinds that give the largest.

    >>> coupling("Gaunt grid", 1, 1, 1).abs().max()
    tensor(0., dtype=torch.float64)
    """
    if not interacts(kind, l_in, l_filter, l_out):
        return torch.zeros(2 * l_in + 1, 2 * l_filter + 1, 2 * l_out + 1, dtype=torch.float64)
    symbols = o3.wigner_3j(l_in, l_filter, l_out, dtype=torch.float64)
    if kind not in DEGREE_KINDS:
        return symbols
    numbers = _numbers(kind, l_in, l_filter, l_out).flatten()
    return symbols * numbers[numbers.abs().argmax()]


def cross_product_floor(kind: str, samples: int = 200, seed: int = 0) -> float:
    """What is left of a x b, as a share of its size, after the best fit from (1, a) times (1, b).

    Every block from degrees 0 and 1 to degree 1 is a regressor with a weight of its own, more than products with
    weights of degrees have.

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


def random_floor(kind: str, lmax: int, seed: int = 0) -> float:
    """What is left of a random product of degrees 0..L, as a share of its size, with the product's own weights.

    The random one has an independent normal weight for every path between these degrees.

    >>> random_floor("all paths", 2), 0.3 < random_floor("even paths", 2) < 0.9
    (0.0, True)
    """
    if _checked(kind) in DEGREE_KINDS:
        return random_product_left(kind, lmax, seed)
    degrees = range(check_degree("lmax", lmax) + 1)
    paths = [(a, b, c) for a, b, c in product(degrees, degrees, degrees) if abs(a - b) <= c <= a + b]
    target = torch.randn(len(paths), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    left = target[[not interacts(kind, *path) for path in paths]]
    return float(left.norm() / target.norm())


def _numbers(kind: str, l_in: int, l_filter: int, l_out: int) -> Tensor:
    return path_numbers(kind, max(l_in, l_filter, l_out))[l_in, l_filter, l_out]


@cache
def _checked(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"product {kind!r} was given; expected one of {', '.join(KINDS)}.")
    return kind
