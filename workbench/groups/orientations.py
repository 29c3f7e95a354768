"""Grids of orientations on the circle and the sphere, and how well averages over them stand for integrals.

A grid is a spherical design of strength t if its mean of every polynomial of degree at most t is the integral over the
sphere (Delsarte, Goethals & Seidel 1977, unverified). Orbits of the icosahedron's 60 rotations have high strength for
their size, and a network on such a grid is equivariant to these 60 exactly.
"""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

_GOLDEN = (1 + math.sqrt(5)) / 2
_REPULSION_STEPS = 600
MOST = {"circle": 4096, "fibonacci": 4096, "repulsion": 512}  # every charge feels every other, 600 times
_EXAMPLES = ("circle(8)", "icosahedron", "dodecahedron", "icosahedral(32)", "fibonacci(32)", "repulsion(20)")


class Orientations(NamedTuple):
    """Unit vectors ``points (O, d)`` and their share of the whole, ``weights (O,)``, which sum to 1."""

    points: Tensor
    weights: Tensor


def orientation_grid(name: str, seed: int = 0, dtype: torch.dtype = torch.float32) -> Orientations:
    """The grid of that name.

    Args:
        name: ``"circle(n)"``: angles 2 pi k / n. ``"icosahedron"``: its 12 vertices. ``"dodecahedron"``: its 20, which
            are the middles of the icosahedron's faces. ``"icosahedral(32)"``: both, with weights 5/168 and 9/280.
            For comparison ``"fibonacci(n)"``, a spiral, and ``"repulsion(n)"``, charges that push each other apart
            from a random start.
        seed: of the random start; no other grid reads it.
        dtype: of both tensors.

    Raises:
        ValueError: for a name that is none of these, or a size out of range.

    >>> grid = orientation_grid("icosahedron", dtype=torch.float64)
    >>> grid.points.shape, bool((grid.points.mT @ grid.points / 12).allclose(torch.eye(3).double() / 3))
    (torch.Size([12, 3]), True)
    """
    kind, count = _read(name)
    if kind == "circle":
        points = _circle(count)
    elif kind == "icosahedron":
        points = _vertices()
    elif kind == "dodecahedron":
        points = _faces()
    elif kind == "icosahedral":
        points = torch.cat([_vertices(), _faces()])
    else:
        points = _spiral(count) if kind == "fibonacci" else _repelled(count, seed).clone()
    weights = torch.full((len(points),), 1 / len(points), dtype=torch.float64)
    if kind == "icosahedral":
        weights[:12], weights[12:] = 5 / 168, 9 / 280
    return Orientations(points.to(dtype), weights.to(dtype))


def icosahedral_rotations(dtype: torch.dtype = torch.float32) -> Tensor:
    """The 60 rotations that permute the icosahedron's vertices, as elements ``(60, 4)`` of SO3, the identity first.

    Half of the 120 icosians (J. H. Conway, D. A. Smith, "On Quaternions and Octonions", 2003, unverified): 24 units
    with entries 0, 1/2 and 1, and the even permutations of (golden ratio, 1, its inverse, 0) / 2 with all signs.

    >>> icosahedral_rotations().shape
    torch.Size([60, 4])
    """
    signs = torch.cartesian_prod(*[torch.tensor([1.0, -1.0], dtype=torch.float64)] * 4)
    base = torch.tensor([_GOLDEN, 1.0, 1 / _GOLDEN, 0.0], dtype=torch.float64) / 2
    even = [order for order in torch.cartesian_prod(*[torch.arange(4)] * 4).tolist() if _even(order)]
    golden = torch.cat([signs * base[order] for order in even])
    every = torch.cat([torch.eye(4, dtype=torch.float64), signs / 2, golden])
    leading = every.gather(1, (every.abs() > 0.1).int().argmax(1, keepdim=True))  # q and -q are one rotation
    half = every[leading[:, 0] > 0]
    new = [at for at in range(len(half)) if not (half[:at] - half[at]).abs().amax(-1).lt(1e-9).any()]
    return torch.nn.functional.normalize(half[new], dim=-1).to(dtype)


def harmonic_residuals(grid: Orientations, lmax: int) -> Tensor:
    """How far the grid's mean of harmonics of degree 1 to ``lmax`` is from zero, their integral: ``(lmax,)``.

    The largest size of the mean of P_l(o_k . u) over 512 directions u, which vanishes for all u if and only if the
    means of all 2l + 1 harmonics of degree l do; on the circle the size of the mean of exp(i l angle).

    Raises:
        ValueError: for a degree below 1.

    >>> grid = orientation_grid("dodecahedron", dtype=torch.float64)
    >>> (harmonic_residuals(grid, 6) < 1e-14).tolist()
    [True, True, True, True, True, False]
    """
    if isinstance(lmax, bool) or not isinstance(lmax, int) or lmax < 1:
        raise ValueError(f"harmonic_residuals: lmax = {lmax!r} was given; expected a degree of at least 1, such as 9.")
    points, weights = grid.points.double(), grid.weights.double()
    if points.shape[1] == 2:
        angles = torch.atan2(points[:, 1], points[:, 0]) * torch.arange(1, lmax + 1, dtype=torch.float64)[:, None]
        return torch.hypot((weights * angles.cos()).sum(1), (weights * angles.sin()).sum(1))
    cosines = _spiral(512) @ points.mT
    last, legendre, found = torch.ones_like(cosines), cosines, []
    for degree in range(1, lmax + 1):
        found.append((legendre @ weights).abs().max())
        last, legendre = legendre, ((2 * degree + 1) * cosines * legendre - degree * last) / (degree + 1)
    return torch.stack(found)


def design_strength(grid: Orientations, lmax: int = 12, tolerance: float = 1e-6) -> int:
    """The largest degree up to which all harmonics average to zero within the tolerance, at most ``lmax``.

    >>> [design_strength(orientation_grid(name)) for name in ("icosahedron", "icosahedral(32)", "fibonacci(32)")]
    [5, 9, 0]
    """
    wrong = (harmonic_residuals(grid, lmax) > tolerance).nonzero()
    return int(wrong[0]) if len(wrong) else lmax


def _read(name: str) -> tuple[str, int]:
    """Kind and size of a grid."""
    text = name.strip() if isinstance(name, str) else ""
    if text in ("icosahedron", "dodecahedron", "icosahedral(32)"):
        return text.partition("(")[0], 0
    match = re.fullmatch(r"(circle|fibonacci|repulsion)\((\d{1,6})\)", text)
    if match is None:
        near = get_close_matches(text, _EXAMPLES, n=1, cutoff=0.4)
        raise ValueError(
            f"orientation grid {name!r} was given; expected circle(n), icosahedron, dodecahedron, icosahedral(32), "
            f"fibonacci(n) or repulsion(n); use {near[0] if near else 'icosahedron'!r}."
        )
    least = 1 if match[1] == "circle" else 4
    most = MOST[match[1]]
    if not least <= int(match[2]) <= most:
        raise ValueError(f"orientation grid {name!r} was given; expected {least} to {most} orientations.")
    return match[1], int(match[2])


def _circle(count: int) -> Tensor:
    angles = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)  # the end, 2 pi, is the start again
    return torch.stack([angles.cos(), angles.sin()], -1)


def _vertices() -> Tensor:
    """(0, +-golden, +-1) and its cyclic permutations: the icosahedron that the icosians turn into itself."""
    return _signed_and_cycled(0.0, _GOLDEN, 1.0)


def _faces() -> Tensor:
    corners = torch.cartesian_prod(*[torch.tensor([1.0, -1.0], dtype=torch.float64)] * 3) / math.sqrt(3)
    return torch.cat([corners, _signed_and_cycled(0.0, 1 / _GOLDEN, _GOLDEN)])


def _signed_and_cycled(x: float, y: float, z: float) -> Tensor:
    signs = torch.tensor([[1.0, a, b] for a in (1.0, -1.0) for b in (1.0, -1.0)], dtype=torch.float64)
    rows = signs * torch.tensor([x, y, z], dtype=torch.float64)
    return torch.nn.functional.normalize(torch.cat([rows.roll(by, 1) for by in range(3)]), dim=-1)


def _spiral(count: int) -> Tensor:
    """Equal steps of height, golden steps of longitude."""
    steps = torch.arange(count, dtype=torch.float64)
    height = 1 - (2 * steps + 1) / count
    longitude, radius = steps * (2 * math.pi / _GOLDEN), torch.sqrt(1 - height * height)
    return torch.stack([radius * longitude.cos(), radius * longitude.sin(), height], -1)


@lru_cache(maxsize=16)
def _repelled(count: int, seed: int) -> Tensor:
    """Charges on the sphere after some hundred steps along their forces, each shorter than the last."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator, dtype=torch.float64), dim=-1)
    spacing = math.sqrt(4 * math.pi / count)
    for step in range(_REPULSION_STEPS):
        apart = points[:, None] - points
        distance = torch.linalg.vector_norm(apart, dim=-1).clamp_min(0.1 * spacing)
        force = (apart / distance.pow(3)[..., None]).sum(1)
        along = force - (force * points).sum(-1, keepdim=True) * points
        longest = torch.linalg.vector_norm(along, dim=-1).max().clamp_min(1e-12)
        reach = 0.3 * spacing * (1 - step / _REPULSION_STEPS) ** 2
        stride = torch.clamp(reach / longest, max=0.02 * spacing**3)
        points = torch.nn.functional.normalize(points + stride * along, dim=-1)
    return points


def _even(order: list[int]) -> bool:
    if len(set(order)) < 4:
        return False
    return sum(a > b for at, a in enumerate(order) for b in order[at + 1 :]) % 2 == 0
