"""A feature as a function on the sphere, turned in two ways that have to agree: by D(g), and by itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.actions.irreps import irreps_matrices
from workbench.groups import O3, SO3
from workbench.groups.base import check_elements
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance

HIGHEST = 6
"""Degrees up to here are drawn; a grid of directions shows no finer pattern."""
FEATURES = ("one harmonic", "one degree", "all degrees")
"""One number that is 1, all 2l + 1 numbers of a degree, or all (l + 1)^2 of the degrees up to it."""
MISTAKES = {
    "none": "",
    "transposed": "transposed",
    "polar axis": "z for the polar axis",
    "parity": "sign forgotten",
    "block order": "blocks reversed",
}
"""What can be put into D, and how its heading says so."""
PICTURES = ("the feature", "turned by D(g)")
GRID = (33, 64)
"""Polar angles, poles included, and azimuths of the drawn sphere."""
EVERY = 3
"""The moved function is evaluated at every third of them, in both angles."""


def turned_harmonic(
    degree: int,
    order: int,
    element: Tensor | Sequence[float],
    normalization: str = "component",
    mistake: str = "none",
    grid: tuple[int, int] = GRID,
    *,
    feature: str = "one harmonic",
    draw: int = 1,
) -> xr.Dataset:
    r"""Turn f = sum a_m Y^l_m by its matrix, a -> D(g) a, and compare with the moved function f(g^{-1} p).

    The polar axis is y, and so it is for the polar angle of the grid: p = (sin t sin u, cos t, sin t cos u).

    Args:
        degree, order: l from 0 to 6, m from -l to l.
        element: of O(3), ``(w, x, y, z, parity)``.
        normalization: of the harmonics, as in :func:`workbench.e3.harmonics.spherical_harmonics`.
        mistake: put into D: ``"transposed"``, ``"polar axis"`` (z taken for it, as textbooks do), ``"parity"`` (the
            sign (-1)^l of a point reflection left out), ``"block order"`` (the highest degree first, which a feature
            of one degree cannot show), or ``"none"``.
        grid: numbers of polar angles and azimuths.
        feature: ``"one harmonic"``, where a is 1 at m and 0 elsewhere; ``"one degree"``, all numbers of degree l; or
            ``"all degrees"``, irreps ``1x0e+1x1o+...`` up to l, where D(g) has one block for each degree. The order
            counts for the first alone.
        draw: which normal numbers a feature has, scaled to length 1.

    Returns:
        ``value(picture, polar, azimuth)`` of f and of D(g) a, ``direction(polar, azimuth, xyz)``, the ``matrix(row,
        column)`` D(g), ``coefficient(picture, row)``, the scalars ``residual``, the largest difference between D(g) a
        and the moved function as a share of the largest value, and ``angle_shown_deg``; ``feature_length(picture,
        degree)``, the squared length of the numbers of each degree, which no rotation changes; and
        ``squared_length(degree)`` of Y^0..Y^6 on the unit sphere.

    Raises:
        ValueError: for another degree, order, element, mistake, feature or draw.

    >>> ds = turned_harmonic(2, 1, (1.0, 0.0, 0.0, 0.0, -1.0))
    >>> float(ds["residual"]) < 1e-12, ds["matrix"].shape
    (True, (5, 5))
    >>> turned_harmonic(2, 0, (1.0, 0.0, 0.0, 0.0, -1.0), feature="all degrees")["matrix"].shape
    (9, 9)
    """
    _check(degree, order, mistake, feature, draw)
    moved = _checked_element(element)
    degrees = range(0 if feature == "all degrees" else degree, degree + 1)
    points = _directions(*grid)
    every = _on_sphere(normalization, grid)
    own = every[..., degrees[0] ** 2 : (degree + 1) ** 2]
    before = _numbers(degrees, order, feature, draw)
    matrix = _matrix(degrees, moved, mistake)
    numbers = torch.stack([before, matrix @ before])
    back = O3().matrix(O3().inverse(moved))
    expected = _values(normalization, points[::EVERY, ::EVERY] @ back.mT, degrees) @ before
    values = torch.stack([own @ one for one in numbers])
    residual = (values[1, ::EVERY, ::EVERY] - expected).abs().max() / values[0].abs().max()
    turn = torch.rad2deg(SO3().distance(moved[:4], SO3().identity(torch.float64)))
    which = f"degree {degree}" if len(degrees) == 1 else f"degrees 0 to {degree}"
    found = {
        "value": labelled(("picture", "polar", "azimuth"), values, f"function of {which}"),
        "direction": labelled(("polar", "azimuth", "xyz"), points, "direction"),
        "matrix": labelled(
            ("row", "column"), matrix, f"D(g) of {which}" if mistake == "none" else f"D(g), {MISTAKES[mistake]}"
        ),
        "coefficient": labelled(("picture", "row"), numbers, "coefficient"),
        "residual": labelled((), float(residual), "turned by D(g) less moved, share of the largest value"),
        "feature_length": labelled(
            ("picture", "degree"), _by_degree(numbers, degrees), "squared length of the numbers"
        ),
        "squared_length": labelled("degree", _lengths(normalization, grid), "squared length of Y on the unit sphere"),
        "angle_shown_deg": labelled((), float(turn), "angle of the rotation", "degrees"),
    }
    about = provenance(
        created_by="turned_harmonic", seed=0 if feature == "one harmonic" else draw, dtype=torch.float64,
        degree=degree, order=order, element=moved.tolist(), normalization=normalization, mistake=mistake,
        feature=feature, showing=f"surfaces of {grid[0]} x {grid[1]} directions",
    )  # fmt: skip
    return xr.Dataset(found, coords=_coordinates(degrees), attrs=about)


def _coordinates(degrees: range) -> dict[str, Any]:
    one = len(degrees) == 1
    names = [str(m) if one else f"{l}, {m}" for l in degrees for m in range(-l, l + 1)]  # noqa: E741
    what = "order m" if one else "l, m"
    return {
        "picture": labelled("picture", list(PICTURES), "picture"),
        "row": labelled("row", names, f"{what} after"),
        "column": labelled("column", names, f"{what} before"),
        "xyz": labelled("xyz", ["x", "y", "z"], "axis"),
        "degree": labelled("degree", np.arange(HIGHEST + 1), "degree l"),
    }


def _check(degree: int, order: int, mistake: str, feature: str, draw: int) -> None:
    whole = all(isinstance(one, int) and not isinstance(one, bool) for one in (degree, order))
    if not whole or not 0 <= degree <= HIGHEST or abs(order) > degree:
        raise ValueError(
            f"degree {degree!r} and order {order!r} were given; expected whole numbers, l from 0 to {HIGHEST} and m "
            "from -l to l."
        )
    if mistake not in MISTAKES:
        raise ValueError(f"mistake {mistake!r} was given; expected one of {', '.join(MISTAKES)}.")
    if feature not in FEATURES:
        raise ValueError(f"feature {feature!r} was given; expected one of {', '.join(FEATURES)}.")
    if isinstance(draw, bool) or not isinstance(draw, int) or not 1 <= draw <= 2**31:
        raise ValueError(f"draw {draw!r} was given; expected a whole number from 1 on.")


def _checked_element(element: Tensor | Sequence[float]) -> Tensor:
    moved = torch.as_tensor(element, dtype=torch.float64)
    check_elements(O3(), moved)
    if moved.shape != (5,) or not bool(O3().contains(moved, 1e-6)):
        raise ValueError(
            f"element {moved.tolist()} was given; expected one of O(3), (w, x, y, z, parity), such as (1, 0, 0, 0, 1)."
        )
    return moved


def _numbers(degrees: range, order: int, feature: str, draw: int) -> Tensor:
    """Of a draw the same for each choice of degrees, up to the length."""
    first, beyond = degrees[0] ** 2, (degrees[-1] + 1) ** 2
    if feature == "one harmonic":
        numbers = torch.zeros(beyond - first, dtype=torch.float64)
        numbers[degrees[0] + order] = 1
        return numbers
    drawn = torch.randn((HIGHEST + 1) ** 2, generator=torch.Generator().manual_seed(draw), dtype=torch.float64)
    return drawn[first:beyond] / drawn[first:beyond].norm()


def _matrix(degrees: range, element: Tensor, mistake: str) -> Tensor:
    """D(g), or what the mistake makes of it."""
    order = reversed(degrees) if mistake == "block order" else degrees
    irreps = "+".join(f"1x{l}{'e' if l % 2 == 0 or mistake == 'parity' else 'o'}" for l in order)  # noqa: E741
    if mistake == "polar axis":  # axes (x, y, z) named (y, z, x)
        element = element[[0, 2, 3, 1, 4]]
    matrix = irreps_matrices(irreps, element[None], O3())[0]
    return matrix.mT if mistake == "transposed" else matrix


def _by_degree(numbers: Tensor, degrees: range) -> Tensor:
    """Squared length of the numbers of each degree, ``(pictures, degrees up to the highest)``."""
    owner = torch.tensor([degree for degree in degrees for _ in range(2 * degree + 1)])
    return numbers.new_zeros(len(numbers), HIGHEST + 1).index_add_(1, owner, numbers.square())


@lru_cache(maxsize=8)
def _directions(polar: int, azimuth: int) -> Tensor:
    t = torch.linspace(0, torch.pi, polar, dtype=torch.float64).unsqueeze(1)
    u = torch.linspace(0, 2 * torch.pi, azimuth + 1, dtype=torch.float64)
    return torch.stack([t.sin() * u.sin(), t.cos().expand(-1, len(u)), t.sin() * u.cos()], -1)


@lru_cache(maxsize=8)
def _on_sphere(normalization: str, grid: tuple[int, int]) -> Tensor:
    from workbench.e3.harmonics import spherical_harmonics

    return spherical_harmonics(HIGHEST, _directions(*grid), normalization)


@lru_cache(maxsize=8)
def _lengths(normalization: str, grid: tuple[int, int]) -> Tensor:
    every = _on_sphere(normalization, grid)
    return torch.stack([every[..., k**2 : (k + 1) ** 2].square().sum(-1).mean() for k in range(HIGHEST + 1)])


def _values(normalization: str, points: Tensor, degrees: range) -> Tensor:
    """Of these degrees alone: the others would cost more than they show."""
    from e3nn import o3

    return o3.spherical_harmonics(list(degrees), points, normalize=True, normalization=normalization)
