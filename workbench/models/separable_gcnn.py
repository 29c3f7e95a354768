"""Separable group convolutions: D. M. Knigge, D. W. Romero, E. J. Bekkers, "Exploiting Redundancy: Separable Group
Convolutional Networks on Lie Groups", ICML 2022, arXiv 2110.13059.

The published residual network and a plain stack for two CPU cores, over rotations, scalings or both, with any of the
seven kernels by name. Differences from the released code: means over input elements instead of sums, kernels over
scalings divided by the area, a periodic angle encoding, and elements that are fixed in evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from workbench.groups import Draw, GroupSignal, RotationScale, parse_group
from workbench.groups.linear import SL
from workbench.kernels import FACTORISATIONS, OF_SIMILARITIES, KernelSpec
from workbench.layers import (
    GroupBatchNorm,
    GroupPool,
    GroupProjection,
    GroupReLU,
    LiftingConv,
    SeparableConv,
)
from workbench.models._checks import check_choices, check_dropout, check_integers, check_stages, from_preset
from workbench.models._separable_claims import ROTATION_CLAIMS, STUDIES, published_experiments, rotation_experiments
from workbench.models._similarity_claims import CLAIMS, EXPERIMENTS
from workbench.models.method import Method

SEVEN = ("nonseparable", *FACTORISATIONS, *OF_SIMILARITIES)


@dataclass(frozen=True)
class Config:
    """Every choice of a separable G-CNN; the presets of :data:`CONFIGS` fill it in.

    Attributes:
        architecture: "ckgresnet", the paper's, or "demo", a stack of group convolutions.
        group, n, stretches, sampling: elements of every layer, as in :class:`workbench.layers.GroupConv`.
        factorisation: "nonseparable" or one of :class:`workbench.layers.SeparableConv`.
        widths: channels of the lifting, then of each block or group convolution.
        pools: stages after which 2x2 max pooling follows; 0 is the lifting.
        hidden: width of the kernels' coordinate networks; half of it in shortcuts.
        head: width of the hidden layer of the classifier, 0 for none.
    """

    architecture: str = "demo"
    in_channels: int = 1
    classes: int = 10
    input_size: int = 16
    group: str = "SO2"
    n: int = 8
    stretches: int | None = None
    sampling: str = "random"
    factorisation: str = "separable"
    widths: tuple[int, ...] = (8, 8, 8, 16)
    pools: tuple[int, ...] = (0, 1)
    kernel_size: int = 5
    hidden: int = 16
    omega0: float = 10.0
    head: int = 0
    dropout: float = 0.0

    def layer(self, channels_in: int, channels_out: int, kernel_size: int, **options: Any) -> SeparableConv:
        """A group convolution with the factorisation of this network."""
        given = {**self.elements(), "kernel": self.kernel(), "factorisation": self.factorisation, **options}
        return SeparableConv(channels_in, channels_out, kernel_size, bias=False, **given)

    def kernel(self, share: int = 1) -> KernelSpec:
        """The coordinate network of one layer, 1 / share as wide."""
        return KernelSpec(hidden=max(self.hidden // share, 1), omega0=self.omega0)

    def elements(self) -> dict[str, Any]:
        """Which elements every layer has."""
        finite = parse_group(self.group).order is not None
        return {
            "group": self.group, "n": self.n, "stretches": self.stretches,
            "sampling": "grid" if finite else self.sampling,
        }  # fmt: skip


_PAPER: dict[str, Any] = {
    "architecture": "ckgresnet", "input_size": 28, "widths": (32, 32, 64), "pools": (1, 2), "kernel_size": 7,
    "hidden": 64, "head": 256, "dropout": 0.3,
}  # fmt: skip
GROUPS: dict[str, dict[str, Any]] = {
    "se2": {"group": "SO2", "n": 8},
    "scale": {"group": "Scale(2,1.74)", "n": 4},
    "sim2": {"group": "RotationScale(1.74)", "n": 16, "stretches": 3},
}
CONFIGS: dict[str, dict[str, Any]] = {
    "demo": {},
    "demo_wide": {"widths": (12, 12, 12, 24)},
    "demo_nonseparable": {"factorisation": "nonseparable"},
    "demo_gseparable": {"factorisation": "gseparable"},
    "demo_scale": {"group": "Scale(2,1.74)", "n": 4, "kernel_size": 15, "pools": (1,), "sampling": "grid"},
    "demo_sim2": {
        "group": "RotationScale(1.74)", "n": 8, "stretches": 3, "kernel_size": 15, "pools": (1,), "sampling": "grid",
        "factorisation": "separable+2d",
    },
    **{
        f"paper_rotmnist_{group}_{factorisation}": {
            **_PAPER, **elements, "factorisation": factorisation, "sampling": "random" if group == "se2" else "grid",
        }
        for group, elements in GROUPS.items()
        for factorisation in SEVEN
        if group == "sim2" or factorisation not in OF_SIMILARITIES
    },
}  # fmt: skip


class ResidualBlock(nn.Module):
    """Two group convolutions beside a shortcut, which is the identity where it can be."""

    def __init__(self, c: Config, channels_in: int, channels_out: int):
        super().__init__()
        k = c.kernel_size
        self.conv1, self.norm1 = c.layer(channels_in, channels_in, k), GroupBatchNorm(channels_in)
        self.conv2, self.norm2 = c.layer(channels_in, channels_out, k), GroupBatchNorm(channels_out)
        self.relu = GroupReLU()
        same = channels_in == channels_out
        self.shortcut = None if same else c.layer(channels_in, channels_out, 1, kernel=c.kernel(2))

    def forward(self, signal: GroupSignal) -> GroupSignal:
        """On the elements of the signal where the shortcut is the identity, on new ones otherwise."""
        at = Draw(signal.elements, signal.weights, signal.uniform, signal.volumes) if self.shortcut is None else None
        branch = self.relu(self.norm1(self.conv1(signal, at=at)))
        branch = self.relu(self.norm2(self.conv2(branch, at=at)))
        if self.shortcut is not None:
            at = Draw(branch.elements, branch.weights, branch.uniform, branch.volumes)
            signal = self.shortcut(signal, at=at)
        return self.relu(branch + signal)


class SeparableGCNN(nn.Module):
    """A body from images to a group signal, its maximum over elements and pixels, a classifier."""

    def __init__(self, c: Config, body: list[nn.Module]):
        super().__init__()
        self.body, self.projection = nn.Sequential(*body), GroupProjection("max")
        last: list[nn.Module] = [nn.Linear(c.widths[-1], c.classes)]
        if c.head:
            hidden = nn.Linear(c.widths[-1], c.head, bias=False)
            last = [hidden, nn.BatchNorm1d(c.head), nn.ReLU(), nn.Dropout(c.dropout), nn.Linear(c.head, c.classes)]
        self.classifier = nn.Sequential(*last)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` to logits ``(B, classes)``."""
        return self.classifier(self.projection(self.body(x)))


def _body(c: Config) -> list[nn.Module]:
    side, width = c.input_size, c.widths[0]
    body: list[nn.Module] = [
        LiftingConv(c.in_channels, width, c.kernel_size, kernel=c.kernel(), bias=False, **c.elements()),
        GroupBatchNorm(width),
    ]
    for stage, (a, b) in enumerate(pairwise(c.widths)):
        if stage in c.pools:
            body.append(GroupPool(2, input_size=side))
            side //= 2
        body.append(GroupReLU())
        part = ResidualBlock(c, a, b) if c.architecture == "ckgresnet" else c.layer(a, b, c.kernel_size)
        body += [part, GroupBatchNorm(b)]
    if len(c.widths) - 1 in c.pools:
        body.append(GroupPool(2, input_size=side))
        side //= 2
    body.append(GroupReLU())
    if c.architecture == "ckgresnet":
        last = min(max(side - c.kernel_size, 3), 11)
        last += 1 - last % 2  # an even kernel would shift the output by half a pixel
        body += [c.layer(c.widths[-1], c.widths[-1], last, padding="valid"), GroupBatchNorm(c.widths[-1]), GroupReLU()]
    return body


def configuration(config: Mapping[str, Any]) -> Config:
    """The preset named in ``config`` with its other entries put in place.

    Raises:
        ValueError: for an unknown preset, key, architecture or factorisation.

    >>> configuration({"preset": "demo", "n": 4}).factorisation
    'separable'
    """
    chosen = from_preset("separable_gcnn", config, CONFIGS, Config)
    check_choices("separable_gcnn", chosen, architecture=("ckgresnet", "demo"), factorisation=SEVEN)
    integers = ("in_channels", "classes", "input_size", "kernel_size", "hidden")
    check_integers("separable_gcnn", **{key: getattr(chosen, key) for key in integers})
    if chosen.head != 0:
        check_integers("separable_gcnn", head=chosen.head)
    check_dropout("separable_gcnn", chosen.dropout, "ckgresnet")
    if chosen.dropout and not chosen.head:
        raise ValueError(
            f"separable_gcnn: dropout = {chosen.dropout} was given with head = 0; expected 0, because only the hidden "
            "layer of the classifier is dropped; use head=64."
        )
    widths, pools = check_stages("separable_gcnn", chosen.widths, chosen.pools)
    if chosen.stretches is None and isinstance(parse_group(chosen.group), RotationScale | SL):
        chosen = replace(chosen, stretches=4)
    return replace(chosen, widths=widths, pools=pools)


def build(config: Mapping[str, Any]) -> nn.Module:
    """A separable G-CNN from images ``(B, C, H, W)`` to logits ``(B, classes)``.

    >>> import torch
    >>> tuple(build({"preset": "demo", "classes": 2})(torch.zeros(3, 1, 16, 16)).shape)
    (3, 2)
    """
    chosen = configuration(config)
    return SeparableGCNN(chosen, _body(chosen))


METHOD = Method(
    name="separable_gcnn",
    title="Exploiting Redundancy: Separable Group Convolutional Networks on Lie Groups",
    authors="D. M. Knigge, D. W. Romero, E. J. Bekkers",
    year=2022,
    arxiv="2110.13059",
    summary="Group kernels as products: one picture for all poses, times numbers; larger groups can be afforded.",
    notebook="03_separable_gcnn.ipynb",
    experiments=(*rotation_experiments(), *EXPERIMENTS),
    published=published_experiments(),
    claims=(*ROTATION_CLAIMS, *CLAIMS),
    studies={**STUDIES, "sizes": "workbench.training.kept_sizes:accuracies_by_size"},
)
