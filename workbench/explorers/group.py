"""What is a group, and what does one group convolution do?"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

import numpy as np
import param
import torch
import xarray as xr
from torch import Tensor

from workbench.actions import transform_image, transform_images, transform_signal
from workbench.explorers._explorer import Explorer
from workbench.explorers._pictures import PICTURES, own_picture, picture
from workbench.groups import O2, SO2, Group, parse_group
from workbench.kernels import KernelSpec
from workbench.layers import LiftingConv
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.views.frame import degrees
from workbench.views.group import group_picture

SIZE, OWN_SIZE = 24, 48
"""Pixels a side of our own pictures, which are coarse, and of the reader's, which should be known again."""
KERNEL_SIZE = 7
RESAMPLER = "bicubic"
_building = threading.Lock()  # weights are drawn from torch's global generator


class GroupExplorer(Explorer):
    """The elements of a group, their products, an image's orbit, and one lifting convolution, all turned by hand.

    >>> explorer = GroupExplorer(group="C(4)", angle_deg=90)
    >>> explorer.dataset()["product_index"].values[1].tolist()
    [1, 2, 3, 0]
    """

    slug = "group"
    title = "Group"
    question = "What is a group, and what does one group convolution do?"
    explanation = (
        "A group is a set of moves that can be undone and put one after the other. The circle shows the moves, the "
        "table says which move results from two of them, the strip shows what they make of one picture. A group "
        "convolution lays the same filter on the picture in every orientation, so it answers with one map for each "
        "move. Turn the picture: the maps turn with it and wander along the strip, and nothing else happens. The last "
        "row is what is left when 'filter, then turn' is taken away from 'turn, then filter': nothing at quarter "
        "turns, what resampling the pixels costs at the group's other moves, and between its moves also what a group "
        "of so few moves cannot express. A picture that reaches into its corners loses them on the way, which "
        "leaves a rim."
    )
    accepts = ("image",)

    group = param.Selector(
        objects={
            "4 rotations, C(4)": "C(4)",
            "8 rotations, C(8)": "C(8)",
            "12 rotations, C(12)": "C(12)",
            "4 rotations and mirrors, D(4)": "D(4)",
            "8 rotations and mirrors, D(8)": "D(8)",
        },
        default="C(8)",
        label="Group",
        doc="Which moves belong to the group: turns by equal steps, with or without their mirror images.",
    )
    angle_deg = param.Number(
        45.0,
        bounds=(-180, 180),
        step=1,
        label="Turn the picture (degrees)",
        doc="Turns the picture counter-clockwise before the network sees it. At a move of the group the maps of the "
        "unturned picture come back, turned and shifted along the strip.",
    )
    picture = param.Selector(
        objects=PICTURES, default="R", label="Picture", doc="What is turned: handwritten digits or letters of a font."
    )
    filter_seed = param.Integer(
        0, bounds=(0, 50), step=1, label="Filter", doc="Another random filter; what you see holds for every one."
    )

    def set_image(self, image: object) -> None:
        """Turn your own picture instead: an array (H, W), or the bytes or path of an image file; None takes it away."""
        self.attach("image", None if image is None else own_picture(image, OWN_SIZE))

    def compute(self) -> xr.Dataset:
        """Elements, products, orbit and the maps of one lifting convolution at the present angle."""
        own = self.attached.get("image")
        image = picture(self.picture, SIZE) if own is None else torch.from_numpy(own.copy())[None, None]
        given = provenance(
            created_by="GroupExplorer", seed=self.filter_seed, dtype="float32", resampler=RESAMPLER, padding="zeros"
        )
        return group_dataset(self.group, self.filter_seed, image, self.angle_deg).assign_attrs(given)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return group_picture(ds)


EXPLORER = GroupExplorer


@lru_cache(maxsize=64)
def lifting_layer(group: str, seed: int) -> LiftingConv:
    """One lifting convolution with seeded random weights, in evaluation mode; shared, do not train it."""
    with _building, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = LiftingConv(1, 1, KERNEL_SIZE, group=group, bias=False, kernel=KernelSpec(hidden=16, omega0=8))
    return layer.eval().requires_grad_(False)


@lru_cache(maxsize=16)
def group_table(name: str) -> xr.Dataset:
    """The elements of a finite group with their angles and mirrors, and the index of every product."""
    group = parse_group(name)
    elements = group.grid(dtype=torch.float64)
    angle, mirror = elements[:, 0], elements[:, 1] if group.element_dim == 2 else torch.ones(len(elements))
    products = group.product(elements[:, None], elements[None])
    index = group.distance(products[:, :, None], elements).argmin(-1)
    names = [
        degrees(a) + ("" if m > 0 else " m") for a, m in zip(np.rad2deg(angle.numpy()), mirror.tolist(), strict=True)
    ]
    return xr.Dataset(
        {
            "element_angle_deg": labelled("element", np.rad2deg(angle.numpy()), "rotation", "degrees"),
            "element_mirror": labelled("element", mirror.to(torch.int8), "mirror, -1 for mirrored"),
            "product_index": labelled(("first", "second"), index.to(torch.int16), "index of first after second"),
        },
        coords={"element": labelled("element", names, "element, m for mirrored")},
        attrs={"group": name},
    )


def group_dataset(name: str, seed: int, image: Tensor, angle_deg: float) -> xr.Dataset:
    """The table of the group, the orbit of one image `(1, 1, H, W)`, and both orders of turning and filtering it."""
    layer = lifting_layer(name, seed)
    whole: Group = O2() if layer.group.element_dim == 2 else SO2()
    turn = torch.tensor([np.deg2rad(angle_deg), 1.0][: whole.element_dim], dtype=torch.float64)
    elements = layer.group.grid(dtype=torch.float64)
    with torch.inference_mode():
        orbit = transform_images(image, elements, whole, resampler=RESAMPLER)[:, 0, 0]
        turned = transform_image(image, turn, whole, resampler=RESAMPLER)
        first = layer(turned).values[0, 0]
        after = transform_signal(layer(image), turn, whole, resampler=RESAMPLER).values[0, 0]
        taps = layer.bank(layer.group.identity()[None])[0, 0, 0, 0].view(KERNEL_SIZE, KERNEL_SIZE)
    maps = ("row", "element", "map_y", "map_x")
    ds = group_table(name).assign(
        image=labelled(("y", "x"), turned[0, 0], "the input, turned"),
        filter=labelled(("filter_y", "filter_x"), taps, "The filter"),
        orbit=labelled(("element", "y", "x"), orbit, "The orbit: the picture under every element"),
        response=labelled(
            maps, torch.stack([first, after, first - after]), "One group convolution: a map for every element"
        ),
        angle_shown_deg=labelled((), float(angle_deg), "turn of the input", "degrees"),
        row=labelled("row", ["turn, then filter", "filter, then turn", "difference"], "order"),
    )
    ds["orbit"].attrs["valid_range"] = [0.0, 1.0]
    return ds
