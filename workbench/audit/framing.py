"""How shifts of images are asked fairly: without what enters at the frame, where it can be kept out.

A shifted image shows at one side of the frame what nobody knows. A network whose answer is a map is compared only at
places that look at none of it; one whose every padding is circular is asked after shifts round the frame, where nothing
enters. Where the answer is one vector for the whole image, the frame is part of the question.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from workbench.audit.questions import Question
from workbench.groups import GroupSignal, Translation
from workbench.measure import undisturbed
from workbench.measure.behaviour import parse_behaviour
from workbench.measure.inference import infer_behaviour
from workbench.measure.laws import pitch
from workbench.measure.probe import like_model
from workbench.measure.result import selected

KERNEL_PX = 2
"""How far the resampler of shifts by parts of a pixel reads."""
FAINT = 1e-6
"""Gradients below this part of the largest one are rounding."""
_PLACES = 8
MAPS = ("image", "vector field", "group signal", "series")
"""Behaviours of answers that have places."""


def fair(step: Question, model: Callable, inputs: Tensor, asking: dict[str, Any], seed: int = 0) -> Question:
    """The question with the frame that suits this network, and in words which one that is.

    Args:
        step: anything; all but shifts of images are given back as they are.
        asking: what is asked of all questions alike; ``select`` and ``output`` are looked at.
    """
    if not isinstance(step.group, Translation) or step.padding == "circular":
        return step
    if (step.input, inputs.ndim) not in (("image", 4), ("series", 3)):
        return step
    if step.input == "image" and is_circular(model):
        told = "round the frame, where nothing enters, because every padding of the network is circular"
        return replace(step, mask="none", padding="circular", told=told)
    if not _moves_along(step, model, inputs, asking, seed):
        return step
    answer, gradient = _looked_at(model, inputs, asking.get("select"), seed)
    if answer is None:
        return step
    size, out = _frame(inputs), _frame(answer, inputs.ndim)
    return _inside(step, None if gradient is None else reach_of(gradient, out), size, out)


def _moves_along(step: Question, model: Callable, inputs: Tensor, asking: dict[str, Any], seed: int) -> bool:
    """Whether the answer has places that move with those of the input, declared or inferred."""
    law = asking.get("output", "auto")
    if str(law) == "auto":
        try:
            law = infer_behaviour(model, inputs, step.group, step.input, select=asking.get("select"), seed=seed)
        except Exception:  # code that nobody knows; the sweep itself says what is wrong
            return False
    return parse_behaviour(law).kind in MAPS


def _frame(values: Tensor, like: int | None = None) -> tuple[int, int]:
    """Rows and columns of images ``(B, C, H, W)``; a series ``(B, C, L)`` is one row.

    Args:
        like: axes of the inputs, where these are the answers to them, which may lack channels.
    """
    rows = 1 if (like or values.ndim) == 3 else int(values.shape[-2])
    return rows, int(values.shape[-1])


def _inside(step: Question, reach: float | None, size: tuple[int, int], out: tuple[int, int]) -> Question:
    """The shifts that leave some places which look at nothing from outside; all of them where no place is left."""
    least = max(4.0, *(2 * pitch(side, after) for side, after in zip(size, out, strict=True)))  # that have to be left
    longest = step.elements.abs().amax(-1)
    axes = [(side, after) for side, after in zip(size, out, strict=True) if side > 1]
    covered = min(after * pitch(side, after) for side, after in axes)
    lost = min(side - after * pitch(side, after) for side, after in axes) / 2  # without padding
    unit = "px" if step.input == "image" else "samples"
    if reach is not None and math.isfinite(reach):
        inside = max(0, math.ceil(reach - lost))
        for margin in (inside + KERNEL_PX, inside):
            room = longest <= (covered - least) / 2 - margin
            if bool((longest[room] >= 1).any()):
                left = (
                    ""
                    if bool(room.all())
                    else f"; shifts by more than {float(longest[room].max()):g} {unit} leave none"
                )
                off = margin + max(0, round(lost))
                told = (
                    f"where nothing that enters at the frame is seen, {off} {unit} inside of it, because the network "
                    f"looks {math.ceil(reach)} {unit} around each place (measured by gradients){left}"
                )
                return replace(step, elements=step.elements[room], mask="overlap", margin=float(margin), told=told)
    seen = "cannot be told" if reach is None else "reaches as far as the frame"
    told = (
        f"where the shifted frame covers the other one; how far the network looks around each place {seen}, so that "
        "what enters at the frame is part of the error"
    )
    return replace(step, mask="overlap", told=told)


def is_circular(model: Callable) -> bool:
    """Whether something in the network is padded, and all that is padded is padded circularly.

    >>> is_circular(nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")), is_circular(nn.Conv2d(1, 1, 3, padding=1))
    (True, False)
    """
    if not isinstance(model, nn.Module):
        return False
    kinds = {kind for module in model.modules() if (kind := _padding(module))}
    return kinds == {"circular"}


def _padding(module: nn.Module) -> str:
    """How a layer continues its input beyond the frame; empty where it needs nothing from there."""
    name = type(module).__name__
    if "Pad" in name and hasattr(module, "padding"):
        return "circular" if name.startswith("Circular") else "other"
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        return "other"
    if isinstance(module, nn.Upsample) and module.mode != "nearest":
        return "other"
    padding = getattr(module, "padding", 0)
    if isinstance(padding, str):
        size = getattr(module, "kernel_size", (1,))
        padding = 0 if padding == "valid" or max(size) == 1 else 1
    if not isinstance(padding, int | tuple | list) or not any([padding] if isinstance(padding, int) else padding):
        return ""
    return "circular" if getattr(module, "padding_mode", "zeros") == "circular" else "other"


def reach_of(gradient: Tensor, out: tuple[int, int]) -> float:
    """Pixels that an answer depends on, on every side of its place; infinite where they touch the frame.

    Args:
        gradient: ``(P, H, W)``, of the answer at the P-th place of :func:`places` by the input, absolute.
        out: height and width of the answer.
    """
    size = (int(gradient.shape[-2]), int(gradient.shape[-1]))
    seen = gradient > FAINT * gradient.amax((-2, -1), keepdim=True)
    farthest = 0.0
    for row, place in zip(seen, places(size, out), strict=True):
        for axis, side in enumerate(size):
            if side == 1:  # the row of a series
                continue
            at = torch.nonzero(row.any(1 - axis)).flatten()
            if not len(at):
                continue
            if int(at[0]) == 0 or int(at[-1]) == side - 1:
                return math.inf
            centre = (place[axis] - (out[axis] - 1) / 2) * pitch(side, out[axis]) + (side - 1) / 2
            farthest = max(farthest, centre - float(at[0]), float(at[-1]) - centre)
    return farthest


def places(size: tuple[int, int], out: tuple[int, int]) -> list[tuple[int, int]]:
    """Places of the answer on a diagonal through its middle, so many that every phase of a stride of 8 px is met."""
    count = max(2, min(_PLACES, round(_PLACES / max(1.0, *(pitch(s, o) for s, o in zip(size, out, strict=True))))))
    steps = [at - count // 2 for at in range(count)]
    return [(min(max(out[0] // 2 + s, 0), out[0] - 1), min(max(out[1] // 2 + s, 0), out[1] - 1)) for s in steps]


def _looked_at(model: Callable, inputs: Tensor, select: Any, seed: int) -> tuple[Tensor | None, Tensor | None]:
    """An answer, and how it depends on the pixels ``(P, H, W)``; None for what cannot be had."""
    size, axes = _frame(inputs), inputs.ndim
    some = like_model(model, inputs[:_PLACES]).detach()
    some = some[torch.arange(_PLACES) % len(some)]
    draw = torch.Generator().manual_seed(seed)
    # noise as well, so that no filter stands still on a flat picture
    some = some + torch.randn(some.shape, generator=draw).to(some) * some.std().clamp_min(1e-3)
    with undisturbed(model, seed), torch.enable_grad():
        some.requires_grad_()
        try:
            answer = selected(model(some), select)
        except Exception:  # code that nobody knows; the audit itself says what is wrong
            return None, None
        if isinstance(answer, GroupSignal):
            answer = answer.values.flatten(1, -3)
        if not isinstance(answer, Tensor) or answer.ndim not in (axes - 1, axes) or answer.ndim < 3:
            return None, None
        maps = answer if answer.ndim == axes else answer.unsqueeze(1)
        maps = maps if axes == 4 else maps.unsqueeze(-2)
        if not maps.is_floating_point() or not maps.requires_grad:
            return answer.detach(), None
        weights = torch.randn(maps.shape[1], generator=draw).to(maps)  # a plain sum of probabilities is always 1
        at = places(size, (int(maps.shape[-2]), int(maps.shape[-1])))
        total = torch.stack([maps[n, :, row, column] @ weights for n, (row, column) in enumerate(at)]).sum()
        (gradient,) = torch.autograd.grad(total, some, allow_unused=True)
    if gradient is None or not bool(torch.isfinite(gradient).all()):
        return answer.detach(), None
    seen = gradient[: len(at)].abs().sum(1)
    return answer.detach(), seen if axes == 4 else seen.unsqueeze(-2)
