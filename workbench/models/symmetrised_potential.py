"""A plain network of all coordinates of one molecule, and ways to make it symmetric: turns in training, frames, a pose.

O. Puny, M. Atzmon, H. Ben-Hamu, I. Misra, A. Grover, E. J. Smith, Y. Lipman, "Frame Averaging for Invariant and
Equivariant Network Design", ICLR 2022, arXiv 2110.03336, of which we read the abstract and the released code. Theirs
are bodies that repel each other and graphs; ours is ethanol, whose forces need the slopes of the frames, which the
released code leaves out. The one pose by Gram-Schmidt is a fixed choice of atoms, after S.-O. Kaba et al., ICML 2023,
who learn it. Sentences and what counts as reproduced were written before the results, bands after them.

Lengths in angstrom, energies in eV, forces in eV/angstrom.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from workbench.layers.frames import FrameAveraged, gram_schmidt
from workbench.models._checks import check_choices, check_integers, check_switches, from_preset
from workbench.models._energies import HEAVIEST, Energies, check_overlap
from workbench.models.method import Claim, Experiment, Method

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

NAME = "symmetrised_potential"
WAYS = ("coordinates", "frames", "pose")


@dataclass(frozen=True)
class Config:
    """What a potential of coordinates is made of.

    way      "coordinates" as they come; "frames": the mean over the four frames of principal axes; "pose": the one
             frame of the first three atoms.
    turned   whether molecules are turned at random in training.
    hidden   width of the three hidden layers.
    atoms    atomic numbers of the one molecule that it knows, in this order.
    """

    way: str = "coordinates"
    turned: bool = False
    hidden: int = 128
    atoms: tuple[int, ...] = (6, 6, 8, 1, 1, 1, 1, 1, 1)


class SymmetrisedPotential(Energies):
    """The coordinates of a molecule, from their centre, in a row to its energy; an atom alone has its reference."""

    def __init__(self, config: Config) -> None:
        super().__init__(NAME, sorted(set(config.atoms)), config.turned)
        self.config = config
        width, hidden = 3 * len(config.atoms), config.hidden
        plain = nn.Sequential(
            nn.Flatten(), nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(),
            nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 1),
        )  # fmt: skip
        ways = {"frames": lambda: FrameAveraged(plain), "pose": lambda: FrameAveraged(plain, first_atoms)}
        self.network: nn.Module = ways[config.way]() if config.way in ways else plain

    def above(self, positions: Tensor, numbers: Tensor, batch: Tensor) -> Tensor:
        """Energy of each molecule over the sum of its references, ``(B,)`` in eV.

        Raises:
            ValueError: for another molecule, its atoms in another order, or atoms that overlap.
        """
        counts = torch.bincount(batch)
        if bool((counts <= 1).all()):
            return positions.sum() * positions.new_zeros(len(counts))
        known = torch.tensor(self.config.atoms, device=numbers.device)
        order = torch.argsort(batch, stable=True)
        good = bool((counts == len(known)).all()) and torch.equal(numbers[order], known.repeat(len(counts)))
        if not good:
            raise ValueError(
                f"{NAME}: other atoms, or in another order, were given than {', '.join(map(str, self.config.atoms))}; "
                "a network of coordinates in a row knows one molecule; train one on yours."
            )
        points = positions[order].unflatten(0, (len(counts), len(known)))
        _check_pairs(points, order.view(len(counts), len(known)))
        said: Tensor = self.network(points - points.mean(1, keepdim=True))
        return said.squeeze(-1)

    def energy_and_forces(
        self, positions: Tensor, numbers: Tensor, batch: Tensor | None = None, cell: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As every potential's, and a ValueError where the energy has no slope: frames at equal principal moments."""
        energy, forces = super().energy_and_forces(positions, numbers, batch, cell)
        if not bool(torch.isfinite(forces).all()):
            raise ValueError(
                f"{NAME}: forces were asked where the energy has no slope; expected a molecule whose principal axes "
                "are told apart, which those of a linear or highly symmetric one are not; average over a group "
                "instead of frames, or move its atoms a little."
            )
        return energy, forces


def _check_pairs(points: Tensor, atoms: Tensor) -> None:
    """Refuse molecules ``(B, N, 3)`` whose atoms overlap; `atoms` ``(B, N)`` is where each of them was given."""
    first, second = torch.triu_indices(points.shape[1], points.shape[1], 1, device=points.device)
    apart = torch.linalg.vector_norm(points[:, second] - points[:, first], dim=-1)
    check_overlap(NAME, apart.flatten(), atoms[:, first].flatten(), atoms[:, second].flatten())


def first_atoms(points: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The frame of the bonds from the first atom to the second and on to the third: ``(B, 1, 3, 3)``; the centre.

    Args:
        points: ``(B, N, 3)``, the first three not on a line. weights: not read.

    >>> frames, _ = first_atoms(torch.tensor([[[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [2.0, 1.0, 0.0]]]))
    >>> torch.equal(frames[0, 0], torch.eye(3))
    True
    """
    return gram_schmidt(points[:, :3].diff(dim=1))[:, None], points.mean(1)


def build(config: Mapping[str, Any]) -> SymmetrisedPotential:
    """A potential of one molecule from positions and atomic numbers to its energy; forces by ``energy_and_forces``.

    Args:
        config: the entries of :class:`Config`, each with a default.

    Raises:
        ValueError: for another key, or values that cannot be.

    >>> model = build({"way": "frames", "hidden": 4, "atoms": (8, 1, 1)}).eval()
    >>> water = torch.tensor([[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]])
    >>> energy, forces = model.energy_and_forces(water, torch.tensor([8, 1, 1]))
    >>> energy.shape, forces.shape
    (torch.Size([1]), torch.Size([3, 3]))
    """
    chosen = from_preset(NAME, config, {"demo": {}}, Config)
    check_choices(NAME, chosen, way=WAYS)
    check_switches(NAME, turned=chosen.turned)
    check_integers(NAME, hidden=chosen.hidden)
    atoms = tuple(chosen.atoms) if isinstance(chosen.atoms, tuple | list) else ()
    good = all(isinstance(z, int) and not isinstance(z, bool) and 1 <= z <= HEAVIEST for z in atoms)
    if len(atoms) < 3 or not good:
        raise ValueError(
            f"{NAME}: atoms = {chosen.atoms!r} was given; expected the atomic numbers of a molecule of at least three "
            "atoms, such as (8, 1, 1)."
        )
    return SymmetrisedPotential(replace(chosen, atoms=atoms))


RECIPE: dict[str, Any] = {
    "epochs": 25, "batch_size": 10, "lr": 2e-3, "schedule": "one-cycle", "error_points": 1, "snapshots": 0,
    "device": "cpu",
}  # fmt: skip
NETWORKS: dict[str, dict[str, Any]] = {
    "coordinates": {"way": "coordinates"},
    "coordinates-turned": {"way": "coordinates", "turned": True},
    "frames": {"way": "frames"},
    "pose": {"way": "pose"},
}
_CARD = "abstract: averaging over frames makes any network exactly symmetric and keeps what it can say"
_HERE = "measured here"


def _forces(d: xr.Dataset, experiment: str, pose: str = "rotated") -> np.ndarray:
    return d["pose_force_mae"].sel(experiment=experiment, pose=pose).values


def _above_one(ratio: np.ndarray) -> bool:
    """Whether the mean over seeds stands above one by two of its standard errors."""
    return bool(ratio.mean() - 1 > 2 * ratio.std(ddof=1) / len(ratio) ** 0.5)


def _better(better: str, worse: str, sentence: str, band: tuple[float, float]) -> Claim:
    def ratio(d: xr.Dataset) -> np.ndarray:
        return _forces(d, worse) / _forces(d, better)

    return Claim(f"{better}-{worse}", sentence, _HERE, None, "1", ratio, band, lambda d: _above_one(ratio(d)))


def _exact(name: str, words: str) -> Claim:
    def error(d: xr.Dataset) -> np.ndarray:
        return d["turning_error"].sel(experiment=name, weights="trained").values

    return Claim(
        f"{name}-exact", f"{words} is equivariant to rounding after training.", _CARD, "exact", "1", error, (0, 1e-4),
        lambda d: bool(error(d).max() < 1e-3),
    )  # fmt: skip


METHOD = Method(
    name=NAME,
    title="Frame Averaging for Invariant and Equivariant Network Design",
    authors="O. Puny, M. Atzmon, H. Ben-Hamu, I. Misra, A. Grover, E. J. Smith, Y. Lipman",
    year=2022,
    arxiv="2110.03336",
    summary="Any network of points made symmetric from outside, by frames read from the points.",
    notebook="14_position_orientation_space.ipynb",
    experiments=tuple(
        Experiment(name, {"name": NAME, **network}, {"name": "ethanol"}, RECIPE, {"epochs": 1})
        for name, network in NETWORKS.items()
    ),
    claims=(
        _exact("frames", "A network averaged over frames"),
        _exact("pose", "A network in one standard pose"),
        _better(
            "frames", "coordinates-turned", "On turned molecules frames beat turns in training: ratio of force errors.",
            (1.3, 1.65),
        ),
        _better("frames", "coordinates", "They beat bare coordinates trained in one pose.", (1.2, 7)),
        _better("frames", "pose", "They beat one pose of three atoms.", (1.1, 1.35)),
    ),
    studies={
        "poses": "workbench.training.kept_poses:errors_by_pose",
        "faults": "workbench.training.frame_faults:frame_faults",
    },
)  # fmt: skip
