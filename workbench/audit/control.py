"""The negative control of an audit of images: the same network behind a fixed disorder of the pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import xarray as xr
from torch import Tensor, nn

from workbench.audit.questions import Question
from workbench.measure import equivariance_error
from workbench.measure.probe import like_model


class Disordered(nn.Module):
    """The negative control: the same network, but the pixels of its input stand in a fixed disorder.

    Whatever symmetry a network's layers have, it is gone, and where the control's error is as small as the network's
    own, the network says the same about everything.
    """

    def __init__(self, model: Callable, pixels: int, seed: int = 0) -> None:
        super().__init__()
        self.model = model
        self.order = torch.randperm(pixels, generator=torch.Generator().manual_seed(seed))

    def forward(self, x: Tensor) -> Any:
        return self.model(x.flatten(2)[..., self.order.to(x.device)].view_as(x))


def control(model: Callable, images: Tensor, step: Question, options: dict[str, Any]) -> xr.Dataset:
    """The sweep of one question for the network behind the disorder."""
    some = like_model(model, images)
    disordered = Disordered(model, some.shape[-1] * some.shape[-2], options["seed"])
    return equivariance_error(
        disordered, some, step.group, step.elements, mask=step.mask, padding=step.padding, **options
    )
