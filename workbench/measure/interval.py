"""Intervals of a mean over samples: bootstrap-t, expanded percentiles of the bootstrap, and Student's t."""

import functools
from collections.abc import Callable

import numpy as np

CONFIDENCE = 0.95
INTERVALS = ("bootstrap", "t")
RESAMPLES = 1000
FEWEST = 8
"""Fewer samples than this cannot be resampled: there are too few different means."""
MOST = 2048
"""From here on the mean is as good as normal, and resampling would cost time and memory for the same interval."""
_LEAST = 1e-2  # of the variance: a resample without the one sample that stands out knows nothing of the spread
_AT_ONCE = 2**22  # resampled means held in memory at a time


def interval(values: np.ndarray, kind: str = "bootstrap", seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95 % interval of the mean over the last axis; NaN for one sample.

    The bootstrap resamples Student's t itself (bootstrap-t: Efron & Tibshirani 1993, section 12.5), so it reaches
    further on the side of a long tail. Below 8 and above 2048 samples it is Student's t with its printed quantiles,
    and where fewer than half of the values differ (right or wrong, mostly zero) it takes :func:`bootstrap`. Both ends
    lie between the smallest and the largest sample.

    Measured over 4,000 repeats at n = 10, 20 and 30: bell-shaped and even 0.94 to 0.97, exponential 0.93 to 0.95,
    log-normal with sigma 0.75 0.92 to 0.93, with sigma 1 0.90 to 0.92; Student's t and percentiles have 0.89 to 0.94,
    0.89 to 0.92 and 0.85 to 0.89 in the last three, corrected percentiles (BCa) no more than these.

    >>> low, high = interval(np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]]))
    >>> bool(low[0] < 4.5 < high[0])
    True
    """
    resampled = kind != "t" and FEWEST <= values.shape[-1] <= MOST
    return studentized(values, seed) if resampled else student(values)


def interval_name(kind: str, count: int) -> str:
    """How :func:`interval` made it, in words, for the attributes of a Dataset."""
    if kind == "t":
        return "Student's t over samples"
    if not FEWEST <= count <= MOST:
        return f"Student's t over samples ({f'fewer than {FEWEST}' if count < FEWEST else f'more than {MOST}'})"
    return f"bootstrap-t over samples, {RESAMPLES} resamples; expanded percentiles where few values differ"


def standard_error(values: np.ndarray) -> np.ndarray:
    """Of the mean over the last axis; NaN for one sample, which does not tell.

    >>> standard_error(np.array([[1.0, 3.0], [2.0, 2.0]])).tolist()
    [1.0, 0.0]
    """
    count = values.shape[-1]
    return np.full(values.shape[:-1], np.nan) if count == 1 else values.std(-1, ddof=1) / np.sqrt(count)


def student(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The interval of Student's t over the last axis."""
    from scipy.special import stdtrit

    count, mean = values.shape[-1], values.mean(-1)
    if count == 1:
        return np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    reach = standard_error(values) * stdtrit(count - 1, 0.5 + CONFIDENCE / 2)
    return mean - reach, mean + reach


def studentized(values: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> tuple[np.ndarray, np.ndarray]:
    """Bootstrap-t interval of the mean over the last axis, all leading entries with the same resamples."""
    return _by_rows(values, seed, resamples, _studentized)


def _by_rows(
    values: np.ndarray, seed: int, resamples: int, ends_of: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Both ends ``(...)`` for values ``(..., n)``, as many rows at a time as fit into memory with their resamples."""
    shares = resampling(values.shape[-1], seed, resamples)
    flat = values.reshape(-1, values.shape[-1])
    ends = np.empty((2, len(flat)))
    step = max(1, _AT_ONCE // resamples)
    for start in range(0, len(flat), step):
        ends[:, start : start + step] = ends_of(flat[start : start + step], shares)
    return ends[0].reshape(values.shape[:-1]), ends[1].reshape(values.shape[:-1])


def _studentized(rows: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Ends ``(2, N)`` of the intervals of the means of ``rows (N, n)``."""
    count, mean = rows.shape[-1], rows.mean(-1)
    apart = rows - mean[:, None]
    shift = apart @ shares  # of each resampled mean
    rough = 2 * (np.diff(np.sort(rows, -1), axis=-1) > 0).sum(-1) + 2 < count  # fewer than half differ, or NaN
    ends = np.empty((2, len(rows)))
    if rough.any():
        ends[:, rough] = mean[rough] + _ends(shift[rough], expanded(count))
    if not rough.all():
        shift = shift[~rough] if rough.any() else shift
        spread = np.square(apart) @ shares
        spread = spread[~rough] if rough.any() else spread
        spread -= np.square(shift)
        np.maximum(spread, _LEAST * rows[~rough].var(-1)[:, None], out=spread)
        shift /= np.sqrt(spread, out=spread)
        low, high = _ends(shift, (1 - CONFIDENCE) / 2)
        sigma = rows[~rough].std(-1)  # sqrt(n - 1) stands in both numerator and denominator
        ends[:, ~rough] = mean[~rough] - np.stack([high, low]) * sigma
    return np.clip(ends, rows.min(-1), rows.max(-1))


def bootstrap(values: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> tuple[np.ndarray, np.ndarray]:
    """Expanded percentile interval of the mean over the last axis, all leading entries with the same resamples.

    Its percentiles are moved outwards so that it is as wide as Student's t for normal data (Hesterberg 2015, arXiv
    1411.5279), as the plain one is too narrow by sqrt((n - 1) / n) and more.

    Samples stay together across layers and transforms, so differences between these may be taken as paired.
    """
    tail = expanded(values.shape[-1])
    return _by_rows(values, seed, resamples, lambda rows, shares: _ends(rows @ shares, tail))


def _ends(means: np.ndarray, tail: float) -> np.ndarray:
    """The two percentiles of each row; NaN where a mean is NaN."""
    means.sort(-1)
    place = tail * (means.shape[-1] - 1)
    below, part = int(place), place - int(place)
    low = means[:, below] * (1 - part) + means[:, below + 1] * part
    high = means[:, -1 - below] * (1 - part) + means[:, -2 - below] * part
    broken = np.isnan(means[:, -1])
    return np.where(broken, np.nan, np.stack([low, high]))


@functools.lru_cache(maxsize=4)
def resampling(count: int, seed: int, resamples: int = RESAMPLES) -> np.ndarray:
    """Share of each sample in each resample, ``(count, resamples)``; columns sum to one."""
    draws = np.random.default_rng(seed).integers(0, count, (resamples, count))
    places = draws + np.arange(resamples)[:, None] * count
    shares = np.bincount(places.ravel(), minlength=resamples * count).reshape(resamples, count) / count
    shares = np.ascontiguousarray(shares.T)
    shares.flags.writeable = False
    return shares


@functools.lru_cache(maxsize=64)
def expanded(count: int) -> float:
    """The tail, instead of 2.5 %, whose normal quantile is as far out as Student's t times sqrt(n / (n - 1))."""
    from scipy.special import ndtr, stdtrit

    return float(ndtr(-np.sqrt(count / (count - 1)) * stdtrit(count - 1, 0.5 + CONFIDENCE / 2)))
