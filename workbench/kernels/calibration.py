"""The one factor per layer that makes std out / std in close to 1 at the start, for every number of elements.

A lifting layer is calibrated on white noise, in closed form. What reaches a group layer is smooth over pixels
and elements alike, so it is calibrated on white noise lifted by a layer of its own kind. How much the mean over
input elements cancels depends on their number; the gain sits in the middle of what was seen (derived here).

So std out / std in lies between 0.5 and 2 for white noise and what is lifted from it. Smooth pictures excite the low
frequencies of a kernel more: on handwritten digits lifting layers of k = 7 reach 2.4 and group layers of one element
2.5. Noise that is independent at every element, which no layer puts out, is averaged away to as little as 0.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from workbench.groups import O2, Group, Scale
from workbench.groups.elements import even_elements

if TYPE_CHECKING:
    from workbench.kernels.bank import KernelBank
    from workbench.kernels.factored import FactoredKernels

COUNTS = (1, 2, 4, 8)  # elements at which the gain is looked at; more change a SIREN's by little
MANY = 16  # looked at as well where neighbouring angles have little in common, and more elements cancel more
LIFTS = 2  # independent liftings of the noise
POINT_LIFTS = 8  # where a kernel is one pixel, so few numbers act that two liftings are not enough (derived here)
FEW = 8  # channels that estimate one variance; the others are drawn alike


@torch.no_grad()
def calibrate(bank: KernelBank | FactoredKernels) -> float:
    """The gain of a new bank, measured on lifted white noise; torch's generators are left as they were."""
    point = bank.kernel_size == 1
    lists = element_lists(bank.group, bank.cancels and not bank.lifting)
    if bank.lifting:
        kernels = bank(lists[-1], None)
        powers = kernels.square().sum((2, 3, 4)).mean()[None]
    else:
        lifts = POINT_LIFTS if point or bank.few else LIFTS
        powers = torch.stack([torch.stack(_powers(bank, lists, lift)) for lift in range(lifts)])
    logs = powers.clamp_min(1e-24).log()
    logs = logs.mean(0) if bank.few else logs
    return float((-0.25 * (logs.min() + logs.max())).exp())


def element_lists(group: Group, many: bool) -> list[Tensor]:
    """Even lists of elements at which the gain is looked at; ``many`` adds a long one."""
    if group.isometric:
        counts = element_counts(group) + ([MANY] if group.order is None and many else [])
        return [group.grid(n) for n in counts]
    if isinstance(group, Scale):
        return [even_elements(group, n) for n in (4, 8)]
    return [even_elements(group, 4, 3)]  # of many elements and wide kernels each look is dear


def element_counts(group: Group) -> list[int]:
    """Which of :data:`COUNTS` the group offers, its order included.

    >>> from workbench.groups import C, O2
    >>> element_counts(O2()), element_counts(C(6))
    ([2, 4, 8], [1, 2, 6])
    """
    components = 2 if isinstance(group, O2) else 1
    if group.order is None:
        return [n for n in COUNTS if n % components == 0]
    return [n for n in COUNTS if group.order > n and group.order % n == 0 and n % components == 0] + [group.order]


def _powers(bank: KernelBank | FactoredKernels, lists: list[Tensor], seed: int) -> list[Tensor]:
    """Mean square of the response on each list of elements, for input of mean square 1."""
    k = max(bank.kernel_size, 3)
    channels = min(bank.in_channels, FEW)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach the accelerator as well
        lift = bank.lift(3, channels, k)
        noise = torch.randn(1, 3, 2 * k + 2, 2 * k + 2)
    powers = []
    for elements in lists:
        lifted = _circular(noise, lift(elements, None))
        out = _circular(lifted / lifted.std(), bank.values(elements, elements, True, few=FEW))
        powers.append(out.square().mean() * (bank.in_channels / channels))
    return powers


def _circular(x: Tensor, kernels: Tensor) -> Tensor:
    k = round(kernels.shape[-1] ** 0.5)
    weight = kernels.flatten(2, 3).flatten(0, 1).unflatten(-1, (k, k))
    low = k // 2
    padded = nn.functional.pad(x, (low, k - 1 - low, low, k - 1 - low), mode="circular")
    return nn.functional.conv2d(padded, weight)
