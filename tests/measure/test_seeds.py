"""Means, gaps and intervals over seeds, against Student's own table."""

import numpy as np
import pytest
import xarray as xr

from tests.tolerances import AGAIN, STUDENT_TABLE
from workbench.measure.dataset import labelled, validate
from workbench.measure.seeds import over_seeds

VALUES = [[0.9, 0.92, 0.94, 0.9, 0.94], [0.5, 0.5, 0.5, 0.5, 0.5], [0.8, 0.84, 0.8, 0.84, 0.82]]
GRID = ("experiment", "seed")


def results() -> xr.Dataset:
    return xr.Dataset(
        {"test_accuracy": labelled(GRID, VALUES, "test accuracy"), "parameters": labelled(GRID, np.ones((3, 5)), "p")},
        coords={"experiment": ["partial", "full", "plain"], "seed": [0, 1, 2, 3, 4]},
    )


def test_the_interval_is_the_one_of_students_table():
    ds = over_seeds(results(), ["partial"], "full")
    reach = 2.776 * 2.0 / np.sqrt(5)  # t of four degrees of freedom at 95 %; the standard deviation is 2 points
    assert float(ds["accuracy_mean"][0]) == pytest.approx(92, rel=AGAIN)
    assert float(ds["accuracy_high"][0] - ds["accuracy_mean"][0]) == pytest.approx(reach, rel=STUDENT_TABLE)
    assert float(ds["gap_low"][0]) == pytest.approx(42 - reach, rel=STUDENT_TABLE)


def test_gaps_are_taken_seed_by_seed():
    ds = over_seeds(results(), ["partial", "plain"], "plain")
    assert np.allclose(ds["gap"].sel(experiment="partial"), [10, 8, 14, 6, 12], rtol=AGAIN, atol=AGAIN)
    assert (ds["gap"].sel(experiment="plain") == 0).all()
    assert ds["gap"].attrs["long_name"] == "gap to plain"


def test_the_first_seeds_alone_are_named_as_a_part_of_all():
    ds = over_seeds(results(), ["partial"], "full", seeds=2)
    assert ds["seed"].values.tolist() == [0, 1]
    assert ds.attrs["showing"] == "showing 2 of 5 seeds"
    assert over_seeds(results(), ["partial"], "full").attrs["showing"] == ""


def test_a_higher_level_makes_a_wider_interval():
    low, high = (over_seeds(results(), ["plain"], "full", level=level)["accuracy_low"] for level in (0.5, 0.99))
    assert float(high[0]) < float(low[0])


def test_n1_everything_has_units_and_says_where_it_comes_from():
    validate(over_seeds(results(), ["partial"], "full"), {"gap": GRID, "accuracy_low": ("experiment",)})


@pytest.mark.parametrize(
    ("given", "said"),
    [({"experiments": ["partail"]}, "'partail' was given; expected one of partial, full, plain"),
     ({"against": "nobody"}, "'nobody' was given"), ({"seeds": 1}, "seeds = 1 was given; expected 2 to 5"),
     ({"seeds": 6}, "seeds = 6"), ({"seeds": 2.5}, "seeds = 2.5"), ({"level": 1.0}, "level = 1.0"),
     ({"level": float("nan")}, "level = nan")],
)  # fmt: skip
def test_r19_what_is_out_of_range_is_refused_with_a_sentence(given, said):
    with pytest.raises(ValueError, match=said):
        over_seeds(results(), **{"experiments": ["partial"], "against": "full", **given})
