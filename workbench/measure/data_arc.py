"""How far apart are the poses of alike pictures? The arc of rotations in a data set, from relative angles of pairs.

If every picture was turned by an angle from U(-w, w), the angle between two of them has the density

    q(omega) = (1 - delta(omega; theta)) / (2 pi theta),    theta = w / pi,

with delta the share of an arc that a rotation by omega carries off it (derived here from Romero & Lohit 2022, arXiv
2110.10211): delta is the total variation between the poses of the data and of its turned copy. An invariance test
rejects every theta < 1 alike and measures none; this curve has the width in it. The relative angle of two pictures is
where one, turned, comes closest to the other; only each picture's nearest ones are asked, so no upright reference and
no frame common to different shapes is needed (derived here).
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_CHUNK = 2**23  # distances that are held at once
STRAY = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
UPSIDE_DOWN = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
JITTER_DEG = (4.0, 7.0, 10.0, 14.0, 18.0)
STEP_DEG = 2.0
LEAN_DEG = 20.0
"""Shapes lean of themselves, as oblique fonts and handwriting do; below this a lean cannot be told from a turn."""
_PENALTY = 10.0  # nats for each unit of stray and upside-down share: of two fits alike, the plainer one


class Pairs(NamedTuple):
    """Pairs of alike pictures ``(P,)``: which two, by how many steps the second is turned to meet the first."""

    first: Tensor
    second: Tensor
    step: Tensor


class ArcFit(NamedTuple):
    """An arc fitted to relative angles, with its interval; angles in degrees."""

    half_width: float
    low: float
    high: float
    jitter: float
    upside_down: float
    stray: float
    even_p: float


def alike_pairs(values: Tensor, neighbours: int) -> Pairs:
    """Each picture's nearest ones when these may be turned, and by how much they are turned then.

    Args:
        values: ``(N, E, F)``, features at every angle.
        neighbours: pictures asked for each one.
    """
    count, angles, _ = values.shape
    flat = values.flatten(0, 1)
    power = flat.square().sum(-1)
    first, second, step = [], [], []
    rows = max(1, _CHUNK // len(flat))
    for start in range(0, count, rows):
        own = values[start : start + rows, 0]
        square = torch.addmm(power[None], own, flat.T, alpha=-2) + own.square().sum(-1, keepdim=True)
        square = square.view(len(own), count, angles)
        least, where = square.min(-1)
        self_row = torch.arange(len(own))
        least[self_row, start + self_row] = math.inf
        nearest = least.topk(min(neighbours, count - 1), largest=False).indices
        first.append((start + self_row)[:, None].expand_as(nearest).flatten())
        second.append(nearest.flatten())
        step.append(where.gather(1, nearest).flatten())
    return Pairs(torch.cat(first), torch.cat(second), torch.cat(step))


def fit_arc(
    pairs: Pairs, count: int, angles: int, *, resamples: int = 200, level: float = 0.95, seed: int = 0,
    draws: int = 200,
) -> ArcFit:  # fmt: skip
    """Fit the half width of the arc to relative angles by maximum likelihood, with an interval over resampled pictures.

    Beside the width are fitted: the jitter of relative angles (handwriting leans, registration errs), the share of
    pairs that meet upside-down, and the share whose angle is arbitrary.

    Args:
        pairs: from `alike_pairs`.
        count: pictures.
        angles: steps of the circle.
        resamples: bootstrap samples of pictures; a pair counts as often as both of its pictures were drawn.
        level: of the percentile interval.
        seed: of the bootstrap.
        draws: simulations of pictures turned through the whole circle.
    """
    family = arc_family(angles)
    generator = np.random.default_rng(seed)
    weights = np.ones((resamples + 1, count))
    weights[1:] = generator.multinomial(count, np.full(count, 1 / count), size=resamples)
    onto = np.zeros((len(pairs.step), angles // 2 + 1), dtype=np.float32)
    onto[np.arange(len(onto)), folded(pairs.step, angles)] = 1
    both = (weights[:, pairs.first.numpy()] * weights[:, pairs.second.numpy()]).astype(np.float32)
    seen = torch.from_numpy((both / both.sum(-1, keepdims=True) * count).astype(np.float32)) @ torch.from_numpy(onto)
    score = seen @ family.log_density.T - family.penalty
    best = score.argmax(-1).numpy()
    at, widths = int(best[0]), family.half_width[best[1:]]
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(widths, [tail, 100 - tail]) if resamples else (0.0, 180.0)
    here = float(family.half_width[at])
    even = _even_share(pairs, count, angles, float(score[0, at] - seen[0] @ family.even), generator, draws)
    high = 180.0 if even > 1 - level else max(float(high), here)
    low = 0.0 if high <= LEAN_DEG else min(float(low), here)
    return ArcFit(
        here, low, high, float(family.jitter[at]), float(family.upside_down[at]),
        float(family.stray[at]), even,
    )  # fmt: skip


def folded(step: Tensor, angles: int) -> np.ndarray:
    """Steps of the circle to either side alike, 0 to E / 2."""
    return torch.minimum(step, angles - step).numpy()


def _even_share(
    pairs: Pairs, count: int, angles: int, gain: float, generator: np.random.Generator, draws: int
) -> float:
    """How often evenly turned pictures would look as uneven as these: p-value of 'the whole circle'.

    Turning each picture by an angle of its own leaves it alike to the same ones, so only the relative angles change.
    """
    family = arc_family(angles)
    turn = torch.from_numpy(generator.integers(0, angles, (draws, count)))
    step = (pairs.step + turn[:, pairs.first] - turn[:, pairs.second]) % angles
    fold = torch.minimum(step, angles - step)
    seen = torch.zeros(draws, angles // 2 + 1).scatter_add_(1, fold, torch.ones(fold.shape))
    seen *= count / len(pairs.step)
    gains = ((seen @ family.log_density.T - family.penalty).max(-1).values - seen @ family.even).numpy()
    return (1 + int((gains >= gain - 1e-6).sum())) / (1 + draws)


class _Family(NamedTuple):
    log_density: Tensor  # (M, E / 2 + 1), of the folded angle
    half_width: np.ndarray
    jitter: np.ndarray
    upside_down: np.ndarray
    stray: np.ndarray
    penalty: Tensor
    even: Tensor  # the log density of the whole circle


@lru_cache(maxsize=4)
def arc_family(angles: int) -> _Family:
    """Every density of relative angles that is considered, over 0, 1, ..., E / 2 steps; shared, do not change it."""
    widths = np.arange(0, 180 + STEP_DEG / 2, STEP_DEG)
    grid = np.meshgrid(widths, JITTER_DEG, UPSIDE_DOWN, STRAY, indexing="ij")
    half_width, jitter, upside_down, stray = (axis.ravel() for axis in grid)
    density = np.stack([folded_density(w, j, 0.0, 0.0, angles) for w, j in _pairs(widths, JITTER_DEG)])
    turned = density[:, ::-1]
    ends = _ends(angles)
    mixed = density[:, None] * (1 - np.array(UPSIDE_DOWN))[:, None] + turned[:, None] * np.array(UPSIDE_DOWN)[:, None]
    mixed = mixed[:, :, None] * (1 - np.array(STRAY))[:, None] + ends * np.array(STRAY)[:, None]
    log_density = torch.from_numpy(np.log(mixed.reshape(-1, angles // 2 + 1))).float()
    penalty = torch.from_numpy(_PENALTY * (upside_down + stray)).float()
    even = torch.from_numpy(np.log(ends)).float()
    return _Family(log_density, half_width, jitter, upside_down, stray, penalty, even)


def _pairs(first: np.ndarray, second: tuple[float, ...]) -> list[tuple[float, float]]:
    return [(float(a), float(b)) for a in first for b in second]


def _ends(angles: int) -> np.ndarray:
    """The folded uniform density: 0 and half a turn are met once, every other angle from both sides."""
    weight = np.full(angles // 2 + 1, 2.0)
    weight[[0, -1]] = 1.0
    return weight / angles


def folded_density(half_width: float, jitter: float, upside_down: float, stray: float, angles: int) -> np.ndarray:
    r"""Probability of each folded relative angle, ``(E / 2 + 1,)``.

    .. math:: q(\omega) = \frac{1}{E} \sum_m (1 - c) ((1 - h) + h (-1)^m)
              \left(\frac{\sin m w}{m w}\right)^2 e^{-m^2 s^2 / 2} \cos m \omega

    with the constant term 1, and averaged over each step; w half width, s jitter, h upside-down share, c stray share.
    """
    m = np.arange(1, 2 * angles + 1)
    power = np.sinc(m * half_width / 180) ** 2 * np.exp(-0.5 * (m * math.radians(jitter)) ** 2)
    power *= np.sinc(m / angles)  # an angle is known by its step of the circle
    power = power * (1 - stray) * ((1 - upside_down) + upside_down * (-1.0) ** m)
    omega = 2 * math.pi * np.arange(angles // 2 + 1) / angles
    series = 1 + 2 * np.cos(np.outer(omega, m)) @ power
    found = np.maximum(series, 1e-3) * _ends(angles)
    return found / found.sum()
