"""Elements that map the pixel grid onto itself: quarter turns, flips and whole-pixel shifts, no interpolation."""

import math

import torch
from torch import Tensor

from workbench.groups import Group

TOLERANCE = 1e-6  # radians or pixels: 2 pi in float32 is off by 2e-7, and moving a pixel by less is invisible


def affine(elements: Tensor, group: Group) -> tuple[Tensor, Tensor]:
    """Linear part ``(E, 2, 2)`` and shift ``(E, 2)`` in pixels of ``elements (E, element_dim)``, float64 on the CPU.

    Both act on ``(x, y)`` with x to the right, y up and the origin at the centre of the image.

    Raises:
        ValueError: for elements of another shape, or numbers that are not finite.
    """
    if not isinstance(group, Group):
        raise ValueError(f"group {group!r} was given; expected a group, such as SO2(); parse_group reads its name.")
    if group.dim != 2:
        raise ValueError(
            f"the group {group.name} was given for images; expected one that acts on the plane, such as SO2, because "
            f"{group.name} moves points of {group.dim} coordinates; give point sets or series as inputs."
        )
    return affine_of(elements, group)


def affine_of(elements: Tensor, group: Group) -> tuple[Tensor, Tensor]:
    """Linear part ``(E, d, d)`` and shift ``(E, d)`` for a group of any dimension, float64 on the CPU."""
    elements = check_rows(elements, group)
    matrix = group.matrix(elements)
    shift = group.act(elements, elements.new_zeros(len(elements), group.dim))
    return matrix, shift


def check_rows(elements: Tensor, group: Group) -> Tensor:
    """The elements ``(E, element_dim)`` in float64 on the CPU, or a sentence that says what is wrong with them."""
    elements = torch.as_tensor(elements)
    if elements.ndim != 2 or elements.shape[1] != group.element_dim or len(elements) == 0:
        raise ValueError(
            f"elements of shape {tuple(elements.shape)} were given; expected (E, {group.element_dim}) with "
            f"E >= 1 for the group {group.name}; {group.name} names an element by {group.element_dim} number(s)."
        )
    if not torch.isfinite(elements).all():
        raise ValueError(
            f"elements of {group.name} with NaN or infinite numbers were given; expected finite ones; "
            "remove the rows that are not finite."
        )
    return elements.detach().double().cpu()


def angle_and_mirror(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The angle (radians) and the mirror (+1 or -1) of matrices s D_m R_r, shapes ``(...,)`` from ``(..., 2, 2)``."""
    (a, b), (c, d) = (matrix[..., 0, 0], matrix[..., 0, 1]), (matrix[..., 1, 0], matrix[..., 1, 1])
    return torch.atan2(c, d), torch.where(a * d < b * c, -1.0, 1.0).to(matrix.dtype)


def on_lattice(matrix: Tensor, shift: Tensor, tol: float, shape: tuple[int, int] | None = None) -> Tensor:
    """Whether each ``(E, 2, 2)``, ``(E, 2)`` maps the pixel centres of an image of ``shape`` onto themselves.

    A quarter turn of an image that is not square changes its frame, so it counts as off the lattice.
    """
    turns = angle_and_mirror(matrix)[0] * (2 / math.pi)
    whole = (turns - turns.round()).abs() * (math.pi / 2) <= tol
    whole &= ((shift - shift.round()).abs() <= tol).all(-1)
    lengths = matrix.mT @ matrix - torch.eye(2, dtype=matrix.dtype, device=matrix.device)
    whole &= lengths.abs().flatten(-2).amax(-1) <= 2 * tol  # a scaled or stretched image has other pixels
    if shape is not None and shape[0] != shape[1]:
        whole &= turns.round().long() % 2 == 0
    return whole


def is_lattice(g: Tensor, group: Group, tol: float = TOLERANCE, shape: tuple[int, int] | None = None) -> Tensor:
    """Whether elements move pixel centres onto pixel centres, so that they act on images without interpolation.

    True for quarter turns, flips combined with quarter turns, and shifts by whole pixels; never for
    scalings and stretches.

    Args:
        g: ``(element_dim,)`` or ``(E, element_dim)``; angles in radians, shifts in pixels.
        group: the group of ``g``.
        tol: largest distance (radians, pixels) that counts as none. The default forgives an angle that once
            was float32.
        shape: ``(H, W)`` of the image. Quarter turns need a square one.

    Returns:
        Boolean tensor ``()`` or ``(E,)``.

    >>> import math, torch
    >>> from workbench.groups import SO2
    >>> is_lattice(torch.tensor([[0.0], [math.pi / 2], [0.3]]), SO2()).tolist()
    [True, True, False]
    """
    g = torch.as_tensor(g)
    rows = g if g.ndim == 2 else g.unsqueeze(0)
    result = on_lattice(*affine(rows, group), tol, shape)
    return result if g.ndim == 2 else result[0]


def move(x: Tensor, matrix: Tensor, shift: Tensor, padding: str) -> Tensor:
    """Move the pixels of ``x (..., H, W)`` by one lattice element: rotate, then mirror, then shift."""
    angle, mirror = angle_and_mirror(matrix)
    turns = round(float(angle) * 2 / math.pi) % 4
    moved = torch.rot90(x, turns, (-2, -1)) if turns else x
    if mirror < 0:
        moved = moved.flip(-1)
    right, up = (round(s) for s in shift.tolist())
    if right or up:
        moved = _shift(_shift(moved, right, -1, padding), -up, -2, padding)
    return moved


def _shift(x: Tensor, pixels: int, dim: int, padding: str) -> Tensor:
    """Shift along ``dim`` towards larger indices by whole pixels."""
    if padding == "circular" or pixels == 0:
        return x.roll(pixels, dim)
    size = x.shape[dim]
    source = torch.arange(size, device=x.device) - pixels
    moved = x.index_select(dim, source.clamp(0, size - 1))
    if padding == "border":
        return moved
    inside = (source >= 0) & (source < size)
    return moved * (inside if dim == -1 else inside.unsqueeze(-1)).to(x.dtype)
