"""Norms, non-linearities and dropout that treat every group element and every pixel alike."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workbench.groups import GroupSignal
from workbench.layers.lattice import check_window


def expect_channels(layer: nn.Module, values: Tensor, channels: int) -> Tensor:
    """``values (B, C, G, H, W)``, or a sentence where C is another."""
    if values.shape[1] != channels:
        raise ValueError(
            f"{type(layer).__name__}: a signal of {values.shape[1]} channels was given; expected {channels}; build it "
            f"as {type(layer).__name__}({values.shape[1]})."
        )
    return values


class _OnValues(nn.Module):
    """Apply ``on_values`` to a signal ``(B, C, G, H, W)`` and keep its elements."""

    def on_values(self, values: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, signal: GroupSignal) -> GroupSignal:
        return expect_signal(self, signal).map(self.on_values)


def expect_signal(layer: nn.Module, given: object) -> GroupSignal:
    """``given``, or a sentence where it is no signal."""
    if not isinstance(given, GroupSignal):
        raise ValueError(
            f"{type(layer).__name__}: {type(given).__name__} was given; expected a GroupSignal; put a LiftingConv "
            "before the first group layer."
        )
    return given


class GroupBatchNorm(_OnValues):
    """Batch norm with one scale and shift per channel, statistics over (B, G, H, W)."""

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1):
        super().__init__()
        check_window("GroupBatchNorm", channels=channels)
        self.norm = nn.BatchNorm3d(channels, eps=eps, momentum=momentum)

    def on_values(self, values: Tensor) -> Tensor:
        return self.norm(expect_channels(self, values, self.norm.num_features))


class GroupInstanceNorm(_OnValues):
    """Each sample and channel to mean 0 and variance 1 over (G, H, W), no learned scale."""

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__()
        check_window("GroupInstanceNorm", channels=channels)
        self.channels, self.eps = channels, eps

    def on_values(self, values: Tensor) -> Tensor:
        return nn.functional.instance_norm(expect_channels(self, values, self.channels), eps=self.eps)


class GroupLayerNorm(_OnValues):
    """Each sample to mean 0 and variance 1 over (C, G, H, W), one learned scale and shift per channel."""

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__()
        check_window("GroupLayerNorm", channels=channels)
        self.norm = nn.GroupNorm(1, channels, eps=eps)

    def on_values(self, values: Tensor) -> Tensor:
        return self.norm(expect_channels(self, values, self.norm.num_channels))


class GroupReLU(_OnValues):
    """max(0, x); pointwise on a regular representation, hence equivariant."""

    def on_values(self, values: Tensor) -> Tensor:
        return torch.relu(values)


class GroupPointwise(_OnValues):
    """Any module that treats every number alike, on the values of a signal; a plain tensor passes through it too.

    Args:
        module: for example ``nn.GELU()``; it must keep the shape and know nothing of positions.

    >>> import torch
    >>> from workbench.groups import SO2
    >>> signal = GroupSignal(-torch.ones(1, 1, 4, 2, 2), SO2().grid(4), SO2())
    >>> GroupPointwise(nn.ELU())(signal).values.amax()
    tensor(-0.6321)
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"GroupPointwise: {type(module).__name__} was given; expected a torch module, such as nn.GELU()."
            )
        self.module = module

    def on_values(self, values: Tensor) -> Tensor:
        return self.module(values)

    def forward(self, signal):
        return self.module(signal) if isinstance(signal, Tensor) else super().forward(signal)


class GroupDropout(_OnValues):
    """Dropout; ``whole_channels`` drops a channel on all elements and pixels at once."""

    def __init__(self, p: float = 0.5, whole_channels: bool = False):
        super().__init__()
        if not isinstance(p, int | float) or not 0 <= p < 1:
            raise ValueError(f"GroupDropout: p = {p!r} was given; expected a probability in [0, 1).")
        self.p, self.whole_channels = p, whole_channels

    def on_values(self, values: Tensor) -> Tensor:
        drop = nn.functional.dropout3d if self.whole_channels else nn.functional.dropout
        return drop(values, self.p, self.training)
