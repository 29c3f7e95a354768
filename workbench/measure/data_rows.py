"""What one class of a data set answers: tests of turns and finite symmetries, the fitted arc, the power of each."""

from typing import Any, NamedTuple

import numpy as np
import torch

from workbench.measure.data_arc import ArcFit, alike_pairs, fit_arc, folded
from workbench.measure.data_features import OrbitFeatures
from workbench.measure.two_sample import TwoSample, energy_test, orbit_test, relabelled, relabellings

MOST_TESTED, MOST_PAIRED = 400, 1500
"""Pictures of a class that take part in the tests, and in the search for alike pairs."""
MOST_ROWS = 1600
"""Pictures times elements in the test of a finite symmetry."""
POWER_DEG = (0.0, 45.0, 90.0, 135.0, 180.0)
PARTS = (0.25, 0.5, 0.75, 1.0)
"""Parts of a class by which it is seen what more pictures would give."""
TESTED_DEG = tuple(float(a) for a in range(30, 181, 30))
_FEWEST_PART = 10
_REACH_REPEATS = 3
_POWER_PERMUTATIONS, _POWER_PICTURES = 199, 120


class Row(NamedTuple):
    """What one class answered; the curves of `power`, `reach` and `element_power` are empty where not asked for."""

    pictures: int
    distance: np.ndarray
    null_high: np.ndarray
    p_value: np.ndarray
    floor: np.ndarray
    floor_p: np.ndarray
    seen: np.ndarray
    fit: ArcFit
    power: np.ndarray
    elements: tuple[TwoSample, ...]
    element_pictures: tuple[int, ...]
    reach: np.ndarray  # (parts,), degrees
    element_power: np.ndarray  # (questions, parts)


def reach(fit: ArcFit) -> float:
    """How far the interval of an arc lies from it, to the farther side, in degrees."""
    return max(fit.high - fit.half_width, fit.half_width - fit.low)


def one_row(table: OrbitFeatures, neighbours: int | None, choices: dict[str, Any], seed: int) -> Row:
    """Everything about the pictures of one class.

    Args:
        table: of these pictures.
        neighbours: alike pictures asked for each one.
        choices: ``permutations``, ``resamples``, ``power_repeats``, ``alpha``, and ``draws`` of the whole circle.
        seed: of halves, permutations and bootstrap.
    """
    count, angles, _ = table.values.shape
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(count, generator=generator)[:MOST_TESTED]
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    permutations, repeats = choices["permutations"], choices["power_repeats"]
    labels = relabellings(len(first), len(order), permutations, generator)

    def test(one: torch.Tensor, two: torch.Tensor) -> TwoSample:
        both = torch.cat([one, two])
        return relabelled(torch.cdist(both, both), labels)

    tests = [test(table.values[first, -k % angles], table.values[second, k]) for k in range(angles // 4 + 1)]
    floors = [
        test(table.round_trips[first, t, 0], table.round_trips[second, t, 1]) for t in range(len(table.round_trip_deg))
    ]
    paired = table.values[torch.randperm(count, generator=generator)[:MOST_PAIRED].sort().values]
    fit, seen = _fitted(paired, neighbours, choices["resamples"], seed, choices["draws"])
    power = _power(table, repeats, choices["alpha"], generator)
    used = [order[: MOST_ROWS // group.order] for group in table.asked]
    return Row(
        count,
        np.array([t.distance for t in tests]),
        np.array([np.quantile(t.null, 0.95) for t in tests]),
        np.array([t.p_value for t in tests]),
        np.array([t.distance for t in floors]),
        np.array([t.p_value for t in floors]),
        seen,
        fit,
        power,
        tuple(orbit_test(sides[some], permutations, generator) for sides, some in zip(table.sides, used, strict=True)),
        tuple(map(len, used)),
        _reaches(paired, fit, seed, repeats),
        _element_power(table, order, repeats, choices["alpha"], generator),
    )


def _fitted(
    values: torch.Tensor, neighbours: int | None, resamples: int, seed: int, draws: int
) -> tuple[ArcFit, np.ndarray]:
    """The arc of some pictures, and how often alike ones were seen at each angle."""
    count, angles, _ = values.shape
    pairs = alike_pairs(values, neighbours or min(8, max(4, count // 10)))
    seen = np.bincount(folded(pairs.step, angles), minlength=angles // 2 + 1) / len(pairs.step)
    return fit_arc(pairs, count, angles, resamples=resamples, seed=seed, draws=draws), seen


def _reaches(values: torch.Tensor, fit: ArcFit, seed: int, repeats: int) -> np.ndarray:
    """The reach of the interval at each part of the pictures, a mean over a few choices; NaN where they are too few."""
    if not repeats:
        return np.zeros(0)
    found = []
    for part in PARTS[:-1]:
        count = round(part * len(values))
        generator = torch.Generator().manual_seed(seed)
        some = [torch.randperm(len(values), generator=generator)[:count] for _ in range(_REACH_REPEATS)]
        fits = [_fitted(values[index], None, 100, seed, 60)[0] for index in some] if count >= _FEWEST_PART else []
        found.append(np.mean([reach(one) for one in fits]) if fits else np.nan)
    return np.array([*found, reach(fit)])


def _element_power(
    table: OrbitFeatures, order: torch.Tensor, repeats: int, alpha: float, generator: torch.Generator
) -> np.ndarray:
    """Share of random parts of the pictures in which each finite symmetry is rejected, asked alone."""
    if not repeats:
        return np.zeros((len(table.asked), 0))
    found = np.full((len(table.asked), len(PARTS)), np.nan)
    for at, (group, sides) in enumerate(zip(table.asked, table.sides, strict=True)):
        pool = order[: MOST_ROWS // group.order]
        for place, part in enumerate(PARTS):
            count = round(part * len(pool))
            if count < _FEWEST_PART:
                continue
            tries = repeats if part < 1 else 1
            picked = [pool[torch.randperm(len(pool), generator=generator)[:count]] for _ in range(tries)]
            hits = [orbit_test(sides[some], _POWER_PERMUTATIONS, generator).p_value <= alpha for some in picked]
            found[at, place] = np.mean(hits)
    return found


def _power(table: OrbitFeatures, repeats: int, alpha: float, generator: torch.Generator) -> np.ndarray:
    """Share of data sets rejected, for each width of a further turn."""
    if not repeats:
        return np.zeros(0)
    count, angles, _ = table.values.shape
    used = min(count, _POWER_PICTURES)
    tested = [round(a * angles / 720) for a in TESTED_DEG]
    found = []
    for added in POWER_DEG:
        reach_steps, hits = added * angles / 360, 0
        for _ in range(repeats):
            index = torch.randperm(count, generator=generator)[:used]
            turn = ((torch.rand(used, generator=generator) * 2 - 1) * reach_steps).round().long()
            some = table.values[index[:, None], (torch.arange(angles) + turn[:, None]) % angles]
            one, two = some[: used // 2], some[used // 2 :]
            least = min(energy_test(one[:, -k], two[:, k], _POWER_PERMUTATIONS, generator).p_value for k in tested)
            hits += least * len(tested) <= alpha
        found.append(hits / repeats)
    return np.array(found)
