"""What is set on all group layers of a model at once: elements, their sampling, the precision of sums."""

from __future__ import annotations

import torch
from torch import nn

from workbench.layers.convolution import GroupLayer


def group_layers(model: nn.Module) -> dict[str, GroupLayer]:
    """The lifting and group convolutions of a model, by module name, in order."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"a {type(model).__name__} was given; expected a torch module.")
    return {name: module for name, module in model.named_modules() if isinstance(module, GroupLayer)}


def _turning(model: nn.Module) -> list[GroupLayer]:
    """The group layers, less those on the plane alone where others turn: they have one element whatever n is."""
    layers = list(group_layers(model).values())
    return [layer for layer in layers if layer.group.order != 1] or layers


def set_n(model: nn.Module, n: int) -> None:
    """Give every group layer ``n`` elements; the weights stay as they are.

    Raises:
        ValueError: when a layer's group cannot offer ``n``; no layer is changed then.
    """
    layers = _turning(model)
    for layer in layers:
        layer.check_n(n)
    for layer in layers:
        layer.n = n


def set_sampling(model: nn.Module, sampling: str) -> None:
    """Let every group layer use the "grid" as it is, or a "random" turn of it in each training step.

    Raises:
        ValueError: for another name, or random turns of a finite group; no layer is changed then.
    """
    layers = _turning(model)
    for layer in layers:
        layer.check_sampling(sampling)
    for layer in layers:
        layer.sampling = sampling


def set_sums(model: nn.Module, dtype: torch.dtype | None) -> None:
    """Add up every group convolution in ``dtype`` in evaluation mode; inputs, outputs and weights keep theirs.

    In float32 rounding depends on the order of a sum, and a turned input changes that order: a network's answers then
    differ by some 1e-7, and by more where two logits nearly cancel. Summed in float64 and rounded once, the answers to
    lattice elements agree to the last bit, for about three times the cost on a CPU (derived here).

    Args:
        model: with group layers.
        dtype: ``torch.float64``, or ``None`` for the dtype of the input.

    Raises:
        ValueError: for another dtype.

    >>> import torch
    >>> from workbench.layers import GroupConv, LiftingConv
    >>> net = torch.nn.Sequential(LiftingConv(1, 4, 5), GroupConv(4, 4, 5))
    >>> set_sums(net, torch.float64)
    >>> net(torch.zeros(1, 1, 8, 8)).values.dtype
    torch.float32
    """
    if dtype not in (None, torch.float64):
        raise ValueError(f"set_sums: {dtype} was given; expected torch.float64, or None for the dtype of the input.")
    for layer in group_layers(model).values():
        layer.sums = dtype
