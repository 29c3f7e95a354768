"""Whether the filters of plain convolutions are their own moved copies."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workbench.groups import O2, Group

ASYMMETRIC = 0.01
"""Share of a filter's norm, below which it counts as symmetric."""


def asymmetry(module: nn.Module | None, turns: bool = True, flips: bool = False) -> float | None:
    """The share of a convolution's filters that quarter turns or flips change; None for any other layer.

    Formula: the norm of w minus its mean over the moved copies, over the norm of w. Filters that are not square are
    turned by half turns. Source: derived here.

    >>> asymmetry(nn.AvgPool2d(2)) is None, asymmetry(nn.Conv2d(1, 1, 1), True, True)
    (True, 0.0)
    """
    weight = getattr(module, "weight", None)
    if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d) or not isinstance(weight, Tensor):
        return None
    w = weight.detach().double()
    quarters = range(4) if w.shape[-1] == w.shape[-2] else (0, 2)
    copies = [torch.rot90(w, quarter, (-2, -1)) for quarter in quarters] if turns else [w]
    if flips:
        copies += [copy.flip(-1) for copy in copies]
    return float((w - torch.stack(copies).mean(0)).norm() / w.norm().clamp_min(1e-30))


def filters_follow(model: nn.Module, group: Group) -> bool:
    """Whether the network has plain convolutions, and all their filters are their own copies under the group."""
    order = group.order or 4
    turns, flips = order > (2 if isinstance(group, O2) else 1), isinstance(group, O2)
    found = [asymmetry(module, turns, flips) for module in model.modules()]
    shares = [share for share in found if share is not None]
    return bool(shares) and max(shares) <= ASYMMETRIC
