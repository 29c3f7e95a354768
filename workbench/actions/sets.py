"""How permutations act on sets: members change places."""

import numpy as np
import torch
from torch import Tensor

from workbench.groups import Group
from workbench.groups.symmetric import Symmetric


def permute_set(x: Tensor, elements: Tensor, group: Group | None = None) -> Tensor:
    r"""Act with every permutation on every set: :math:`(g x)_{g(i)} = x_i`.

    Args:
        x: sets ``(B, N, ...)`` of any dtype.
        elements: ``(E, N)``: member i goes to place ``elements[e, i]``.
        group: ``Symmetric(N)``; made from the shape where it is not given.

    Returns:
        ``(E, B, N, ...)``.

    Raises:
        ValueError: for rows that are no permutations, or another number of members.

    >>> permute_set(torch.tensor([[5, 6, 7]]), torch.tensor([[1.0, 2.0, 0.0]])).tolist()
    [[[7, 5, 6]]]
    """
    if isinstance(x, np.ndarray):
        raise ValueError("sets of type ndarray were given; expected a tensor; use torch.from_numpy(sets).")
    if not isinstance(x, Tensor) or x.ndim < 2 or x.numel() == 0:
        raise ValueError(
            f"sets of shape {tuple(getattr(x, 'shape', ()))} were given; expected (B, N, ...) with N >= 1; add the "
            "batch dimension with unsqueeze."
        )
    return permute(x.unsqueeze(0), elements, Symmetric(x.shape[1]) if group is None else group)


def permute(stacks: Tensor, elements: Tensor, group: Group) -> Tensor:
    """The core: ``stacks (1 or E, B, N, ...)`` give ``(E, B, N, ...)``."""
    elements = torch.as_tensor(elements)
    if not isinstance(group, Symmetric) or elements.ndim != 2 or elements.shape[1] != group.n:
        raise ValueError(
            f"elements of shape {tuple(elements.shape)} of {group} were given; expected (E, N) of Symmetric(N), the "
            "place of each member."
        )
    if not bool(group.contains(elements.double()).all()):
        raise ValueError(f"rows that are no permutations of 0 ... {group.n - 1} were given; expected each number once.")
    if stacks.shape[2] != group.n:
        raise ValueError(
            f"sets of {stacks.shape[2]} members were given with {group}; expected {group.n}; use "
            f"Symmetric({stacks.shape[2]})."
        )
    source = group.inverse(elements).round().long().to(stacks.device)
    return torch.stack([stacks[e if len(stacks) > 1 else 0].index_select(1, row) for e, row in enumerate(source)])
