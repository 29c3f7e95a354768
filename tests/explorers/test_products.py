"""The explorer of tensor products: two diagonals in the frame for every direction, and a mistake fills the table."""

import numpy as np
import pytest

from tests.explorers.promises import keeps_every_promise
from workbench.e3.expressivity import interacts
from workbench.explorers.products import HIGHEST, ProductsExplorer


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    other = {"l_in": 1, "l_filter": 3, "l_out": 3, "polar_deg": 170, "azimuth_deg": -20, "parity": "rotations",
             "mistake": "transposed"}  # fmt: skip
    keeps_every_promise(ProductsExplorer(), tmp_path, **other)


@pytest.mark.parametrize("degrees", [(2, 2, 2), (1, 2, 2), (3, 4, 2), (0, 3, 3), (4, 8, 4)])
@pytest.mark.parametrize("polar", [0, 1, 77, 180])
def test_the_frame_leaves_one_of_two_diagonals_and_transposed_matrices_do_not(degrees, polar):
    names = dict(zip(("l_in", "l_filter", "l_out"), degrees, strict=True))
    ds = ProductsExplorer(**names, polar_deg=polar, parity="rotations").dataset()
    assert float(ds["rest"]) < 1e-13
    after = ds["after"].where(abs(ds["m_in"]) == abs(ds["m_out"]), 0.0)
    signs = np.sign(ds["m_in"] * ds["m_out"])
    wrong = signs < 0 if sum(degrees) % 2 == 0 else signs > 0
    assert float(abs(after.where(wrong, 0.0)).max()) < 1e-13
    assert float(abs(after).max()) > 0.05
    if polar == 77 and degrees[0]:
        broken = ProductsExplorer(**names, polar_deg=polar, parity="rotations", mistake="transposed").dataset()
        assert float(broken["rest"]) > 0.05


def test_paths_are_those_that_interact_and_reflections_forbid_odd_ones():
    ds = ProductsExplorer(l_in=2, l_filter=3, l_out=2, parity="reflections").dataset()
    for f in range(2 * HIGHEST + 1):
        for o in range(HIGHEST + 1):
            assert (int(ds["path"][f, o]) > 0) == interacts("all paths", 2, f, o)
            assert (int(ds["path"][f, o]) == 2) == interacts("even paths", 2, f, o)
    assert not ds["before"].any()
    assert ProductsExplorer(l_in=2, l_filter=3, l_out=2, parity="rotations").dataset()["before"].any()
