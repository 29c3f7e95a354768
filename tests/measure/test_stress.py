"""A law learned in one pose: the law commutes with turns, so do tensor networks, a network of components does not."""

import numpy as np
import pytest
import torch

from tests.tolerances import BROKEN
from workbench.measure import stress as module
from workbench.measure.stress import MODELS, learned_stress, stress

SHORT = {"samples": 100, "steps": 150, "seeds": 2}


@pytest.fixture(scope="module")
def found():
    return learned_stress(**SHORT)["error"]


def test_the_law_turns_with_the_sample_and_its_twin_does_not():
    given = module._samples(20, 0)
    by = module._rotations(20, 1)
    first, after = stress(module._turned(given, by)), by @ stress(given) @ by.mT
    assert float((first - after).abs().max()) < 1e-4
    assert float((stress({**module._turned(given, by), "a": given["a"]}) - after).abs().max()) > BROKEN
    assert float((stress(given) - stress(given).mT).abs().max()) < 1e-5


def test_tensor_networks_err_alike_in_every_pose_and_components_do_not(found):
    own = found.sel(model="tensor networks")
    assert np.allclose(own.sel(pose="as trained"), own.sel(pose="turned"), atol=0, rtol=1e-3)
    plain = found.sel(model="components").mean("seed")
    assert float(plain.sel(pose="turned")) > 1.3 * float(plain.sel(pose="as trained"))
    assert float(own.mean()) < float(found.sel(model="components, turned").mean())


def test_the_same_seed_gives_the_same_numbers_and_leaves_the_generator_alone(found):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    again = learned_stress(**SHORT)["error"]
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(again, found)
    assert found["model"].values.tolist() == list(MODELS)


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"steps": -1}, {"seeds": True}])
def test_counts_that_are_none_are_refused(wrong):
    with pytest.raises((ValueError, TypeError), match="learned_stress: "):
        learned_stress(**{**SHORT, **wrong})
