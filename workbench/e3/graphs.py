"""Who is near whom: neighbour lists of point sets, with periodic images where there is a cell. Needs no e3nn."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from workbench.groups.base import check_floating

DENSE = 2000
"""Up to so many points all pairs are measured; beyond, scipy's k-d tree takes over."""
FARTHEST = 1e6
"""The largest cutoff: beyond it everything is everything's neighbour."""
WHOLE = 1e-3
"""How far from a whole number an atomic number among coordinates may be."""
MOST_IMAGES = 5_000_000
"""Copies of the atoms of one cell; more come of a cutoff far larger than the cell."""


class Edges(NamedTuple):
    """Directed pairs of neighbours.

    sender     (E,) int64, j: whose features go along the edge.
    receiver   (E,) int64, i: who sums them up.
    vector     (E, 3), r_ij = x_j - x_i (+ lattice vectors), from the receiver to the sender, shorter than the cutoff.
    """

    sender: Tensor
    receiver: Tensor
    vector: Tensor


def neighbours(positions: Tensor, cutoff: float, batch: Tensor | None = None, cell: Tensor | None = None) -> Edges:
    """All pairs of points nearer than the cutoff, in both directions; an isolated point simply has none.

    Vectors are differentiable in positions and cell; who is a neighbour is not. In a cell a point may be its own
    neighbour, in its images; otherwise never.

    Args:
        positions: ``(N, 3)``; inside the cell or not.
        cutoff: in the units of the positions.
        batch: ``(N,)`` int64, which point set each point belongs to; ``None`` for one set.
        cell: ``(B, 3, 3)``, rows are lattice vectors, one cell for each point set; a cell of zeros is none.

    Returns:
        :class:`Edges`, ordered by receiver within each set.

    Raises:
        ValueError: for other shapes or types, NaN, a flat cell, or a cutoff that takes in millions of images.

    >>> edges = neighbours(torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [9.0, 0.0, 0.0]]), 2.0)
    >>> edges.receiver.tolist(), edges.sender.tolist(), edges.vector.tolist()
    ([0, 1], [1, 0], [[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    """
    cutoff = check_cutoff(cutoff)
    batch = check_points(positions, batch)
    cells = _check_cells(cell, positions, batch)
    with torch.no_grad():
        if cells is None and len(positions) <= DENSE:
            sender, receiver = _dense(positions, cutoff, batch)
            shift = None
        else:
            sender, receiver, shift = _by_set(positions, cutoff, batch, cells)
    vector = positions[sender] - positions[receiver]
    if cells is not None and shift is not None:
        vector = vector + torch.einsum("ek,ekd->ed", shift.to(cells), cells[batch[receiver]]).to(vector)
    near = vector.detach().square().sum(-1) < cutoff**2
    return Edges(sender[near], receiver[near], vector[near])


def check_cutoff(cutoff: object) -> float:
    """The cutoff as a float.

    Raises:
        ValueError: for what is no positive finite number.
    """
    good = isinstance(cutoff, int | float) and not isinstance(cutoff, bool) and 0 < cutoff <= FARTHEST
    if not good:
        raise ValueError(
            f"cutoff = {cutoff!r} was given; expected a positive number, at most {FARTHEST:g}, such as 5.0."
        )
    return float(cutoff)  # type: ignore[arg-type]


def check_points(positions: Tensor, batch: Tensor | None) -> Tensor:
    """Which set each point belongs to, ``(N,)``; refuse what is no list of finite points of space."""
    check_floating(positions, "positions", numbers=True)
    if positions.ndim != 2 or positions.shape[-1] != 3 or len(positions) == 0:
        raise ValueError(f"positions of shape {tuple(positions.shape)} were given; expected (N, 3), N at least 1.")
    if not torch.isfinite(positions).all():
        bad = int((~torch.isfinite(positions)).any(-1).nonzero()[0])
        raise ValueError(
            f"positions with NaN or infinite coordinates were given (point {bad} is the first); expected finite "
            "numbers; leave these points or the whole structure out."
        )
    if batch is None:
        return torch.zeros(len(positions), dtype=torch.int64, device=positions.device)
    if not isinstance(batch, Tensor) or batch.dtype != torch.int64 or batch.shape != positions.shape[:1]:
        given = f"{tuple(batch.shape)} and type {batch.dtype}" if isinstance(batch, Tensor) else type(batch).__name__
        raise ValueError(f"batch of shape {given} was given; expected ({len(positions)},) of type int64.")
    if int(batch.min()) < 0 or int(batch.max()) >= len(batch):
        raise ValueError(
            f"batch with entries from {int(batch.min())} to {int(batch.max())} was given for {len(batch)} points; "
            "expected the numbers of the sets, from 0 and below the number of points."
        )
    return batch


def check_numbers(numbers: Any, positions: Tensor) -> None:
    """Refuse what are no atomic numbers, one for each of the positions ``(N, 3)``.

    Raises:
        ValueError: as said.
    """
    if isinstance(numbers, Tensor) and numbers.dtype == torch.int64 and numbers.shape == positions.shape[:1]:
        return
    tensor = isinstance(numbers, Tensor)
    given = f"shape {tuple(numbers.shape)} and type {numbers.dtype}" if tensor else f"type {type(numbers).__name__}"
    raise ValueError(
        f"numbers of {given} were given; expected ({len(positions)},) atomic numbers of type int64, one for each "
        "position; use torch.as_tensor(numbers).long()."
    )


def split_points(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Molecules of equally many atoms in one tensor, as potentials take them.

    Args:
        points: ``(B, N, 4)``: x, y, z, then the atomic number.

    Returns:
        Positions ``(B N, 3)``, atomic numbers ``(B N,)`` int64, and which molecule each atom belongs to ``(B N,)``.

    Raises:
        ValueError: for other shapes or types, or atomic numbers that are not whole.

    >>> positions, numbers, batch = split_points(torch.tensor([[[0.0, 0.0, 0.0, 8.0]], [[0.0, 0.0, 1.0, 1.0]]]))
    >>> positions.shape, numbers.tolist(), batch.tolist()
    (torch.Size([2, 3]), [8, 1], [0, 1])
    """
    check_floating(points, "points", numbers=True)
    if points.ndim != 3 or points.shape[-1] != 4 or not points.numel():
        raise ValueError(
            f"points of shape {tuple(points.shape)} were given; expected (B, N, 4), x, y, z and the atomic number of "
            "each atom, B and N at least 1."
        )
    sets, atoms = points.shape[:2]
    given = points[..., 3].detach().flatten()
    wrong = ~((given - given.round()).abs() <= WHOLE)
    if wrong.any():
        first = int(wrong.nonzero()[0])
        number = float(given[first])
        raise ValueError(
            f"{'NaN' if math.isnan(number) else f'{number:g}'} was given as the atomic number of atom {first % atoms} "
            f"of point set {first // atoms}; expected a whole number, such as 6 for carbon; put x, y and z in the "
            "first three columns and leave the last as it was."
        )
    batch = torch.arange(sets, device=points.device).repeat_interleave(atoms)
    return points[..., :3].flatten(0, 1), given.round().long(), batch


def _check_cells(cell: Tensor | None, positions: Tensor, batch: Tensor) -> Tensor | None:
    """The cells, or None where there is none; refuse flat ones."""
    if cell is None:
        return None
    check_floating(cell, "cell", numbers=True)
    count = int(batch.max()) + 1
    if cell.shape != (count, 3, 3) or not torch.isfinite(cell).all():
        raise ValueError(
            f"cell of shape {tuple(cell.shape)} was given; expected ({count}, 3, 3) of finite numbers, rows are "
            "lattice vectors; add the first dimension with unsqueeze(0)."
        )
    some = cell.detach().abs().amax((1, 2)) > 0
    flat = _heights(cell[some].detach()) < 1e-6
    if flat.any():
        raise ValueError(
            f"cell {cell[some][flat.any(-1)][0].tolist()} was given, which holds no volume; expected three lattice "
            "vectors that span space, or zeros for none; along an open direction give a vector longer than the "
            "structure and the cutoff together."
        )
    return cell.to(positions) if some.any() else None


def _heights(cells: Tensor) -> Tensor:
    """Distances between opposite faces, ``(B, 3)``."""
    a, b, c = cells.double().unbind(-2)
    normals = torch.stack([torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)], -2)
    areas = torch.linalg.vector_norm(normals, dim=-1).clamp(min=1e-300)
    return torch.linalg.det(cells.double()).abs().unsqueeze(-1) / areas


def _dense(positions: Tensor, cutoff: float, batch: Tensor) -> tuple[Tensor, Tensor]:
    wide = positions if positions.dtype in (torch.float32, torch.float64) else positions.float()
    near = _distances(wide, wide) < cutoff
    near &= batch.unsqueeze(0) == batch.unsqueeze(1)
    near.fill_diagonal_(False)
    receiver, sender = near.nonzero().unbind(-1)
    return sender, receiver


def _distances(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _by_set(
    positions: Tensor, cutoff: float, batch: Tensor, cells: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Pairs of one point set after the other, so that no more than the largest is held at once."""
    senders, receivers, shifts = [], [], []
    for which in range(int(batch.max()) + 1):
        own = (batch == which).nonzero().squeeze(-1)
        cell = None if cells is None or not cells[which].abs().max() > 0 else cells[which]
        if len(own) == 0:
            continue
        j, i, shift = _of_one(positions[own].double(), cutoff, None if cell is None else cell.double())
        senders.append(own[j])
        receivers.append(own[i])
        shifts.append(shift.to(own.device))
    return torch.cat(senders), torch.cat(receivers), torch.cat(shifts) if cells is not None else None


def _of_one(positions: Tensor, cutoff: float, cell: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Sender, receiver and whole lattice vectors ``(E, 3)`` of one point set in float64."""
    if cell is None:
        away = positions.new_zeros(1, 3)
        wrap = torch.zeros_like(positions)
    else:
        wrap = torch.floor(positions @ torch.linalg.inv(cell))
        away = _images(cell, cutoff, len(positions))
        positions = positions - wrap @ cell
    copies = (positions.unsqueeze(0) + (0.0 if cell is None else (away @ cell).unsqueeze(1))).flatten(0, 1)
    receiver, copy = _near(positions, copies, cutoff)
    image, sender = copy // len(positions), copy % len(positions)
    shift = away[image] + wrap[receiver] - wrap[sender]
    itself = (sender == receiver) & (shift == 0).all(-1)
    return sender[~itself], receiver[~itself], shift[~itself]


def _images(cell: Tensor, cutoff: float, count: int) -> Tensor:
    """Whole lattice vectors ``(S, 3)`` within which all neighbours of points of the cell lie."""
    reach = torch.ceil(cutoff / _heights(cell)).long().tolist()
    images = math.prod(2 * n + 1 for n in reach)
    if images * count > MOST_IMAGES:
        raise ValueError(
            f"cutoff = {cutoff:g} takes in {images} images of a cell whose faces are "
            f"{float(_heights(cell).min()):.3g} apart; expected at most {MOST_IMAGES // count} for {count} points; use "
            "a smaller cutoff, or check the units of the cell."
        )
    axes = [torch.arange(-n, n + 1, dtype=cell.dtype, device=cell.device) for n in reach]
    return torch.cartesian_prod(*axes)


def _near(points: Tensor, copies: Tensor, cutoff: float) -> tuple[Tensor, Tensor]:
    """Indices of all pairs nearer than the cutoff, ordered by point."""
    if len(points) * len(copies) <= DENSE**2:
        return (_distances(points, copies) < cutoff).nonzero().unbind(-1)  # type: ignore[return-value]
    from scipy.spatial import cKDTree

    found = cKDTree(copies.cpu().numpy()).query_ball_point(points.cpu().numpy(), cutoff, return_sorted=True)
    counts = torch.tensor([len(near) for near in found])
    flat = torch.tensor([copy for near in found for copy in near], dtype=torch.int64)
    return torch.repeat_interleave(torch.arange(len(points)), counts).to(points.device), flat.to(points.device)
