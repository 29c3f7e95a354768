"""A spherical harmonic as a function on the sphere, turned in two ways that have to agree: by D(g), and by itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

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
MISTAKES = ("none", "transposed", "polar axis", "parity")
PICTURES = ("the harmonic", "turned by D(g)")
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
) -> xr.Dataset:
    r"""Turn f = Y^l_m by its matrix, a -> D(g) a, and compare with the moved function f(g^{-1} p).

    The polar axis is y, and so it is for the polar angle of the grid: p = (sin t sin u, cos t, sin t cos u).

    Args:
        degree, order: l from 0 to 6, m from -l to l.
        element: of O(3), ``(w, x, y, z, parity)``.
        normalization: of the harmonics, as in :func:`workbench.e3.harmonics.spherical_harmonics`.
        mistake: put into D: ``"transposed"``, ``"polar axis"`` (z taken for it, as textbooks do), ``"parity"`` (the
            sign (-1)^l of a point reflection left out), or ``"none"``.
        grid: numbers of polar angles and azimuths.

    Returns:
        ``value(picture, polar, azimuth)`` of f and of D(g) a, ``direction(polar, azimuth, xyz)``, the ``matrix(row,
        column)`` D(g), ``coefficient(picture, row)``, the scalars ``residual``, the largest difference between D(g) a
        and the moved function as a share of the largest value, and ``angle_shown_deg``; and ``squared_length(degree)``
        of Y^0..Y^6 on the unit sphere.

    Raises:
        ValueError: for another degree, order, element or mistake.

    >>> ds = turned_harmonic(2, 1, (1.0, 0.0, 0.0, 0.0, -1.0))
    >>> float(ds["residual"]) < 1e-12, ds["matrix"].shape
    (True, (5, 5))
    """
    _check(degree, order, mistake)
    moved = torch.as_tensor(element, dtype=torch.float64)
    check_elements(O3(), moved)
    if moved.shape != (5,) or not bool(O3().contains(moved, 1e-6)):
        raise ValueError(
            f"element {moved.tolist()} was given; expected one of O(3), (w, x, y, z, parity), such as (1, 0, 0, 0, 1)."
        )
    points = _directions(*grid)
    every = _on_sphere(normalization, grid)
    own = every[..., degree**2 : (degree + 1) ** 2]
    before = torch.zeros(2 * degree + 1, dtype=torch.float64)
    before[degree + order] = 1
    matrix = _matrix(degree, moved, mistake)
    after = matrix @ before
    back = O3().matrix(O3().inverse(moved))
    expected = _values(normalization, points[::EVERY, ::EVERY] @ back.mT, degree) @ before
    values = torch.stack([own @ before, own @ after])
    residual = (values[1, ::EVERY, ::EVERY] - expected).abs().max() / values[0].abs().max()
    lengths = [every[..., k**2 : (k + 1) ** 2].square().sum(-1).mean() for k in range(HIGHEST + 1)]
    names = [str(m) for m in range(-degree, degree + 1)]
    turn = torch.rad2deg(SO3().distance(moved[:4], SO3().identity(torch.float64)))
    return xr.Dataset(
        {
            "value": labelled(("picture", "polar", "azimuth"), values, f"Y of degree {degree}"),
            "direction": labelled(("polar", "azimuth", "xyz"), points, "direction"),
            "matrix": labelled(("row", "column"), matrix, f"D(g) of degree {degree}"),
            "coefficient": labelled(("picture", "row"), torch.stack([before, after]), "coefficient"),
            "residual": labelled((), float(residual), "turned by D(g) less moved, share of the largest value"),
            "squared_length": labelled("degree", torch.stack(lengths), "squared length of Y on the unit sphere"),
            "angle_shown_deg": labelled((), float(turn), "angle of the rotation", "degrees"),
        },
        coords={
            "picture": labelled("picture", list(PICTURES), "picture"),
            "row": labelled("row", names, "order m after"),
            "column": labelled("column", names, "order m before"),
            "xyz": labelled("xyz", ["x", "y", "z"], "axis"),
            "degree": labelled("degree", np.arange(HIGHEST + 1), "degree l"),
        },
        attrs=provenance(
            created_by="turned_harmonic", seed=0, dtype=torch.float64, degree=degree, order=order,
            element=moved.tolist(), normalization=normalization, mistake=mistake,
            showing=f"surfaces of {grid[0]} x {grid[1]} directions",
        ),
    )  # fmt: skip


def _check(degree: int, order: int, mistake: str) -> None:
    whole = all(isinstance(one, int) and not isinstance(one, bool) for one in (degree, order))
    if not whole or not 0 <= degree <= HIGHEST or abs(order) > degree:
        raise ValueError(
            f"degree {degree!r} and order {order!r} were given; expected whole numbers, l from 0 to {HIGHEST} and m "
            "from -l to l."
        )
    if mistake not in MISTAKES:
        raise ValueError(f"mistake {mistake!r} was given; expected one of {', '.join(MISTAKES)}.")


def _matrix(degree: int, element: Tensor, mistake: str) -> Tensor:
    """D(g), or what the mistake makes of it."""
    parity = "e" if degree % 2 == 0 or mistake == "parity" else "o"
    if mistake == "polar axis":  # axes (x, y, z) named (y, z, x)
        element = element[[0, 2, 3, 1, 4]]
    matrix = irreps_matrices(f"1x{degree}{parity}", element[None], O3())[0]
    return matrix.mT if mistake == "transposed" else matrix


@lru_cache(maxsize=8)
def _directions(polar: int, azimuth: int) -> Tensor:
    t = torch.linspace(0, torch.pi, polar, dtype=torch.float64).unsqueeze(1)
    u = torch.linspace(0, 2 * torch.pi, azimuth + 1, dtype=torch.float64)
    return torch.stack([t.sin() * u.sin(), t.cos().expand(-1, len(u)), t.sin() * u.cos()], -1)


@lru_cache(maxsize=8)
def _on_sphere(normalization: str, grid: tuple[int, int]) -> Tensor:
    from workbench.e3.harmonics import spherical_harmonics

    return spherical_harmonics(HIGHEST, _directions(*grid), normalization)


def _values(normalization: str, points: Tensor, degree: int) -> Tensor:
    """Y^l alone: those of lower degrees would cost more than they show."""
    from e3nn import o3

    return o3.spherical_harmonics([degree], points, normalize=True, normalization=normalization)
