"""What the kept weights of finished runs are worth beyond their accuracy: studies that read run folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from workbench.training.evaluation import evaluate, evaluation_mode
from workbench.training.run import Run

if TYPE_CHECKING:
    import xarray as xr

    from workbench.datasets import ImageSet

IMAGES = 128  # of the test split
FEW = 32  # in the fast mode


def shifts_and_dials(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """How much shifts change what trained networks say, what held-out data say of them, and their dials over time.

    Args:
        runs: (experiment, seed) -> the folder of a finished run.
        fast: fewer pictures.

    Returns:
        `shift_error(experiment, seed)`: see :func:`half_shift_error`, on test images; `validation_loss(experiment,
        seed)` of the kept weights; `dial_course(experiment, seed, layer, epoch)`, NaN where a run has no such layer.
    """
    import xarray as xr

    from workbench.datasets import load
    from workbench.measure import labelled, provenance

    names, seeds = list(dict.fromkeys(n for n, _ in runs)), sorted({s for _, s in runs})
    grid = len(names), len(seeds)
    shift, loss = np.full(grid, np.nan), np.full(grid, np.nan)
    courses: dict[tuple[int, int], xr.DataArray] = {}
    sets: dict[str, ImageSet] = {}
    for (name, seed), path in runs.items():
        at = names.index(name), seeds.index(seed)
        run = Run(path)
        options = dict(run.config["data"])
        key = json.dumps(options, sort_keys=True)
        data = sets[key] = sets.get(key) or load(options.pop("name"), **options)
        model = run.model()
        images = data.splits["test"][0][: FEW if fast else IMAGES]
        shift[at] = half_shift_error(model, images)
        loss[at] = evaluate(model, *data.splits["validation"]).loss
        courses[at] = run.history()["dial"]
    layers = list(dict.fromkeys(str(layer) for course in courses.values() for layer in course.layer.values))
    epochs = np.arange(1, 1 + max(course.sizes["epoch"] for course in courses.values()))
    dials = np.full((*grid, len(layers), len(epochs)), np.nan)
    for at, course in courses.items():
        for layer in course.layer.values:
            values = course.sel(layer=layer).values
            dials[(*at, layers.index(str(layer)), slice(len(values)))] = values
    over, deep = ("experiment", "seed"), ("experiment", "seed", "layer", "epoch")
    return xr.Dataset(
        {
            "shift_error": labelled(over, shift, "relative change of the logits under shifts by half an image"),
            "validation_loss": labelled(over, loss, "validation loss of the kept weights", "nat"),
            "dial_course": labelled(deep, dials, "dial after each epoch"),
        },
        {
            "experiment": labelled("experiment", np.asarray(names, dtype=str), "experiment"),
            "seed": labelled("seed", np.asarray(seeds, dtype=np.int64), "seed"),
            "layer": labelled("layer", np.asarray(layers, dtype=str), "layer"),
            "epoch": labelled("epoch", epochs, "epoch"),
        },
        provenance(
            "shifts_and_dials", seed=seeds, dtype="float32", reduction="root of sums of squares over images, shifts",
            padding="circular", input_kind="test images, for the loss validation images",
            images=FEW if fast else IMAGES,
        ),
    )  # fmt: skip


def turn_changes(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """How much turning a picture changes what trained group networks say.

    Args:
        runs: (experiment, seed) -> the folder of a finished run.
        fast: fewer pictures.

    Returns:
        `quarter_turn_error` and `half_turn_error` over (experiment, seed): |f(T x) - f(x)| / |f(x)| on test images, in
        norms over all images and logits; NaN for networks without group layers.
    """
    import xarray as xr

    from workbench.datasets import load
    from workbench.layers import group_layers
    from workbench.measure import labelled, provenance

    names, seeds = list(dict.fromkeys(n for n, _ in runs)), sorted({s for _, s in runs})
    found = np.full((2, len(names), len(seeds)), np.nan)
    for (name, seed), path in runs.items():
        run = Run(path)
        model = run.model()
        if not group_layers(model):
            continue
        options = dict(run.config["data"])
        images = load(options.pop("name"), **options).splits["test"][0][: FEW if fast else IMAGES]
        with evaluation_mode(model):
            still = model(images)
            for at, turns in enumerate((1, 2)):
                moved = model(torch.rot90(images, turns, (-2, -1)))
                change = float((moved - still).norm() / still.norm().clamp_min(1e-12))
                found[at, names.index(name), seeds.index(seed)] = change
    over, words = ("experiment", "seed"), "relative change of the logits when the picture is turned by"
    return xr.Dataset(
        {
            "quarter_turn_error": labelled(over, found[0], f"{words} 90 degrees"),
            "half_turn_error": labelled(over, found[1], f"{words} 180 degrees"),
        },
        {
            "experiment": labelled("experiment", np.asarray(names, dtype=str), "experiment"),
            "seed": labelled("seed", np.asarray(seeds, dtype=np.int64), "seed"),
        },
        provenance(
            "turn_changes", seed=seeds, dtype="float32", reduction="norms over images and logits",
            input_kind="test images", images=FEW if fast else IMAGES,
        ),
    )  # fmt: skip


def half_shift_error(model: nn.Module, images: Tensor) -> float:
    """|f(T x) - f(x)| / |f(x)| over the three cyclic shifts T by half an image, in norms over all images and logits.

    >>> half_shift_error(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), torch.ones(2, 1, 4, 4))
    0.0
    """
    height, width = (side // 2 for side in images.shape[-2:])
    with evaluation_mode(model):
        still = model(images)
        moved = [model(images.roll(by, (-2, -1))) for by in ((height, 0), (0, width), (height, width))]
    changes = torch.stack([(one - still).norm() for one in moved])
    return float(changes.square().mean().sqrt() / still.norm().clamp_min(1e-12))
