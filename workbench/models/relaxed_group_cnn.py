"""A group network over quarter turns whose filters are weighed by the orientation that they read.

R. Wang, R. Walters, R. Yu, "Approximately Equivariant Networks for Imperfectly Symmetric Dynamics", ICML 2022, arXiv
2201.11969: sum over l of w_l(h) psi_l(g^-1 h). Checked against the abstract and released code: a bank of filters, one
weight for each filter and group element, shared by all channels, no price for uneven weights in its group layers.
Unverified: the formula's place of h (the input's orientation, as printed here, for the abstract has no formulas). Our
own choices: the first layer, whose input is an image and has no h, takes the weights of the output's orientation;
weights start alike, so that training starts from a strict network, where the released ones start at random.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from workbench.layers.field_filters import invariant_linear, orientation_weights, relaxed_conv
from workbench.layers.quarter_turns import FieldBatchNorm2d
from workbench.models._checks import check_integers
from workbench.models.plain_cnn import PlainCNN, read_settings


class RelaxedGroupCNN(PlainCNN):
    """The plain network with relaxed convolutions on fields of C4 and a read-out that ignores their orientation."""

    def __init__(self, filters: int, **backbone: Any):
        image = iter((True,))  # the first convolution reads it
        super().__init__(
            **backbone,
            convolution=lambda a, b, k, padding: relaxed_conv(
                a, b, k, padding, filters=filters, first=next(image, False)
            ),
            norm=FieldBatchNorm2d,
        )
        self.classifier = invariant_linear(backbone["widths"][-1], backbone["classes"])

    def weights_of_orientations(self) -> dict[str, Tensor]:
        """w ``(L, 4)`` of every convolution by name; strict where each row is one number."""
        convolutions = {name: layer for name, layer in self.named_modules() if isinstance(layer, nn.Conv2d)}
        return {name: orientation_weights(layer) for name, layer in convolutions.items()}


def build(config: Mapping[str, Any]) -> nn.Module:
    """A relaxed group CNN from images ``(B, C, H, W)`` to logits ``(B, classes)``.

    Args:
        config: ``filters``, the number L of filters in each bank (2), and what
            :func:`workbench.models.plain_cnn.build` takes, with widths that are multiples of 4.

    Raises:
        ValueError: for no filters, widths that do not divide into fields, or another key.

    >>> len(build({"classes": 2}).weights_of_orientations())
    4
    """
    backbone, own = read_settings("relaxed_group_cnn", config, filters=2)
    check_integers("relaxed_group_cnn", **own)
    return RelaxedGroupCNN(own["filters"], **backbone)
