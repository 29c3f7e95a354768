"""The augmentation baseline: a plain network on moved copies of the image, moved by elements of a learned law.

G. Benton, M. Finzi, P. Izmailov, A. G. Wilson, "Learning Invariances in Neural Networks", NeurIPS 2020, arXiv
2010.11882 (Augerino): angles from a learned uniform distribution, predictions averaged. Romero & Lohit 2022 (arXiv
2110.10211) compare with it under their own distribution, which is the one used here: the arc of a partial layer on
the image itself. Logits of the copies are averaged, in training and evaluation alike (released code). Augerino's
own law and its reward for wide ones are :mod:`workbench.models.learned_augmentation_cnn`; its baseline numbers are
unverified.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workbench.groups import O2, SO2, Group, parse_group
from workbench.groups.distributions import learned_distribution
from workbench.models.plain_cnn import build as build_plain

ALWAYS = 50.0  # logit of a gate that is never closed


class AugmentedCNN(nn.Module):
    """A plain network averaged over at most ``n`` moved copies of its input.

    ``distribution`` is learned with it, as in a partial layer: an arc on SO2, gates for mirrors and finite
    rotations. In evaluation its elements are fixed.
    """

    def __init__(self, network: nn.Module, group: Group, n: int, learned: bool):
        super().__init__()
        self.network = network
        self.group, self.n = group, n
        group.grid(n)  # refuses a number that the group cannot offer
        self.distribution = learned_distribution(group)
        self.distribution.requires_grad_(learned)
        if not learned:
            for name, parameter in self.distribution.named_parameters():
                if name.endswith("logit"):
                    parameter.data.fill_(ALWAYS)

    def forward(self, x: Tensor) -> Tensor:
        """Square images ``(B, C, H, H)`` to logits ``(B, classes)``, the mean over copies."""
        if x.ndim != 4 or x.shape[-1] != x.shape[-2]:
            raise ValueError(f"AugmentedCNN: images of shape {tuple(x.shape)} were given; expected (B, C, H, H).")
        drawn = self.distribution.rsample(self.n)
        elements = drawn.elements.to(x)
        copies = moved_copies(x, self.group.matrix(elements))
        logits = self.network(copies.flatten(0, 1)).unflatten(0, (len(elements), len(x)))
        if drawn.weights is None:
            return logits.mean(0)
        return torch.einsum("s,sbk->bk", (drawn.weights / drawn.weights.sum()).to(logits), logits)

    def extra_repr(self) -> str:
        """Group and number of copies."""
        return f"{self.group}, n={self.n}"


def moved_copies(x: Tensor, matrix: Tensor) -> Tensor:
    """Square images ``(B, C, H, H)`` moved by orthogonal matrices ``(S, 2, 2)``, bilinear: ``(S, B, C, H, H)``.

    The same pictures as :func:`workbench.actions.transform_images` makes, but with a gradient to the matrices.
    """
    down = matrix.new_tensor([1.0, -1.0])  # rows of the sampling grid grow downwards
    back = down[:, None] * matrix.transpose(-1, -2) * down  # each pixel looks back along the motion
    copies = x.expand(len(matrix), *x.shape).flatten(0, 1)
    affine = torch.cat([back, torch.zeros_like(back[..., :1])], -1).repeat_interleave(len(x), 0)
    grid = nn.functional.affine_grid(affine, list(copies.shape), align_corners=False)
    sampled = nn.functional.grid_sample(copies, grid, mode="bilinear", align_corners=False)
    return sampled.unflatten(0, (len(matrix), len(x)))


def build(config: Mapping[str, Any]) -> nn.Module:
    """An augmented plain CNN from square images ``(B, C, H, H)`` to logits ``(B, classes)``.

    Args:
        config: ``group`` ("SO2", or "O2", "C(n)", "D(n)"), ``n`` copies (8, or a finite group's order), ``learned``
            distribution (True; otherwise the whole group), and what :func:`workbench.models.plain_cnn.build` takes.

    Raises:
        ValueError: for a group of anything but rotations and mirrors, a number it cannot offer, or another key.

    >>> import torch
    >>> tuple(build({"classes": 2, "n": 4})(torch.zeros(3, 1, 16, 16)).shape)
    (3, 2)
    """
    group = parse_group(config.get("group", "SO2"))
    if not isinstance(group, SO2 | O2):
        raise ValueError(f"augmented_cnn: group {group} was given; expected SO2, O2, C(n) or D(n).")
    n = config.get("n", group.order or 8)
    if group.order not in (None, n):
        raise ValueError(
            f"augmented_cnn: n = {n} was given; expected {group.order}, one copy for each gate of {group}."
        )
    inner = {key: value for key, value in config.items() if key not in ("name", "group", "n", "learned")}
    return AugmentedCNN(build_plain(inner), group, n, bool(config.get("learned", True)))
