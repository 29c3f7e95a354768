"""What every group answers, whether it is finite or continuous.

Elements are plain tensors of shape ``(..., element_dim)``; every operation is batched over the leading
dimensions. Angles are radians, positive counter-clockwise as seen on screen (x to the right, y up).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor


class Group(ABC):
    """A group acting on R^d.

    Attributes:
        name: the field's name, for example ``"C(8)"``; :func:`workbench.groups.parse_group` reads it back.
        element_dim: the numbers that name one element.
        dim: d, the dimension of the space it acts on: 2 for images.
        order: the number of elements, ``None`` when there are infinitely many.
        isometric: it keeps lengths, so that a moved image holds as many details as before.
    """

    name: str
    element_dim: int
    dim: int = 2
    order: int | None = None
    isometric: bool = True

    def identity(self, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None) -> Tensor:
        """The neutral element, shape ``(element_dim,)``."""
        return torch.zeros(self.element_dim, dtype=dtype, device=device)

    @abstractmethod
    def product(self, a: Tensor, b: Tensor) -> Tensor:
        """``a b``: b acts first. Shapes ``(..., element_dim)``, broadcast against each other."""

    @abstractmethod
    def inverse(self, a: Tensor) -> Tensor:
        """The element that undoes ``a``, shape ``(..., element_dim)``."""

    @abstractmethod
    def exp(self, v: Tensor) -> Tensor:
        """From coordinates at the identity to the group; the inverse of :meth:`log`."""

    @abstractmethod
    def log(self, g: Tensor) -> Tensor:
        """From the group to coordinates at the identity, angles wrapped to [-pi, pi)."""

    @abstractmethod
    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """A left-invariant distance, shape ``(...,)``: radians for rotations, length for translations.

        Elements of different components (a rotation and a mirror image) are at distance infinity.
        """

    @abstractmethod
    def matrix(self, g: Tensor) -> Tensor:
        """The linear part acting on ``(x, y)``, shape ``(..., d, d)``, d = 2 in the plane."""

    def shift(self, g: Tensor) -> Tensor | None:
        """The translation part, shape ``(..., d)``; ``None`` for groups that fix the origin."""
        return None

    def act(self, g: Tensor, points: Tensor) -> Tensor:
        """Move points: ``matrix(g) p + shift(g)``.

        Args:
            g: elements ``(..., element_dim)``.
            points: ``(..., d)``, (x, y) in the plane, leading dimensions broadcast against those of ``g``.
        """
        check_floating(points, f"{self}.act: points")
        if points.shape[-1:] != (self.dim,):
            axes = {2: " as (x, y)", 3: " as (x, y, z)"}.get(self.dim, "")
            raise ValueError(
                f"{self}.act: points of shape {tuple(points.shape)} were given; expected (..., {self.dim}){axes}."
            )
        moved = (self.matrix(g).to(points.dtype) @ points.unsqueeze(-1)).squeeze(-1)
        shift = self.shift(g)
        return moved if shift is None else moved + shift.to(points.dtype)

    @abstractmethod
    def grid(
        self,
        n: int | None = None,
        offset: float | Tensor = 0.0,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """``n`` elements spread evenly for the Haar measure, shape ``(n, element_dim)``.

        ``offset`` in [0, 1) turns the grid by that fraction of one step.
        """

    @abstractmethod
    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """``n`` independent Haar-distributed elements, shape ``(n, element_dim)``."""

    def contains(self, g: Tensor, tol: float = 1e-9) -> Tensor:
        """Whether each tensor row is an element of the group, boolean ``(...,)``."""
        return torch.isfinite(g).all(-1)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Group) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return self.name


def wrap(angle_rad: Tensor) -> Tensor:
    """The same angle in [-pi, pi)."""
    return torch.remainder(angle_rad + math.pi, 2 * math.pi) - math.pi


def rotation_matrix(angle_rad: Tensor) -> Tensor:
    """Counter-clockwise rotation of (x, y), shape ``(..., 2, 2)``; exact at quarter turns.

    cos(pi/2) is 6e-17 in floating point, and that dust would move points off the lattice: a sine or cosine within
    the rounding of its angle becomes zero and keeps its slope.
    """
    cos, sin = torch.cos(angle_rad), torch.sin(angle_rad)
    rows = torch.stack([cos, -sin, sin, cos], -1)
    rounding = 8 * torch.finfo(rows.dtype).eps * (1 + angle_rad.detach().abs())
    dust = rows.detach().abs() < rounding.unsqueeze(-1)
    return (rows - rows.detach() * dust).unflatten(-1, (2, 2))


def check_elements(group: Group, *elements: Tensor) -> None:
    """Refuse tensors whose rows cannot name elements of the group."""
    for given in elements:
        if given.shape[-1:] != (group.element_dim,):
            raise ValueError(
                f"{group}: elements of shape {tuple(given.shape)} were given; expected (..., {group.element_dim}); "
                f"{group} names an element by {group.element_dim} number(s) in the last dimension."
            )


def check_floating(x: object, name: str, *, numbers: bool = False) -> None:
    """Refuse what is no tensor of real floating-point numbers; the sentence ends with the call that makes one.

    Args:
        name: of what was given; its last word is the variable in the call.
        numbers: whether a tensor on the device 'meta', which has a shape and no numbers, is refused, too.

    Raises:
        ValueError: as said.

    >>> check_floating(np.zeros((1, 8, 8)), "images")
    Traceback (most recent call last):
    ...
    ValueError: images of type ndarray were given; expected a floating tensor; use torch.from_numpy(images).float().
    """
    if isinstance(x, Tensor) and x.is_floating_point():
        if numbers and x.is_meta:
            raise ValueError(
                f"{name} on the device 'meta' were given, which holds shapes without numbers; expected numbers; make "
                "them on the CPU."
            )
        return
    word = name.split()[-1]
    given = f"dtype {x.dtype}" if isinstance(x, Tensor) else f"type {type(x).__name__}"
    fix = f"use {word}.float()"
    if isinstance(x, Tensor) and x.is_complex():
        fix = f"use {word}.real or {word}.abs()"
    elif isinstance(x, np.ndarray):
        fix = f"use torch.from_numpy({word}{'.real' if np.iscomplexobj(x) else ''}).float()"
    elif not isinstance(x, Tensor):
        fix = f"use torch.tensor({word}).float()" if isinstance(x, list | tuple) else "give a tensor"
    raise ValueError(f"{name} of {given} were given; expected a floating tensor; {fix}.")


def check_number(
    value: object, name: str, expected: str, lowest: float = -math.inf, highest: float = math.inf
) -> float:
    """``value`` as a finite float in ``(lowest, highest]``, or a sentence that names what was ``expected``."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not lowest < float(value) <= highest:  # type: ignore[arg-type]
        raise ValueError(f"{name} = {value!r} was given; expected {expected}.")
    return float(value)  # type: ignore[arg-type]


def check_count(n: object, name: str, advice: str = "use n >= 1") -> int:
    """``n`` as a positive integer, or a sentence saying what is wrong."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"{name}: the number of elements was {n!r}; expected a positive integer; {advice}.")
    return n
