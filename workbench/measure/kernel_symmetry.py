"""How symmetric a kernel is by itself, and what a turned copy of it must lose on a grid of pixels."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.actions import transform_each, transform_images
from workbench.groups import O2
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance

PADDED = 64
HELD = 0.95
RESAMPLER = "bicubic"


def kernel_symmetry(kernels: np.ndarray, angles_deg: np.ndarray) -> xr.Dataset:
    r"""The relative change :math:`|L_g k - k| / |k|` of kernels that are turned, or mirrored and turned, by angles.

    0 where a kernel is its own turned copy, 2 where the copy is its negative. Quarter turns and the mirror with them
    move pixels onto pixels: exact. Other angles guess values between pixels, zeros outside; what that alone costs, the
    kernel turned there and back, is the floor.

    Args:
        kernels: ``(N, k, k)``, taken together in one norm.
        angles_deg: ``(A,)``, degrees.

    Returns:
        ``turned(angle_deg)``, ``mirrored(angle_deg)`` (left and right swapped after the turn) and
        ``floor(angle_deg)``.

    Raises:
        ValueError: for kernels of another shape.

    >>> ds = kernel_symmetry(np.array([[[-1.0, 0.0, 1.0]] * 3]), np.array([0.0, 90.0, 180.0]))
    >>> ds["turned"].values.round(6).tolist(), float(ds["mirrored"][0])
    ([0.0, 1.414214, 2.0], 2.0)
    """
    k = np.asarray(kernels)
    if k.ndim != 3 or k.shape[1] != k.shape[2] or not len(k):
        raise ValueError(f"kernels of shape {k.shape} were given; expected (N, k, k) with N at least 1.")
    edge = math.ceil(0.21 * k.shape[-1]) + 1
    x = torch.nn.functional.pad(torch.from_numpy(np.ascontiguousarray(k)).double(), [edge] * 4)[None]
    angle = torch.deg2rad(torch.from_numpy(np.asarray(angles_deg, dtype=np.float64)))
    kept, mirror = (torch.stack([angle, torch.full_like(angle, sign)], -1) for sign in (1.0, -1.0))
    group = O2()
    turned, mirrored = (transform_images(x, each, group, resampler=RESAMPLER)[:, 0] for each in (kept, mirror))
    back = transform_each(turned, group.inverse(kept), group, resampler=RESAMPLER)
    length = float(x.norm()) or 1.0

    def change(moved: Tensor) -> np.ndarray:
        return ((moved - x).flatten(1).norm(dim=1) / length).numpy()

    words = {"turned": "turned", "mirrored": "mirrored, then turned back", "floor": "turned there and back"}
    found = {"turned": change(turned), "mirrored": change(mirrored), "floor": change(back)}
    return xr.Dataset(
        {name: labelled("angle_deg", values, f"relative change, {words[name]}") for name, values in found.items()},
        {"angle_deg": labelled("angle_deg", np.asarray(angles_deg, dtype=np.float64), "turned by", "degrees")},
        provenance(
            "kernel_symmetry", seed="not used", dtype="float64", resampler=RESAMPLER, padding="zeros",
            reduction="norm over kernels and taps", kernels=len(k),
        ),
    )  # fmt: skip


def power_map(kernels: np.ndarray) -> np.ndarray:
    """Share of the power of kernels ``(..., k, k)`` at each frequency, ``(64, 64)``, in the order of np.fft.

    >>> float(power_map(np.ones((1, 3, 3))).sum().round(6))
    1.0
    """
    flat = np.asarray(kernels, dtype=np.float64).reshape(-1, *kernels.shape[-2:])
    power = (np.abs(np.fft.fft2(flat, s=(PADDED, PADDED))) ** 2).sum(0)
    total = power.sum()
    return power / total if total else power


def bandwidth(power: np.ndarray, share: float = HELD) -> float:
    """The radius, in cycles per pixel, of the disc of frequencies that holds this share of the power.

    Args:
        power: from :func:`power_map`.

    >>> bandwidth(power_map(np.ones((1, 9, 9)))) < bandwidth(power_map(np.ones((1, 3, 3))))
    True
    """
    radius, order = _radii()
    held = np.cumsum(power.reshape(-1)[order])
    if not held[-1]:
        return 0.0
    return float(np.interp(share * held[-1], held, radius))


def lost_when_turned(power: np.ndarray, angles_deg: np.ndarray) -> np.ndarray:
    """The share of a kernel's power at frequencies that a copy turned by each angle would need and the grid lacks.

    A grid of pixels holds at most half a cycle per pixel along each axis, a square of frequencies. Turning a kernel
    turns its frequencies; those that leave the square are lost, or come back as others. 0 at quarter turns.

    >>> lost_when_turned(power_map(np.ones((1, 3, 3))), np.array([0.0, 90.0])).tolist()
    [0.0, 0.0]
    """
    return np.array([float(power[_outside(float(angle))].sum()) for angle in angles_deg])


@lru_cache(maxsize=1)
def _radii() -> tuple[np.ndarray, np.ndarray]:
    line = np.fft.fftfreq(PADDED)
    radius = np.hypot(line[:, None], line[None]).reshape(-1)
    order = radius.argsort(kind="stable")
    return radius[order], order


@lru_cache(maxsize=512)
def _outside(angle_deg: float) -> np.ndarray:
    line = np.fft.fftfreq(PADDED)
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    moved = np.maximum(np.abs(c * line[None] - s * line[:, None]), np.abs(s * line[None] + c * line[:, None]))
    return moved > 0.5 + 1e-9
