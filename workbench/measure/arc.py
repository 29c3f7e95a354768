"""How the samples of a learned arc follow its width: by the full gradient, and by the rule of the released code.

Romero & Lohit 2022 (arXiv 2110.10211) learn the width of an arc by its samples' derivatives. The released code
differentiates the samples' common offset alone; what that costs is derived here.
"""

import math
from functools import lru_cache

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.groups import UniformArc
from workbench.groups.base import check_count
from workbench.groups.distributions import SMALLEST_ARC
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance

RULES = ("full", "reference")
WIDTHS = 50
WIDEN = 0.1
"""Share of the circle by which the arc grows in `moved_deg`."""
_OFFSETS = 64  # common offsets of the mean: the midpoint rule is then within 1 % at a single sample


def arc_response(theta: float, n: int, offset: float = 0.5) -> xr.Dataset:
    r"""Where the samples of an arc would go if it grew, and the slope that reaches its width, by both rules.

    The angles are :math:`\theta_k = \vartheta (2 \pi k / m - \pi + 2 \pi u / m)` with
    :math:`m = \lceil n \vartheta \rceil` samples. The full rule moves each by its own share, the released one all by
    the same. For the mean squared angle,

    .. math:: \frac{d}{d\vartheta} E[\theta^2] = \frac{2 \vartheta \pi^2}{3}, \qquad
              \text{released rule: } \frac{2 \vartheta \pi^2}{3 m^2}

    Args:
        theta: the arc as a share of the circle, in [0.001, 1].
        n: samples of the whole circle.
        offset: the common offset u, in [0, 1].

    Returns:
        ``angle_deg(sample)``; ``moved_deg(rule, sample)``, where a sample goes by its derivative if the arc grows by
        a tenth of the circle; ``slope(rule, width)`` and ``analytic_slope(width)`` of the mean squared angle;
        the scalars ``slope_here(rule)``, ``theta``.

    Raises:
        ValueError: a width or an offset out of range, or a bad number.

    >>> ds = arc_response(0.6, 8)
    >>> [round(float(x), 2) for x in ds["slope_here"] / (2 * 0.6 * math.pi**2 / 3)]
    [1.0, 0.04]
    """
    count = check_count(n, "arc_response: n")
    for name, value, low in (("theta", theta, SMALLEST_ARC), ("offset", offset, 0.0)):
        if not low <= value <= 1:
            raise ValueError(f"arc_response: {name} = {value} was given; expected a number from {low:g} to 1.")
    place = torch.tensor([offset], dtype=torch.float64)
    moved = []
    for rule in RULES:
        angles, width = _angles(theta, count, rule, place)
        slopes = torch.stack([torch.autograd.grad(a, width, retain_graph=True)[0] for a in angles[0]])
        moved.append(angles[0].detach() + WIDEN * slopes)
    widths, curve = _curves(count)
    words = "slope of the mean squared angle in the arc's width"
    return xr.Dataset(
        {
            "angle_deg": labelled("sample", torch.rad2deg(angles[0]), "sampled angle", "degrees"),
            "moved_deg": labelled(("rule", "sample"), torch.rad2deg(torch.stack(moved)), "where it goes", "degrees"),
            "slope": labelled(("rule", "width"), curve, words, "rad²"),
            "analytic_slope": labelled("width", 2 * widths * math.pi**2 / 3, f"analytic {words}", "rad²"),
            "slope_here": labelled("rule", [_mean_square_slope(theta, count, rule) for rule in RULES], words, "rad²"),
            "theta": labelled((), float(theta), "share of the circle"),
        },
        coords={
            "rule": labelled("rule", list(RULES), "gradient rule"),
            "width": labelled("width", widths, "share of the circle"),
        },
        attrs=provenance(
            "arc_response",
            seed="not used",
            dtype=torch.float64,
            reduction=f"mean over samples and {_OFFSETS} common offsets",
            theta=float(theta),
            n=count,
            offset=float(offset),
        ),
    )


def _angles(theta: float, n: int, rule: str, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Angles ``(U, m)`` for common offsets ``(U,)``, and the width that they depend on."""
    arc = UniformArc(theta, gradient=rule).double()
    with torch.no_grad():
        arc.theta.fill_(theta)  # the constructor rounds it to float32
    return arc.rsample(n, offsets[:, None]).elements[..., 0], arc.theta


@lru_cache(maxsize=64)
def _curves(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Widths ``(W,)`` and the slopes at them ``(rule, W)``; shared, hence read-only."""
    widths = np.linspace(1 / WIDTHS, 1, WIDTHS)
    slopes = np.array([[_mean_square_slope(float(at), n, rule) for at in widths] for rule in RULES])
    widths.flags.writeable = slopes.flags.writeable = False
    return widths, slopes


def _mean_square_slope(theta: float, n: int, rule: str) -> float:
    offsets = (torch.arange(_OFFSETS, dtype=torch.float64) + 0.5) / _OFFSETS
    angles, width = _angles(theta, n, rule, offsets)
    return float(torch.autograd.grad(angles.square().mean(), width)[0])
