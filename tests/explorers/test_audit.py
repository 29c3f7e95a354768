"""The audit explorer: exact where pixels allow it, shares that add up, several networks on one axis, one's own too."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from tests.explorers.promises import keeps_every_promise
from tests.tolerances import AGAIN, EXACT, SEPARATION, SINGLE_AGAINST_DOUBLE
from workbench.explorers import Cancelled
from workbench.explorers._moves import LAST
from workbench.explorers._networks import ordinary, stages, stored
from workbench.explorers._runs import run_path
from workbench.explorers.audit import ORDINARY, RESNET, AuditExplorer
from workbench.views.orbit import LOWEST

pytestmark = pytest.mark.usefixtures("runs")
FULL, PLAIN, MIRROR = "six_180_full/seed-0", "six_180_plain/seed-0", "six_mirror_partial/seed-0"


def explorer(**values) -> AuditExplorer:
    """On a small stored network with nothing beside it, so that a whole picture takes a fraction of a second."""
    return AuditExplorer(**{"network": FULL, "beside": "nothing", **values})


def at_dots(ds, model=0):
    """The errors at the exact moves but the identity."""
    exact = ds["lattice"].values.copy()
    exact[[0, -1]] = False
    return ds["error_mean"].values[model][exact]


def test_it_keeps_every_promise_of_an_explorer(tmp_path):
    keeps_every_promise(
        explorer(), tmp_path, network=PLAIN, group="shifts", shift_px=2.5, depth=3, sigma_px=2.0, log=False, picture="F"
    )


@pytest.mark.parametrize("depth", range(6))
def test_n3_a_full_group_network_is_exact_at_the_dots_at_every_depth_and_its_disorder_is_not(depth):
    ds = explorer(depth=depth, beside="disorder").dataset()
    assert at_dots(ds).max() <= EXACT[torch.float32]
    broken = SEPARATION * EXACT[torch.float32]
    assert at_dots(ds, 1).min() > (broken if depth else broken / 10), "untrained, it says nearly the same of all"
    assert (ds.attrs["compared_after"] == "output") is (depth == 0)


def test_n3_a_plain_network_is_exact_at_no_move_that_is_not_its_own():
    for group in ("turns", "flips"):
        assert at_dots(explorer(network=PLAIN, group=group).dataset()).min() > SEPARATION * EXACT[torch.float32]


@pytest.mark.parametrize("group", ["turns", "flips", "shifts"])
def test_the_shares_of_the_parts_add_up_to_the_error_at_exact_moves(group):
    ds = explorer(network=PLAIN, group=group).dataset()
    place = ds["angle_deg" if group != "shifts" else "shift_x_px"].values
    wanted = {"turns": (90, 180, 270), "flips": (0, 90, 180, 270), "shifts": (1, 2, 4)}[group]
    whole = ds["error_mean"].values[0][np.isin(np.round(place, 6), wanted)].mean()
    assert float(ds["contribution_mean"].sum()) == pytest.approx(whole, rel=SINGLE_AGAINST_DOUBLE)
    assert ds["part"].values.tolist() == [*stages(stored(run_path(PLAIN)).module), LAST]
    assert bool(np.isfinite(ds["lie_mean"]).all()) is (group != "flips")


def test_an_exact_network_has_shares_of_nothing_but_rounding():
    ds = explorer().dataset()
    assert float(np.abs(ds["contribution_mean"]).max()) < 10 * EXACT[torch.float32]
    titles = explorer().figure_dict()["layout"]["xaxis7"]["title"]["text"]
    assert titles == "share of nothing but rounding"


def test_layers_on_rotations_alone_are_compared_at_the_end_where_the_picture_is_flipped():
    assert explorer(group="flips", depth=3).dataset().attrs["compared_after"] == "output"
    assert explorer(network=PLAIN, group="flips", depth=3).dataset().attrs["compared_after"] != "output"
    assert explorer(network=MIRROR, group="flips", depth=1).dataset().attrs["compared_after"] != "output"


def test_three_networks_of_different_kind_stand_on_one_axis_and_each_once():
    ds = AuditExplorer(network=PLAIN).dataset()
    assert RESNET in ds["model"].values
    assert len(set(ds["model"].values)) == ds.sizes["model"] == 4
    assert AuditExplorer(network=ORDINARY).dataset()["model"].values[0] == RESNET
    named = {trace.get("name") for trace in AuditExplorer(network=PLAIN).figure_dict()["data"]}
    assert set(ds["model"].values) <= named


def test_a_moving_control_gets_a_coarse_curve_and_what_was_found_at_rest():
    here = explorer(network=PLAIN)
    coarse = here.at(coarse=True).dataset()
    assert coarse.sizes["transform"] < 20
    assert "contribution_mean" not in coarse
    words = [note["text"] for note in here.at(coarse=True).figure_dict()["layout"]["annotations"]]
    assert words.count("follows at rest") == 2
    fine = here.dataset()
    moved = here.at(coarse=True, angle_deg=120).dataset()
    assert moved.sizes["transform"] == fine.sizes["transform"]
    assert np.array_equal(moved["contribution_mean"], fine["contribution_mean"])
    assert float(moved["angle_shown_deg"]) == 120


def test_the_pictures_show_the_move_of_the_chosen_group():
    for group, angle, how in (("turns", 90, torch.rot90), ("flips", 0, torch.flip)):
        ds = explorer(network=PLAIN, group=group, angle_deg=angle).dataset()
        upright = torch.tensor(ds["upright_map"].values)
        wanted = how(upright, 1, (-2, -1)) if how is torch.rot90 else how(upright, (-1,))
        assert torch.allclose(torch.tensor(ds["input_map"].values), wanted, rtol=0, atol=1e-6)
    ds = explorer(network=PLAIN, group="shifts", shift_px=2).dataset()
    assert np.allclose(ds["input_map"][:, 2:], ds["upright_map"][:, :-2], rtol=0, atol=1e-6)
    assert float(ds["shown"]) == 2


def test_smoother_pictures_shift_better_through_pooling():
    errors = [at_dots(explorer(network=PLAIN, group="shifts", sigma_px=s).dataset())[0] for s in (0, 1, 3)]
    assert errors[0] > errors[1] > errors[2]


class Small(nn.Module):
    """A reader's own network: one convolution and the mean over places."""

    def __init__(self, channels=3):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3, padding=1)

    def forward(self, x):
        return self.conv(x).relu().mean((2, 3))


def test_ones_own_models_are_opened_and_drawn_beside_and_left_as_found():
    here, mine, other = explorer(), Small().train(), Small(1)
    before = {name: tensor.clone() for name, tensor in mine.state_dict().items()}
    here.set_model(mine, size=20)
    here.add_model("other", other)
    ds = here.dataset()
    assert ds["model"].values.tolist() == ["your own model", "other"]
    assert ds["input_map"].shape == (20, 20)
    assert ds["part"].values.tolist() == ["conv", LAST]
    assert mine.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in mine.state_dict().items())
    assert "explorer.set_models(models)" in here.code()
    here.set_models(None)
    here.set_model(None)
    assert here.dataset().identical(explorer().dataset())


def test_a_bad_model_is_refused_with_a_sentence_and_changes_nothing():
    here = explorer()
    with pytest.raises(TypeError, match=r"expected a torch.nn.Module"):
        here.add_model("no", "model")
    with pytest.raises(ValueError, match="took none of the images"):
        here.set_model(nn.Linear(3, 3))
    with pytest.raises(TypeError, match="expected whole pixels from 4"):
        here.set_model(Small(), size=2.5)
    with pytest.raises(ValueError, match="at most 3"):
        here.set_models({str(at): Small() for at in range(4)})
    assert dict(here.attached) == {}


def test_names_of_own_models_are_shown_and_not_obeyed():
    here = explorer()
    here.add_model("<b>bold</b>", Small(1))
    assert "<b>bold" not in str([trace.get("name") for trace in here.figure_dict()["data"]])


def test_a_picture_of_ones_own_is_shown_to_every_network():
    here = explorer(network=ORDINARY)
    before = here.at(coarse=True).dataset()["upright_map"]
    here.set_image(np.tile(np.linspace(0, 1, 40), (40, 1)))
    ds = here.at(coarse=True).dataset()
    assert not np.array_equal(ds["upright_map"], before)
    assert ds.attrs["showing"] == ""


def test_the_ordinary_network_is_the_one_beside_the_notebooks():
    assert type(ordinary().module).__name__ == "ResNet18"
    assert stages(ordinary().module)[:5] == ("conv1", "norm1", "relu", "maxpool", "layer1.0")


def test_r20_a_long_audit_stops_when_asked_and_tells_how_far_it_is():
    stop, told = threading.Event(), []
    stop.set()
    with pytest.raises(Cancelled):
        explorer().at(cancel=stop).dataset()
    explorer().at(progress=told.append).dataset()
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1, rel=AGAIN)


def test_an_exact_zero_is_drawn_far_below():
    figure = explorer(network=PLAIN).figure_dict()
    curve = next(
        trace for trace in figure["data"] if trace.get("name") == "plain network" or trace["name"] == "the network"
    )
    assert float(np.min(curve["y"])) == pytest.approx(LOWEST, rel=AGAIN)
