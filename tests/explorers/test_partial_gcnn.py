"""The arc explorer shows what the measure of an arc's response gives, at once."""

import numpy as np

from tests.explorers.promises import finite, keeps_every_promise
from workbench.explorers.partial_gcnn import ArcExplorer
from workbench.measure.arc import arc_response


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(ArcExplorer(), tmp_path, width_percent=33, n=5, offset_percent=10)


def test_it_is_the_measure_at_the_sliders_values():
    ds = ArcExplorer(width_percent=40, n=16, offset_percent=25).dataset()
    expected = arc_response(0.4, 16, 0.25)
    assert np.array_equal(ds["moved_deg"], expected["moved_deg"])
    assert finite(ds)


def test_the_released_rule_is_right_only_where_one_sample_is_left():
    def ratio(**state):
        here = ArcExplorer(**state).dataset()["slope_here"]
        return float(here.sel(rule="reference") / here.sel(rule="full"))

    assert ratio(width_percent=12, n=8) == 1
    assert ratio(width_percent=13, n=8) < 0.3
    assert ratio(width_percent=100, n=8) < 0.02
    assert ratio(width_percent=100, n=1) == 1


def test_the_widest_and_the_narrowest_arc_can_be_drawn():
    for percent in (1, 100):
        assert ArcExplorer(width_percent=percent).figure_dict()["data"]
