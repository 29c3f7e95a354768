"""The elements that a layer lives on: even lists for the Haar measure, random ones with their weights, and bounds.

A group that stretches is not compact, so layers cover a part of it: every rotation of an even circle times some
stretches. An element is R P, the stretch first, so that turning the list by one step of the circle permutes it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workbench.groups.base import Group, check_count
from workbench.groups.linear import SL, GLPlus, even_stretches
from workbench.groups.planar import O2, SO2
from workbench.groups.scale import RotationScale, Scale

Drawn = tuple[Tensor, Tensor | None]
IRRATIONAL = (math.sqrt(5) - 1) / 2  # its multiples are even on [0, 1) however many there are


def even_elements(
    group: Group,
    n: int,
    stretches: int = 1,
    offset: float | Tensor = 0.0,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """``n`` rotations at each of ``stretches`` stretches, ``(stretches n, element_dim)``, rotations fastest.

    Args:
        group: with lengths kept, its own grid of ``n``. The factors of Scale and RotationScale lie between 1 and their
            ``largest``, both ends included and even in the logarithm; Scale has ``n`` of them and no rotations.
        offset: turns the rotations by that fraction of a step.

    >>> from workbench.groups import RotationScale, Scale
    >>> even_elements(Scale(2, 4.0), 3).flatten().tolist()
    [1.0, 2.0, 4.0]
    >>> tuple(even_elements(RotationScale(2.0), 8, 4).shape)
    (32, 2)
    """
    if isinstance(group, Scale):
        return _factors(group.largest, n).unsqueeze(-1).to(device, dtype)
    if isinstance(group, RotationScale):
        return _turned(group, n, _factors(group.largest, stretches), offset).to(device, dtype)
    if isinstance(group, SL):
        return _turned(group, n, group.exp(_even_coordinates(group, stretches)), offset).to(device, dtype)
    return group.grid(n, offset, dtype, device)


def quarter_turn_problem(group: Group, n: int) -> tuple[str, str] | None:
    """Why a list of ``n`` elements does not hold the quarter turns, and the nearest ``n`` that does.

    ``None`` where it does, or where the group is finite or has no turns: then nobody asked for them.

    >>> from workbench.groups import SO2
    >>> quarter_turn_problem(SO2(), 6)
    ('6 rotations do not hold the quarter turns, so only half turns are exact', 'use n = 8')
    """
    if group.order is not None or isinstance(group, Scale):
        return None
    mirrors = 2 if isinstance(group, O2) else 1
    rotations = n // mirrors
    if rotations % 4 == 0:
        return None
    exact = "no turn but the identity is" if rotations % 2 else "only half turns are"
    nearest = max(4, round(rotations / 4) * 4) * mirrors
    return f"{rotations} rotations do not hold the quarter turns, so {exact} exact", f"use n = {nearest}"


def drawn_elements(
    group: Group,
    n: int,
    stretches: int = 1,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
    generator: torch.Generator | None = None,
) -> Drawn:
    """The same with random turns of the circles and stretches drawn around the middle of those that a layer covers.

    The circles have one common turn, but where stretches have directions each has its own: those do not commute with
    rotations, and a sum over a fixed circle of n would err however many stretches there are.

    Returns:
        Elements, and the weights ``(S,)`` that each needs in a mean, 1 / p with respect to the Haar measure; ``None``
        for groups that keep lengths.
    """
    offset = torch.rand((), dtype=torch.float64, generator=generator)
    if not isinstance(group, Scale | RotationScale | SL):
        return even_elements(group, n, stretches, offset, dtype, device), None
    count = check_count(n if isinstance(group, Scale) else stretches, f"{group}: stretches")
    if isinstance(group, Scale | RotationScale):
        middle = math.sqrt(group.largest)
        factors, weights = Scale(2, middle).draw(count, math.log(middle) / 2, generator, torch.float64)
        stretched: Tensor = factors.flatten() * middle
        elements = stretched.unsqueeze(-1) if isinstance(group, Scale) else _turned(group, n, stretched, offset)
    else:
        stretched, weights = group.draw(count, math.log(group.largest) / 2, generator, torch.float64)
        own = torch.rand(count, 1, 1, dtype=torch.float64, generator=generator)
        elements = _turned(group, n, group.exp(group.log(stretched) * _without_angle(group)), own)
    return elements.to(device, dtype), weights.repeat_interleave(len(elements) // count).to(device, dtype)


def stretch_bounds(group: Group) -> tuple[float, float]:
    """The smallest and the largest factor by which :func:`even_elements` change a length.

    >>> from workbench.groups import GLPlus, Scale
    >>> stretch_bounds(Scale(2, 1.74)), stretch_bounds(GLPlus(2.0))
    ((1.0, 1.74), (0.25, 4.0))
    """
    if isinstance(group, Scale | RotationScale):
        return 1.0, group.largest
    if isinstance(group, SL):
        most = group.largest ** (2 if isinstance(group, GLPlus) else 1)
        return 1 / most, most
    return 1.0, 1.0


def split(group: Group, elements: Tensor) -> tuple[Tensor, Tensor] | None:
    """Angles ``(n, 1)`` and factors ``(M, 1)`` of a list of RotationScale that holds each with each, angles fastest.

    ``None`` for any other list.
    """
    if not isinstance(group, RotationScale):
        return None
    n = int((elements[:, 1] == elements[0, 1]).sum())
    angles, factors = elements[:n, :1], elements[::n, 1:]
    whole = torch.cat([angles.repeat(len(factors), 1), factors.repeat_interleave(n, 0)], -1)
    return (angles, factors) if whole.shape == elements.shape and torch.equal(whole, elements) else None


def has_circle(group: Group) -> bool:
    """Whether rotations belong to the group."""
    return not isinstance(group, Scale)


def _factors(largest: float, count: int) -> Tensor:
    place = torch.linspace(0, 1, check_count(count, "factors"), dtype=torch.float64)
    factors = (place * math.log(largest)).exp()
    factors[1:][-1:] = largest
    return factors


def _turned(group: Group, n: int, stretched: Tensor, offset: float | Tensor) -> Tensor:
    """Every rotation of a circle after each factor ``(M,)`` or matrix by rows ``(M, 4)``."""
    angle = SO2().grid(n, 0.0, torch.float64) + 2 * math.pi / n * offset  # (n, 1), or (M, n, 1) of own turns
    if isinstance(group, RotationScale):
        return torch.cat([angle.repeat(len(stretched), 1), stretched.repeat_interleave(n).unsqueeze(-1)], -1)
    turns = SO2().matrix(angle).flatten(-2)
    return group.product(turns, stretched[:, None]).flatten(0, 1)


def _even_coordinates(group: SL, count: int) -> Tensor:
    """Coordinates of ``count`` stretches that are even for the Haar measure, the identity first where it is odd."""
    most = math.log(group.largest)
    v = torch.zeros(check_count(count, f"{group}: stretches"), group.chart_dim, dtype=torch.float64)
    v[:, :2] = even_stretches(count, most)
    if isinstance(group, GLPlus):
        place = torch.arange(count, dtype=torch.float64) + (0.5 if count % 2 == 0 else 0.0)
        v[:, 3] = (torch.remainder(place * IRRATIONAL + 0.5, 1) * 2 - 1) * most
    return v


def _without_angle(group: SL) -> Tensor:
    keep = torch.ones(group.chart_dim, dtype=torch.float64)
    keep[2] = 0
    return keep
