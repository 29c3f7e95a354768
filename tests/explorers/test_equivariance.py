"""The equivariance explorer: exact where pixels allow it, floors and failing controls beside every claim."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from tests.explorers.promises import keeps_every_promise
from tests.tolerances import AGAIN, BROKEN, EXACT
from workbench.explorers import Cancelled
from workbench.explorers.equivariance import COARSE, FINE, EquivarianceExplorer
from workbench.groups import GroupSignal
from workbench.measure.partial import overlap_loss

pytestmark = pytest.mark.usefixtures("runs")
QUICK = {"picture": "6", "n": 4}


def explorer(**values) -> EquivarianceExplorer:
    """On a small stored network, so that a whole sweep takes a fraction of a second."""
    return EquivarianceExplorer(**{"network": "six_180_full/seed-0", **QUICK, **values})


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(explorer(), tmp_path, layer=0, angle_deg=77, sigma_px=2.0, form="absolute", arc_percent=40)


def test_n3_the_network_is_exact_at_the_marked_angles_and_its_controls_are_not():
    ds = explorer(layer=3).dataset()
    exact = ds.where(ds["lattice"], drop=True)["error_mean"]
    assert exact.sizes["transform"] == 5
    assert float(exact.sel(model="the network").max()) <= EXACT[torch.float32]
    for control in ("plain network", "kernels in disorder"):
        assert float(exact.sel(model=control)[1:-1].min()) > 0.05, control


def test_n2_both_floors_vanish_only_at_the_marked_angles():
    ds = explorer().dataset()
    for name in ("input_floor_mean", "output_floor_mean"):
        assert (ds[name].where(ds["lattice"], drop=True) == 0).all()
        assert (ds[name].where(~ds["lattice"], drop=True) > 0).all()


def test_a_smoother_picture_costs_less_to_turn():
    floors = [float(explorer(sigma_px=sigma).dataset()["input_floor_mean"].mean()) for sigma in (0, 1, 2)]
    assert floors[0] > floors[1] > floors[2]


def test_both_ways_agree_at_a_quarter_turn_and_differ_between():
    for angle_deg, close in ((90, True), (270, True), (45, False)):
        ds = explorer(angle_deg=angle_deg).dataset()
        left = float(np.abs(ds["difference"]).max() / np.abs(ds["turned_after"]).max())
        assert (left <= 1e-5) is close


def test_at_the_end_of_the_network_scores_are_shown_by_class():
    ds = explorer(layer=0, angle_deg=180).dataset()
    assert ds["score"].values.tolist() == ["6", "6 upside down"]
    assert np.allclose(ds["scores"][0], ds["scores"][1], rtol=0, atol=1e-5), "a full network cannot tell"


def test_a_layer_that_kept_a_part_of_the_circle_answers_on_it_only():
    ds = explorer(network="six_180_partial/seed-0", layer=2, angle_deg=180).dataset()
    assert float(np.abs(ds["turned_first"]).max()) > 0
    assert float(np.abs(ds["turned_after"]).max()) == 0, "half a turn leads out of 60 percent of the circle"
    error = ds["error_mean"].sel(model="the network")
    assert float(error.where(ds["lattice"], drop=True)[2]) > 0.5


def test_the_overlay_is_that_of_the_chosen_arc():
    ds = explorer(arc_percent=60).dataset()
    delta = overlap_loss(np.deg2rad(ds["angle_deg"].values), 0.6)
    assert np.allclose(ds["delta"], delta, rtol=AGAIN, atol=AGAIN)
    assert np.allclose(ds["sqrt_two_delta"], np.sqrt(2 * delta), rtol=AGAIN, atol=AGAIN)
    assert "delta" not in explorer(arc_percent=100).dataset()


def test_a_moving_control_gets_a_coarse_curve_of_the_network_alone_and_the_sweep_at_rest():
    moving = explorer().at(coarse=True)
    coarse = moving.dataset()
    assert coarse["angle_deg"].values == pytest.approx(COARSE, rel=AGAIN)
    assert coarse["model"].values.tolist() == ["the network"]
    fine = explorer().dataset()
    assert fine["angle_deg"].values == pytest.approx(FINE, rel=AGAIN)
    assert fine["model"].values.tolist() == ["the network", "plain network", "kernels in disorder"]


def test_turning_the_picture_keeps_the_sweep_that_is_there(monkeypatch):
    import workbench.explorers.equivariance as module

    here = explorer()
    here.dataset()
    monkeypatch.setattr(module, "sweep", lambda *_, **__: pytest.fail("the curves do not depend on the angle shown"))
    for angle_deg in (0, 10, 200):
        assert float(here.at(coarse=True, angle_deg=angle_deg).dataset()["angle_shown_deg"]) == angle_deg
        here.at(angle_deg=angle_deg, log=False, arc_percent=50).dataset()


def test_n15_it_says_how_many_pictures_of_how_many_are_shown():
    here = explorer()
    assert here.at(coarse=True).showing.startswith("showing 1 of ")
    assert here.showing.startswith("showing 4 of ")
    assert here.showing in str(here.figure_dict())


def test_the_readers_own_picture_takes_the_place_of_the_others():
    here = explorer()
    before = here.dataset()["error_mean"].values
    here.set_image(np.tile(np.linspace(0, 1, 40), (40, 1)))
    ds = here.dataset()
    assert not np.array_equal(ds["error_mean"].values, before)
    assert ds.attrs["showing"] == ""
    assert np.isfinite(ds["error_sem"]).all()


class Two(nn.Module):
    """A reader's own colour network on 28 pixels: a plain convolution, then scores."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3, padding=1)
        self.scores = nn.Linear(4 * 28 * 28, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scores(self.body(x).relu().flatten(1))


def test_the_readers_own_model_is_measured_and_left_as_found():
    model = Two().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    here = explorer()
    here.set_model(model)
    ds = here.dataset()
    assert ds.attrs["network"] == "your own model"
    assert ds.attrs["compared_after"] == "body"
    assert ds["model"].values.tolist() == ["the network", "kernels in disorder"]
    assert float(ds["error_mean"].sel(model="the network").max()) > 0.1
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    here.set_model(None)
    assert here.dataset().attrs["network"] == "six_180_full/seed-0"


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (lambda x: x, TypeError, "expected a torch.nn.Module"),
        (nn.Linear(3, 3), ValueError, "took none of the images"),
        (nn.Flatten(0), ValueError, "took none of the images"),
    ],
)
def test_what_is_no_image_model_is_refused_with_the_reason(given, error, words):
    here = explorer()
    with pytest.raises(error, match=words):
        here.set_model(given)
    assert dict(here.attached) == {}


def test_r20_a_long_sweep_stops_when_asked_and_tells_how_far_it_is():
    stop, told = threading.Event(), []
    stop.set()
    with pytest.raises(Cancelled):
        explorer().at(cancel=stop).dataset()
    explorer().at(progress=told.append).dataset()
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1, rel=AGAIN)


def test_disorder_keeps_the_numbers_of_every_kernel_and_loses_the_symmetry():
    from workbench.explorers._networks import _Disorder
    from workbench.layers import LiftingConv

    layer = LiftingConv(1, 2, 5, n=4).eval().requires_grad_(False)
    bank = layer.bank(layer.group.grid(4))
    mixed = _Disorder(layer, 0)._weight(bank).reshape(2, 4, -1)
    assert torch.equal(mixed.sort(-1).values, bank.flatten(2).sort(-1).values)
    assert not torch.allclose(mixed, bank.flatten(2), rtol=BROKEN, atol=0)
    assert isinstance(_Disorder(layer, 0)(torch.rand(1, 1, 9, 9)), GroupSignal)
