"""What a linear layer does on a torus: its whole matrix, how far it is from commuting with moves, from ignoring them.

The three extremes after van der Ouderaa, Romero & van der Wilk 2022 (arXiv 2204.07178): any linear map, an equivariant
one (a convolution), an invariant one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.kernels.relaxed import RelaxedKernels
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance

LARGEST_SIDE = 32  # a matrix of 1024 x 1024
SIDES = ("output", "input")
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


def relaxed_matrix(
    kernels: RelaxedKernels,
    size: tuple[int, int],
    side: str = "output",
    turning: float = 0.0,
    cycles_turning: Tensor | None = None,
    orientations: int = 4,
    mixed: Tensor | None = None,
) -> Tensor:
    r"""The matrix of a relaxed layer with one channel on each side, written out tap by tap on a torus: ``(G U, U)``.

    .. math:: y(q, u) = \sum_p K(R_q^{-1} p; a, q) \, x(u + p), \qquad a = u \text{ or } u + p

    Args:
        kernels: of one channel on each side.
        size: H and W; U = H W.
        side: of the absolute place, the "output" u, as in :class:`workbench.layers.RelaxedConv2d`, or the "input"
            u + p. Which of them the paper takes could not be read.
        turning: the dial of the rotation; no effect without the next.
        cycles_turning: ``(F, 2)``, how each feature sees the absolute rotation (cos a, sin a) of the output; then there
            are G outputs a pixel, one for each rotation of C(G) (an odd kernel and a square image keep quarter turns
            exact), else G = 1.
        orientations: G with ``cycles_turning``, a multiple of 4.
        mixed: what :func:`oriented` gives for the same, where it is known.

    Raises:
        ValueError: for more channels, a kernel wider than the torus, another side or number of orientations.

    >>> kernels = RelaxedKernels(1, 1, 3)
    >>> tuple(relaxed_matrix(kernels, (5, 5), "input", 0.1, torch.randn(32, 2)).shape)
    (100, 25)
    """
    k, height, width = kernels.kernel_size, *size
    if side not in SIDES or (kernels.in_channels, kernels.out_channels) != (1, 1) or k > min(size):
        raise ValueError(
            f"relaxed_matrix: kernels {kernels.extra_repr()} on {height} x {width} pixels with the place of the "
            f"{side!r} were given; expected one channel on each side, k at most {min(size)}, and "
            f"{' or '.join(map(repr, SIDES))}."
        )
    low = (k - 1) // 2
    place = torch.arange(height * width)
    tap = torch.arange(k * k)
    rows = (place[:, None] // width + tap // k - low) % height
    there = rows * width + (place[:, None] % width + tap % k - low) % width  # (U, P)
    count = 1 if cycles_turning is None else orientations
    found = kernels.phase.new_zeros(count, height * width, height * width)
    filters = orientation_filters(kernels, size, turning, cycles_turning, orientations, None, mixed).flatten(2)
    for q in range(count):
        found[q].scatter_(1, there, filters[q] if side == "output" else filters[q][there, tap])
    return found.flatten(0, 1)


def orientation_filters(
    kernels: RelaxedKernels,
    size: tuple[int, int],
    turning: float = 0.0,
    cycles: Tensor | None = None,
    orientations: int = 4,
    seen: int | None = None,
    mixed: Tensor | None = None,
) -> Tensor:
    """The filters ``(G, U, k, k)`` of one channel pair in every orientation at every place, G = 1 without ``cycles``.

    Quarter turns move taps onto taps; in between a filter is evaluated at turned taps of the same square.

    Args:
        kernels, size, turning, cycles, orientations: as of :func:`relaxed_matrix`.
        seen: the orientation that the dial sees in all of them, which then are turned copies of its filters; where it
            is not given, each sees its own.
        mixed: what :func:`oriented` gives for the same, where it is known.
    """
    count, k = (1 if cycles is None else orientations), kernels.kernel_size
    rows = oriented(kernels, turning, cycles, orientations, seen) if mixed is None else mixed
    with torch.no_grad():
        found = (kernels.basis(size).T @ rows).unflatten(1, (count, k, k)).transpose(0, 1)
        found = found * kernels.scale(found.square().mean((1, 2, 3)))[:, None, None, None]
    return torch.stack([torch.rot90(one, 4 * q // orientations, (-2, -1)) for q, one in enumerate(found)])


def oriented(
    kernels: RelaxedKernels, turning: float, cycles: Tensor | None, orientations: int = 4, seen: int | None = None
) -> Tensor:
    """The filters that are mixed at each place, of every orientation turned back by its quarter turns: ``(R, G P)``.

    They do not depend on the dial of the place. Arguments as of :func:`orientation_filters`.
    """
    _check_orientations(orientations)
    own, taps = kernels.phase.data, kernels.taps
    try:
        if cycles is not None:  # all orientations in one call, their taps and phases in a row
            step = 2 * math.pi / orientations
            turns = _turned([step * (q % (orientations // 4)) for q in range(orientations)]).to(taps)
            angles = [step * (q if seen is None else seen) for q in range(orientations)]
            shifts = _turned(angles)[:, :, 0].to(own) @ cycles.to(own).T
            kernels.taps = (taps @ turns).flatten(0, 1)  # rows R^-1 p
            kernels.phase.data = (own + 2 * math.pi * turning * shifts).repeat_interleave(len(taps), 0)
        with torch.no_grad():
            return kernels.filters().flatten(1)
    finally:
        kernels.phase.data, kernels.taps = own, taps


def _turned(angles: list[float]) -> Tensor:
    """Rotations ``(G, 2, 2)``, float64."""
    angle = torch.tensor(angles, dtype=torch.float64)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos, -sin, sin, cos], -1).unflatten(-1, (2, 2))


def _check_orientations(orientations: int) -> None:
    if orientations < 4 or orientations % 4:
        raise ValueError(f"orientations = {orientations} was given; expected a multiple of 4; use 4 or 8.")


def relaxed_errors(
    matrix: Tensor, size: tuple[int, int], shift: tuple[int, int] = SHIFT, only: str = ""
) -> dict[str, dict[str, float]]:
    """Both errors of :func:`operator_symmetry` for a cyclic shift, a quarter turn, and the turn after the shift.

    Args:
        matrix: ``(G U, U)`` with G = 1, then of the shift alone, or G even orientations in order, a multiple of 4.
        size: H and W, equal where there are orientations.
        shift: rows down, columns to the right.
        only: one of the three names below, to leave the others out.

    Returns:
        "shifts", "quarter turns" and "both", each with ``equivariance_error`` and ``invariance_error``.

    >>> from workbench.kernels import RelaxedKernels
    >>> matrix = relaxed_matrix(RelaxedKernels(1, 1, 3, absolute=0.0), (5, 5))
    >>> relaxed_errors(matrix, (5, 5))["shifts"]["equivariance_error"]
    0.0
    """
    lines = matrix.reshape(-1, *size, *size)
    length = float(matrix.norm()) or 1.0

    def shifted(values: Tensor, back: bool) -> Tensor:
        return values.roll((-shift[0], -shift[1]), (3, 4)) if back else values.roll(shift, (1, 2))

    def turned(values: Tensor, back: bool) -> Tensor:
        return torch.rot90(values, -1, (3, 4)) if back else torch.rot90(values, 1, (1, 2)).roll(len(lines) // 4, 0)

    moves: dict[str, tuple] = {"shifts": (shifted,)}
    if len(lines) > 1:
        moves |= {"quarter turns": (turned,), "both": (shifted, turned)}
    found = {}
    for name, steps in moves.items():
        if only not in ("", name):
            continue
        moved_in = moved_out = lines
        for step in reversed(steps):  # M T_2 T_1: the last step reaches M first
            moved_in = step(moved_in, True)
        for step in steps:
            moved_out = step(moved_out, False)
        found[name] = {
            "equivariance_error": float((moved_in - moved_out).norm()) / length,
            "invariance_error": float((moved_in - lines).norm()) / length,
        }
    return found


def drift(filters: np.ndarray) -> np.ndarray:
    """How much filters at a grid of places ``(..., R, C, k, k)`` differ from their neighbours: ``(...)``.

    Root mean square of the differences between neighbours over that of the filters: what a layer of such filters makes
    of white noise when it is shifted by one step of the grid, as a relative error. 0 for a convolution, sqrt 2 for
    unrelated filters.

    >>> float(drift(np.ones((5, 5, 3, 3))))
    0.0
    """
    down, across = np.diff(filters, axis=-4), np.diff(filters, axis=-3)
    last = tuple(range(-4, 0))
    pairs = filters.shape[-3] * (filters.shape[-4] - 1) + filters.shape[-4] * (filters.shape[-3] - 1)
    changed = ((down**2).sum(last) + (across**2).sum(last)) / pairs
    whole = (filters**2).sum(last) / (filters.shape[-4] * filters.shape[-3])
    return np.sqrt(np.divide(changed, whole, out=np.zeros_like(whole), where=whole > 0))


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
