"""How far a layer or network is from commuting with a lattice element; shared by the tests of this folder."""

import math

import torch
from torch import Tensor, nn

from workbench.actions import transform_image, transform_signal
from workbench.groups import Group, GroupSignal, parse_group
from workbench.kernels import KernelSpec
from workbench.layers import GroupConv, GroupReLU, LiftingConv

QUARTER, HALF = math.pi / 2, math.pi
TURN = {1: (QUARTER,), 2: (QUARTER, 1.0)}  # by element_dim
FLIPS = {
    "left-right": (0.0, -1.0),
    "up-down": (HALF, -1.0),
    "transpose": (-QUARTER, -1.0),
    "anti-transpose": (QUARTER, -1.0),
}
TINY = KernelSpec(hidden=8)


def relative(a: Tensor, b: Tensor) -> float:
    """|a - b| / |b|."""
    return float(((a - b).norm() / b.norm()).detach())


def moved(x: Tensor | GroupSignal, g: Tensor, group: Group) -> Tensor | GroupSignal:
    """The group's action on an image batch, a signal, or an invariant vector."""
    if isinstance(x, GroupSignal):
        return transform_signal(x, g, group)
    return transform_image(x, g, group) if x.ndim == 4 else x


def values(y: Tensor | GroupSignal) -> Tensor:
    """The numbers of an image batch, a signal or a vector."""
    return y.values if isinstance(y, GroupSignal) else y


def defect(model: nn.Module, x: Tensor | GroupSignal, element: tuple[float, ...], group: Group, seed: int = 3) -> float:
    """|f(g x) - g f(x)| / |g f(x)|, both passes with the same random draws."""
    g = torch.tensor(element, dtype=torch.float64)
    torch.manual_seed(seed)
    wanted = moved(model(x), g, group)
    torch.manual_seed(seed)
    found = model(moved(x, g, group))
    return relative(values(found), values(wanted))


def lifted(group: Group, n: int, channels: int = 3, size: int = 16, dtype: torch.dtype = torch.float64) -> GroupSignal:
    """A signal of white noise on an even grid of the group, its common offset 0.3 where the group is continuous."""
    elements = group.grid(n, 0.0 if group.order else 0.3, dtype=dtype)
    return GroupSignal(torch.randn(2, channels, n, size, size, dtype=dtype), elements, group)


def pair(group: str, n: int, spec: KernelSpec = TINY, partial: bool = False, **options) -> nn.Sequential:
    """Lifting, ReLU, group convolution, in training mode, with random common offsets where the group has them."""
    sampling = "grid" if parse_group(group).order else "random"
    common = {"group": group, "n": n, "sampling": sampling, "kernel": spec, **options}
    return nn.Sequential(LiftingConv(2, 3, 5, **common), GroupReLU(), GroupConv(3, 3, 5, partial=partial, **common))
