"""A network of two pathways in every layer: one equivariant to quarter turns, one free and kept small by its prior.

M. Finzi, G. Benton, A. G. Wilson, "Residual Pathway Priors for Soft Equivariance Constraints", NeurIPS 2021, arXiv
2112.01388. Checked against the abstract and released code: weights are sums of a constrained and an unconstrained part,
both with Gaussian priors, written as two factors of squared norms, the free one the larger where the symmetry is to be
preferred. Unverified: the paper's own factors on images, and how its convolutions start; here the free part starts
at 0. Groups other than C4, and priors that are learned, are not part of this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workbench.layers.field_filters import invariant_linear, pathways, residual_conv
from workbench.layers.quarter_turns import FieldBatchNorm2d
from workbench.models._checks import check_amount
from workbench.models.plain_cnn import PlainCNN, read_settings


class ResidualCNN(PlainCNN):
    """The plain network by W_eq + W_free, with a prior on each.

    With a Gaussian prior of standard deviation s on every weight and N training images the factor is 1 / (2 N s^2).
    """

    def __init__(self, prior_strict: float, prior_free: float, **backbone: Any):
        image = iter((True,))  # the first convolution reads it
        super().__init__(
            **backbone,
            convolution=lambda a, b, k, padding: residual_conv(a, b, k, padding, first=next(image, False)),
            norm=FieldBatchNorm2d,
        )
        self.classifier = invariant_linear(backbone["widths"][-1], backbone["classes"], free=True)
        self.prior_strict, self.prior_free = prior_strict, prior_free

    def norms(self) -> tuple[Tensor, Tensor]:
        """|W_eq|^2 and |W_free|^2, summed over layers, biases of convolutions included."""
        both = [pathways(layer) for layer in (*self.body, self.classifier) if hasattr(layer, "parametrizations")]
        strict, free = (
            torch.stack([part.square().sum() for parts in both for part in parts[side]]).sum() for side in (0, 1)
        )
        return strict, free

    def penalty(self) -> Tensor:
        """What training adds to the loss: minus the logarithm of both priors, per image."""
        strict, free = self.norms()
        return self.prior_strict * strict + self.prior_free * free


def build(config: Mapping[str, Any]) -> nn.Module:
    """A residual-pathway CNN from images ``(B, C, H, W)`` to logits ``(B, classes)``.

    Args:
        config: ``prior_strict`` (1e-5) and ``prior_free`` (1e-3), the factors of |W_eq|^2 and |W_free|^2, and what
            :func:`workbench.models.plain_cnn.build` takes, with widths that are multiples of 4.

    Raises:
        ValueError: for negative factors, widths that do not divide into fields, or another key.

    >>> net = build({"classes": 2})
    >>> [float(norm.detach()) > 0 for norm in net.norms()]
    [True, False]
    """
    backbone, own = read_settings("residual_cnn", config, prior_strict=1e-5, prior_free=1e-3)
    check_amount("residual_cnn", **own)
    return ResidualCNN(**own, **backbone)
