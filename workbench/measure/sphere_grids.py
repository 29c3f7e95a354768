"""What the grid on the sphere costs in exactness: a product point by point, and a non-linearity point by point."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.groups import SO3
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance

DEGREES = (1, 2, 3, 4)
RESOLUTIONS = (4, 6, 8, 10, 12, 14, 18, 26, 40, 60)
BEYOND, FINER = 3, 7
"""Degrees beyond the last one that the product needs: those shown, and that of the reference."""


def grid_errors(seeds: int = 5) -> xr.Dataset:
    """Errors of the Gaunt product and of a tanh on the sphere, by the fineness of the grid, in double precision.

    The product of degrees up to L is a polynomial of degree 3L, so that a grid which integrates these is exact and a
    coarser one is not. tanh is no polynomial, and every grid leaves an error of equivariance.

    Args:
        seeds: of features and of one rotation each.

    Returns:
        `product_error(lmax, degree, seed)`, largest difference to the exact product over its largest value, where
        `degree` is what the grid integrates exactly, NaN beyond 3L + 3; `activation_error(lmax, resolution, seed)`, of
        e3nn's S2Activation with so many rings, largest difference between turned before and turned after over the
        largest value, NaN where rings are fewer than 2L + 2.

    >>> found = grid_errors(1)["product_error"].sel(lmax=1, seed=0)
    >>> bool(found.sel(degree=2) > 1e-2), bool(found.sel(degree=3) < 1e-12)
    (True, True)
    """
    most = 3 * max(DEGREES) + BEYOND
    products = np.full((len(DEGREES), most + 1, seeds), np.nan)
    activations = np.empty((len(DEGREES), len(RESOLUTIONS), seeds))
    for seed in range(seeds):
        for row, lmax in enumerate(DEGREES):
            generator = torch.Generator().manual_seed(seed)
            x, y = torch.randn(2, 8, (lmax + 1) ** 2, generator=generator, dtype=torch.float64)
            exact = _product(x, y, lmax, 3 * lmax + FINER)
            for degree in range(3 * lmax + BEYOND + 1):
                gap = _product(x, y, lmax, degree) - exact
                products[row, degree, seed] = float(gap.abs().max() / exact.abs().max())
            for column, resolution in enumerate(RESOLUTIONS):
                activations[row, column, seed] = _activation_error(x, lmax, resolution, generator)
    return xr.Dataset(
        {
            "product_error": labelled(("lmax", "degree", "seed"), products, "relative error of the product"),
            "activation_error": labelled(
                ("lmax", "resolution", "seed"), activations, "relative error of equivariance of the activation"
            ),
        },
        coords={
            "lmax": labelled("lmax", list(DEGREES), "highest degree L"),
            "degree": labelled("degree", list(range(most + 1)), "degree that the grid integrates exactly"),
            "resolution": labelled("resolution", list(RESOLUTIONS), "rings of the grid"),
            "seed": labelled("seed", list(range(seeds)), "seed"),
        },
        attrs=provenance("grid_errors", seed=list(range(seeds)), dtype="float64", reduction="largest over 8 features"),
    )


def _product(x: Tensor, y: Tensor, lmax: int, degree: int) -> Tensor:
    from workbench.e3.gaunt import sphere_grid
    from workbench.e3.harmonics import spherical_harmonics

    points, weights = sphere_grid(degree)
    at = spherical_harmonics(lmax, points, normalization="integral")
    return ((x @ at.T) * (y @ at.T) * weights) @ at


def _activation_error(x: Tensor, lmax: int, resolution: int, generator: torch.Generator) -> float:
    from e3nn.nn import S2Activation

    from workbench.e3.irreps import default_dtype, harmonic_irreps
    from workbench.e3.wigner import wigner_matrices

    if resolution < 2 * (lmax + 1):  # e3nn refuses it
        return float("nan")
    irreps = harmonic_irreps(lmax)
    with default_dtype(torch.float64), torch.no_grad():
        activation = S2Activation(irreps, torch.tanh, resolution)
        turn = SO3().matrix(SO3().sample(1, generator=generator, dtype=torch.float64))
        matrix = torch.block_diag(*(block[0] for block in wigner_matrices(turn, lmax)))
        after = activation(x) @ matrix.T
        return float((activation(x @ matrix.T) - after).abs().max() / after.abs().max())


def stored_grids(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """Study of the stored claims: see :func:`grid_errors`."""
    return grid_errors(1) if fast else grid_errors()
