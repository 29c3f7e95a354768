"""The study of grids of orientations: exact where rotations permute the grid, and nowhere on a spiral."""

import numpy as np
import torch

from tests.tolerances import SPACE
from workbench.groups import SO3
from workbench.groups.orientations import icosahedral_rotations
from workbench.training.kept_orientations import GRIDS, grid_errors, turn_errors


def test_networks_are_exact_where_rotations_permute_their_grid():
    sixty = SO3().matrix(icosahedral_rotations(torch.float64))[1::15]
    assert float(turn_errors("icosahedral(32)", 0, sixty).max()) < SPACE[torch.float64]
    assert float(turn_errors("fibonacci(32)", 0, sixty)[:, 0].min()) > 1e-3, "the twin: another grid"


def test_the_study_holds_every_grid():
    ds = grid_errors(fast=True)
    assert ds["grid"].values.tolist() == list(GRIDS)
    assert bool(np.isfinite(ds["grid_error"]).all())
    errors = ds["grid_error"].mean("draw")
    assert float(errors.sel(grid="icosahedral(32)")) < float(errors.sel(grid="fibonacci(32)"))
