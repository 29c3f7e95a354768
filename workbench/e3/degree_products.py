"""Products whose weights belong to degrees alone: on the sphere, on fields of vectors on it, and of matrices.

Each maps features of degrees 0..L to such features and is a sum of Clebsch-Gordan paths with numbers that are not free:

    out^l3 = sum over l1, l2 of ( sum over x, y, z of T_xyz a_{l1 x} b_{l2 y} c_{l3 z} ) W3j f^l1 g^l2

with weights a and b of the inputs and c of the output. The Gaunt product has one of each for a degree, and so have
matrices; fields of vectors have three, from orbital degrees l-1, l and l+1 (one for l = 0). That fields of vectors
restore odd sums is what Xie et al. 2025 (arXiv 2506.13523) say of theirs; the definitions here are our own.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import product

import torch
from e3nn import o3
from torch import Tensor

from workbench.e3.gaunt import gaunt_factor, sphere_grid
from workbench.e3.irreps import check_degree

DEGREE_KINDS = ("Gaunt grid", "vector Gaunt", "matrix product")
Three = tuple[int, int, int]
_STARTS, _SWEEPS = 3, 30


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is kept may serve training, too
def path_numbers(kind: str, lmax: int) -> dict[Three, Tensor]:
    """T of each path (l1, l2, l3) in the triangle, ``(X, Y, Z)`` in float64; all 0 where the three do not meet.

    Raises:
        ValueError: for another kind or degree.

    >>> numbers = path_numbers("matrix product", 1)
    >>> tuple(numbers[1, 1, 1].shape), bool(numbers[1, 1, 1].abs().max() > 0.1)
    ((1, 1, 1), True)
    """
    check_degree("lmax", lmax)
    if kind not in DEGREE_KINDS:
        raise ValueError(f"product {kind!r} was given; expected one of {', '.join(DEGREE_KINDS)}.")
    made = {"Gaunt grid": _gaunt, "vector Gaunt": _vectors, "matrix product": _matrices}[kind]
    degrees = range(lmax + 1)
    return made([(a, b, c) for a, b, c in product(degrees, degrees, degrees) if abs(a - b) <= c <= a + b])


def random_product_left(kind: str, lmax: int, seed: int = 0) -> float:
    """What the best weights of a product leave of a random one, as a share of its size.

    The other one has an independent normal weight for every path between degrees 0..L. Least squares for the weights
    of one side after the other, from several random starts, of which the best counts.

    >>> random_product_left("Gaunt grid", 2) > random_product_left("vector Gaunt", 2)
    True
    """
    numbers = path_numbers(kind, lmax)
    generator = torch.Generator().manual_seed(seed)
    target = torch.randn(len(numbers), generator=generator, dtype=torch.float64)
    found = [_fitted(numbers, lmax, target, generator) for _ in range(_STARTS)]
    return min(found) / float(target.norm())


def kinds_of_fields(kind: str, degree: int) -> int:
    """How many weights one side has for a degree."""
    return 3 if kind == "vector Gaunt" and degree else 1


def _fitted(numbers: dict[Three, Tensor], lmax: int, target: Tensor, generator: torch.Generator) -> float:
    """The rest after alternating least squares."""
    sizes = [numbers[degree, 0, degree].shape[0] for degree in range(lmax + 1)]
    sides = [torch.randn(lmax + 1, max(sizes), generator=generator, dtype=torch.float64) for _ in range(3)]
    whole = torch.zeros(len(numbers), *3 * (max(sizes),), dtype=torch.float64)
    for row, table in enumerate(numbers.values()):
        x, y, z = table.shape
        whole[row, :x, :y, :z] = table
    degrees = torch.tensor(list(numbers)).T
    rest = target
    for sweep in range(3 * _SWEEPS):
        free = sweep % 3
        parts = [sides[side][degrees[side]] for side in range(3) if side != free]
        letters = "xyz"[:free] + "xyz"[free + 1 :]
        given = torch.einsum(f"nxyz,n{letters[0]},n{letters[1]}->n{'xyz'[free]}", whole, *parts)
        columns = torch.zeros(len(numbers), lmax + 1, max(sizes), dtype=torch.float64)
        columns[torch.arange(len(numbers)), degrees[free]] = given
        flat = columns.flatten(1)
        sides[free] = (torch.linalg.pinv(flat, rtol=1e-12) @ target).view(lmax + 1, -1)
        rest = target - flat @ sides[free].flatten()
    return float(rest.norm())


def _gaunt(paths: list[Three]) -> dict[Three, Tensor]:
    return {path: torch.full((1, 1, 1), gaunt_factor(*path), dtype=torch.float64) for path in paths}


def _matrices(paths: list[Three]) -> dict[Three, Tensor]:
    """tr(M_l1 M_l2 M_l3^T) where M_l = sqrt(2l+1) W3j(s, l, s)."""
    spin = math.ceil(max(map(max, paths)) / 2)
    found = {}
    for path in paths:
        components, value = _largest(*path)
        parts = (
            math.sqrt(2 * degree + 1) * o3.wigner_3j(spin, degree, spin, dtype=torch.float64)[:, m]
            for degree, m in zip(path, components, strict=True)
        )
        found[path] = (torch.einsum("ij,jk,ik->", *parts) / value).view(1, 1, 1)
    return found


def _vectors(paths: list[Three]) -> dict[Three, Tensor]:
    """int (U x V) . W over the sphere, exact on its grid."""
    lmax = max(map(max, paths))
    points, weights = sphere_grid(3 * (lmax + 1))
    fields = [fields_of_vectors(degree, points) for degree in range(lmax + 1)]
    found = {}
    for path in paths:
        components, value = _largest(*path)
        one, two, three = (fields[degree][:, m] for degree, m in zip(path, components, strict=True))
        across = torch.linalg.cross(one[:, None], two[None], dim=-1)
        found[path] = torch.einsum("xypi,zpi,p->xyz", across, three, weights) / value
    return found


def fields_of_vectors(degree: int, points: Tensor) -> Tensor:
    """Vector harmonics of one degree at unit vectors ``(P, 3)``: ``(kinds, 2l+1, P, 3)`` in float64.

    Component m of a kind is the sum of W3j(l, k, 1) times Y^k, k = l-1, l, l+1, so that a feature of degree l times
    them is a field of vectors which turns with it.

    >>> fields_of_vectors(1, torch.eye(3, dtype=torch.float64)).shape
    torch.Size([3, 3, 3, 3])
    """
    made = []
    for orbital in range(abs(degree - 1), degree + 2):
        harmonics = o3.spherical_harmonics(orbital, points.double(), False, normalization="integral")
        made.append(torch.einsum("mka,pk->mpa", o3.wigner_3j(degree, orbital, 1, dtype=torch.float64), harmonics))
    return torch.stack(made[: kinds_of_fields("vector Gaunt", degree)])


@lru_cache(maxsize=1024)
def _largest(l1: int, l2: int, l3: int) -> tuple[Three, float]:
    """Where a 3j symbol is largest, and how large."""
    symbols = o3.wigner_3j(l1, l2, l3, dtype=torch.float64)
    at = int(symbols.abs().argmax())
    _, rows, columns = symbols.shape
    return (at // (rows * columns), at // columns % rows, at % columns), float(symbols.flatten()[at])
