"""The cost of a layer: counts are those of layers as they run, times those that are stored."""

import numpy as np
import pytest
from torch import nn

from tests.explorers.promises import finite, keeps_every_promise
from workbench.explorers.layer_cost import LayerCostExplorer, cost_dataset
from workbench.layers import LiftingConv, SeparableConv
from workbench.measure import cost
from workbench.training import load_claims


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(LayerCostExplorer(), tmp_path, rotations=16, channels=4, side=9, batch=32)


@pytest.mark.parametrize("way", ["nonseparable", "separable", "dseparable", "dgseparable"])
def test_the_count_is_that_of_a_layer_as_it_runs(way):
    ds = LayerCostExplorer(rotations=4, channels=4, side=5).dataset()
    layers = LiftingConv(1, 4, 5, n=4), SeparableConv(4, 4, 5, n=4, factorisation=way)
    counted = cost(nn.Sequential(*layers), (1, 1, 16, 16))["multiply_adds"][1]
    assert float(ds["multiply_adds"].sel(way=way)) == float(counted) / 256
    other = LayerCostExplorer(rotations=8, channels=4, side=5).dataset()
    assert float(other["multiply_adds"].sel(way=way)) != float(ds["multiply_adds"].sel(way=way))


def test_the_times_are_the_medians_of_the_stored_rounds():
    stored = load_claims("separable_gcnn")["layer_ms"].sel(channels=16, side=9, batch=32)
    ds = LayerCostExplorer(rotations=16, channels=16, side=9, batch=32).dataset()
    for way in ("nonseparable", "separable"):
        assert float(ds["step_ms"].sel(way=way, rotations=16)) == np.median(stored.sel(way=way, rotations=16))
    assert (ds["step_low_ms"] <= ds["step_ms"]).all()
    assert (ds["step_ms"] <= ds["step_high_ms"]).all()
    assert finite(ds)


def test_every_size_of_the_menus_is_stored():
    explorer = LayerCostExplorer()
    claims = load_claims("separable_gcnn")
    for control in explorer.controls():
        assert [value for _, value in control.options] == claims[control.name].values.tolist()


def test_the_largest_layer_saves_time_and_the_smallest_saves_little():
    def faster(**size: int) -> float:
        ds = LayerCostExplorer(**size).dataset().sel(rotations=size["rotations"])
        return float(ds["step_ms"].sel(way="nonseparable") / ds["step_ms"].sel(way="separable"))

    large = faster(rotations=16, channels=16, side=9, batch=32)
    small = faster(rotations=4, channels=4, side=5, batch=8)
    assert large > 3 > 2 > small


def test_results_without_times_are_refused_by_the_name_of_what_lacks():
    with pytest.raises(KeyError, match="layer_ms"):
        cost_dataset(load_claims("separable_gcnn").drop_vars("layer_ms"), 8, 8, 7, 8)
