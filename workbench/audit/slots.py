"""Detectors with a box for each anchor: they are compared slot by slot, and what is left when boxes are matched."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from workbench.audit.answer import words
from workbench.audit.questions import FLIPS, HALF_TURNS, TURNS, Question
from workbench.audit.result import Verdict
from workbench.audit.words import percent
from workbench.measure import undisturbed
from workbench.measure.behaviour import parse_behaviour
from workbench.measure.compare import Action, shaped, tensor_of
from workbench.measure.entry import fed
from workbench.measure.inference import size_of
from workbench.measure.laws import measured
from workbench.measure.probe import like_model
from workbench.measure.result import tensors_of

SAMPLES = 4
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
) -> tuple[Verdict, ...]:
    """The verdicts, of which each says that slots are compared, and the first what is left when boxes are matched.

    Args:
        count: of :func:`slots_of`.
        maps: of :func:`box_maps`.
    """
    if maps:
        at = next((at for at, one in enumerate(verdicts) if one.level != "exact"), 0)
        told = replace(verdicts[at], sentence=f"{verdicts[at].sentence} {maps}")
        return (*verdicts[:at], told, *verdicts[at + 1 :])
    if not count:
        return verdicts
    found, first = [], ""
    for one in verdicts:
        if one.level == "exact":
            found.append(one)
        elif first:
            found.append(replace(one, sentence=f"{one.sentence} Compared slot by slot, as for {first}."))
        else:
            first = one.question
            slots = _told(count, one, sweeps[first], steps, model, inputs, seed)
            found.append(replace(one, sentence=f"{one.sentence} {slots}"))
    return tuple(found)


def _told(
    count: int,
    one: Verdict,
    sweep: xr.Dataset,
    steps: list[Question],
    model: Callable,
    inputs: Tensor,
    seed: int,
) -> str:
    told = (
        f"Its {count} slots (a box for each anchor or query) are compared slot by slot, number i of f(g x) with number "
        "i of g f(x): where boxes only change places it breaks, although it finds the same ones."
    )
    law = str(sweep.attrs["output"])
    step = next((s for s in steps if s.name == one.question and len(s.elements) == sweep.sizes["transform"]), None)
    if (
        step is not None
        and one.question in (TURNS, HALF_TURNS, FLIPS)
        and str(sweep.attrs["output"]).startswith("boxes")
    ):
        at = next(at for at in range(len(step.elements)) if words(sweep, at) == one.at)
        some = inputs[:SAMPLES]
        try:
            left = matched(model, some, step, step.elements[at : at + 1], law, seed)
            told += (
                f" With each box matched to the nearest one instead, its answer differs by {percent(left)} at "
                f"{one.at}, measured on {len(some)} images."
            )
        except (ValueError, RuntimeError):  # then it is said without a number
            pass
    return f"{told} {ADVICE}"


def matched(model: Callable, images: Tensor, step: Question, element: Tensor, output: str, seed: int = 0) -> float:
    """Relative error of boxes when each is held against the nearest one, in the worse of both directions.

    Args:
        element: ``(1, element_dim)`` of the group of ``step``.
        output: how the boxes move, such as ``"boxes xyxy in pixels"``.
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
    far = torch.maximum(apart.amin(1).square().mean(1), apart.amin(2).square().mean(1)).sqrt()
    return float((far / other.square().sum(-1).mean(-1).sqrt().clamp_min(1e-12)).mean())
