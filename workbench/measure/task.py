"""What a group element costs the task: accuracy and loss on moved images, and what is lost by moving them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.actions import PADDINGS, RESAMPLERS
from workbench.actions.images import check_choice
from workbench.groups import Group, parse_group
from workbench.groups.base import check_count
from workbench.measure.behaviour import input_kind_of
from workbench.measure.compare import Action
from workbench.measure.dataset import labelled
from workbench.measure.entry import fed
from workbench.measure.inference import checked_inputs, size_of
from workbench.measure.interval import interval, interval_name
from workbench.measure.laws import RESAMPLED
from workbench.measure.orbit import orbit, transform_coords
from workbench.measure.probe import check_model, report
from workbench.measure.provenance import provenance
from workbench.measure.state import undisturbed

Loss = Callable[[Tensor, Tensor], Tensor]


def task_cost(
    model: Callable,
    images: Tensor,
    labels: Tensor,
    group: Group | str,
    elements: Tensor | None = None,
    *,
    n_elements: int = 37,
    input: str = "auto",
    loss: Loss | None = None,
    resampler: str = "bicubic",
    padding: str = "border",
    input_kind: str = "",
    seed: int = 0,
    batch_size: int = 256,
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> xr.Dataset:
    """Accuracy and loss under every element, and how much of them is lost, with paired intervals.

    The labels are taken to stay what they are: no element may turn a six into a nine.

    Args:
        model: a callable from inputs to logits ``(B, K)``, or to anything that ``loss`` understands. A module is left
            exactly as found.
        images: ``(B, C, H, W)``, or series, points or sets. labels: ``(B,)`` whole numbers from 0 to K - 1, or what
            ``loss`` takes.
        group, elements, n_elements, input, resampler, padding, input_kind, seed, progress, cancel: as in
            :func:`equivariance_error`.
        loss: from outputs and labels to one loss for each image, ``(B,)``; cross entropy where not given. Accuracy is
            known for logits and whole labels only, NaN otherwise.
        batch_size: at most so many images per forward pass.

    Returns:
        Over ``transform``: ``accuracy`` and ``loss`` with ``_low`` and ``_high``; ``accuracy_lost`` and ``loss_gained``
        against the images as they are, with intervals of the paired differences (95 %, bootstrap over samples).
        Over ``transform`` and ``sample``: ``correct_sample``, ``loss_sample``. ``accuracy_still`` and ``loss_still``
        are those of the images as they are.

    Raises:
        ValueError: for images, labels, outputs or options that cannot be, in one sentence.
        Cancelled: when asked to stop.

    >>> ds = task_cost(lambda x: x.mean((2, 3)), torch.rand(6, 3, 8, 8), torch.arange(6) % 3, "C(4)")
    >>> ds.accuracy_lost.values.tolist()
    [0.0, 0.0, 0.0, 0.0]

    Source: derived here; the paired bootstrap is that of Efron & Tibshirani 1993, section 13.3.
    """
    group = parse_group(group)
    check_model(model)
    kind = input_kind_of(images, group, input)
    checked = checked_inputs(model, images, group, kind)
    check_choice("resampler", resampler, RESAMPLERS)
    check_choice("padding", padding, PADDINGS)
    check_count(batch_size, "task_cost: batch_size", "use 256")
    if not isinstance(labels, Tensor) or len(labels) != len(images):
        given = f"{len(labels)} labels" if isinstance(labels, Tensor) else f"labels of type {type(labels).__name__}"
        raise ValueError(f"{given} were given for {len(images)} images; expected a tensor with one for each.")
    images = checked
    elements = orbit(group, n_elements) if elements is None else torch.as_tensor(elements).detach().cpu()
    action = Action(elements, group, resampler, padding, "none", size_of(images, kind), input_kind=kind)
    judge = _cross_entropy if loss is None else _own(loss)
    coords = transform_coords(elements, group, kind)
    rows = []
    with undisturbed(model, seed):
        batches = list(zip(images.split(batch_size), labels.split(batch_size), strict=True))
        for place, (batch, wanted) in enumerate(batches):
            still = judge(fed(model, batch), wanted.to(batch.device))
            step, moved = max(1, batch_size // len(batch)), []
            for start in range(0, len(elements), step):
                report(progress, cancel, (place + start / len(elements)) / len(batches))
                some = replace(action, elements=elements[start : start + step])
                part = some.there(some.source(batch))
                many = wanted.to(batch.device).repeat(len(part), *[1] * (wanted.ndim - 1))
                moved.append(judge(fed(model, part.flatten(0, 1), spare=True), many).unflatten(-1, part.shape[:2]))
            rows.append(torch.cat([still.unsqueeze(1), torch.cat(moved, 1)], 1))
        report(progress, cancel, 1.0)
    correct, losses = torch.cat(rows, -1).cpu().numpy()  # each (1 + E, S), the images as they are first
    exact = action.exact(action.source(images[:1]))
    coords["lattice"] = labelled("transform", exact, "g moves the input without interpolation")
    coords["sample"] = labelled("sample", np.arange(len(images)), "number of the sample")
    attrs = provenance(
        "task_cost",
        seed=seed,
        dtype=images.dtype,
        resampler=resampler if kind in RESAMPLED else None,
        padding=padding if kind in RESAMPLED else None,
        reduction="mean over samples",
        input_kind=input_kind or None,
        group=group.name,
        input=kind,
        loss="cross entropy" if loss is None else getattr(loss, "__name__", type(loss).__name__),
        interval=f"95 %, paired, {interval_name('bootstrap', len(images))}",
        assumption="labels do not change under the group",
        samples=len(images),
    )
    units = "nat" if loss is None else "units of the loss"
    variables = _variables(correct, "accuracy", "1", seed) | _variables(losses, "loss", units, seed)
    variables |= {
        "correct_sample": labelled(("transform", "sample"), correct[1:], "classified correctly"),
        "loss_sample": labelled(("transform", "sample"), losses[1:], "loss", units),
    }
    return xr.Dataset(variables, coords, attrs)


def _variables(values: np.ndarray, name: str, units: str, seed: int) -> dict[str, tuple]:
    """Means and intervals of ``values (1 + E, S)``, and of what is worse than in the first row."""
    sign, changed = (1, "accuracy_lost") if name == "accuracy" else (-1, "loss_gained")
    worse = sign * (values[:1] - values[1:])
    found: dict[str, tuple] = {f"{name}_still": labelled((), values[0].mean(), f"{name} of images as they are", units)}
    for title, rows, words in ((name, values[1:], name), (changed, worse, changed.replace("_", " "))):
        low, high = interval(rows, seed=seed)
        found |= {
            title: labelled("transform", rows.mean(-1), words, units),
            f"{title}_low": labelled("transform", low, f"lower end of the 95 % interval of the {words}", units),
            f"{title}_high": labelled("transform", high, f"upper end of the 95 % interval of the {words}", units),
        }
    return found


def _cross_entropy(logits: Any, labels: Tensor) -> Tensor:
    """Whether each image is right, and its loss: ``(2, B)``."""
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(labels):
        given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"the model puts out {given}; expected logits (B, K), one row per image; or pass loss=...")
    if (
        labels.ndim != 1
        or labels.is_floating_point()
        or not 0 <= int(labels.min()) <= int(labels.max()) < logits.shape[1]
    ):
        raise ValueError(
            f"labels of shape {tuple(labels.shape)} and {labels.dtype} from {labels.min().item()} to "
            f"{labels.max().item()} were given; expected (B,) whole numbers from 0 to {logits.shape[1] - 1}."
        )
    losses = torch.nn.functional.cross_entropy(logits.double(), labels.long(), reduction="none")
    return torch.stack([(logits.argmax(1) == labels).double(), losses])


def _own(loss: Loss) -> Loss:
    def judge(outputs: Tensor, labels: Tensor) -> Tensor:
        losses = loss(outputs, labels)
        if not isinstance(losses, Tensor) or losses.shape != labels.shape[:1]:
            given = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
            raise ValueError(f"the loss gave {given} for {len(labels)} images; expected one for each.")
        whole = labels.ndim == 1 and not labels.is_floating_point()
        known = whole and isinstance(outputs, Tensor) and outputs.ndim == 2
        right = outputs.argmax(1) == labels if known else torch.full_like(losses, torch.nan)
        return torch.stack([right.double(), losses.double()])

    return judge
