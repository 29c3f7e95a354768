"""How much of a group kernel is the same picture again and again?"""

from __future__ import annotations

import copy
import threading
import warnings
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import param
import torch
import xarray as xr

from workbench.explorers._explorer import Explorer
from workbench.kernels import FACTORISATIONS, OF_SIMILARITIES, KernelBank, KernelSpec, make_network
from workbench.kernels.factored import multiply_adds
from workbench.layers import SeparableConv
from workbench.measure.dataset import labelled
from workbench.measure.kernels import kernels
from workbench.measure.provenance import provenance
from workbench.measure.redundancy import redundancy
from workbench.views.wall import kernel_wall

WHOLE = "nonseparable"
SIMILARITIES = "RotationScale"
COMPONENTS = 8
"""Singular components that are drawn; the others hold less."""
SPEC = KernelSpec(hidden=16)
_building = threading.Lock()  # weights are drawn from torch's global generator


class SeparableExplorer(Explorer):
    """All kernels of one layer as a wall, its redundancy, and what each factorisation of it would cost.

    >>> float(SeparableExplorer().dataset()["energy"].sel(component=1).round(6))
    1.0
    """

    slug = "separable"
    title = "Kernel wall"
    question = "How much of a group kernel is the same picture again and again?"
    explanation = (
        "Each tile is the kernel from one input pose to one output pose. In a full group convolution every tile is a "
        "picture of its own. In a separable one each row of the wall is a single picture, times a number for each "
        "column: mixing the poses and filtering the plane then become two cheap steps instead of one dear one. The "
        "bars on the upper right measure it: all energy in the first component means one picture. The bars below "
        "count the multiplications of every way to factor the same layer. A row further down is always the same "
        "picture turned or stretched, whatever the factors: that is what keeps the layer equivariant."
    )

    group = param.Selector(
        objects={"rotations, SE(2)": "SO2", "scalings": "Scale", "both, Sim(2)": SIMILARITIES},
        default="SO2",
        label="Group",
        doc="Which poses the layer works with, beside shifts.",
    )
    factorisation = param.Selector(
        objects={
            "none: one kernel for all": WHOLE,
            "group x plane": "separable",
            "group x plane, every channel": "gseparable",
            "channels x both": "dseparable",
            "channels x group x plane": "dgseparable",
        },
        default="separable",
        label="Factors",
        doc="Which product the kernel is made of (separable, gseparable, dseparable, dgseparable in the paper's code).",
    )
    apart = param.Boolean(
        False,
        label="Rotation and scaling as two factors",
        doc="The paper's +2d: one factor over angles and one over scales. For group x plane on Sim(2); no effect else.",
    )
    n = param.Selector(
        objects={"4": 4, "8": 8, "12": 12},
        default=8,
        label="Rotations",
        doc="How many rotations the layer works with, where its group has any.",
    )
    scales = param.Integer(
        3, bounds=(2, 4), step=1, label="Scales", doc="How many scalings the layer works with, where its group has any."
    )
    kernel_size = param.Selector(
        objects={"7 x 7": 7, "11 x 11": 11, "17 x 17": 17},
        default=11,
        label="Kernel size (pixels)",
        doc="How many pixels a kernel covers; with scalings the smallest one has only a part of them.",
    )
    omega0 = param.Number(
        10.0,
        bounds=(1, 30),
        step=1,
        label="Frequency (radians per half width)",
        doc="How fast the network behind the kernels varies; slow ones are nearly one picture by themselves.",
    )
    channels = param.Selector(
        objects={"8": 8, "16": 16, "32": 32, "64": 64},
        default=16,
        label="Channels, for the cost",
        doc="Channels on both sides in the count of multiplications; the wall shows one pair of them.",
    )
    seed = param.Integer(0, bounds=(0, 50), step=1, label="Seed", doc="Another draw of the network's random weights.")

    def compute(self) -> xr.Dataset:
        """The kernels of a one-channel layer, their singular components, and the cost of each factorisation."""
        name = self.factorisation
        if self.apart and self.group == SIMILARITIES and f"{name}+2d" in OF_SIMILARITIES:
            name = f"{name}+2d"
        return wall_dataset(
            self.group, name, self.n, self.scales, self.kernel_size, self.omega0, self.channels, self.seed
        )

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return kernel_wall(ds)


EXPLORER = SeparableExplorer


def wall_dataset(
    group: str, factorisation: str, n: int, scales: int, kernel_size: int, omega0: float, channels: int, seed: int
) -> xr.Dataset:
    """What the explorer shows of one untrained layer.

    Args:
        group: a name.
        factorisation: of the layer, see :class:`workbench.layers.SeparableConv`.
        n, scales: elements, where the group has rotations and scalings.
        kernel_size: k taps a side.
        omega0: frequency of the kernel network.
        channels: on both sides, for the cost alone.
        seed: of its random weights.

    Returns:
        `kernel(g_out, g_in, y, x)` as shares of the largest weight with `pose_out(g_out)` and `pose_in(g_in)` in
        words, `energy(component)`, and `multiply_adds(way)` per output pixel of each factorisation.
    """
    layer = _layer(group, factorisation, n, scales, kernel_size, omega0, seed)
    measured = kernels(layer)
    kernel = measured["kernel"].values[:, :, 0, 0]
    largest = float(np.abs(kernel).max()) or 1.0
    energy = redundancy(layer, stored=measured)["energy"].values[:COMPONENTS]
    count, taps = len(kernel), kernel_size**2
    ways = [WHOLE, *FACTORISATIONS, *(OF_SIMILARITIES if group == SIMILARITIES else ())]
    costs = [sum(multiply_adds(way, channels, channels, count, count, taps)) for way in ways]
    return xr.Dataset(
        {
            "kernel": labelled(("g_out", "g_in", "y", "x"), (kernel / largest).astype(np.float32), "Every kernel"),
            "energy": labelled("component", energy, "Share of the energy of all kernels"),
            "multiply_adds": labelled("way", costs, "Multiply-adds per output pixel"),
        },
        {
            "pose_out": labelled("g_out", _poses(measured, "out"), "output pose"),
            "pose_in": labelled("g_in", _poses(measured, "in"), "input pose"),
            "component": labelled("component", np.arange(1, len(energy) + 1), "singular component"),
            "way": labelled("way", ways, "factorisation"),
        },
        provenance(
            "wall_dataset", seed=seed, dtype="float32", reduction="weights as a share of the largest",
            group=group, factorisation=factorisation, n=n, scales=scales, kernel_size=kernel_size, omega0=omega0,
            channels=channels, largest_weight=largest,
        ),
    )  # fmt: skip


def _poses(measured: xr.Dataset, side: str) -> list[str]:
    """Angle and factor of each element, in words; only what differs among them."""
    angles = np.round(measured[f"angle_{side}_deg"].values % 360)
    words = [f"{angle:.0f}°" for angle in angles] if len(set(angles)) > 1 else [""] * len(angles)
    if f"factor_{side}" in measured.coords:
        factors = measured[f"factor_{side}"].values
        words = [f"{word} x{factor:.2f}".strip() for word, factor in zip(words, factors, strict=True)]
    return words


@lru_cache(maxsize=32)
def _template(group: str, factorisation: str, n: int, scales: int, kernel_size: int) -> SeparableConv:
    """A one-channel layer to put networks into; building one anew would calibrate its gain."""
    elements = {"SO2": {"n": n}, "Scale": {"n": scales}, SIMILARITIES: {"n": n, "stretches": scales}}[group]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of small kernels on scales: this one is looked at, not used
        return SeparableConv(
            1, 1, kernel_size, group=group, factorisation=factorisation, bias=False, kernel=SPEC, **elements
        )


@lru_cache(maxsize=64)
def _layer(
    group: str, factorisation: str, n: int, scales: int, kernel_size: int, omega0: float, seed: int
) -> SeparableConv:
    """The layer with seeded weights; shared, do not change it."""
    spec = replace(SPEC, omega0=omega0)
    with _building, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = copy.deepcopy(_template(group, factorisation, n, scales, kernel_size))
        for bank in layer.modules():
            if isinstance(bank, KernelBank):
                bank.network, bank.spec = make_network(spec, bank.coordinate_dim, 1), spec
    return layer.eval().requires_grad_(False)
