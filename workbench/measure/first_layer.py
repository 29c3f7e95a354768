"""What a first layer looks for among image patches, beside what gradient descent on a linear model would have learned.

Chowers & Weiss, "What do CNNs Learn in the First Layer and Why? A Linear Systems Perspective", ICML 2023, arXiv
2206.02454, after its abstract: the profile depends on second-order statistics of patches alone and tends to whitening.
The formulas are derived here for linear regression.
"""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.nn import functional

from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance

MOST_PATCHES = 200_000
FAINTEST = 1e-4
"""Components with less than this share of the largest variance are left out: rounding, not images."""


def patch_components(images: Tensor, kernel_size: int, taps: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Principal components of patches of images ``(B, C, H, W)``: variances ``(P,)``, largest first, and ``(P, P)``.

    Args:
        images: as the network sees them.
        kernel_size: k, pixels a side.
        taps: ``(k, k)``, which of them are seen; all where not given. P is C times their number.

    Returns:
        Variances and, in the rows, the components, unit vectors over (channel, tap).

    Raises:
        ValueError: for images smaller than a patch.

    >>> variances, components = patch_components(torch.randn(4, 1, 8, 8), 3)
    >>> variances.shape, components.shape
    ((9,), (9, 9))
    """
    if images.ndim != 4 or min(images.shape[-2:]) < kernel_size:
        raise ValueError(
            f"images of shape {tuple(images.shape)} were given; expected (B, C, H, W) with sides of at least "
            f"{kernel_size} pixels."
        )
    few = images[_seen(images, kernel_size)]
    patches = functional.unfold(few.double(), kernel_size).transpose(1, 2).reshape(-1, images.shape[1], kernel_size**2)
    if taps is not None:
        patches = patches[:, :, torch.from_numpy(np.asarray(taps, dtype=bool).reshape(-1).copy())]
    flat = patches.flatten(1)
    centred = flat - flat.mean(0)
    found, vectors = np.linalg.eigh((centred.T @ centred / len(flat)).numpy())
    return found[::-1].clip(0), vectors.T[::-1].copy()


def _seen(images: Tensor, kernel_size: int) -> list[int]:
    """Images whose patches are looked at: all, or as many as make `MOST_PATCHES`, spread over the whole set."""
    each = (images.shape[-2] - kernel_size + 1) * (images.shape[-1] - kernel_size + 1)
    count = min(len(images), max(1, MOST_PATCHES // each))
    return [at * len(images) // count for at in range(count)]


def filter_energy(weights: np.ndarray, components: np.ndarray) -> np.ndarray:
    """e_i = sqrt(mean over filters w of (w' p_i)^2): filters ``(N, P)``, components ``(P, P)`` in rows, ``(P,)`` out.

    >>> filter_energy(np.eye(2), np.eye(2)).round(3).tolist()
    [0.707, 0.707]
    """
    return np.sqrt(((weights.astype(np.float64) @ components.T) ** 2).mean(0))


def linear_energy(variances: np.ndarray, rate: float, steps: int | float) -> np.ndarray:
    """The profile, up to a factor, of regression on random targets from zero: (1 - (1 - rate v)^steps) / sqrt v.

    Few steps: proportional to sqrt v. Many: to 1 / sqrt v, whitening.

    >>> linear_energy(np.array([4.0, 1.0]), 0.01, 10**6).tolist()
    [0.5, 1.0]
    """
    return (1 - (1 - rate * variances) ** steps) / np.sqrt(variances)


def fitted_energy(energy: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, float, float]:
    """The curve of :func:`linear_energy`, in the limit of small steps, nearest to a measured profile.

    Least squares of the logarithm, over rate times steps and a common factor.

    Returns:
        The curve ``(P,)``, rate times steps, and the root mean square of what is left, in factors of e.
    """
    times = np.geomspace(1e-2 / variances.max(), 1e3 / variances.min(), 400)
    curves = -np.expm1(-times[:, None] * variances) / np.sqrt(variances)
    gap = np.log(np.maximum(energy, 1e-30)) - np.log(curves)
    factor = gap.mean(1, keepdims=True)
    left = np.sqrt(((gap - factor) ** 2).mean(1))
    best = int(left.argmin())
    return curves[best] * np.exp(factor[best]), float(times[best]), float(left[best])


def first_layer(weights: np.ndarray, images: Tensor) -> xr.Dataset:
    """The energy of a first layer's filters along the principal components of image patches, and the fitted curve.

    Args:
        weights: ``(N, C, k, k)``, all filters; of a lifting layer those of every orientation.
        images: ``(B, C, H, W)`` as the network sees them.

    Returns:
        ``variance(component)``, ``energy(component)`` and ``fitted(component)``, the pictures
        ``picture(component, y, x)`` of the first channel, and the scalars ``time``, rate times steps of the curve, and
        ``left``, the root mean square gap in factors of e.

    Raises:
        ValueError: for images that have other channels.

    >>> ds = first_layer(np.random.default_rng(0).normal(size=(8, 1, 3, 3)), torch.randn(16, 1, 8, 8))
    >>> ds["energy"].sizes["component"]
    9
    """
    if weights.ndim != 4 or weights.shape[1] != images.shape[1]:
        raise ValueError(
            f"filters {weights.shape} and images {tuple(images.shape)} were given; expected (N, C, k, k) and "
            "(B, C, H, W) of as many channels."
        )
    k = weights.shape[-1]
    taps = np.abs(weights).max((0, 1)) > 0
    variances, components = patch_components(images, k, taps)
    kept = variances > FAINTEST * variances[0]
    rows = weights.reshape(*weights.shape[:2], -1)[:, :, taps.reshape(-1)].reshape(len(weights), -1)
    energy = filter_energy(rows, components)[kept]
    curve, time, left = fitted_energy(energy, variances[kept])
    pictures = np.zeros((len(variances), k * k))
    pictures[:, taps.reshape(-1)] = components[:, : int(taps.sum())]
    seen = len(_seen(images, k))
    attrs = provenance(
        "first_layer", seed="not used", dtype="float64", reduction="root mean square over filters",
        input_kind=f"whole patches of {'all' if seen == len(images) else f'{seen} of'} {len(images)} images",
        components=len(variances),
    )  # fmt: skip
    if not kept.all():
        attrs["showing_components"] = f"{int(kept.sum())} of {len(kept)} components"
    return xr.Dataset(
        {
            "variance": labelled("component", variances[kept], "variance of patches"),
            "energy": labelled("component", energy, "energy of the filters"),
            "fitted": labelled("component", curve, "linear model, fitted"),
            "picture": labelled(("component", "y", "x"), pictures[kept].reshape(-1, k, k), "component"),
            "time": labelled((), time, "learning rate times steps of the linear model"),
            "left": labelled((), left, "root mean square gap to the curve, in factors of e"),
        },
        {"component": labelled("component", np.arange(1, 1 + int(kept.sum())), "component of patches")},
        attrs,
    )
