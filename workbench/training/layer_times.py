"""What one group convolution costs in each factorisation, measured once over a table of sizes and stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from workbench.models.separable_gcnn import SEVEN, Config
from workbench.training.kept_costs import interleaved
from workbench.training.randomness import own_randomness

if TYPE_CHECKING:
    import xarray as xr

WAYS = SEVEN[:5]
SIZES = {"channels": (4, 8, 16), "side": (5, 7, 9), "rotations": (4, 8, 12, 16), "batch": (8, 32)}
FEW = {"channels": (2,), "side": (5,), "rotations": (2, 4), "batch": (1,)}
PIXELS = 14
ROUNDS = 5


def layer_times(runs: Mapping[tuple[str, int], Path] | None = None, fast: bool = False) -> xr.Dataset:
    """Time of a training step of one layer, C to C channels on 14 x 14 pixels, for every factorisation and size.

    The layer is that of :class:`workbench.models.separable_gcnn.Config`, whose kernels are over rotations.

    Args:
        runs: taken as every study takes them, and not used.
        fast: one small size.

    Returns:
        `layer_ms(way, channels, side, rotations, batch, timing)`, process time of one forward and backward pass on one
        thread, kernels made anew, in rounds that go round the factorisations; `layer_parameters(way, channels)`, which
        depend on neither rotations nor kernel size.
    """
    import xarray as xr

    from workbench.measure import labelled, provenance

    sizes, rounds = (FEW, 1) if fast else (SIZES, ROUNDS)
    shape = tuple(map(len, sizes.values()))
    spent = np.zeros((len(WAYS), prod(shape), rounds))
    counted = np.zeros((len(WAYS), len(sizes["channels"])), dtype=np.int64)
    for places in product(*(range(len(options)) for options in sizes.values())):
        channels, side, n, batch = (options[at] for options, at in zip(sizes.values(), places, strict=True))
        made = [_step(way, n, channels, side, batch) for way in WAYS]
        counted[:, places[0]] = [count for _, count in made]
        at = np.ravel_multi_index(places, shape)
        spent[:, at] = interleaved([step for step, _ in made], rounds)
    times = spent.reshape(len(WAYS), *shape, rounds)
    words = {"rotations": "rotations", "channels": "channels", "side": "kernel size", "batch": "images in a batch"}
    units = {"side": "pixels"}
    return xr.Dataset(
        {
            "layer_ms": labelled(("way", *sizes, "timing"), times, "process time of one training step", "ms"),
            "layer_parameters": labelled(("way", "channels"), counted, "parameters"),
        },
        {
            "way": labelled("way", list(WAYS), "factorisation"),
            **{
                name: labelled(name, np.asarray(options), words[name], units.get(name, "1"))
                for name, options in sizes.items()
            },
            "timing": labelled("timing", np.arange(rounds), "round of timing"),
        },
        provenance(
            "layer_times", seed=0, dtype="float32", reduction="none: one value per round", pixels=PIXELS, threads=1,
            input_kind="white noise",
        ),
    )  # fmt: skip


def _step(way: str, n: int, channels: int, side: int, batch: int) -> tuple[Callable[[], None], int]:
    """One training step of a layer, and its number of parameters."""
    from workbench.groups import SO2, GroupSignal
    from workbench.layers import set_n

    layer = _layer(way, channels, side)
    with own_randomness(0):
        values = torch.randn(batch, channels, n, PIXELS, PIXELS, requires_grad=True)
    signal = GroupSignal(values, SO2().grid(n), SO2())

    def step() -> None:
        set_n(layer, n)
        layer.zero_grad()
        values.grad = None
        layer(signal).values.sum().backward()

    return step, sum(parameter.numel() for parameter in layer.parameters())


@lru_cache(maxsize=len(WAYS))
def _layer(way: str, channels: int, side: int) -> nn.Module:
    """Kept from size to size: making a layer calibrates its gain, which takes longer than a step."""
    with own_randomness(0):
        return Config(factorisation=way, sampling="grid").layer(channels, channels, side)
