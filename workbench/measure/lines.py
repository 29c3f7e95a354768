"""What breaks shifts of series, the order of sets, and moves of point sets: the rules, one layer at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from workbench.groups import Group, Symmetric, Translation
from workbench.measure.geometry import Finding
from workbench.measure.hazards import position_finding

KINDS = ("series", "points", "set")
_SKIPPING = (nn.Conv1d, nn.MaxPool1d, nn.AvgPool1d)


@contextmanager
def watched(
    model: nn.Module, sample: Tensor, kind: str, group: Group | None, record: Callable[..., None]
) -> Iterator[None]:
    """Tells ``record(name, module, (1, places), finding)`` once for each finding while the model runs on ``sample``.

    Args:
        sample: ``(1, C, L)`` of a series, ``(1, N, d)`` of points, ``(1, N, ...)`` of a set; random, so that a layer
            which gets it untouched can be told.
    """
    seen: set[tuple[str, str]] = set()
    places = int(sample.shape[-1] if kind == "series" else sample.shape[1])

    def before(name: str) -> Callable[[nn.Module, tuple], None]:
        def hook(module: nn.Module, inputs: tuple) -> None:
            value = inputs[0] if inputs and isinstance(inputs[0], Tensor) else None
            for size, finding in _found(module, value, sample, kind, group, places):
                if (name, finding.reason) not in seen:
                    seen.add((name, finding.reason))
                    record(name, module, (1, size), finding)

        return hook

    handles = [module.register_forward_pre_hook(before(name)) for name, module in model.named_modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _found(
    module: nn.Module, value: Tensor | None, sample: Tensor, kind: str, group: Group | None, places: int
) -> Iterator[tuple[int, Finding]]:
    here = int(value.shape[-1]) if kind == "series" and value is not None and value.ndim == 3 else places
    if kind != "points" or not isinstance(group, Translation):
        for finding in position_finding(module, (1, here)):
            yield here, finding
    if value is None or value.ndim != 3:
        return
    if kind == "series":
        rules = _of_series(module, here)
    elif isinstance(group, Translation):
        rules = _of_coordinates(module, value, sample)
    else:
        rules = _of_members(module, value, places)
        if kind == "points" and not isinstance(group, Symmetric):
            rules = iter([*rules, *_of_coordinates(module, value, sample)])
    for finding in rules:
        yield here, finding


def _of_series(module: Any, length: int) -> Iterator[Finding]:
    if isinstance(module, nn.Conv1d) and module.padding_mode == "zeros" and padded(module):
        yield Finding(
            "zero padding stands at both ends, wherever the content moves to",
            "pad circularly where the ends meet (padding_mode='circular'), or give it longer series",
            "ends",
        )
    if isinstance(module, _SKIPPING) and _one(module.stride) > 1:
        yield Finding(
            f"stride {_one(module.stride)} drops what lies between the samples it keeps: other samples after a shift",
            "keep stride 1 and blur before dropping samples (anti-aliasing)",
            "aliasing",
        )
    if isinstance(module, nn.Flatten) and module.start_dim <= 1 and length > 1:
        yield Finding(
            f"flattening {length} samples hands each its own weight to the next layer",
            "take the mean or the maximum over the samples first",
            "flatten",
        )
    if isinstance(module, nn.RNNBase):
        yield Finding(
            "a recurrent layer starts from the same state at the first sample, wherever the content stands",
            "use convolutions, or take the mean of its outputs over all samples",
            "recurrence",
        )


def _of_members(module: Any, value: Tensor, members: int) -> Iterator[Finding]:
    if isinstance(module, nn.RNNBase) and members in value.shape[:2]:
        yield Finding(
            "a recurrent layer reads the members one after the other: their order counts",
            "add up or average over the members what one layer makes of each, or use attention",
            "recurrence",
        )
    if isinstance(module, nn.Conv1d) and _one(module.kernel_size) > 1 and value.shape[-1] == members:
        yield Finding(
            f"a window of {_one(module.kernel_size)} mixes members that are neighbours in the list",
            "use a window of 1, and attention or a mean over the members",
            "neighbours",
        )
    if isinstance(module, nn.Flatten) and module.start_dim <= 1 and value.shape[1] == members > 1:
        yield Finding(
            f"flattening {members} members hands each its own weight to the next layer",
            "take the mean, the sum or the maximum over the members first",
            "flatten members",
        )


def _of_coordinates(module: Any, value: Tensor, sample: Tensor) -> Iterator[Finding]:
    """The first layer with weights, where it is given the points as they are."""
    turned = isinstance(module, nn.Conv1d)
    if not isinstance(module, nn.Linear | nn.Conv1d):
        return
    given = value.transpose(1, 2) if turned else value
    width = min(sample.shape[-1], given.shape[-1])
    if given.shape[:2] == sample.shape[:2] and torch.equal(given[..., :width], sample[..., :width].to(given)):
        yield Finding(
            "its weights act on the coordinates themselves, which change when all points move together",
            "subtract the mean of the points first (translations); distances instead of coordinates (rotations, too)",
            "absolute coordinates",
        )


def padded(module: Any) -> bool:
    """Whether a convolution of series needs something from beyond the ends."""
    if isinstance(module.padding, str):
        return module.padding == "same" and _one(module.kernel_size) > 1
    return _one(module.padding) > 0


def _one(value: Any) -> int:
    return int(value) if isinstance(value, int) else int(max(value))
