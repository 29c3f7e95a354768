"""The kernels of any planar convolution as one labelled array, whatever the layer makes them from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from workbench.measure.dataset import labelled
from workbench.measure.kernels import kernels
from workbench.measure.provenance import provenance
from workbench.measure.state import undisturbed

PLACES = 5
"""Places a side at which filters that drift over an image are read."""
KINDS = ("plain", "group", "fields", "places")


def kind_of(layer: object) -> str | None:
    """Which of `KINDS` a planar convolution is; None for another module, and for kernels of one tap.

    "plain": one kernel for each pair of channels. "group": also for each pair of group elements. "fields": an ordinary
    convolution whose channels are regular fields of C4 (:mod:`workbench.layers.quarter_turns`). "places": filters that
    drift over the image (:class:`workbench.layers.RelaxedConv2d`).

    >>> kind_of(nn.Conv2d(1, 2, 3)), kind_of(nn.Conv2d(1, 2, 1)), kind_of(nn.ReLU())
    ('plain', None, None)
    """
    if isinstance(layer, nn.Conv2d):
        if max(layer.kernel_size) == 1:
            return None
        return "plain" if _first(layer) is None else "fields"
    if not isinstance(getattr(layer, "kernel_size", None), int) or layer.kernel_size == 1:  # type: ignore[attr-defined]
        return None
    if hasattr(layer, "bank") and hasattr(layer, "group"):
        return "group"
    return "places" if hasattr(getattr(layer, "kernels", None), "everywhere") else None


def planar_layers(model: nn.Module) -> tuple[str, ...]:
    """Names of the convolutions of a model that :func:`planar_kernels` reads, in order.

    >>> planar_layers(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 1)))
    ('0',)
    """
    return tuple(name for name, module in model.named_modules() if kind_of(module))


def planar_kernels(layer: Any, n: int | None = None) -> xr.Dataset:
    """Every kernel of a planar convolution.

    Args:
        layer: a plain, lifting, group, partial, separable, stretched or relaxed convolution; an ordinary one on regular
            fields of C4.
        n: elements of a group layer; its own where not given. No effect on others.

    Returns:
        ``kernel(g_out, g_in, channel_out, channel_in, y, x)``. Over g_out and g_in stand, by the attribute ``kind``:
        nothing, one element each (plain); group elements (group, fields); rows and columns of places (places).
        Coordinates ``pose_out``, ``pose_in`` say each in words, ``y``, ``x`` are in pixels from the centre, y up; those
        of a group layer also have what :func:`workbench.measure.kernels` gives.

    Raises:
        ValueError: for another module, or a number of elements that the group cannot offer.

    >>> dict(planar_kernels(nn.Conv2d(2, 3, 5)).sizes)
    {'g_out': 1, 'g_in': 1, 'channel_out': 3, 'channel_in': 2, 'y': 5, 'x': 5}
    """
    kind = kind_of(layer)
    if kind is None:
        raise ValueError(
            f"a {type(layer).__name__} was given; expected a planar convolution with more than one tap, such as "
            "nn.Conv2d(1, 2, 3) or workbench.layers.GroupConv(1, 2, 3)."
        )
    if kind == "group":
        ds = kernels(layer, n)
        poses = {side: labelled(f"g_{side}", _poses(ds, side), f"{words} pose") for side, words in _SIDES.items()}
        return ds.assign_coords({f"pose_{side}": pose for side, pose in poses.items()}).assign_attrs(kind=kind)
    with undisturbed(layer), torch.no_grad():
        values, names, words = _READ[kind](layer)
    return _labelled(values, names, words, kind, layer)


_SIDES = {"out": "output", "in": "input"}


def _plain(layer: Any) -> tuple[np.ndarray, tuple[list[str], list[str]], tuple[str, str]]:
    return _array(layer.weight)[None, None], ([""], [""]), ("output", "input")


def _fields(layer: Any) -> tuple[np.ndarray, tuple[list[str], list[str]], tuple[str, str]]:
    weight = _array(layer.weight)
    turns = [f"{90 * r}°" for r in range(4)]
    apart = weight.reshape(-1, 4, *weight.shape[1:])
    if _first(layer):
        return apart.transpose(1, 0, 2, 3, 4)[:, None], (turns, ["0°"]), ("output pose", "input pose")
    apart = apart.reshape(*apart.shape[:2], -1, 4, *weight.shape[2:])
    return apart.transpose(1, 3, 0, 2, 4, 5), (turns, turns), ("output pose", "input pose")


def _places(layer: Any) -> tuple[np.ndarray, tuple[list[str], list[str]], tuple[str, str]]:
    k = layer.kernel_size
    filters = _array(layer.kernels.everywhere((PLACES, PLACES)))
    share = [(at + 0.5) / PLACES for at in range(PLACES)]
    names = [f"{100 * s:.0f} %" for s in share]
    values = filters.reshape(PLACES, PLACES, *filters.shape[1:3], k, k)
    return values, (names, names), ("place, from the top", "place, from the left")


_READ = {"plain": _plain, "fields": _fields, "places": _places}


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()


def _first(layer: Any) -> bool | None:
    """Whether a convolution on fields of C4 reads an image; None for one that is not on fields."""
    made = getattr(layer, "parametrizations", None)
    found = getattr(made["weight"][0] if made is not None and "weight" in made else layer, "first", None)
    return found if isinstance(found, bool) else None


def _labelled(
    values: np.ndarray, names: tuple[list[str], list[str]], words: tuple[str, str], kind: str, layer: Any
) -> xr.Dataset:
    down, across = ((np.arange(size) - (size - 1) / 2) for size in values.shape[-2:])
    return xr.Dataset(
        {"kernel": labelled(("g_out", "g_in", "channel_out", "channel_in", "y", "x"), values, "kernel weight")},
        {
            "pose_out": labelled("g_out", names[0], words[0]),
            "pose_in": labelled("g_in", names[1], words[1]),
            "channel_out": labelled("channel_out", np.arange(values.shape[2]), "output channel"),
            "channel_in": labelled("channel_in", np.arange(values.shape[3]), "input channel"),
            "y": labelled("y", down[::-1].copy(), "up from the centre", "pixels"),
            "x": labelled("x", across, "right from the centre", "pixels"),
        },
        provenance(
            "planar_kernels", seed="not used", dtype=str(values.dtype), reduction="none", kind=kind, layer=str(layer)
        ),
    )


def _poses(ds: xr.Dataset, side: str) -> list[str]:
    """Angle, mirror and factor of each element, in words; only what differs among them."""
    angles, mirror = ds[f"angle_{side}_deg"].values, ds[f"mirror_{side}"].values
    words = [f"{round(float(angle), 1) % 360:g}°" for angle in angles]
    words = [f"{word} mirrored" if sign < 0 else word for word, sign in zip(words, mirror, strict=True)]
    if f"factor_{side}" in ds.coords:
        turned = words if len(set(words)) > 1 else [""] * len(words)
        words = [f"{w} x{f:.2f}".strip() for w, f in zip(turned, ds[f"factor_{side}"].values, strict=True)]
    return words


def as_rows(ds: xr.Dataset, every: bool = False) -> np.ndarray:
    """The weights of one output element, ``(C_out, G_in C_in, k, k)``, or of all, ``(G_out C_out, G_in C_in, k, k)``.

    Filters at places are no inputs of each other: there one place, the middle one, stands for all, or all are rows.
    """
    values = ds["kernel"].transpose("g_out", "g_in", "channel_out", "channel_in", "y", "x").values
    if ds.attrs["kind"] == "places":
        values = values.reshape(-1, 1, *values.shape[2:])
        middle = len(values) // 2
        values = values if every else values[middle : middle + 1]
    values = values if every else values[:1]
    rows = values.transpose(0, 2, 1, 3, 4, 5)
    return rows.reshape(rows.shape[0] * rows.shape[1], -1, *values.shape[-2:])
