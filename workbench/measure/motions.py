"""A potential of molecules under every motion that should leave its energy alone, beside what rounding leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.actions.points import transform_points
from workbench.e3.copies import copied
from workbench.e3.graphs import check_numbers, check_points, split_points
from workbench.groups import O3, SO3, Group, Symmetric, Translation
from workbench.groups.base import check_count
from workbench.measure.dataset import labelled
from workbench.measure.error import equivariance_error
from workbench.measure.provenance import provenance

MOTIONS = ("rotation", "inversion", "translation", "permutation")
SHIFT = 5.0  # angstrom: the farthest along each axis
FLOOR_POSES = 2  # of each motion, besides the molecule as it is
ATOMS_AT_ONCE = 2000  # in one pass of a potential


class ForcesOf(nn.Module):
    """A potential as a map of points: `(B, N, 4)`, x, y, z in angstrom and the atomic number, to `(B, N, C)`.

    energy  False: forces in eV/angstrom, C = 3. True: the energy in eV, C = 1, the same for every atom.
    """

    def __init__(self, potential: nn.Module, energy: bool = False) -> None:
        super().__init__()
        self.potential, self.energy = potential, energy

    def forward(self, points: Tensor) -> Tensor:
        """Of molecules with equally many atoms.

        Raises:
            ValueError: for other shapes or types, atomic numbers that are not whole, and as the potential.
        """
        potential: Any = self.potential
        energy, forces = potential.energy_and_forces(*split_points(points))
        count, atoms = points.shape[:2]
        if self.energy:
            return energy.view(count, 1, 1).expand(count, atoms, 1)
        return forces.view(count, atoms, 3)


class InField(nn.Module):
    """A potential and a uniform field along z that pulls at every atom: it prefers a direction, and must be found out.

    strength  in eV/angstrom.
    """

    def __init__(self, potential: nn.Module, strength: float = 0.1) -> None:
        super().__init__()
        self.potential, self.strength = potential, strength

    def energy_and_forces(
        self, positions: Tensor, numbers: Tensor, batch: Tensor | None = None, cell: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Arguments as for a potential, without a cell: energies `(B,)` in eV and forces `(N, 3)` in eV/angstrom.

        Raises:
            ValueError: a cell, whose repeated field would have steps; and as the potential.
        """
        if cell is not None:
            raise ValueError(
                "InField: a cell was given, and a field along z has a step at its sides; expected a molecule in the "
                "open; leave the cell out."
            )
        batch = check_points(positions, batch)
        potential: Any = self.potential
        energy, forces = potential.energy_and_forces(positions, numbers, batch)
        pull = forces.new_tensor([0.0, 0.0, self.strength])
        return energy - energy.new_zeros(len(energy)).index_add(0, batch, (positions @ pull).to(energy)), forces + pull


def motion_errors(
    potential: nn.Module, numbers: Tensor, positions: Tensor, *, n: int = 8, seed: int = 0, input_kind: str = "",
    exact: nn.Module | None = None,
) -> xr.Dataset:  # fmt: skip
    r"""Equivariance error of the forces of one molecule under each of :data:`MOTIONS`, and their rounding floor.

    The error is :func:`workbench.measure.equivariance_error`, as for images: |F(g x) - g F(x)| / |g F(x)|. Points are
    moved without resampling, so what stands beside it is rounding: the floor is the same potential in its own precision
    against itself in float64, |F(g x) - F_64(g x)| / |F_64(g x)|, largest of a few poses g x, whose places are rounded
    as well. Two poses of an equivariant potential differ by no more than both floors; where forces are small, as in a
    relaxed molecule, these are large. Inversion is a rotation and a point reflection; the first one is the bare
    reflection.

    Args:
        potential: has `energy_and_forces(positions, numbers, batch)`; left exactly as found.
        numbers: `(N,)` int64. positions: `(N, 3)` in angstrom.
        n: elements of each motion. seed: of the elements.
        exact: the same potential in float64; copied from it where not given, which takes as long as many passes.

    Returns:
        Dims motion, transform. `error`, its mean `error_mean(motion)` and largest `error_max(motion)`; `energy_change`
        in meV; `floor` and `energy_floor` (meV).

    Raises:
        ValueError: for other shapes or types, NaN, and as the potential and `equivariance_error`.
    """
    check_count(n, "motion_errors: n")
    check_points(positions, None)
    check_numbers(numbers, positions)
    like = next(iter(potential.parameters()), positions)
    centred = positions - positions.mean(0)
    points = torch.cat([centred.to(like), numbers.unsqueeze(1).to(like)], 1).unsqueeze(0)
    forces, energies = ForcesOf(potential), ForcesOf(potential, energy=True)
    poses = [points.double()]
    error, change = np.zeros((len(MOTIONS), n)), np.zeros((len(MOTIONS), n))
    for at, motion in enumerate(MOTIONS):
        group, elements = _elements(motion, n, len(numbers), seed)
        law = "set" if isinstance(group, Symmetric) else "vectors"
        if law == "vectors":
            poses.append(transform_points(points.double(), elements[:FLOOR_POSES], group)[:, 0])
        given: dict[str, Any] = {"mask": "none", "seed": seed, "interval": "t", "stochastic": "refuse"}
        found = equivariance_error(forces, points, group, elements, output=law, **given)
        error[at] = found["error"].sel(layer="output").values[:, 0]
        found = equivariance_error(energies, points, group, elements, output="set" if law == "set" else "invariant",
                                   form="absolute", **given)  # fmt: skip
        change[at] = 1000 * found["error"].sel(layer="output").values[:, 0]
    floor, energy_floor = (float(found.max()) for found in rounding(potential, torch.cat(poses), like, exact))
    each = ("motion", "transform")
    variables = {
        "error": labelled(each, error, "equivariance error of the forces"),
        "error_mean": labelled("motion", error.mean(1), "equivariance error of the forces, mean"),
        "error_max": labelled("motion", error.max(1), "equivariance error of the forces, largest"),
        "energy_change": labelled(each, change, "change of the energy", "meV"),
        "floor": labelled((), floor, "rounding of the forces alone"),
        "energy_floor": labelled((), energy_floor, "rounding of the energy alone", "meV"),
    }
    coords = {"motion": labelled("motion", np.array(MOTIONS), "motion")}
    attrs = provenance(
        "motion_errors", seed=seed, dtype=like.dtype, input_kind=input_kind, resampler="none", mask="none",
        form="relative", reduction="none", shift_angstrom=SHIFT, n=n,
    )  # fmt: skip
    return xr.Dataset(variables, coords, attrs)


@torch.no_grad()
def rounding(potential: Any, poses: Tensor, like: Tensor, exact: nn.Module | None = None) -> tuple[Tensor, Tensor]:
    """What arithmetic alone changes at each pose: relative in the forces ``(P,)``, and in meV in the energy ``(P,)``.

    Args:
        potential: left exactly as found.
        poses: ``(P, N, 4)`` float64, rounded to the type of ``like`` before the potential sees them.
        like: of the potential's type and device.
        exact: as in :func:`motion_errors`.
    """
    sharp: Any = copied(potential).double().eval() if exact is None else exact
    training, bit = potential.training, torch.finfo(like.dtype).eps
    relative, energy = [], []
    potential.eval()
    try:
        for pose in poses.to(like.device).split(max(1, ATOMS_AT_ONCE // poses.shape[1])):
            (near, here), (far, there) = (
                [found.double() for found in net.energy_and_forces(*split_points(x))]
                for net, x in ((potential, pose.to(like)), (sharp, pose))
            )
            here, there = here.view(len(pose), -1), there.view(len(pose), -1)
            relative.append(((here - there).norm(dim=1) / there.norm(dim=1).clamp_min(1e-30)).clamp_min(bit))
            energy.append(torch.maximum((near - far).abs(), bit * far.abs()))
    finally:
        potential.train(training)
    return torch.cat(relative).cpu(), 1000 * torch.cat(energy).cpu()


def _elements(motion: str, n: int, atoms: int, seed: int) -> tuple[Group, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    if motion == "permutation":
        group = Symmetric(atoms)
        return group, group.sample(n, generator)
    turns = SO3().sample(n, generator, torch.float64)
    if motion == "rotation":
        return SO3(), turns
    if motion == "inversion":
        turns[0] = SO3().identity(torch.float64)
        return O3(), torch.cat([turns, -torch.ones_like(turns[:, :1])], 1)
    return Translation(dim=3), (torch.rand(n, 3, generator=generator, dtype=torch.float64) * 2 - 1) * SHIFT
