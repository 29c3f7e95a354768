"""The explorer of grids shows the stored errors, and says the one where the reader stands."""

import numpy as np

from tests.explorers.promises import keeps_every_promise
from tests.tolerances import AGAIN
from workbench.explorers.sphere_grids import SphereGridsExplorer
from workbench.training import load_claims


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(SphereGridsExplorer(), tmp_path, lmax=3, fineness=10, what="activation")


def test_products_are_exact_from_three_times_their_degree_on():
    ds = SphereGridsExplorer().dataset()
    for lmax in (1, 2, 3, 4):
        row = ds["middle"].sel(series=f"L = {lmax}")
        assert float(row.sel(at=3 * lmax)) < 1e-12
        assert float(row.sel(at=3 * lmax - 1)) > 0.05


def test_activations_are_those_stored_and_the_cursor_stands_on_a_stored_grid():
    ds = SphereGridsExplorer(what="activation", fineness=5, lmax=2).dataset()
    stored = load_claims("fast_products")["activation_error"].sel(lmax=2, resolution=ds.attrs["chosen"])
    assert ds.attrs["chosen"] == 18
    right = np.median(stored.dropna("seed"))
    assert np.isclose(float(ds["middle"].sel(series="L = 2", at=18)), right, rtol=AGAIN, atol=AGAIN)
    words = SphereGridsExplorer(what="activation", fineness=0, lmax=4).dataset().attrs["headline"]
    assert words == "L = 4, 4 rings: not stored or refused"
