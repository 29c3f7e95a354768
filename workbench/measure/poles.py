"""Gradients of the direction of an edge near the poles: frames made of two angles beside frames made without."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.groups.base import check_count
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance

if TYPE_CHECKING:
    from workbench.e3.product import EdgeProduct
    from workbench.e3.wigner import Blocks

FRAMES = ("without angles", "two angles")
PRECISIONS = {"double": torch.float64, "single": torch.float32}
DISTANCES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 0.0)
"""Radians from the polar axis."""


def pole_errors(lmax: int = 4, channels: int = 2, seeds: int = 5) -> xr.Dataset:
    """Relative error of the gradient of an edge's vector, by its distance to the pole, in both precisions.

    The layer is the edge product reduced to SO(2); the reference is e3nn's product of the same weights in double
    precision, a polynomial in the direction, at the very vector that was given.

    Args:
        lmax: the highest degree.
        channels: of each degree.
        seeds: of weights, features and azimuths.

    Returns:
        `pole_error(frame, precision, distance, seed)`, NaN where the gradient is no number.

    Raises:
        ValueError: for counts that are none.

    >>> error = pole_errors(1, 1, 1)["pole_error"].sel(precision="single", distance=1e-8, seed=0)
    >>> bool(error.sel(frame="without angles") < 1e-5), bool(error.sel(frame="two angles") < 1e-2)
    (True, False)
    """
    for name, value in (("lmax", lmax), ("channels", channels), ("seeds", seeds)):
        check_count(value, f"pole_errors: {name}")
    found = np.stack([_errors(lmax, channels, seed) for seed in range(seeds)], -1)
    return xr.Dataset(
        {
            "pole_error": labelled(
                ("frame", "precision", "distance", "seed"), found, "relative error of the gradient of an edge's vector"
            )
        },
        coords={
            "frame": labelled("frame", list(FRAMES), "frame of the edge"),
            "precision": labelled("precision", list(PRECISIONS), "precision"),
            "distance": labelled("distance", list(DISTANCES), "distance to the pole", "rad"),
            "seed": labelled("seed", list(range(seeds)), "seed"),
        },
        attrs=provenance(
            "pole_errors", seed=list(range(seeds)), dtype="float64 and float32", reduction="none", lmax=lmax,
            channels=channels,
        ),
    )  # fmt: skip


def _errors(lmax: int, channels: int, seed: int) -> np.ndarray:
    """``(frame, precision, distance)``."""
    from workbench.e3.irreps import harmonic_irreps
    from workbench.e3.product import EdgeProduct
    from workbench.e3.wigner import EdgeFrames

    irreps, generator = harmonic_irreps(lmax, channels), torch.Generator().manual_seed(seed)
    ours, theirs = (EdgeProduct(irreps, lmax, irreps, engine).double() for engine in ("so2", "e3nn"))
    weight = torch.randn(ours.weight_numel, generator=generator, dtype=torch.float64)
    features = torch.randn(1, irreps.dim, generator=generator, dtype=torch.float64).expand(len(DISTANCES), -1)
    angle = torch.rand((), generator=generator, dtype=torch.float64) * 2 * torch.pi
    apart = torch.tensor(DISTANCES, dtype=torch.float64)
    vectors = torch.stack([apart.sin() * angle.cos(), apart.cos(), apart.sin() * angle.sin()], 1)
    found = np.empty((len(FRAMES), len(PRECISIONS), len(DISTANCES)))
    for column, dtype in enumerate(PRECISIONS.values()):
        f, w = features.to(dtype), weight.to(dtype)
        v = vectors.to(dtype).requires_grad_()
        exact = v.detach().double().requires_grad_()
        right = _gradient(theirs(f.double(), exact, w.double()), exact)
        outs = ours(f, EdgeFrames(v, lmax), w), reduced_by_blocks(ours, f, blocks_of_angles(v, lmax), w)
        for row, out in enumerate(outs):
            gap = _gradient(out, v).double() - right
            found[row, column] = (gap.norm(dim=1) / right.norm(dim=1)).numpy()
    return found


def blocks_of_angles(vectors: Tensor, lmax: int) -> Blocks:
    """Wigner matrices of the usual frames: two angles of each vector, and the rotation of these, differentiated."""
    from e3nn import o3

    from workbench.e3.wigner import wigner_matrices

    alpha, beta = o3.xyz_to_angles(vectors)
    return wigner_matrices(o3.angles_to_matrix(alpha, beta, torch.zeros_like(alpha)).mT, lmax)


def reduced_by_blocks(layer: EdgeProduct, features: Tensor, blocks: Blocks, weight: Tensor) -> Tensor:
    """The reduced product with harmonics' parity, where only h1 is left, differentiated through the matrices."""
    out = features.new_zeros(len(features), layer.irreps_out.dim)
    for (source, target), h in layer.to_reduced(weight).items():
        left, right = layer.irreps_in[source].ir.l, layer.irreps_out[target].ir.l
        x = features[:, layer.irreps_in.slices()[source]].unflatten(1, (-1, 2 * left + 1))
        smaller = min(left, right)
        rows = (blocks[left] @ x.mT)[:, left - smaller : left + smaller + 1]
        each = h[torch.arange(-smaller, smaller + 1).abs()]
        mixed = torch.einsum("emi,mio->emo", rows, each)
        there = layer.irreps_out.slices()[target]
        back = blocks[right][:, right - smaller : right + smaller + 1]
        out = torch.cat(
            [out[:, : there.start], out[:, there] + (back.mT @ mixed).mT.flatten(1), out[:, there.stop :]], 1
        )
    return out


def _gradient(out: Tensor, vectors: Tensor) -> Tensor:
    ramp = torch.linspace(-1, 1, out.shape[1], dtype=out.dtype)
    return torch.autograd.grad((out * ramp).sum(), vectors)[0]


def stored_poles(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """Study of the stored claims: see :func:`pole_errors`."""
    return pole_errors(2, 1, 1) if fast else pole_errors()
