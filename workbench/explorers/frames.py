"""When does averaging over frames make a network symmetric, and when does it break it?"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import param
import torch
import xarray as xr
from torch import Tensor

from workbench.explorers._explorer import Explorer
from workbench.explorers._potentials import bonds, shipped_molecule
from workbench.groups import SO3
from workbench.groups.orientations import icosahedral_rotations
from workbench.layers.frames import FrameAveraged, GroupAveraged, eigenvalue_gap, principal_frames
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.models.symmetrised_potential import first_atoms
from workbench.training.frame_faults import random_network
from workbench.views.frames import frames_picture

MOLECULES = {"ethanol": "CH3CH2OH", "benzene": "C6H6", "methane": "CH4", "water": "H2O"}
WAYS = ("bare", "frames", "one pose", "60 rotations")
SQUEEZES = (0.5, 1.5)
AXIS = (0.3, -0.5, 0.8)
STEPS, COARSE_STEPS = 80, 16


class FramesExplorer(Explorer):
    """A molecule with its principal axes, squeezed past where two are equally long, and what four networks answer.

    >>> ds = FramesExplorer(molecule="H2O", turn_deg=70).dataset()
    >>> about = ds["answer_turned"].std("turn_deg") / ds["answer_turned"].sel(way="bare").std("turn_deg")
    >>> bool(about.sel(way="frames") < 1e-3), bool(about.sel(way="bare") == 1)
    (True, True)
    """

    slug = "frames"
    title = "Frames"
    question = "When do frames make a network symmetric, and when do they break it?"
    explanation = (
        "A random network reads the coordinates of a molecule in a row: turn the molecule, and it answers something "
        "else. Averaged over the four frames of the molecule's principal axes, its answer does not depend on the pose. "
        "Now squeeze the molecule: where two axes become equally long their directions change places, and the averaged "
        "answer jumps. At a symmetric molecule, such as benzene as it is, the axes are not defined at all, and the "
        "pose is back in the answer. One pose read from the first three atoms does not jump, but needs the atoms in a "
        "fixed order. The mean over the 60 rotations of the icosahedron never jumps either; it is exact only for those."
    )
    heavy = True

    molecule = param.Selector(
        objects=MOLECULES, default="CH3CH2OH", label="Molecule", doc="At rest, atoms in their order in the G2 set."
    )
    squeeze = param.Number(
        1.0, bounds=SQUEEZES, step=0.005, label="Squeeze", doc="Factor of the extent along the middle principal axis."
    )
    turn_deg = param.Number(
        40.0, bounds=(0, 360), step=1, label="Turn the molecule (degrees)", doc="About a fixed axis through its middle."
    )
    seed = param.Integer(0, bounds=(0, 50), step=1, label="Seed", doc="Another random network.")

    def compute(self) -> xr.Dataset:
        """The molecule and its axes, answers while it is squeezed and while it is turned, and the gap."""
        steps = COARSE_STEPS if self.coarse else STEPS
        return frames_dataset(self.molecule, self.squeeze, self.turn_deg, self.seed, steps)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return frames_picture(ds)


EXPLORER = FramesExplorer


@torch.no_grad()
def frames_dataset(species: str, squeeze: float, turn_deg: float, seed: int, steps: int = STEPS) -> xr.Dataset:
    """What the explorer shows.

    Args:
        species: of the G2 set.
        squeeze: factor along the middle principal axis.
        turn_deg: of the molecule.
        seed: of the network.
        steps: of the curves.

    Returns:
        `positions(atom, xyz)`, `bonded(bond, end)`, `axes(axis, xyz)` as long as the root mean square extent;
        `answer(way, squeeze)` in the pose shown, less that of the molecule at rest, and `gap(squeeze)`;
        `answer_turned(way, turn_deg)` of the squeezed molecule; `answer_now(way)`, `gap_now`, `squeeze_shown`,
        `turn_shown_deg`.
    """
    numbers, upright = _upright(species)
    amounts = torch.linspace(*SQUEEZES, steps + 1, dtype=torch.float64)
    angles = torch.linspace(0, 360, steps + 1, dtype=torch.float64)
    here = _turn(torch.tensor([turn_deg], dtype=torch.float64))
    squeezed = _squeezed(upright, torch.cat([amounts, amounts.new_tensor([1.0, squeeze])]))
    now = squeezed[-1]
    posed, turned = (squeezed @ here.mT).float(), (now @ _turn(angles).mT).float()
    answers = np.stack([net(posed).flatten().numpy() for net in _networks(len(upright), seed)])
    around = np.stack([net(turned).flatten().numpy() for net in _networks(len(upright), seed)])
    gaps = eigenvalue_gap(squeezed).numpy()
    shown = now @ here[0].mT
    frames, _ = principal_frames(shown[None])
    extent = (shown @ frames[0, 0]).square().mean(0).sqrt()
    pairs = bonds(numbers, shown.numpy())
    return xr.Dataset(
        {
            "positions": labelled(("atom", "xyz"), shown, "position", "angstrom"),
            "bonded": labelled(("bond", "end"), pairs.reshape(-1, 2), "bonded atoms"),
            "axes": labelled(("axis", "xyz"), (frames[0, 0] * extent).mT, "principal axes", "angstrom"),
            "answer": labelled(("way", "squeeze"), answers[:, :-2] - answers[:, -2:-1], "change of the answer"),
            "gap": labelled("squeeze", gaps[:-2], "smallest difference of eigenvalues over their sum"),
            "answer_turned": labelled(("way", "turn_deg"), around, "answer"),
            "answer_now": labelled("way", answers[:, -1], "answer"),
            "gap_now": labelled((), float(gaps[-1]), "gap of eigenvalues"),
            "squeeze_shown": labelled((), float(squeeze), "squeeze"),
            "turn_shown_deg": labelled((), float(turn_deg), "turn", "degree"),
        },
        {
            "symbol": labelled("atom", _symbols(species), "element"),
            "way": labelled("way", np.asarray(WAYS, dtype=str), "network"),
            "squeeze": labelled("squeeze", amounts, "squeeze"),
            "turn_deg": labelled("turn_deg", angles, "turn of the molecule", "degree"),
        },
        provenance(
            "frames_dataset", seed=seed, dtype="float32", resampler="none: points are turned", reduction="none",
            input_kind=f"relaxed {species}, a random network of its coordinates", formula=species, steps=steps,
        ),
    )  # fmt: skip


@lru_cache(maxsize=8)
def _upright(species: str) -> tuple[np.ndarray, Tensor]:
    """Atomic numbers, and the molecule along its principal axes about its centre, the shortest first."""
    molecule = shipped_molecule(species, rattled=False)
    cloud = torch.from_numpy(np.asarray(molecule.positions, dtype=np.float64))
    frames, centre = principal_frames(cloud[None])
    return molecule.numbers, (cloud - centre) @ frames[0, 0]


def _symbols(species: str) -> np.ndarray:
    return np.array(shipped_molecule(species, rattled=False).symbols, dtype=str)


@lru_cache(maxsize=8)
def _networks(count: int, seed: int) -> tuple[Any, ...]:
    bare = random_network(count, seed).float()
    sixty = SO3().matrix(icosahedral_rotations(torch.float64)).float()
    return bare, FrameAveraged(bare), FrameAveraged(bare, first_atoms), GroupAveraged(bare, sixty)


def _squeezed(upright: Tensor, amounts: Tensor) -> Tensor:
    """``(S, N, 3)``: the middle axis times each amount."""
    one = torch.ones_like(amounts)
    return upright * torch.stack([one, amounts, one], -1)[:, None]


def _turn(angles_deg: Tensor) -> Tensor:
    axis = torch.nn.functional.normalize(torch.tensor(AXIS, dtype=torch.float64), dim=0)
    return SO3().matrix(SO3().exp(torch.deg2rad(angles_deg)[:, None] * axis))
