"""What notebook 07 says of shifts, grids and non-linearities is what explorers, measures and stored results say."""

import numpy as np
import pytest
import torch

from tests.tolerances import EXACT
from workbench.explorers.activations import ActivationsExplorer
from workbench.explorers.anchored_cnn import AnchoredExplorer
from workbench.measure.seeds import over_seeds
from workbench.models import find_method
from workbench.training import load_claims

ROUNDING = EXACT[torch.float32]


@pytest.fixture(scope="module")
def claims():
    return load_claims("anchored_cnn")


def test_n10_the_notebook_is_that_of_the_method():
    assert find_method("anchored_cnn").notebook == "07_shifts_and_activations.ipynb"


def test_n10_the_plain_layer_follows_at_whole_strides_only_and_the_anchored_one_always():
    along = AnchoredExplorer(stride=4).dataset()["error_along"].sel(shift_px=[0, 1, 2, 3, 4])
    plain, anchored = along.values
    assert (plain <= ROUNDING).tolist() == [True, False, False, False, True]
    assert plain[1:4].min() > 0.3, "of the order of the answer"
    assert anchored.max() <= ROUNDING


def test_n10_a_letter_with_a_tie_fails_when_it_is_shifted_upwards():
    errors = [
        float(AnchoredExplorer(picture="F", stride=8, right_px=0, up_px=up).dataset()["error"][1]) for up in (0, 1, 2)
    ]
    assert errors[0] <= ROUNDING
    assert min(errors[1:]) > 0.3


def test_n10_on_a_page_the_anchor_helps_until_ink_comes_in():
    along = AnchoredExplorer(kind="real", stride=2).dataset()["error_along"]
    plain, anchored = (along.sel(layer=name) for name in ("plain", "anchored"))
    near, far = {"shift_px": [-1, 1]}, {"shift_px": [-7, 7]}
    assert (anchored.sel(near) < 0.1 * plain.sel(near)).all()
    assert float(anchored.sel(shift_px=-1)) <= ROUNDING < float(anchored.sel(shift_px=1)), "paper, and ink"
    assert (anchored.sel(far) > plain.sel(far)).all()


def test_n10_what_is_said_of_the_stored_networks_holds(claims):
    same = claims["consistency"].mean("seed")
    assert float(claims["test_accuracy"].sel(experiment="plain").min()) > 0.98
    assert float(same.sel(experiment="plain", kind="cyclic", reach=2)) < 0.5
    assert (same.sel(experiment="anchored", kind="cyclic") == 1).all()
    ds = over_seeds(claims, ["plain", "anchored"], "plain").sel(experiment="anchored")
    assert float(ds["gap_low"]) < 0 < float(ds["gap_high"])
    assert {bool(gap > 0) for gap in ds["gap"].values} == {True, False}
    assert np.abs(ds["gap"].values).max() < 1.5


def test_n10_the_remedy_marks_whole_steps_of_thirty_degrees():
    for n, whole in ((12, True), (24, True), (13, False)):
        here = ActivationsExplorer(angle_deg=30, n=n).dataset()["here"]
        assert (float(here.max()) <= EXACT[torch.float64]) == whole
