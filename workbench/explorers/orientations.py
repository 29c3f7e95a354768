"""What does a grid of orientations cost, and what does it see?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import param
import torch
import xarray as xr

from workbench.explorers._explorer import Explorer
from workbench.groups import SO3
from workbench.groups.orientations import design_strength, icosahedral_rotations, orientation_grid
from workbench.layers.pair_invariants import pair_invariants
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.training.kept_orientations import turn_errors
from workbench.views.orientations import orientation_picture

GRIDS = (
    "icosahedron", "dodecahedron", "icosahedral(32)", "repulsion(12)", "repulsion(20)", "fibonacci(12)",
    "fibonacci(32)",
)  # fmt: skip
AXES = {
    "a vertex, fivefold": "vertex", "a face, threefold": "face", "an edge, twofold": "edge", "none of these": "none",
}  # fmt: skip
STEP_DEG, COARSE_DEG = 6, 40
WHILE_MOVING = ("icosahedron", "icosahedral(32)", "fibonacci(32)")
INVARIANTS = ("along the receiver", "across it", "receiver and sender", "along the sender", "handedness")
APART_DEG, TO_SENDER = 50.0, (1.0, 0.0, 0.4)


class OrientationsExplorer(Explorer):
    """A grid on the sphere, errors of random networks on it and on others, and the invariants of one pair.

    >>> ds = OrientationsExplorer(turn_deg=72).dataset()
    >>> bool(ds["error"].sel(name="icosahedron") < 1e-12), bool(ds["error"].sel(name="fibonacci(12)") > 0.05)
    (True, True)
    """

    slug = "orientations"
    title = "Orientations"
    question = "What does a grid of orientations cost, and what does it see?"
    explanation = (
        "A network over positions and orientations keeps features in every direction of a grid on the sphere. Turn the "
        "cloud of points that it looks at, and its arrows should turn along. They do so exactly only where the "
        "rotation takes the grid onto itself: try a fifth of a turn about a vertex of the icosahedron. Elsewhere the "
        "curve shows how far they are from it, and the bars compare the grids at this turn: points that are spread "
        "like the corners of a regular solid do far better than as many points on a spiral. The networks have random "
        "weights: training can make a grid felt more, as notebook 14 shows of trained ones. The lowest curves show "
        "what the kernels know of a pair of points with orientations. Turn the sender's orientation about the "
        "receiver's: the paper's three numbers do not move at all, so that no kernel of them can tell these pairs "
        "apart; a fourth moves, and a fifth knows left from right."
    )
    heavy = True

    grid = param.Selector(
        objects=list(GRIDS), default="icosahedron", label="Grid", doc="Directions in which every point has features."
    )
    axis = param.Selector(
        objects=AXES, default="vertex", label="Turn about", doc="The axis of the rotation, seen in the icosahedron."
    )
    turn_deg = param.Number(
        30.0, bounds=(0, 360), step=1, label="Turn the cloud (degrees)", doc="How far the cloud of points is turned."
    )
    around_deg = param.Number(
        115.0,
        bounds=(0, 360),
        step=1,
        label="Turn the sender (degrees)",
        doc="About the receiver's orientation: the direction in which three invariants are blind.",
    )
    seed = param.Integer(0, bounds=(0, 50), step=1, label="Seed", doc="Another network and another cloud.")

    def compute(self) -> xr.Dataset:
        """The grid and where the turn takes it, errors along the circle and of all grids, invariants all round."""
        shown = [name for name in GRIDS if not self.coarse or name in (self.grid, *WHILE_MOVING)]
        step = COARSE_DEG if self.coarse else STEP_DEG
        return orientation_dataset(self.grid, self.axis, self.turn_deg, self.around_deg, self.seed, shown, step)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return orientation_picture(ds)


EXPLORER = OrientationsExplorer


def orientation_dataset(
    grid: str, axis: str, turn_deg: float, around_deg: float, seed: int, names: Sequence[str] = GRIDS,
    step_deg: int = STEP_DEG,
) -> xr.Dataset:  # fmt: skip
    """What the explorer shows.

    Args:
        grid: its name.
        axis: "vertex", "face", "edge" or "none": the axis of the turn.
        turn_deg: of the cloud.
        around_deg: turn of the sender's orientation about the receiver's.
        seed: of network and cloud.
        names: of the grids to compare.
        step_deg: of the curve.

    Returns:
        `point(orientation, xyz)`, `moved` likewise, `weight(orientation)`; `curve(angle_deg)` of the chosen grid and
        `error(name)` of these grids at the turn, relative errors of vectors; `invariant(kind, around_deg)` of one pair
        and `invariant_now(kind)`; scalars `turn_shown_deg`, `around_shown_deg`.
    """
    found = orientation_grid(grid, dtype=torch.float64)
    turn = _turns(axis, (turn_deg,))[0]
    angles = np.arange(0, 360 + step_deg, step_deg)
    around = np.arange(0, 361, 10.0)
    invariants = _invariants(np.append(around, around_deg))
    errors = [float(_errors(name, seed, axis, (turn_deg,))[0]) for name in names]
    curve = _errors(grid, seed, axis, tuple(angles.tolist()))
    points = ("orientation", "xyz")
    return xr.Dataset(
        {
            "point": labelled(points, found.points, "orientations of the grid"),
            "moved": labelled(points, found.points @ turn.T, "where the turn takes them"),
            "weight": labelled("orientation", found.weights, "share of the whole"),
            "curve": labelled("angle_deg", curve, "relative error of vectors"),
            "error": labelled("name", np.asarray(errors), "relative error of vectors"),
            "invariant": labelled(("kind", "around_deg"), invariants[:, :-1], "invariants of the pair"),
            "invariant_now": labelled("kind", invariants[:, -1], "invariants of the pair"),
            "turn_shown_deg": labelled((), float(turn_deg), "turn of the cloud", "degree"),
            "around_shown_deg": labelled((), float(around_deg), "turn of the sender", "degree"),
        },
        {
            "angle_deg": labelled("angle_deg", angles.astype(float), "turn of the cloud", "degree"),
            "around_deg": labelled("around_deg", around, "turn of the sender about the receiver", "degree"),
            "name": labelled("name", np.asarray(names, dtype=str), "grid"),
            "kind": labelled("kind", np.asarray(INVARIANTS, dtype=str), "invariant"),
        },
        provenance(
            "orientation_dataset", seed=seed, dtype="float64", resampler="none: points are turned", reduction="none",
            input_kind="a random cloud of points",
            showing="" if len(names) == len(GRIDS) else f"showing {len(names)} of {len(GRIDS)} grids",
            grid=grid, axis=axis, strength=design_strength(found),
        ),
    )  # fmt: skip


def _turns(axis: str, angles_deg: tuple[float, ...]) -> torch.Tensor:
    """Rotations about an axis of the icosahedron, or about one that is none of its axes: ``(A, 3, 3)``."""
    return SO3().matrix(SO3().exp(torch.deg2rad(torch.tensor(angles_deg).double())[:, None] * _axes()[axis]))


@lru_cache(maxsize=1)
def _axes() -> dict[str, torch.Tensor]:
    vertices, faces = (orientation_grid(name, dtype=torch.float64).points for name in ("icosahedron", "dodecahedron"))
    halves = icosahedral_rotations(torch.float64)
    edge = halves[halves[:, 0].abs() < 1e-9][3, 1:]
    oblique = torch.nn.functional.normalize(torch.tensor([0.3, -0.5, 0.8]).double(), dim=0)
    return {"vertex": vertices[0], "face": faces[0], "edge": edge, "none": oblique}


@lru_cache(maxsize=512)
def _errors(grid: str, seed: int, axis: str, angles_deg: tuple[float, ...]) -> np.ndarray:
    """Relative errors of the vectors at each angle."""
    found = turn_errors(grid, seed, _turns(axis, angles_deg))[:, 0].numpy()
    found.flags.writeable = False
    return found


def _invariants(around_deg: np.ndarray) -> np.ndarray:
    """The five invariants of one pair for each turn of the sender's orientation: ``(5, A)``."""
    phi, apart = torch.deg2rad(torch.from_numpy(around_deg)), torch.deg2rad(torch.tensor(APART_DEG).double())
    sender = torch.stack([apart.sin() * phi.cos(), apart.sin() * phi.sin(), apart.cos().expand_as(phi)], -1)
    r, receiver = torch.tensor(TO_SENDER).double(), torch.tensor([0.0, 0.0, 1.0]).double()
    return pair_invariants("chiral5", r, receiver, sender).T.numpy()
