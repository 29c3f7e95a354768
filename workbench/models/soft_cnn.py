"""A plain network that is drawn towards quarter-turn equivariance by a penalty, not built for it.

H. Kim, H. Lee, H. Yang, J. Lee, "Regularizing Towards Soft Equivariance Under Mixed Symmetries", ICML 2023, arXiv
2306.00356: loss + lambda |W - P W|^2, P the projection onto the weights that commute. Here for one symmetry, C4 on
regular fields of convolutions (:mod:`workbench.layers.quarter_turns`); the paper's automatic choice among several
strengths is not part of this file. Its price pulls single weights, so that under Adam a large strength slows learning
down: on rotated digits in ten epochs 0.5 costs 14 points of accuracy beside the plain network, and 0.1 changes little.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workbench.layers.quarter_turns import FieldBatchNorm2d, FieldConv2d
from workbench.models._checks import check_amount
from workbench.models.plain_cnn import PlainCNN, read_settings


class SoftCNN(PlainCNN):
    """The plain network with channels in fields of four and a price for what does not commute with quarter turns.

    With all weights at their projections (an infinite price) its logits are exactly invariant; with strength 0 it is
    the plain network but for its batch norm, whose statistics are those of whole fields.
    """

    def __init__(self, strength: float, **backbone: Any):
        image = iter((True,))  # the first convolution reads it
        super().__init__(
            **backbone,
            convolution=lambda a, b, k, padding: FieldConv2d(a, b, k, padding, first=next(image, False)),
            norm=FieldBatchNorm2d,
        )
        self.strength = strength

    def distances(self) -> dict[str, Tensor]:
        """|W - P W|^2 of every layer by name, biases and the classifier included."""
        found = {name: layer.distance() for name, layer in self.named_modules() if isinstance(layer, FieldConv2d)}
        seen = self.classifier.weight.unflatten(1, (-1, 4))
        return {**found, "classifier": (seen - seen.mean(2, keepdim=True)).square().sum()}

    def penalty(self) -> Tensor:
        """What training adds to the loss: strength times the sum of distances."""
        return self.strength * torch.stack(list(self.distances().values())).sum()

    @torch.no_grad()
    def project_weights(self) -> None:
        """Make the network exactly invariant to quarter turns, by the smallest change of its weights."""
        for layer in self.modules():
            if isinstance(layer, FieldConv2d):
                layer.project_weights()
        seen = self.classifier.weight.unflatten(1, (-1, 4))
        seen.copy_(seen.mean(2, keepdim=True).expand_as(seen))


def build(config: Mapping[str, Any]) -> nn.Module:
    """A softly equivariant CNN from images ``(B, C, H, W)`` to logits ``(B, classes)``.

    Args:
        config: ``strength``, the factor lambda of the penalty (0.1), and what
            :func:`workbench.models.plain_cnn.build` takes, with widths that are multiples of 4.

    Raises:
        ValueError: for a negative strength, widths that do not divide into fields, or another key.

    >>> net = build({"classes": 2})
    >>> float(net.penalty().detach()) > 0
    True
    """
    backbone, own = read_settings("soft_cnn", config, strength=0.1)
    check_amount("soft_cnn", **own)
    return SoftCNN(own["strength"], **backbone)
