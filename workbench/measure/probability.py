"""What a classifier says about an image at every angle."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.actions import is_lattice, transform_images
from workbench.actions.images import check_images
from workbench.groups import O2
from workbench.groups.base import check_count
from workbench.measure.dataset import labelled
from workbench.measure.entry import fed
from workbench.measure.orbit import MOST_TRANSFORMS
from workbench.measure.probe import check_model, like_model, report
from workbench.measure.provenance import provenance
from workbench.measure.state import undisturbed
from workbench.measure.tables import statistics


def class_probability(
    model: Callable,
    images: Tensor,
    n_angles: int = 73,
    *,
    classes: Sequence[str] = (),
    mirror: bool = False,
    resampler: str = "bicubic",
    padding: str = "border",
    input_kind: str = "",
    seed: int = 0,
    batch_size: int = 256,
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> xr.Dataset:
    """Softmax probability of each class while the image turns from -180 to 180 degrees.

    Args:
        model: a callable from images ``(B, C, H, W)`` to logits ``(B, K)``.
        images: ``(C, H, W)`` or ``(B, C, H, W)``.
        n_angles: angles, both ends included.
        classes: K names; numbers where not given.
        mirror: turn the mirror image instead.
        others: as in :func:`workbench.measure.equivariance_error`.

    Returns:
        ``probability(angle, class)`` and ``probability_sem`` over images (NaN for one image), and
        ``probability_sample(sample, angle, class)``; coordinates ``angle_deg(angle)`` and ``lattice(angle)``.

    Raises:
        ValueError: for outputs other than ``(B, K)``, or a wrong number of names.

    >>> ds = class_probability(lambda x: x.mean((2, 3)), torch.rand(3, 8, 8), n_angles=5)
    >>> dict(ds.sizes)
    {'angle': 5, 'class': 3, 'sample': 1}
    """
    check_model(model)
    images = images.unsqueeze(0) if isinstance(images, Tensor) and images.ndim == 3 else images
    check_images(images, lowest=4)
    count = check_count(n_angles, "class_probability: n_angles")
    if count > MOST_TRANSFORMS:
        raise ValueError(
            f"class_probability: n_angles = {count} was given; expected at most {MOST_TRANSFORMS}; 73 shows every 5 "
            "degrees."
        )
    check_count(batch_size, "class_probability: batch_size")
    images = like_model(model, images)
    degrees = torch.linspace(-180, 180, count, dtype=torch.float64) if count > 1 else torch.zeros(1).double()
    sign = torch.full_like(degrees, -1.0 if mirror else 1.0)
    elements = torch.stack([torch.deg2rad(degrees), sign], -1)
    rows = []
    with undisturbed(model, seed):
        step = max(1, batch_size // len(images))
        for start in range(0, count, step):
            report(progress, cancel, start / count)
            moved = transform_images(images, elements[start : start + step], O2(), resampler=resampler, padding=padding)
            logits = torch.cat([fed(model, part) for part in moved.flatten(0, 1).split(batch_size)])
            rows.append(_probabilities(logits, moved.shape[:2]))
        report(progress, cancel, 1.0)
    sample = torch.cat(rows).transpose(0, 1).cpu().numpy()
    names = list(map(str, classes)) if len(classes) else [str(k) for k in range(sample.shape[-1])]
    if len(names) != sample.shape[-1]:
        raise ValueError(
            f"{len(names)} names were given for {sample.shape[-1]} classes; expected one for each; check the "
            "classes of the data set."
        )
    mean, sem, _, _ = statistics(np.moveaxis(sample, 0, -1))
    return xr.Dataset(
        {
            "probability": labelled(("angle", "class"), mean, "probability of the class"),
            "probability_sem": labelled(("angle", "class"), sem, "standard error over images"),
            "probability_sample": labelled(("sample", "angle", "class"), sample, "probability of the class"),
        },
        coords={
            "angle_deg": labelled("angle", degrees, "input rotation", "degrees"),
            "lattice": labelled(
                "angle",
                is_lattice(elements, O2(), shape=(images.shape[-2], images.shape[-1])),
                "g moves input pixels onto pixels",
            ),
            "class": labelled("class", names, "class"),
            "sample": labelled("sample", np.arange(len(sample)), "number of the sample"),
        },
        attrs=provenance(
            "class_probability",
            seed=seed,
            dtype=images.dtype,
            resampler=resampler,
            padding=padding,
            reduction="softmax over classes, mean over samples",
            input_kind=input_kind or None,
            mirror=mirror,
        ),
    )


def _probabilities(logits: Any, shape: torch.Size) -> Tensor:
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != shape[0] * shape[1]:
        given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"the model puts out {given}; expected logits (B, K), one row per image.")
    return logits.double().softmax(-1).unflatten(0, tuple(shape))
