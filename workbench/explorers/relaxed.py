"""How much may a filter change from place to place?"""

from __future__ import annotations

import copy
import threading
from functools import lru_cache
from typing import Any

import numpy as np
import param
import torch
import xarray as xr

from workbench.explorers._explorer import Explorer
from workbench.layers import RelaxedConv2d
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.measure.relaxed import SHIFT, corner, filter_atlas, operator_matrix, operator_symmetry
from workbench.views.relaxed import relaxed_picture

SIDE = 8
SIZE = (SIDE, SIDE)
FEATURES = 128
EXTREMES = ("linear", "equivariant", "invariant")
WAY = (0.0, 0.05, 0.12, 0.25, 0.5, 1.0, 2.0)
"""Dials of the dotted way through the triangle."""
_building = threading.Lock()  # weights are drawn from torch's global generator


class RelaxedExplorer(Explorer):
    """The filters, the matrix and the symmetry of one untrained relaxed layer on a small torus.

    >>> ds = RelaxedExplorer(absolute=0).dataset()
    >>> float(ds["equivariance_error"]) < 2e-6, float(RelaxedExplorer(relative=0).dataset()["rank"])
    (True, 1.0)
    """

    slug = "relaxed"
    title = "Relaxed filters"
    question = "How much may a filter change from place to place?"
    explanation = (
        "A convolution uses one filter everywhere. Here a small network makes the filter from two things: where the "
        "pixel lies within the filter, and where the answer lies in the image. Two dials say how fast it may change "
        "along each. With the dial of the place at 0 all filters are the same: a convolution, which answers a shifted "
        "picture by a shifted answer. Turn it up and the filters drift apart, until each place does something of its "
        "own: any linear map. With the other dial at 0 each filter is flat, and one as wide as the image no longer "
        "sees where things are. After van der Ouderaa and others (2022); the parameterisation is a reconstruction."
    )

    absolute = param.Number(
        0.1,
        bounds=(0, 2),
        step=0.01,
        label="Dial of the place (cycles across the image)",
        doc="How fast the filter may change with the place of the answer; at 0 it is the same everywhere.",
    )
    relative = param.Number(
        1.0,
        bounds=(0, 2),
        step=0.01,
        label="Dial along the filter (cycles per half width)",
        doc="How fast the weights may change within one filter; at 0 every filter is flat.",
    )
    kernel_size = param.Selector(
        objects={"3 x 3": 3, "5 x 5": 5, "whole image": SIDE},
        default=SIDE,
        label="Filter size (pixels)",
        doc="How many pixels a filter covers on this image of 8 x 8, whose borders are joined.",
    )
    show = param.Selector(
        objects={"filters": "filter", "difference to the middle": "difference"},
        default="filter",
        label="Atlas",
        doc="Show the filters themselves, or how each differs from the framed one in the middle.",
    )
    seed = param.Integer(0, bounds=(0, 50), step=1, label="Seed", doc="Another draw of the random network.")

    def compute(self) -> xr.Dataset:
        """Filters at 5 x 5 places, the matrix, both errors, the rank, and the way of the dial through the triangle."""
        return relaxed_dataset(self.absolute, self.relative, self.kernel_size, self.seed, self.show)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return relaxed_picture(ds)


EXPLORER = RelaxedExplorer


def relaxed_dataset(absolute: float, relative: float, kernel_size: int, seed: int, show: str = "filter") -> xr.Dataset:
    """Everything the explorer shows of one layer with one channel on a torus of 8 x 8 pixels.

    Args:
        absolute, relative: the dials.
        kernel_size: k taps a side.
        seed: of the layer's weights.
        show: "filter" or "difference", which of the two is `shown`.
    """
    layer = _at(absolute, relative, kernel_size, seed)
    matrix = operator_matrix(layer, SIZE, layer.kernels.phase)
    found = operator_symmetry(matrix, SIZE)
    atlas = filter_atlas(layer.kernels, SIZE)
    words = {"filter": "The filter at 5 x 5 places", "difference": "Differences to the middle one"}
    pixels = np.arange(SIDE * SIDE, dtype=np.int16)
    errors = {
        "equivariance_error": "|M T - T M| / |M|, T a cyclic shift",
        "invariance_error": "|M T - M| / |M|",
        "rank": "rank of the matrix",
    }
    return xr.Dataset(
        {
            "shown": labelled(("row", "column", "y", "x"), atlas[show].values.astype(np.float32), words[show]),
            "matrix": labelled(("output", "input"), (matrix / matrix.abs().max()).float(), "share of the largest"),
            "share": labelled("extreme", corner(found), "share of each extreme"),
            "path": labelled(("dial", "extreme"), _way(relative, kernel_size, seed), "share along the dial"),
            **{name: labelled((), found[name], said) for name, said in errors.items()},
        },
        {
            "place_y": atlas["place_y"],
            "place_x": atlas["place_x"],
            "output": labelled("output", pixels, "output pixel, row by row"),
            "input": labelled("input", pixels, "input pixel, row by row"),
            "extreme": labelled("extreme", list(EXTREMES), "extreme"),
            "dial": labelled("dial", list(WAY), "dial of the place"),
        },
        provenance(
            "relaxed_dataset", seed=seed, dtype="float64", padding="circular", reduction="Frobenius norms",
            shift=SHIFT, absolute=absolute, relative=relative, kernel_size=kernel_size, features=FEATURES,
        ),
    )  # fmt: skip


@lru_cache(maxsize=64)
def _layer(kernel_size: int, seed: int) -> RelaxedConv2d:
    """Seeded weights; shared, do not turn its dials."""
    with _building, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = RelaxedConv2d(1, 1, kernel_size, features=FEATURES, bias=False, learned=())
    return layer.double().eval().requires_grad_(False)


def _at(absolute: float, relative: float, kernel_size: int, seed: int) -> RelaxedConv2d:
    layer = copy.deepcopy(_layer(kernel_size, seed))
    layer.kernels.absolute.fill_(absolute)
    layer.kernels.relative.fill_(relative)
    return layer


@lru_cache(maxsize=64)
def _way(relative: float, kernel_size: int, seed: int) -> np.ndarray:
    """Shares of the extremes at each dial of the way; shared, do not change them."""
    layers = (_at(dial, relative, kernel_size, seed) for dial in WAY)
    found = [operator_symmetry(operator_matrix(layer, SIZE, layer.kernels.phase), SIZE, rank=False) for layer in layers]
    return np.array([corner(one) for one in found])
