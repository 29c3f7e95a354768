"""Densities that samples of a group without a finite volume are drawn from: a mean over samples needs their weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workbench.groups.base import Group, check_number


def cut_normal(n: int, spread: float, most: float, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """``n`` normal numbers of standard deviation ``spread`` cut off at +-``most``, and their density, in float64."""
    inside = math.erf(most / spread / math.sqrt(2))
    share = torch.rand(n, generator=generator, dtype=torch.float64) * 2 - 1
    values = (math.sqrt(2) * spread * torch.erfinv(share * inside)).clamp(-most, most)
    return values, torch.exp(-((values / spread) ** 2) / 2) / (math.sqrt(2 * math.pi) * spread * inside)


def check_spread(group: Group, spread: object) -> float:
    """``spread`` as a positive number, or a sentence that names the group."""
    return check_number(spread, f"{group}.draw: spread", "a positive number, such as 0.3", lowest=0.0)
