"""Real spherical harmonics of vectors: e3nn's, with guards where a degree or a direction does not exist."""

from __future__ import annotations

import torch
from e3nn import o3
from torch import Tensor

from workbench.e3.irreps import check_degree, harmonic_irreps
from workbench.groups.base import check_floating

NORMALIZATIONS = ("component", "norm", "integral")
"""Squared length of Y^l on the unit sphere: 2l + 1, 1, (2l + 1) / (4 pi)."""
SHORTEST = 1e-6
"""Vectors shorter than this have no direction."""


def spherical_harmonics(lmax: int, vectors: Tensor, normalization: str = "component") -> Tensor:
    """Y^0..Y^lmax of the directions of vectors, irreps ``1x0e+1x1o+1x2e+...`` with parity (-1)^l.

    The polar axis is y: Y^1 is proportional to (x, y, z), and Y^l of (0, 1, 0) has only its middle component, m = 0.
    A vector shorter than 1e-6 has no direction: its Y^l is 0 for l > 0, and so is its gradient, where e3nn's own
    gradient is of the order of 1e11.

    Args:
        lmax: the highest degree, at most 12.
        vectors: ``(..., 3)`` as (x, y, z), of any length up to the root of the largest number,
            1e19 in float32; beyond e3nn finds no direction.
        normalization: ``"component"`` (each component has variance 1 over directions), ``"norm"`` or ``"integral"``.

    Returns:
        ``(..., (lmax + 1)^2)``, in the type of the vectors.

    Raises:
        ValueError: for another degree or normalization, or what is no tensor of vectors.

    >>> spherical_harmonics(1, torch.tensor([0.0, 2.0, 0.0]), "norm").tolist()
    [1.0, 0.0, 1.0, 0.0]
    """
    check_degree("lmax", lmax)
    check_floating(vectors, "vectors")
    if vectors.shape[-1:] != (3,):
        raise ValueError(f"vectors of shape {tuple(vectors.shape)} were given; expected (..., 3) as (x, y, z).")
    if normalization not in NORMALIZATIONS:
        raise ValueError(f"normalization {normalization!r} was given; expected one of {', '.join(NORMALIZATIONS)}.")
    tiny = vectors.detach().square().sum(-1, keepdim=True) < SHORTEST**2
    safe = torch.where(tiny, vectors.new_tensor([0.0, 1.0, 0.0]), vectors)
    values = o3.spherical_harmonics(harmonic_irreps(lmax), safe, normalize=True, normalization=normalization)
    if lmax == 0:
        return values
    return torch.cat([values[..., :1], torch.where(tiny, 0.0, values[..., 1:])], -1)
