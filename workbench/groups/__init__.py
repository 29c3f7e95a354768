"""Groups as mathematics: elements, products, Haar grids, actions on R^d, learned distributions."""

import re
from collections.abc import Callable
from difflib import get_close_matches

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
from workbench.groups.line import O1
from workbench.groups.linear import SL, GLPlus
from workbench.groups.planar import O2, SO2, Cyclic, Dihedral
from workbench.groups.scale import RotationScale, Scale
from workbench.groups.signal import GroupSignal
from workbench.groups.space import E3, O3, SO3
from workbench.groups.symmetric import Symmetric

C = Cyclic
D = Dihedral

__all__ = [
    "E3",
    "O1",
    "O2",
    "O3",
    "SL",
    "SO2",
    "SO3",
    "ArcWithMirror",
    "C",
    "Cyclic",
    "D",
    "Dihedral",
    "Draw",
    "GLPlus",
    "Group",
    "GroupDistribution",
    "GroupSignal",
    "MirrorGate",
    "Plane",
    "RotationGates",
    "RotationScale",
    "Scale",
    "Symmetric",
    "Translation",
    "UniformArc",
    "parse_group",
    "rotation_matrix",
    "wrap",
]

_EXAMPLES = (
    "SO2", "O2", "C(8)", "D(4)", "Translation", "Scale", "RotationScale", "SL(2)", "GLPlus(2)", "SE2", "E2", "Sim2",
    "SO3", "O3", "E3", "Symmetric(4)",
)  # fmt: skip
_BARE: dict[str, Callable[[], Group]] = {
    "SO2": SO2,
    "O1": O1,
    "O2": O2,
    "SO3": SO3,
    "O3": O3,
    "E3": E3,
    "Scale": Scale,
    "RotationScale": RotationScale,
    "Sim2": lambda: Plane(RotationScale()),
    "GLPlus(2)": GLPlus,
    "SL(2)": SL,
    "Translation": Translation,
    "Translation1": lambda: Translation(dim=1),
    "Translation3": lambda: Translation(dim=3),
}
_COUNTED: dict[str, Callable[[int], Group]] = {"C": Cyclic, "D": Dihedral, "Symmetric": Symmetric}
_NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"


def parse_group(name: str | Group) -> Group:
    """The group of that name: ``"SO2"``, ``"C(8)"``, ``"R2xSO2"``, ``"Scale"``, ``"E3"``, ``"Symmetric(10)"``.

    Also ``"O2"``, ``"D(4)"``, ``"SO3"``, ``"O3"``, ``"RotationScale"``, ``"Translation"``, and ``"Translation1"``,
    ``"Scale(1)"``, ``"O1"`` (the reversal) on a line, ``"Translation3"``, ``"Scale(3)"`` in space, ``"SE2"``,
    ``"E2"``, ``"Sim2"``, and ``"SL(2)"``, ``"GLPlus(2)"``, ``"SL(2,3.0)"`` for stretches by at most 3.

    >>> from workbench.groups import parse_group
    >>> parse_group("R2xC(8)").linear.order
    8

    Raises:
        ValueError: for a name that is none of these.
    """
    if isinstance(name, Group):
        return name
    text = str(name).strip()
    if text.startswith(("SE2", "E2")):
        text = text.replace("SE2", "R2xSO2", 1) if text.startswith("SE2") else text.replace("E2", "R2xO2", 1)
    if text.startswith("R2x"):
        return Plane(parse_group(text.removeprefix("R2x")))
    if text in _BARE:
        return _BARE[text]()
    if (found := _with_numbers(text)) is not None:
        return found
    near = get_close_matches(text.lower(), [known.lower() for known in _EXAMPLES], n=1, cutoff=0.5)
    use = next((known for known in _EXAMPLES if known.lower() in near), "C(8)")
    raise ValueError(
        f"group {name!r} was given; expected SO2, O2, C(n), D(n), Translation, R2x<group>, Scale, RotationScale, "
        f"SL(2), GLPlus(2), SO3, O3, E3 or Symmetric(n); use {use!r}."
    )


def _with_numbers(text: str) -> Group | None:
    if match := re.fullmatch(r"(C|D|Symmetric)\((\d{1,6})\)", text):
        return _COUNTED[match[1]](int(match[2])) if match[1] == "Symmetric" or len(match[2]) <= 4 else None
    if match := re.fullmatch(rf"Translation([13]?)\({_NUMBER}\)", text):
        return Translation(float(match[2]), int(match[1] or 2))
    if match := re.fullmatch(rf"E3\({_NUMBER}\)", text):
        return E3(float(match[1]))
    if match := re.fullmatch(rf"RotationScale\({_NUMBER}\)", text):
        return RotationScale(float(match[1]))
    if match := re.fullmatch(rf"(SL|GLPlus)\(2,{_NUMBER}\)", text):
        return {"SL": SL, "GLPlus": GLPlus}[match[1]](float(match[2]))
    if match := re.fullmatch(rf"Scale\((\d)(?:,{_NUMBER})?\)", text):
        return Scale(int(match[1]), float(match[2] or 2.0))
    return None
