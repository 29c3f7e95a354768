"""Torch modules whose signals carry their group elements."""

from workbench.layers.convert import to_group_cnn
from workbench.layers.convolution import GroupConv, LiftingConv, group_layers, set_n, set_sampling
from workbench.layers.pointwise import (
    GroupBatchNorm,
    GroupDropout,
    GroupInstanceNorm,
    GroupLayerNorm,
    GroupPointwise,
    GroupReLU,
)
from workbench.layers.pooling import GroupPool, GroupProjection

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
    "group_layers",
    "set_n",
    "set_sampling",
    "to_group_cnn",
]
