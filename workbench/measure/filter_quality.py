"""Three numbers that tell trained kernels from random and from dead ones, beside those of random kernels.

Gavrikov & Keuper, "CNN Filter DB: An Empirical Investigation of Trained Convolutional Filters", CVPR 2022, arXiv
2203.15331; the formulas are those of the code its author published, re-expressed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import xarray as xr

from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance

DEGENERATE = 0.01
"""Share of the largest weight below which all weights of a kernel must lie for it to count as dead."""
DRAWS = 4
"""Random layers of the baseline."""
NUMBERS = ("sparsity", "entropy", "orthogonality")


def sparsity(weights: np.ndarray, threshold: float = DEGENERATE) -> float:
    """The share of kernels with no weight as large as the threshold, a share of the layer's largest weight.

    Args:
        weights: ``(C_out, C_in, k, k)``.

    >>> sparsity(np.stack([np.ones((1, 3, 3)), np.zeros((1, 3, 3))]))
    0.5
    """
    return float(1 - alive(weights, threshold).mean())


def alive(weights: np.ndarray, threshold: float = DEGENERATE) -> np.ndarray:
    """Whether each kernel has a weight as large as the threshold: ``(C_out, C_in)``."""
    each = np.abs(_checked(weights)).max((2, 3))
    largest = each.max(initial=0.0)
    return each >= (threshold * largest if largest else 1.0)


def variance_entropy(kernels: np.ndarray) -> float:
    """Entropy, to base 10, of the shares that the principal directions of kernels ``(N, k, k)`` have of their variance.

    0 for kernels along one direction; at most log10 k^2, where all directions vary alike.

    >>> variance_entropy(np.ones((5, 3, 3)))
    0.0
    """
    flat = np.asarray(kernels, dtype=np.float64).reshape(len(kernels), -1)
    if len(flat) < 2:
        return 0.0
    centred = flat - flat.mean(0)
    gram = centred @ centred.T if len(flat) < flat.shape[1] else centred.T @ centred
    variance = np.linalg.eigvalsh(gram).clip(0)
    total = variance.sum()
    if total <= 1e-24 * max(float((flat**2).sum()), 1e-300):
        return 0.0
    shares = variance / total
    shares = shares[shares > 1e-15]
    return float(max(0.0, -(shares * np.log10(shares)).sum()))


def random_entropy(count: int) -> float:
    """The published fit of the entropy of so many random 3x3 kernels.

    >>> round(random_entropy(10**6), 3)
    0.951
    """
    return float(1.2618 / (1 + np.exp(-0.8877 * (np.log2(count) - 2.3044))) - 0.3105)


def orthogonality(weights: np.ndarray) -> float:
    """1 for filters ``(C_out, C_in, k, k)`` at right angles, 0 for one direction: 1 - sum |R R' - 1| / (C (C - 1)).

    R has the filters as rows of length 1. NaN for a single filter.

    >>> orthogonality(np.eye(4).reshape(4, 1, 2, 2)), orthogonality(np.ones((3, 1, 2, 2)))
    (1.0, 0.0)
    """
    rows = _checked(weights).reshape(len(weights), -1).astype(np.float64)
    if len(rows) < 2:
        return float("nan")
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows / np.where(length > 0, length, 1)
    off = np.abs(rows @ rows.T - np.eye(len(rows))).sum()
    return float(1 - off / (len(rows) * (len(rows) - 1)))


def filter_quality(layers: Mapping[str, tuple[np.ndarray, np.ndarray]], seed: int = 0) -> xr.Dataset:
    """The three numbers of every layer, beside those of independent Gaussian weights on the same taps.

    Args:
        layers: name -> weights of one output element and of all, see :func:`workbench.measure.planar_kernels.as_rows`;
            both the same for plain layers.
        seed: of the random weights.

    Returns:
        ``sparsity``, ``entropy`` and ``orthogonality`` over ``(layer, over)``, `over` being "one orientation" or "all
        orientations"; ``entropy_alive`` of the kernels that are not dead; the mean and the standard deviation over
        random layers of the weights of one orientation, ``*_random(layer)`` and ``*_random_std(layer)``; and
        ``entropy_ratio(layer)`` to the published fit, NaN for kernels that are not 3x3.

    >>> ds = filter_quality({"one": (np.random.default_rng(0).normal(size=(16, 16, 3, 3)),) * 2})
    >>> bool(abs(ds["entropy"][0, 0] - ds["entropy_random"][0]) < 0.02)
    True
    """
    over = ("one orientation", "all orientations")
    found = {name: np.full((len(layers), 2), np.nan) for name in (*NUMBERS, "entropy_alive")}
    random = {f"{name}{end}": np.full(len(layers), np.nan) for name in NUMBERS for end in ("_random", "_random_std")}
    ratio = np.full(len(layers), np.nan)
    for at, both in enumerate(layers.values()):
        for column, weights in enumerate(both):
            three = _numbers(weights)
            for name, value in zip((*NUMBERS, "entropy_alive"), three, strict=True):
                found[name][at, column] = value
        one = both[0]
        taps = np.abs(one).max((0, 1)) > 0
        drawn = _random(one.shape[0], one.shape[1], one.shape[2:], taps.tobytes(), seed)
        for name, mean, std in zip(NUMBERS, *drawn, strict=True):
            random[f"{name}_random"][at], random[f"{name}_random_std"][at] = mean, std
        if one.shape[2:] == (3, 3):
            ratio[at] = found["entropy"][at, 0] / random_entropy(one.shape[0] * one.shape[1])
    words = {
        "sparsity": "Share of dead kernels",
        "entropy": "Entropy of the kernels' variance",
        "orthogonality": "Filters at right angles",
        "entropy_alive": "Entropy of the kernels that are not dead",
    }
    variables = {name: labelled(("layer", "over"), values, words[name]) for name, values in found.items()}
    variables |= {name: labelled("layer", values, f"{name}, random weights") for name, values in random.items()}
    variables["entropy_ratio"] = labelled("layer", ratio, "entropy over the published fit for random 3x3 kernels")
    coords = {
        "layer": labelled("layer", np.asarray(list(layers), dtype=str), "layer"),
        "over": labelled("over", list(over), "kernels taken together"),
    }
    attrs = provenance(
        "filter_quality", seed=seed, dtype="float64", reduction="over all kernels of a layer", random_layers=DRAWS,
        threshold=DEGENERATE,
    )  # fmt: skip
    return xr.Dataset(variables, coords, attrs)


def _numbers(weights: np.ndarray) -> tuple[float, float, float, float]:
    each = weights.reshape(-1, *weights.shape[2:])
    kept = each[alive(weights).ravel()]
    return sparsity(weights), variance_entropy(each), orthogonality(weights), variance_entropy(kept)


@lru_cache(maxsize=256)
def _random(out: int, into: int, size: tuple[int, int], taps: bytes, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    mask = np.frombuffer(taps, dtype=bool).reshape(size)
    found = [_numbers(draw.standard_normal((out, into, *size), dtype=np.float32) * mask)[:3] for _ in range(DRAWS)]
    return np.mean(found, 0), np.std(found, 0, ddof=1)


def _checked(weights: np.ndarray) -> np.ndarray:
    values = np.asarray(weights)
    if values.ndim != 4 or not values.size:
        raise ValueError(f"weights of shape {values.shape} were given; expected (C_out, C_in, k, k).")
    return values
