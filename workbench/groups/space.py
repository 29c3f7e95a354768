"""Rotations, reflections and rigid motions of space: SO(3), O(3), E(3).

A rotation is named by a unit quaternion ``(w, x, y, z)``; q and -q are the same rotation. It turns by the angle
2 arccos(w) about the axis (x, y, z), counter-clockwise seen from the tip of the axis.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workbench.groups.base import Group, check_count, check_elements, check_number

_PSI = 1.533751168755204  # the real root of psi^4 = psi + 4 (Alexa 2022)


class SO3(Group):
    """Rotations of space; an element is a unit quaternion ``(w, x, y, z)``.

    ``exp`` takes rotation vectors ``(..., 3)``: axis times angle in radians.

    >>> import math, torch
    >>> from workbench.groups import SO3
    >>> about_z = SO3().exp(torch.tensor([0.0, 0.0, math.pi / 2]))
    >>> SO3().act(about_z, torch.tensor([1.0, 0.0, 0.0])).round(decimals=5).tolist()
    [0.0, 1.0, 0.0]
    """

    name = "SO3"
    element_dim = 4
    dim = 3

    def identity(self, dtype=torch.float32, device=None) -> Tensor:
        return torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=dtype, device=device)

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        check_elements(self, a, b)
        a, b = torch.broadcast_tensors(a, b)
        w = a[..., :1] * b[..., :1] - (a[..., 1:] * b[..., 1:]).sum(-1, keepdim=True)
        v = a[..., :1] * b[..., 1:] + b[..., :1] * a[..., 1:] + torch.linalg.cross(a[..., 1:], b[..., 1:])
        return torch.nn.functional.normalize(torch.cat([w, v], -1), dim=-1)

    def inverse(self, a: Tensor) -> Tensor:
        return torch.cat([a[..., :1], -a[..., 1:]], -1)

    def exp(self, v: Tensor) -> Tensor:
        angle = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
        return torch.cat([torch.cos(angle / 2), v * torch.sinc(angle / (2 * math.pi)) / 2], -1)

    def log(self, g: Tensor) -> Tensor:
        """The shortest rotation vector ``(..., 3)``, at most pi long."""
        g = torch.where(g[..., :1] < 0, -g, g)
        sine = torch.linalg.vector_norm(g[..., 1:], dim=-1, keepdim=True)
        angle = 2 * torch.atan2(sine, g[..., :1])
        small = sine < 1e-30
        return g[..., 1:] * torch.where(small, torch.full_like(sine, 2.0), angle / torch.where(small, 1.0, sine))

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """The angle in radians of the rotation that leads from one to the other."""
        return torch.linalg.vector_norm(self.log(self.product(self.inverse(a), b)), dim=-1)

    def matrix(self, g: Tensor) -> Tensor:
        w, x, y, z = g.unbind(-1)
        rows = [
            *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        ]
        return torch.stack(rows, -1).unflatten(-1, (3, 3))

    def grid(self, n=None, offset=0.0, dtype=torch.float32, device=None) -> Tensor:
        """``n`` rotations by the super-Fibonacci spirals of Alexa 2022 (CVPR, "Super-Fibonacci Spirals")."""
        n = check_count(n, f"{self.name}.grid")
        s = torch.arange(n, dtype=torch.float64, device=device) + 0.5
        inner, outer = torch.sqrt(s / n), torch.sqrt(1 - s / n)
        a = 2 * math.pi * (s / math.sqrt(2) + offset)
        b = 2 * math.pi * (s / _PSI + offset)
        return torch.stack([inner * a.sin(), inner * a.cos(), outer * b.sin(), outer * b.cos()], -1).to(dtype)

    def sample(self, n, generator=None, dtype=torch.float32, device=None) -> Tensor:
        n = check_count(n, f"{self.name}.sample")
        numbers = torch.randn(n, 4, generator=generator, dtype=dtype, device=device)
        return torch.nn.functional.normalize(numbers, dim=-1)

    def contains(self, g: Tensor, tol: float = 1e-9) -> Tensor:
        return torch.isfinite(g).all(-1) & ((g.square().sum(-1) - 1).abs() <= max(tol, 1e-9))


class O3(Group):
    """Rotations of space and point reflections; an element is ``(w, x, y, z, parity)``.

    It stands for parity * R, parity +1 or -1; the mirror image in a plane is the half turn about its normal, reflected.

    >>> import torch
    >>> from workbench.groups import O3
    >>> O3().act(torch.tensor([1.0, 0.0, 0.0, 0.0, -1.0]), torch.tensor([1.0, 2.0, 3.0])).tolist()
    [-1.0, -2.0, -3.0]
    """

    name = "O3"
    element_dim = 5
    dim = 3

    def __init__(self) -> None:
        self.turns = SO3()

    def identity(self, dtype=torch.float32, device=None) -> Tensor:
        return torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0], dtype=dtype, device=device)

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        check_elements(self, a, b)
        a, b = torch.broadcast_tensors(a, b)
        return torch.cat([self.turns.product(a[..., :4], b[..., :4]), a[..., 4:] * b[..., 4:]], -1)

    def inverse(self, a: Tensor) -> Tensor:
        return torch.cat([self.turns.inverse(a[..., :4]), a[..., 4:]], -1)

    def exp(self, v: Tensor) -> Tensor:
        """``v = (rotation vector, s)``: s = 0 stays in the rotations, s = 1 reflects."""
        return torch.cat([self.turns.exp(v[..., :3]), 1 - 2 * v[..., 3:]], -1)

    def log(self, g: Tensor) -> Tensor:
        return torch.cat([self.turns.log(g[..., :4]), (1 - g[..., 4:]) / 2], -1)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        angle = self.turns.distance(a[..., :4], b[..., :4])
        return torch.where(a[..., 4] * b[..., 4] > 0, angle, torch.full_like(angle, math.inf))

    def matrix(self, g: Tensor) -> Tensor:
        return self.turns.matrix(g[..., :4]) * g[..., 4, None, None]

    def grid(self, n=None, offset=0.0, dtype=torch.float32, device=None) -> Tensor:
        """``n / 2`` rotations, then the same ones reflected."""
        n = check_count(n, f"{self.name}.grid")
        if n % 2:
            raise ValueError(
                f"{self.name}.grid: n = {n} was given; expected an even number, half of it reflected; use {n + 1}."
            )
        turns = self.turns.grid(n // 2, offset, dtype, device)
        ones = torch.ones_like(turns[:, :1])
        return torch.cat([torch.cat([turns, ones], -1), torch.cat([turns, -ones], -1)])

    def sample(self, n, generator=None, dtype=torch.float32, device=None) -> Tensor:
        turns = self.turns.sample(n, generator, dtype, device)
        parity = torch.randint(2, (n, 1), generator=generator, device=device).to(dtype) * 2 - 1
        return torch.cat([turns, parity], -1)

    def contains(self, g: Tensor, tol: float = 1e-9) -> Tensor:
        return self.turns.contains(g[..., :4], tol) & ((g[..., 4].abs() - 1).abs() <= tol)


class E3(Group):
    """Rigid motions of space and reflections; an element is ``(w, x, y, z, parity, shift_x, shift_y, shift_z)``.

    First the element of O(3), then the shift. The group is not compact: samples and grids shift by up to
    ``period`` / 2 along each axis.

    >>> import torch
    >>> from workbench.groups import E3
    >>> g = E3().sample(1, dtype=torch.float64)[0]
    >>> there = E3().act(g, torch.ones(3, dtype=torch.float64))
    >>> bool((E3().act(E3().inverse(g), there) - 1).abs().max() < 1e-12)
    True
    """

    element_dim = 8
    dim = 3

    def __init__(self, period: float = 2.0) -> None:
        self.period = check_number(period, "E3: period", "a positive length, such as 2.0", lowest=0.0)
        self.linear = O3()
        self.name = "E3" if period == 2.0 else f"E3({period:g})"

    def identity(self, dtype=torch.float32, device=None) -> Tensor:
        return torch.cat([self.linear.identity(dtype, device), torch.zeros(3, dtype=dtype, device=device)])

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        check_elements(self, a, b)
        return torch.cat([self.linear.product(a[..., :5], b[..., :5]), self.act(a, b[..., 5:])], -1)

    def inverse(self, a: Tensor) -> Tensor:
        back = self.linear.inverse(a[..., :5])
        return torch.cat([back, -self.linear.act(back, a[..., 5:])], -1)

    def exp(self, v: Tensor) -> Tensor:
        """The product chart: ``v = (rotation vector, s, shift)``, seven numbers."""
        return torch.cat([self.linear.exp(v[..., :4]), v[..., 4:]], -1)

    def log(self, g: Tensor) -> Tensor:
        return torch.cat([self.linear.log(g[..., :5]), g[..., 5:]], -1)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Root of the summed squares of the shift's length and the angle in radians."""
        turn = self.linear.distance(a[..., :5], b[..., :5])
        return torch.hypot(torch.linalg.vector_norm(a[..., 5:] - b[..., 5:], dim=-1), turn)

    def matrix(self, g: Tensor) -> Tensor:
        return self.linear.matrix(g[..., :5])

    def shift(self, g: Tensor) -> Tensor:
        return g[..., 5:]

    def grid(self, n=None, offset=0.0, dtype=torch.float32, device=None) -> Tensor:
        """The grid of O(3), each element with a shift of its own, spread over the cube by irrational steps."""
        turns = self.linear.grid(n, offset, dtype, device)
        steps = torch.arange(len(turns), dtype=torch.float64, device=device)[:, None]
        irrational = torch.tensor([2.0, 3.0, 5.0], dtype=torch.float64, device=device).sqrt()
        shift = (torch.remainder(steps * irrational + 0.5, 1) - 0.5) * self.period
        return torch.cat([turns, shift.to(dtype)], -1)

    def sample(self, n, generator=None, dtype=torch.float32, device=None) -> Tensor:
        turns = self.linear.sample(n, generator, dtype, device)
        shift = torch.rand(n, 3, generator=generator, dtype=dtype, device=device) - 0.5
        return torch.cat([turns, shift * self.period], -1)

    def contains(self, g: Tensor, tol: float = 1e-9) -> Tensor:
        return torch.isfinite(g).all(-1) & self.linear.contains(g[..., :5], tol)
