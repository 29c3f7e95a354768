"""A small equivariance measurement to take along while training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

if TYPE_CHECKING:
    from workbench.datasets import ImageSet
    from workbench.groups import Group

SAMPLES = 16  # images of the validation split
ERROR_CHOICES = {"resampler": "bicubic", "padding": "border", "mask": "disc", "form": "relative"}
ANGLES = 12  # rotations of a continuous group: every 30 degrees


def orbit_error(model: nn.Module, data: ImageSet) -> tuple[float, float]:
    """End-to-end equivariance error of `model`: mean over a few images and all elements but the identity.

    The relative error of the logits, bicubic resampling inside the disc, see
    `workbench.measure.equivariance_error`; the second number is its standard error over the images.
    """
    from workbench.measure import equivariance_error

    group = orbit_group(model)
    elements = group.grid(group.order or ANGLES * (group.element_dim))
    others = elements[group.distance(elements, group.identity()) > 1e-6]
    splits = (data.splits[name][0] for name in ("validation", "test", "train"))
    images = next(found for found in splits if len(found))[:SAMPLES]
    choices: dict[str, Any] = ERROR_CHOICES
    measured = equivariance_error(model, images, group, others, input_kind=data.name, **choices)
    per_image = measured.error.sel(layer="output").mean("transform").values
    sem = float(np.std(per_image, ddof=1) / len(per_image) ** 0.5) if len(per_image) > 1 else float("nan")
    return float(per_image.mean()), sem


def orbit_group(model: nn.Module) -> Group:
    """The group a model is built on; for one without a group, or with the trivial one, the rotations SO2."""
    from workbench.groups import SO2, Group

    groups: list[Any] = [getattr(module, "group", None) for module in model.modules()]
    return next((group for group in groups if isinstance(group, Group) and group.order != 1), SO2())
