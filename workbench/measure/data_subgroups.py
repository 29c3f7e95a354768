"""Finite symmetries that a data set is asked for by name: mirrors, quarter turns and their groups, circular shifts.

Each is a subgroup: its elements, applied to one picture, give the pictures among which the data could not choose if
they had the symmetry. Mirrors at multiples of 45 degrees, turns and shifts move pixels onto pixels. For another axis
the picture is turned once, so that its axis lies upright, and then mirrored exactly: both have gone through the same
resampling, and none of it can be taken for a broken symmetry.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from workbench.actions.images import transform_each
from workbench.groups import SO2

MOST_ELEMENTS = 32
SQUARE = ("left-right", "top-bottom", "C4", "D4")
OBLONG = ("left-right", "top-bottom", "C2", "D2")
"""What is asked where nothing else is said: the group of the frame, and its parts."""
_AXES = {"left-right": 90.0, "top-bottom": 0.0}
_WORDS = {
    "left-right": "mirrored left to right", "top-bottom": "mirrored top to bottom", "C2": "half turns",
    "C4": "quarter turns", "D2": "half turns and mirrors", "D4": "quarter turns and mirrors",
}  # fmt: skip


@dataclass(frozen=True)
class Subgroup:
    """One finite symmetry.

    Attributes:
        name, words: as it was asked for, and in words.
        order: how many elements.
        sides: pictures ``(B, C, H, W)`` to what each element makes of them, in the order of the elements; all of them
            equally resampled, if at all.
    """

    name: str
    words: str
    order: int
    sides: Callable[[Tensor], list[Tensor]]


def subgroups(names: Sequence[str] | None, height: int, width: int, turn: dict[str, Any]) -> tuple[Subgroup, ...]:
    """The symmetries of these names on a frame of ``height x width`` pixels; those of the frame for None.

    Args:
        names: ``"left-right"``, ``"top-bottom"``, ``"mirror A"`` (the axis at A degrees, counter-clockwise from the
            horizontal), ``"C2"``, ``"D2"``, on square frames ``"C4"`` and ``"D4"``, and ``"shift X Y"``: whole pixels
            to the right and up, around the frame.
        turn: resampler and padding of the mirrors between pixels.

    Raises:
        ValueError: an unknown name, one that the frame does not keep, or one named twice.

    >>> [one.order for one in subgroups(["left-right", "D4", "shift 4 0"], 16, 16, {})]
    [2, 8, 4]
    """
    asked = (SQUARE if height == width else OBLONG) if names is None else tuple(names)
    if isinstance(names, str) or len(set(asked)) < len(asked):
        raise ValueError(f"data_symmetry: subgroups = {names!r} was given; expected a list of different names.")
    return tuple(_subgroup(str(name), height, width, turn) for name in asked)


def _subgroup(name: str, height: int, width: int, turn: dict[str, Any]) -> Subgroup:
    square = height == width
    if name in ("C2", "D2", "C4", "D4"):
        if name[1] == "4" and not square:
            raise ValueError(
                f"data_symmetry: {name!r} was given for pictures of {height} x {width}; expected one that keeps the "
                f"frame; use {name[0]}2, or cut the centred square out."
            )
        count, mirrors = int(name[1]), name[0] == "D"
        return Subgroup(name, _WORDS[name], count * (1 + mirrors), lambda x: _dihedral(x, count, mirrors))
    if name in _AXES or (given := re.fullmatch(r"mirror (-?\d+(?:\.\d+)?)", name)):
        axis = _AXES[name] if name in _AXES else float(given[1])  # type: ignore[index]
        return _mirror(name, axis, square, turn)
    if given := re.fullmatch(r"shift (-?\d+) (-?\d+)", name):
        return _shift(name, int(given[1]), int(given[2]), height, width)
    raise ValueError(
        f"data_symmetry: subgroups has {name!r}; expected 'left-right', 'top-bottom', 'mirror A' with A in degrees, "
        "'C2', 'C4', 'D2', 'D4' or 'shift X Y' with X and Y in whole pixels."
    )


def _dihedral(x: Tensor, count: int, mirrors: bool) -> list[Tensor]:
    turns = [torch.rot90(x, at * 4 // count, (-2, -1)) for at in range(count)]
    return turns + [one.flip(-1) for one in turns] if mirrors else turns


def _mirror(name: str, axis: float, square: bool, turn: dict[str, Any]) -> Subgroup:
    """The axis is a quarter turn of the x axis, or of the diagonal on squares, and a rest of at most 45 degrees."""
    words = _WORDS.get(name, f"mirrored at an axis of {axis:g} degrees")
    step = 45 if square and axis % 45 == 0 else 90
    near = step * round(axis / step)
    rest = axis - near
    kinds: dict[int, Callable[[Tensor], Tensor]] = {
        0: lambda x: x.flip(-2), 90: lambda x: x.flip(-1),
        45: lambda x: torch.rot90(x.flip(-2), 1, (-2, -1)), 135: lambda x: torch.rot90(x.flip(-2), 3, (-2, -1)),
    }  # fmt: skip
    flip = kinds[near % 180]
    if rest == 0:
        return Subgroup(name, words, 2, lambda x: [x, flip(x)])

    def both(x: Tensor) -> list[Tensor]:
        upright = turned(x, -rest, turn)
        return [upright, flip(upright)]

    return Subgroup(name, words, 2, both)


def turned(x: Tensor, angle_deg: float, turn: dict[str, Any]) -> Tensor:
    """Every picture of ``(B, C, H, W)`` turned by one angle."""
    way = torch.full((len(x), 1), math.radians(angle_deg), dtype=torch.float64)
    return transform_each(x, way, SO2(), **turn)


def _shift(name: str, right: int, up: int, height: int, width: int) -> Subgroup:
    order = math.lcm(width // math.gcd(width, right), height // math.gcd(height, up))
    if not 1 < order <= MOST_ELEMENTS:
        raise ValueError(
            f"data_symmetry: {name!r} was given for pictures of {height} x {width}; it leads back after {order} steps, "
            f"expected 2 to {MOST_ELEMENTS}; use a larger part of the frame, such as 'shift {max(1, width // 4)} 0'."
        )
    words = f"shifted around the frame by {right} pixels to the right, {up} up"
    return Subgroup(
        name, words, order, lambda x: [torch.roll(x, (-at * up, at * right), (-2, -1)) for at in range(order)]
    )
