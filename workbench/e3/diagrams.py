"""Linear maps between tensor powers that commute with a group, as diagrams of two rows of points.

A tensor of order k over R^n has k axes of length n, and g acts on each of them. The maps to tensors of order l that
commute with O(n) are spanned by the ways to join k + l points in pairs (Brauer 1937); for Sp(n) pairs within a row
stand for the symplectic form, for SO(n) n of the points may meet in a determinant, and for permutations of n things
the points are put into groups of any size. Each is applied by one contraction, the matrix n^l x n^k is never built.

Source: Pearce-Crump 2023, "Brauer's group equivariant neural networks" (arXiv 2212.08630) and "Categorification of
group equivariant neural networks" (arXiv 2304.14144), from memory; dimensions are tested against null spaces.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from workbench.groups.base import check_count

GROUPS = ("O", "SO", "Sp", "S")
"""Orthogonal, special orthogonal, symplectic matrices, permutations."""
MOST_POINTS = 8
SYMPLECTIC_STEP = 0.3
"""Members of Sp(n) may be of any size; with this step their entries are of the order of 1."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Diagram(NamedTuple):
    """Points 0..l-1 are the upper row, the axes of the result; l..l+k-1 the lower row, the axes of what is given.

    blocks       points that are joined: pairs, or for permutations groups of any size.
    determinant  n points that meet in the sign of a permutation; only for SO(n), else empty.
    """

    blocks: tuple[tuple[int, ...], ...]
    determinant: tuple[int, ...] = ()


def matchings(points: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """All ways to join an even number of points in pairs, (points - 1)!! of them.

    >>> len(list(matchings(6))), list(matchings(3))
    (15, [])
    """
    return _pairings(tuple(range(points)))


def _pairings(points: tuple[int, ...]) -> Iterator[tuple[tuple[int, int], ...]]:
    if not points:
        yield ()
    for at in range(1, len(points)):
        rest = points[1:at] + points[at + 1 :]
        for others in _pairings(rest):
            yield ((points[0], points[at]), *others)


def partitions(points: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """All ways to put points into groups; the Bell number of them.

    >>> len(list(partitions(4)))
    15
    """
    if points == 0:
        yield ()
        return
    for smaller in partitions(points - 1):
        last = points - 1
        for at, block in enumerate(smaller):
            yield (*smaller[:at], (*block, last), *smaller[at + 1 :])
        yield (*smaller, (last,))


@lru_cache(maxsize=256)
def diagrams(group: str, n: int, lower: int, upper: int) -> tuple[Diagram, ...]:
    """All diagrams from tensors of order ``lower`` to tensors of order ``upper``.

    They span all linear maps that commute with the group; where 2 n < lower + upper some depend on the others.

    Args:
        group: "O", "SO", "Sp" (n even) or "S".
        n: length of the axes.
        lower, upper: k and l; together at most 8.

    Raises:
        ValueError: for another group, an odd n for "Sp", or orders that cannot be.

    >>> len(diagrams("O", 3, 2, 2)), len(diagrams("SO", 3, 1, 2)), len(diagrams("S", 4, 2, 2))
    (3, 1, 15)
    """
    _check(group, n, lower, upper)
    points = lower + upper
    if group == "S":
        return tuple(Diagram(blocks) for blocks in partitions(points) if len(blocks) <= n)
    found = [Diagram(pairs) for pairs in matchings(points)]
    if group == "SO" and points >= n:
        for chosen in itertools.combinations(range(points), n):
            rest = tuple(point for point in range(points) if point not in chosen)
            found += [Diagram(pairs, chosen) for pairs in _pairings(rest)]
    return tuple(found)


def apply_diagram(x: Tensor, diagram: Diagram, group: str, n: int, lower: int, upper: int) -> Tensor:
    """The map of one diagram, by one contraction: ``(..., n, .., n)`` with k axes to ``(..., n, .., n)`` with l.

    Raises:
        ValueError: for a tensor whose last k axes are not of length n.

    >>> trace = Diagram(((0, 1),))
    >>> apply_diagram(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), trace, "O", 2, 2, 0)
    tensor(5.)
    """
    _check(group, n, lower, upper)
    if x.ndim < lower or tuple(x.shape[x.ndim - lower :]) != (n,) * lower:
        raise ValueError(
            f"a tensor of shape {tuple(x.shape)} was given; expected {lower} last axes of length {n}, (..., "
            f"{', '.join([str(n)] * lower)})."
        )
    letters, more = list(_LETTERS[: lower + upper]), []  # a letter for each point, and what else is multiplied
    for block in diagram.blocks:
        if group == "Sp" and (block[0] < upper) == (block[1] < upper):
            more.append((symplectic_form(n, x.dtype, x.device), letters[block[0]] + letters[block[1]]))
        elif block[-1] >= upper:  # the letter of a lower point also names the upper ones that it is joined to
            _join(letters, block, upper, more, n, x)
        else:
            more.append((same(n, len(block), x.dtype, x.device), "".join(letters[point] for point in block)))
    if diagram.determinant:
        more.append((sign_tensor(n, x.dtype, x.device), "".join(letters[point] for point in diagram.determinant)))
    given = "..." + "".join(letters[upper:])
    return torch.einsum(
        ",".join([given, *(names for _, names in more)]) + "->..." + "".join(letters[:upper]),
        x, *(tensor for tensor, _ in more),
    )  # fmt: skip


def _join(letters: list[str], block: tuple[int, ...], upper: int, more: list, n: int, x: Tensor) -> None:
    """One letter for a block that reaches the lower row; further upper points are copies of it."""
    above, below = [p for p in block if p < upper], [p for p in block if p >= upper]
    letter = letters[above[0]] if above else letters[below[0]]
    for point in below:
        letters[point] = letter
    if len(above) > 1:
        more.append((same(n, len(above), x.dtype, x.device), "".join(letters[point] for point in above)))


@lru_cache(maxsize=64)
def same(n: int, order: int, dtype: torch.dtype = torch.float64, device: torch.device | None = None) -> Tensor:
    """1 where all indices agree, else 0: ``(n, .., n)`` with ``order`` axes.

    >>> same(2, 2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    with torch.inference_mode(False):
        made = torch.zeros((n,) * order, dtype=dtype, device=device)
        made[(torch.arange(n),) * order] = 1
    return made


@lru_cache(maxsize=64)
def symplectic_form(n: int, dtype: torch.dtype = torch.float64, device: torch.device | None = None) -> Tensor:
    """[[0, 1], [-1, 0]] of n / 2 rows each, ``(n, n)``."""
    with torch.inference_mode(False):
        half = torch.eye(n // 2, dtype=dtype, device=device)
        none = torch.zeros_like(half)
        return torch.cat([torch.cat([none, half], 1), torch.cat([-half, none], 1)])


@lru_cache(maxsize=64)
def sign_tensor(n: int, dtype: torch.dtype = torch.float64, device: torch.device | None = None) -> Tensor:
    """Sign of the permutation that the indices are, 0 where two agree: ``(n, .., n)`` with n axes.

    >>> float(sign_tensor(3)[0, 1, 2]), float(sign_tensor(3)[1, 0, 2])
    (1.0, -1.0)
    """
    with torch.inference_mode(False):
        made = torch.zeros((n,) * n, dtype=dtype, device=device)
        for order in itertools.permutations(range(n)):
            swaps = sum(a > b for a, b in itertools.combinations(order, 2))
            made[order] = (-1.0) ** swaps
    return made


def matrices(group: str, n: int, lower: int, upper: int) -> Tensor:
    """The matrix of every diagram, for looking at and for counting: float64 ``(diagrams, n^l, n^k)``."""
    found, points = diagrams(group, n, lower, upper), lower + upper
    index = torch.cartesian_prod(*[torch.arange(n)] * points).view(-1, points).T if points else torch.zeros(0, 1).long()
    made = torch.ones(len(found), n**points, dtype=torch.float64)
    for matrix, diagram in zip(made, found, strict=True):
        for block in diagram.blocks:
            if group == "Sp" and (block[0] < upper) == (block[1] < upper):
                matrix *= symplectic_form(n)[index[block[0]], index[block[1]]]
            else:
                for point in block[1:]:
                    matrix *= index[point] == index[block[0]]
        if diagram.determinant:
            matrix *= sign_tensor(n)[tuple(index[list(diagram.determinant)])]
    return made.view(len(found), n**upper, n**lower)


def members(group: str, n: int, count: int, seed: int = 0) -> Tensor:
    """Random members of the group as matrices, float64 ``(count, n, n)``.

    Every second one of O(n) is a mirror, the first of S(n) moves everything on by one. Those of Sp(n), which has no
    uniform distribution, are exponentials of random members of its Lie algebra.

    Raises:
        ValueError: for another group, an odd n for "Sp", or a count below 1.

    >>> g = members("Sp", 4, 3)
    >>> bool((g.mT @ symplectic_form(4) @ g - symplectic_form(4)).abs().max() < 1e-12)
    True
    """
    _check(group, n, 0, 0)
    check_count(count, "members")
    generator = torch.Generator().manual_seed(seed)
    if group == "S":
        orders = [torch.arange(n).roll(1), *(torch.randperm(n, generator=generator) for _ in range(count - 1))]
        return torch.eye(n, dtype=torch.float64)[torch.stack(orders)]
    random = torch.randn(count, n, n, generator=generator, dtype=torch.float64)
    if group == "Sp":
        return torch.linalg.matrix_exp(SYMPLECTIC_STEP * symplectic_form(n) @ (random + random.mT))
    turns, triangle = torch.linalg.qr(random)
    turns = turns * triangle.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)  # without it not uniform
    mirrored = torch.arange(count) % 2 if group == "O" else torch.zeros(count)
    turns[..., 0] *= (torch.linalg.det(turns).sign() * (1 - 2 * mirrored)).unsqueeze(-1)
    return turns


def dimension(group: str, n: int, lower: int, upper: int) -> int:
    """How many of the diagrams are independent: the dimension of the space of maps that commute with the group.

    >>> dimension("O", 3, 2, 2), dimension("SO", 2, 2, 2), dimension("O", 2, 3, 3)
    (3, 6, 10)
    """
    found = matrices(group, n, lower, upper)
    return int(torch.linalg.matrix_rank(found.flatten(1))) if len(found) else 0


def multiply_adds(diagram: Diagram, n: int, lower: int, upper: int) -> int:
    """Products of numbers that one application takes, beside n^(k + l) of the dense matrix.

    A lower pair or group sums over its index, every upper index that is free is written once: n to the number of
    blocks, and n more for each of the factorial many terms of a determinant.

    >>> multiply_adds(Diagram(((0, 2), (1, 3))), 3, 2, 2)
    9
    """
    blocks = n ** len(diagram.blocks)
    return blocks * math.factorial(n) if diagram.determinant else blocks


class DiagramLinear(nn.Module):
    """A linear layer between tensors that commutes with a group: one coefficient for each diagram and channel pair.

    Args:
        group, n, lower, upper: as in :func:`diagrams`.
        in_channels, out_channels: C_in and C_out.
        bias: whether a fixed tensor of each output channel is added, from the diagrams without a lower row.

    Raises:
        ValueError: as :func:`diagrams`, or where no map but 0 commutes with the group.

    >>> layer = DiagramLinear("O", 3, 2, 1)
    Traceback (most recent call last):
    ValueError: DiagramLinear: no map but 0 from order 2 to order 1 commutes with O(3); use orders whose sum is even.
    >>> DiagramLinear("SO", 3, 2, 1, in_channels=2, out_channels=4)(torch.zeros(5, 2, 3, 3)).shape
    torch.Size([5, 4, 3])
    """

    def __init__(
        self, group: str, n: int, lower: int, upper: int, *, in_channels: int = 1, out_channels: int = 1,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        for name, count in (("in_channels", in_channels), ("out_channels", out_channels)):
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise ValueError(f"DiagramLinear: {name} = {count!r} was given; expected a whole number of at least 1.")
        self.group, self.n, self.lower, self.upper = group, n, lower, upper
        self.diagrams, self.fixed = diagrams(group, n, lower, upper), diagrams(group, n, 0, upper) if bias else ()
        if not self.diagrams:
            raise ValueError(
                f"DiagramLinear: no map but 0 from order {lower} to order {upper} commutes with {group}({n}); use "
                "orders whose sum is even."
            )
        scale = (in_channels * len(self.diagrams)) ** -0.5
        self.weight = nn.Parameter(scale * torch.randn(len(self.diagrams), out_channels, in_channels))
        self.bias = nn.Parameter(torch.zeros(len(self.fixed), out_channels)) if self.fixed else None

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C_in, n, .., n)`` with k axes to ``(B, C_out, n, .., n)`` with l."""
        sizes, channels = (self.group, self.n, self.lower, self.upper), self.weight.shape[2]
        if x.ndim != 2 + self.lower or x.shape[1] != channels:
            raise ValueError(
                f"DiagramLinear: a tensor of shape {tuple(x.shape)} was given; expected (B, {channels}"
                f"{f', {self.n}' * self.lower})."
            )
        out = x.new_zeros(())
        for diagram, weight in zip(self.diagrams, self.weight, strict=True):
            made = apply_diagram(x, diagram, *sizes)  # channels are mixed last: they are the larger number of axes
            out = out + torch.einsum("bi...,oi->bo...", made, weight)
        if self.bias is not None:
            unit = torch.ones((), dtype=x.dtype, device=x.device)
            for diagram, bias in zip(self.fixed, self.bias, strict=True):
                fixed = apply_diagram(unit, diagram, self.group, self.n, 0, self.upper)
                out = out + bias.view(-1, *(1,) * self.upper) * fixed
        return out

    def extra_repr(self) -> str:
        """Group, orders and number of diagrams."""
        return f"{self.group}({self.n}), order {self.lower} -> {self.upper}, {len(self.diagrams)} diagrams"


def _check(group: str, n: int, lower: int, upper: int) -> None:
    if group not in GROUPS:
        raise ValueError(f"group = {group!r} was given; expected one of {', '.join(GROUPS)}.")
    whole = [isinstance(number, int) and not isinstance(number, bool) for number in (n, lower, upper)]
    if not all(whole) or n < 1 or min(lower, upper) < 0 or lower + upper > MOST_POINTS:
        raise ValueError(
            f"n = {n!r} and orders {lower!r} and {upper!r} were given; expected n of at least 1, and orders from 0 on "
            f"whose sum is at most {MOST_POINTS}."
        )
    if group == "Sp" and n % 2:
        raise ValueError(f"Sp({n}) was given; expected an even n; use {n + 1}.")
