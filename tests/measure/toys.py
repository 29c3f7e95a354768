"""Small models whose symmetry is known, and twins of them that are broken on purpose."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from workbench.groups import Cyclic, GroupSignal


class LiftC4(nn.Module):
    """Lifting convolution over C4 with explicit rotated copies of one filter: equivariant by construction.

    ``perturbed`` adds noise of that fraction of the filters' standard deviation to every rotated copy.
    ``wrong_sign`` turns the copies the other way.
    """

    def __init__(self, in_channels: int, out_channels: int, perturbed: float = 0.0, wrong_sign: bool = False):
        super().__init__()
        weight = torch.randn(out_channels, in_channels, 3, 3)
        sign = -1 if wrong_sign else 1
        copies = torch.stack([torch.rot90(weight, sign * k, (-2, -1)) for k in range(4)], 1)
        copies = copies + perturbed * weight.std() * torch.randn_like(copies)
        self.weight = nn.Parameter(copies.flatten(0, 1))

    def forward(self, x: Tensor) -> GroupSignal:
        values = functional.conv2d(x, self.weight, padding=1).unflatten(1, (-1, 4))
        return GroupSignal(values, Cyclic(4).grid(dtype=x.dtype), Cyclic(4))


class ConvC4(nn.Module):
    """Group convolution over C4 with explicit rotated and rolled filters."""

    def __init__(self, in_channels: int, out_channels: int, perturbed: float = 0.0):
        super().__init__()
        weight = torch.randn(out_channels, in_channels, 4, 3, 3) / 6
        copies = [torch.rot90(weight, k, (-2, -1)).roll(k, 2) for k in range(4)]
        stacked = torch.stack(copies, 1)  # (out, h_out, in, h_in, 3, 3)
        stacked = stacked + perturbed * weight.std() * torch.randn_like(stacked)
        self.weight = nn.Parameter(stacked.flatten(2, 3).flatten(0, 1))

    def forward(self, signal: GroupSignal) -> GroupSignal:
        values = functional.conv2d(signal.folded(), self.weight, padding=1)
        return signal.with_values(values.unflatten(1, (-1, 4)))


class Pointwise(nn.Module):
    """ReLU on a signal or on maps."""

    def forward(self, x):
        return x.map(torch.relu) if isinstance(x, GroupSignal) else torch.relu(x)


class Mean(nn.Module):
    """Mean over the group and the plane: an invariant vector."""

    def forward(self, signal: GroupSignal) -> Tensor:
        return signal.values.mean((2, 3, 4))


def c4_net(perturbed: float = 0.0) -> nn.Sequential:
    """A three-layer C4 network; with ``perturbed`` the filters of the second layer are off by that fraction."""
    return nn.Sequential(
        LiftC4(1, 4), Pointwise(), ConvC4(4, 4, perturbed), Pointwise(), ConvC4(4, 3), Mean(), nn.Linear(3, 2)
    )


class Nosy(nn.Module):
    """A module with everything that a measure could disturb: buffers, dropout, batch norm, in-place, random draws."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.norm = nn.BatchNorm2d(2)
        self.drop = nn.Dropout(0.5)
        self.relu = nn.ReLU(inplace=True)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("noise", torch.zeros(2))
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.noise = torch.randn(2)
        if self.fails and self.calls > 1:
            raise RuntimeError("broken on purpose")
        return self.relu(self.drop(self.norm(self.conv(x))))
