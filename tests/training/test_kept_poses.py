"""The study of poses: it reads run folders, says what is exact, and compares with fresh weights of the same build."""

import numpy as np
import torch

from workbench.datasets.molecules import load_molecules
from workbench.models import build_model
from workbench.training import Run
from workbench.training.kept_poses import errors_by_pose, untrained

NETWORKS = {
    "distances": {"name": "orientation_potential", "grid": "distances", "channels": 4, "layers": 1},
    "spiral": {"name": "orientation_potential", "grid": "fibonacci(8)", "channels": 4, "layers": 1},
    "bare": {"name": "symmetrised_potential", "hidden": 8},
}


def kept(folder, name):
    config = {"model": NETWORKS[name], "data": {"name": "ethanol", "train": 10}, "training": {"epochs": 1}, "seed": 2}
    run = Run.create(folder / name, config)
    torch.manual_seed(1)
    run.save_weights(build_model(NETWORKS[name]).state_dict())
    return run


def test_errors_of_poses_tell_what_is_exact_from_what_is_not(tmp_path):
    runs = {(name, 2): kept(tmp_path, name).path for name in NETWORKS}
    ds = errors_by_pose(runs, fast=True)
    assert ds["pose_force_mae"].dims == ("experiment", "seed", "pose")
    assert ds["pose_force_mae"].units == "meV/angstrom"
    assert bool(np.isfinite(ds["turning_error"]).all())
    errors = ds["turning_error"].max(("seed", "weights"))
    assert float(errors.sel(experiment="distances")) < 1e-4
    assert float(errors.sel(experiment="spiral")) > 1e-3, "the twin: a grid"
    assert float(errors.sel(experiment="bare")) > 0.1, "the twin: no symmetry"


def test_untrained_networks_are_fresh_scaled_and_repeatable_and_leave_the_generator(tmp_path):
    run = kept(tmp_path, "spiral")
    first = load_molecules("ethanol", train=10).splits["train"]
    before = torch.get_rng_state()
    one, two = untrained(run, first), untrained(run, first)
    assert torch.equal(before, torch.get_rng_state())
    assert not one.training
    assert bool(one.network.calibrated)
    states = [net.state_dict() for net in (one, two, run.model())]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not torch.equal(states[0]["network.lift.weight"], states[2]["network.lift.weight"])
    assert torch.equal(states[0]["references"], states[2]["references"])
