"""One linear map of the plane in the coordinates of GL+(2), turn, stretch and scaling; samples of such maps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr

from workbench.groups import SL, GLPlus
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance

COORDINATES = ("u", "q", "angle", "s")
STAGES = ("as it is", "turned", "stretched", "scaled")
FLATTEST = 1e-3  # determinant; below it a picture is a line


def linear_map(matrix: Sequence[Sequence[float]]) -> xr.Dataset:
    """The polar coordinates of a 2 x 2 matrix and the three maps that it is made of.

    Args:
        matrix: rows of A in coordinates (x, y), y up.

    Returns:
        `coordinate(name)`: u, q, the angle in radians and s = log(det A) / 2, NaN where the determinant is not
        positive; `so_far(stage, row, column)`, the products 1, R, P R / sqrt(det A) and A; `stretch(axis)`, the two
        factors of P, largest first; `determinant`; `exponential`, whether A is the exponential of a real matrix.

    Raises:
        ValueError: no 2 x 2 matrix of finite numbers.

    >>> found = linear_map([[-2.0, 0.0], [0.0, -0.5]])
    >>> found.coordinate.round(4).values.tolist(), bool(found.exponential)
    ([0.6931, 0.0, -3.1416, 0.0], False)

    Source: Mironenco & Forre 2024 (arXiv 2310.11366) for the chart.
    """
    given = np.asarray(matrix, dtype=np.float64)
    if given.shape != (2, 2) or not np.isfinite(given).all():
        raise ValueError(f"linear_map: {matrix!r} was given; expected two rows of two numbers; use [[1, 0], [0, 1]].")
    determinant = float(np.linalg.det(given))
    coordinate, stages, stretch = np.full(4, np.nan), np.full((4, 2, 2), np.nan), np.full(2, np.nan)
    stages[0], stages[3] = np.eye(2), given
    if determinant >= FLATTEST:
        group, g = GLPlus(), torch.from_numpy(given.flatten())
        v = group.log(g)
        coordinate = v.numpy()
        turn = SL().exp(v[:3] * torch.tensor([0.0, 0.0, 1.0], dtype=v.dtype))
        stages[1], stages[2] = turn.view(2, 2).numpy(), given / math.sqrt(determinant)
        stretch = np.linalg.svd(given, compute_uv=False)
    return xr.Dataset(
        {
            "coordinate": labelled("name", coordinate, "polar coordinates"),
            "so_far": labelled(("stage", "row", "column"), stages, "what is done so far"),
            "stretch": labelled("axis", stretch, "factors along the two axes of the stretch"),
            "determinant": labelled((), determinant, "determinant"),
            "exponential": labelled((), _has_logarithm(given, determinant), "the exponential of a real matrix"),
        },
        {
            "name": labelled("name", np.array(COORDINATES), "coordinate"),
            "stage": labelled("stage", np.array(STAGES), "stage"),
        },
        provenance("linear_map", seed="none", dtype="float64", group="GLPlus(2)"),
    )


def _has_logarithm(matrix: np.ndarray, determinant: float) -> bool:
    """Culver 1966: real, regular, and every Jordan block of a negative eigenvalue occurs an even number of times."""
    if determinant <= 0:
        return False
    mean = float(np.trace(matrix)) / 2
    apart = mean**2 - determinant  # of the eigenvalues, half and squared
    if mean > 0 or apart < -1e-12 * determinant:
        return True
    return bool(np.allclose(matrix, mean * np.eye(2), rtol=0, atol=1e-9 * abs(mean)))


def near_rotations(group: SL, count: int, spread: float, seed: int = 0) -> xr.Dataset:
    """Random elements near the rotations, in their coordinates, with what each stands for.

    Args:
        group: SL or GLPlus.
        count: N elements.
        spread: see :meth:`workbench.groups.SL.draw`.
        seed: of the elements.

    Returns:
        `u(sample)`, `q(sample)`, and `weight(sample)`, 1 / p over the Haar measure, in shares of its mean.

    >>> near_rotations(SL(), 50, 0.3).sizes["sample"]
    50
    """
    elements, weights = group.draw(count, spread, torch.Generator().manual_seed(seed), torch.float64)
    v = group.log(elements)
    return xr.Dataset(
        {
            "u": labelled("sample", v[:, 0].numpy(), "u: along x, against y"),
            "q": labelled("sample", v[:, 1].numpy(), "q: along the diagonal"),
            "weight": labelled("sample", (weights / weights.mean()).numpy(), "weight in shares of the mean"),
        },
        attrs=provenance("near_rotations", seed=seed, dtype="float64", group=group.name, spread=spread),
    )
