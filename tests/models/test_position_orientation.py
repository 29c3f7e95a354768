"""Clouds of points: which networks know turns exactly, and studies of both."""

import math

import numpy as np
import pytest
import torch

from tests.layers.symmetry import relative
from tests.tolerances import BROKEN, EXACT
from workbench.models import build_model
from workbench.models.position_orientation import ink_of
from workbench.training import Run
from workbench.training.kept_orientations import GRIDS, grid_errors, kept_turns, turn_errors

SMALL = {"channels": 4, "layers": 1, "hidden": 8, "classes": 3, "side": 6}
TURN = math.pi / 4


def change(dtype: torch.dtype, angle_rad: float, **config) -> float:
    """How much a turn changes the logits of an untrained network."""
    torch.manual_seed(1)
    net = build_model({"name": "position_orientation", **SMALL, **config}).to(dtype).eval()
    x = torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(0)).to(dtype)
    return relative(net(x, angle_rad=angle_rad), net(x))


@pytest.mark.parametrize("dtype", list(EXACT), ids=str)
def test_turns_of_the_grid_are_exact_and_frames_and_distances_know_all(dtype):
    bound = 10 * EXACT[dtype]
    assert change(dtype, TURN, way="grid") <= bound
    for angle in (0.3, 1.9):
        assert change(dtype, angle, way="distances") <= bound
        assert change(dtype, angle, way="frames") <= 10 * bound
    assert change(dtype, TURN, way="grid", orientations=7) > 1e2 * EXACT[torch.float64], "the twin: another grid"
    assert change(dtype, TURN, way="coordinates") > BROKEN, "the twin: no symmetry"


def test_a_turn_of_the_points_is_the_quarter_turn_of_the_image():
    torch.manual_seed(0)
    net = build_model({"name": "position_orientation", **SMALL, "orientations": 3}).double().eval()
    x = torch.rand(2, 1, 6, 6, dtype=torch.float64)
    assert relative(net(torch.rot90(x, 1, (-2, -1))), net(x, angle_rad=math.pi / 2)) <= 10 * EXACT[torch.float64]
    assert relative(net(torch.rot90(x, 1, (-2, -1))), net(x, angle_rad=-math.pi / 2)) > 1e-6, "the twin: clockwise"


def test_random_turns_happen_in_training_alone_and_follow_the_generator():
    torch.manual_seed(0)
    net = build_model({"name": "position_orientation", **SMALL, "way": "coordinates", "turned": True})
    x = torch.rand(2, 1, 6, 6)
    first, second = net(x), net(x)
    assert not torch.equal(first, second)
    torch.manual_seed(3)
    one = net(x)
    torch.manual_seed(3)
    assert torch.equal(one, net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


def test_light_pixels_are_no_points_and_a_blank_image_is_one():
    ink = ink_of(torch.tensor([[[[-1.0, 0.0], [1.0, 3.0]]], [[[2.0, 2.0], [2.0, 2.0]]]]))
    assert ink.tolist() == [[0.0, 0.25, 0.5, 1.0], [1.0, 0.0, 0.0, 0.0]]


@pytest.mark.parametrize("way", ["grid", "distances", "frames", "coordinates"])
def test_every_way_learns_and_takes_a_blank_image(way):
    net = build_model({"name": "position_orientation", **SMALL, "way": way})
    logits = net(torch.cat([torch.rand(3, 1, 6, 6), torch.zeros(1, 1, 6, 6)]))
    logits.square().sum().backward()
    assert torch.isfinite(logits).all()
    learned = [p for p in net.parameters() if p.grad is not None]
    assert len(learned) == len(list(net.parameters()))
    assert all(torch.isfinite(p.grad).all() for p in learned)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"way": "clouds"}, "expected one of grid"), ({"turned": 1}, "turned = 1"), ({"radius": 2}, "radius was given"),
        ({"orientations": 0}, "orientations = 0"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused_with_a_sentence(config, sentence):
    with pytest.raises(ValueError, match=sentence):
        build_model({"name": "position_orientation", **config})
    with pytest.raises(ValueError, match=r"expected \(B, 1, 10, 10\)"):
        build_model({"name": "position_orientation"})(torch.zeros(1, 1, 8, 8))


# ---- studies


def test_the_study_of_turns_reads_run_folders(tmp_path):
    runs = {}
    for name in ("grid", "coordinates"):
        model = {"name": "position_orientation", "way": name, "channels": 4, "layers": 1, "hidden": 8}
        data = {"name": "digits", "size": 10}
        run = Run.create(tmp_path / name, {"model": model, "data": data, "training": {"epochs": 1}})
        torch.manual_seed(1)
        run.save_weights(build_model(model).state_dict())
        runs[name, 0] = run.path
    ds = kept_turns(runs, fast=True)
    assert ds["turned_error"].dims == ("experiment", "seed", "angle_deg")
    on = ds["turned_error"].sel(experiment="grid", angle_deg=[0, 45, 90, 315])
    assert float(on.max()) < 1e-4
    assert float(ds["turned_error"].sel(experiment="coordinates", angle_deg=90).max()) > BROKEN


def test_the_study_of_grids_is_exact_where_rotations_permute_the_grid():
    from workbench.groups import SO3
    from workbench.groups.orientations import icosahedral_rotations

    sixty = SO3().matrix(icosahedral_rotations(torch.float64))[1::15]
    assert float(turn_errors("icosahedral(32)", 0, sixty).max()) < 1e-11
    assert float(turn_errors("fibonacci(32)", 0, sixty)[:, 0].min()) > 1e-3
    ds = grid_errors(fast=True)
    assert ds["grid"].values.tolist() == list(GRIDS)
    assert bool(np.isfinite(ds["grid_error"]).all())
