"""A group network over quarter turns on the plain backbone: equivariant by construction, at the plain network's cost.

T. Cohen, M. Welling, "Group Equivariant Convolutional Networks", ICML 2016, arXiv 1602.07576: the filters of one
orientation, turned into all four. Here C channels are C / 4 fields of four orientations, so that layers have the shapes
and the multiply-adds of the plain network's and a quarter of their numbers; the paper's own networks are wider. It is
what :mod:`workbench.models.soft_cnn` tends to under an infinite price, :mod:`workbench.models.residual_cnn` without
its free pathway, and :mod:`workbench.models.relaxed_group_cnn` where weights are alike for all orientations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from workbench.layers.field_filters import invariant_linear, strict_conv
from workbench.layers.quarter_turns import FieldBatchNorm2d
from workbench.models.plain_cnn import PlainCNN, read_settings


class StrictCNN(PlainCNN):
    """The plain network with strict convolutions on fields of C4 and a read-out that ignores their orientation."""

    def __init__(self, **backbone: Any):
        image = iter((True,))  # the first convolution reads it
        super().__init__(
            **backbone,
            convolution=lambda a, b, k, padding: strict_conv(a, b, k, padding, first=next(image, False)),
            norm=FieldBatchNorm2d,
        )
        self.classifier = invariant_linear(backbone["widths"][-1], backbone["classes"])


def build(config: Mapping[str, Any]) -> nn.Module:
    """A strict group CNN from images ``(B, C, H, W)`` to logits ``(B, classes)``.

    Args:
        config: what :func:`workbench.models.plain_cnn.build` takes, with widths that are multiples of 4.

    Raises:
        ValueError: for widths that do not divide into fields, or another key.

    >>> import torch
    >>> net, x = build({"classes": 2}).eval(), torch.rand(1, 1, 16, 16)
    >>> torch.allclose(net(x), net(torch.rot90(x, 1, (2, 3))), atol=1e-5)
    True
    """
    return StrictCNN(**read_settings("strict_cnn", config)[0])
