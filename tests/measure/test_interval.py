"""Intervals of the mean error: coverage on a model of known error, width, pairing, few samples."""

import math

import numpy as np
import pytest
import torch

from tests.tolerances import EXACT, INTERVAL_COVERAGE
from workbench.measure import equivariance_error
from workbench.measure.interval import FEWEST, MOST, bootstrap, expanded, interval, interval_name, resampling, student

REPETITIONS = 4000


def known_errors(brightness: torch.Tensor) -> np.ndarray:
    """Absolute errors of f(x) = x p at a half turn, p one hot pixel of four: brightness times sqrt(2 / 4)."""
    pattern = torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    x = torch.ones(1, 1, 2, 2, dtype=torch.float64) * brightness.view(-1, 1, 1, 1)
    half = torch.tensor([[math.pi]], dtype=torch.float64)
    ds = equivariance_error(lambda x: x * pattern, x, "SO2", half, mask="none", form="absolute", batch_size=len(x))
    return ds.error.values.reshape(brightness.shape)


BRIGHTNESS = {
    "bell-shaped": lambda n, g: 0.2 + 0.05 * torch.randn(REPETITIONS, n, generator=g, dtype=torch.float64),
    "even": lambda n, g: 0.4 * torch.rand(REPETITIONS, n, generator=g, dtype=torch.float64),
    "skewed": lambda n, g: 0.1 - 0.1 * torch.rand(REPETITIONS, n, generator=g, dtype=torch.float64).log(),
}


@pytest.mark.parametrize(("kind", "count"), [("bell-shaped", 8), ("bell-shaped", 30), ("even", 12), ("skewed", 50)])
@pytest.mark.parametrize("make", [bootstrap, student])
def test_the_interval_covers_the_known_error_in_95_of_100_cases(kind: str, count: int, make) -> None:
    errors = known_errors(BRIGHTNESS[kind](count, torch.Generator().manual_seed(0)))
    low, high = make(errors)
    truth = 0.2 * math.sqrt(2 / 4)
    assert abs(np.mean((low <= truth) & (truth <= high)) - 0.95) <= INTERVAL_COVERAGE


def test_the_plain_percentile_bootstrap_is_caught_by_the_same_test() -> None:
    errors = known_errors(BRIGHTNESS["bell-shaped"](8, torch.Generator().manual_seed(0)))
    means = errors @ resampling(8, 0)
    low, high = np.quantile(means, [0.025, 0.975], axis=-1)
    truth = 0.2 * math.sqrt(2 / 4)
    assert abs(np.mean((low <= truth) & (truth <= high)) - 0.95) > INTERVAL_COVERAGE


def test_both_intervals_agree_on_many_bell_shaped_samples() -> None:
    values = np.random.default_rng(0).normal(1.0, 0.1, 400)
    for one, other in zip(bootstrap(values), student(values), strict=True):
        assert abs(one - other) < 0.1 * (student(values)[1] - student(values)[0])


def test_percentiles_are_numpys() -> None:
    values = np.random.default_rng(1).normal(size=(3, 4, 20))
    low, high = bootstrap(values, seed=5)
    means = values @ resampling(20, 5)
    tail = expanded(20)
    assert np.allclose(low, np.quantile(means, tail, axis=-1), atol=EXACT[torch.float64])
    assert np.allclose(high, np.quantile(means, 1 - tail, axis=-1), atol=EXACT[torch.float64])
    assert tail < 0.025
    assert abs(expanded(10**6) - 0.025) < 1e-4


def test_resamples_are_drawn_with_replacement_and_are_the_same_for_the_same_seed() -> None:
    shares = resampling(10, 3)
    assert np.allclose(shares.sum(0), 1)
    assert np.array_equal(shares, resampling(10, 3))
    assert not np.array_equal(shares, resampling(10, 4))
    assert abs(float((shares == 0).mean()) - math.exp(-1)) < 0.05  # a sample is left out by about 37 % of them


def test_few_samples_use_students_t_and_one_sample_has_no_interval() -> None:
    values = np.random.default_rng(0).normal(size=(2, FEWEST - 1))
    assert np.array_equal(interval(values), student(values))
    assert np.isnan(interval(values[:, :1])).all()
    assert "fewer than" in interval_name("bootstrap", FEWEST - 1)
    assert "more than" in interval_name("bootstrap", MOST + 1)
    assert interval_name("bootstrap", FEWEST).startswith("bootstrap")
    assert interval_name("t", 100).startswith("Student")


def test_nan_gives_nan_and_leaves_the_other_rows_alone() -> None:
    values = np.random.default_rng(0).normal(size=(2, 20))
    whole = bootstrap(values)
    values[0, 3] = np.nan
    broken = bootstrap(values)
    assert np.isnan([broken[0][0], broken[1][0]]).all()
    assert (broken[0][1], broken[1][1]) == (whole[0][1], whole[1][1])


def test_many_rows_in_pieces_are_the_same_rows(monkeypatch) -> None:
    values = np.random.default_rng(0).normal(size=(7, 16))
    whole = bootstrap(values)
    monkeypatch.setattr("workbench.measure.interval._AT_ONCE", 1)
    assert np.allclose(whole, bootstrap(values), atol=EXACT[torch.float64])


def test_the_dataset_says_which_interval_it_holds() -> None:
    x = torch.rand(12, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    model = torch.nn.Conv2d(1, 1, 3, padding=1)
    by_kind = {kind: equivariance_error(model, x, "C(4)", interval=kind) for kind in ("bootstrap", "t")}
    for kind, ds in by_kind.items():
        low, high = interval(ds.error.values, kind)
        assert np.allclose(ds.error_low, low, atol=EXACT[torch.float32])
        assert np.allclose(ds.error_high, high, atol=EXACT[torch.float32])
        assert ds.attrs["interval"] == interval_name(kind, 12)
        inside = (ds.error_low <= ds.error_mean) & (ds.error_mean <= ds.error_high)
        assert bool(inside.all())
    with pytest.raises(ValueError, match="'bootstrap'"):
        equivariance_error(model, x, "C(4)", interval="jackknife")
