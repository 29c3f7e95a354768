"""What a linear layer does on a torus: its whole matrix, how far it is from commuting with shifts, from ignoring them.

The three extremes after van der Ouderaa, Romero & van der Wilk 2022 (arXiv 2204.07178): any linear map, an equivariant
one (a convolution), an invariant one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.kernels.relaxed import RelaxedKernels
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance

LARGEST_SIDE = 32  # a matrix of 1024 x 1024
SHIFT = (1, 2)  # rows down, columns to the right: along no axis and no diagonal


def operator_matrix(layer: Callable[[Tensor], Tensor], size: tuple[int, int], like: Tensor) -> Tensor:
    """The matrix of a linear layer with one channel on each side, ``(H W, H W)``: outputs by inputs.

    Args:
        layer: from ``(B, 1, H, W)`` to ``(B, 1, H, W)``; a bias is taken off.
        size: H and W.
        like: a tensor of the layer's dtype and device.

    Raises:
        ValueError: a side above 32, or outputs of another shape.

    >>> matrix = operator_matrix(lambda x: 2 * x, (2, 2), torch.zeros(1))
    >>> matrix[0].tolist()
    [2.0, 0.0, 0.0, 0.0]
    """
    height, width = size
    if not 1 <= min(size) <= max(size) <= LARGEST_SIDE:
        raise ValueError(f"operator_matrix: {height} x {width} pixels were given; expected sides of 1 to 32.")
    points = torch.eye(height * width, dtype=like.dtype, device=like.device).view(-1, 1, height, width)
    with torch.no_grad():
        found = layer(points) - layer(torch.zeros_like(points[:1]))
    if found.shape != points.shape:
        raise ValueError(
            f"operator_matrix: {tuple(points.shape)} became {tuple(found.shape)}; expected a layer with one channel "
            "that keeps the size."
        )
    return found.flatten(1).T


def operator_symmetry(
    matrix: Tensor, size: tuple[int, int], shift: tuple[int, int] = SHIFT, rank: bool = True
) -> dict[str, float]:
    r"""How far a matrix M is from commuting with the cyclic shift T, and from not telling T x from x.

    .. math:: E = |M T - T M| / |M|, \qquad I = |M T - M| / |M|

    in Frobenius norms: root mean squares over white noise. Both are 0 at best; sqrt 2 says that what is compared has
    nothing in common.

    Returns:
        ``equivariance_error``, ``invariance_error`` and, unless it is not asked for, ``rank`` (of the matrix, with
        numpy's bound on rounding).

    Raises:
        ValueError: a matrix that does not fit the size, a shift by nothing, or a layer that gives nothing at all.

    >>> operator_symmetry(torch.ones(4, 4), (2, 2), (0, 1))
    {'equivariance_error': 0.0, 'invariance_error': 0.0, 'rank': 1.0}
    """
    places = size[0] * size[1]
    if tuple(matrix.shape) != (places, places) or (shift[0] % size[0], shift[1] % size[1]) == (0, 0):
        raise ValueError(
            f"operator_symmetry: a matrix {tuple(matrix.shape)}, {size[0]} x {size[1]} pixels and a shift by {shift} "
            f"were given; expected a matrix ({places}, {places}) and a shift that moves something."
        )
    length = float(matrix.norm())
    if not length:
        raise ValueError("operator_symmetry: a matrix of zeros was given; expected a layer that gives something.")
    lines = matrix.view(*size, *size)
    moved_in = lines.roll((-shift[0], -shift[1]), (2, 3))
    moved_out = lines.roll(shift, (0, 1))
    found = {
        "equivariance_error": float((moved_in - moved_out).norm()) / length,
        "invariance_error": float((moved_in - lines).norm()) / length,
    }
    return {**found, "rank": float(torch.linalg.matrix_rank(matrix))} if rank else found


def corner(errors: dict[str, float]) -> np.ndarray:
    """Shares of *linear*, *equivariant* and *invariant*, from the two errors: ``(3,)``, sum 1.

    With e and i the errors as shares of sqrt 2, at most 1: e linear, (1 - e) i equivariant, (1 - e) (1 - i) invariant.
    A reading aid of ours, no measure of the paper's.

    >>> corner({"equivariance_error": 0.0, "invariance_error": 2**0.5}).tolist()
    [0.0, 1.0, 0.0]
    """
    e, i = (min(errors[name] / 2**0.5, 1.0) for name in ("equivariance_error", "invariance_error"))
    return np.array([e, (1 - e) * i, (1 - e) * (1 - i)])


def filter_atlas(kernels: RelaxedKernels, size: tuple[int, int], count: int = 5) -> xr.Dataset:
    """The filters of the first channels at evenly spread places of an image.

    Args:
        kernels: of a relaxed layer.
        size: H and W of the image.
        count: places a side.

    Returns:
        ``filter(row, column, y, x)``, and ``difference`` to the filter of the middle place, both as shares of the
        largest weight; ``place_y(row)``, ``place_x(column)`` in pixels from the top left.

    Raises:
        ValueError: more places than pixels.
    """
    if not 1 <= count <= min(size):
        raise ValueError(f"filter_atlas: count = {count} was given; expected 1 to {min(size)}, the smaller side.")
    rows, columns = (np.linspace(0, side - 1, count).round().astype(np.int64) for side in size)
    k = kernels.kernel_size
    with torch.no_grad():
        filters, basis = kernels.mixed(size)
        chosen = basis.view(-1, *size)[:, rows][:, :, columns]
        atlas = torch.einsum("rij,rp->ijp", chosen, filters[:, 0, 0]).double().cpu().numpy()
    atlas = atlas.reshape(count, count, k, k)
    atlas /= np.abs(atlas).max() or 1.0
    dims, words = ("row", "column", "y", "x"), "share of the largest weight"
    return xr.Dataset(
        {
            "filter": labelled(dims, atlas, f"filter, {words}"),
            "difference": labelled(dims, atlas - atlas[count // 2, count // 2], f"difference to the middle, {words}"),
        },
        {
            "place_y": labelled("row", rows, "row of the place", "pixel"),
            "place_x": labelled("column", columns, "column of the place", "pixel"),
        },
        provenance("filter_atlas", seed="as the kernels", dtype=kernels.phase.dtype, reduction="none"),
    )
