"""The stored recovery of known arcs: what was measured over seeds stays inside the band that is promised."""

import numpy as np
import pytest
import xarray as xr

from tests.benchmarks.data_intervals import NEEDED, RESULT, SETS, recover
from tests.tolerances import DATA_ARC_DEG, INTERVAL_SHARE, REACH_AT_TWICE
from workbench.measure import open_dataset


@pytest.fixture(scope="module")
def stored() -> xr.Dataset:
    return open_dataset(RESULT)


def rows(ds: xr.Dataset, **chosen: object) -> xr.Dataset:
    keep = np.isfinite(ds["truth_deg"].values)
    for name, value in chosen.items():
        keep &= ds[name].values == value
    return ds.isel(row=keep)


def test_every_set_was_made_with_at_least_five_seeds_and_names_its_command(stored):
    assert set(np.unique(stored["set"].values)) == set(SETS)
    assert len(np.unique(stored["seed"].values)) >= 5
    assert stored.attrs["command"] == "python tests/benchmarks/data_intervals.py"


@pytest.mark.parametrize("name", [name for name in SETS if name not in ("digits all round", "digit c within 18 c")])
def test_the_arc_of_a_whole_set_is_recovered_within_ten_degrees_at_every_seed(stored, name):
    whole = rows(stored, set=name, class_name="all")
    assert float(abs(whole["arc_half_width_deg"] - whole["truth_deg"]).max()) <= DATA_ARC_DEG


def test_of_pictures_turned_all_round_the_whole_circle_stays_possible_and_half_of_it_does_not(stored):
    whole = rows(stored, set="digits all round", class_name="all")
    assert float(whole["arc_high_deg"].min()) == 180
    assert float(whole["arc_low_deg"].min()) > 120
    assert not bool(rows(stored, set="digits all round")["rejected"].any())


def test_a_width_that_is_called_resolvable_is_within_ten_degrees_of_the_truth(stored):
    sure = rows(stored, resolvable=True)
    assert len(sure["row"]) > 150
    assert float(abs(sure["arc_half_width_deg"] - sure["truth_deg"]).max()) <= DATA_ARC_DEG


def test_intervals_of_classes_hold_the_truth_about_as_often_as_they_say(stored):
    known = rows(stored)
    classes = known.isel(row=known["class_name"].values != "all")
    holds = (classes["arc_low_deg"] <= classes["truth_deg"]) & (classes["arc_high_deg"] >= classes["truth_deg"])
    assert float(holds.mean()) >= INTERVAL_SHARE


def test_what_is_not_known_is_said_not_to_be(stored):
    unsure = stored.isel(row=~stored["resolvable"].values & (stored["arc_low_deg"].values < 120))
    assert all(str(words).startswith("not resolvable at this n") for words in unsure["verdict"].values)


def test_upright_and_upside_down_sixes_are_one_set_with_two_poses(stored):
    assert float(rows(stored, set="6-180", class_name="all")["upside_down_share"].min()) >= 0.4
    assert float(rows(stored, set="6-180", class_name="6")["upside_down_share"].max()) <= 0.05


def test_the_floor_is_crossed_by_chance_alone(stored):
    """Six floors share their halves, so the smallest of their p-values is little below one of them."""
    assert float((stored["floor_p"] <= 0.05).mean()) <= 0.15


def test_r23_the_command_gives_the_stored_numbers_again(stored):
    kept = stored.isel(row=(stored["set"].values == "6-180") & (stored["seed"].values == 0))
    again = recover("6-180", 0)
    assert [row["class_name"] for row in again] == kept["class_name"].values.tolist()
    for name in ("arc_half_width_deg", "upside_down_share", "pictures"):
        assert [row[name] for row in again] == kept[name].values.tolist()


@pytest.fixture(scope="module")
def foretold() -> xr.Dataset:
    return open_dataset(NEEDED)


def test_twice_the_pictures_that_are_said_to_be_needed_give_the_width_within_about_ten_degrees(foretold):
    assert set(np.unique(foretold["set"].values)) == set(SETS)
    later = foretold["reach_at_twice"].values
    later = later[np.isfinite(later)]
    assert len(later) >= 20
    assert later.max() <= REACH_AT_TWICE * DATA_ARC_DEG
    assert np.mean(later <= DATA_ARC_DEG) >= 0.8


def test_the_number_is_an_upper_one_where_it_is_more_than_there_are(stored, foretold):
    """Where a hundred pictures ask for more than a thousand, a thousand did in most sets."""
    asked = foretold.isel(row=foretold["needed"].values > foretold["there_are"].values)
    done = []
    for name, seed in zip(asked["set"].values, asked["seed"].values, strict=True):
        whole = stored.isel(row=(stored["set"].values == name) & (stored["seed"].values == seed))
        done.append(bool(whole.isel(row=whole["class_name"].values == "all")["resolvable"].values[0]))
    assert np.mean(done) > 0.5


def test_an_unknown_width_of_a_class_says_how_many_pictures_would_tell(stored):
    unsure = stored.isel(row=np.char.startswith(stored["verdict"].values.astype(str), "not resolvable at this n: any"))
    assert len(unsure["row"]) > 50
    assert all("pictures would do, by 1/√n" in str(words) for words in unsure["verdict"].values)
    assert bool((unsure["needed"] > unsure["pictures"]).all())
