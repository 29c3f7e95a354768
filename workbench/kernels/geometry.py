"""Where a kernel is evaluated: integer taps, the disc that holds them, and which taps quarter turns share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from workbench.groups import O2, Group

Places = tuple[tuple[int, ...], ...]


def tap_offsets(kernel_size: int) -> Tensor:
    """Offsets of the taps from the centre as (x, y), y up, in pixels; float64 ``(k*k, 2)``, row by row."""
    line = torch.arange(kernel_size, dtype=torch.float64) - (kernel_size - 1) / 2
    y, x = torch.meshgrid(line.flip(0), line, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], -1)


def disc_mask(kernel_size: int) -> Tensor:
    """Which taps lie in the disc inscribed in the kernel, boolean ``(k*k,)``.

    Tested on the *unrotated* integer offsets, so that every orientation has the same taps: 5, 13, 29 and 49
    of them for k = 3, 5, 7, 9. An even kernel has no centre tap; its disc has radius k / 2.
    """
    offsets = tap_offsets(kernel_size)
    radius = (kernel_size - 1) / 2 if kernel_size % 2 else kernel_size / 2
    return offsets.square().sum(-1) <= radius**2 + 1e-9


def turn_permutation(group: Group, n: int, quarters: int) -> Tensor | None:
    """Where a rotation by ``quarters`` quarter turns sends each element of an even grid.

    Returns:
        ``(n,)`` with element ``i`` going to position ``result[i]``, for any common offset of the grid, or
        ``None`` when that rotation does not map the grid to itself.
    """
    index = torch.arange(n)
    if isinstance(group, O2):
        half = n // 2
        if quarters * half % 4:
            return None
        step = quarters * half // 4
        plain, mirrored = index[:half], index[:half]
        return torch.cat([(plain + step) % half, (mirrored - step) % half + half])
    return (index + quarters * n // 4) % n if quarters * n % 4 == 0 else None


@lru_cache(maxsize=256)
def turns(group: Group, n: int) -> int:
    """How many of the four quarter turns map an even grid of ``n`` elements to itself: 4, 2 (half turns) or 1."""
    return next((count for count in (4, 2) if turn_permutation(group, n, 4 // count) is not None), 1)


@dataclass(frozen=True, eq=False)  # compared by identity: plans are cached and key further caches
class Plan:
    """Which kernel values are computed once and where each is used.

    ``outputs``: the output elements that are evaluated. ``source``: ``(n_out, n_in, k*k)`` into the computed
    points ``(len(outputs), n_in, taps)`` flattened, one past the last for a tap outside the disc.
    """

    outputs: tuple[int, ...]
    source: Tensor


@lru_cache(maxsize=256)
@torch.inference_mode(False)  # what is kept must serve training as well
def plan(group: Group, n_out: int, n_in: int, kernel_size: int, reuse: int) -> Plan:
    """Evaluate each kernel once; of 4 or 2 turns of a kernel all but one are looked up with ``reuse = 4`` or ``2``.

    Turning a kernel by a quarter moves its taps and permutes both lists of elements:
    k(h^-1 x, h^-1 h') at (q h, q h') is the same number at q^-1 x (derived here). ``n_in = 1`` with
    ``reuse`` above 1 is the lifting layer, whose input has no group axis.
    """
    quarters = range(0, 4, 4 // reuse)
    outputs = tuple(_permutation(group, n_out, q) for q in quarters)
    inputs = tuple(_permutation(group, n_in, q) for q in quarters) if n_in > 1 else None
    return planned(outputs, inputs, kernel_size)


@lru_cache(maxsize=256)
@torch.inference_mode(False)
def planned(outputs: Places, inputs: Places | None, kernel_size: int) -> Plan:
    """The same from where each turn sends the elements: ``outputs[t][i]`` for turn t of 1, 2 or 4 on the circle."""
    inside = disc_mask(kernel_size)
    taps = int(inside.sum())
    grid = torch.full((kernel_size * kernel_size,), -1)
    grid[inside] = torch.arange(taps)
    grid = grid.reshape(kernel_size, kernel_size)
    n_out, n_in = len(outputs[0]), 1 if inputs is None else len(inputs[0])
    turned = [torch.rot90(grid, t * 4 // len(outputs)).flatten() for t in range(len(outputs))]
    distinct = [j for j in range(n_out) if j == min(places[j] for places in outputs)]
    nothing = len(distinct) * n_in * taps
    index = torch.full((n_out, n_in, kernel_size * kernel_size), nothing)
    for row, j in enumerate(distinct):
        for t, places in enumerate(outputs):
            sources = torch.arange(n_in)
            targets = sources if inputs is None else torch.tensor(inputs[t])
            base = (row * n_in + sources) * taps
            index[places[j], targets] = torch.where(turned[t] >= 0, base[:, None] + turned[t], nothing)
    return Plan(tuple(distinct), index)


def _permutation(group: Group, n: int, quarters: int) -> tuple[int, ...]:
    found = turn_permutation(group, n, quarters) if quarters else torch.arange(n)
    assert found is not None  # asked of turns() before
    return tuple(found.tolist())


@lru_cache(maxsize=256)
@torch.inference_mode(False)  # what is kept must serve training as well
def lookup(chosen: Plan, taps: tuple[int, ...] | None, device: torch.device) -> tuple[Tensor, tuple[int, int, int]]:
    """The plan's source at all taps or those named, flattened, on a device, and its shape ``(n_out, n_in, T)``."""
    source = chosen.source if taps is None else chosen.source[:, :, list(taps)]
    n_out, n_in, count = source.shape
    return source.flatten().to(device), (n_out, n_in, count)


@lru_cache(maxsize=32)
def disc_taps(kernel_size: int) -> tuple[int, ...]:
    """Row-major indices of the taps in the disc."""
    return tuple(disc_mask(kernel_size).nonzero().flatten().tolist())
