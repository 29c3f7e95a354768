"""Which rotations does a data set hold?"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import param
import torch
import xarray as xr
from torch import Tensor

from workbench.actions import transform_image
from workbench.datasets import ImageSet, load
from workbench.datasets.derived import rotate_each
from workbench.explorers._explorer import Explorer
from workbench.explorers._own_images import OwnImages, own_images
from workbench.explorers._results import Results
from workbench.explorers._runs import image_set, preferred, run_choices, run_path, trained_model
from workbench.groups import SO2
from workbench.measure import labelled, layer_features
from workbench.measure.data_features import Features, OrbitFeatures, orbit_features
from workbench.measure.data_symmetry import ALL, table_symmetry
from workbench.views.data_symmetry import data_picture

SETS = {"handwritten digits": "digits", "rendered digits": "glyphs"}
CLASSES = {"all together": ALL, **{f"the digit {c}": c for c in "0123456789"}}
PIXELS, NETWORK = "pixels", "network"
FEATURES = {"pixels": PIXELS, "the last layer of a trained plain network": NETWORK}
LAYER = "largest"
"""The layer of the plain network before its classifier."""
COARSE_PICTURES = {PIXELS: 80, NETWORK: 40}
COARSE_ANGLES = {PIXELS: 72, NETWORK: 24}
FLOOR_DEG = (30.0, 60.0, 90.0, 120.0, 150.0, 180.0)
SHOWN = 6
SIZE = 16
_AUDITS = Results(48)  # shared by the explorers of this process


class DataExplorer(Explorer):
    """Pictures turned by a known arc, and what the audit of data finds of it without being told.

    >>> ds = DataExplorer(class_name="3", width_deg=60).at(coarse=True).dataset()
    >>> bool(ds["rejected"][0])
    True
    """

    slug = "data"
    title = "Data"
    question = "Which rotations does a data set hold?"
    explanation = (
        "Every picture is turned by a random angle of up to the width you choose; then the audit looks at the pictures "
        "alone. On the left the data is held against its turned copy: above the grey band the two differ by more than "
        "chance. Such a test cannot say how much symmetry there is, as every arc short of the circle fails it. On the "
        "right it is counted at which angles alike pictures meet: what a turn loses grows until it leaves the arc, and "
        "the width that fits is the orange arc on the dial, its interval paler. The blue diamonds are the truth. With "
        "few pictures or round shapes the interval grows, and the audit says that it cannot tell."
    )
    heavy = True
    accepts = ("images",)

    data = param.Selector(objects=SETS, default="digits", label="Data", doc="The pictures that are turned.")
    class_name = param.Selector(objects=CLASSES, default="3", label="Class", doc="Which of them: one digit, or all.")
    width_deg = param.Number(
        60.0, bounds=(0, 180), step=5, label="Turn each by up to (degrees)",
        doc="Each picture is turned by a random angle between minus and plus this; 180 is the whole circle.",
    )  # fmt: skip
    angle_deg = param.Number(
        40.0, bounds=(0, 180), step=5, label="Turn the whole set (degrees)",
        doc="The turn that is shown in the pictures, and the dotted line in both curves.",
    )  # fmt: skip
    n = param.Integer(
        160, bounds=(20, 1000), step=20, label="Pictures",
        doc="How many pictures the audit may look at, where there are as many; fewer make it less sure.",
    )  # fmt: skip
    features = param.Selector(
        objects=FEATURES, default=PIXELS, label="Compared by",
        doc="What two pictures are compared by: their pixels, or what a trained network makes of them.",
    )  # fmt: skip
    upside_down = param.Boolean(
        False, label="Every second one upside-down", doc="Turns every second picture by a further half turn."
    )

    def set_images(self, images: object, labels: object = None) -> None:
        """Audit your own pictures as they are, in the present place of the menu of data; None takes them away.

        Args:
            images: an array `(N, H, W)` or `(N, C, H, W)`, or a folder of picture files, its subfolders the classes.
            labels: one whole number for each picture of an array.
        """
        own = None if images is None else own_images(images, labels)
        classes = {"all together": ALL, **{name: name for name in own.classes}} if own is not None else CLASSES
        if self.class_name not in classes.values():
            self.class_name = ALL
        self.param.class_name.objects = classes
        self.attach("images", own)

    def compute(self) -> xr.Dataset:
        """The audit of one class; coarse: of fewer pictures, turned by whole steps of the table of features."""
        own = self.attached.get("images")
        count = min(self.n, COARSE_PICTURES[self.features]) if self.coarse else self.n
        images, there_are = _own(own, self.class_name, count) if own else _chosen(self.data, self.class_name, count)
        turn = _turns(len(images), 0.0 if own else self.width_deg, self.upside_down and not own)
        key = (own, self.data, self.class_name, count, self.features, tuple(turn.tolist()), self.coarse)
        ds = _AUDITS.get(key)
        if ds is None:  # the turn that is shown changes nothing about the audit
            ds = self._audit(own, images, turn, count)
            _AUDITS.put(key, ds)
        shown = rotate_each(images[:SHOWN], turn[:SHOWN])
        extra = {
            "picture": _shown(shown, self.angle_deg),
            "angle_shown_deg": labelled((), self.angle_deg, "the set turned by", "degrees"),
        }
        if not own:
            extra["made_half_width_deg"] = labelled((), self.width_deg, "turned by up to", "degrees")
        names = {"class": labelled("class", [self._words()], "class")}
        attrs = {**ds.attrs, "showing": f"showing {len(images)} of {there_are} pictures"}
        return ds.assign(extra).assign_coords(names).assign_attrs(attrs).copy(deep=True)

    def _audit(self, own: OwnImages | None, images: Tensor, turn: Tensor, count: int) -> xr.Dataset:
        if self.coarse:
            base = _table(own, self.data, self.class_name, count, self.features)
            steps = (turn * (base.values.shape[1] / (2 * np.pi))).round().long()
            table = base.turned(steps)
        else:
            turned = rotate_each(images, turn) if bool(turn.any()) else images
            table = orbit_features(
                turned, _reader(self.features), round_trip_deg=FLOOR_DEG,
                progress=lambda done: self.tell_progress(done / 2), cancel=self.cancel,
            )  # fmt: skip
        return table_symmetry(
            table, permutations=199 if self.coarse else 999, resamples=40 if self.coarse else 200, power_repeats=0,
            input_kind="the reader's pictures" if own else self.data,
            progress=lambda done: self.tell_progress((1 + done) / 2), cancel=self.cancel,
        )  # fmt: skip

    def _words(self) -> str:
        return next(str(words) for words, value in self.param.class_name.names.items() if value == self.class_name)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return data_picture(ds)


EXPLORER = DataExplorer


@lru_cache(maxsize=4)
def _set(name: str) -> ImageSet:
    options: dict[str, Any] = {"characters": "digits"} if name == "glyphs" else {}
    return load(name, size=SIZE, **options)


@lru_cache(maxsize=64)
def _chosen(name: str, class_name: str, count: int) -> tuple[Tensor, int]:
    """Pixels in [0, 1] of one class, all splits, in a fixed random order, and how many there are; leave them as is."""
    data = _set(name)
    images, labels = (torch.cat([part[at] for part in data.splits.values()]) for at in (0, 1))
    if class_name != ALL:
        images = images[labels == data.classes.index(class_name)]
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return data.pixels(images[order[:count]]), len(images)


def _own(own: OwnImages, class_name: str, count: int) -> tuple[Tensor, int]:
    images, there_are = own.part(None if class_name == ALL else class_name)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return images[order[:count]], there_are


def _turns(count: int, width_deg: float, upside_down: bool) -> Tensor:
    """By how much each picture is turned, in radians: the same share of the width at every width."""
    share = 2 * torch.rand(count, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 1
    half = (torch.arange(count) % 2) * np.pi if upside_down else 0.0
    return share * np.deg2rad(width_deg) + half


def _reader(features: str) -> Features:
    """What pictures with pixels in [0, 1] are compared by; the network sees them as those it was trained on."""
    if features == PIXELS:
        return "pixels"
    path = run_path(preferred(run_choices(), "upright_plain"))
    read, trained = layer_features(trained_model(path), LAYER), image_set(path)

    def network(images: Tensor) -> Tensor:
        return read(trained.standardise(images.mean(1, keepdim=True)))

    return network


@lru_cache(maxsize=16)
def _table(own: OwnImages | None, name: str, class_name: str, count: int, features: str) -> OrbitFeatures:
    images, _ = _own(own, class_name, count) if own else _chosen(name, class_name, count)
    return orbit_features(images, _reader(features), n_angles=COARSE_ANGLES[features])


def _shown(images: Tensor, angle_deg: float) -> tuple:
    """Some pictures as they are and turned, in [0, 1] by their own range: `(copy, number, y, x)`."""
    element = torch.tensor([np.deg2rad(angle_deg)], dtype=torch.float64)
    both = torch.stack([images, transform_image(images, element, SO2(), padding="border")]).mean(2)
    low, high = float(images.min()), float(images.max())
    scaled = ((both - low) / max(high - low, 1e-6)).clamp(0, 1)
    return labelled(("copy", "number", "y", "x"), scaled, "pictures as they are and turned")
