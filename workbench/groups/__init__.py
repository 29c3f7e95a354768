"""Groups as mathematics: elements, products, Haar grids, actions on R^2, learned distributions."""

import re

from workbench.groups.affine import Plane, Translation
from workbench.groups.base import Group, rotation_matrix, wrap
from workbench.groups.distributions import (
    ArcWithMirror,
    Draw,
    GroupDistribution,
    MirrorGate,
    RotationGates,
    UniformArc,
)
from workbench.groups.planar import O2, SO2, Cyclic, Dihedral
from workbench.groups.signal import GroupSignal

C = Cyclic
D = Dihedral

__all__ = [
    "O2",
    "SO2",
    "ArcWithMirror",
    "C",
    "Cyclic",
    "D",
    "Dihedral",
    "Draw",
    "Group",
    "GroupDistribution",
    "GroupSignal",
    "MirrorGate",
    "Plane",
    "RotationGates",
    "Translation",
    "UniformArc",
    "parse_group",
    "rotation_matrix",
    "wrap",
]

_FINITE = {"C": Cyclic, "D": Dihedral}


def parse_group(name: str | Group) -> Group:
    """The group of that name: ``"SO2"``, ``"O2"``, ``"C(8)"``, ``"D(4)"``, ``"Translation"``, ``"R2xSO2"``.

    >>> from workbench.groups import parse_group
    >>> parse_group("R2xC(8)").linear.order
    8

    Raises:
        ValueError: for a name that is none of these.
    """
    if isinstance(name, Group):
        return name
    text = str(name).strip().replace("SE2", "R2xSO2").replace("E2", "R2xO2")
    if text.startswith("R2x"):
        return Plane(parse_group(text.removeprefix("R2x")))
    if text in ("SO2", "O2", "Translation"):
        return {"SO2": SO2, "O2": O2, "Translation": Translation}[text]()
    if match := re.fullmatch(r"([CD])\((\d{1,4})\)|Translation\((\d+(?:\.\d+)?)\)", text):
        return Translation(float(match[3])) if match[3] else _FINITE[match[1]](int(match[2]))
    raise ValueError(
        f"group {name!r} was given; expected SO2, O2, C(n), D(n), Translation or R2x<group>, for example 'C(8)'."
    )
