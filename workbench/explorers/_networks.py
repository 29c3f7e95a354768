"""The networks an explorer measures, and the controls that any claim of equivariance is shown beside."""

from __future__ import annotations

import copy
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from workbench.explorers._runs import config, image_set, run_names, run_path, seeded, trained_model
from workbench.groups import GroupSignal
from workbench.layers import group_layers, set_n
from workbench.measure.probe import named_layers, why_not

PLAIN = {"name": "plain_cnn"}
SIZES = (16, 28, 32, 64, 96, 224)
"""Image sizes tried on a reader's own model, in pixels."""


@dataclass(frozen=True, eq=False)
class OwnModel:
    """A reader's own network and the images `(B, channels, size, size)` it takes."""

    module: nn.Module
    channels: int
    size: int

    def __post_init__(self) -> None:
        self.module.training  # noqa: B018 - an early, plain error for something that is no module


def own_model(given: object) -> OwnModel:
    """Find out which images a reader's module takes, by trying.

    Raises:
        TypeError: no torch module.
        ValueError: no tried image gives class scores, maps or a group signal.
    """
    if not isinstance(given, nn.Module):
        raise TypeError(f"a {type(given).__name__} was given; expected a torch.nn.Module on images (B, C, H, W).")
    counts = (getattr(module, "in_channels", None) for module in given.modules())
    channels = next((count for count in counts if isinstance(count, int)), 1)
    reasons = []
    flags = {module: module.training for module in given.modules()}
    reference = next(given.parameters(), torch.zeros(()))
    try:
        given.eval()
        for size in SIZES:
            try:
                with torch.inference_mode():
                    result = given(torch.zeros(2, channels, size, size).to(reference))
            except Exception as error:  # any layer of any model may object in its own way
                reasons.append(f"{size} px: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
                continue
            if (problem := why_not(result, 2)) is None:
                return OwnModel(given, channels, size)
            reasons.append(problem)
    finally:
        for module, training in flags.items():
            module.training = training
    raise ValueError(
        f"the model took none of the images (2, {channels}, H, W) with H = W in {SIZES}; expected class scores, maps "
        f"or a GroupSignal; the last reason was: {reasons[-1]}."
    )


@lru_cache(maxsize=32)
def network(path: Path | None, n: int) -> nn.Module:
    """A run's network, or the untrained one, with `n` elements where its group allows it; shared, do not train it."""
    model = copy.deepcopy(trained_model(path))
    with suppress(ValueError):  # a finite group, or learned gates, have their own number of elements
        set_n(model, n)
    return model


def plain_beside(path: Path | None) -> tuple[str, nn.Module]:
    """The plain network to show beside a run: one trained on the same data where it is stored, and its name."""
    data = config(path)["data"]
    for name in run_names():
        other = config(run_path(name))
        if other["model"]["name"] == PLAIN["name"] and other["data"] == data:
            return "plain network", trained_model(run_path(name))
    return "plain, untrained", _plain_untrained(image_set(path).image_shape[0])


@lru_cache(maxsize=4)
def _plain_untrained(channels: int) -> nn.Module:
    return seeded({**PLAIN, "in_channels": channels})


def shuffled(model: nn.Module, seed: int = 0) -> nn.Module:
    """The negative control: the same numbers in every kernel, but each orientation has them in its own disorder.

    Group layers have the taps of their generated kernels permuted, differently for each output element; any other
    module has the entries of its weights permuted. The sharing that makes a layer equivariant is gone.
    """
    model = copy.deepcopy(model)
    layers = [name for name, layer in group_layers(model).items() if layer.kernel_size > 1]
    for at, name in enumerate(layers):
        model.set_submodule(name, _Disorder(model.get_submodule(name), seed + at))
    if not layers:
        generator = torch.Generator().manual_seed(seed)
        for weight in model.parameters():
            if weight.ndim >= 2:
                order = torch.randperm(weight.numel(), generator=generator)
                weight.data = weight.data.flatten()[order.to(weight.device)].view_as(weight)
    return model


class _Disorder(nn.Module):
    """A group layer on its whole grid whose kernels, generated once, have their taps permuted for every element."""

    def __init__(self, layer: Any, seed: int) -> None:
        super().__init__()
        self.layer, self.seed = layer, seed
        self._kept: tuple[Tensor | None, Tensor] | None = None

    def forward(self, x: Tensor | GroupSignal) -> GroupSignal:
        layer = self.layer
        inputs = x.elements if isinstance(x, GroupSignal) else None
        elements = layer.group.grid(layer.group.order or layer.n)
        if self._kept is None or not _alike(self._kept[0], inputs):
            self._kept = inputs, self._weight(layer.bank(elements, inputs))
        values = x.folded() if isinstance(x, GroupSignal) else x
        out = functional.conv2d(values, self._kept[1], stride=layer.stride, padding=layer.padding)
        values = out.unflatten(1, (layer.out_channels, len(elements)))
        bias = 0 if layer.bias is None else layer.bias[:, None, None, None]
        return GroupSignal(values + bias, elements, layer.group)

    def _weight(self, bank: Tensor) -> Tensor:
        """`(C_out, S_out, C_in, S_in, k*k)` in disorder, as one convolution's weight."""
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.stack([torch.randperm(bank.shape[-1], generator=generator) for _ in range(bank.shape[1])])
        mixed = bank.gather(-1, order[None, :, None, None].expand_as(bank)).flatten(2, 3).flatten(0, 1)
        return mixed.unflatten(-1, (self.layer.kernel_size, self.layer.kernel_size))


def _alike(one: Tensor | None, other: Tensor | None) -> bool:
    return one is other if one is None or other is None else torch.equal(one, other)


def positions(model: nn.Module) -> list[str]:
    """Modules whose outputs are looked at, in order: the convolutions, or whatever can be watched."""
    ours = [name for name, module in model.named_modules() if isinstance(module, _Disorder)]
    ours = ours or [name for name, layer in group_layers(model).items() if layer.kernel_size > 1]
    if ours:
        return ours
    watchable = named_layers(model, "all")
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return [name for name, module in watchable.items() if isinstance(module, kinds)] or list(watchable)
