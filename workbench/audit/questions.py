"""What an audit asks of a network on images: which elements of which group, and how they are compared."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.groups import O2, SO2, Group, Translation, parse_group
from workbench.measure.orbit import orbit

ANGLE_STEP_DEG = 15
TURNS, FLIPS, ROTATIONS, SHIFTS = "quarter turns", "flips", "rotations", "shifts"


@dataclass(frozen=True, eq=False)
class Question:
    """One sweep: its elements, and whether every layer is watched or the end of the network alone."""

    name: str
    group: Group
    elements: Tensor
    watched: bool
    mask: str = "disc"
    padding: str = "border"


def questions(group: Group | str, size: tuple[int, int], n_elements: int | None = None) -> list[Question]:
    """The sweeps behind a group's name; ``"auto"`` asks after turns, flips, rotations by any angle and shifts.

    Layers are watched at elements that move pixels onto pixels, where any difference is the network's own; between
    them the end of the network is compared, beside what resampling alone costs.

    >>> [question.name for question in questions("auto", (32, 32))]
    ['quarter turns', 'flips', 'rotations', 'shifts']
    >>> [question.name for question in questions("C(8)", (32, 32))]
    ['C(8)']
    """
    if isinstance(group, str) and group == "auto":
        return [_turns(size), _flips(size), _rotations(n_elements), _shifts(size)]
    found = parse_group(group)
    elements = orbit(found, n_elements or 37)
    return [Question(found.name, found, elements, True)]


def _turns(size: tuple[int, int]) -> Question:
    square = size[0] == size[1]
    quarters = torch.tensor([1.0, 2.0, 3.0] if square else [2.0], dtype=torch.float64)
    return Question(TURNS if square else "half turns", SO2(), quarters[:, None] * (math.pi / 2), True, "none")


def _flips(size: tuple[int, int]) -> Question:
    turns = [0.0, 1.0, 2.0, 3.0] if size[0] == size[1] else [0.0, 2.0]
    elements = torch.tensor([[turn * math.pi / 2, -1.0] for turn in turns], dtype=torch.float64)
    return Question(FLIPS, O2(), elements, True, "none")


def _rotations(n_elements: int | None) -> Question:
    count = 360 // ANGLE_STEP_DEG + 1 if n_elements is None else n_elements
    return Question(ROTATIONS, SO2(), orbit(SO2(), count), False)


def _shifts(size: tuple[int, int]) -> Question:
    most = min(size) // 4
    right = [s for s in (0.5, 1.0, 2.0, 4.0, 8.0) if s <= most]
    pairs = [(s, 0.0) for s in right] + [(0.0, s) for s in (1.0,) if s <= most]
    return Question(SHIFTS, Translation(), torch.tensor(pairs, dtype=torch.float64), False)
