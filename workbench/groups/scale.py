"""Scalings about the origin, alone and together with rotations of the plane."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workbench.groups.base import Group, check_count, check_elements, check_number, wrap
from workbench.groups.planar import SO2
from workbench.groups.sampling import check_spread, cut_normal


class Scale(Group):
    """Scalings of R^d by a positive factor; an element is that factor.

    The group is not compact: grids and samples are even in log(factor) between 1 / ``largest`` and ``largest``.

    >>> import torch
    >>> from workbench.groups import Scale
    >>> Scale().act(torch.tensor([2.0]), torch.tensor([1.0, 3.0])).tolist()
    [2.0, 6.0]

    Raises:
        ValueError: for d other than 1, 2, 3, or a ``largest`` factor that is not above 1.
    """

    element_dim = 1
    isometric = False

    def __init__(self, d: int = 2, largest: float = 2.0):
        self.dim = _check_dim("Scale", d)
        self.largest = check_number(largest, "Scale: largest", "a factor above 1, such as 2.0", lowest=1.0)
        own = ",".join([*([str(d)] if d != 2 or largest != 2.0 else []), *([f"{largest:g}"] if largest != 2.0 else [])])
        self.name = f"Scale({own})" if own else "Scale"

    def identity(self, dtype=torch.float32, device=None) -> Tensor:
        return torch.ones(1, dtype=dtype, device=device)

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        check_elements(self, a, b)
        return a * b

    def inverse(self, a: Tensor) -> Tensor:
        return 1 / a

    def exp(self, v: Tensor) -> Tensor:
        return v.exp()

    def log(self, g: Tensor) -> Tensor:
        return g.log()

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Absolute difference of the logarithms: factors 1/2 and 2 lie log 4 apart."""
        return (a.log() - b.log()).abs().squeeze(-1)

    def matrix(self, g: Tensor) -> Tensor:
        return torch.eye(self.dim, dtype=g.dtype, device=g.device) * g.unsqueeze(-1)

    def grid(self, n=None, offset=0.0, dtype=torch.float32, device=None) -> Tensor:
        """``n`` factors even in the logarithm, both ends and (n odd) the identity among them; ``offset`` in steps."""
        n = check_count(n, f"{self.name}.grid")
        if n == 1:
            return torch.ones(1, 1, dtype=dtype, device=device)
        step = (torch.arange(n, dtype=torch.float64, device=device) + offset) / (n - 1) * 2 - 1
        return (step * math.log(self.largest)).exp().to(dtype).unsqueeze(-1)

    def sample(self, n, generator=None, dtype=torch.float32, device=None) -> Tensor:
        n = check_count(n, f"{self.name}.sample")
        step = torch.rand(n, 1, generator=generator, dtype=dtype, device=device) * 2 - 1
        return (step * math.log(self.largest)).exp()

    def draw(
        self, n: int, spread: float = 0.3, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """``n`` factors near 1, and what each stands for: 1 / p with respect to the Haar measure, dfactor / factor.

        Their logarithms are normal with standard deviation ``spread``, cut off at log ``largest``. With the weights a
        mean over samples estimates the integral over that part of the group, without them another one.

        Returns:
            Elements ``(n, 1)`` and weights ``(n,)``.

        Raises:
            ValueError: for a count or spread that is not positive.

        >>> elements, weights = Scale().draw(8)
        >>> elements.shape, weights.shape
        (torch.Size([8, 1]), torch.Size([8]))
        """
        n = check_count(n, f"{self.name}.draw")
        values, density = cut_normal(n, check_spread(self, spread), math.log(self.largest), generator)
        return values.exp().unsqueeze(-1).to(dtype), (1 / density).to(dtype)

    def contains(self, g: Tensor, tol: float = 1e-9) -> Tensor:
        return torch.isfinite(g).all(-1) & (g[..., 0] > 0)


class RotationScale(Group):
    """Rotations of the plane times scalings, which commute; an element is ``(angle, factor)``.

    Grids and samples have factors between 1 / ``largest`` and ``largest``.

    >>> import math, torch
    >>> from workbench.groups import RotationScale
    >>> RotationScale().act(torch.tensor([math.pi / 2, 3.0]), torch.tensor([1.0, 0.0])).tolist()
    [0.0, 3.0]
    """

    element_dim = 2
    isometric = False

    def __init__(self, largest: float = 2.0) -> None:
        self.largest = check_number(largest, "RotationScale: largest", "a factor above 1, such as 2.0", lowest=1.0)
        self.turns, self.scales = SO2(), Scale(2, self.largest)
        self.name = "RotationScale" if largest == 2.0 else f"RotationScale({largest:g})"

    def identity(self, dtype=torch.float32, device=None) -> Tensor:
        return torch.tensor([0.0, 1.0], dtype=dtype, device=device)

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        check_elements(self, a, b)
        return torch.stack(torch.broadcast_tensors(wrap(a[..., 0] + b[..., 0]), a[..., 1] * b[..., 1]), -1)

    def inverse(self, a: Tensor) -> Tensor:
        return torch.stack([wrap(-a[..., 0]), 1 / a[..., 1]], -1)

    def exp(self, v: Tensor) -> Tensor:
        return torch.stack([wrap(v[..., 0]), v[..., 1].exp()], -1)

    def log(self, g: Tensor) -> Tensor:
        return torch.stack([wrap(g[..., 0]), g[..., 1].log()], -1)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Root of the summed squares of the angle in radians and the difference of the logarithms."""
        return torch.hypot(self.turns.distance(a[..., :1], b[..., :1]), self.scales.distance(a[..., 1:], b[..., 1:]))

    def matrix(self, g: Tensor) -> Tensor:
        return self.turns.matrix(g[..., :1]) * g[..., 1, None, None]

    def grid(self, n=None, offset=0.0, dtype=torch.float32, device=None) -> Tensor:
        """``n`` rotations at each of ``n`` factors: shape ``(n^2, 2)``."""
        n = check_count(n, f"{self.name}.grid")
        angle, factor = self.turns.grid(n, offset, dtype, device), self.scales.grid(n, 0.0, dtype, device)
        return torch.cat([angle.repeat(n, 1), factor.repeat_interleave(n, 0)], -1)

    def sample(self, n, generator=None, dtype=torch.float32, device=None) -> Tensor:
        angle = self.turns.sample(n, generator, dtype, device)
        return torch.cat([angle, self.scales.sample(n, generator, dtype, device)], -1)

    def draw(
        self, n: int, spread: float = 0.3, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """``n`` elements, angles even and factors as :meth:`Scale.draw`, and their weights: ``(n, 2)``, ``(n,)``."""
        factor, weights = self.scales.draw(n, spread, generator, dtype)
        angle = self.turns.sample(n, generator, dtype)
        return torch.cat([angle, factor], -1), weights * (2 * math.pi)

    def contains(self, g: Tensor, tol: float = 1e-9) -> Tensor:
        return torch.isfinite(g).all(-1) & (g[..., 1] > 0)


def _check_dim(name: str, d: object) -> int:
    if isinstance(d, bool) or d not in (1, 2, 3):
        raise ValueError(f"{name}: d = {d!r} was given; expected 1, 2 or 3 dimensions; use d=2 for images.")
    return int(d)
