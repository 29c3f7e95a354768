"""How well does a layer over scalings know the same thing at another size?"""

from __future__ import annotations

import copy
import threading
import warnings
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import param
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.explorers._explorer import Explorer
from workbench.groups import Scale
from workbench.kernels import KernelBank, KernelSpec, make_network
from workbench.kernels.stretched import MASK_SLOPE, Support, default_reach, support_problem, support_radius
from workbench.layers import GroupConv, GroupReLU, LiftingConv
from workbench.measure.dataset import labelled
from workbench.measure.kernels import kernels
from workbench.measure.provenance import provenance
from workbench.measure.scales import scale_error, scale_floor
from workbench.views.scale import scale_picture

CHANNELS = 2
PICTURES = 4
MOST_LAYERS = 2
WEIGHTS = {"area": 0, "side": 1, "none": 2}
"""Which power of the factor a kernel lacks: 1 / s^2 is the rule."""
HARD = 1e6
SPEC = KernelSpec(hidden=16)
_building = threading.Lock()  # weights are drawn from torch's global generator


class ScaleExplorer(Explorer):
    """The kernels of a lifting at every scale, and the error of every layer from each scale to the next.

    >>> ds = ScaleExplorer(layers=0).dataset()
    >>> bool((ds["error"] < 0.05).all()), bool((ScaleExplorer(layers=0, weight="none").dataset()["error"] > 0.2).all())
    (True, True)
    """

    slug = "scale"
    title = "Scales"
    question = "How well does a layer over scalings know the same thing at another size?"
    explanation = (
        "A layer over scalings lays the same filter on the picture in several sizes. Show it the picture enlarged by "
        "one step, and the answer at every size should be what the next smaller size said before. The curves show how "
        "far it is from that, from each size to the next; the pictures are drawn anew at the other size, so nothing "
        "is lost by resampling. Three things decide. A larger filter covers more pixels, so its weights must be "
        "divided by the area, or it answers louder. The smallest filter must still cover enough pixels to be itself; "
        "the grey line says what pixels alone cost. And the list of sizes ends: a group layer looks at neighbouring "
        "sizes, so its answers at both ends lack one, which no filter can mend. Those are drawn as hollow marks."
    )

    scales = param.Integer(5, bounds=(2, 6), step=1, label="Scales", doc="How many sizes of the filter there are.")
    largest = param.Number(
        1.74,
        bounds=(1.1, 3),
        step=0.02,
        label="Largest scale",
        doc="The factor between the smallest and the largest filter; the others lie evenly between, step by step.",
    )
    kernel_size = param.Selector(
        objects={"7 x 7": 7, "9 x 9": 9, "11 x 11": 11, "15 x 15": 15, "17 x 17": 17},
        default=15,
        label="Kernel size (pixels)",
        doc="How many pixels the largest filter covers; the smallest covers a part of them.",
    )
    weight = param.Selector(
        objects={"1 / s², the area": "area", "1 / s, the side": "side", "none": "none"},
        default="area",
        label="Weight",
        doc="By what a filter enlarged by s is divided: the rule is the area, the determinant of the scaling.",
    )
    edge = param.Selector(
        objects={"soft": "soft", "hard": "hard"},
        default="soft",
        label="Edge of the filter",
        doc="Whether the filter fades to nothing at its rim, or is cut off there.",
    )
    layers = param.Integer(
        1, bounds=(0, MOST_LAYERS), step=1, label="Group layers", doc="How many group layers follow the lifting."
    )
    seed = param.Integer(0, bounds=(0, 50), step=1, label="Seed", doc="Other random filters and pictures.")

    def compute(self) -> xr.Dataset:
        """The kernels of the lifting, errors layer by layer, and the floor of pixels."""
        return scale_dataset(
            self.scales, self.largest, self.kernel_size, self.weight, self.edge, self.layers, self.seed
        )

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return scale_picture(ds)


EXPLORER = ScaleExplorer


@dataclass(frozen=True)
class Weighted(Support):
    """A support whose kernels are divided by |det h| and multiplied by s^power: other than the rule where it is not 0.

    Attributes:
        power: 0 for the rule 1 / s^2, 1 for 1 / s, 2 for no weight.
    """

    power: int = 0

    def points(self, outputs: Tensor, inputs: Tensor | None, taps: Tensor | None, raw: bool) -> tuple[Tensor, Tensor]:
        """Coordinates as they are, weights times s^power."""
        points, weights = super().points(outputs, inputs, taps, raw)
        return points, weights * outputs[:, :, None] ** self.power


def scale_dataset(
    scales: int, largest: float, kernel_size: int, weight: str, edge: str, layers: int, seed: int
) -> xr.Dataset:
    """What the explorer shows of one untrained stack: a lifting and some group convolutions with ReLU between.

    Args:
        scales: elements of every layer.
        largest: factor of the largest.
        kernel_size: k taps a side.
        weight: "area", "side" or "none".
        edge: "soft" or "hard".
        layers: group convolutions after the lifting.
        seed: of weights and pictures.

    Returns:
        `kernel(channel, scale, y, x)` of the lifting as shares of the largest weight, `error(layer, pair)`,
        `inner(layer, pair)` and `floor(pair)`, see :func:`workbench.measure.scale_error`; `inside(layer)` and
        `ends(layer)`, the largest errors of either kind, NaN where there is none.
    """
    net = _network(kernel_size, seed)
    group = Scale(2, largest)
    support = Weighted(group, default_reach(group, scales, 1), HARD if edge == "hard" else MASK_SLOPE, WEIGHTS[weight])
    for module in net.modules():
        if isinstance(module, LiftingConv | GroupConv):
            module.group = module.kernels.group = group
            module.n, module.support, module.kernels.support = scales, support, support
    found = [
        scale_error(net[: 2 * depth + 1], size=(depth + 1) * (kernel_size - 1) + 1, count=PICTURES, seed=seed)
        for depth in range(layers + 1)
    ]
    error, inner = (np.stack([one[name].values for one in found]) for name in ("error", "inner"))
    measured = kernels(net[0])
    kernel = np.moveaxis(measured["kernel"].values[:, 0, :, 0], 1, 0)
    most = float(np.abs(kernel).max()) or 1.0
    names = ["lifting", *(f"group layer {depth}" for depth in range(1, layers + 1))]
    factors = measured["factor_out"].values
    steps = [f"{a:.2f} to {b:.2f}" for a, b in pairwise(factors)]
    return xr.Dataset(
        {
            "kernel": labelled(("channel", "scale", "y", "x"), (kernel / most).astype(np.float32), "The filters"),
            "error": labelled(("layer", "pair"), error, "Relative error from one scale to the next"),
            "inner": labelled(("layer", "pair"), inner, "every scale that the answers are made from is there"),
            "floor": labelled("pair", scale_floor(net[0], PICTURES, seed), "what pixels alone cost the lifting"),
            "inside": labelled("layer", _most(error, inner), "largest error inside"),
            "ends": labelled("layer", _most(error, ~inner), "largest error at the ends"),
        },
        {
            "layer": labelled("layer", names, "layer"),
            "pair": labelled("pair", steps, "from scale to scale"),
            "factor": labelled("scale", factors, "scale"),
        },
        provenance(
            "scale_dataset", seed=seed, dtype="float32", resampler=found[0].attrs["resampler"], mask="central pixel",
            reduction=found[0].attrs["reduction"], input_kind=found[0].attrs["input_kind"], group=group.name,
            scales=scales, kernel_size=kernel_size, weight=weight, edge=edge, largest_weight=most,
            support_px=support_radius(group, kernel_size),
            remedy=(support_problem(group, kernel_size) or "").rpartition("; ")[2],
        ),
    )  # fmt: skip


def _most(error: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The largest of those kept in each row, NaN in a row without."""
    return np.array([row[at].max() if at.any() else np.nan for row, at in zip(error, kept, strict=True)])


@lru_cache(maxsize=8)
def _template(kernel_size: int) -> nn.Sequential:
    """A stack to put networks and groups into; building one anew would calibrate gains, which no error here sees."""
    options: dict[str, Any] = {"group": "Scale", "padding": "valid", "bias": False, "kernel": SPEC}
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of small kernels: what they cost is what is shown
        made: list[nn.Module] = [LiftingConv(1, CHANNELS, kernel_size, **options)]
        for _ in range(MOST_LAYERS):
            made += [GroupReLU(), GroupConv(CHANNELS, CHANNELS, kernel_size, **options)]
    return nn.Sequential(*made).eval().requires_grad_(False)


def _network(kernel_size: int, seed: int) -> nn.Sequential:
    """A copy of the stack with seeded weights."""
    with _building, torch.random.fork_rng(devices=[]):
        net = copy.deepcopy(_template(kernel_size))
        torch.manual_seed(seed)
        for bank in net.modules():
            if isinstance(bank, KernelBank):
                bank.network = make_network(SPEC, bank.coordinate_dim, bank.out_channels * bank.in_channels)
    return net.eval().requires_grad_(False)
