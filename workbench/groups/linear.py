"""Linear maps of the plane that keep orientation, GL+(2), and among them those that keep area, SL(2).

Every such map is a stretch after a turn, A = P R with P symmetric positive definite and R a rotation, in one way only.
Coordinates at the identity are those of log P and the angle of R: a chart of the whole group, which the matrix
exponential is not (no real matrix has diag(-2, -1/2) as its exponential).

Source: Mironenco & Forre 2024 (arXiv 2310.11366) for the chart and the split of the measure; the closed forms, the even
grid and the weights were derived here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workbench.groups.base import Group, check_count, check_elements, check_number, rotation_matrix, wrap
from workbench.groups.sampling import check_spread, cut_normal

GOLDEN = math.pi * (3 - math.sqrt(5))  # turns by it are even on the circle however many there are


class SL(Group):
    """Maps of the plane of determinant 1; an element is its matrix by rows, ``(a, b, c, d)``.

    Coordinates ``(u, q, angle)``: log P = [[u, q], [q, -u]], stretching by e^r in one direction and by e^-r across it,
    r = |(u, q)|, and the angle of R in radians. They are orthonormal for half the trace of X^T Y at the identity.

    The group is not compact: grids and samples stretch by at most ``largest``.

    >>> import torch
    >>> from workbench.groups import SL
    >>> SL().log(torch.tensor([-2.0, 0.0, 0.0, -0.5], dtype=torch.float64)).numpy().round(4)  # no exponential
    array([ 0.6931,  0.    , -3.1416])

    Raises:
        ValueError: for a ``largest`` stretch that is not above 1.
    """

    element_dim = 4
    chart_dim = 3
    isometric = False

    def __init__(self, largest: float = 2.0):
        self.largest = check_number(largest, f"{type(self).__name__}: largest", "a stretch above 1, such as 2.0", 1.0)
        own = type(self).__name__
        self.name = f"{own}(2)" if largest == 2.0 else f"{own}(2,{largest:g})"

    def identity(self, dtype=torch.float32, device=None) -> Tensor:
        return torch.eye(2, dtype=dtype, device=device).flatten()

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        check_elements(self, a, b)
        return (self.matrix(a) @ self.matrix(b)).flatten(-2)

    def inverse(self, a: Tensor) -> Tensor:
        check_elements(self, a)
        swapped = torch.stack([a[..., 3], -a[..., 1], -a[..., 2], a[..., 0]], -1)
        return swapped / _determinant(a).unsqueeze(-1)

    def exp(self, v: Tensor) -> Tensor:
        """The inverse of the polar chart, P R; not the matrix exponential, which does not reach every element.

        Args:
            v: coordinates ``(..., 3)``.

        Raises:
            ValueError: another number of coordinates.
        """
        _check_coordinates(self, v)
        radius = _length(v[..., :2])
        along = _over(radius.sinh(), radius, 1.0).unsqueeze(-1) * v[..., :2]
        stretch = _symmetric(radius.cosh(), along)
        return (stretch @ rotation_matrix(v[..., 2])).flatten(-2)

    def log(self, g: Tensor) -> Tensor:
        """The polar chart, ``(..., 3)``; the angle in [-pi, pi).

        Raises:
            ValueError: a determinant that is not positive.
        """
        check_elements(self, g)
        _check_orientation(self, g)
        a, b, c, d = g.unbind(-1)
        angle = torch.atan2(c - b, a + d)
        stretch = self.matrix(g) @ rotation_matrix(-angle)
        along = torch.stack([stretch[..., 0, 0] - stretch[..., 1, 1], stretch[..., 0, 1] + stretch[..., 1, 0]], -1) / 2
        along = along / _determinant(g).sqrt().unsqueeze(-1)
        length = _length(along)
        return torch.cat([_over(length.asinh(), length, 1.0).unsqueeze(-1) * along, wrap(angle).unsqueeze(-1)], -1)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Length of the coordinates of a^-1 b."""
        return torch.linalg.vector_norm(self.log(self.product(self.inverse(a), b)), dim=-1)

    def matrix(self, g: Tensor) -> Tensor:
        return g.unflatten(-1, (2, 2))

    def grid(self, n=None, offset=0.0, dtype=torch.float32, device=None) -> Tensor:
        """``n`` rotations after each of ``n`` stretches, ``(n^2, 4)``; quarter turns permute it where 4 divides n.

        Stretches come in pairs, one along what the other is across, and are even for the Haar measure of
        :meth:`volume_density`; ``offset`` turns the rotations by that fraction of a step.
        """
        return self.exp(self._lattice(check_count(n, f"{self.name}.grid"), offset)).to(device, dtype)

    def _lattice(self, n: int, offset: float | Tensor) -> Tensor:
        angle = (torch.arange(n, dtype=torch.float64) + offset) * (2 * math.pi / n)
        along = even_stretches(n, math.log(self.largest))
        return torch.cat([along.repeat_interleave(n, 0), angle.repeat(n).unsqueeze(-1)], -1)

    def sample(self, n, generator=None, dtype=torch.float32, device=None) -> Tensor:
        """``n`` elements that are even for the Haar measure, among those that stretch by at most ``largest``."""
        return self.exp(self._even(check_count(n, f"{self.name}.sample"), generator)).to(device, dtype)

    def _even(self, n: int, generator: torch.Generator | None) -> Tensor:
        share, direction, angle = torch.rand(3, n, generator=generator, dtype=torch.float64).unbind()
        radius = _radius_of(share, math.log(self.largest))
        return _polar(radius, direction * 2 * math.pi, angle * 2 * math.pi)

    def draw(
        self, n: int, spread: float = 0.3, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """``n`` elements near the rotations, and what each stands for: 1 / p with respect to the Haar measure.

        (u, q) are normal with standard deviation ``spread``, cut off at log ``largest``; angles are even. With the
        weights a mean over samples estimates the integral over that part of the group, without them another one.

        Returns:
            Elements ``(n, 4)`` and weights ``(n,)``.

        Raises:
            ValueError: for a count or spread that is not positive.
        """
        n = check_count(n, f"{self.name}.draw")
        v, density = self._normal(n, check_spread(self, spread), generator)
        return self.exp(v).to(dtype), (self.volume_density(v) / density).to(dtype)

    def _normal(self, n: int, spread: float, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Coordinates ``(n, 3)`` and their density ``(n,)`` with respect to du dq dangle."""
        inside = -math.expm1(-((math.log(self.largest) / spread) ** 2) / 2)  # of the normal distribution
        share, direction, angle = torch.rand(3, n, generator=generator, dtype=torch.float64).unbind()
        radius = spread * (-2 * torch.log1p(-share * inside)).sqrt()
        normal = torch.exp(-((radius / spread) ** 2) / 2) / (2 * math.pi * spread**2 * inside)
        v = _polar(radius, direction * 2 * math.pi, angle * 2 * math.pi)
        return v, normal / (2 * math.pi)

    def volume_density(self, v: Tensor) -> Tensor:
        """The Haar measure over du dq dangle at coordinates ``(..., 3)``: sinh(2 r) / (2 r), ``(...,)``.

        Source: the polar decomposition of the measure of a semisimple group (Helgason 1984), whose root here is 2 r.
        """
        twice = 2 * _length(v[..., :2])
        return _over(twice.sinh(), twice, 1.0)

    def contains(self, g: Tensor, tol: float = 1e-9) -> Tensor:
        return torch.isfinite(g).all(-1) & ((_determinant(g) - 1).abs() <= tol * g.square().sum(-1).clamp(min=1))


class GLPlus(SL):
    """Invertible maps of the plane that keep orientation; an element is its matrix by rows, ``(a, b, c, d)``.

    Coordinates ``(u, q, angle, s)``: those of :class:`SL` for A / sqrt(det A), and s = log(det A) / 2. They are
    orthonormal for half the trace of X^T Y at the identity.

    Grids and samples have stretches of at most ``largest`` and scalings between 1 / ``largest`` and ``largest``.

    >>> import torch
    >>> from workbench.groups import GLPlus
    >>> GLPlus().log(torch.tensor([2.0, 0.0, 0.0, 2.0])).tolist()
    [0.0, 0.0, 0.0, 0.6931471824645996]
    """

    chart_dim = 4

    def exp(self, v: Tensor) -> Tensor:
        """The inverse of the polar chart; ``v`` ``(..., 4)``. See :meth:`SL.exp`."""
        _check_coordinates(self, v)
        return SL(self.largest).exp(v[..., :3]) * v[..., 3:].exp()

    def log(self, g: Tensor) -> Tensor:
        """The polar chart, ``(..., 4)``."""
        return torch.cat([super().log(g), _determinant(g).log().unsqueeze(-1) / 2], -1)

    def grid(self, n=None, offset=0.0, dtype=torch.float32, device=None) -> Tensor:
        """The grid of :class:`SL` at each of ``n`` scalings, even in the logarithm: ``(n^3, 4)``."""
        return super().grid(n, offset, dtype, device)

    def _lattice(self, n: int, offset: float | Tensor) -> Tensor:
        flat = super()._lattice(n, offset)
        scale = torch.linspace(-1, 1, n, dtype=torch.float64) if n > 1 else torch.zeros(1, dtype=torch.float64)
        own = (scale * math.log(self.largest)).repeat_interleave(len(flat))
        return torch.cat([flat.repeat(n, 1), own.unsqueeze(-1)], -1)

    def _even(self, n: int, generator: torch.Generator | None) -> Tensor:
        scale = torch.rand(n, 1, generator=generator, dtype=torch.float64) * 2 - 1
        return torch.cat([super()._even(n, generator), scale * math.log(self.largest)], -1)

    def _normal(self, n: int, spread: float, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        v, density = super()._normal(n, spread, generator)
        own, of = cut_normal(n, spread, math.log(self.largest), generator)
        return torch.cat([v, own.unsqueeze(-1)], -1), density * of

    def contains(self, g: Tensor, tol: float = 1e-9) -> Tensor:
        return torch.isfinite(g).all(-1) & (_determinant(g) > 0)


def _determinant(g: Tensor) -> Tensor:
    return g[..., 0] * g[..., 3] - g[..., 1] * g[..., 2]


def _length(v: Tensor) -> Tensor:
    """Euclidean, with a slope of 0 at 0."""
    squares = v.square().sum(-1)
    return torch.where(squares > 0, squares, 1.0).sqrt() * (squares > 0)


def _over(a: Tensor, b: Tensor, at_zero: float) -> Tensor:
    """``a / b``, and its limit where b = 0."""
    zero = b == 0
    return torch.where(zero, at_zero, a / torch.where(zero, 1.0, b))


def _symmetric(mean: Tensor, along: Tensor) -> Tensor:
    u, q = along.unbind(-1)
    return torch.stack([mean + u, q, q, mean - u], -1).unflatten(-1, (2, 2))


def _polar(radius: Tensor, direction: Tensor, angle: Tensor) -> Tensor:
    return torch.stack([radius * direction.cos(), radius * direction.sin(), angle], -1)


def _radius_of(share: Tensor, most: float) -> Tensor:
    """Inside which radius that share of the Haar measure lies, of all within ``most``: cosh(2 r) - 1 grows evenly."""
    return torch.acosh(1 + share * (math.cosh(2 * most) - 1)) / 2


def even_stretches(n: int, most: float) -> Tensor:
    """(u, q) of ``n`` stretches, ``(n, 2)``: the identity where n is odd, and pairs of opposite ones."""
    pairs = n // 2
    place = torch.arange(pairs, dtype=torch.float64)
    radius = _radius_of((2 * place + 1 + n % 2) / n, most)
    one = torch.stack([radius * (place * GOLDEN).cos(), radius * (place * GOLDEN).sin()], -1)
    return torch.cat([torch.zeros(n % 2, 2, dtype=torch.float64), one, -one])


def _check_orientation(group: SL, g: Tensor) -> None:
    turned = _determinant(g) <= 0
    if bool(turned.any()):
        worst = float(_determinant(g)[turned].min())
        raise ValueError(
            f"{group}.log: a matrix of determinant {worst:.3g} was given; expected one above 0, a map that keeps "
            "orientation; exchange its two columns to undo the mirror."
        )


def _check_coordinates(group: SL, v: Tensor) -> None:
    if v.shape[-1:] != (group.chart_dim,):
        raise ValueError(
            f"{group}.exp: coordinates of shape {tuple(v.shape)} were given; expected (..., {group.chart_dim}), those "
            "that log returns."
        )
