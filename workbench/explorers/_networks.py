"""The networks an explorer measures, and the controls that any claim of equivariance is shown beside."""

from __future__ import annotations

import copy
import importlib.util
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from workbench.e3.copies import copied
from workbench.explorers._runs import config, image_set, run_names, run_path, seeded, trained_model
from workbench.groups import GroupSignal
from workbench.layers import group_layers, set_n
from workbench.measure.probe import OUTPUT, named_layers, run, why_not
from workbench.measure.state import undisturbed

PLAIN = {"name": "plain_cnn"}
ORDINARY = "resnet18.py"
SIZES = (16, 28, 32, 64, 96, 224)
"""Image sizes tried on a reader's own model, in pixels."""
LARGEST = 512


@dataclass(frozen=True, eq=False)
class OwnModel:
    """A reader's own network, the images `(B, channels, size, size)` it takes and the modules to look behind."""

    module: nn.Module
    channels: int
    size: int
    layers: tuple[str, ...]


def own_model(given: object, size: int | None = None) -> OwnModel:
    """Find out which images a reader's module takes, by trying; or see that it takes those of one size.

    Raises:
        TypeError: no torch module, or a size that is no whole number.
        ValueError: no tried image gives class scores, maps or a group signal.
    """
    if not isinstance(given, nn.Module):
        raise TypeError(f"a {type(given).__name__} was given; expected a torch.nn.Module on images (B, C, H, W).")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or not 4 <= size <= LARGEST):
        raise TypeError(f"size = {size!r} was given; expected whole pixels from 4 to {LARGEST}; leave it out to try.")
    sizes = SIZES if size is None else (size,)
    counts = (getattr(module, "in_channels", None) for module in given.modules())
    channels = next((count for count in counts if isinstance(count, int)), 1)
    reasons = []
    flags = {module: module.training for module in given.modules()}
    reference = next(given.parameters(), torch.zeros(()))
    try:
        given.eval()
        for size in sizes:
            images = torch.zeros(2, channels, size, size).to(reference)
            try:
                with torch.inference_mode():
                    result = given(images)
            except Exception as error:  # any layer of any model may object in its own way
                reasons.append(f"{size} px: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
                continue
            if (problem := why_not(result, 2)) is None:
                return OwnModel(given, channels, size, comparable(given, images))
            reasons.append(problem)
    finally:
        for module, training in flags.items():
            module.training = training
    raise ValueError(
        f"the model took none of the images (2, {channels}, H, W) with H = W in {sizes}; expected class scores, maps "
        f"or a GroupSignal; the last reason was: {reasons[-1]}."
    )


def ordinary_file() -> Path | None:
    """The file of an ordinary ResNet-18 that lies beside the notebooks: nothing in it knows of us."""
    package = Path(__file__).resolve().parent.parent
    places = (package.parent / "notebooks", package / "_notebooks")
    return next((folder / ORDINARY for folder in places if (folder / ORDINARY).is_file()), None)


@lru_cache(maxsize=1)
def ordinary() -> OwnModel:
    """That ResNet-18 with seeded random weights, on small colour images; shared, do not train it."""
    path = ordinary_file()
    spec = None if path is None else importlib.util.spec_from_file_location("_ordinary_resnet18", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{ORDINARY} was not found beside the notebooks; install the package again.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model: nn.Module = module.resnet18().eval().requires_grad_(False)
    return OwnModel(model, 3, 32, comparable(model, torch.zeros(2, 3, 32, 32)))


@lru_cache(maxsize=64)
def stored(path: Path | None) -> OwnModel:
    """A run's network, or the untrained one, as a reader's own would be; shared, do not train it."""
    shape = image_set(path).image_shape
    return OwnModel(trained_model(path), shape[0], shape[-1], layers_of(path))


def stages(model: nn.Module) -> tuple[str, ...]:
    """The modules that a network's parts are called by, in order: its children, those of a sequence one by one.

    >>> stages(nn.Sequential(nn.Flatten(), nn.Sequential(nn.ReLU(), nn.Linear(2, 2))))
    ('0', '1.0', '1.1')
    """
    found = []
    for name, child in model.named_children():
        inner = stages(child) if isinstance(child, nn.Sequential | nn.ModuleList) else ()
        found += [f"{name}.{part}" for part in inner] if inner else [name]
    return tuple(found)


@lru_cache(maxsize=64)
def network(path: Path | None, n: int) -> nn.Module:
    """A run's network, or the untrained one, with `n` elements where its group allows it; shared, do not train it."""
    model = _twin(trained_model(path))
    with suppress(ValueError):  # a finite group, or learned gates, have their own number of elements
        set_n(model, n)
    return model


@lru_cache(maxsize=256)
def made_ready(path: Path | None, n: int, shape: tuple[int, ...]) -> None:
    """Let that network generate its kernels, once, for a batch of images of this shape."""
    with torch.no_grad():
        network(path, n)(torch.zeros(shape))


def _twin(module: nn.Module) -> nn.Module:
    """A module of its own, submodules and hooks too, on the same weights: ten times as fast as a deep copy."""
    other = copy.copy(module)
    for name, value in vars(module).items():
        if isinstance(value, dict):
            vars(other)[name] = value.copy()
    for name, child in module._modules.items():
        other._modules[name] = None if child is None else _twin(child)
    return other


def plain_beside(path: Path | None) -> tuple[str, nn.Module, tuple[str, ...]]:
    """The plain network to show beside a run, trained on the same data where it is stored: name, network, layers."""
    data = config(path)["data"]
    for name in run_names():
        other = config(run_path(name))
        if other["model"]["name"] == PLAIN["name"] and other["data"] == data:
            return "plain network", trained_model(run_path(name)), layers_of(run_path(name))
    shape = image_set(path).image_shape
    untrained = _plain_untrained(shape[0])
    return "plain, untrained", untrained, comparable(untrained, torch.zeros(2, *shape))


@lru_cache(maxsize=4)
def _plain_untrained(channels: int) -> nn.Module:
    return seeded({**PLAIN, "in_channels": channels})


def shuffled(model: nn.Module, seed: int = 0) -> nn.Module:
    """The negative control: the same numbers in every kernel, but each orientation has them in its own disorder.

    Group layers have the taps of their generated kernels permuted, differently for each output element; any other
    module has the entries of its weights permuted. The sharing that makes a layer equivariant is gone.
    """
    model = copied(model)
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


@lru_cache(maxsize=64)
def layers_of(path: Path | None) -> tuple[str, ...]:
    """The modules of a run's network behind which both ways can be compared, in order."""
    return comparable(trained_model(path), torch.zeros(2, *image_set(path).image_shape))


def comparable(model: nn.Module, images: Tensor) -> tuple[str, ...]:
    """Modules to look behind, in order: the convolutions whose output belongs to the images one by one.

    A network that averages over copies of its input has none: its layers see the copies. Where a model has no
    convolutions, every module that can be watched is offered.
    """
    names = [name for name, layer in group_layers(model).items() if layer.kernel_size > 1]
    watchable = named_layers(model, "all")
    if not names:
        names = [name for name, module in watchable.items() if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    found: dict[str, Any] = {}
    with undisturbed(model):
        run(model, images, {name: watchable[name] for name in names or watchable}, False, found.__setitem__)
    return tuple(name for name in names or watchable if name in found)


def layer_name(layers: tuple[str, ...], layer: int) -> str:
    """The `layer`-th module, the last one where there are fewer, or the end of the model for 0.

    >>> [layer_name(("first", "second"), at) for at in range(4)]
    ['output', 'first', 'second', 'second']
    """
    return OUTPUT if layer == 0 or not layers else layers[min(layer, len(layers)) - 1]
