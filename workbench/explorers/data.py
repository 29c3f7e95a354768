"""Which symmetry does a data set hold, and a model beside it?"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import param
import torch
import xarray as xr
from torch import Tensor
from torch.nn import functional

from workbench.actions import transform_image
from workbench.datasets import ImageSet, load
from workbench.datasets.derived import rotate_each
from workbench.explorers._both_ways import angles, sweep
from workbench.explorers._explorer import Explorer
from workbench.explorers._networks import OwnModel, own_model, stored
from workbench.explorers._own_images import OwnImages, own_images
from workbench.explorers._results import Results
from workbench.explorers._runs import image_set, preferred, run_choices, run_path, trained_model
from workbench.groups import SO2
from workbench.measure import labelled, layer_features
from workbench.measure.data_answer import beside
from workbench.measure.data_features import Features, OrbitFeatures, orbit_features
from workbench.measure.data_subgroups import SQUARE
from workbench.measure.data_symmetry import ALL, table_symmetry
from workbench.measure.probe import OUTPUT
from workbench.views.data_symmetry import data_picture

SETS = {"handwritten digits": "digits", "rendered digits": "glyphs"}
CLASSES = {"all together": ALL, **{f"the digit {c}": c for c in "0123456789"}}
PIXELS, NETWORK = "pixels", "network"
FEATURES = {"pixels": PIXELS, "the last layer of a trained plain network": NETWORK}
LAYER = "largest"
"""The layer of the plain network before its classifier."""
COARSE_PICTURES = {PIXELS: 64, NETWORK: 40}
COARSE_ANGLES = {PIXELS: 48, NETWORK: 24}
FLOOR_DEG = (30.0, 60.0, 90.0, 120.0, 150.0, 180.0)
NOTHING = "nothing"
MODEL_DEG = tuple(range(0, 181, 5))
MODEL_PICTURES = 8
POWER_REPEATS = 10
SHOWN = 6
SIZE = 16
_AUDITS = Results(48)  # shared by the explorers of this process


class DataExplorer(Explorer):
    """Pictures turned by a known arc, what the audit of data finds of it without being told, and a model beside them.

    >>> ds = DataExplorer(class_name="3", width_deg=60).at(coarse=True).dataset()
    >>> bool(ds["rejected"][0])
    True
    """

    slug = "data"
    title = "Data"
    question = "Which symmetry does a data set hold, and which a model beside it?"
    explanation = (
        "Every picture is turned by a random angle of up to the width you choose; then the audit looks at the pictures "
        "alone. On the left the data is held against its turned copy: above the grey band the two differ by more than "
        "chance. Such a test cannot say how much symmetry there is, as every arc short of the circle fails it. On the "
        "right it is counted at which angles alike pictures meet: what a turn loses grows until it leaves the arc, and "
        "the width that fits is the orange arc on the dial, its interval paler. The blue diamonds are the truth. With "
        "few pictures or round shapes the interval grows, and the audit says that it cannot tell. Below, the same is "
        "asked of mirrors and quarter turns, with what fewer pictures would have shown; at the bottom the error of a "
        "model stands beside the data: where the data were turned as well, it should be small."
    )
    heavy = True
    accepts = ("images", "model")

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

    network = param.Selector(
        objects={"nothing": NOTHING}, default=NOTHING, label="Model beside the data",
        doc="Whose error under turns stands beside the data; it is shown the same pictures, not turned.",
    )  # fmt: skip

    def __init__(self, **values: Any) -> None:
        super().__init__()
        runs = run_choices()
        self.param.network.objects = {**runs, "nothing": NOTHING}
        self.network = preferred(runs, "rotated_partial")
        self.set(**values)

    def set_model(self, model: object, size: int | None = None) -> None:
        """Put your own torch module on images (B, C, H, W) beside the data; None takes it away.

        Args:
            model: a module; its channels are those of its first convolution.
            size: H = W of the images it is shown; tried where not given.
        """
        self.attach("model", None if model is None else own_model(model, size))

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
            "class": labelled("class", [self._words()], "class"),
        }
        if not own:
            extra["made_half_width_deg"] = labelled((), self.width_deg, "turned by up to", "degrees")
        model = "your own model" if "model" in self.attached else self.network
        if model != NOTHING:
            extra |= beside(ds, np.array(MODEL_DEG, dtype=float), self._model_error(images))
        ds = ds.assign(extra)
        ds = ds if model == NOTHING else ds.set_coords("model_angle_deg")
        ds.attrs |= {"network": model, "model": "its answer"}
        part = str(ds.attrs.get("showing", "")).replace("showing", ";", 1)
        ds.attrs["showing"] = f"showing {len(images)} of {there_are} pictures{part}"
        return ds

    def _model_error(self, images: Tensor) -> np.ndarray:
        """The error of the model's answer at each angle, of a few of the pictures as they are; NaN until at rest."""
        key = ("model", self._revision, self.network, self.data, self.class_name)
        kept = self._results.get(key)
        if kept is None and not self.coarse:
            own: OwnModel | None = self.attached.get("model")
            path = None if own else run_path(self.network)
            one = own or stored(path)
            some = _as_taken(images[:MODEL_PICTURES], one, image_set(path))
            kept = sweep(
                {"it": (one.module, OUTPUT, some)}, angles(MODEL_DEG), SO2(), resampler="bicubic", form="relative",
                progress=lambda done: self.tell_progress(0.8 + 0.2 * done), cancel=self.cancel,
            )  # fmt: skip
            self._results.put(key, kept)
        return np.full(len(MODEL_DEG), np.nan) if kept is None else kept["error_mean"].values[0]

    def _audit(self, own: OwnImages | None, images: Tensor, turn: Tensor, count: int) -> xr.Dataset:
        if self.coarse:
            base = _table(own, self.data, self.class_name, self.features).take(torch.arange(len(images)))
            steps = (turn * (base.values.shape[1] / (2 * np.pi))).round().long()
            table = base.turned(steps)
        else:
            turned = rotate_each(images, turn) if bool(turn.any()) else images
            table = orbit_features(
                turned, _reader(self.features), round_trip_deg=FLOOR_DEG, asked=None,
                progress=lambda done: self.tell_progress(0.4 * done), cancel=self.cancel,
            )  # fmt: skip
        ds = table_symmetry(
            table, permutations=119 if self.coarse else 999, resamples=20 if self.coarse else 200,
            power_repeats=0 if self.coarse else POWER_REPEATS, draws=39 if self.coarse else 200,
            input_kind="the reader's pictures" if own else self.data,
            progress=lambda done: self.tell_progress(0.4 + 0.4 * done), cancel=self.cancel,
        )  # fmt: skip
        return _not_yet(ds) if self.coarse else ds

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


def _as_taken(images: Tensor, one: OwnModel, data: ImageSet) -> Tensor:
    """Pictures of the size and channels that a model takes, standardised as those it was trained on where they fit."""
    sized = functional.interpolate(images, (one.size, one.size), mode="bilinear", antialias=True)
    if one.channels != sized.shape[1]:
        sized = sized.mean(1, keepdim=True).expand(-1, one.channels, -1, -1)
    return data.standardise(sized) if one.channels == data.image_shape[0] else sized


@lru_cache(maxsize=16)
def _table(own: OwnImages | None, name: str, class_name: str, features: str) -> OrbitFeatures:
    """Of as many pictures as a moving control is answered with."""
    count = COARSE_PICTURES[features]
    images, _ = _own(own, class_name, count) if own else _chosen(name, class_name, count)
    return orbit_features(images, _reader(features), n_angles=COARSE_ANGLES[features])


def _not_yet(ds: xr.Dataset) -> xr.Dataset:
    """With room for the finite symmetries, which are asked at rest."""
    unknown = np.full((ds.sizes["class"], len(SQUARE)), np.nan)
    names = ("distance", "null_high", "p_holm", "rejected", "needed")
    later = {f"element_{name}": labelled(("class", "question"), unknown, "follows at rest") for name in names}
    return ds.assign({**later, "question": labelled("question", list(SQUARE), "finite symmetry")})


def _shown(images: Tensor, angle_deg: float) -> tuple:
    """Some pictures as they are and turned, in [0, 1] by their own range: `(copy, number, y, x)`."""
    element = torch.tensor([np.deg2rad(angle_deg)], dtype=torch.float64)
    both = torch.stack([images, transform_image(images, element, SO2(), padding="border")]).mean(2)
    low, high = float(images.min()), float(images.max())
    scaled = ((both - low) / max(high - low, 1e-6)).clamp(0, 1)
    return labelled(("copy", "number", "y", "x"), scaled, "pictures as they are and turned")
