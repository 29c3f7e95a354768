"""What is a linear map made of, and how are kernels shared over all of them?"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import param
import torch
import xarray as xr

from workbench.datasets.affine import mapped
from workbench.explorers._explorer import Explorer
from workbench.explorers._pictures import PICTURES, own_picture, picture
from workbench.groups import parse_group
from workbench.measure.dataset import labelled
from workbench.measure.haar import sampled_integral_error
from workbench.measure.linear_map import linear_map, near_rotations
from workbench.measure.provenance import provenance
from workbench.views.linear import linear_picture

SIZE, SHARE = 48, 0.75
"""Pixels a side, and how much of it a picture fills before it is mapped, so that it may grow."""
COUNTS = (30, 100, 300, 1000)
REPEATS = 3


class LinearExplorer(Explorer):
    """A matrix as two arrows, taken apart into a turn, a stretch and a scaling, and samples of the whole group.

    >>> ds = LinearExplorer(x_angle_deg=90, y_angle_deg=180).dataset()
    >>> float(ds["coordinate"].sel(name="angle")) / math.pi
    0.5
    """

    slug = "linear"
    title = "Linear maps"
    question = "What is a linear map made of, and what does a sum over all of them need?"
    explanation = (
        "Two arrows say where the map sends the unit steps to the right and up. Every map that does not turn the plane "
        "over is made of a turn, a stretch that keeps area and a scaling, in one way only; the strip shows the "
        "picture after each. The numbers of the turn, of the stretch and of the scaling are the coordinates that a "
        "kernel reads. The matrix logarithm would not do: some maps, such as a half turn with a stretch, have none. "
        "Below, samples as a layer draws them, dense near the turns. A far sample must count for more, because it "
        "stands for more of the group: larger dots weigh more. The curves show how far a sum over the samples is "
        "from what it should be: with the weights more samples help, without them they do not."
    )
    accepts = ("image",)

    x_length = param.Number(
        1.2, bounds=(0.2, 2), step=0.05, label="Arrow right: length", doc="How long a unit step to the right becomes."
    )
    x_angle_deg = param.Number(
        10.0,
        bounds=(-180, 180),
        step=5,
        label="Arrow right: direction (degrees)",
        doc="Where a step to the right leads, counter-clockwise from the right.",
    )
    y_length = param.Number(
        0.9, bounds=(0.2, 2), step=0.05, label="Arrow up: length", doc="How long a unit step up becomes."
    )
    y_angle_deg = param.Number(
        75.0,
        bounds=(-180, 180),
        step=5,
        label="Arrow up: direction (degrees)",
        doc="Where a step up leads, counter-clockwise from the right; 90 is straight up.",
    )
    group = param.Selector(
        objects={"all that keep orientation, GL⁺(2)": "GLPlus(2,3)", "those that keep area, SL(2)": "SL(2,3)"},
        default="SL(2,3)",
        label="Samples of",
        doc="The group whose samples and sums are shown.",
    )
    spread = param.Number(
        0.4,
        bounds=(0.1, 0.6),
        step=0.05,
        label="Spread of the samples",
        doc="The standard deviation of u and q. Wide samples reach far and leave few near the turns.",
    )
    count = param.Integer(200, bounds=(10, 1000), step=10, label="Samples", doc="How many samples are drawn as dots.")
    picture = param.Selector(objects=PICTURES, default="R", label="Picture", doc="What is mapped.")

    def set_image(self, image: object) -> None:
        """Map your own picture instead: an array (H, W), or the bytes or path of an image file; None takes it away."""
        self.attach("image", None if image is None else own_picture(image, SIZE))

    def matrix(self) -> list[list[float]]:
        """Rows of the map: its columns are the two arrows."""
        x, y = math.radians(self.x_angle_deg), math.radians(self.y_angle_deg)
        return [
            [self.x_length * math.cos(x), self.y_length * math.cos(y)],
            [self.x_length * math.sin(x), self.y_length * math.sin(y)],
        ]

    def compute(self) -> xr.Dataset:
        """Coordinates of the map, the picture after each of its parts, samples, and errors of sums."""
        own = self.attached.get("image")
        image = picture(self.picture, SIZE) if own is None else torch.from_numpy(own.copy())[None, None]
        found = linear_map(np.round(self.matrix(), 12).tolist())
        stages = torch.from_numpy(found["so_far"].values)
        strip = np.full((len(stages), SIZE, SIZE), np.nan, np.float32)
        whole = [at for at, one in enumerate(stages) if bool(one.isfinite().all()) and abs(float(one.det())) > 1e-6]
        with torch.inference_mode():
            moved = mapped(image.expand(len(whole), -1, -1, -1).float(), (stages[whole] * SHARE).float(), SIZE)
        strip[whole] = moved[:, 0].numpy()
        group: Any = parse_group(self.group)
        sums = _sums(self.group, self.spread)
        return xr.merge([found, near_rotations(group, self.count, self.spread), sums], combine_attrs="override").assign(
            picture=labelled(("stage", "y", "x"), strip, "The picture")
        ).assign_attrs(
            provenance("LinearExplorer", seed=0, dtype="float64", resampler="bilinear", group=group.name)
        )  # fmt: skip

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return linear_picture(ds)


EXPLORER = LinearExplorer


@lru_cache(maxsize=32)
def _sums(group: str, spread: float) -> xr.Dataset:
    return sampled_integral_error(group, counts=COUNTS, seeds=REPEATS, spread=spread)
