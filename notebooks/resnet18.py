"""An ordinary ResNet-18 (He et al. 2016, arXiv 1512.03385) in plain torch: strides, pooling, batch or group norm.

It stands for anybody's network: nothing in it knows of symmetry or of the workbench. Its weights are random.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTHS = (64, 128, 256, 512)


def norm(kind: str, channels: int) -> nn.Module:
    return nn.GroupNorm(8, channels) if kind == "group" else nn.BatchNorm2d(channels)


class Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut."""

    def __init__(self, inside: int, outside: int, stride: int, kind: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm1 = norm(kind, outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm2 = norm(kind, outside)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Identity()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), norm(kind, outside))

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return self.relu(y + self.shortcut(x))


class ResNet18(nn.Module):
    """Images (B, C, H, W) to scores (B, classes)."""

    def __init__(self, classes: int = 10, channels: int = 3, kind: str = "batch") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, WIDTHS[0], 7, 2, 3, bias=False)
        self.norm1 = norm(kind, WIDTHS[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inside = WIDTHS[0]
        stages = []
        for at, width in enumerate(WIDTHS):
            stages.append(nn.Sequential(Block(inside, width, 1 if at == 0 else 2, kind), Block(width, width, 1, kind)))
            inside = width
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(WIDTHS[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.norm1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.pool(x).flatten(1))


def resnet18(seed: int = 0) -> ResNet18:
    """With batch norm."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ResNet18()


def resnet18_group_norm(seed: int = 0) -> ResNet18:
    """With group norm, whose statistics are those of each image."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ResNet18(kind="group")
