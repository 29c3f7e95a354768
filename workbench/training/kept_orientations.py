"""What turning a cloud of points changes in networks over grids of orientations, by their grid.

A study of :mod:`workbench.models.orientation_potential`. Points are turned, no image is resampled.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from workbench.groups import SO3
from workbench.groups.orientations import design_strength, orientation_grid
from workbench.layers.position_orientation import PositionOrientationNet

if TYPE_CHECKING:
    import xarray as xr

GRIDS = (
    "fibonacci(8)", "icosahedron", "repulsion(12)", "fibonacci(12)", "dodecahedron", "repulsion(20)", "fibonacci(20)",
    "icosahedral(32)", "repulsion(32)", "fibonacci(32)", "fibonacci(64)",
)  # fmt: skip
DRAWS, TURNS, POINTS = 10, 30, 6
SPREAD = 0.3
"""Standard deviation of the coordinates of random clouds."""


def grid_errors(runs: Mapping[tuple[str, int], Path] | None = None, fast: bool = False) -> xr.Dataset:
    """What random rotations cost networks of random weights in space, by their grid of orientations.

    Two layers of 16 channels, vectors read out from one scalar a point, the paper's three invariants, float64.

    Args:
        runs: not read; every study is handed them.
        fast: fewer networks and rotations.

    Returns:
        `grid_error(grid, draw)` and `grid_scalar_error`: for each network the median over random rotations R of
        |f(Rx) - R f(x)| / |f(x)|, of vectors and of scalars; `strength(grid)` of the grid as a design.
    """
    import xarray as xr

    from workbench.measure import labelled, provenance

    draws, turns = (2, 4) if fast else (DRAWS, TURNS)
    found = np.array([[random_turn_error(grid, draw, turns) for draw in range(draws)] for grid in GRIDS])
    strengths = [design_strength(orientation_grid(grid, dtype=torch.float64)) for grid in GRIDS]
    words = "relative error under a random rotation, median over rotations"
    return xr.Dataset(
        {
            "grid_error": labelled(("grid", "draw"), found[..., 0], f"{words}, vectors"),
            "grid_scalar_error": labelled(("grid", "draw"), found[..., 1], f"{words}, scalars"),
            "strength": labelled("grid", np.asarray(strengths), "degree up to which the grid is a design"),
        },
        {
            "grid": labelled("grid", np.asarray(GRIDS, dtype=str), "grid of orientations"),
            "draw": labelled("draw", np.arange(draws), "network and cloud"),
        },
        provenance(
            "grid_errors", seed=list(range(draws)), dtype="float64", resampler="none: points are turned",
            reduction="median over rotations", input_kind=f"{POINTS} normally distributed points", turns=turns,
        ),
    )  # fmt: skip


def random_turn_error(grid: str, seed: int, turns: int) -> tuple[float, float]:
    """Median relative error of vectors and of scalars of one random network and cloud over random rotations.

    Args:
        grid: of the network.
        seed: of weights, cloud and rotations.
        turns: how many rotations.

    >>> random_turn_error("icosahedron", 0, 3)[0] < random_turn_error("fibonacci(8)", 0, 3)[0]
    True
    """
    elements = SO3().sample(turns, torch.Generator().manual_seed(seed), dtype=torch.float64)
    vectors, scalars = turn_errors(grid, seed, SO3().matrix(elements)).median(0).values.tolist()
    return vectors, scalars


@torch.no_grad()
def turn_errors(grid: str, seed: int, matrices: Tensor) -> Tensor:
    """Relative errors ``(R, 2)`` of vectors and of scalars of one random network and cloud under given rotations.

    Args:
        grid: of the network.
        seed: of weights and cloud.
        matrices: rotations ``(R, 3, 3)``, float64.
    """
    draw = torch.Generator().manual_seed(seed)
    x = SPREAD * torch.randn(POINTS, 3, generator=draw, dtype=torch.float64)
    scalars = torch.randn(POINTS, 1, generator=draw, dtype=torch.float64)
    net = _random_network(grid, seed)
    poses = torch.cat([torch.eye(3, dtype=torch.float64)[None], matrices])
    each, sender, receiver = (~torch.eye(POINTS, dtype=torch.bool)).expand(len(poses), -1, -1).nonzero().unbind(1)
    relative = torch.einsum("eij,ej->ei", poses[each], x[sender] - x[receiver])
    first = each * POINTS  # all poses in one pass, as clouds that do not hear of each other
    said, pointed = net(scalars.repeat(len(poses), 1), first + sender, first + receiver, relative)
    said, pointed = said.view(len(poses), POINTS), pointed.view(len(poses), POINTS, 3)
    wrong = (pointed - pointed[0] @ poses.mT)[1:].flatten(1).norm(dim=1) / pointed[0].norm()
    change = (said - said[0])[1:].norm(dim=1) / said[0].norm()
    return torch.stack([wrong, change], -1)


@lru_cache(maxsize=64)
def _random_network(grid: str, seed: int) -> PositionOrientationNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = PositionOrientationNet(1, 0, 1, 1, grid=grid, channels=16)
    return net.double().eval().requires_grad_(False)
