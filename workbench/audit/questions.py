"""What an audit asks of a network: which elements of which group, and how they are compared."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.groups import O1, O2, O3, SO2, SO3, Group, Scale, Symmetric, Translation, parse_group
from workbench.measure.orbit import orbit

ANGLE_STEP_DEG = 15
TURNS, FLIPS, ROTATIONS, SHIFTS = "quarter turns", "flips", "rotations", "shifts"
HALF_TURNS, CIRCULAR, STRETCHES, REVERSAL = "half turns", "circular shifts", "stretches", "reversal"
MOTIONS, REFLECTIONS = "rotations of the points", "reflections"
TRANSLATIONS, PERMUTATIONS = "translations", "permutations"
BUILT_IN = (
    TURNS, FLIPS, ROTATIONS, SHIFTS, HALF_TURNS, CIRCULAR, STRETCHES, MOTIONS, REFLECTIONS, TRANSLATIONS, PERMUTATIONS,
    REVERSAL,
)  # fmt: skip
_IN_SPACE = 24  # rotations of SO(3) that are visited
_ORDERS = 8  # swaps of neighbours and turns of the list, beside as many orders by chance


@dataclass(frozen=True, eq=False)
class Question:
    """One sweep: its elements, and whether every layer is watched or the end of the network alone.

    ``margin`` are pixels next to the frame that the mask leaves out, and ``told`` is where it compares, in words.
    """

    name: str
    group: Group
    elements: Tensor
    watched: bool
    mask: str = "disc"
    padding: str = "border"
    input: str = "image"
    margin: float = 0.0
    told: str = ""


@dataclass(frozen=True)
class Samples:
    """What the questions have to know of the samples: their kind, the sides of one, and how far points are spread."""

    input: str
    sides: tuple[int, ...]
    dim: int = 2
    reach: float = 1.0


def questions(group: Group | str, samples: Samples | tuple[int, int], n_elements: int | None = None) -> list[Question]:
    """The sweeps behind a group's name; ``"auto"`` asks what can be asked of such samples.

    Images (of which the size is enough) are asked after turns, flips, rotations by any angle and shifts; series after
    shifts round the end, shifts, stretches and the reversal; points after rotations, reflections, translations and
    orders; sets after orders.

    Layers are watched at elements that move samples without interpolation, where any difference is the network's own;
    between them the end of the network is compared, beside what resampling alone costs.

    >>> [question.name for question in questions("auto", (32, 32))]
    ['quarter turns', 'flips', 'rotations', 'shifts']
    >>> [question.name for question in questions("C(8)", (32, 32))]
    ['C(8)']
    >>> [question.name for question in questions("auto", Samples("points", (9, 3), 3))]
    ['rotations of the points', 'reflections', 'translations', 'permutations']
    """
    if not isinstance(samples, Samples):
        samples = Samples("image", samples)
    if isinstance(group, str) and group == "auto":
        return _OF_KIND[samples.input](samples, n_elements)
    found = parse_group(group)
    kind = "set" if isinstance(found, Symmetric) else samples.input
    return [Question(found.name, found, orbit(found, n_elements or 37), True, input=kind)]


def _of_images(samples: Samples, n_elements: int | None) -> list[Question]:
    size = (samples.sides[-2], samples.sides[-1])
    return [_turns(size), _flips(size), _rotations(n_elements), _shifts(size)]


def _turns(size: tuple[int, int]) -> Question:
    square = size[0] == size[1]
    quarters = torch.tensor([1.0, 2.0, 3.0] if square else [2.0], dtype=torch.float64)
    return Question(TURNS if square else HALF_TURNS, SO2(), quarters[:, None] * (math.pi / 2), True, "none")


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


def _of_series(samples: Samples, n_elements: int | None) -> list[Question]:
    """Round the end nothing gets lost and every layer is compared; over it, only what stays inside is."""
    length, line = samples.sides[-1], Translation(dim=1)
    whole = [s for s in (1.0, 2.0, 3.0, 4.0, 8.0, 16.0) if s <= length // 2]
    inside = [s for s in (0.5, 1.0, 2.0, 3.0, 4.0, 8.0, 16.0) if s <= length // 4]
    found = []
    if whole:
        found.append(Question(CIRCULAR, line, _column(whole), True, "none", "circular", "series"))
    if inside:
        found.append(Question(SHIFTS, line, _column(inside), True, "overlap", "border", "series"))
    if length >= 8:
        factors = orbit(Scale(1), n_elements or 5)
        found.append(Question(STRETCHES, Scale(1), factors, False, "overlap", "border", "series"))
    if length > 1:
        found.append(Question(REVERSAL, O1(), _column([-1.0]), True, "none", "border", "series"))
    if not found:
        raise ValueError(f"series of {length} samples were given; expected at least 2, to shift them.")
    return found


def _of_points(samples: Samples, n_elements: int | None) -> list[Question]:
    dim = samples.dim
    if dim not in (2, 3):
        raise ValueError(f"points of {dim} coordinates were given; expected 2 or 3, to turn them.")
    group, mirrored = (SO2(), O2()) if dim == 2 else (SO3(), O3())
    turned = orbit(SO2(), n_elements or 25) if dim == 2 else orbit(group, n_elements or _IN_SPACE)[1:]
    if dim == 2:
        turns = torch.tensor([0.0, 0.5, 1.0, 1.5], dtype=torch.float64) * math.pi
        flips = torch.stack([turns, -torch.ones_like(turns)], -1)
    else:
        quaternions = torch.cat([_QUATERNIONS, turned[:4, :4]])
        flips = torch.cat([quaternions, -torch.ones(len(quaternions), 1, dtype=torch.float64)], -1)
    steps = [part * samples.reach for part in (0.1, 1.0, 3.0)]
    shifts = torch.zeros(3 + dim - 1, dim, dtype=torch.float64)
    shifts[:3, 0] = torch.tensor(steps, dtype=torch.float64)
    for axis in range(1, dim):
        shifts[2 + axis, axis] = samples.reach
    return [
        Question(MOTIONS, group, turned, True, "none", input="points"),
        Question(REFLECTIONS, mirrored, flips, True, "none", input="points"),
        Question(TRANSLATIONS, Translation(dim=dim), shifts, True, "none", input="points"),
        *_of_sets(samples, None),
    ]


def _of_sets(samples: Samples, n_elements: int | None) -> list[Question]:
    """The orders that a slip would leave alone are not enough: swaps and turns of the list, and orders by chance."""
    count = samples.sides[0]
    if count < 2:
        return []
    group = Symmetric(count)
    some = group.grid(n_elements or _ORDERS, dtype=torch.float64)
    chance = group.sample(_ORDERS, torch.Generator().manual_seed(0), torch.float64)
    return [Question(PERMUTATIONS, group, torch.cat([some, chance]), True, "none", input="set")]


def _column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


_QUATERNIONS = torch.eye(4, dtype=torch.float64)
"""The identity and half turns about x, y and z; turned inside out, a point reflection and three mirrors."""
_OF_KIND = {"image": _of_images, "series": _of_series, "points": _of_points, "set": _of_sets}
