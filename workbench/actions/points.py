"""How group elements act on point sets: each point moves, features that ride along stay as they are."""

import torch
from torch import Tensor

from workbench.actions.lattice import affine_of
from workbench.groups import Group
from workbench.groups.base import check_floating


def transform_points(x: Tensor, elements: Tensor, group: Group) -> Tensor:
    r"""Act with every element on every point set: :math:`p \mapsto M_g p + t_g`.

    Args:
        x: points ``(B, N, d)``, (x, y) or (x, y, z), d the group's dimension; further columns ``(B, N, d + F)`` are
            features of the points (charges, one-hot kinds), which no element changes.
        elements: ``(E, element_dim)``; shifts in the units of the points.
        group: the group of the elements: SO2, O2, R2x... in the plane; SO3, O3, E3, Translation3, Scale(3) in space.

    Returns:
        ``(E, B, N, d + F)``.

    Raises:
        ValueError: for something that is no batch of finite point sets.

    >>> import math
    >>> from workbench.groups import SO2
    >>> moved = transform_points(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[math.pi / 2]]), SO2())
    >>> moved.shape, moved.flatten().tolist()
    (torch.Size([1, 1, 1, 2]), [0.0, 1.0])
    """
    check_points(x, group)
    return act_on_points(x.unsqueeze(0), elements, group)


def act_on_points(stacks: Tensor, elements: Tensor, group: Group) -> Tensor:
    """The core: ``stacks (1 or E, B, ..., d + F)`` give ``(E, B, ..., d + F)``."""
    matrix, shift = (part.to(stacks) for part in affine_of(elements, group))
    points = stacks[..., : group.dim].reshape(len(stacks), -1, group.dim)
    moved = (points @ matrix.mT + shift.unsqueeze(1)).view(len(matrix), *stacks.shape[1:-1], group.dim)
    features = stacks[..., group.dim :]
    if features.shape[-1] == 0:
        return moved
    return torch.cat([moved, features.expand(len(matrix), *features.shape[1:])], -1)


def check_points(x: Tensor, group: Group) -> None:
    """Refuse what is no batch of finite point sets of the group's dimension."""
    check_floating(x, "points", numbers=True)
    if x.ndim != 3 or x.numel() == 0 or x.shape[-1] < group.dim:
        raise ValueError(
            f"points of shape {tuple(x.shape)} were given; expected (B, N, {group.dim}) for {group.name}, features of "
            "the points in further columns; add the batch dimension with unsqueeze."
        )
    if not torch.isfinite(x).all():
        raise ValueError("points with NaN or infinite coordinates were given; expected finite numbers; remove them.")
