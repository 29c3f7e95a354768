"""What is read off a study of families: intervals, data needed, an order by stated rules, and what is missing."""

import json

import numpy as np
import pytest
import torch
from scipy import stats

from tests.measure.family_study import BATCH, FAMILIES, ROUNDS, SEEDS, SIZES, SPREAD, UPDATES, made_study
from tests.tolerances import AGAIN, EXACT
from workbench.measure.dataset import validate
from workbench.measure.families import (
    COMPUTE,
    QUANTITIES,
    SAMPLES,
    crossing,
    family_points,
    order_families,
    worst_loss,
)
from workbench.views.frame import PROVENANCE

CLOSE = EXACT[torch.float32]
STUDY = made_study()


def test_the_mean_and_its_interval_are_those_of_student_over_the_seeds():
    points = validate(family_points(STUDY, "digits-rotated"), {"accuracy": ("family",)}, PROVENANCE)
    right = 100 * STUDY["test_accuracy"].sel(experiment="strict digits-rotated equal samples 400").values
    low, high = stats.t.interval(0.95, SEEDS - 1, right.mean(), stats.sem(right))
    found = [float(points[name].sel(family="strict")) for name in ("accuracy", "accuracy_low", "accuracy_high")]
    assert found == pytest.approx([right.mean(), low, high], rel=CLOSE)
    assert np.allclose(points["accuracy_seed"].sel(family="strict"), right, rtol=AGAIN, atol=AGAIN)
    assert points.attrs["showing"] == ""


def test_every_quantity_is_there_with_its_unit_and_both_ends():
    points = family_points(STUDY, "digits-rotated", target=0.6)
    assert points["family"].values.tolist() == list(FAMILIES)
    for name, (_, units, seeded) in QUANTITIES.items():
        assert points[name].dims == ("family",)
        assert points[name].attrs["units"] == units
        assert (points[f"{name}_low"] <= points[name] + CLOSE).all()
        assert (f"{name}_seed" in points) == seeded


def test_errors_are_means_over_the_circle_and_over_the_three_turns_of_a_quarter():
    points = family_points(STUDY, "digits-rotated").sel(family="plain")
    assert float(points["quarter_error"]) == pytest.approx(0.5, rel=AGAIN)
    assert float(points["error"]) == pytest.approx((3 * 0.5 + 8 * 0.3) / 12, rel=AGAIN)


def test_time_of_training_is_that_of_one_picture_times_the_pictures_shown():
    points = family_points(STUDY, "digits-rotated").sel(family="strict")
    assert float(points["training_s"]) == pytest.approx(2e6 / 5e6 * UPDATES * BATCH / 1e3, rel=AGAIN)
    assert float(points["evaluation_ms"]) == pytest.approx(0.2, rel=AGAIN)
    assert STUDY.sizes["round"] == ROUNDS


def test_the_data_needed_lie_on_the_line_over_the_logarithm_of_the_pictures():
    points = family_points(STUDY, "digits-rotated", target=0.65)
    plain = points.sel(family="plain")
    assert float(plain["data_needed"]) == pytest.approx(200, rel=CLOSE)
    reach = float(stats.t.ppf(0.975, SEEDS - 1) * stats.sem(SPREAD))
    ends = 200 * 2 ** (np.array([-reach, reach]) / 5)
    assert [float(plain[f"data_needed_{end}"]) for end in ("low", "high")] == pytest.approx(list(ends), rel=1e-3)
    assert np.allclose(plain["data_needed_seed"], 200 * 2 ** (-SPREAD / 5), rtol=AGAIN, atol=AGAIN)
    assert not bool(plain["at_most"])


def test_what_is_never_reached_is_nan_and_what_the_fewest_reach_is_an_upper_end():
    points = family_points(STUDY, "digits-rotated", target=0.74)
    assert np.isnan(points["data_needed"].sel(family="plain"))
    assert float(points["data_needed"].sel(family="strict")) == SIZES[0]
    assert points["at_most"].sel(family="strict")
    assert crossing(np.array([1, 2, 4]), np.array([1.0, np.nan, 3.0]), 2.0) == pytest.approx(2, rel=AGAIN)
    assert crossing(np.array([1, 2, 4]), np.array([1.0, 3.0, 0.0]), 3.0) == 2, "the first time counts"


def test_a_family_that_was_not_trained_so_is_nan_and_counted_as_missing():
    points = family_points(made_study(drop=(("strict", "digits-rotated", COMPUTE, 400),)), "digits-rotated", COMPUTE)
    assert points.attrs["showing"] == "showing 3 of 4 families"
    assert np.isnan(points["accuracy"].sel(family="strict"))
    assert points["accuracy"].sel(family="plain") > 0
    nobody = family_points(STUDY, "digits-rotated", COMPUTE, 100)
    assert nobody.attrs["showing"] == "showing 0 of 4 families"
    assert np.isnan(nobody["accuracy"]).all()


def test_the_views_are_kept_apart():
    both = [family_points(STUDY, "digits-rotated", view) for view in (SAMPLES, COMPUTE)]
    assert np.allclose(both[1]["accuracy"] - both[0]["accuracy"], 2, rtol=AGAIN, atol=AGAIN)
    assert [one["size"].values.tolist() for one in both] == [list(SIZES), [SIZES[-1]]], "what was tried in that view"


def test_the_first_that_fits_needs_the_least_data_and_of_equals_the_least_arithmetic():
    points = family_points(STUDY, "digits-rotated", target=0.70)
    order = order_families(points, ["test-time averaging", "strict"])
    assert order["name"].values.tolist() == ["strict", "test-time averaging", "residual pathway", "plain"]
    assert order["fits"].values.tolist() == [True, True, False, False]
    apart = family_points(STUDY, "digits-rotated", target=0.78)
    assert order_families(apart, ["test-time averaging", "strict"])["tied"].values.tolist()[:2] == [True, True]
    dear = apart.assign(multiply_adds=("family", [1.0, 1.0, 4.0, 2.0]))
    assert order_families(dear, ["test-time averaging", "strict"])["name"].values[0] == "test-time averaging", (
        "not told apart, and cheaper"
    )
    surely = dear.assign(data_needed_low=("family", [400.0, 300.0, 150.0, 390.0]))
    assert order_families(surely, ["test-time averaging", "strict"])["name"].values[0] == "strict", (
        "the other needs more for sure"
    )


def test_the_order_does_not_look_at_accuracy_beyond_its_target():
    points = family_points(STUDY, "digits-rotated", target=0.70)
    other = points.assign(accuracy=100 - points["accuracy"], accuracy_seed=100 - points["accuracy_seed"])
    assert order_families(other, ["strict"]).equals(order_families(points, ["strict"]))


def test_those_that_never_get_there_come_last_by_arithmetic():
    order = order_families(family_points(STUDY, "digits-rotated", target=0.99), list(FAMILIES))
    assert order["name"].values.tolist() == ["plain", "residual pathway", "strict", "test-time averaging"]
    assert np.isnan(order["data_needed"]).all()


def test_the_worst_loss_is_the_gap_to_the_best_on_the_set_where_it_is_largest():
    found = worst_loss(STUDY, 350)
    assert found["tried"].values.tolist() == [400] * 3
    assert dict(zip(FAMILIES, found["worst"].values.tolist(), strict=True)) == pytest.approx(
        {"plain": 14, "residual pathway": 8, "strict": 20, "test-time averaging": 20}, rel=AGAIN
    )
    assert worst_loss(STUDY, 10)["tried"].values.tolist() == [100] * 3


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"data_set": "digits"}, "data_set = 'digits' was given; expected one of digits-rotated"),
        ({"view": "fair"}, "view = 'fair' was given; expected one of equal samples"),
        ({"target": 90}, "target = 90 was given; expected a share"),
        ({"accuracy": "loss"}, "accuracy = 'loss' was given; expected 'test_accuracy'"),
    ],
)
def test_bad_input_is_refused_with_what_was_expected(given, words):
    with pytest.raises(ValueError, match=words):
        family_points(STUDY, **{"data_set": "digits-rotated", **given})


def test_results_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="results without family, view along experiment"):
        family_points(STUDY.drop_vars(["family", "view"]), "digits-rotated")


def test_the_made_study_is_a_study():
    assert json.loads(str(STUDY["config"].values[0]))["training"]["batch_size"] == BATCH
    assert STUDY.sizes["experiment"] == len(FAMILIES) * 3 * 4
