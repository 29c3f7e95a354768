"""Where a kernel is evaluated: integer taps, the disc that holds them, and which taps quarter turns share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from workbench.groups import O2, Group


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
        ``None`` when a quarter turn does not map the grid to itself.
    """
    index = torch.arange(n)
    if isinstance(group, O2):
        half = n // 2
        if half % 4:
            return None
        step = quarters * half // 4
        plain, mirrored = index[:half], index[:half]
        return torch.cat([(plain + step) % half, (mirrored - step) % half + half])
    return (index + quarters * n // 4) % n if n % 4 == 0 else None


@lru_cache(maxsize=256)
def turns(group: Group, n: int) -> bool:
    """Whether a quarter turn maps an even grid of ``n`` elements to itself."""
    return turn_permutation(group, n, 1) is not None


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
def plan(group: Group, n_out: int, n_in: int, kernel_size: int, reuse: bool) -> Plan:
    """Evaluate each kernel once; with ``reuse`` the quarter turns of a kernel are looked up, not computed.

    Turning a kernel by a quarter moves its taps and permutes both lists of elements:
    k(h^-1 x, h^-1 h') at (q h, q h') is the same number at q^-1 x (derived here). ``n_in = 1`` with
    ``reuse`` is the lifting layer, whose input has no group axis.
    """
    inside = disc_mask(kernel_size)
    taps = int(inside.sum())
    grid = torch.full((kernel_size * kernel_size,), -1)
    grid[inside] = torch.arange(taps)
    grid = grid.reshape(kernel_size, kernel_size)
    outputs = list(range(n_out))
    if reuse:
        orbit = [turn_permutation(group, n_out, q) for q in range(4)]
        outputs = [j for j in range(n_out) if j == min(int(p[j]) for p in orbit)]  # type: ignore[index]
    index = torch.full((n_out, n_in, kernel_size * kernel_size), len(outputs) * n_in * taps)
    for row, j in enumerate(outputs):
        for q in range(4 if reuse else 1):
            turned = torch.rot90(grid, q).flatten()
            j_q = int(turn_permutation(group, n_out, q)[j]) if reuse else j  # type: ignore[index]
            sources = torch.arange(n_in)
            targets = turn_permutation(group, n_in, q) if reuse and n_in > 1 else sources
            base = (row * n_in + sources) * taps
            index[j_q, targets] = torch.where(
                turned >= 0, base[:, None] + turned, len(outputs) * n_in * taps
            )  # fmt: skip
    return Plan(tuple(outputs), index)


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
