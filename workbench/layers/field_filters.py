"""Ordinary convolutions whose filters on regular fields of C4 are made from other numbers: strict, residual, relaxed.

Each is an ``nn.Conv2d`` with a parametrised weight and bias (``torch.nn.utils.parametrize``), so that whatever counts,
watches or times convolutions sees one; making the filters costs nothing per pixel. Fields and their turns are those of
:mod:`workbench.layers.quarter_turns`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from workbench.layers.lattice import check_window
from workbench.layers.quarter_turns import check_fields, expanded


class _Strict(nn.Module):
    """base -> W, one orientation turned into all four."""

    def __init__(self, first: bool):
        super().__init__()
        self.first = first

    def forward(self, base: Tensor) -> Tensor:
        return expanded(base)

    def right_inverse(self, weight: Tensor) -> Tensor:
        one = weight[::4]
        return (one if self.first else one.unflatten(1, (-1, 4))).clone()


class _Residual(_Strict):
    """(base, free) -> W_eq + W_free; W_eq alone without the second."""

    def forward(self, base: Tensor, free: Tensor | None = None) -> Tensor:
        strict = expanded(base)
        return strict if free is None else strict + free

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        return super().right_inverse(weight), torch.zeros_like(weight)


class _Relaxed(_Strict):
    """(psi, w) -> sum_l w_l(h) psi_l(g^-1 h), psi ``(L, O, I, 4, k, k)`` or ``(L, O, I, k, k)``, w ``(L, 4)``."""

    def __init__(self, first: bool, filters: int):
        super().__init__(first)
        self.filters = filters

    def forward(self, psi: Tensor, w: Tensor) -> Tensor:  # type: ignore[override]
        weight = torch.stack([expanded(one) for one in psi])
        if self.first:  # an image has no h: the weights are those of the output's own orientation
            parts = weight.unflatten(1, (-1, 4)) * w[:, None, :, None, None, None]
            return parts.sum(0).flatten(0, 1)
        parts = weight.unflatten(2, (-1, 4)) * w[:, None, None, :, None, None]
        return parts.sum(0).flatten(1, 2)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        one = super().right_inverse(weight)
        own = torch.empty(self.filters - 1, *one.shape).to(one).uniform_(-1, 1) * (3**0.5 * one.std())
        psi = torch.cat([one[None], own])
        return psi, weight.new_full((self.filters, 4), self.filters**-0.5)


class _Alike(nn.Module):
    """One number for each field -> a bias, and one more for each channel where it may be free."""

    def __init__(self, free: bool = False):
        super().__init__()
        self.free = free

    def forward(self, field: Tensor, free: Tensor | None = None) -> Tensor:
        alike = field.repeat_interleave(4)
        return alike if free is None else alike + free

    def right_inverse(self, bias: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return (bias[::4].clone(), torch.zeros_like(bias)) if self.free else bias[::4].clone()


class _Invariant(nn.Module):
    """One number for each field and output -> weights ``(K, 4 F)``, and one more for each where they may be free."""

    def __init__(self, free: bool):
        super().__init__()
        self.free = free

    def forward(self, field: Tensor, free: Tensor | None = None) -> Tensor:
        alike = field.repeat_interleave(4, 1)
        return alike if free is None else alike + free

    def right_inverse(self, weight: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        mean = weight.unflatten(1, (-1, 4)).mean(2)
        return (mean, torch.zeros_like(weight)) if self.free else mean


def strict_conv(
    in_channels: int, out_channels: int, kernel_size: int, padding: int = 0, *, first: bool = False
) -> nn.Conv2d:
    """A convolution that commutes with quarter turns by construction: a quarter of the numbers, the same cost.

    Args:
        in_channels, out_channels, kernel_size, padding: as in ``nn.Conv2d``; channels are multiples of 4, except C_in
            where ``first``.
        first: the input is an image, not fields.

    Raises:
        ValueError: for channels that do not divide into fields.

    >>> sum(p.numel() for p in strict_conv(4, 8, 3).parameters())  # of 4 * 8 * 9 + 8
    74
    """
    return _made("strict_conv", in_channels, out_channels, kernel_size, padding, first, _Strict(first), _Alike())


def residual_conv(
    in_channels: int, out_channels: int, kernel_size: int, padding: int = 0, *, first: bool = False
) -> nn.Conv2d:
    """A convolution by W_eq + W_free: filters that commute with quarter turns, and others that start at 0.

    Args and errors as of :func:`strict_conv`. :func:`pathways` gives both parts.
    """
    made = _Residual(first), _Alike(free=True)
    return _made("residual_conv", in_channels, out_channels, kernel_size, padding, first, *made)


def relaxed_conv(
    in_channels: int, out_channels: int, kernel_size: int, padding: int = 0, *, filters: int = 2, first: bool = False
) -> nn.Conv2d:
    """A group convolution whose filters sum_l w_l(h) psi_l(g^-1 h) weigh L strict ones by the input's orientation h.

    Strict where each w_l is alike for all h; with linearly independent psi_l only there (two equal psi_l may exchange
    weight and stay strict). It starts strict. Args and errors as of :func:`strict_conv`, and:

    Args:
        filters: L, the number of filters psi_l.
    """
    check_window("relaxed_conv", filters=filters)
    made = _Relaxed(first, filters), _Alike()
    return _made("relaxed_conv", in_channels, out_channels, kernel_size, padding, first, *made)


def invariant_linear(in_features: int, out_features: int, *, free: bool = False) -> nn.Linear:
    """A linear layer on vectors of fields ``(B, 4 F)`` that weighs all orientations of a field alike.

    Args:
        in_features, out_features: as in ``nn.Linear``; the first is a multiple of 4.
        free: other weights are added, which start at 0; :func:`pathways` gives both parts.
    """
    check_fields("invariant_linear", in_features, 4, False)
    linear = nn.Linear(in_features, out_features)
    parametrize.register_parametrization(linear, "weight", _Invariant(free))
    return linear


def pathways(layer: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """What a layer with two pathways has that commutes, and what is free: each its weight and, if made so, its bias.

    The first are whole weights, as many numbers as the second, so that one prior means the same on both.
    """
    strict, free = [], []
    for name, holder in _parametrizations(layer).items():
        first, second = _originals(layer, name)
        widen = holder[0]
        strict.append(widen(first))
        free.append(second)
    return strict, free


def orientation_weights(conv: nn.Conv2d) -> Tensor:
    """w ``(L, 4)`` of a :func:`relaxed_conv`."""
    return _originals(conv, "weight")[1]


def _parametrizations(layer: nn.Module) -> Any:
    found = getattr(layer, "parametrizations", None)
    if found is None:
        raise ValueError(
            f"a {type(layer).__name__} was given; expected a layer of this module, such as residual_conv(4, 8, 3)."
        )
    return found


def _originals(layer: nn.Module, name: str) -> list[Tensor]:
    holder = _parametrizations(layer)[name]
    return [getattr(holder, f"original{i}") for i in range(holder.ntensors)]


def _made(
    name: str, a: int, b: int, kernel_size: int, padding: int, first: bool, weight: nn.Module, bias: nn.Module
) -> nn.Conv2d:
    check_fields(name, a, b, first)
    check_window(name, kernel_size=kernel_size, padding=padding)
    conv = nn.Conv2d(a, b, kernel_size, padding=padding)
    parametrize.register_parametrization(conv, "weight", weight)
    parametrize.register_parametrization(conv, "bias", bias)
    return conv
