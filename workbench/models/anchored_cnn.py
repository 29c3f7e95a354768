"""The plain network with circular padding and anchored pooling: invariant to every cyclic shift by whole pixels.

P. Ding and others, arXiv 2306.07470, whose anchoring carries from the patches of transformers to any strided layer; see
:mod:`workbench.layers.anchoring`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from workbench.layers.anchoring import PolyphaseAnchor
from workbench.models._checks import check_switches
from workbench.models.plain_cnn import PlainCNN, read_settings


def build(config: Mapping[str, Any]) -> nn.Module:
    """An anchored CNN from images ``(B, C, H, W)`` to logits ``(B, classes)``.

    Sides of images are multiples of 2 to the number of pools.

    Args:
        config: ``anchored`` (True; without it pooling breaks the shifts that are no multiple of its windows), and what
            :func:`workbench.models.plain_cnn.build` takes.

    Raises:
        ValueError: for another key.

    >>> import torch
    >>> net, x = build({"classes": 2}).eval(), torch.rand(1, 1, 16, 16)
    >>> torch.allclose(net(x), net(x.roll((1, 5), (2, 3))), atol=1e-5)
    True
    """
    backbone, own = read_settings("anchored_cnn", config, anchored=True)
    check_switches("anchored_cnn", **own)
    before = [PolyphaseAnchor(2)] if own["anchored"] else []
    return PlainCNN(
        **backbone,
        convolution=partial(nn.Conv2d, padding_mode="circular"),
        pool=lambda: nn.Sequential(*before, nn.MaxPool2d(2)),
    )
