"""The augmentation baseline: a plain network on copies of the image, turned by angles from a learned arc.

G. Benton, M. Finzi, P. Izmailov, A. G. Wilson, "Learning Invariances in Neural Networks", NeurIPS 2020
(Augerino); Romero & Lohit 2022 (arXiv 2110.10211) use it as a baseline with their own distribution. The logits of
the copies are averaged, in training and evaluation alike. The released baseline is unverified beyond that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workbench.groups import UniformArc
from workbench.groups.base import check_count
from workbench.models.plain_cnn import build as build_plain


class AugmentedCNN(nn.Module):
    """A plain network averaged over ``n`` turned copies of its input; ``distribution`` is learned with it."""

    def __init__(self, network: nn.Module, n: int, learned: bool):
        super().__init__()
        self.network = network
        self.n = check_count(n, "augmented_cnn")
        self.distribution = UniformArc()
        self.distribution.requires_grad_(learned)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` to logits ``(B, classes)``, the mean over copies."""
        angles = self.distribution.rsample(self.n).elements[:, 0].to(x)
        logits = self.network(turned_copies(x, angles).flatten(0, 1))
        return logits.unflatten(0, (len(angles), len(x))).mean(0)


def turned_copies(x: Tensor, angle_rad: Tensor) -> Tensor:
    """Square images ``(B, C, H, W)`` turned by each angle ``(S,)``, bilinear, as ``(S, B, C, H, W)``.

    The same pictures as :func:`workbench.actions.transform_images` makes, but with a gradient to the angle.
    """
    cos, sin, zero = torch.cos(angle_rad), torch.sin(angle_rad), torch.zeros_like(angle_rad)
    # rows grow downwards, so looking back along a counter-clockwise turn reads clockwise on the grid
    back = torch.stack([torch.stack([cos, -sin, zero], -1), torch.stack([sin, cos, zero], -1)], -2)
    copies = x.expand(len(angle_rad), *x.shape).flatten(0, 1)
    grid = nn.functional.affine_grid(back.repeat_interleave(len(x), 0), list(copies.shape), align_corners=False)
    sampled = nn.functional.grid_sample(copies, grid, mode="bilinear", align_corners=False)
    return sampled.unflatten(0, (len(angle_rad), len(x)))


def build(config: Mapping[str, Any]) -> nn.Module:
    """An augmented plain CNN from images ``(B, C, H, W)`` to logits ``(B, classes)``.

    Args:
        config: ``n`` copies (8), ``learned`` arc (True), and what :func:`workbench.models.plain_cnn.build` takes.

    >>> import torch
    >>> tuple(build({"classes": 2, "n": 4})(torch.zeros(3, 1, 16, 16)).shape)
    (3, 2)
    """
    inner = {key: value for key, value in config.items() if key not in ("name", "n", "learned")}
    network = build_plain(inner)
    return AugmentedCNN(network, config.get("n", 8), bool(config.get("learned", True)))
