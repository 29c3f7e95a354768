"""How much of a group kernel is the same picture again and again?"""

from __future__ import annotations

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
from workbench.explorers._runs import run_path, trained_model
from workbench.explorers._shown_layers import FACTORS, WHOLE, ShownConv
from workbench.kernels import OF_SIMILARITIES, KernelSpec
from workbench.layers import GroupConv, SeparableConv
from workbench.measure.dataset import labelled
from workbench.measure.kernels import kernels
from workbench.measure.provenance import provenance
from workbench.measure.redundancy import leading_pattern, redundancy
from workbench.views.wall import kernel_wall

SIMILARITIES = "RotationScale"
COMPONENTS = 8
"""Singular components that are drawn; the others hold less."""
SPEC = KernelSpec(hidden=16)
RANDOM = "random"
TRAINED = "separable_gcnn/nonseparable"
"""The stored network with whole kernels, trained on rotated digits."""
_building = threading.Lock()  # weights are drawn from torch's global generator


class SeparableExplorer(Explorer):
    """All kernels of one layer as a wall, how much of them is one picture, and that picture with its numbers.

    >>> float(SeparableExplorer().dataset()["energy"].sel(component=1).round(6))
    1.0
    """

    slug = "separable"
    title = "Kernel wall"
    question = "How much of a group kernel is the same picture again and again?"
    explanation = (
        "Each tile is the kernel from one input pose to one output pose. In a full group convolution every tile is a "
        "picture of its own. In a separable one each row of the wall is a single picture, times a number for each "
        "column: mixing the poses and filtering the plane then become two cheap steps instead of one dear one. On the "
        "right stands what one row is made of: bars for its singular components (all energy in the first means one "
        "picture), below them the first picture itself and its number at each input pose. A row further down is always "
        "the same, turned or stretched, whatever the factors: that is what keeps the layer equivariant."
    )

    weights = param.Selector(
        objects={
            "random": RANDOM,
            "trained, first group layer": "1",
            "trained, second group layer": "2",
            "trained, third group layer": "3",
        },
        default=RANDOM,
        label="Weights",
        doc="A layer as it is drawn, or one of a stored network with whole kernels, trained on rotated digits; of that "
        "one only the number of rotations can be chosen.",
    )
    group = param.Selector(
        objects={"rotations, SE(2)": "SO2", "scalings": "Scale", "both, Sim(2)": SIMILARITIES},
        default="SO2",
        label="Group",
        doc="Which poses the layer works with, beside shifts.",
    )
    factorisation = param.Selector(
        objects=FACTORS,
        default="separable",
        label="Factors",
        doc="Which product the kernel is made of (separable, gseparable, dseparable, dgseparable in the paper's code).",
    )
    apart = param.Boolean(
        False,
        label="Rotation and scaling as two factors",
        doc="The paper's +2d: one factor over angles and one over scales. For group x plane on Sim(2); no effect else.",
    )
    n = param.Integer(
        8, bounds=(1, 12), step=1, label="Rotations", doc="How many rotations there are, where the group has any."
    )
    scales = param.Integer(
        3, bounds=(2, 4), step=1, label="Scales", doc="How many scalings there are, where the group has any."
    )
    largest = param.Number(
        2.0, bounds=(1.1, 3), step=0.1, label="Largest scale", doc="The factor between the smallest and the largest."
    )
    kernel_size = param.Integer(
        11,
        bounds=(3, 15),
        step=2,
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
    seed = param.Integer(0, bounds=(0, 50), step=1, label="Seed", doc="Another draw of the network's random weights.")

    def compute(self) -> xr.Dataset:
        """The kernels of one pair of channels, their singular components, and the first picture with its numbers."""
        if self.weights != RANDOM:
            return trained_wall(int(self.weights), self.n)
        name = self.factorisation
        if self.apart and self.group == SIMILARITIES and f"{name}+2d" in OF_SIMILARITIES:
            name = f"{name}+2d"
        sizes = self.n, self.scales, self.largest, self.kernel_size
        return wall_dataset(self.group, name, *sizes, self.omega0, self.seed)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return kernel_wall(ds)


EXPLORER = SeparableExplorer


def wall_dataset(
    group: str, factorisation: str, n: int, scales: int, largest: float, kernel_size: int, omega0: float, seed: int
) -> xr.Dataset:
    """What the explorer shows of one untrained layer with a single channel.

    Args:
        group: "SO2", "Scale" or "RotationScale".
        factorisation: of the layer, see :class:`workbench.layers.SeparableConv`.
        n, scales: elements, where the group has rotations and scalings.
        largest: scale, where it has any.
        kernel_size: k taps a side.
        omega0: frequency of the kernel network.
        seed: of its random weights.

    Returns:
        `kernel(g_out, g_in, y, x)` as shares of the largest weight with `pose_out(g_out)` and `pose_in(g_in)` in
        words, `energy(component)`, and of the middle row `picture(y, x)` and `number(g_in)`.
    """
    layer = _layer(group, factorisation, n, scales, round(largest, 6), kernel_size, omega0, seed)
    given = {"factorisation": factorisation, "n": n, "scales": scales, "largest_scale": largest, "omega0": omega0}
    return _described(layer, kernels(layer), (0, 0), seed=seed, kernel_size=kernel_size, **given)


@lru_cache(maxsize=32)
def trained_wall(number: int, n: int) -> xr.Dataset:
    """The same of a group layer of the stored network with whole kernels, by its number from 1; shared.

    Its `energy` is that of all pairs of channels; the kernels are those of the strongest pair.

    Raises:
        FileNotFoundError: the network is not stored; the sentence says how it is made.
    """
    path = run_path(TRAINED)
    if path is None or not path.is_dir():
        raise FileNotFoundError(
            f"there is no trained network at {path}; expected the one that ships with the workbench; make it with: "
            "workbench reproduce separable_gcnn --ship"
        )
    layer = [one for one in trained_model(path).modules() if isinstance(one, GroupConv)][number - 1]
    measured = kernels(layer, n)
    strength = np.square(measured["kernel"].values[0]).sum((0, 3, 4))
    pair = np.unravel_index(int(strength.argmax()), strength.shape)
    ds = _described(layer, measured, (int(pair[0]), int(pair[1])), seed="that of the run", n=n, factorisation=WHOLE)
    return ds.assign_attrs(showing=f"showing the strongest of {strength.size} pairs of channels", layer=number)


def _described(
    layer: GroupConv, measured: xr.Dataset, pair: tuple[int, int], seed: int | str, **given: Any
) -> xr.Dataset:
    kernel = measured["kernel"].values[:, :, pair[0], pair[1]]
    largest = float(np.abs(kernel).max()) or 1.0
    kernel = (kernel / largest).astype(np.float32)
    energy = redundancy(layer, stored=measured)["energy"].values[:COMPONENTS]
    picture, numbers = leading_pattern(kernel[0 if layer.group.isometric else len(kernel) // 2])
    return xr.Dataset(
        {
            "kernel": labelled(("g_out", "g_in", "y", "x"), kernel, "Every kernel"),
            "energy": labelled("component", energy, "Share of the energy of all kernels"),
            "picture": labelled(("y", "x"), picture.astype(np.float32), "The first picture of a row"),
            "number": labelled("g_in", numbers, "Its number at each pose"),
        },
        {
            "pose_out": labelled("g_out", _poses(measured, "out"), "output pose"),
            "pose_in": labelled("g_in", _poses(measured, "in"), "input pose"),
            "component": labelled("component", np.arange(1, len(energy) + 1), "singular component"),
        },
        provenance(
            "wall_dataset", seed=seed, dtype="float32", reduction="weights as a share of the largest",
            group=layer.group.name, largest_weight=largest, **given,
        ),
    )  # fmt: skip


def _poses(measured: xr.Dataset, side: str) -> list[str]:
    """Angle and factor of each element, in words; only what differs among them."""
    angles = np.round(measured[f"angle_{side}_deg"].values % 360)
    words = [f"{angle:.0f}°" for angle in angles] if len(set(angles)) > 1 else [""] * len(angles)
    if f"factor_{side}" in measured.coords:
        factors = measured[f"factor_{side}"].values
        words = [f"{word} x{factor:.2f}".strip() for word, factor in zip(words, factors, strict=True)]
    return words if len(angles) > 1 else ["0°"]


@lru_cache(maxsize=64)
def _layer(
    group: str, factorisation: str, n: int, scales: int, largest: float, kernel_size: int, omega0: float, seed: int
) -> SeparableConv:
    """The layer with seeded weights; shared, do not change it."""
    elements: dict[str, Any] = {
        "SO2": {"group": "SO2", "n": n},
        "Scale": {"group": f"Scale(2,{largest})", "n": scales},
        SIMILARITIES: {"group": f"RotationScale({largest})", "n": n, "stretches": scales},
    }[group]
    with _building, torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of small kernels on scales: this one is looked at, not used
        torch.manual_seed(seed)
        spec = replace(SPEC, omega0=omega0)
        layer = ShownConv(1, 1, kernel_size, factorisation=factorisation, bias=False, kernel=spec, **elements)
    return layer.eval().requires_grad_(False)
