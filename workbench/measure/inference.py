"""Trials on a few samples: how an output moves, and whether two runs of the same input agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from workbench.actions.images import check_images
from workbench.actions.points import check_points
from workbench.actions.series import check_series
from workbench.actions.sets import permute_set
from workbench.groups import E3, O1, O3, SO2, SO3, Group, Translation, parse_group
from workbench.measure.behaviour import Behaviour, candidates, choose, input_kind_of
from workbench.measure.compare import Action, error_of, shaped, tensor_of
from workbench.measure.orbit import orbit
from workbench.measure.probe import OUTPUT, Output, copied, like_model, run
from workbench.measure.state import undisturbed

LARGEST_SAMPLE = 2**24
"""Numbers in one sample: more (an image of 4096 x 4096 pixels) are refused, because each one is moved many times."""
TRIAL_SAMPLES = 4
_TRIAL_ELEMENTS = 3
_STATED = 4  # irreps of one network that are tried
_RUNS = 16  # averaged in a trial where two runs of the same samples differ
_CHANCE = 1e-3  # relative difference of two runs above which they are averaged; below it decides nothing


def infer_behaviour(
    model: Callable,
    inputs: Tensor,
    group: Group | str,
    input_kind: str = "auto",
    *,
    select: Any = None,
    resampler: str = "bicubic",
    padding: str = "border",
    seed: int = 0,
) -> Behaviour:
    """How the model's output moves with its input, from its shape and a trial.

    Where the shape leaves several laws, four samples are moved by a few elements, and the law with the smallest error
    is taken if it fits (error below 0.5) and is twice as good as the usual one for that shape and as an output that
    does not move at all; otherwise the usual one, with a low confidence. Irreps as wide as the output that a module
    states, as e3nn's do, are among the laws. What chance is in a network is averaged over 16 runs first. Images are
    tried under quarter turns, whatever group is asked, because the law is the model's and a small shift tells boxes and
    classes hardly apart; only where nothing fits there, under shifts by a quarter of the frame, which a detector that
    knows no turns may follow.

    Args:
        model, inputs, group, resampler, padding, select, seed: as in :func:`workbench.measure.equivariance_error`.
        input_kind: ``"image"``, ``"series"``, ``"points"``, ``"set"``, or ``"auto"``.

    Returns:
        Its ``kind`` is ``"unknown"``, with confidence 0, where no law has this shape.

    >>> from workbench.groups import SO3
    >>> infer_behaviour(lambda x: x.mean(1), torch.rand(4, 5, 3), SO3()).kind
    'vectors'
    """
    group = parse_group(group)
    kind = input_kind_of(inputs, group, input_kind)
    inputs = checked_inputs(model, inputs, group, kind)
    action = Action(orbit(group, 3), group, resampler, padding, "none", size_of(inputs, kind), None, kind)
    with undisturbed(model, seed):
        value = one_output(model, inputs[:TRIAL_SAMPLES], select)
        return decide(model, value, inputs, action, select)


def decide(model: Callable, value: Output, inputs: Tensor, action: Action, select: Any) -> Behaviour:
    """The law of the output ``value``; runs the model once more only where its shape leaves a choice."""
    laws = candidates(value, inputs, action.group, action.input_kind)
    if isinstance(model, nn.Module):
        laws += stated_irreps(reversed(list(model.modules())), value, action)
    shape = f"({', '.join(['B', *map(str, tensor_of(value).shape[1:])])})"
    if not laws:
        slots = action.input_kind == "image" and tensor_of(value).ndim == 3
        each = " (numbers for each of many slots, as of a detector: measure its boxes (B, N, 4) or scores (B, N) alone)"
        why = f"no behaviour is known for an output of shape {shape}{each if slots else ''}"
        return Behaviour("unknown", confidence=0.0, why=why)
    if len(laws) == 1:
        return replace(laws[0], why=f"the usual behaviour of an output of shape {shape}")
    some = inputs[:TRIAL_SAMPLES]
    before = one_output(model, some, select)
    runs = _RUNS if _by_chance(tensor_of(value), tensor_of(before)) else 1
    before = before if runs == 1 else _average(model, some, select, runs)
    tried = (_tried(model, some, before, one, laws, select, runs) for one in _trial_actions(action))
    first = next(tried)
    return first if first.fits else next((law for law in tried if law.fits and law.kind != first.kind), first)


def stated_irreps(modules: Iterable[nn.Module | None], value: Output, action: Action) -> list[Behaviour]:
    """The irreps that e3nn's modules say they put out, where they are as wide as the value and points turn."""
    if action.input_kind != "points" or not isinstance(action.group, SO3 | O3 | E3):
        return []
    found: dict[str, Behaviour] = {}
    for module in modules:
        stated: Any = getattr(module, "irreps_out", None)
        if type(stated).__name__ == "Irreps" and stated.dim == tensor_of(value).shape[-1]:
            found.setdefault(str(stated), Behaviour("irreps", irreps=str(stated)))
    return list(found.values())[:_STATED]


def _tried(
    model: Callable, some: Tensor, before: Output, action: Action, laws: list[Behaviour], select: Any, runs: int
) -> Behaviour:
    moved = action.there(action.source(some)).flatten(0, 1).to(some.dtype)
    after = one_output(model, moved, select) if runs == 1 else _average(model, moved, select, runs)
    same = tensor_of(before)
    same = same.repeat(len(action.elements), *[1] * (same.ndim - 1))
    return choose(laws, errors_of_laws(before, after, laws, action), errors_of_laws(before, same, laws, action))


def _by_chance(first: Tensor, second: Tensor) -> bool:
    """Whether two runs, of the same samples first, differ by more than the rounding of batches of other sizes."""
    count = min(len(first), len(second))
    first, second = first[:count], second[:count]
    if first.shape != second.shape:
        return True
    return relative_change(first.double(), second.double()) > _CHANCE


def _average(model: Callable, inputs: Tensor, select: Any, runs: int) -> Tensor:
    """The mean of several runs, which chance changes less; of labels the last run."""
    found = [tensor_of(one_output(model, inputs, select)) for _ in range(runs)]
    return torch.stack(found).mean(0) if found[0].is_floating_point() else found[-1]


def errors_of_laws(before: Output, after: Output, laws: list[Behaviour], action: Action) -> list[float]:
    """The mean relative error of each law over samples and elements; ``after`` is the output for moved inputs."""
    errors = []
    for law in laws:
        value = shaped(before, law)
        wanted = action.there(value)
        got = action.cast(tensor_of(shaped(after, law, like=value))).view(wanted.shape)
        error = error_of("relative", action.distance(got, wanted, value), action.entries(value), 1e-12)
        errors.append(float(error.nan_to_num(nan=torch.inf).mean()))
    return errors


def _trial_actions(action: Action) -> list[Action]:
    if action.input_kind != "image":
        return [replace(action, elements=_trial_elements(action), mask="none")]
    height, width = action.input_size
    quarters = torch.tensor([1.0, 2.0, 3.0] if height == width else [2.0], dtype=torch.float64)
    steps = torch.tensor([[width // 4, 0], [0, -(height // 4)]], dtype=torch.float64)
    return [
        replace(action, group=SO2(), elements=quarters[:, None] * (math.pi / 2), mask="none", margin=0.0),
        replace(action, group=Translation(), elements=steps, mask="overlap", margin=0.0),
    ]


def _trial_elements(action: Action) -> Tensor:
    group = action.group
    if action.input_kind == "series" and isinstance(group, Translation):
        return torch.tensor([[1.0], [-2.0], [3.0]], dtype=torch.float64)
    if isinstance(group, O1):  # of two elements by chance all may be the identity
        return -group.identity(torch.float64).unsqueeze(0)
    return group.sample(_TRIAL_ELEMENTS, torch.Generator().manual_seed(0), torch.float64)


def one_output(model: Callable, inputs: Tensor, select: Any) -> Output:
    """The end-to-end output of one pass, a copy."""
    found: dict[str, Output] = {}
    run(model, inputs, {}, True, lambda name, value: found.__setitem__(name, copied(value)), select=select)
    return found[OUTPUT]


def change_between_runs(model: Callable, inputs: Tensor, select: Any) -> float:
    """Relative difference of two outputs of the same input: 0 where the model is deterministic."""
    first, second = (tensor_of(one_output(model, inputs, select)).double() for _ in range(2))
    if first.shape != second.shape:
        return 1.0
    return relative_change(first, second)


def relative_change(first: Tensor, second: Tensor) -> float:
    """How far the second lies from the first, relative to that."""
    change = torch.linalg.vector_norm(first - second)
    return float(change / (torch.linalg.vector_norm(first) + 1e-12)) if bool(change > 0) else 0.0


def checked_inputs(model: Callable, inputs: Tensor, group: Group, kind: str) -> Tensor:
    """The inputs as the model takes them, or a sentence that says what is wrong with them."""
    _refuse_the_immense(inputs)
    if kind == "image":
        check_images(inputs, lowest=4)
    elif kind == "points":
        check_points(inputs, group)
    elif kind == "series":
        check_series(inputs, group)
    else:
        permute_set(inputs[:1], group.identity().unsqueeze(0), group)
    if not inputs.is_floating_point():
        return inputs
    inputs = like_model(model, inputs)
    refuse_without_numbers(inputs)
    return inputs


def refuse_without_numbers(inputs: Tensor) -> None:
    """A sentence for inputs, already where the model is, on a device that holds no numbers."""
    if inputs.device.type == "meta":
        raise ValueError(
            "a model or inputs on the device 'meta' were given, which holds shapes without numbers; expected real "
            "weights; use model.to_empty(device='cpu') and load them."
        )


def _refuse_the_immense(inputs: Tensor) -> None:
    """Before anything looks at every number of it."""
    size = inputs[0].numel() if isinstance(inputs, Tensor) and inputs.ndim > 0 and len(inputs) else 0
    if size > LARGEST_SAMPLE:
        raise ValueError(
            f"inputs of shape {tuple(inputs.shape)} were given, {size} numbers each; expected at most "
            f"{LARGEST_SAMPLE}, such as 4096 x 4096 pixels, because each one is moved many times; crop or downsample."
        )


def size_of(inputs: Tensor, kind: str) -> tuple[int, int]:
    """Height and width of images; for other kinds the last two sizes."""
    return (inputs.shape[-2], inputs.shape[-1]) if inputs.ndim > 1 else (1, inputs.shape[-1])
