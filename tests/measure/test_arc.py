"""The response of an arc's samples to its width, against calculus and against finite differences."""

import math

import numpy as np
import pytest
import torch

from tests.tolerances import ARC_GRADIENT, EXACT, FINITE_DIFFERENCE
from workbench.groups import UniformArc
from workbench.measure.arc import RULES, WIDEN, arc_response
from workbench.measure.dataset import validate

DOUBLE = EXACT[torch.float64]


def angles_rad(theta, n, offset):
    """The formula of the paper's code, written out."""
    m = max(1, math.ceil(n * theta - 1e-9))
    return np.array([theta * (2 * math.pi * k / m - math.pi + 2 * math.pi * offset / m) for k in range(m)])


@pytest.mark.parametrize(("theta", "n", "offset"), [(0.6, 8, 0.5), (0.31, 16, 0.0), (1.0, 5, 0.9), (0.05, 8, 0.2)])
def test_the_samples_lie_where_the_formula_says(theta, n, offset):
    found = np.deg2rad(arc_response(theta, n, offset)["angle_deg"].values)
    assert np.abs(found - angles_rad(theta, n, offset)).max() <= DOUBLE * math.pi


@pytest.mark.parametrize(("theta", "n", "offset"), [(0.6, 8, 0.5), (0.33, 16, 0.0), (0.07, 8, 0.2)])
def test_the_full_rule_moves_samples_as_a_wider_arc_does(theta, n, offset):
    ds = arc_response(theta, n, offset)
    step = 1e-6
    wider = np.rad2deg(angles_rad(theta + step, n, offset) - angles_rad(theta, n, offset)) / step * WIDEN
    moved = (ds["moved_deg"].sel(rule="full") - ds["angle_deg"]).values
    assert np.abs(moved - wider).max() <= FINITE_DIFFERENCE


def test_the_released_rule_moves_every_sample_alike_and_so_misses_the_spread():
    ds = arc_response(0.6, 8, 0.3)
    way = (ds["moved_deg"] - ds["angle_deg"]).values
    released, full = way[RULES.index("reference")], way[RULES.index("full")]
    assert np.ptp(released) <= DOUBLE * 360
    assert np.ptp(full) > 10


@pytest.mark.parametrize("n", [1, 4, 8])
def test_the_full_slope_is_the_analytic_one_at_every_width(n):
    ds = arc_response(0.6, n)
    ratio = ds["slope"].sel(rule="full") / ds["analytic_slope"]
    assert float(abs(ratio - 1).max()) <= ARC_GRADIENT


def test_the_released_slope_is_the_analytic_one_over_the_squared_number_of_samples():
    ds = arc_response(0.6, 8)
    samples = np.maximum(1, np.ceil(8 * ds["width"].values - 1e-9))
    expected = ds["analytic_slope"].values / samples**2
    assert np.abs(ds["slope"].sel(rule="reference").values / expected - 1).max() <= ARC_GRADIENT


def test_the_slopes_at_the_present_width_lie_on_their_curves():
    ds = arc_response(0.5, 8)
    assert np.allclose(ds["slope_here"], ds["slope"].sel(width=0.5), atol=0, rtol=DOUBLE)


def test_n1_everything_has_units_and_says_where_it_comes_from():
    validate(arc_response(0.5, 8), {"moved_deg": ("rule", "sample"), "slope": ("rule", "width")})


def test_the_curves_are_shared_and_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        arc_response(0.5, 8)["slope"].values[0, 0] = 1


@pytest.mark.parametrize(
    ("given", "said"),
    [((0.0, 8), "theta = 0.0 was given"), ((1.2, 8), "theta = 1.2 was given"), ((0.5, 8, 1.5), "offset = 1.5"),
     ((math.nan, 8), "theta = nan"), ((0.5, 0), "arc_response: n")],
)  # fmt: skip
def test_r19_what_is_out_of_range_is_refused_with_a_sentence(given, said):
    with pytest.raises(ValueError, match=said):
        arc_response(*given)


def test_the_distribution_itself_draws_these_samples():
    arc = UniformArc(0.6).eval()
    drawn = np.rad2deg(arc.rsample(8).elements[:, 0].detach().numpy())
    assert np.allclose(drawn, arc_response(0.6, 8)["angle_deg"], rtol=0, atol=180 * EXACT[torch.float32])
