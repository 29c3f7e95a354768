"""The resampling floor: what turning an image there and back changes, whatever the model does."""

import torch
from torch import Tensor

from workbench.actions.images import act, check_images
from workbench.actions.masks import named_mask
from workbench.groups import Group


def round_trip_floor(
    x: Tensor,
    elements: Tensor,
    group: Group,
    resampler: str = "bicubic",
    mask: str = "disc",
    padding: str = "zeros",
) -> Tensor:
    r"""Relative change by a round trip, :math:`|g^{-1} g x - x| / |x|` inside the mask.

    Args:
        x: images ``(B, C, H, W)``.
        elements: ``(E, element_dim)``, or one element ``(element_dim,)``.
        resampler, padding: as in :func:`workbench.actions.transform_image`; ``mask`` is ``"disc"``,
            ``"centre"`` or ``"none"``.

    Returns:
        ``(E, B)``, or ``(B,)`` for one element; exactly 0 where g acts by moving pixels within the frame.

    >>> import math, torch
    >>> from workbench.groups import SO2
    >>> round_trip_floor(torch.rand(1, 1, 8, 8), torch.tensor([math.pi / 2]), SO2())
    tensor([0.])
    """
    check_images(x, lowest=4)
    rows = torch.as_tensor(elements)
    rows = rows if rows.ndim == 2 else rows.unsqueeze(0)
    there = act(x.reshape(1, -1, *x.shape[-2:]), rows, group, resampler, padding)
    back = act(there, group.inverse(rows), group, resampler, padding).view(len(rows), *x.shape)
    weight = named_mask(mask, x.shape[-2], x.shape[-1], x.dtype).to(x.device)
    change = torch.linalg.vector_norm(((back - x) * weight).flatten(2), dim=-1)
    size = torch.linalg.vector_norm((x * weight).flatten(1), dim=-1)
    floor = change / (size + torch.finfo(x.dtype).tiny)
    return floor if torch.as_tensor(elements).ndim == 2 else floor[0]
