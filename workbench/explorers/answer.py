"""What does a network answer while the picture turns?"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import param
import torch
import xarray as xr
from torch import Tensor

from workbench.actions import transform_image
from workbench.explorers._explorer import Explorer
from workbench.explorers._networks import network
from workbench.explorers._pictures import PICTURES, own_picture, pictures
from workbench.explorers._runs import (
    UNTRAINED,
    image_set,
    in_words,
    own_run,
    preferred,
    run_choices,
    run_path,
    shown_run,
    with_own,
)
from workbench.groups import O2
from workbench.measure.dataset import labelled
from workbench.measure.probability import class_probability
from workbench.models import methods
from workbench.views.answer import answers

FINE, COARSE = 73, 13
RESAMPLER, OUTSIDE = "bicubic", "border"
PREFERRED, BESIDE = "180_partial", "180_full"
"""Parts of the names of the runs that are shown first: the same task, with and without a choice."""
NOBODY = "nobody"
LARGEST_OWN = 64


class AnswerExplorer(Explorer):
    """The probability of each class while a picture turns, for one trained network or two beside each other.

    >>> ds = AnswerExplorer(network="untrained", beside="nobody", angle_deg=90).dataset()
    >>> bool(abs(ds["probability"][0, ::18] - ds["probability"][0, 0]).max() < 1e-6)
    True
    """

    slug = "answer"
    title = "Answer"
    question = "What does a network answer while the picture turns?"
    explanation = (
        "The picture is turned and then shown to the networks; the bars say what they make of it. The curves follow "
        "one class through the whole circle: the class of the upright picture where the network knows it, and else "
        "the class that it finds first. A network that keeps the whole symmetry cannot change its mind, so its curve "
        "is flat, but for what resampling costs between quarter turns. Where turned and upright pictures belong to "
        "different classes, flat is wrong: there a curve must fall somewhere, and where it falls is what the network "
        "has learned."
    )
    heavy = True
    accepts = ("image", "run")

    network = param.Selector(
        objects={"untrained, random weights": UNTRAINED},
        default=UNTRAINED,
        label="Network",
        doc="The network that answers: the data it saw, and whether it could give up symmetry.",
    )
    beside = param.Selector(
        objects={NOBODY: NOBODY},
        default=NOBODY,
        label="Beside it",
        doc="A second network, asked about the same picture.",
    )
    angle_deg = param.Number(
        0.0,
        bounds=(-180, 180),
        step=1,
        label="Turn the picture (degrees)",
        doc="Turns the picture counter-clockwise before the networks see it; the dotted line in the curve.",
    )
    n = param.Integer(
        8,
        bounds=(1, 16),
        step=1,
        label="Orientations",
        doc="How many rotations each layer of a group network works with; free to change after training.",
    )
    mirror = param.Boolean(False, label="Mirror the picture", doc="Flips the picture left to right after turning it.")
    picture = param.Selector(objects=PICTURES, default="6", label="Picture", doc="What is turned: a digit or a letter.")

    def __init__(self, **values: Any) -> None:
        super().__init__()
        choices = run_choices()
        self.param.network.objects = choices
        self.param.beside.objects = {NOBODY: NOBODY, **choices}
        self.network = preferred(choices, PREFERRED)
        self.beside = next((name for name in choices.values() if BESIDE in name), NOBODY)
        self.set(**values)

    def set_image(self, image: object) -> None:
        """Turn your own picture: an array (H, W), or the bytes or path of an image file; None takes it away."""
        self.attach("image", None if image is None else own_picture(image, LARGEST_OWN))

    def set_run(self, run: object) -> None:
        """Ask a network you trained, a `Run` or its folder, in the present place of the menu; None takes it away."""
        own = None if run is None else own_run(run, self.network)
        self.param.network.objects = with_own(run_choices(), own)
        self.attach("run", own)

    def compute(self) -> xr.Dataset:
        """Both networks' answers at the present angle, and the class that is followed at every angle."""
        name, path = shown_run(self.network, self.attached.get("run"))
        asked = {_short(name): path}
        if self.beside != NOBODY:
            asked.setdefault(_short(self.beside), run_path(self.beside))
        given = self.attached.get("image")
        brought = None if given is None else given.tobytes()
        count = COARSE if self.coarse else FINE
        courses, now, names = [], [], []
        for at, path in enumerate(asked.values()):
            self.tell_progress(at / len(asked))
            whole = course(path, self.n, self.picture, brought, self.mirror, count)
            (known,) = np.flatnonzero(whole["angle_deg"].values == self.angle_deg)[:1].tolist() or [None]
            courses.append(whole)
            now.append(
                answer(path, self.n, self.picture, brought, self.mirror, self.angle_deg)
                if known is None
                else torch.from_numpy(whole["probability"].values[known])
            )
            names.append(list(image_set(path).classes))
        size = image_set(next(iter(asked.values()))).image_shape[-1]
        turned = _turned(_pixels(self.picture, brought, size), self.mirror, self.angle_deg)
        followed = [
            _followed(one, classes, "" if brought else self.picture)
            for one, classes in zip(courses, names, strict=True)
        ]
        return _dataset(list(asked), courses, now, names, followed).assign(
            picture=labelled(("y", "x"), turned[0, 0].clamp(0, 1), "the picture, turned"),
            angle_shown_deg=labelled((), float(self.angle_deg), "input turned by", "degrees"),
        )

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return answers(ds)


EXPLORER = AnswerExplorer


def _short(name: str) -> str:
    """A run's name without its method's, for a heading."""
    method, _, rest = name.partition("/")
    return in_words(rest if method in methods() else name)


def _image(path: Path | None, character: str, brought: bytes | None) -> Tensor:
    """One picture `(1, C, H, W)` as the network of that run takes it."""
    data = image_set(path)
    channels, size = data.image_shape[0], data.image_shape[-1]
    return data.standardise(_pixels(character, brought, size).expand(-1, channels, -1, -1))


def _pixels(character: str, brought: bytes | None, size: int) -> Tensor:
    if brought is None:
        return pictures(character, size, 1)[0]
    own = np.frombuffer(brought, np.float32).reshape(LARGEST_OWN, LARGEST_OWN)
    return torch.from_numpy(own_picture(own, size))[None, None]


def _turned(image: Tensor, mirror: bool, angle_deg: float) -> Tensor:
    element = torch.tensor([np.deg2rad(angle_deg), -1.0 if mirror else 1.0], dtype=torch.float64)
    return transform_image(image, element, O2(), resampler=RESAMPLER, padding=OUTSIDE)


@lru_cache(maxsize=64)
def course(path: Path | None, n: int, character: str, brought: bytes | None, mirror: bool, count: int) -> xr.Dataset:
    """The class probabilities of one picture at `count` angles; shared, do not change it.

    Args:
        path: the run, None for the untrained network.
        n: orientations of its layers.
        character: the picture, unless
        brought: the float32 pixels of the reader's own.
        mirror: flip it after turning.
        count: angles from -180 to 180 degrees.
    """
    return class_probability(
        network(path, n), _image(path, character, brought), count, classes=image_set(path).classes, mirror=mirror,
        resampler=RESAMPLER, padding=OUTSIDE, input_kind="test picture" if brought is None else "the reader's picture",
    )  # fmt: skip


def answer(path: Path | None, n: int, character: str, brought: bytes | None, mirror: bool, angle_deg: float) -> Tensor:
    """The class probabilities `(class,)` of one picture at one angle."""
    with torch.no_grad():  # as the course: in inference mode kernels would be made anew
        logits = network(path, n)(_turned(_image(path, character, brought), mirror, angle_deg))
    return logits.softmax(-1)[0]


def _followed(ds: xr.Dataset, classes: list[str], character: str) -> str:
    """The class of the picture where the network knows it, else the one it is surest of when the picture is upright."""
    upright = ds["probability"].values[ds.sizes["angle"] // 2]
    return character if character in classes else classes[int(upright.argmax())]


def _dataset(
    models: list[str], courses: list[xr.Dataset], now: list[Tensor], names: list[list[str]], followed: list[str]
) -> xr.Dataset:
    """Networks side by side; where one has fewer classes than another, its names are empty and its answers 0."""
    rows = zip(courses, names, followed, strict=True)
    lines = [one["probability"].values[:, classes.index(wanted)] for one, classes, wanted in rows]
    most = max(map(len, names))
    padded = np.stack([np.pad(p.numpy(), (0, most - len(p))) for p in now])
    filled = [classes + [""] * (most - len(classes)) for classes in names]
    words = f"Probability of {followed[0]!r}" if len(set(followed)) == 1 else "Probability of the class followed"
    return xr.Dataset(
        {
            "probability": labelled(("model", "angle"), np.stack(lines), words),
            "followed": labelled("model", followed, "class that is followed"),
            "answer": labelled(("model", "class"), padded, "probability of the class"),
            "class_name": labelled(("model", "class"), filled, "class"),
        },
        coords={
            "model": labelled("model", models, "network"),
            "angle_deg": labelled("angle", courses[0]["angle_deg"].values, "input turned by", "degrees"),
            "lattice": labelled("angle", courses[0]["lattice"].values, "turning moves pixels onto pixels"),
        },
        attrs=courses[0].attrs,
    )
