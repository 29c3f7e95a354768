"""Are two samples of one distribution, has one a finite symmetry? Energy distances, exact nulls, Holm's correction.

Szekely & Rizzo 2013, "Energy statistics": 2 E|A - B| - E|A - A'| - E|B - B'| is zero exactly when A and B have one
distribution. Divided by 2 E|A - B| it lies between 0 and 1. Holm 1979, "A simple sequentially rejective multiple
test procedure". Chiu & Bloem-Reddy 2023, "Non-parametric hypothesis tests for distributional group symmetry" (arXiv
2307.15834): where data have a symmetry, moving each of them by an element drawn from it changes no distribution.
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
    return relabelled(torch.cdist(both, both), relabellings(len(first), len(both), permutations, generator))


def relabellings(n: int, count: int, permutations: int, generator: torch.Generator) -> Tensor:
    """Which of ``count`` rows are the first sample, ``(1 + P, count)`` of ones and zeros: as it is, then drawn anew.

    Several tests of samples of these sizes may share them.
    """
    order = torch.rand(permutations, count, generator=generator).argsort(-1)
    return torch.cat([(torch.arange(count) < n)[None], order < n]).float()


def relabelled(distances: Tensor, labels: Tensor) -> TwoSample:
    """The test of `energy_test` from all distances ``(n + m, n + m)``, the first sample's rows first."""
    return _ranked(energy(distances, labels.to(distances)))


def _ranked(values: Tensor) -> TwoSample:
    """What was seen, its null, and the share of it that is as large."""
    found = values.double().numpy()
    # Rounding must not tell two equal values apart.
    larger = int((found[1:] >= found[0] - 1e-6).sum())
    return TwoSample(float(found[0]), found[1:], (1 + larger) / len(found))


def orbit_test(values: Tensor, permutations: int, generator: torch.Generator) -> TwoSample:
    r"""Energy distance of data to their copies under a finite group, and its distribution where they have it.

    .. math:: H = \frac{2 E|X - Y| - E|X - X'| - E|Y - Y'|}{2 E|X - Y|}, \qquad Y = k X,\ k \text{ uniform}

    Each relabelling moves every sample by an element of its own. Exact: where the distribution is the same under the
    group, p <= alpha has at most the probability alpha. All data take part, none are split off.

    Args:
        values: ``(N, K, F)``, features of each sample moved by each of the K elements, the identity first.
        permutations: how many relabellings P; the smallest p is 1 / (1 + P).
        generator: draws them.

    >>> far = torch.stack([torch.zeros(20, 1), torch.ones(20, 1)], 1)
    >>> orbit_test(far, 99, torch.Generator().manual_seed(0)).p_value
    0.01
    """
    count, order, _ = values.shape
    flat = values.flatten(0, 1)
    distances = torch.cdist(flat, flat)
    chosen = torch.randint(order, (permutations + 1, count), generator=generator)
    chosen[0] = 0
    labels = torch.zeros(permutations + 1, count, order)
    labels.scatter_(2, chosen[..., None], 1.0)
    labels = labels.flatten(1)
    to_all = distances.mean(-1)
    across = 2 * (labels @ to_all) / count
    inside = ((labels @ distances) * labels).sum(-1) / count**2
    return _ranked((across - inside - to_all.mean()) / across.clamp_min(1e-30))


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
