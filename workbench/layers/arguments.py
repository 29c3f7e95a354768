"""What the arguments of a group layer may be: groups, lists of elements, reach, padding."""

from __future__ import annotations

from workbench.groups import O2, SL, SO2, Group, Plane, RotationScale, Scale, parse_group
from workbench.groups.base import check_count, check_number
from workbench.kernels.stretched import Support, default_reach
from workbench.layers.lattice import check_window


def planar_group(name: str, group: Group | str) -> Group:
    """The planar group of that name, or a sentence that says which there are."""
    parsed = parse_group(group)
    if not isinstance(parsed, SO2 | O2 | RotationScale | SL) and not (isinstance(parsed, Scale) and parsed.dim == 2):
        use = f"; use {str(parsed.linear)!r}" if isinstance(parsed, Plane) else ""
        raise ValueError(
            f"{name}: the group {parsed} was given; expected a group of rotations and reflections of the "
            "plane, SO2, O2, C(n) or D(n), or of stretches, Scale, RotationScale, SL(2) or GLPlus(2); translations are "
            f"in every convolution already{use}."
        )
    return parsed


def stretch_count(name: str, group: Group, stretches: int | None) -> int:
    """Stretches beside each rotation: 1 for a group that has none or nothing else."""
    if isinstance(group, RotationScale | SL):
        return check_count(4 if stretches is None else stretches, f"{name}: stretches", "4 is usual")
    if stretches not in (None, 1):
        raise ValueError(
            f"{name}: stretches = {stretches!r} was given; expected none, because {group} has n elements and nothing "
            "beside them; use n, or a group such as RotationScale."
        )
    return 1


def kernel_support(name: str, group: Group, reach: float | None, n: int, stretches: int) -> Support | None:
    """How far kernels reach on a group that stretches, ``None`` on one that keeps lengths."""
    if group.isometric:
        if reach is not None:
            raise ValueError(f"{name}: reach = {reach!r} was given; expected none, because {group} keeps lengths.")
        return None
    given = default_reach(group, n, stretches) if reach is None else reach
    return Support(group, check_number(given, f"{name}: reach", "a positive number of e-folds, such as 0.3", 0.0))


def symmetric_padding(name: str, padding: int | str, kernel_size: int) -> int:
    """Pixels of padding on every side."""
    if padding == "valid":
        return 0
    if padding == "same":
        if kernel_size % 2 == 0:
            raise ValueError(
                f"{name}: padding='same' with the even kernel size {kernel_size} was given; it pads one side more than "
                f"the other and breaks quarter turns; use kernel size {kernel_size + 1}, 'valid' or a number of pixels."
            )
        return kernel_size // 2
    if not isinstance(padding, int):
        raise ValueError(f"{name}: padding = {padding!r} was given; expected 'same', 'valid' or a number of pixels.")
    check_window(name, padding=padding)
    return padding
