"""The arc fitted to relative angles: its density by Monte Carlo, recovered widths, and what cannot be told."""

import numpy as np
import pytest
import torch

from tests.tolerances import DATA_ARC_DEG, MONTE_CARLO_DENSITY
from workbench.measure.data_arc import Pairs, alike_pairs, fit_arc, folded_density
from workbench.measure.partial import overlap_loss

E = 72


def simulated(half_width: float, pictures: int = 300, jitter: float = 6.0, stray: float = 0.0, seed: int = 0) -> Pairs:
    """Pairs as `alike_pairs` gives them, from poses that are known."""
    rng = np.random.default_rng(seed)
    pose = rng.uniform(-half_width, half_width, pictures)
    first, second = np.repeat(np.arange(pictures), 8), rng.integers(0, pictures, 8 * pictures)
    apart = pose[first] - pose[second] + jitter * rng.standard_normal(len(first))
    apart = np.where(rng.random(len(first)) < stray, rng.uniform(0, 360, len(first)), apart)
    step = torch.from_numpy(np.round(apart / (360 / E)).astype(np.int64) % E)
    keep = torch.from_numpy(first != second)
    return Pairs(torch.from_numpy(first)[keep], torch.from_numpy(second)[keep], step[keep])


@pytest.mark.parametrize(("half_width", "upside_down", "stray"), [(20, 0, 0), (70, 0.2, 0.1), (130, 0, 0.3)])
def test_the_density_is_that_of_the_difference_of_two_poses(half_width, upside_down, stray):
    rng, n, jitter = np.random.default_rng(0), 2_000_000, 10.0
    apart = rng.uniform(-half_width, half_width, n) - rng.uniform(-half_width, half_width, n)
    apart += jitter * rng.standard_normal(n) + 180 * (rng.random(n) < upside_down)
    apart = np.where(rng.random(n) < stray, rng.uniform(0, 360, n), apart)
    step = np.round(apart / 5).astype(int) % E
    counted = np.bincount(np.minimum(step, E - step), minlength=E // 2 + 1) / n
    assert np.abs(counted - folded_density(half_width, jitter, upside_down, stray, E)).max() < MONTE_CARLO_DENSITY


@pytest.mark.parametrize("half_width", [45, 90, 135])
def test_without_jitter_the_density_falls_as_one_minus_delta(half_width):
    share = half_width / 180
    even = folded_density(180, 0, 0, 0, E)
    drawn = folded_density(half_width, 4, 0, 0, E) / even
    expected = (1 - overlap_loss(np.linspace(0, np.pi, E // 2 + 1), share)) / share
    assert np.abs(drawn - expected).mean() < 0.02 / share


@pytest.mark.parametrize("half_width", [0, 20, 40, 60, 80, 100, 120, 140])
@pytest.mark.parametrize("seed", range(2))
def test_a_known_width_is_recovered(half_width, seed):
    fit = fit_arc(simulated(half_width, seed=seed), 300, E, resamples=100)
    assert abs(fit.half_width - half_width) <= DATA_ARC_DEG
    assert fit.low - DATA_ARC_DEG <= half_width <= fit.high + 4


def test_angles_that_mean_nothing_are_told_from_the_arc():
    fit = fit_arc(simulated(40, stray=0.2), 300, E, resamples=50)
    assert abs(fit.half_width - 40) <= DATA_ARC_DEG
    assert fit.stray >= 0.1


def test_the_whole_circle_stays_possible_where_angles_are_even_and_only_there():
    even = [fit_arc(simulated(180, seed=seed), 300, E, resamples=20) for seed in range(8)]
    assert sum(fit.high == 180 for fit in even) >= 7
    assert all(fit_arc(simulated(120, seed=seed), 300, E, resamples=20).high < 180 for seed in range(4))


def test_fewer_pictures_give_a_wider_interval():
    few, many = (fit_arc(simulated(60, n), n, E, resamples=100) for n in (25, 400))
    assert few.high - few.low > 2 * (many.high - many.low)


def test_pairs_find_the_turn_that_makes_two_pictures_equal():
    """Row n of the table is one random curve over angles, read from another place."""
    curve = torch.randn(E, 6, generator=torch.Generator().manual_seed(0))
    poses = torch.tensor([0, 5, 30, 71])
    table = torch.stack([curve[(torch.arange(E) + pose) % E] for pose in poses])
    pairs = alike_pairs(table, 3)
    assert len(pairs.step) == 12
    assert bool((pairs.first != pairs.second).all())
    assert torch.equal(pairs.step, (poses[pairs.first] - poses[pairs.second]) % E)
