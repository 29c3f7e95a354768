"""Loss and accuracy of a classifier on stored images, leaving the classifier as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from workbench.training.randomness import own_randomness

CHUNK = 256  # images per forward pass


class Score(NamedTuple):
    """Mean cross-entropy in nats and share of correctly named images."""

    loss: float
    accuracy: float


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """A block in evaluation mode without gradients; each module's own mode and all generators come back after it."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with own_randomness(), torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def evaluate(model: nn.Module, images: Tensor, labels: Tensor) -> Score:
    """Mean cross-entropy and accuracy of `model` on images (N, C, H, W) with labels (N,).

    Raises ValueError for an empty set and for a model whose output is not (B, classes).
    """
    if len(images) == 0:
        raise ValueError("there are no images to evaluate; expected at least one")
    like = next((p for p in model.parameters() if p.is_floating_point()), images)
    loss, correct = 0.0, 0
    with evaluation_mode(model):
        for at in range(0, len(images), CHUNK):
            logits = model(images[at : at + CHUNK].to(like))
            truth = labels[at : at + CHUNK].to(like.device)
            check_logits(logits, len(truth))
            loss += float(nn.functional.cross_entropy(logits.double(), truth, reduction="sum"))
            correct += int((logits.argmax(1) == truth).sum())
    return Score(loss / len(images), correct / len(images))


def check_logits(logits: object, batch: int) -> None:
    """Refuse an output that cannot be trained on with class labels."""
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != batch:
        given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            f"the model returned {given} for {batch} images; expected logits (B, classes): end the model with a "
            "projection and a linear layer"
        )
