"""What is asked of data and network before a run folder is made: a refused training leaves nothing behind."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from workbench.training.evaluation import check_logits, evaluation_mode
from workbench.training.settings import Settings

if TYPE_CHECKING:
    from workbench.datasets import ImageSet

FEW = 2  # images of the trial


def check_data(data: ImageSet, settings: Settings) -> None:
    """Refuse images that are no numbers, labels that do not fit them, and early stopping without a validation split."""
    for split in ("train", "validation", "test"):
        images, labels = data.splits[split]
        if len(images) != len(labels):
            raise ValueError(f"{data.name} has {len(images)} {split} images and {len(labels)} labels; expected as many")
        if not bool(torch.isfinite(images).all()):
            raise ValueError(f"the {split} images of {data.name} hold NaN or infinity; expected finite pixels")
    if settings.early_stop and not len(data.splits["validation"][0]):
        raise ValueError(
            f"training.early_stop watches the validation accuracy, and {data.name} has no validation images; "
            "set training.early_stop to null"
        )


def check_model(model: nn.Module, config: Mapping[str, Any], data: ImageSet) -> None:
    """Refuse a network that cannot read the images or has fewer classes than labels; the network stays as it is.

    A copy of it answers for two training images, on the CPU and in evaluation mode.
    """
    images, _ = data.splits["train"]
    classes = _answer(model, config, data, images[:FEW]).shape[1]
    labels = torch.cat([data.splits[split][1] for split in data.splits])
    highest = int(labels.max())
    if int(labels.min()) < 0:
        raise ValueError(f"{data.name} has the label {int(labels.min())}; expected whole numbers from 0")
    if highest >= classes:
        raise ValueError(
            f"the model {config['name']!r} has {classes} classes, and {data.name} has labels up to {highest}; "
            f'expected at least {highest + 1}: write "classes": {highest + 1} into the model, or choose other data'
        )


def _answer(model: nn.Module, config: Mapping[str, Any], data: ImageSet, images: Tensor) -> Tensor:
    """Logits (B, classes) of images (B, C, H, W)."""
    trial = copy.deepcopy(model)  # evaluation keeps kernels, and the network itself must not
    like = next((p for p in trial.parameters() if p.is_floating_point()), images)
    try:
        with evaluation_mode(trial):
            logits = trial(images.to(like))
    except RuntimeError as error:  # torch's own layers name sizes, not the cause
        raise ValueError(
            f"the model {config['name']!r} cannot read the images of {data.name}, (C, H, W) = "
            f"{tuple(images.shape[1:])}: {str(error).splitlines()[0]}; choose a model for such images: see its "
            "in_channels and input size"
        ) from error
    check_logits(logits, len(images))
    return logits
