"""Learned probability distributions on a group: where a partial layer places its output elements.

Romero & Lohit 2022 (arXiv 2110.10211): a layer stays fully equivariant while its distribution is the Haar
measure, and loses symmetry where the learned distribution leaves elements out. Densities here are taken
with respect to the *normalised* Haar measure, so the uniform distribution has density 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from workbench.groups.base import Group, check_count, check_number, wrap
from workbench.groups.planar import O2, SO2, Cyclic, Dihedral

SMALLEST_ARC = 1e-3  # the projection's floor: one element at the identity


class Draw(NamedTuple):
    """Elements drawn for one forward pass.

    ``elements`` has shape ``(S, element_dim)``; ``weights`` ``(S,)`` carries the straight-through gate values
    or is ``None``; ``uniform`` says that the elements are a whole even grid of the group, or whole even circles of it;
    ``volumes`` ``(S,)`` is what each element of a random list stands for, 1 / p with respect to the Haar measure.
    """

    elements: Tensor
    weights: Tensor | None
    uniform: bool
    volumes: Tensor | None = None


class GroupDistribution(nn.Module):
    """What training, measures and layers may ask of any learned distribution.

    ``temperature`` is that of the relaxed gates (0.5 falling to 1e-4 over training in the paper's code);
    distributions without gates ignore it.
    """

    group: Group
    temperature: float = 0.5

    def rsample(self, n: int, offset: Tensor | float | None = None, generator: torch.Generator | None = None) -> Draw:
        """At most ``n`` elements, differentiable in the parameters. In evaluation mode the draw is fixed."""
        raise NotImplementedError

    def density(self, g: Tensor) -> Tensor:
        """Density at ``g (..., element_dim)`` with respect to the normalised Haar measure, shape ``(...,)``."""
        raise NotImplementedError

    def log_prob(self, g: Tensor) -> Tensor:
        """Logarithm of :meth:`density`; minus infinity outside the support."""
        return self.density(g).log()

    def support(self) -> list[tuple[float, float]]:
        """Intervals of angles (radians) that can be drawn; a single point is an empty-width interval."""
        raise NotImplementedError

    def arc_fraction(self) -> float | None:
        """The learned share of the circle, ``None`` where no arc is learned."""
        return None

    def keep_probabilities(self) -> Tensor:
        """Keep probability of each learned gate, shape ``(n_gates,)``; empty where there are none."""
        return torch.empty(0)

    def project_(self) -> None:
        """Bring the parameters back to their range; call it after every optimiser step."""


class UniformArc(GroupDistribution):
    r"""Uniform on the arc :math:`[-\pi\vartheta, \pi\vartheta]` of SO(2), reparameterised.

    ``m = ceil(n theta)`` angles :math:`\vartheta(2\pi k/m - \pi + 2\pi u/m)`, one common ``u`` in [0, 1).

    Args:
        init: the starting fraction of the circle, in (0, 1].
        gradient: ``"full"`` differentiates every sample's own position; ``"reference"`` differentiates the
            common offset only, as the released code of the paper does, which loses the spread of the samples.

    Raises:
        ValueError: ``init`` outside (0, 1] or another ``gradient``.

    >>> from workbench.groups import UniformArc
    >>> arc = UniformArc(0.5)
    >>> len(arc.rsample(8).elements)
    4
    """

    def __init__(self, init: float = 1.0, gradient: str = "full"):
        super().__init__()
        check_number(init, "UniformArc: init", "a fraction of the circle in (0, 1]", 0.0, 1.0)
        if gradient not in ("full", "reference"):
            raise ValueError(f"UniformArc: gradient = {gradient!r} was given; expected 'full' or 'reference'.")
        self.group = SO2()
        self.gradient = gradient
        self.theta = nn.Parameter(torch.tensor(float(init)))

    def rsample(self, n, offset=None, generator=None) -> Draw:
        n = check_count(n, "UniformArc.rsample")
        theta = self.theta
        width = abs(float(theta.detach()))
        m = max(1, min(n, math.ceil(n * width - 1e-9)))
        if offset is None:
            offset = torch.rand((), generator=generator, dtype=theta.dtype) if self.training else 0.5
        offset = torch.as_tensor(offset, dtype=theta.dtype, device=theta.device)
        grid = 2 * math.pi / m * torch.arange(m, dtype=theta.dtype, device=theta.device)
        jitter = 2 * math.pi / m * offset - math.pi
        angles = theta * (grid + jitter) if self.gradient == "full" else theta.detach() * grid + theta * jitter
        # wrapped only for the full circle: on a part of it the angles are inside [-pi, pi] already
        return Draw(angles.unsqueeze(-1), None, uniform=m == n and width == 1)

    def density(self, g):
        inside = wrap(g[..., 0]).abs() <= math.pi * self.theta.abs() * (1 + 1e-12)
        return inside.to(self.theta.dtype) / self.theta.abs()

    def support(self):
        half = math.pi * min(1.0, abs(float(self.theta.detach())))
        return [(-half, half)]

    def arc_fraction(self):
        return float(self.theta.detach())

    @torch.no_grad()
    def project_(self) -> None:
        self.theta.clamp_(SMALLEST_ARC, 1.0)


def _gate(logit: Tensor, temperature: float, training: bool, generator: torch.Generator | None) -> Tensor:
    """Straight-through Concrete gate: 0 or 1 forward, the relaxed sample's slope backward.

    ``sigmoid(2 a)`` is the keep probability; evaluation keeps what has more than one half.
    """
    if not training:
        return (logit > 0).to(logit.dtype)
    u = torch.rand(logit.shape, generator=generator, dtype=logit.dtype, device=logit.device)
    u = u.clamp(1e-6, 1 - 1e-6)
    soft = torch.sigmoid((2 * logit + u.log() - (-u).log1p()) / temperature)
    return (soft > 0.5).to(soft.dtype) + (soft - soft.detach())  # the bracket is an exact zero


class MirrorGate(GroupDistribution):
    """Keep or drop the mirror image: a distribution on D(1) = {identity, mirror}.

    The identity is never dropped. The keep probability is sigmoid(2 a), a = 1 (0.881) at the start.
    """

    def __init__(self, init: float = 1.0):
        super().__init__()
        self.group = Dihedral(1)
        check_number(init, "MirrorGate: init", "a finite number, the keep probability is sigmoid(2 init)")
        self.logit = nn.Parameter(torch.tensor([float(init)]))

    def gate(self, generator: torch.Generator | None = None) -> Tensor:
        """The straight-through gate value, shape ``(1,)``: exactly 0 or 1 forward."""
        return _gate(self.logit, self.temperature, self.training, generator)

    def rsample(self, n, offset=None, generator=None) -> Draw:
        check_count(n, "MirrorGate.rsample")
        kept = self.gate(generator)
        elements = torch.tensor([[0.0, 1.0], [0.0, -1.0]], dtype=kept.dtype, device=kept.device)
        if n < 2 or float(kept.detach()) < 0.5:
            return Draw(elements[:1], None, uniform=False)
        return Draw(elements, torch.cat([torch.ones_like(kept), kept]), uniform=True)

    def density(self, g):
        keep = self.keep_probabilities()
        return torch.where(g[..., 1] > 0, torch.ones_like(keep), keep) * (2 / (1 + keep))

    def support(self):
        return [(0.0, 0.0)]

    def keep_probabilities(self):
        return torch.sigmoid(2 * self.logit)


class RotationGates(GroupDistribution):
    """One keep gate for each rotation of C(n) but the identity; dropped elements leave the list."""

    def __init__(self, n: int, init: float = 1.0):
        super().__init__()
        self.group: Cyclic = Cyclic(n)
        check_number(init, "RotationGates: init", "a finite number, the keep probabilities are sigmoid(2 init)")
        self.logit = nn.Parameter(torch.full((n - 1,), float(init)))

    def rsample(self, n, offset=None, generator=None) -> Draw:
        if n != self.group.order:
            raise ValueError(
                f"RotationGates: n = {n} was given; expected {self.group.order}, the order of {self.group}, because "
                "each gate belongs to one rotation."
            )
        gates = _gate(self.logit, self.temperature, self.training, generator)
        weights = torch.cat([gates.new_ones(1), gates])
        kept = weights.detach() > 0.5
        elements = self.group.grid(dtype=weights.dtype, device=weights.device)
        return Draw(elements[kept], weights[kept], uniform=bool(kept.all()))

    def density(self, g):
        keep = torch.cat([self.logit.new_ones(1), self.keep_probabilities()])
        n = self.group.order
        k = torch.remainder((g[..., 0] * n / (2 * math.pi)).round(), n).long()
        return torch.where(self.group.contains(g, 1e-4), keep[k] / keep.mean(), keep.new_zeros(()))

    def support(self):
        angles = wrap(self.group.grid()[:, 0]).tolist()
        return [(a, a) for a, k in zip(angles, [1.0, *self.logit.tolist()], strict=True) if k > 0]

    def keep_probabilities(self):
        return torch.sigmoid(2 * self.logit)


class ArcWithMirror(GroupDistribution):
    """Independent factors on O(2) or D(n): rotations from ``arc``, the mirror from ``gate``.

    ``arc`` is a distribution on SO(2) or C(n). With the gate closed every mirrored element is dropped and
    the layer runs with half the elements.
    """

    def __init__(self, arc: GroupDistribution | None = None, gate: MirrorGate | None = None):
        super().__init__()
        if not isinstance(arc, GroupDistribution | None) or not isinstance(gate, MirrorGate | None):
            raise ValueError(
                f"ArcWithMirror: {type(arc).__name__} and {type(gate).__name__} were given; expected a distribution of "
                "rotations, such as UniformArc(), and a MirrorGate."
            )
        self.arc = UniformArc() if arc is None else arc
        self.gate = MirrorGate() if gate is None else gate
        self.group = Dihedral(self.arc.group.order) if self.arc.group.order else O2()

    def rsample(self, n, offset=None, generator=None) -> Draw:
        if n % 2:
            raise ValueError(
                f"ArcWithMirror: n = {n} was given; expected an even number, half of it mirrored; use {n + 1}."
            )
        self.gate.temperature = self.arc.temperature = self.temperature
        rotations = self.arc.rsample(n // 2, offset, generator)
        angle = rotations.elements
        ones = torch.ones_like(angle)
        plain = torch.cat([angle, ones], -1)
        kept = self.gate.gate(generator)
        if float(kept.detach()) < 0.5:
            return Draw(plain, rotations.weights, uniform=False)
        base = torch.ones_like(angle[:, 0]) if rotations.weights is None else rotations.weights
        elements = torch.cat([plain, torch.cat([angle, -ones], -1)])
        return Draw(elements, torch.cat([base, base * kept]), rotations.uniform)

    def density(self, g):
        return self.arc.density(g[..., :1]) * self.gate.density(g)

    def support(self):
        return self.arc.support()

    def arc_fraction(self):
        return self.arc.arc_fraction()

    def keep_probabilities(self):
        return torch.cat([self.arc.keep_probabilities().to(self.gate.logit), self.gate.keep_probabilities()])

    def project_(self) -> None:
        self.arc.project_()


def learned_distribution(group: Group, init: float = 1.0, gradient: str = "full") -> GroupDistribution:
    """The distribution that partial equivariance learns on ``group``: arcs on SO(2), gates on finite factors.

    >>> from workbench.groups import SO2
    >>> from workbench.groups.distributions import learned_distribution
    >>> type(learned_distribution(SO2())).__name__
    'UniformArc'
    """
    if isinstance(group, Dihedral):
        gate = MirrorGate()
        return gate if group.rotations == 1 else ArcWithMirror(RotationGates(group.rotations), gate)
    if isinstance(group, O2):
        return ArcWithMirror(UniformArc(init, gradient), MirrorGate())
    if isinstance(group, Cyclic):
        return RotationGates(group.order)
    if isinstance(group, SO2):
        return UniformArc(init, gradient)
    raise ValueError(f"no distribution is learned on {group}; expected SO2, O2, C(n) or D(n).")
