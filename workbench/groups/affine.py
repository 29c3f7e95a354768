"""Translations, and products with the plane: R^2 x| H for a planar group H."""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.groups.base import Group, check_count, check_elements, check_number


class Translation(Group):
    """Translations of R^d, d = 2 by default; an element is the vector, ``(x, y)`` in the plane.

    The group is not compact: Haar samples and grids are those of one period, the cube
    [-period/2, period/2)^d, as on a circular image.

    >>> from workbench.groups import Translation
    >>> Translation(), Translation(dim=3), Translation(dim=1).element_dim
    (Translation, Translation3, 1)
    """

    def __init__(self, period: float = 2.0, dim: int = 2):
        self.period = check_number(period, "Translation: period", "a positive length, such as 2.0", lowest=0.0)
        if isinstance(dim, bool) or dim not in (1, 2, 3):
            raise ValueError(f"Translation: dim = {dim!r} was given; expected 1, 2 or 3; use dim=2 for images.")
        self.dim = self.element_dim = dim
        own = "Translation" if dim == 2 else f"Translation{dim}"
        self.name = own if period == 2.0 else f"{own}({period:g})"

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
        return torch.eye(self.dim, dtype=g.dtype, device=g.device).expand(*g.shape[:-1], self.dim, self.dim)

    def shift(self, g: Tensor) -> Tensor:
        return g

    def grid(self, n=None, offset=0.0, dtype=torch.float32, device=None) -> Tensor:
        n = check_count(n, f"{self.name}.grid", {1: "use n >= 1", 2: "use a square number"}.get(self.dim, "use a cube"))
        side = round(n ** (1 / self.dim))
        if side**self.dim != n:
            power = {2: "square", 3: "cubic"}[self.dim]
            raise ValueError(f"{self.name}.grid: n = {n} was given; expected a {power} number; use {side**self.dim}.")
        line = (torch.arange(side, dtype=torch.float64, device=device) + offset) / side - 0.5
        axes = torch.meshgrid(*[line] * self.dim, indexing="xy") if self.dim > 1 else (line,)
        return (torch.stack([axis.flatten() for axis in axes], -1) * self.period).to(dtype)

    def sample(self, n, generator=None, dtype=torch.float32, device=None) -> Tensor:
        n = check_count(n, f"{self.name}.sample")
        return (torch.rand(n, self.dim, generator=generator, dtype=dtype, device=device) - 0.5) * self.period


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
        if not isinstance(linear, Group) or isinstance(linear, Plane | Translation) or linear.dim != 2:
            raise ValueError(f"Plane: {linear!r} was given; expected a group that fixes the origin, such as SO2().")
        self.linear = linear
        self.isometric = linear.isometric
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
