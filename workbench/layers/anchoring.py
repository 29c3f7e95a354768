"""Strided layers that commute with every cyclic shift: move the image to its strongest polyphase component first.

P. Ding, D. Soselia, T. Armstrong, J. Su, F. Huang, "Reviving Shift Equivariance in Vision Transformers", arXiv
2306.07470: of the s^2 grids of every s-th pixel the one of the largest norm is put at the origin. Read in the abstract;
the l2 norm over pixels and channels is our choice. A shift of the input by t then shifts the output by a whole number
of output pixels, though not always by t / s: it is equivariance up to the anchor, and exact invariance behind a pooling
over all pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workbench.layers.lattice import check_window


def anchors(x: Tensor, stride: int) -> Tensor:
    """Row and column ``(B, 2)`` of the strongest polyphase component of images ``(B, C, H, W)``, the first of equals.

    >>> anchors(torch.eye(4).roll(1, 0)[None, None], 2).tolist()
    [[0, 1]]
    """
    energy = x.detach().double().square().sum(1)
    height, width = (side // stride for side in energy.shape[-2:])
    phases = energy.view(-1, height, stride, width, stride).sum((1, 3)).flatten(1)
    best = phases.argmax(1)
    return torch.stack([best // stride, best % stride], 1)


class PolyphaseAnchor(nn.Module):
    """Images ``(B, C, H, W)`` shifted cyclically so that the strongest of their s^2 grids starts at the origin.

    Put it before a strided layer whose padding is circular (or that needs none), and all cyclic shifts of its input
    leave its output the same up to a cyclic shift. Two grids of equal norm are a tie, taken by the first: pictures
    with such a tie, a constant one harmlessly, are not covered, and float sums decide near ties. Shifts that bring new
    pixels in are not covered either.

    Args:
        stride: s, that of the layer behind it; H and W must be multiples of it.

    >>> x = torch.rand(1, 2, 8, 8)
    >>> strided = nn.Sequential(PolyphaseAnchor(2), nn.Conv2d(2, 3, 2, stride=2), nn.AdaptiveAvgPool2d(1))
    >>> torch.allclose(strided(x), strided(x.roll((3, 1), (2, 3))), atol=1e-6)
    True
    """

    def __init__(self, stride: int):
        super().__init__()
        check_window("PolyphaseAnchor", stride=stride)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same."""
        height, width = x.shape[-2:] if x.ndim == 4 else (1, 1)
        if x.ndim != 4 or height % self.stride or width % self.stride:
            raise ValueError(
                f"PolyphaseAnchor: {tuple(x.shape)} was given; expected (B, C, H, W) with H and W multiples of the "
                f"stride {self.stride}; crop or pad the image, or use another stride."
            )
        by = anchors(x, self.stride)
        rows = (torch.arange(height, device=x.device) + by[:, :1]) % height
        columns = (torch.arange(width, device=x.device) + by[:, 1:]) % width
        index = (rows[:, :, None] * width + columns[:, None]).flatten(1)
        return x.flatten(2).gather(2, index[:, None].expand(-1, x.shape[1], -1)).view_as(x)

    def extra_repr(self) -> str:
        """The stride."""
        return f"stride={self.stride}"
