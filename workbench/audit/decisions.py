"""What a broken symmetry means for decisions: how often the largest score moves to another class."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.actions import transform_images
from workbench.groups import O2, Plane
from workbench.measure import labelled, provenance, undisturbed
from workbench.measure.compare import tensor_of
from workbench.measure.entry import fed
from workbench.measure.probe import like_model

# (name, shift right in pixels, turn in degrees, mirror)
ASKED = (
    ("a turn by 15°", 0.0, 15.0, 1.0),
    ("a turn by 45°", 0.0, 45.0, 1.0),
    ("a turn by 90°", 0.0, 90.0, 1.0),
    ("a turn by 180°", 0.0, 180.0, 1.0),
    ("a left-right flip", 0.0, 0.0, -1.0),
    ("a shift by 1 px", 1.0, 0.0, 1.0),
    ("a shift by 4 px", 4.0, 0.0, 1.0),
)
CONFIDENT = 1.959963984540054  # standard deviations of the normal law that hold 95 %


def decisions(model: Callable, images: Tensor, *, seed: int = 0, batch_size: int = 64) -> xr.Dataset | None:
    """The share of images whose largest score moves to another class when they are moved.

    The interval is Wilson's for a share, at 95 %.

    Returns:
        Over ``transform``: ``changed``, ``changed_low``, ``changed_high``; coordinate ``what``. Attribute ``spread``:
        by how much the answers to two different images differ, relative. None for a network that
        does not put out at least two scores for each image.
    """
    images = like_model(model, images)
    rows = torch.tensor([[x, 0.0, math.radians(turn), mirror] for _, x, turn, mirror in ASKED], dtype=torch.float64)
    with undisturbed(model, seed):
        still = torch.cat([fed(model, part) for part in images.split(batch_size)])
        if not isinstance(still, Tensor) or still.ndim != 2 or still.shape[1] < 2:
            return None
        moved = transform_images(images, rows, Plane(O2()), padding="border").flatten(0, 1)
        answers = torch.cat([fed(model, part, spare=True) for part in moved.to(images.dtype).split(batch_size)])
    changed = answers.argmax(-1).view(len(rows), -1) != still.argmax(-1)
    share = changed.double().mean(1).cpu().numpy()
    low, high = wilson(share, len(images))
    return xr.Dataset(
        {
            "changed": labelled("transform", share, "share of images whose class changes"),
            "changed_low": labelled("transform", low, "lower end of its 95 % interval"),
            "changed_high": labelled("transform", high, "upper end of its 95 % interval"),
        },
        coords={"what": labelled("transform", [name for name, *_ in ASKED], "what was done to the image")},
        attrs=provenance(
            "decisions",
            seed=seed,
            dtype=images.dtype,
            resampler="bicubic",
            padding="border",
            samples=len(images),
            spread=_spread(still),
        ),
    )


def spread_of(model: Callable, inputs: Tensor, *, seed: int = 0, batch_size: int = 64) -> float:
    """By how much a network's answers to two different samples differ, relative; 1 for a single sample.

    >>> spread_of(torch.nn.Identity(), torch.tensor([[1.0, 0.0], [1.0, 0.5]])) < 0.5
    True
    """
    inputs = like_model(model, inputs)
    with undisturbed(model, seed):
        answers = torch.cat([tensor_of(fed(model, part)) for part in inputs.split(batch_size)])
    return _spread(answers.double()) if len(answers) > 1 else 1.0


def _spread(answers: Tensor) -> float:
    numbers = answers.flatten(1) if answers.ndim > 1 else answers[:, None]
    apart = (numbers - numbers.roll(1, 0)).norm(dim=-1)
    return float((apart / numbers.norm(dim=-1).clamp_min(torch.finfo(numbers.dtype).tiny)).mean())


def wilson(share: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95 % interval of a share seen in ``count`` trials (Wilson 1927).

    >>> low, high = wilson(np.array([0.0, 0.5]), 10)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 0.237], [0.278, 0.763])
    """
    z2 = CONFIDENT**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    reach = CONFIDENT / (1 + z2 / count) * np.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return np.maximum(0.0, middle - reach), np.minimum(1.0, middle + reach)
