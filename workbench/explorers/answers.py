"""What does a network answer while the picture turns?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import param
import torch
import xarray as xr
from torch import Tensor

from workbench.actions import transform_image
from workbench.explorers._explorer import Explorer
from workbench.explorers._pictures import own_picture
from workbench.explorers._runs import UNTRAINED, config, image_set, in_words, run_names, run_path, trained_model
from workbench.groups import SO2
from workbench.measure.dataset import labelled
from workbench.measure.probability import class_probability
from workbench.views.answers import answers

FINE, COARSE = 73, 25
MOST_NETWORKS = 4
PREFERRED = "6-180"
RESAMPLER, OUTSIDE = "bicubic", "border"


class AnswersExplorer(Explorer):
    """The probability that networks trained on the same data give to the true class, at every angle of a picture."""

    slug = "answers"
    title = "Answers"
    question = "What does a network answer while the picture turns?"
    explanation = (
        "All networks here were trained on the same pictures. One that must treat every turn alike can only draw a "
        "flat line: where the data call a turned 6 something else, it is left with a coin toss. One that may give up "
        "symmetry answers differently for different turns, and a plain network has to learn what to do at every angle "
        "from examples. Turn the picture and watch where the answers change."
    )
    heavy = True
    accepts = ("image",)

    data = param.Selector(
        objects=["digits"], default="digits", label="Trained on", doc="The data that the networks were trained on."
    )
    picture = param.Integer(0, bounds=(0, 40), step=1, label="Picture", doc="Which picture of the test data is turned.")
    angle_deg = param.Number(
        0.0,
        bounds=(-180, 180),
        step=1,
        label="Turn the picture (degrees)",
        doc="The angle at which the picture is shown; the dotted line in the curves.",
    )

    def __init__(self, **values: Any) -> None:
        super().__init__()
        names = list(families())
        self.param.data.objects = names
        self.data = PREFERRED if PREFERRED in names else names[0]
        self.set(**values)

    def set_image(self, image: object) -> None:
        """Turn your own picture: an array (H, W), or the bytes or path of an image file; None takes it away."""
        self.attach("image", None if image is None else own_picture(image, 64))

    def compute(self) -> xr.Dataset:
        """Probabilities at every angle, and the picture at the present one."""
        networks = families()[self.data]
        data = image_set(next(iter(networks.values())))
        images, labels = data.splits["test"]
        given = self.attached.get("image")
        if given is None:
            image, asked = images[self.picture : self.picture + 1], int(labels[self.picture])
        else:
            own = torch.from_numpy(own_picture(given, images.shape[-1]))
            image, asked = data.standardise(own.expand(1, images.shape[1], -1, -1)), 0
        key = ("answers", self.coarse, self._revision, self.data, self.picture)
        curves = self._results.get((key[0], False, *key[2:])) or self._results.get(key)
        if curves is None:
            curves = side_by_side(
                networks, image, asked, COARSE if self.coarse else FINE, self.tell_progress, self.cancel
            )
            self._results.put(key, curves)
        ds = curves.assign(turned(image, self.angle_deg))
        found = len(images) if given is None else 1
        return ds.assign_attrs(asked_class=data.classes[asked], showing=f"showing 1 of {found} test pictures")

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return answers(ds)


EXPLORER = AnswersExplorer


def families() -> dict[str, dict[str, Path | None]]:
    """Networks by the data they were trained on: label -> folder, the first seed of each, at most four."""
    found: dict[str, dict[str, Path | None]] = {}
    for name in run_names():
        path = run_path(name)
        members = found.setdefault(config(path)["data"]["name"], {})
        words = in_words(name.split("/")[0])
        if words not in members and len(members) < MOST_NETWORKS:
            members[words] = path
    return found or {"digits": {"untrained": run_path(UNTRAINED)}}


def side_by_side(
    networks: dict[str, Path | None], image: Tensor, asked: int, n_angles: int, progress: Any, cancel: Any
) -> xr.Dataset:
    """The probability of one class over angles for several networks on one picture `(1, C, H, W)`.

    Returns:
        `probability(network, angle)` and `probability_sem(network, angle)` with `angle_deg` and `lattice`.
    """
    found = []
    for path in networks.values():
        ds = class_probability(
            trained_model(path), image, n_angles, resampler=RESAMPLER, padding=OUTSIDE, progress=progress, cancel=cancel
        )
        found.append(ds.isel({"class": min(asked, ds.sizes["class"] - 1)}, drop=True))
    first = found[0]
    pair = ("network", "angle")
    stacked = {name: np.stack([ds[name].values for ds in found]) for name in ("probability", "probability_sem")}
    return xr.Dataset(
        {
            "probability": labelled(pair, stacked["probability"], "probability of the class"),
            "probability_sem": labelled(pair, stacked["probability_sem"], "standard error over pictures"),
        },
        coords={
            "network": labelled("network", list(networks), "network"),
            "angle_deg": labelled("angle", first["angle_deg"].values, "input turned by", "degrees"),
            "lattice": labelled("angle", first["lattice"].values, "turning moves pixels onto pixels"),
        },
        attrs=first.attrs,
    )


def turned(image: Tensor, angle_deg: float) -> dict[str, Any]:
    """The picture at one angle, as variables."""
    angle = torch.tensor([np.deg2rad(angle_deg)], dtype=torch.float64)
    shown = transform_image(image, angle, SO2(), resampler=RESAMPLER, padding=OUTSIDE)
    return {
        "image": labelled(("y", "x"), shown[0, 0], "the picture, turned"),
        "angle_shown_deg": labelled((), float(angle_deg), "input turned by", "degrees"),
    }
