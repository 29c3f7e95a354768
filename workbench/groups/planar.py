"""Rotations and reflections of the plane: SO(2), O(2) and their finite subgroups C(n), D(n).

An element of O(2) is ``(r, m)`` with m in {+1, -1} and stands for the matrix D_m R_r, the mirror after
the rotation, where D_m = diag(m, 1) swaps left and right when m = -1. Then
(r1, m1)(r2, m2) = (r2 + m2 r1, m1 m2) and (r, m)^-1 = (-m r, m).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workbench.groups.base import Group, check_count, check_elements, rotation_matrix, wrap


class SO2(Group):
    """Rotations of the plane; an element is its angle in radians.

    >>> import math, torch
    >>> from workbench.groups import SO2
    >>> quarter = torch.tensor([math.pi / 2])
    >>> SO2().act(quarter, torch.tensor([1.0, 0.0])).tolist()
    [0.0, 1.0]
    """

    name = "SO2"
    element_dim = 1

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        check_elements(self, a, b)
        return wrap(a + b)

    def inverse(self, a: Tensor) -> Tensor:
        return wrap(-a)

    def exp(self, v: Tensor) -> Tensor:
        return wrap(v)

    def log(self, g: Tensor) -> Tensor:
        return wrap(g)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        return wrap(a - b).abs().squeeze(-1)

    def matrix(self, g: Tensor) -> Tensor:
        return rotation_matrix(g[..., 0])

    def grid(self, n=None, offset=0.0, dtype=torch.float32, device=None) -> Tensor:
        n = check_count(n, f"{self.name}.grid")
        steps = torch.arange(n, dtype=torch.float64, device=device) + offset
        return (2 * math.pi / n * steps).to(dtype).unsqueeze(-1)

    def sample(self, n, generator=None, dtype=torch.float32, device=None) -> Tensor:
        n = check_count(n, f"{self.name}.sample")
        return 2 * math.pi * torch.rand(n, 1, generator=generator, dtype=dtype, device=device)


class Cyclic(SO2):
    """C(n): the n rotations by multiples of 2 pi / n.

    >>> from workbench.groups import Cyclic
    >>> Cyclic(4).grid().squeeze(-1).mul(180 / 3.141592653589793).round().tolist()
    [0.0, 90.0, 180.0, 270.0]
    """

    order: int

    def __init__(self, n: int):
        self.order = check_count(n, "C(n)")
        self.name = f"C({n})"

    def grid(self, n=None, offset=0.0, dtype=torch.float32, device=None) -> Tensor:
        n = self.order if n is None else check_count(n, f"{self.name}.grid")
        if self.order % n:
            raise ValueError(f"{self.name}.grid: n = {n} was given; expected a divisor of {self.order}.")
        return super().grid(n, offset, dtype, device)

    def sample(self, n, generator=None, dtype=torch.float32, device=None) -> Tensor:
        n = check_count(n, f"{self.name}.sample")
        k = torch.randint(self.order, (n, 1), generator=generator, device=device)
        return k.to(dtype) * (2 * math.pi / self.order)

    def contains(self, g: Tensor, tol: float = 1e-9) -> Tensor:
        steps = g[..., 0] * self.order / (2 * math.pi)
        return (steps - steps.round()).abs() * (2 * math.pi / self.order) <= tol


class O2(Group):
    """Rotations and reflections of the plane; an element is ``(angle, mirror)``, mirror +1 or -1.

    ``grid(n)`` gives n / 2 rotations with mirror +1, then the same n / 2 with mirror -1.

    >>> import torch
    >>> from workbench.groups import O2
    >>> flip = torch.tensor([0.0, -1.0])
    >>> O2().act(flip, torch.tensor([1.0, 2.0])).tolist()
    [-1.0, 2.0]
    """

    name = "O2"
    element_dim = 2

    def identity(self, dtype=torch.float32, device=None) -> Tensor:
        return torch.tensor([0.0, 1.0], dtype=dtype, device=device)

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        check_elements(self, a, b)
        angle = wrap(b[..., 0] + b[..., 1] * a[..., 0])
        return torch.stack(torch.broadcast_tensors(angle, a[..., 1] * b[..., 1]), -1)

    def inverse(self, a: Tensor) -> Tensor:
        return torch.stack([wrap(-a[..., 1] * a[..., 0]), a[..., 1]], -1)

    def exp(self, v: Tensor) -> Tensor:
        """``v = (angle, s)``: s = 0 stays in the rotations, s = 1 crosses to the reflections."""
        return torch.stack([wrap(v[..., 0]), 1 - 2 * v[..., 1]], -1)

    def log(self, g: Tensor) -> Tensor:
        return torch.stack([wrap(g[..., 0]), (1 - g[..., 1]) / 2], -1)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        relative = self.product(self.inverse(a), b)
        angle = wrap(relative[..., 0]).abs()
        return torch.where(relative[..., 1] > 0, angle, torch.full_like(angle, math.inf))

    def matrix(self, g: Tensor) -> Tensor:
        rotation = rotation_matrix(g[..., 0])
        mirror = torch.stack([g[..., 1], torch.ones_like(g[..., 1])], -1)
        return mirror.unsqueeze(-1) * rotation

    def grid(self, n=None, offset=0.0, dtype=torch.float32, device=None) -> Tensor:
        n = check_count(n, f"{self.name}.grid")
        if n % 2:
            raise ValueError(
                f"{self.name}.grid: n = {n} was given; expected an even number, half of it mirrored; use {n + 1}."
            )
        angle = SO2().grid(n // 2, offset, dtype, device)
        ones = torch.ones_like(angle)
        return torch.cat([torch.cat([angle, ones], -1), torch.cat([angle, -ones], -1)])

    def sample(self, n, generator=None, dtype=torch.float32, device=None) -> Tensor:
        angle = SO2().sample(n, generator, dtype, device)
        return torch.cat([angle, self._sample_mirror(n, generator, dtype, device)], -1)

    @staticmethod
    def _sample_mirror(n, generator, dtype, device) -> Tensor:
        return torch.randint(2, (n, 1), generator=generator, device=device).to(dtype) * 2 - 1

    def contains(self, g: Tensor, tol: float = 1e-9) -> Tensor:
        return torch.isfinite(g).all(-1) & ((g[..., 1].abs() - 1).abs() <= tol)


class Dihedral(O2):
    """D(n): n rotations and n reflections, order 2 n. D(1) is the mirror alone."""

    order: int

    def __init__(self, n: int):
        self.rotations = check_count(n, "D(n)")
        self.order = 2 * n
        self.name = f"D({n})"

    def grid(self, n=None, offset=0.0, dtype=torch.float32, device=None) -> Tensor:
        n = self.order if n is None else check_count(n, f"{self.name}.grid")
        if self.order % n or n % 2:
            raise ValueError(f"{self.name}.grid: n = {n} was given; expected an even divisor of {self.order}.")
        return super().grid(n, offset, dtype, device)

    def sample(self, n, generator=None, dtype=torch.float32, device=None) -> Tensor:
        angle = Cyclic(self.rotations).sample(n, generator, dtype, device)
        return torch.cat([angle, self._sample_mirror(n, generator, dtype, device)], -1)

    def contains(self, g: Tensor, tol: float = 1e-9) -> Tensor:
        return super().contains(g, tol) & Cyclic(self.rotations).contains(g[..., :1], tol)
