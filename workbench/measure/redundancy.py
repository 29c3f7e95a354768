"""How much of a group kernel is one spatial pattern in all orientations: what a separable kernel could replace."""

from typing import Any

import numpy as np
import xarray as xr

from workbench.measure.dataset import labelled, validate
from workbench.measure.kernels import kernels
from workbench.measure.provenance import provenance


def redundancy(layer: Any, n: int | None = None, stored: xr.Dataset | None = None) -> xr.Dataset:
    r"""Energy of the singular components of each kernel, as a matrix of input elements by pixels.

    The kernel of an output element and a pair of channels is a matrix ``(G, k^2)``. If it is one spatial pattern times
    a number for each element, it has one component: the kernel is separable.

    Args:
        layer: a group convolution with ``bank(outputs, inputs, uniform)``, such as
            :class:`workbench.layers.GroupConv` or :class:`workbench.layers.SeparableConv`.
        n: number of elements; the layer's own where not given.
        stored: what :func:`workbench.measure.kernels` gave for the layer, where it is known; then ``n`` is not used.

    Returns:
        ``share(channel_out, channel_in, component)``, the squared singular values over their sum, largest first (0
        for a kernel that is 0), and ``energy(component)``, their mean over pairs of channels weighted by the size of
        the kernels, with ``energy_sem``, the standard error of the plain mean over output channels.

    Raises:
        TypeError: for anything but a group convolution.

    >>> from workbench.layers import SeparableConv
    >>> redundancy(SeparableConv(2, 3, 5)).energy.values.round(6)[:2]
    array([1., 0.])

    Source: Knigge, Romero & Bekkers 2022 (arXiv 2110.13059), who look at the components of kernels over the group; how
    they average is unverified, the definition here is ours.
    """
    if not hasattr(layer, "bank") or getattr(getattr(layer, "kernels", None), "lifting", True):
        raise TypeError(
            f"a {type(layer).__name__} was given; expected a group convolution, such as workbench.layers.GroupConv, "
            "because other kernels have no group axis."
        )
    found = (kernels(layer, n) if stored is None else stored)["kernel"]
    # other output elements hold the same, turned; where a list of stretches ends, some neighbours are missing
    middle = 0 if layer.group.isometric else found.sizes["g_out"] // 2
    tiles = found.isel(g_out=middle).values
    matrices = np.moveaxis(tiles.reshape(*tiles.shape[:3], -1), 0, 2).astype(np.float64)
    squares = np.linalg.svd(matrices, compute_uv=False) ** 2
    whole = squares.sum(-1, keepdims=True)
    share = np.divide(squares, whole, out=np.zeros_like(squares), where=whole > 0)
    total = squares.sum()
    energy = squares.sum((0, 1)) / total if total > 0 else np.zeros(squares.shape[-1])
    rows = share.mean(1)
    spread = rows.std(0, ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else np.full(rows.shape[1], np.nan)
    ds = xr.Dataset(
        {
            "share": labelled(("channel_out", "channel_in", "component"), share, "share of a kernel's energy"),
            "energy": labelled("component", energy, "share of the energy of all kernels"),
            "energy_sem": labelled("component", spread, "standard error of the mean share over output channels"),
        },
        coords={
            "component": labelled("component", np.arange(1, squares.shape[-1] + 1), "singular component"),
            "channel_out": labelled("channel_out", np.arange(share.shape[0]), "output channel"),
            "channel_in": labelled("channel_in", np.arange(share.shape[1]), "input channel"),
        },
        attrs=provenance(
            "redundancy", seed="not used", dtype="float64", group=layer.group.name, elements=matrices.shape[2]
        ),
    )
    return validate(ds, {"energy": ("component",)})


def leading_pattern(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The one picture, and its number for each element, that come closest to a row of kernels.

    Args:
        kernel: ``(G, y, x)``, the kernels of one output element and pair of channels.

    Returns:
        ``(y, x)``, whose largest weight is 1 in size, and ``(G,)``; their product is the first singular component.

    >>> picture, numbers = leading_pattern(np.multiply.outer([1.0, -2.0], [[0.0, 3.0]]))
    >>> picture.round(6).tolist(), numbers.round(6).tolist()
    ([[0.0, 1.0]], [3.0, -6.0])
    """
    left, size, right = np.linalg.svd(kernel.reshape(len(kernel), -1).astype(np.float64), full_matrices=False)
    picture = right[0]
    largest = picture[np.abs(picture).argmax()]
    return (picture / largest).reshape(kernel.shape[1:]), left[:, 0] * size[0] * largest
