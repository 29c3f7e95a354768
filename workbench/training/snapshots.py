"""A few kernels of every layer at some epochs, so that training can be scrubbed through without the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

KERNELS = 4  # output channels per layer, first input channel, at the identity
PLACES = 5  # a side, evenly over the image, at which a filter that drifts over the image is kept: one channel pair


def snapshot_epochs(epochs: int, points: int) -> set[int]:
    """At most `points` of the epochs 1, 2, ..., evenly spread, the first and the last among them.

    >>> sorted(snapshot_epochs(40, 4))
    [1, 14, 27, 40]
    """
    return {int(epoch) for epoch in np.linspace(1, epochs, min(points, epochs)).round()}


@torch.no_grad()
def kernel_snapshot(model: nn.Module) -> dict[str, dict[str, Any]]:
    """Up to `KERNELS` kernels (P, k, k) of every convolution and, as `of`, how many it has.

    Group layers are asked for the kernels between identity elements; fixed convolutions show their weights. Kernels
    of one tap are left out. The mean over input elements is not divided out: one input element is asked for. Relaxed
    layers, whose filters drift over the image, show one channel pair at `PLACES` x `PLACES` places, row by row.
    """
    found = {}
    for name, layer in model.named_modules():
        drifting = getattr(getattr(layer, "kernels", None), "everywhere", None)
        if drifting is not None and layer.kernel_size > 1:
            filters = drifting((PLACES, PLACES))
            square = filters[:, 0, 0].unflatten(-1, (layer.kernel_size, layer.kernel_size))
            of = filters.shape[0] * filters.shape[1] * filters.shape[2]
            found[name] = {"of": of, "values": square.float().cpu().clone()}
            continue
        kernels = _kernels(layer)
        if kernels is not None and kernels.shape[-1] > 1:
            of = kernels.shape[0] * kernels.shape[1]
            found[name] = {"of": of, "values": kernels[:KERNELS, 0].float().cpu().clone()}
    return found


def _kernels(layer: Any) -> Tensor | None:
    """All kernels (C_out, C_in, k, k) of a convolution between identity elements, None for another module."""
    if isinstance(layer, nn.Conv2d):
        return layer.weight
    if not (hasattr(layer, "bank") and hasattr(layer, "group") and hasattr(layer, "kernel_size")):
        return None
    like = next(layer.parameters())
    identity = layer.group.identity(like.dtype, like.device)[None]
    lifting = bool(getattr(layer.kernels, "lifting", False))
    bank = layer.bank(identity, None if lifting else identity)
    return bank[:, 0, :, 0].unflatten(-1, (layer.kernel_size, layer.kernel_size))


def as_variables(rows: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Variables and coordinates of the history: `kernel` over snapshot, kernel_layer, kernel_number, y and x.

    Smaller kernels sit in the middle of the largest one's square and are 0 around it; `kernel_taps` tells their size.
    """
    taken = [row for row in rows if row.get("kernels")]
    if not taken:
        return {}, {}
    layers = list(taken[0]["kernels"])
    first = [taken[0]["kernels"][layer] for layer in layers]
    count, size = max(len(k["values"]) for k in first), max(k["values"].shape[-1] for k in first)
    values = np.zeros((len(taken), len(layers), count, size, size), dtype=np.float32)
    for at, row in enumerate(taken):
        for place, layer in enumerate(layers):
            one = row["kernels"][layer]["values"].numpy()
            edge = (size - one.shape[-1]) // 2
            values[at, place, : len(one), edge : edge + one.shape[-1], edge : edge + one.shape[-1]] = one
    line = np.arange(size) - (size - 1) / 2
    shown = ", ".join(f"{len(k['values'])} of {k['of']}" for k in first)
    dims = ("snapshot", "kernel_layer", "kernel_number", "y", "x")
    words = {"long_name": "kernel weight at the identity", "units": "1", "showing": f"{shown} kernels per layer"}
    taps = np.array([k["values"].shape[-1] for k in first], dtype=np.int64)
    epochs = np.array([row["epoch"] for row in taken], dtype=np.int64)
    coords = {
        "snapshot_epoch": ("snapshot", epochs, {"long_name": "epoch of the snapshot", "units": "1"}),
        "kernel_layer": ("kernel_layer", np.asarray(layers, dtype=str), {"long_name": "layer", "units": "1"}),
        "kernel_taps": ("kernel_layer", taps, {"long_name": "taps a side", "units": "1"}),
        "kernel_number": ("kernel_number", np.arange(count), {"long_name": "output channel, or place", "units": "1"}),
        "y": ("y", line[::-1].copy(), {"long_name": "up from the centre", "units": "pixels"}),
        "x": ("x", line, {"long_name": "right from the centre", "units": "pixels"}),
    }
    return {"kernel": (dims, values, words)}, coords
