"""Symmetry around a plain network: turn the image into a standard pose first, or average over poses afterwards.

Canonicalisation: S.-O. Kaba, A. K. Mondal, Y. Zhang, Y. Bengio, S. Ravanbakhsh, "Equivariance with Learned
Canonicalization Functions", ICML 2023, arXiv 2211.06489; here the pose is not learned but read from the picture's
centre of mass. Averaging in evaluation only is the usual test-time augmentation, and has no paper of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workbench.groups import O2, SO2, Group, parse_group
from workbench.models.augmented_cnn import moved_copies
from workbench.models.plain_cnn import DEFAULTS
from workbench.models.plain_cnn import build as build_plain

WAYS = ("canonical", "averaged")


class CanonicalCNN(nn.Module):
    """A network that sees each image in the quarter turn whose centre of mass lies furthest to the right.

    Invariant to quarter turns exactly, trained or not. The four numbers that decide are sums over the turned image
    itself in float64, alike to the last bit for every turn of it, so that nothing is decided by rounding. Where several
    quarter turns are equally good (a picture that is its own half turn, a centre of mass on a diagonal) the logits of
    all of them are averaged, which costs up to four passes for that image and keeps the invariance exact. Close to such
    a tie the choice jumps: the network is not continuous there.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Square images ``(B, C, H, H)`` to logits ``(B, classes)``."""
        _check_square(self, x)
        turned = torch.stack([torch.rot90(x, q, (-2, -1)) for q in range(4)], 1)
        image, turn = best_turns(x).nonzero(as_tuple=True)
        logits = self.network(turned[image, turn])
        total = logits.new_zeros(len(x), logits.shape[1]).index_add_(0, image, logits)
        return total / torch.bincount(image, minlength=len(x))[:, None]


def best_turns(x: Tensor) -> Tensor:
    """Which quarter turns of square images ``(B, C, H, H)`` put the centre of mass furthest right: truths ``(B, 4)``.

    All of those that reach the same number exactly; every one for a blank image.

    >>> best_turns(torch.tensor([[[[0.0, 0.0], [0.0, 1.0]]]])).int().tolist()
    [[1, 1, 0, 0]]
    """
    side = x.shape[-1]
    right = torch.arange(side, device=x.device, dtype=torch.float64) - (side - 1) / 2
    frames = torch.stack([torch.rot90(x.detach(), q, (-2, -1)) for q in range(4)], 1).double().contiguous()
    moments = (frames * right).flatten(2).sum(-1)
    best = moments == moments.amax(1, keepdim=True)
    best[:, 0] |= ~best.any(1)  # NaN pixels have no best turn
    return best


class AveragedCNN(nn.Module):
    """A network trained as it is, whose logits are averaged over moved copies of the image in evaluation.

    Exactly invariant where the copies are all elements of a group that maps the pixel grid onto itself: C(2), C(4),
    D(1), D(2), D(4). Other copies are resampled.
    """

    elements: Tensor

    def __init__(self, network: nn.Module, group: Group, n: int):
        super().__init__()
        self.network, self.group = network, group
        self.register_buffer("elements", group.grid(n), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Square images ``(B, C, H, H)`` to logits ``(B, classes)``."""
        _check_square(self, x)
        if self.training:
            return self.network(x)
        copies = self.copies(x)
        return self.network(copies.flatten(0, 1)).unflatten(0, copies.shape[:2]).mean(0)

    def copies(self, x: Tensor) -> Tensor:
        """Images ``(B, C, H, H)`` moved by every element: ``(S, B, C, H, H)``."""
        quarters = self.elements[:, 0].double() * (2 / math.pi)
        if not bool(torch.isclose(quarters, quarters.round(), atol=1e-6).all()):
            return moved_copies(x, self.group.matrix(self.elements.to(x)))
        mirrored = self.elements[:, 1] < 0 if self.elements.shape[1] == 2 else torch.zeros(len(quarters))
        pairs = zip(quarters.round().int().tolist(), mirrored.tolist(), strict=True)
        turned = [(torch.rot90(x, q, (-2, -1)), mirror) for q, mirror in pairs]
        return torch.stack([one.flip(-1) if mirror else one for one, mirror in turned])

    def extra_repr(self) -> str:
        """Group and number of copies."""
        return f"{self.group}, n={len(self.elements)}"


def _check_square(network: nn.Module, x: Tensor) -> None:
    if x.ndim != 4 or x.shape[-1] != x.shape[-2]:
        raise ValueError(
            f"{type(network).__name__}: images of shape {tuple(x.shape)} were given; expected (B, C, H, H)."
        )


def build(config: Mapping[str, Any]) -> nn.Module:
    """A symmetrised plain CNN from square images ``(B, C, H, H)`` to logits ``(B, classes)``.

    Args:
        config: ``way`` ("canonical" or "averaged"), ``group`` ("C(4)"; for "averaged" also "D(4)", "SO2" and the like),
            ``n`` copies (the group's order, or 8), and what :func:`workbench.models.plain_cnn.build` takes.

    Raises:
        ValueError: for another way or key, a group of anything but rotations and mirrors, or another group than C(4)
            with "canonical".

    >>> import torch
    >>> tuple(build({"way": "canonical", "classes": 2})(torch.zeros(3, 1, 16, 16)).shape)
    (3, 2)
    """
    given = {key: value for key, value in config.items() if key != "name"}
    way, group = given.pop("way", "canonical"), parse_group(given.pop("group", "C(4)"))
    n = given.pop("n", group.order or 8)
    if way not in WAYS:
        raise ValueError(f"symmetrised_cnn: way = {way!r} was given; expected one of {', '.join(WAYS)}.")
    if not isinstance(group, SO2 | O2):
        raise ValueError(f"symmetrised_cnn: group {group} was given; expected SO2, O2, C(n) or D(n).")
    if way == "canonical" and (str(group) != "C(4)" or n != 4):
        raise ValueError(
            f"symmetrised_cnn: group {group}, n = {n} was given with way 'canonical'; expected C(4), whose pose is "
            "read without resampling; use way='averaged' for others."
        )
    if group.order not in (None, n):
        raise ValueError(f"symmetrised_cnn: n = {n} was given; expected {group.order}, all elements of {group}.")
    if unknown := sorted(set(given) - set(DEFAULTS)):
        known = ", ".join(("way", "group", "n", *DEFAULTS))
        raise ValueError(f"symmetrised_cnn: {', '.join(unknown)} was given; expected only {known}.")
    network = build_plain(given)
    return CanonicalCNN(network) if way == "canonical" else AveragedCNN(network, group, n)
