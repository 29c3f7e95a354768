"""Where frames of principal axes fail: molecules that have none, answers that jump, slopes without bound.

A study of :mod:`workbench.models.symmetrised_potential`, on the relaxed molecules of the G2 set, with random networks
of their coordinates. That clouds with symmetries leave no continuous choice of one pose is shown by N. Dym, H.
Lawrence, J. W. Siegel, 2024, "Equivariant Frames and the Impossibility of Continuous Canonicalization" (unverified).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from workbench.groups import SO3
from workbench.layers.frames import FrameAveraged, eigenvalue_gap, principal_frames

if TYPE_CHECKING:
    import xarray as xr

GAPS = (1e-1, 1e-3, 1e-5, 1e-7)
DRAWS, TURNS, STRETCHES = 5, 20, 41
REACH = 0.1
"""How far the stretch goes to both sides of where two axes are equally long, as a share of it."""
HIDDEN = 32
SHARP = 4.0
"""Factor of the first weights: with smaller ones the network is almost linear, and means over frames almost zero."""


def frame_faults(runs: Mapping[tuple[str, int], Path] | None = None, fast: bool = False) -> xr.Dataset:
    """Gaps of all species, what is left of the pose in float32, a jump, and slopes by gap.

    Args:
        runs: not read; every study is handed them.
        fast: fewer networks.

    Returns:
        `gap(species)` of the relaxed molecules and `gap_rattled(species, copy)`, shares of the sum of eigenvalues;
        `pose_left(species, draw)`, the spread over rotations of a network averaged over frames as a share of the bare
        one's, float32; `answer(stretch, draw)` of ethanol while one axis is stretched past another, and `slope(made,
        draw)`, the length of the gradient at a gap made so, float64.
    """
    import xarray as xr

    from workbench.measure import labelled, provenance

    draws = 2 if fast else DRAWS
    clouds, rattled, names = _species()
    gaps = np.array([float(eigenvalue_gap(cloud[None])) for cloud in clouds])
    left = np.array([[pose_left(cloud.float(), draw) for draw in range(draws)] for cloud in clouds])
    upright, spread = _upright(clouds[names.index("CH3CH2OH")])
    crossing = float((spread[2] / spread[1]).sqrt())
    stretch = torch.linspace(1 - REACH, 1 + REACH, STRETCHES, dtype=torch.float64)
    passing = torch.stack([_stretched(upright, crossing * float(share)) for share in stretch])
    answers = torch.stack([_averaged(len(upright), draw)(passing).flatten() for draw in range(draws)], 1)
    slopes = np.array([[slope(gap, draw) for draw in range(draws)] for gap in GAPS])
    return xr.Dataset(
        {
            "gap": labelled("species", gaps, "smallest difference of eigenvalues over their sum"),
            "gap_rattled": labelled(("species", "copy"), rattled, "the same, rattled by 0.05 angstrom"),
            "pose_left": labelled(("species", "draw"), left, "spread over rotations over that of the bare network"),
            "answer": labelled(("stretch", "draw"), answers.detach(), "answer averaged over frames"),
            "slope": labelled(("made", "draw"), slopes, "length of the gradient", "1/angstrom"),
        },
        {
            "species": labelled("species", np.asarray(names, dtype=str), "molecule"),
            "stretch": labelled("stretch", stretch, "stretch, 1 where two axes are equally long"),
            "made": labelled("made", np.asarray(GAPS), "gap that was made"),
            "draw": labelled("draw", np.arange(draws), "network"),
            "copy": labelled("copy", np.arange(rattled.shape[1]), "rattled copy"),
        },
        provenance(
            "frame_faults", seed=list(range(draws)), dtype="float32 and float64", resampler="none: points are turned",
            reduction="none", input_kind="relaxed G2 molecules, random networks", turns=TURNS,
        ),
    )  # fmt: skip


@torch.no_grad()
def pose_left(cloud: Tensor, draw: int, turns: int = TURNS) -> float:
    """Standard deviation over random rotations of a random network averaged over frames, over the bare one's.

    Args:
        cloud: ``(N, 3)``; its precision is that of the network.
        draw: of network and rotations.
        turns: how many rotations.

    >>> water = torch.tensor([[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]])
    >>> pose_left(water, 0) < 1e-3
    True
    """
    group = SO3()
    turn = group.matrix(group.sample(turns, torch.Generator().manual_seed(draw), torch.float64)).to(cloud)
    posed = (cloud - cloud.mean(0)) @ turn.mT
    net = _averaged(len(cloud), draw).to(cloud.dtype)
    return float(net(posed).std() / net.network(posed).std())


def slope(gap: float, draw: int) -> float:
    """Length of the gradient of a random network averaged over frames, where ethanol's gap was made so, in 1/angstrom.

    Args:
        gap: of the two shorter axes, as a share of the sum of eigenvalues.
        draw: of the network.
    """
    clouds, _, names = _species()
    upright, spread = _upright(clouds[names.index("CH3CH2OH")])
    wanted = (spread[0] + gap * (spread[0] + spread[2])) / (1 - gap)
    x = _stretched(upright, float((wanted / spread[1]).sqrt())).requires_grad_()
    (found,) = torch.autograd.grad(_averaged(len(x), draw)(x[None]).sum(), x)
    return float(found.norm())


def random_network(count: int, draw: int) -> nn.Module:
    """A random network of the coordinates of `count` points in a row, float64: ``(B, N, 3)`` to ``(B, 1)``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draw)
        net = nn.Sequential(nn.Flatten(), nn.Linear(3 * count, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1))
    net = net.double().requires_grad_(False)
    next(net.parameters()).mul_(SHARP)
    return net


def _averaged(count: int, draw: int) -> FrameAveraged:
    return FrameAveraged(random_network(count, draw))


@lru_cache(maxsize=1)
def _species() -> tuple[list[Tensor], np.ndarray, list[str]]:
    """The relaxed molecules ``(N, 3)`` of the G2 set, the gaps of their rattled copies, and names."""
    from workbench.datasets.molecules import molecules

    found = molecules("g2")
    kinds, rattle = found["species"].values, found["rattle"].values
    clouds = [
        torch.from_numpy(each[number > 0])
        for each, number in zip(found["positions"].values, found["numbers"].values, strict=True)
    ]
    names = [str(kind) for kind in kinds[rattle == 0]]
    others = [[clouds[at] for at in np.flatnonzero((kinds == name) & (rattle > 0))] for name in names]
    gaps = np.array([[float(eigenvalue_gap(cloud[None])) for cloud in each] for each in others])
    return [cloud for cloud, still in zip(clouds, rattle == 0, strict=True) if still], gaps, names


def _upright(cloud: Tensor) -> tuple[Tensor, Tensor]:
    """The cloud along its principal axes, about its centre, and the eigenvalues, growing."""
    frames, centre = principal_frames(cloud[None])
    upright = (cloud - centre) @ frames[0, 0]
    return upright, upright.square().sum(0)


def _stretched(upright: Tensor, factor: float) -> Tensor:
    return upright * upright.new_tensor([1.0, factor, 1.0])
