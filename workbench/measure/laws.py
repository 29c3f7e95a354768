"""How each kind of output is moved by group elements: positions in a frame, vectors, points, sets, series, irreps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from workbench.actions.images import act
from workbench.actions.irreps import irreps_matrices
from workbench.actions.lattice import TOLERANCE, affine, on_lattice
from workbench.actions.points import act_on_points
from workbench.actions.series import act_on_series, series_affine
from workbench.actions.sets import permute
from workbench.groups.symmetric import Symmetric
from workbench.measure.behaviour import Behaviour

if TYPE_CHECKING:
    from workbench.measure.compare import Action

RESAMPLED = ("image", "vector field", "series", "boxes")
"""Kinds on which most elements act by interpolation, or (boxes) not without loss."""


def move(stacks: Tensor, elements: Tensor, law: Behaviour, action: Action) -> Tensor:
    """``g f`` for every element: ``stacks (1 or E, B, ...)`` give ``(E, B, ...)``."""
    if law.kind in ("invariant", "unknown") or (law.kind == "set" and not isinstance(action.group, Symmetric)):
        return stacks.expand(len(elements), *stacks.shape[1:])
    if isinstance(action.group, Symmetric):
        return permute(stacks, elements, action.group)
    return _MOVES[law.kind](stacks, elements, law, action)


def _image(stacks: Tensor, elements: Tensor, law: Behaviour, action: Action) -> Tensor:
    folded = stacks.reshape(len(stacks), -1, *stacks.shape[-2:])
    elements = action.in_pixels_of(stacks, elements)
    moved = act(folded, elements, action.group, action.resampler, action.padding)
    return moved.view(len(elements), *stacks.shape[1:])


def _vector_field(stacks: Tensor, elements: Tensor, law: Behaviour, action: Action) -> Tensor:
    moved = _image(stacks, elements, law, action)
    matrix = _in_frame(affine(elements, action.group)[0], law.frame).to(moved)
    pairs = moved.unflatten(2, (-1, 2))
    return torch.einsum("eij,ebkjhw->ebkihw", matrix, pairs).flatten(2, 3)


def _in_frame(matrix: Tensor, frame: str) -> Tensor:
    """Linear parts for components (x, y) whose y grows upwards (``"centre"``) or downwards (the other frames)."""
    if frame == "centre":
        return matrix
    flip = matrix.new_tensor([[1.0, -1.0], [-1.0, 1.0]])
    return matrix * flip


def _points(stacks: Tensor, elements: Tensor, law: Behaviour, action: Action) -> Tensor:
    return act_on_points(stacks, elements, action.group)


def _vectors(stacks: Tensor, elements: Tensor, law: Behaviour, action: Action) -> Tensor:
    dim = action.group.dim
    if stacks.shape[-1] % dim:
        raise ValueError(
            f"vectors of shape {tuple(stacks.shape[1:])} were given; expected (B, ..., {dim} k) for "
            f"{action.group.name}; declare another output."
        )
    matrix = action.group.matrix(elements.detach().double().cpu()).to(stacks)
    pairs = stacks.unflatten(-1, (-1, dim)).flatten(2, -2)
    return torch.einsum("eij,ebkj->ebki", matrix, pairs.expand(len(elements), *pairs.shape[1:])).reshape(
        len(elements), *stacks.shape[1:]
    )


def _irreps(stacks: Tensor, elements: Tensor, law: Behaviour, action: Action) -> Tensor:
    matrix = irreps_matrices(law.irreps, elements, action.group).to(stacks)
    if stacks.shape[-1] != matrix.shape[-1]:
        raise ValueError(
            f"an output of shape {tuple(stacks.shape[1:])} was given for irreps {law.irreps}; expected "
            f"(B, ..., {matrix.shape[-1]}), the dimension of these irreps."
        )
    flat = stacks.flatten(2, -2) if stacks.ndim > 3 else stacks.unsqueeze(2)
    moved = torch.einsum("eij,ebkj->ebki", matrix, flat.expand(len(elements), *flat.shape[1:]))
    return moved.reshape(len(elements), *stacks.shape[1:])


def _series(stacks: Tensor, elements: Tensor, law: Behaviour, action: Action) -> Tensor:
    flat = stacks.reshape(len(stacks), -1, stacks.shape[-1])
    scale, shift = _series_affine(elements, action, stacks.shape[-1])
    moved = act_on_series(flat, scale, shift, action.resampler, action.padding)
    return moved.view(len(elements), *stacks.shape[1:])


def _series_affine(elements: Tensor, action: Action, length: int) -> tuple[Tensor, Tensor]:
    """Factors, and shifts in samples of an output of that length."""
    scale, shift = series_affine(elements, action.group)
    return scale, shift / pitch(action.input_size[-1], length)


def pitch(before: int, after: int) -> float:
    """Pixels of the input per pixel of an output: whole where it is coarser, one over a whole number where finer.

    >>> pitch(28, 26), pitch(28, 7), pitch(8, 16)
    (1.0, 4.0, 0.5)
    """
    if after > before:
        return 1.0 / round(after / before)
    return float(round(before / max(1, after)))


def _key_points(stacks: Tensor, elements: Tensor, law: Behaviour, action: Action) -> Tensor:
    points = to_centre(stacks.unflatten(-1, (-1, 2)), law.frame, action.input_size)
    return from_centre(_affine(points, elements, action), law.frame, action.input_size).flatten(-2)


def _affine(points: Tensor, elements: Tensor, action: Action) -> Tensor:
    matrix, shift = (part.to(points) for part in affine(elements, action.group))
    flat = points.reshape(len(points), -1, 2)
    moved = flat @ matrix.mT + shift.unsqueeze(1)
    return moved.view(len(elements), *points.shape[1:])


def _boxes(stacks: Tensor, elements: Tensor, law: Behaviour, action: Action) -> Tensor:
    """The upright box around the moved corners: exact at quarter turns and mirrors, larger in between."""
    low, high = corners(stacks, law, action.input_size)
    four = torch.stack([low, high, torch.stack([low[..., 0], high[..., 1]], -1),
                        torch.stack([high[..., 0], low[..., 1]], -1)], -2)  # fmt: skip
    moved = _affine(four, elements, action)
    return from_corners(moved.amin(-2), moved.amax(-2), law, action.input_size)


def corners(boxes: Tensor, law: Behaviour, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Lower left and upper right corner ``(..., 2)`` in the centre frame, from boxes ``(..., 4)``."""
    first, second = boxes[..., :2], boxes[..., 2:]
    if law.layout == "xywh":
        second = first + second
    elif law.layout == "cxcywh":
        first, second = first - second / 2, first + second / 2
    a, b = to_centre(first, law.frame, size), to_centre(second, law.frame, size)
    return torch.minimum(a, b), torch.maximum(a, b)


def from_corners(low: Tensor, high: Tensor, law: Behaviour, size: tuple[int, int]) -> Tensor:
    """Boxes in the layout and frame of ``law`` from their corners in the centre frame."""
    a, b = from_centre(low, law.frame, size), from_centre(high, law.frame, size)
    first, second = torch.minimum(a, b), torch.maximum(a, b)
    if law.layout == "xywh":
        second = second - first
    elif law.layout == "cxcywh":
        first, second = (first + second) / 2, second - first
    return torch.cat([first, second], -1)


def to_centre(points: Tensor, frame: str, size: tuple[int, int]) -> Tensor:
    """Positions ``(..., 2)`` of a frame in pixels from the centre of an image of ``size (H, W)``, x right, y up."""
    if frame == "centre":
        return points
    stretch, origin = _frame(points, frame, size)
    return (points - origin) * stretch


def from_centre(points: Tensor, frame: str, size: tuple[int, int]) -> Tensor:
    """The inverse of :func:`to_centre`."""
    if frame == "centre":
        return points
    stretch, origin = _frame(points, frame, size)
    return points / stretch + origin


def _frame(like: Tensor, frame: str, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Pixels per unit along (x, y), y counted upwards, and where the centre of the image lies."""
    height, width = size
    stretch, origin = {
        "pixels": ((1.0, -1.0), (width / 2, height / 2)),
        "indices": ((1.0, -1.0), ((width - 1) / 2, (height - 1) / 2)),
        "unit": ((width, -height), (0.5, 0.5)),
        "signed": ((width / 2, -height / 2), (0.0, 0.0)),
    }[frame]
    return like.new_tensor(stretch), like.new_tensor(origin)


def in_the_plane(values: Tensor, action: Action) -> tuple[Tensor, Tensor]:
    """The elements as they act on the series ``(..., L)`` taken as an image of one row: ``(E, 2, 2)``, ``(E, 2)``."""
    scale, shift = _series_affine(action.elements, action, values.shape[-1])
    matrix = torch.diag_embed(torch.stack([scale, torch.ones_like(scale)], -1))
    return matrix, torch.stack([shift, torch.zeros_like(shift)], -1)


_MOVES = {
    "image": _image,
    "vector field": _vector_field,
    "points": _points,
    "vectors": _vectors,
    "irreps": _irreps,
    "series": _series,
    "key points": _key_points,
    "boxes": _boxes,
}


def exact(values: Tensor, law: Behaviour, action: Action) -> Tensor:
    """Whether each element moves this output without loss, boolean ``(E,)``."""
    everything = torch.ones(len(action.elements), dtype=torch.bool)
    if law.kind not in RESAMPLED or isinstance(action.group, Symmetric):
        return everything
    if law.kind == "series":
        scale, shift = _series_affine(action.elements, action, values.shape[-1])
        return ((scale.abs() - 1).abs() <= TOLERANCE) & ((shift - shift.round()).abs() <= TOLERANCE)
    if law.kind == "boxes":
        matrix = affine(action.elements, action.group)[0]
        return matrix.abs().amin((-2, -1)) <= TOLERANCE  # a quarter turn has zeros, whatever its scale
    matrix, shift = affine(action.in_pixels_of(values, action.elements), action.group)
    return on_lattice(matrix, shift, TOLERANCE, (values.shape[-2], values.shape[-1]))


def measured(a: Tensor, b: Tensor, law: Behaviour, action: Action) -> tuple[Tensor, Tensor]:
    """f(gx) and g f(x) in the coordinates in which their distance and size are taken.

    Positions in an image count in pixels from its centre, points from the centre of mass of g f(x), so that the
    size of the reference does not depend on where the origin of the coordinates lies.
    """
    if law.kind == "key points":
        return tuple(to_centre(t.unflatten(-1, (-1, 2)), law.frame, action.input_size) for t in (a, b))  # type: ignore
    if law.kind == "boxes":
        return tuple(torch.cat(corners(t, law, action.input_size), -1) for t in (a, b))  # type: ignore[return-value]
    if law.kind == "points" and action.group.shift(action.elements[:1]) is not None and b.ndim > 3 and b.shape[2] > 1:
        dim = action.group.dim
        centre = torch.zeros_like(b[:, :, :1])
        centre[..., :dim] = b[..., :dim].mean(2, keepdim=True)
        return a - centre, b - centre
    return a, b
