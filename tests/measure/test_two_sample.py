"""The two-sample test: its statistic by brute force, its size, its power, and Holm's correction."""

import numpy as np
import pytest
import torch

from tests.tolerances import AGAIN, EXACT, FALSE_POSITIVES
from workbench.measure.two_sample import energy_test, holm

ALPHA = 0.05


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rejects(first: torch.Tensor, second: torch.Tensor, seed: int, permutations: int = 99) -> bool:
    return energy_test(first, second, permutations, torch.Generator().manual_seed(seed)).p_value <= ALPHA


def test_the_statistic_is_the_energy_coefficient_of_its_definition():
    a, b = draw(7, 3), draw(5, 3, seed=1) + 0.5

    def mean(x, y):
        return np.mean([float((p - q).norm()) for p in x for q in y])

    expected = (2 * mean(a, b) - mean(a, a) - mean(b, b)) / (2 * mean(a, b))
    found = energy_test(a, b, 19, torch.Generator().manual_seed(0)).distance
    assert abs(found - expected) <= EXACT[torch.float64]


def test_the_rate_of_false_rejections_is_alpha():
    rate = np.mean([rejects(*draw(2, 16, 4, seed=seed), seed) for seed in range(600)])
    assert abs(rate - ALPHA) <= FALSE_POSITIVES


def test_the_rate_is_seen_to_be_wrong_where_samples_share_their_members():
    """A sample beside a slightly changed copy of itself is no pair of independent samples: nothing is ever found."""
    rate = np.mean([rejects(x, x + 0.01, 0) for x in draw(200, 16, 4)])
    assert abs(rate - ALPHA) > FALSE_POSITIVES


def test_a_shift_of_one_standard_deviation_is_found_nearly_always():
    assert np.mean([rejects(draw(20, 4, seed=s), draw(20, 4, seed=s + 999) + 1, s) for s in range(50)]) > 0.95


def test_the_smallest_p_value_is_one_over_the_number_of_relabellings_plus_one():
    a = torch.zeros(20, 1)
    assert energy_test(a, a + 1, 199, torch.Generator().manual_seed(0)).p_value == 1 / 200


def test_equal_pictures_are_never_told_apart():
    a = torch.ones(10, 2)
    found = energy_test(a, a.clone(), 99, torch.Generator().manual_seed(0))
    assert (found.distance, found.p_value) == (0, 1)


def test_holm_is_the_step_down_of_its_definition_and_keeps_the_shape():
    assert holm(np.array([[0.01, 0.04], [0.03, 0.5]])) == pytest.approx(
        np.array([[0.04, 0.09], [0.09, 0.5]]), rel=AGAIN
    )
    assert holm(np.array([0.4, 0.6])) == pytest.approx(0.8, rel=AGAIN)


def test_holm_keeps_the_rate_of_any_false_rejection_among_ten_and_none_does_not():
    p = torch.rand(4000, 10, generator=torch.Generator().manual_seed(0)).numpy()
    corrected = np.mean([(holm(row) <= ALPHA).any() for row in p])
    assert abs(corrected - ALPHA) <= FALSE_POSITIVES
    assert np.mean((p <= ALPHA).any(-1)) > 0.3
