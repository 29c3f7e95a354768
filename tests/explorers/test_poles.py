"""The explorer of frames at the poles reads what is stored, and says where a gradient is no number."""

import numpy as np

from tests.explorers.promises import keeps_every_promise
from workbench.explorers.poles import POLE, PolesExplorer, pole_dataset
from workbench.training import load_claims


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(PolesExplorer(), tmp_path, power=-7, precision="double")


def test_the_numbers_are_the_medians_of_the_stored_seeds():
    stored = load_claims("fast_products")["pole_error"]
    ds = PolesExplorer(precision="double").dataset()
    for frame in ("without angles", "two angles"):
        right = stored.sel(precision="double", frame=frame, distance=1e-3).median("seed")
        assert np.isclose(float(ds["middle"].sel(series=frame, at=-3)), float(right), atol=0, rtol=1e-12)


def test_the_headline_says_what_is_lost_and_what_is_kept():
    words = PolesExplorer(power=POLE, precision="single").dataset().attrs["headline"]
    assert words.startswith("At the pole: without angles: ")
    assert words.endswith("two angles: no number")
    assert "no number" not in PolesExplorer(power=0, precision="single").dataset().attrs["headline"]


def test_one_seed_without_a_number_is_not_averaged_away():
    stored = load_claims("fast_products")
    broken = stored.assign(pole_error=stored["pole_error"].where(stored["seed"] != 0))
    assert bool(np.isnan(pole_dataset(broken, -2, "double")["middle"]).all())
