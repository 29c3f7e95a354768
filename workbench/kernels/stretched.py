r"""Where kernels of groups that stretch are evaluated, and what each of their numbers is weighted with.

A kernel over the plane is k(h^-1 x) m(|h^-1 x|) / |det h|: what an element sees of a stretched image is the stretched
part, its sum over pixels grows with the area, and 1 / |det h|, 1 / s^2 for a scaling by s, takes that back. A kernel
over the group is k(h^-1 h') w(d), d the length of h^-1 h' in the coordinates that have no end.

m and w are soft and end at 1: tanh(slope (1 - r) / 2) inside, which is 2 sigmoid - 1. The published sigmoid is a half
where the window of k x k taps ends, so that the largest scale would lose what the smaller ones keep: an error of 7 % at
a support of 5 pixels where this form has 0.4 % (measured here).

Sources: Knigge, Romero & Bekkers 2022 (arXiv 2110.13059) for soft masks and windows; Mironenco & Forre 2024
(arXiv 2310.11366) for the polar coordinates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from workbench.groups import SO2, Group, RotationScale, Scale
from workbench.groups.elements import has_circle, stretch_bounds
from workbench.kernels.coordinates import ROUNDING

MASK_SLOPE = 10.0
WINDOW_SLOPE = 3.0  # over d / reach: neighbours get half of what an element gives itself
SMALLEST_SUPPORT = 4.0  # pixels
# support radius in pixels and error of a lifting between neighbouring scales, 1.2 apart (median of eleven seeds, here)
MEASURED = ((0.57, 0.31), (1.15, 0.24), (1.72, 0.19), (2.3, 0.067), (2.87, 0.047), (3.45, 0.044), (4.02, 0.023))


@dataclass(frozen=True)
class Support:
    """How far kernels reach on a group that stretches.

    Attributes:
        group: the group of the elements.
        reach: largest d at which elements interact, in e-folds of length.
        slope: of the soft edge of the mask.
    """

    group: Group
    reach: float
    slope: float = MASK_SLOPE

    @property
    def largest(self) -> float:
        """The factor by which the largest kernel exceeds that of the identity."""
        return stretch_bounds(self.group)[1]

    @property
    def open_dim(self) -> int:
        """Coordinates of the group that have no end."""
        return _open(self.group, self.group.log(self.group.identity())).shape[-1]

    def points(self, outputs: Tensor, inputs: Tensor | None, taps: Tensor | None, raw: bool) -> tuple[Tensor, Tensor]:
        """Coordinates ``(S_out, S_in, T, D)`` and weights ``(S_out, S_in, T)``.

        Args:
            outputs, inputs: elements h ``(S_out, e)`` and h' ``(S_in, e)``, ``None`` for a lifting.
            taps: ``(T, 2)`` in half kernel widths; ``None`` for a kernel over the group alone.
            raw: the angle as angle / pi - 1 instead of (cos, sin).

        A row of coordinates holds h^-1 x, 1 long where the mask ends, then the angle and the open coordinates of
        h^-1 h'.
        """
        shape = (len(outputs), 1 if inputs is None else len(inputs), 1 if taps is None else len(taps))
        columns, weights = [], outputs.new_ones(())
        if taps is not None:
            back = self.group.matrix(self.group.inverse(outputs))
            seen = (taps * self.largest) @ back.mT
            area = back[:, 0, 0] * back[:, 1, 1] - back[:, 0, 1] * back[:, 1, 0]  # 1 / |det h|
            weights = (soft_edge(torch.linalg.vector_norm(seen, dim=-1), self.slope) * area[:, None])[:, None]
            columns.append(seen[:, None])
        if inputs is not None:
            relative = self.group.log(self.group.product(self.group.inverse(outputs)[:, None], inputs))
            open_part = _open(self.group, relative)
            weights = weights * self.window(relative)[..., None]
            if has_circle(self.group):
                columns.append(_encoded(relative[..., 2 if self.group.element_dim == 4 else 0], raw)[:, :, None])
            columns.append(open_part[:, :, None])
        return torch.cat([part.expand(*shape, part.shape[-1]) for part in columns], -1), weights.expand(shape)

    def window(self, relative: Tensor) -> Tensor:
        """w(d) ``(S_out, S_in)`` of relative coordinates ``(S_out, S_in, chart_dim)``."""
        apart = torch.linalg.vector_norm(_open(self.group, relative), dim=-1)
        return soft_edge(apart / self.reach, WINDOW_SLOPE)


def default_reach(group: Group, n: int, stretches: int) -> float:
    """Of the window: between one and two steps of a list of factors; the whole bound where stretches have directions.

    >>> from workbench.groups import Scale
    >>> round(default_reach(Scale(2, 2.0), 4, 1) / (math.log(2.0) / 3), 6)  # in steps
    1.5
    """
    most = math.log(group.largest) if isinstance(group, Scale | RotationScale) else 0.0
    if not most:
        return math.log(stretch_bounds(group)[1])
    return 2 * most / max(n if isinstance(group, Scale) else stretches, 2)


def soft_edge(r: Tensor, slope: float) -> Tensor:
    """tanh(slope (1 - r) / 2) where r is below 1, and 0 beyond."""
    return torch.tanh(slope / 2 * (1 - r)).clamp(min=0)


def support_radius(group: Group, kernel_size: int) -> float:
    """Radius in pixels of the narrowest kernel of a layer."""
    low, high = stretch_bounds(group)
    return (kernel_size - 1) / 2 * low / high


def support_problem(group: Group, kernel_size: int) -> str | None:
    """Why kernels of this size see too few pixels, with the measured error and the smallest that does not.

    >>> from workbench.groups import Scale
    >>> print(support_problem(Scale(2, 2.0), 9))
    k = 9 leaves the smallest kernel of Scale a support of 2.0 pixels, where a lifting errs by 11 %; use k = 17
    >>> support_problem(Scale(2, 1.74), 15) is None
    True
    """
    radius, (low, high) = support_radius(group, kernel_size), stretch_bounds(group)
    if group.isometric or kernel_size == 1 or radius >= SMALLEST_SUPPORT - 1e-9:
        return None
    enough = 2 * math.ceil(SMALLEST_SUPPORT * high / low - 1e-9) + 1
    return (
        f"k = {kernel_size} leaves the smallest kernel of {group} a support of {radius:.1f} pixels, where a lifting "
        f"errs by {100 * lifting_error(radius):.0f} %; use k = {enough}"
    )


def lifting_error(radius: float) -> float:
    """Between the measured errors, geometrically; that of the ends beyond them."""
    for (low, more), (high, less) in pairwise(MEASURED):
        if radius <= high:
            part = max(radius - low, 0.0) / (high - low)
            return more ** (1 - part) * less**part
    return MEASURED[-1][1]


def turned_places(group: Group, elements: Tensor, quarters: int) -> tuple[int, ...] | None:
    """Where a rotation by ``quarters`` quarter turns sends each element of a list, ``None`` where it leaves the list.

    Element ``i`` goes to position ``result[i]``.
    """
    own = group.matrix(elements.detach()).double().flatten(-2)
    turn = SO2().matrix(torch.tensor([quarters * math.pi / 2], dtype=torch.float64, device=own.device))
    apart = torch.cdist((turn @ own.unflatten(-1, (2, 2))).flatten(-2), own)
    distance, places = apart.min(-1)
    found = tuple(places.tolist())
    close = bool((distance <= 1e-4 * own.norm(dim=-1)).all())
    return found if close and len(set(found)) == len(found) else None


def _open(group: Group, v: Tensor) -> Tensor:
    """Of coordinates ``(..., chart_dim)`` those that have no end: all but the angle."""
    if isinstance(group, Scale):
        return v
    angle = 2 if group.element_dim == 4 else 0
    return torch.cat([v[..., :angle], v[..., angle + 1 :]], -1)


def _encoded(angle: Tensor, raw: bool) -> Tensor:
    if raw:
        return ((torch.remainder(angle + ROUNDING, 2 * math.pi) - ROUNDING) / math.pi - 1).unsqueeze(-1)
    return torch.stack([angle.cos(), angle.sin()], -1)
