"""Translations, and products with the plane: R^2 x| H for a planar group H."""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.groups.base import Group, check_count, check_elements, check_number


class Translation(Group):
    """Translations of the plane; an element is the vector ``(x, y)``.

    The group is not compact: Haar samples and grids are those of one period, the square
    [-period/2, period/2)^2, as on a circular image.
    """

    element_dim = 2

    def __init__(self, period: float = 2.0):
        self.period = check_number(period, "Translation: period", "a positive length, such as 2.0", lowest=0.0)
        self.name = "Translation" if period == 2.0 else f"Translation({period:g})"

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        check_elements(self, a, b)
        return a + b

    def inverse(self, a: Tensor) -> Tensor:
        return -a

    def exp(self, v: Tensor) -> Tensor:
        return v

    def log(self, g: Tensor) -> Tensor:
        return g

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.linalg.vector_norm(a - b, dim=-1)

    def matrix(self, g: Tensor) -> Tensor:
        return torch.eye(2, dtype=g.dtype, device=g.device).expand(*g.shape[:-1], 2, 2)

    def shift(self, g: Tensor) -> Tensor:
        return g

    def grid(self, n=None, offset=0.0, dtype=torch.float32, device=None) -> Tensor:
        n = check_count(n, f"{self.name}.grid", "use a square number")
        side = round(n**0.5)
        if side * side != n:
            raise ValueError(f"{self.name}.grid: n = {n} was given; expected a square number; use {side * side}.")
        line = (torch.arange(side, dtype=torch.float64, device=device) + offset) / side - 0.5
        x, y = torch.meshgrid(line, line, indexing="xy")
        return (torch.stack([x.flatten(), y.flatten()], -1) * self.period).to(dtype)

    def sample(self, n, generator=None, dtype=torch.float32, device=None) -> Tensor:
        n = check_count(n, f"{self.name}.sample")
        return (torch.rand(n, 2, generator=generator, dtype=dtype, device=device) - 0.5) * self.period


class Plane(Group):
    """R^2 x| H: first the linear element h, then the shift; an element is ``(x, y, h...)``.

    Product (x1, h1)(x2, h2) = (x1 + h1 x2, h1 h2).

    >>> import math, torch
    >>> from workbench.groups import SO2, Plane
    >>> se2 = Plane(SO2())
    >>> g = torch.tensor([1.0, 0.0, math.pi / 2])
    >>> se2.product(g, se2.inverse(g)).abs().max() < 1e-6
    tensor(True)
    """

    def __init__(self, linear: Group, period: float = 2.0):
        if not isinstance(linear, Group) or isinstance(linear, Plane | Translation):
            raise ValueError(f"Plane: {linear!r} was given; expected a group that fixes the origin, such as SO2().")
        self.linear = linear
        self.translation = Translation(period)
        self.element_dim = 2 + linear.element_dim
        self.name = f"R2x{linear.name}"

    def join(self, shift: Tensor, linear: Tensor) -> Tensor:
        """One element from its shift ``(..., 2)`` and its linear part ``(..., H.element_dim)``."""
        batch = torch.broadcast_shapes(shift.shape[:-1], linear.shape[:-1])
        return torch.cat([shift.expand(*batch, 2), linear.expand(*batch, self.linear.element_dim)], -1)

    def identity(self, dtype=torch.float32, device=None) -> Tensor:
        return torch.cat([torch.zeros(2, dtype=dtype, device=device), self.linear.identity(dtype, device)])

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        check_elements(self, a, b)
        return self.join(self.act(a, b[..., :2]), self.linear.product(a[..., 2:], b[..., 2:]))

    def inverse(self, a: Tensor) -> Tensor:
        back = self.linear.inverse(a[..., 2:])
        return self.join(-self.linear.act(back, a[..., :2]), back)

    def exp(self, v: Tensor) -> Tensor:
        """The product chart: the shift as it is, the linear part through H's own exp."""
        return self.join(v[..., :2], self.linear.exp(v[..., 2:]))

    def log(self, g: Tensor) -> Tensor:
        return self.join(g[..., :2], self.linear.log(g[..., 2:]))

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Root of the summed squares of the shift's length and H's distance."""
        relative = self.product(self.inverse(a), b)
        turn = self.linear.distance(self.linear.identity(a.dtype, a.device), relative[..., 2:])
        return torch.hypot(torch.linalg.vector_norm(relative[..., :2], dim=-1), turn)

    def matrix(self, g: Tensor) -> Tensor:
        return self.linear.matrix(g[..., 2:])

    def shift(self, g: Tensor) -> Tensor:
        return g[..., :2]

    def grid(self, n=None, offset=0.0, dtype=torch.float32, device=None) -> Tensor:
        """``n`` linear elements at each of ``n * n`` shifts: shape ``(n^3, element_dim)``."""
        n = check_count(n, f"{self.name}.grid")
        shifts = self.translation.grid(n * n, offset, dtype, device)
        linear = self.linear.grid(n, offset, dtype, device)
        return self.join(shifts[:, None], linear[None]).reshape(-1, self.element_dim)

    def sample(self, n, generator=None, dtype=torch.float32, device=None) -> Tensor:
        shifts = self.translation.sample(n, generator, dtype, device)
        return self.join(shifts, self.linear.sample(n, generator, dtype, device))

    def contains(self, g: Tensor, tol: float = 1e-9) -> Tensor:
        return torch.isfinite(g).all(-1) & self.linear.contains(g[..., 2:], tol)
