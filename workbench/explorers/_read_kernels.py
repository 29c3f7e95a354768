"""What the kernel explorer shows of a network: its convolutions, their kernels, and what is measured of them; kept."""

from __future__ import annotations

import copy
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from workbench.explorers._runs import image_set, trained_model
from workbench.kernels import KernelBank, disc_mask, tap_offsets
from workbench.measure.dataset import labelled
from workbench.measure.filter_quality import filter_quality
from workbench.measure.first_layer import first_layer
from workbench.measure.kernel_symmetry import bandwidth, kernel_symmetry, lost_when_turned, power_map
from workbench.measure.kernels import spectrum
from workbench.measure.planar_kernels import as_rows, planar_kernels, planar_layers

FINE = 33
"""Points a side at which the function behind the taps is drawn."""
COURSE = 181
"""Relative rotations at which the centre weight is drawn."""
CENTRE = 3
ANGLES = np.arange(0, 361, 5.0)
MOST_TILES = 12
"""Channels a side that are drawn of a layer without a group."""
MOST_WEIGHTS = 4_000_000
"""Weights of a layer above which no statistics over all of them are taken while somebody waits."""


@lru_cache(maxsize=64)
def layers(path: Path | None) -> tuple[str, ...]:
    """Names of a network's convolutions that can be shown, in order."""
    return planar_layers(trained_model(path))


def channels(path: Path | None, name: str) -> tuple[int, int]:
    """Output and input channels of a layer; of an ordinary one on fields of C4, fields."""
    ds = layer_kernels(path, name, None)
    return ds.sizes["channel_out"], ds.sizes["channel_in"]


@lru_cache(maxsize=32)
def layer_kernels(path: Path | None, name: str, n: int | None) -> xr.Dataset:
    """Every kernel of a layer, at n elements where its group offers so many, else at its own; do not change it."""
    layer = trained_model(path).get_submodule(name)
    try:
        return planar_kernels(layer, n)
    except ValueError:  # a finite group, or learned gates, have their own number
        return planar_kernels(layer)


def own_count(path: Path | None, name: str) -> int | None:
    """The number of elements that a group layer has, None for others."""
    found = getattr(trained_model(path).get_submodule(name), "n", None)
    return found if isinstance(found, int) else None


@lru_cache(maxsize=32)
def network_quality(path: Path | None) -> xr.Dataset:
    """The three numbers of every layer of a network; do not change it."""
    found = {name: layer_kernels(path, name, own_count(path, name)) for name in layers(path)}
    return quality(found)


def quality(found: dict[str, xr.Dataset]) -> xr.Dataset:
    """The three numbers of layers, by name, from their kernels."""
    few = {name: ds for name, ds in found.items() if ds["kernel"].size <= MOST_WEIGHTS}
    ds = filter_quality({name: (as_rows(one), as_rows(one, every=True)) for name, one in few.items()})
    return ds if len(few) == len(found) else ds.assign_attrs(showing=f"showing {len(few)} of {len(found)} layers")


@lru_cache(maxsize=32)
def network_first_layer(path: Path | None) -> xr.Dataset | None:
    """The energy of a network's first layer among patches of its training images; None where it reads none directly."""
    names = layers(path)
    if not names:
        return None
    images = image_set(path).splits["train"][0]
    ds = layer_kernels(path, names[0], own_count(path, names[0]))
    rows = as_rows(ds, every=True)
    return first_layer(rows, images) if rows.shape[1] == images.shape[1] else None


def strip(ds: xr.Dataset, out: int, into: int, follow_deg: float) -> tuple[xr.Dataset, tuple[int, int]]:
    """The tiles of one channel pair, as shares of the layer's largest weight, and which of them is looked at.

    Returns:
        `kernel(g_out, g_in, y, x)`, `copy_column(g_out)` (-1: no frame in that row), `pose_out`, `pose_in`; and the
        row and column, in the layer's own kernels, of the framed tile.
    """
    largest = float(np.abs(ds["kernel"].values).max()) or 1.0
    values = ds["kernel"].transpose("g_out", "g_in", "channel_out", "channel_in", "y", "x").values
    kind = ds.attrs["kind"]
    poses: list[Any] = [ds["pose_out"], ds["pose_in"]]
    place, words, one_pair = (0, 0), "A kernel for every pair of poses", False
    if kind == "plain":
        tiles, copies, poses = _of_channels(values[0, 0], out, into)
        words = "A kernel for every pair of channels"
    elif values.shape[1] == 1:  # a lifting: columns are free for channels
        first, count = _window(out, values.shape[2])
        tiles = values[:, 0, first : first + count, into]
        copies = np.full(len(tiles), out - first)
        poses[1] = _numbered("g_in", range(first, first + count), "output channel")
        words = "A kernel for every pose and output channel"
    else:
        tiles, copies = values[:, :, out, into], _copies(ds, follow_deg)
        place, one_pair = (0, int(copies[0])), True
        if kind == "places":
            place, words = (len(tiles) // 2, tiles.shape[1] // 2), "The filter at 5 x 5 places"
    pairs = values.shape[2] * values.shape[3]
    drawn = 1 if one_pair else min(pairs, tiles.shape[1] * (tiles.shape[0] if kind == "plain" else 1))
    shown = f"showing {drawn} of {pairs} channel pairs" if drawn < pairs else ""
    found = xr.Dataset(
        {
            "kernel": labelled(("g_out", "g_in", "y", "x"), (tiles / largest).astype(np.float32), words),
            "copy_column": labelled("g_out", copies.astype(np.int16), "column of the kernel that is followed"),
            "limit": labelled((), 1.0, "end of the colour scale, a share of the largest weight"),
        },
        {"pose_out": poses[0], "pose_in": poses[1], "y": ds["y"], "x": ds["x"]},
        {**ds.attrs, "largest_weight": largest},
    )
    return (found.assign_attrs(showing=shown) if shown else found), place


def _of_channels(values: np.ndarray, out: int, into: int) -> tuple[np.ndarray, np.ndarray, list]:
    """Tiles of a layer without a group, by output and input channel; those of one input channel in rows of equals."""
    if values.shape[1] > 1:
        (top, rows), (left, columns) = (_window(at, size) for at, size in zip((out, into), values.shape, strict=False))
        tiles = values[top : top + rows, left : left + columns]
        copies = np.where(np.arange(rows) == out - top, into - left, -1)
        return (
            tiles,
            copies,
            [
                _numbered("g_out", range(top, top + rows), "output channel"),
                _numbered("g_in", range(left, left + columns), "input channel"),
            ],
        )
    first, count = _window(out, len(values), MOST_TILES**2)
    side = math.ceil(math.sqrt(count))
    rows = -(-count // side)
    tiles = np.zeros((rows * side, *values.shape[2:]), dtype=values.dtype)
    tiles[:count] = values[first : first + count, 0]
    copies = np.where(np.arange(rows) == (out - first) // side, (out - first) % side, -1)
    starts = _numbered("g_out", range(first, first + rows * side, side), "output channel, first of the row")
    return tiles.reshape(rows, side, *values.shape[2:]), copies, [starts, _numbered("g_in", range(side), "in the row")]


def _numbered(dim: str, channels: range, words: str) -> Any:
    return labelled(dim, [str(at + 1) for at in channels], words)


def _window(at: int, size: int, most: int = MOST_TILES) -> tuple[int, int]:
    """First index and number of the channels that are drawn around one."""
    count = min(size, most)
    return min(max(at - count // 2, 0), size - count), count


def _copies(ds: xr.Dataset, follow_deg: float) -> np.ndarray:
    """In each row the column that is the turned copy of the kernel that is followed; -1 where there is none."""
    rows, columns = ds.sizes["g_out"], ds.sizes["g_in"]
    if ds.attrs["kind"] == "places":
        return np.where(np.arange(rows) == rows // 2, columns // 2, -1)
    if columns == 1:
        return np.zeros(rows, dtype=np.int64)
    if ds.attrs["kind"] == "fields":
        relative = 90.0 * (np.arange(columns)[None] - np.arange(rows)[:, None])
        other = np.zeros_like(relative)
    else:
        relative = ds["angle_relative_deg"].values
        other = 10.0 * (ds["mirror_out"].values[:, None] != ds["mirror_in"].values[None])
        if "factor_out" in ds.coords:
            other = other + np.abs(np.log(ds["factor_in"].values[None] / ds["factor_out"].values[:, None]))

    def far(angle: float) -> np.ndarray:
        return np.abs((relative - angle + 180) % 360 - 180) + 1e3 * other

    target = float(relative[0, far(follow_deg)[0].argmin()])
    return far(target).argmin(1)


def function_behind(ds: xr.Dataset, layer: Any, pair: tuple[int, int], place: tuple[int, int]) -> dict:
    """The continuous function that a generated kernel is read from, and its centre while the relative angle goes round.

    Returns:
        The variables `surface(fine_y, fine_x)`, and `weight(relative_angle_deg)` on a group of rotations, as shares of
        the largest weight; of kernels that are stored tap by tap, the taps.
    """
    bank = getattr(layer, "kernels", None)
    largest = float(np.abs(ds["kernel"].values).max()) or 1.0
    if not (isinstance(bank, KernelBank) and layer.group.isometric):
        tile = ds["kernel"].values[place[0], place[1], pair[0], pair[1]] / largest
        return surface(torch.from_numpy(tile), "The framed kernel")
    group, grid = layer.group, layer.elements(ds.sizes["g_out"])
    output, source = grid[place[0]][None], None if bank.lifting else grid[place[1]][None]
    out, into = pair
    with torch.inference_mode():
        fine = read_at(bank, FINE)(output, source)[out, 0, into, 0].view(FINE, FINE)
        found = surface(fine / largest)
        if not bank.lifting and group.element_dim == 1:
            around = torch.linspace(-math.pi, math.pi, COURSE).to(grid)[:, None]
            values = read_at(bank, CENTRE)(grid[:1], around)[out, 0, into, :, CENTRE**2 // 2] * COURSE
            found |= course(values / largest, around)
    return found


def surface(values: torch.Tensor, words: str = "Behind the framed tile") -> dict:
    """The function behind the framed tile, or its taps, as variables."""
    line = torch.linspace(-1, 1, len(values))
    return {
        "surface": labelled(("fine_y", "fine_x"), values, words),
        "fine_y": labelled("fine_y", -line, "up, in half kernel widths"),
        "fine_x": labelled("fine_x", line, "right, in half kernel widths"),
    }


def course(values: torch.Tensor, around: torch.Tensor) -> dict:
    """The weight at the centre along relative rotations, as variables."""
    angles = labelled("relative_angle_deg", torch.rad2deg(around[:, 0]), "relative rotation", "degrees")
    return {
        "weight": labelled("relative_angle_deg", values, "Weight at the centre"),
        "relative_angle_deg": angles,
    }


def read_at(bank: KernelBank, kernel_size: int) -> KernelBank:
    """The same network read at other taps across the same disc."""
    other = copy.deepcopy(bank)
    other.kernel_size = kernel_size
    other.taps = (tap_offsets(kernel_size)[disc_mask(kernel_size)] / ((kernel_size - 1) / 2)).to(bank.taps)
    return other


def bands(ds: xr.Dataset, pair: tuple[int, int], place: tuple[int, int]) -> dict:
    """The spectrum of the kernels beside the framed one in its row, its bandwidth, and what turned copies lose."""
    plane = {"g_out": [place[0]], "channel_out": [pair[0]], "channel_in": [pair[1]]}
    if ds.attrs["kind"] == "places":
        plane["g_in"] = [place[1]]
    one = ds.isel(plane)
    power = power_map(one["kernel"].values)
    shares = spectrum(one)["power"]
    shares.attrs["long_name"] = "Power by frequency"
    lost = lost_when_turned(power, ANGLES)
    return {
        "power": shares,
        "bandwidth": labelled((), bandwidth(power), "radius that holds 95 % of the power", "cycles per pixel"),
        "lost": labelled("angle_deg", lost, "power that a turned copy loses"),
    }


def symmetry(ds: xr.Dataset, pair: tuple[int, int], place: tuple[int, int]) -> dict:
    """How much the framed kernel changes when it is turned or mirrored, beside the floor of turning pixels."""
    tile = ds["kernel"].isel(g_out=place[0], g_in=place[1], channel_out=pair[0], channel_in=pair[1]).values
    found = kernel_symmetry(tile[None], ANGLES)
    return {name: found[name].variable for name in ("turned", "mirrored", "floor", "angle_deg")}
