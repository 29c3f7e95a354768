"""Do two samples come from one distribution? Energy distance, its permutation null, and Holm's correction.

Szekely & Rizzo 2013, "Energy statistics": 2 E|A - B| - E|A - A'| - E|B - B'| is zero exactly when A and B have one
distribution. Divided by 2 E|A - B| it lies between 0 and 1. Holm 1979, "A simple sequentially rejective multiple
test procedure".
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class TwoSample(NamedTuple):
    """What a permutation test found: the distance, its null under relabelling, and the share of it that is larger."""

    distance: float
    null: np.ndarray
    p_value: float


def energy_test(first: Tensor, second: Tensor, permutations: int, generator: torch.Generator) -> TwoSample:
    r"""Energy distance of two samples, and its distribution when their labels are drawn anew.

    .. math:: H = \frac{2 E|A - B| - E|A - A'| - E|B - B'|}{2 E|A - B|} \in [0, 1], \qquad
              p = \frac{1 + \#\{\text{null} \ge H\}}{1 + P}

    Exact: where both samples come from one distribution, p <= alpha has at most the probability alpha.

    Args:
        first, second: ``(n, F)`` and ``(m, F)``.
        permutations: how many relabellings P; the smallest p is 1 / (1 + P).
        generator: draws them.

    >>> same = torch.zeros(2, 10, 1)
    >>> energy_test(same[0], same[1] + 5, 99, torch.Generator().manual_seed(0)).p_value
    0.01
    """
    both = torch.cat([first, second])
    return relabelled(torch.cdist(both, both), len(first), permutations, generator)


def relabelled(distances: Tensor, n: int, permutations: int, generator: torch.Generator) -> TwoSample:
    """The test of `energy_test` from all distances ``(n + m, n + m)``, the first sample's rows first."""
    count = len(distances)
    order = torch.rand(permutations, count, generator=generator).argsort(-1)
    labels = (order < n).to(distances)
    labels = torch.cat([(torch.arange(count) < n).to(distances)[None], labels])
    found = energy(distances, labels).double().numpy()
    # Rounding must not tell two equal values apart.
    larger = int((found[1:] >= found[0] - 1e-6).sum())
    return TwoSample(float(found[0]), found[1:], (1 + larger) / (1 + permutations))


def energy(distances: Tensor, labels: Tensor) -> Tensor:
    """The energy coefficient ``(P,)`` for each row of labels ``(P, n + m)``: 1 for the first sample, 0 for the rest."""
    n, m = labels[0].sum(), (1 - labels[0]).sum()
    rows = distances.sum(-1)
    inside = ((labels @ distances) * labels).sum(-1)
    between = labels @ rows - inside
    outside = rows.sum() - 2 * between - inside
    across = 2 * between / (n * m)
    return (across - inside / n**2 - outside / m**2) / across.clamp_min(1e-30)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjusted p-values of a family of tests: rejecting those below alpha errs at all with probability <= alpha.

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    flat = np.asarray(p_values, dtype=float).ravel()
    order = flat.argsort(kind="stable")
    steps = np.maximum.accumulate(flat[order] * np.arange(len(flat), 0, -1))
    adjusted = np.empty_like(flat)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted.reshape(np.shape(p_values))
