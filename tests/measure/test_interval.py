"""Intervals of the mean error: coverage on a model of known error, width, pairing, few samples."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.tolerances import AGAIN, EXACT, INTERVAL_COVERAGE, SPLIT
from workbench.measure import attribute_error, equivariance_error, lie_derivative
from workbench.measure.interval import (
    FEWEST,
    MOST,
    bootstrap,
    expanded,
    interval,
    interval_name,
    resampling,
    student,
    studentized,
)

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
@pytest.mark.parametrize("make", [bootstrap, student, studentized])
def test_n4_the_interval_covers_the_known_error_in_95_of_100_cases(kind: str, count: int, make) -> None:
    errors = known_errors(BRIGHTNESS[kind](count, torch.Generator().manual_seed(0)))
    low, high = make(errors)
    truth = 0.2 * math.sqrt(2 / 4)
    assert abs(np.mean((low <= truth) & (truth <= high)) - 0.95) <= INTERVAL_COVERAGE


def covered(values: np.ndarray, truth: float, make) -> float:
    low, high = make(values)
    return float(np.mean((low <= truth) & (truth <= high)))


@pytest.mark.parametrize("count", [10, 20, 30])
def test_n4_few_skewed_samples_are_covered_as_well_and_would_not_be_by_percentiles(count: int) -> None:
    errors = known_errors(BRIGHTNESS["skewed"](count, torch.Generator().manual_seed(0)))
    truth = 0.2 * math.sqrt(2 / 4)
    assert abs(covered(errors, truth, interval) - 0.95) <= INTERVAL_COVERAGE
    if count == 10:
        for make in (bootstrap, student):
            assert abs(covered(errors, truth, make) - 0.95) > INTERVAL_COVERAGE


def known_rates(brightness: torch.Tensor) -> np.ndarray:
    """Lie derivatives of exp(b r), r a ramp along x read where y = 2.5: 2.5 b per radian, differences are exact."""
    ramp = (torch.arange(8, dtype=torch.float64) - 3.5).expand(1, 1, 8, 8)
    ds = lie_derivative(lambda x: x[:, 0, 1, 4:5].exp(), brightness.view(-1, 1, 1, 1) * ramp, batch_size=2**17)
    return ds.lie.sel(layer="output").values.reshape(brightness.shape)


def known_shares(brightness: torch.Tensor) -> tuple[np.ndarray, float]:
    """Shares of a module that adds a hot pixel to even pictures, at a half turn; and their mean.

    f = b + 2 p + p', both hot pixels in corners that the half turn moves: |f(gx) - g f(x)|^2 = 2 (4 + 1) for both of
    them, 4 parts of 5 from the first, and |g f(x)|^2 = 14 b^2 + (b + 2)^2 + (b + 1)^2.
    """
    model = nn.Sequential(Hot(0, 2.0), Hot(3, 1.0)).double()
    half = torch.tensor([[math.pi]], dtype=torch.float64)
    x = brightness.view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    ds = attribute_error(model, x, "SO2", half, mask="none", batch_size=len(x))
    many = 0.1 - 0.1 * torch.rand(10**6, generator=torch.Generator().manual_seed(9), dtype=torch.float64).log()
    size = (14 * many**2 + (many + 2) ** 2 + (many + 1) ** 2).sqrt()
    return ds.contribution.sel(layer="0").values.reshape(brightness.shape), float((math.sqrt(10) * 0.8 / size).mean())


class Hot(nn.Module):
    """Adds a number to one pixel of the first row."""

    def __init__(self, column: int, level: float) -> None:
        super().__init__()
        self.column, self.level = column, level

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        x[..., 0, self.column] += self.level
        return x


@pytest.mark.parametrize("count", [12, 30])
def test_n4_intervals_of_rates_and_shares_cover_what_is_known_in_95_of_100_cases(count: int) -> None:
    brightness = BRIGHTNESS["skewed"](count, torch.Generator().manual_seed(2))
    rates = known_rates(brightness)
    assert np.allclose(rates, 2.5 * brightness, atol=0, rtol=SPLIT)
    assert abs(covered(rates, 2.5 * 0.2, interval) - 0.95) <= INTERVAL_COVERAGE
    shares, truth = known_shares(brightness)
    assert abs(covered(shares, truth, interval) - 0.95) <= INTERVAL_COVERAGE
    for values, known in ((rates, 2.5 * 0.2), (shares, truth)):  # a standard error instead of two is too narrow
        assert covered(values, known, lambda v: v.mean(-1) + np.outer([-1, 1], v.std(-1) / math.sqrt(count))) < 0.7


def test_n4_exact_errors_shares_and_rates_stand_layer_by_layer_with_standard_error_and_count() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 3, padding=1)).double()
    x = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    error = equivariance_error(model, x, "C(4)", layers="all")
    share, rate = attribute_error(model, x, "C(4)"), lie_derivative(model, x)
    layers = ["0", "1", "2"]
    for ds, name in ((error, "error"), (share, "contribution"), (rate, "lie")):
        assert ds.layer.values.tolist()[:3] == layers, name
        assert (ds.attrs["samples"], ds.sizes["sample"]) == (5, 5), name
        expected = ds[name].std("sample", ddof=1) / math.sqrt(5)
        assert np.allclose(ds[f"{name}_sem"], expected, rtol=0, atol=EXACT[torch.float64]), name
        assert bool((ds[f"{name}_sem"].sel(layer=layers).max() > 0).all()), name
    one = lie_derivative(model, x[:1]), attribute_error(model, x[:1], "C(4)")
    assert [bool(ds[f"{name}_sem"].isnull().all()) for ds, name in zip(one, ("lie", "contribution"), strict=True)] == [
        True,
        True,
    ]


def test_bootstrap_t_is_that_of_the_book() -> None:
    values = np.random.default_rng(1).exponential(size=20)
    draws = np.random.default_rng(7).integers(0, 20, (1000, 20))
    resampled = values[draws]
    t = (resampled.mean(-1) - values.mean()) / (resampled.std(-1, ddof=1) / math.sqrt(20))
    low, high = np.quantile(t, [0.025, 0.975])
    sem = values.std(ddof=1) / math.sqrt(20)
    found = studentized(values[None], seed=7)
    assert np.allclose(np.ravel(found), [values.mean() - high * sem, values.mean() - low * sem], atol=0, rtol=SPLIT)


def test_where_few_values_differ_percentiles_are_taken() -> None:
    rng = np.random.default_rng(0)
    right = (rng.random((REPETITIONS, 30)) < 0.9).astype(float)
    assert np.allclose(interval(right), bootstrap(right), rtol=AGAIN, atol=AGAIN)
    assert interval(right)[1].max() <= 1
    assert abs(covered(right, 0.9, interval) - 0.95) <= INTERVAL_COVERAGE
    same = interval(np.full((1, 12), 3.0))
    assert np.allclose(same, 3.0, rtol=AGAIN, atol=AGAIN)
    mixed = np.stack([right[0], rng.random(30)])
    for one, other in zip(interval(mixed), interval(mixed[1:]), strict=True):
        assert np.allclose(one[1:], other, rtol=AGAIN, atol=AGAIN)


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
    assert np.allclose(low, np.quantile(means, tail, axis=-1), rtol=0, atol=EXACT[torch.float64])
    assert np.allclose(high, np.quantile(means, 1 - tail, axis=-1), rtol=0, atol=EXACT[torch.float64])
    assert tail < 0.025
    assert abs(expanded(10**6) - 0.025) < 1e-4


def test_resamples_are_drawn_with_replacement_and_are_the_same_for_the_same_seed() -> None:
    shares = resampling(10, 3)
    assert np.allclose(shares.sum(0), 1, rtol=AGAIN, atol=AGAIN)
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


@pytest.mark.parametrize("make", [bootstrap, studentized])
def test_nan_gives_nan_and_leaves_the_other_rows_alone(make) -> None:
    values = np.random.default_rng(0).normal(size=(2, 20))
    whole = make(values)
    values[0, 3] = np.nan
    broken = make(values)
    assert np.isnan([broken[0][0], broken[1][0]]).all()
    assert (broken[0][1], broken[1][1]) == (whole[0][1], whole[1][1])


@pytest.mark.parametrize("make", [bootstrap, studentized])
def test_many_rows_in_pieces_are_the_same_rows(make, monkeypatch) -> None:
    values = np.random.default_rng(0).normal(size=(7, 16))
    whole = make(values)
    monkeypatch.setattr("workbench.measure.interval._AT_ONCE", 1)
    assert np.allclose(whole, make(values), rtol=0, atol=EXACT[torch.float64])


def test_the_dataset_says_which_interval_it_holds() -> None:
    x = torch.rand(12, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    model = torch.nn.Conv2d(1, 1, 3, padding=1)
    by_kind = {kind: equivariance_error(model, x, "C(4)", interval=kind) for kind in ("bootstrap", "t")}
    for kind, ds in by_kind.items():
        low, high = interval(ds.error.values, kind)
        assert np.allclose(ds.error_low, low, rtol=0, atol=EXACT[torch.float32])
        assert np.allclose(ds.error_high, high, rtol=0, atol=EXACT[torch.float32])
        assert ds.attrs["interval"] == interval_name(kind, 12)
        inside = (ds.error_low <= ds.error_mean) & (ds.error_mean <= ds.error_high)
        assert bool(inside.all())
    with pytest.raises(ValueError, match="'bootstrap'"):
        equivariance_error(model, x, "C(4)", interval="jackknife")


def test_one_sample_that_stands_out_of_rounding_does_not_blow_the_interval_up() -> None:
    """Resamples without it have next to no spread; dividing by that gave an end of 4.7 for samples up to 0.0034."""
    errors = np.array([[3.4e-3, 1.6e-4, *np.linspace(5e-8, 9e-8, 22)]])
    low, high = interval(errors)
    assert errors.min() <= low[0] <= errors.mean() <= high[0] <= errors.max()
    assert high[0] > 3 * errors.mean()  # it still says how little is known


def test_ends_lie_between_the_smallest_and_the_largest_sample() -> None:
    rows = np.random.default_rng(0).lognormal(0, 2, (200, 9))
    low, high = interval(rows)
    assert (low >= rows.min(-1)).all()
    assert (high <= rows.max(-1)).all()
    assert np.isnan(interval(np.full((1, 9), np.nan))).all()
