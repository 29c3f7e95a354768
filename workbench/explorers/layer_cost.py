"""What does a layer over rotations cost, and which product of kernels saves what?"""

from __future__ import annotations

from typing import Any

import numpy as np
import param
import xarray as xr

from workbench.explorers._explorer import Explorer
from workbench.explorers.seeds import load
from workbench.kernels.factored import multiply_adds
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.views.layer_cost import cost_picture

METHOD = "separable_gcnn"
WHOLE = "nonseparable"


class LayerCostExplorer(Explorer):
    """Products counted and times measured of one group layer, for every factorisation of its kernels.

    >>> ds = LayerCostExplorer(rotations=16).dataset()
    >>> count = ds["multiply_adds"]
    >>> bool(count.sel(way="separable") < count.sel(way="nonseparable") / 10)
    True
    """

    slug = "layer_cost"
    title = "Cost of a layer"
    question = "What does a layer over rotations cost, and which product of kernels saves what?"
    explanation = (
        "A full group convolution multiplies once for every pair of channels, every pair of rotations and every pixel "
        "of the kernel. A product of kernels takes these apart. The bars count the multiplications of each way to "
        "build the same layer, and stand beside the time that one training step took when it was measured: making the "
        "kernels, the forward and the backward pass, on one thread. Count and clock do not agree, because short steps "
        "are bound by memory and because the kernels have to be made as well. The curves show from how many rotations "
        "on a way pays off. The times are stored results; workbench reproduce separable_gcnn measures them again on "
        "your machine."
    )

    rotations = param.Selector(
        objects={"4": 4, "8": 8, "12": 12, "16": 16}, default=8, label="Rotations", doc="How many the layer works with."
    )
    channels = param.Selector(
        objects={"4": 4, "8": 8, "16": 16}, default=8, label="Channels", doc="Of the layer, on both sides."
    )
    side = param.Selector(
        objects={"5 x 5": 5, "7 x 7": 7, "9 x 9": 9},
        default=7,
        label="Kernel size (pixels)",
        doc="How many pixels a kernel covers.",
    )
    batch = param.Selector(
        objects={"8": 8, "32": 32}, default=8, label="Images in a batch", doc="How many images a step takes at once."
    )

    def compute(self) -> xr.Dataset:
        """Read the stored times of this size, and count."""
        return cost_dataset(load(METHOD), self.rotations, self.channels, self.side, self.batch)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return cost_picture(ds)


EXPLORER = LayerCostExplorer


def cost_dataset(claims: xr.Dataset, rotations: int, channels: int, side: int, batch: int) -> xr.Dataset:
    """What the explorer shows of one size.

    Args:
        claims: with `layer_ms` and `layer_parameters`, see :func:`workbench.training.layer_times.layer_times`.
        rotations, channels, side, batch: one of the stored sizes.

    Returns:
        `multiply_adds(way)` per output pixel and image, `parameters(way)`, and `step_ms(way, rotations)` with the
        quartiles `step_low_ms` and `step_high_ms` of its rounds.
    """
    stored = claims[["layer_ms", "layer_parameters"]].sel(channels=channels)
    times = stored["layer_ms"].sel(side=side, batch=batch).transpose("way", "rotations", "timing")
    ways = [str(way) for way in stored["way"].values]
    counted = [sum(multiply_adds(way, channels, channels, rotations, rotations, side**2)) for way in ways]
    low, middle, high = np.quantile(times.values, (0.25, 0.5, 0.75), axis=-1)
    over = ("way", "rotations")
    return xr.Dataset(
        {
            "multiply_adds": labelled("way", counted, "Multiply-adds per pixel"),
            "parameters": labelled("way", stored["layer_parameters"].values, "Parameters"),
            "step_ms": labelled(over, middle, "Time of a training step", "ms"),
            "step_low_ms": labelled(over, low, "lower quartile", "ms"),
            "step_high_ms": labelled(over, high, "upper quartile", "ms"),
        },
        {
            "way": labelled("way", ways, "factorisation"),
            "rotations": labelled("rotations", times["rotations"].values, "rotations"),
        },
        provenance(
            "cost_dataset", seed=0, dtype="float32", reduction="median and quartiles over rounds", chosen=rotations,
            channels=channels, side=side, batch=batch, pixels=int(claims.attrs.get("layers_pixels", 0)),
            machine=str(claims.attrs.get("machine", "")), whole=WHOLE,
        ),
    )  # fmt: skip
