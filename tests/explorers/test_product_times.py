"""The explorer of times divides the stored rounds, and marks where the reduced product begins to win."""

import numpy as np

from tests.explorers.promises import keeps_every_promise
from tests.tolerances import AGAIN
from workbench.explorers.product_times import ProductTimesExplorer, speedup_dataset
from workbench.training import load_claims


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(ProductTimesExplorer(), tmp_path, lmax=5, channels=16)


def test_the_curves_are_medians_and_quartiles_of_the_ratios_of_rounds():
    times = load_claims("fast_products")["product_ms"].sel(channels=32, lmax=4, way="weights of each edge")
    ratios = (times.sel(engine="e3nn") / times.sel(engine="so2")).values
    ds = ProductTimesExplorer(channels=32).dataset().sel(at=4, series="weights of each edge")
    found = [float(ds[name]) for name in ("low", "middle", "high")]
    assert np.allclose(found, np.quantile(ratios, (0.25, 0.5, 0.75)), rtol=AGAIN, atol=AGAIN)


def test_the_crossover_is_the_first_degree_that_is_faster_and_engines_exchanged_have_none():
    stored = load_claims("fast_products")
    ds = speedup_dataset(stored, 3, 32)
    for way in ds["series"].values:
        faster = ds["at"].values[ds["middle"].sel(series=way).values > 1]
        assert float(ds["crossover"].sel(series=way)) == faster.min()
    names = stored["engine"].values[::-1]
    twin = speedup_dataset(stored.assign_coords(engine=("engine", names)), 3, 32)
    assert bool((twin["middle"].sel(at=[4, 5, 6]) < 1).all())


def test_a_higher_degree_gains_more():
    ds = ProductTimesExplorer(channels=32).dataset()["middle"]
    assert bool((ds.sel(at=6) > ds.sel(at=3)).all())
