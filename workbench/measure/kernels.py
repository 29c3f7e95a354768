"""The kernels of a trained layer as labelled arrays, and how fast they vary."""

from typing import Any

import numpy as np
import torch
import xarray as xr

from workbench.groups import O2
from workbench.groups.base import check_count
from workbench.measure.dataset import labelled, validate
from workbench.measure.provenance import provenance
from workbench.measure.state import undisturbed

_PADDED = 64  # taps a side after zero padding: the rings of the spectrum are then well filled
_RINGS = 24


def kernels(layer: Any, n: int | None = None, channels: int | None = None) -> xr.Dataset:
    r"""All kernels :math:`k(h^{-1} x, h^{-1} \tilde h)` of a layer for output elements h and input elements h'.

    Args:
        layer: a group layer with ``bank(outputs, inputs, uniform)``, ``group``, ``n`` and ``kernel_size``.
        n: elements on both sides; the layer's own number where not given.
        channels: at most so many output and input channels; the attribute ``showing`` then says so.

    Returns:
        ``kernel(g_out, g_in, channel_out, channel_in, y, x)`` without the layer's mean over inputs, so that it does
        not depend on n. Coordinates ``angle_out_deg``, ``mirror_out``, ``angle_in_deg``, ``mirror_in``, the relative
        rotation ``angle_relative_deg(g_out, g_in)``, and ``y``, ``x`` in pixels from the centre, y up; of groups that
        stretch also ``factor_out`` and ``factor_in``, the root of the determinant. A lifting layer has one input
        element.

    Raises:
        ValueError: for another module or a bad number.

    >>> from workbench.layers import GroupConv
    >>> dict(kernels(GroupConv(2, 3, 5), n=4).sizes)
    {'g_out': 4, 'g_in': 4, 'channel_out': 3, 'channel_in': 2, 'y': 5, 'x': 5}

    Source: Romero & Lohit 2022 (arXiv 2110.10211), eq. of the group convolution.
    """
    if not (hasattr(layer, "bank") and hasattr(layer, "group") and hasattr(layer, "kernel_size")):
        raise ValueError(
            f"a {type(layer).__name__} was given; expected a group layer that offers its kernels, such as "
            "workbench.layers.GroupConv."
        )
    count = layer.n if n is None else check_count(n, "kernels: n")
    limit = None if channels is None else check_count(channels, "kernels: channels")
    size, group = layer.kernel_size, layer.group
    weight = next(layer.parameters())
    own = getattr(layer, "elements", None)
    grid = group.grid(count, dtype=weight.dtype, device=weight.device) if own is None else own(count)
    lifting = bool(getattr(layer.kernels, "lifting", False)) if hasattr(layer, "kernels") else False
    inputs = None if lifting else grid
    with undisturbed(layer):
        bank = layer.bank(grid, inputs, True)
    outgoing, incoming = bank.shape[0], bank.shape[2]
    values = (bank * (1 if inputs is None else len(inputs)))[:limit, :, :limit]
    values = values.permute(1, 3, 0, 2, 4).unflatten(-1, (size, size)).cpu()
    sources = group.identity(grid.dtype, grid.device)[None] if lifting else grid
    relative = group.product(group.inverse(grid)[:, None], sources[None])
    (angle, mirror), (angle_in, mirror_in) = _named(grid, group), _named(sources, group)
    line = np.arange(size) - (size - 1) / 2
    ds = xr.Dataset(
        {"kernel": labelled(("g_out", "g_in", "channel_out", "channel_in", "y", "x"), values, "kernel weight")},
        coords={
            "angle_out_deg": labelled("g_out", angle, "output orientation", "degrees"),
            "mirror_out": labelled("g_out", mirror, "mirror of the output"),
            "angle_in_deg": labelled("g_in", angle_in, "input orientation", "degrees"),
            "mirror_in": labelled("g_in", mirror_in, "mirror of the input"),
            "angle_relative_deg": labelled(
                ("g_out", "g_in"), _named(relative, group)[0], "relative rotation", "degrees"
            ),
            "channel_out": labelled("channel_out", np.arange(values.shape[2]), "output channel"),
            "channel_in": labelled("channel_in", np.arange(values.shape[3]), "input channel"),
            "y": labelled("y", line[::-1], "up from the centre", "pixels"),
            "x": labelled("x", line, "right from the centre", "pixels"),
        },
        attrs=provenance(
            "kernels",
            seed="not used",
            dtype=weight.dtype,
            reduction="none: the layer's mean over inputs is taken out",
            group=group.name,
            n=count,
            layer=str(layer),
        ),
    )
    if not group.isometric:
        for side, elements in (("out", grid), ("in", sources)):
            area = torch.linalg.det(group.matrix(elements.detach().double().cpu())).numpy()
            words = "factor of lengths, the root of the determinant"
            ds.coords[f"factor_{side}"] = labelled(f"g_{side}", np.sqrt(area), words)
    if values.shape[2] * values.shape[3] < outgoing * incoming:
        shown = f"showing {values.shape[2] * values.shape[3]} of {outgoing * incoming} channel pairs"
        ds.attrs["showing"] = shown
    return ds


def _named(grid: torch.Tensor, group: Any) -> tuple[np.ndarray, np.ndarray]:
    elements = grid.detach().cpu().double()
    if not group.isometric:
        matrix = group.matrix(elements)
        turn = torch.atan2(matrix[..., 1, 0] - matrix[..., 0, 1], matrix[..., 0, 0] + matrix[..., 1, 1])
        return np.rad2deg(turn.numpy()), np.ones(turn.shape, dtype=np.int64)
    angle = np.rad2deg(elements[..., 0].numpy())
    mirror = elements[..., 1].round().long().numpy() if isinstance(group, O2) else np.ones_like(angle, dtype=np.int64)
    return angle, mirror


def spectrum(ds: xr.Dataset) -> xr.Dataset:
    r"""The share of the kernels' power at each spatial frequency, over rings of equal width.

    Power :math:`|\hat k(\nu)|^2` of the zero-padded kernels, summed over everything but the ring. A kernel with power
    near half a cycle per pixel varies as fast as the grid can hold: turned by other than quarter turns, it aliases.

    Args:
        ds: from :func:`kernels`.

    Returns:
        ``power(frequency)``, summing to 1; ``frequency`` in cycles per pixel, the middle of each ring.

    >>> from workbench.layers import LiftingConv
    >>> float(spectrum(kernels(LiftingConv(1, 2, 5))).power.sum())
    1.0
    """
    validate(ds, {"kernel": ("g_out", "g_in", "channel_out", "channel_in", "y", "x")})
    transformed = np.fft.fft2(ds.kernel.values.astype(np.float64), s=(_PADDED, _PADDED))
    power = (np.abs(transformed) ** 2).reshape(-1, _PADDED, _PADDED).sum(0)
    line = np.fft.fftfreq(_PADDED)
    edges = np.linspace(0, np.sqrt(0.5) + 1e-12, _RINGS + 1)
    rings = np.digitize(np.hypot(line[:, None], line[None]), edges) - 1
    shares = np.bincount(rings.ravel(), weights=power.ravel(), minlength=_RINGS)
    total = shares.sum()
    return xr.Dataset(
        {"power": labelled("frequency", shares / total if total else shares, "share of the kernels' power")},
        coords={"frequency": labelled("frequency", (edges[1:] + edges[:-1]) / 2, "frequency", "cycles per pixel")},
        attrs={**ds.attrs, "created_by": "spectrum", "reduction": "sum over kernels and rings"},
    )
