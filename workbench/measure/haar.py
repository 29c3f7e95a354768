"""Sums over random elements of a group that has no end: with what each element stands for, and without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.groups import SL, Group, RotationScale, Scale, parse_group
from workbench.groups.base import check_count
from workbench.measure.dataset import labelled, validate
from workbench.measure.provenance import provenance

MOVE = {Scale: (0.4,), RotationScale: (0.5, 0.4), SL: (0.3, 0.2, 0.5, 0.1)}
"""Coordinates of the h that everything is moved by; some way from the middle of the samples."""
SIGNAL, KERNEL = 0.8, 0.9
"""Widths of F and k, by the group's own distance."""


def sampled_integral_error(
    group: Group | str,
    counts: Sequence[int] = (100, 1_000, 10_000, 100_000),
    seeds: int = 9,
    spread: float = 0.5,
) -> xr.Dataset:
    r"""How far a sampled group convolution is from commuting with the group, with and without the samples' weights.

    .. math:: (F * k)(a) = \int F(b)\, k(a^{-1} b)\, d\mu(b) \approx \frac{1}{N} \sum_i w_i F(b_i)\, k(a^{-1} b_i)

    is the same number where F and a are moved by an h, if the integral is over the Haar measure: w = 1 / p, p the
    density of the samples with respect to it. Without weights the sum estimates another integral, which moves.

    Args:
        group: Scale, RotationScale, SL or GLPlus, or the name of one.
        counts: numbers of samples N.
        seeds: repeats, of which the median is taken.
        spread: of the samples, see :meth:`workbench.groups.Scale.draw`.

    Returns:
        ``error(samples, count)``, relative; samples are "with weights" and "without".

    Raises:
        ValueError: for another group, or counts that are none.

    >>> found = sampled_integral_error("Scale(2,8)", counts=(100, 10_000), seeds=5).error
    >>> bool(found.sel(samples="with weights", count=10_000) < 0.1 * found.sel(samples="without", count=10_000))
    True

    Source: Mironenco & Forre 2024 (arXiv 2310.11366) for sampled layers on GL+(n) and SL(n), whose released code leaves
    the weights out; the measure is ours.
    """
    chosen: Any = parse_group(group)  # all four of them draw
    move = next((by for kind, by in MOVE.items() if isinstance(chosen, kind)), None)
    if move is None:
        raise ValueError(f"sampled_integral_error: {chosen} was given; expected Scale, RotationScale, SL or GLPlus.")
    numbers = [check_count(count, "sampled_integral_error: counts") for count in counts]
    repeats = check_count(seeds, "sampled_integral_error: seeds")
    identity = chosen.identity(torch.float64)
    h = chosen.exp(torch.tensor(move[: chosen.log(identity).shape[-1]], dtype=torch.float64))
    found = np.empty((2, len(numbers), repeats))
    for at, count in enumerate(numbers):
        drawn = [chosen.draw(count, spread, torch.Generator().manual_seed(i), torch.float64) for i in range(repeats)]
        b, weights = (torch.stack(part) for part in zip(*drawn, strict=True))
        still = _product(chosen, identity, b, b)
        moved = _product(chosen, h, chosen.product(chosen.inverse(h), b), b)
        for row, own in enumerate((weights, torch.ones_like(weights))):
            before, after = (own * still).mean(-1), (own * moved).mean(-1)
            found[row, at] = torch.where(before == 0, torch.nan, (after - before).abs() / before.abs()).numpy()
    ds = xr.Dataset(
        {"error": labelled(("samples", "count"), np.median(found, -1), "relative error after moving everything by h")},
        {
            "samples": labelled("samples", ["with weights", "without"], "samples"),
            "count": labelled("count", np.array(numbers), "number of samples"),
        },
        provenance(
            "sampled_integral_error", seed=list(range(repeats)), dtype="float64", reduction="median over seeds",
            group=chosen.name, spread=spread,
        ),
    )  # fmt: skip
    return validate(ds, {"error": ("samples", "count")})


def _product(group: Group, a: Tensor, unmoved: Tensor, b: Tensor) -> Tensor:
    """F(h^-1 b) k(a^-1 b) ``(..., N)`` at samples b."""
    return _bump(group, unmoved, SIGNAL) * _bump(group, group.product(group.inverse(a), b), KERNEL)


def _bump(group: Group, g: Tensor, width: float) -> Tensor:
    """Smooth, and 0 beyond ``width`` from the identity."""
    square = (group.distance(group.identity(g.dtype), g) / width).square()
    return torch.where(square < 1, torch.exp(-1 / (1 - square.clamp(max=1 - 1e-9))), 0.0)
