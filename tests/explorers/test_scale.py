"""The explorer of scales: the rules hold, each broken one shows, and the list of scales ends where it says."""

import numpy as np
import pytest
import torch

from tests.explorers.promises import keeps_every_promise
from tests.tolerances import BROKEN, EXACT, INNER_SCALE, LIFTED_SCALE, SCALE_ERROR
from workbench.explorers.scale import ScaleExplorer, scale_dataset
from workbench.groups import Scale
from workbench.kernels import KernelBank, KernelSpec
from workbench.kernels.stretched import support_problem
from workbench.layers import LiftingConv
from workbench.measure.kernels import kernels


def errors(**state) -> np.ndarray:
    return ScaleExplorer(**{"layers": 0, "kernel_size": 17, "scales": 3, "largest": 1.6, **state}).dataset()["error"][0]


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    other = {"layers": 2, "weight": "side", "edge": "hard", "kernel_size": 7, "scales": 3, "largest": 2.0}
    keeps_every_promise(ScaleExplorer(), tmp_path, **other)


@pytest.mark.parametrize(("weight", "power"), [("area", 0), ("side", 1), ("none", 2)])
def test_a_lifting_errs_by_the_power_of_the_step_that_its_weight_lacks(weight, power):
    step = 1.6**0.5
    found = errors(weight=weight)
    lacking = abs(step**power - 1)
    assert np.abs(found - lacking).max() <= LIFTED_SCALE + SCALE_ERROR * lacking


def test_inside_the_group_layer_holds_and_at_the_ends_it_does_not():
    ds = ScaleExplorer(layers=1, kernel_size=17, scales=4, largest=1.6).dataset()
    assert ds["inner"].values.tolist() == [[True, True, True], [False, True, False]]
    assert float(ds["inside"][1]) <= INNER_SCALE
    assert float(ds["ends"][1]) > BROKEN
    assert np.isnan(ds["ends"][0])
    twin = ScaleExplorer(layers=1, kernel_size=17, scales=4, largest=1.6, weight="none").dataset()
    assert float(twin["inside"][1]) > BROKEN


def test_the_floor_falls_with_the_kernel_and_a_wrong_weight_leaves_it_alone():
    small, wide, wrong = (
        ScaleExplorer(layers=0, **state).dataset()["floor"].values
        for state in ({"kernel_size": 7}, {"kernel_size": 17}, {"kernel_size": 17, "weight": "none"})
    )
    assert small.min() > 4 * wide.max()
    assert wrong == pytest.approx(wide, rel=1e-4)


def test_a_small_support_names_the_remedy_of_the_layers():
    for size, largest in ((7, 1.74), (15, 1.74), (15, 2.0)):
        said = ScaleExplorer(kernel_size=size, largest=largest, layers=0).dataset().attrs["remedy"]
        problem = support_problem(Scale(2, largest), size)
        assert (problem or "").endswith(said)
        assert bool(problem) == bool(said)


def test_the_filters_are_those_of_a_layer_that_is_built_for_this_group():
    ds = scale_dataset(3, 1.5, 15, "area", "soft", 0, 4)
    torch.manual_seed(0)
    layer = LiftingConv(1, 2, 15, group="Scale(2,1.5)", n=3, bias=False, kernel=KernelSpec(hidden=16)).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        bank = KernelBank(1, 2, 15, Scale(2, 1.5), KernelSpec(hidden=16), True, layer.kernels.support)
    layer.kernels = bank
    found = np.moveaxis(kernels(layer)["kernel"].values[:, 0, :, 0], 1, 0)
    assert np.abs(found / np.abs(found).max() - ds["kernel"].values).max() <= 10 * EXACT[torch.float32]
