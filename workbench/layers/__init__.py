"""Torch modules whose signals carry their group elements."""

from workbench.layers.convert import to_group_cnn
from workbench.layers.convolution import GroupConv, LiftingConv
from workbench.layers.pointwise import (
    GroupBatchNorm,
    GroupDropout,
    GroupInstanceNorm,
    GroupLayerNorm,
    GroupPointwise,
    GroupReLU,
)
from workbench.layers.pooling import GroupPool, GroupProjection
from workbench.layers.relaxed import RelaxedConv2d, RelaxedGroupConv, dials, set_dials
from workbench.layers.separable import SeparableConv
from workbench.layers.settings import group_layers, set_n, set_sampling, set_sums

__all__ = [
    "GroupBatchNorm",
    "GroupConv",
    "GroupDropout",
    "GroupInstanceNorm",
    "GroupLayerNorm",
    "GroupPointwise",
    "GroupPool",
    "GroupProjection",
    "GroupReLU",
    "LiftingConv",
    "RelaxedConv2d",
    "RelaxedGroupConv",
    "SeparableConv",
    "dials",
    "group_layers",
    "set_dials",
    "set_n",
    "set_sampling",
    "set_sums",
    "to_group_cnn",
]
