"""What a pair of positions with orientations looks like from everywhere alike: invariants of rigid motions.

A kernel that depends on a pair through invariants alone makes an equivariant layer, and the most general linear one if
the invariants are complete: equal only for pairs that a motion carries onto each other. E. J. Bekkers, S. Vadgama, R.
Hesselink, P. A. van der Linden, D. W. Romero, ICLR 2024, arXiv 2310.02970, use three numbers in space, which are not
complete; G. Bellaard, B. Smets, R. Duits, arXiv 2504.03299 (abstract), show that four are needed and are enough.
"""

from __future__ import annotations

from difflib import get_close_matches

import torch
from torch import Tensor

SPATIAL = 2
"""So many columns of every kind depend on the relative position and the receiver's orientation alone."""
COLUMNS = {"ponita3": 3, "universal4": 4, "chiral5": 5, "plane3": 3, "plane4": 4}
SEPARABLE = ("ponita3", "plane3", "plane4")
"""Kinds whose other columns depend on both orientations alone."""
SMOOTHING = 1e-6
"""Added to a squared length before its root is taken, in squared units of the positions: forces need its slope at 0."""


def pair_invariants(kind: str, relative: Tensor, receiver: Tensor, sender: Tensor) -> Tensor:
    """Invariants of pairs of position-orientations: ``(..., k)``.

    Args:
        kind: in space ``"ponita3"`` (o_i . r, its distance |r - (o_i . r) o_i| from the axis, o_i . o_j), whose level
            sets hold pairs that no motion relates; ``"universal4"`` with o_j . r, complete up to mirror images;
            ``"chiral5"`` with det[r, o_i, o_j] as well, complete for rotations. In the plane ``"plane3"`` (o_i . r,
            o_i' . r with o_i' a quarter turn ahead, the cosine of the angle from o_i to o_j), which forgets the sign
            of that angle; ``"plane4"`` with its sine as well, complete.
        relative: r, the sender's position minus the receiver's, ``(..., d)``.
        receiver, sender: unit vectors o_i and o_j, ``(..., d)``; leading dims broadcast.

    Raises:
        ValueError: for another kind, or vectors of another dimension than the kind's.

    >>> x, y, z = torch.eye(3)
    >>> pair_invariants("universal4", 2 * x + z, z, x).round(decimals=3).tolist()
    [1.0, 1.999, 0.0, 2.0]
    """
    if kind not in COLUMNS:
        near = get_close_matches(str(kind), COLUMNS, n=1, cutoff=0.3)
        raise ValueError(
            f"invariants {kind!r} were given; expected {', '.join(COLUMNS)}; use {near[0] if near else 'universal4'!r}."
        )
    _check_dimension(kind, relative, receiver, sender)
    columns = [*spatial_invariants(relative, receiver).unbind(-1), (receiver * sender).sum(-1)]
    if kind in ("universal4", "chiral5"):
        columns.append((sender * relative).sum(-1))
    if kind == "chiral5":
        columns.append((relative * _cross(receiver, sender)).sum(-1))
    if kind == "plane4":
        columns.append((ahead(receiver) * sender).sum(-1))
    return torch.stack(torch.broadcast_tensors(*columns), -1)


def spatial_invariants(relative: Tensor, receiver: Tensor) -> Tensor:
    """The relative position as the receiver sees it, ``(..., 2)``: along its orientation and across.

    Across is signed in the plane, and in space the distance from the axis, smoothed where it is zero:
    sqrt(b^2 + e) - sqrt(e).
    """
    along = (receiver * relative).sum(-1)
    if relative.shape[-1] == 2:
        return torch.stack([along, (ahead(receiver) * relative).sum(-1)], -1)
    return torch.stack([along, length(relative - along[..., None] * receiver)], -1)


def frame_invariants(relative: Tensor, receiver: Tensor, sender: Tensor) -> Tensor:
    """Invariants of pairs of positions with whole frames: R_i^T r and R_i^T R_j, ``(..., 12)``, six independent.

    Args:
        relative: ``(..., 3)``.
        receiver, sender: rotation matrices whose columns are the frames' axes, ``(..., 3, 3)``.

    Raises:
        ValueError: for other shapes.

    >>> frame_invariants(torch.tensor([1.0, 2.0, 3.0]), torch.eye(3), torch.eye(3)).tolist()[:3]
    [1.0, 2.0, 3.0]
    """
    if relative.shape[-1:] != (3,) or receiver.shape[-2:] != (3, 3) or sender.shape[-2:] != (3, 3):
        raise ValueError(
            f"relative positions {tuple(relative.shape)} and frames {tuple(receiver.shape)}, {tuple(sender.shape)} "
            "were given; expected (..., 3) and twice (..., 3, 3)."
        )
    turned = (receiver.mT @ sender).flatten(-2)
    seen = (receiver.mT @ relative[..., None])[..., 0]
    shape = torch.broadcast_shapes(turned.shape[:-1], seen.shape[:-1])
    return torch.cat([seen.expand(*shape, 3), turned.expand(*shape, 9)], -1)


def length(vectors: Tensor) -> Tensor:
    """sqrt(|v|^2 + e) - sqrt(e): zero with slope zero for the zero vector, ``(..., d)`` to ``(...)``."""
    return (vectors.square().sum(-1) + SMOOTHING).sqrt() - SMOOTHING**0.5


def ahead(vectors: Tensor) -> Tensor:
    """Vectors of the plane a quarter turn ahead, ``(..., 2)``."""
    return torch.stack([-vectors[..., 1], vectors[..., 0]], -1)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.cross(*torch.broadcast_tensors(a, b))


def _check_dimension(kind: str, *vectors: Tensor) -> None:
    dim = 2 if kind.startswith("plane") else 3
    if any(each.shape[-1:] != (dim,) for each in vectors):
        shapes = ", ".join(str(tuple(each.shape)) for each in vectors)
        other = "plane4" if dim == 3 else "universal4"
        raise ValueError(
            f"vectors of shapes {shapes} were given for the invariants {kind!r}; expected (..., {dim}); use {other!r} "
            f"in {'the plane' if dim == 3 else 'space'}."
        )
