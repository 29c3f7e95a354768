"""Detectors with a box for each anchor: they are compared slot by slot, and what is left when boxes are matched."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.audit.answer import moves, words
from workbench.audit.questions import BUILT_IN, Question
from workbench.audit.result import Verdict
from workbench.audit.words import CLOSE, PIXELS, both, percent
from workbench.measure import undisturbed
from workbench.measure.behaviour import parse_behaviour
from workbench.measure.compare import Action, shaped, tensor_of
from workbench.measure.entry import fed
from workbench.measure.inference import size_of
from workbench.measure.interval import interval
from workbench.measure.laws import measured
from workbench.measure.probe import like_model
from workbench.measure.result import tensors_of

BATCH = 4
"""Images matched at a time, because detectors take large ones."""
SETS, SLOTWISE = "As a set of boxes", "Slot by slot its answer differs by"
SLOTS = "ompared slot by slot"
SLOT_BY_SLOT = "slot by slot: a box with the one in the same place of the answer, not with the nearest"
_BOXES = re.compile(r"box|anchor|offset|(^|[._])(loc|reg)")
ADVICE = (
    "To compare what it finds, wrap the network so that it matches its boxes or sorts them by what moves along, or so "
    "that it gives its scores as a map (B, 1, H, W); or choose another part of its answer with --select (select=... in "
    "Python)."
)


def slots_of(model: Callable, inputs: Tensor, shape: tuple[int, ...], seed: int = 0) -> int:
    """How many slots of a detector the audited answer has, one for each box; 0 where it is none.

    Args:
        model: the whole network, of whose answer perhaps a part is audited.
        shape: of that part for one sample.

    >>> slots_of(lambda x: torch.zeros(len(x), 9, 4), torch.zeros(2, 1, 8, 8), (9, 4))
    9
    """
    if len(shape) == 2 and shape[-1] == 4 and shape[0] > 1:
        return shape[0]
    if not shape or shape[0] < 2 or len(shape) > 2:
        return 0
    with undisturbed(model, seed):
        try:
            parts = tensors_of(fed(model, like_model(model, inputs[:1])))
        except Exception:  # code that nobody knows; the audit itself says what is wrong
            return 0
    boxes = {int(part.shape[1]) for part in parts if part.ndim == 3 and part.shape[-1] == 4}
    return shape[0] if shape[0] in boxes else 0


def box_maps(select: Any, shape: tuple[int, ...]) -> str:
    """That maps whose name speaks of boxes are compared as pictures; empty for others.

    >>> box_maps("bbox_pred", (36, 8, 8))[:34], box_maps("scores", (9, 8, 8))
    ("The maps of 'bbox_pred' are compar", '')
    """
    if len(shape) != 3 or not isinstance(select, str) or not _BOXES.search(select.lower()):
        return ""
    return (
        f"The maps of {select!r} are compared as pictures, channel by channel: each anchor's place moves along, but "
        "offsets and sizes in the channels would have to turn as well, and anchors to change places; so a sound head "
        "breaks turns and flips here. Audit its scores with --select (select=... in Python), or wrap the network so "
        "that it gives decoded boxes, matched or sorted."
    )


def with_slots(
    verdicts: tuple[Verdict, ...],
    count: int,
    sweeps: dict[str, xr.Dataset],
    steps: list[Question],
    model: Callable,
    inputs: Tensor,
    seed: int = 0,
    maps: str = "",
    limit: float = 0.0,
) -> tuple[Verdict, ...]:
    """The verdicts as those on a set of boxes where each has one partner; others say that slots are compared.

    Args:
        count: of :func:`slots_of`.
        maps: of :func:`box_maps`.
        limit: relative error up to which an element counts as exact.
    """
    if maps:
        at = next((at for at, one in enumerate(verdicts) if one.level != "exact"), 0)
        told = replace(verdicts[at], sentence=f"{verdicts[at].sentence} {maps}")
        return (*verdicts[:at], told, *verdicts[at + 1 :])
    if not count:
        return verdicts
    found, first = [], ""
    for one in verdicts:
        held = (
            None
            if one.level in ("exact", "chance")
            else _matched(sweeps[one.question], one, steps, model, inputs, seed)
        )
        if held is not None:
            one = _as_a_set(one, held, limit)
        if one.level == "exact" or SETS in one.sentence:
            found.append(one)
        elif first:
            found.append(replace(one, sentence=f"{one.sentence} Compared slot by slot, as for {first}."))
        else:
            first = one.question
            found.append(replace(one, sentence=f"{one.sentence} {_told(count, one, held)}"))
    return tuple(found)


@dataclass(frozen=True)
class Matched:
    """Errors with each box held against the nearest one, over the elements that move pixels onto pixels.

    Attributes:
        error, absolute: ``(elements, samples)``, relative, and in pixels for each number of a box.
        at: the elements in words.
        whole: each box has one partner in both directions, in every sample and at every element.
        every: no element of the question lies between pixels, which is not matched.
    """

    error: np.ndarray
    absolute: np.ndarray
    at: tuple[str, ...]
    whole: bool
    every: bool


def _matched(
    sweep: xr.Dataset, one: Verdict, steps: list[Question], model: Callable, inputs: Tensor, seed: int
) -> Matched | None:
    """None where the answer holds no boxes, or they cannot be compared."""
    law = str(sweep.attrs["output"])
    step = next((s for s in steps if s.name == one.question and len(s.elements) == sweep.sizes["transform"]), None)
    if step is None or not law.startswith("boxes"):
        return None
    moved, lattice = moves(sweep), sweep["lattice"].values
    places = np.flatnonzero(lattice & moved)
    if not places.size:
        return None
    try:
        parts = [_in_batches(model, inputs, step, step.elements[at : at + 1], law, seed) for at in places]
    except (ValueError, RuntimeError):  # then it is said without a number
        return None
    error, absolute = (np.stack([part[which] for part in parts]) for which in (0, 1))
    whole, every = all(part[2] for part in parts), bool((lattice | ~moved).all())
    return Matched(error, absolute, tuple(words(sweep, int(at)) for at in places), whole, every)


def _in_batches(
    model: Callable, inputs: Tensor, step: Question, element: Tensor, law: str, seed: int
) -> tuple[np.ndarray, np.ndarray, bool]:
    found = [matched(model, part, step, element, law, seed) for part in inputs.split(BATCH)]
    error, absolute = (np.concatenate([part[which] for part in found]) for which in (0, 1))
    return error, absolute, all(part[2] for part in found)


def _as_a_set(one: Verdict, held: Matched, limit: float) -> Verdict:
    """The verdict on a set of boxes, where each has one partner; the same as before where some have none."""
    if not held.whole:
        return one
    worst = int(held.error.mean(-1).argmax())
    error, absolute = float(held.error[worst].mean()), float(held.absolute[worst].mean())
    if not held.every:
        return replace(one, lattice_error=error if np.isfinite(one.lattice_error) else one.lattice_error)
    low, high = (float(np.nan_to_num(end[0], nan=error)) for end in interval(held.error[worst][None]))
    level = "exact" if error <= limit else "close" if error <= CLOSE else "broken"
    begin = {"exact": "is exactly equivariant to", "close": "is nearly equivariant to", "broken": "breaks"}[level]
    size = f"{both(error, absolute, PIXELS)}" + (
        "" if level == "exact" else f", 95 % interval {percent(low)} to {percent(high)}"
    )
    asked = one.question if one.question in BUILT_IN else f"the group {one.question}"
    rest = "rounding alone" if level == "exact" else f"at {held.at[worst]}"
    told = (
        f"{SETS}, each matched to the nearest one, your model {begin} {asked}: the largest error is {size}, "
        f"{rest}, {held.error.shape[-1]} samples. {SLOTWISE} {both(one.error, one.absolute, one.unit)}, because "
        "boxes change places: what reads them by number sees that."
    )
    if one.sentence.startswith("If its answer should"):
        told = f"{one.sentence.partition(', ')[0]}, {told[0].lower()}{told[1:]}"
    if level == "exact":
        one = replace(one, because="", advice="", layer="")
    return replace(
        one, level=level, sentence=told, error=error, low=max(0.0, low), high=high, at=held.at[worst],
        lattice_error=error, absolute=absolute,
    )  # fmt: skip


def _told(count: int, one: Verdict, held: Matched | None) -> str:
    told = (
        f"Its {count} slots (a box for each anchor or query) are compared slot by slot, number i of f(g x) with number "
        "i of g f(x): where boxes only change places it breaks, although it finds the same ones."
    )
    if held is not None and held.every:
        mean = held.error.mean(-1)
        told += (
            f" With each box matched to the nearest one instead, its answer differs by {percent(float(mean.max()))} at "
            f"{held.at[int(mean.argmax())]}, measured on {held.error.shape[-1]} images; not every box has a partner."
        )
    return f"{told} {ADVICE}"


def matched(
    model: Callable, images: Tensor, step: Question, element: Tensor, output: str, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Errors of boxes when each is held against the nearest one, in the worse of both directions.

    Args:
        element: ``(1, element_dim)`` of the group of ``step``.
        output: how the boxes move, such as ``"boxes xyxy in pixels"``.

    Returns:
        The relative error of each image, the root mean square of its numbers in pixels, and whether in every image
        each box has one partner in both directions.
    """
    images = like_model(model, images)
    law = parse_behaviour(output)
    action = Action(element, step.group, "bicubic", step.padding, "none", size_of(images, "image"))
    with undisturbed(model, seed):
        value: Any = shaped(fed(model, images), law)
        wanted = action.there(value)
        got = tensor_of(shaped(fed(model, action.there(images).flatten(0, 1)), law, value)).view(wanted.shape)
    one, other = (boxes[0].double() for boxes in measured(got.to(wanted), wanted, law, action))
    apart = torch.cdist(one, other)
    there, back = apart.argmin(2), apart.argmin(1)
    whole = bool((back.gather(1, there) == torch.arange(there.shape[1], device=there.device)).all())
    far = torch.maximum(apart.amin(1).square().mean(1), apart.amin(2).square().mean(1)).sqrt()
    relative = far / other.square().sum(-1).mean(-1).sqrt().clamp_min(1e-12)
    return relative.cpu().numpy(), (far / other.shape[-1] ** 0.5).cpu().numpy(), whole
