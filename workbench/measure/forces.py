"""How far a potential's forces and energies are from given ones, upright and turned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.groups import SO3
from workbench.groups.base import check_count, check_floating
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.measure.state import undisturbed

POSES = ("upright", "rotated")
MILLI = 1000.0  # meV in an eV
SHAPES = {"numbers": "(S, A)", "positions": "(S, A, 3)", "energy": "(S,)", "forces": "(S, A, 3)"}
_FORCE, _ENERGY = "meV/angstrom", "meV"


def force_errors(
    model: Any,
    numbers: Tensor,
    positions: Tensor,
    energy: Tensor,
    forces: Tensor,
    *,
    seed: int = 0,
    chunk: int = 50,
    input_kind: str = "",
) -> xr.Dataset:
    r"""Errors of forces and energies over a set of molecules, each in the pose given and in a random one.

    Forces of the turned molecule are held against the turned reference. An exactly equivariant potential has equal
    energy errors in both poses; the mean of |F| over Cartesian components changes a little with the frame. Beside them
    the equivariance error of the forces, the mean over molecules of :math:`|F(Rx) - R F(x)| / |R F(x)|`.

    Args:
        model: has `energy_and_forces(positions, numbers, batch)`; left exactly as found.
        numbers: `(S, A)` int64, 0 where a molecule has no further atom.
        positions: `(S, A, 3)` in angstrom.
        energy: `(S,)` in eV. forces: `(S, A, 3)` in eV/angstrom.
        seed: of the random rotations.
        chunk: molecules per pass.
        input_kind: what the molecules are, for the reader.

    Returns:
        Dims pose ("upright", "rotated") and structure. `force_mae`, `force_rmse` in meV/angstrom and `energy_mae`,
        `energy_rmse` in meV over pose; `force_mae_each`, `energy_error_each` over pose and structure;
        `rotation_error` (mean over structures, "1") and `rotation_error_each`.

    Raises:
        ValueError: no structures, or types or shapes that do not belong together.

    >>> class Nothing(nn.Module):
    ...     def energy_and_forces(self, positions, numbers, batch=None):
    ...         return positions.new_zeros(int(batch.max()) + 1), torch.zeros_like(positions)
    >>> one = torch.tensor([[[0.0, 0, 0], [0, 0, 1]]])
    >>> found = force_errors(Nothing(), torch.ones(1, 2).long(), one, torch.ones(1), torch.ones(1, 2, 3) / 2)
    >>> float(found.force_mae[0]), float(found.energy_mae[0])
    (500.0, 1000.0)
    """
    check_count(chunk, "force_errors: chunk")
    _check(numbers, positions=positions, energy=energy, forces=forces)
    count = len(numbers)
    turns = SO3().sample(count, torch.Generator().manual_seed(seed), torch.float64)
    turn = SO3().matrix(turns).to(positions)
    given = {"upright": (positions, forces), "rotated": (positions @ turn.mT, forces @ turn.mT)}
    there = (numbers > 0).unsqueeze(-1)
    answers = {}
    with undisturbed(model, seed) if isinstance(model, nn.Module) else torch.enable_grad():
        for pose, (where, _) in given.items():
            answers[pose] = predict(model, numbers, where, chunk)
    force_off = {pose: (answers[pose][1] - given[pose][1].double()) * there for pose in POSES}
    energy_off = {pose: answers[pose][0] - energy.double() for pose in POSES}
    atoms = 3 * there.sum((1, 2)).double()
    turned = answers["upright"][1] @ turn.double().mT
    rest = ((answers["rotated"][1] - turned) * there).flatten(1).norm(dim=1)
    error = rest / ((turned * there).flatten(1).norm(dim=1) + 1e-12)

    def over_poses(function: Callable[[str], Tensor | float]) -> np.ndarray:
        return MILLI * np.stack([np.asarray(function(pose)) for pose in POSES])

    def total(pose: str, power: int) -> float:
        return float(force_off[pose].abs().pow(power).sum() / atoms.sum()) ** (1 / power)

    def each_force(pose: str) -> Tensor:
        return force_off[pose].abs().sum((1, 2)) / atoms

    def mean_energy(pose: str) -> Tensor:
        return energy_off[pose].abs().mean()

    def square_energy(pose: str) -> Tensor:
        return energy_off[pose].square().mean().sqrt()

    each = ("pose", "structure")
    variables = {
        "force_mae": labelled("pose", over_poses(lambda p: total(p, 1)), "mean |force error|", _FORCE),
        "force_rmse": labelled("pose", over_poses(lambda p: total(p, 2)), "root mean square force error", _FORCE),
        "energy_mae": labelled("pose", over_poses(mean_energy), "mean |energy error|", _ENERGY),
        "energy_rmse": labelled("pose", over_poses(square_energy), "root mean square energy error", _ENERGY),
        "force_mae_each": labelled(each, over_poses(each_force), "mean |force error| of a molecule", _FORCE),
        "energy_error_each": labelled(each, over_poses(energy_off.__getitem__), "energy error of a molecule", _ENERGY),
        "rotation_error": labelled((), float(error.mean()), "equivariance error of the forces under rotation"),
        "rotation_error_each": labelled("structure", error, "equivariance error of the forces of a molecule"),
    }
    coords = {"pose": labelled("pose", np.array(POSES), "pose")}
    attrs = provenance(
        "force_errors", seed=seed, dtype=positions.dtype, input_kind=input_kind, form="relative", reduction="mean",
    )  # fmt: skip
    return xr.Dataset(variables, coords, attrs)


def predict(model: Any, numbers: Tensor, positions: Tensor, chunk: int = 50) -> tuple[Tensor, Tensor]:
    """Energies `(S,)` in eV and forces `(S, A, 3)` in eV/angstrom of padded molecules, in float64.

    Args and refusals as for :func:`force_errors`; forces are 0 where there is no atom.
    """
    _check(numbers, positions=positions)
    energies, forces = [], torch.zeros(positions.shape, dtype=torch.float64)
    like = next(iter(model.parameters()), positions) if isinstance(model, nn.Module) else positions
    for at in range(0, len(numbers), chunk):
        part = numbers[at : at + chunk]
        there = part > 0
        batch = torch.arange(len(part)).unsqueeze(1).expand_as(part)[there]
        energy, force = model.energy_and_forces(
            positions[at : at + chunk][there].to(like), part[there].to(like.device), batch.to(like.device)
        )
        energies.append(energy.detach().double().cpu())
        forces[at : at + chunk][there] = force.detach().double().cpu()
    return torch.cat(energies), forces


def _check(numbers: Any, **labels: Any) -> None:
    """Refuse what are no padded molecules, and positions, energies and forces that are not theirs."""
    for name, x in labels.items():
        check_floating(x, name)
    if not isinstance(numbers, Tensor) or numbers.dtype != torch.int64:
        given = f"dtype {numbers.dtype}" if isinstance(numbers, Tensor) else f"type {type(numbers).__name__}"
        raise ValueError(f"numbers of {given} were given; expected int64; use torch.as_tensor(numbers).long().")
    each = tuple(numbers.shape)
    wanted = {"positions": (*each, 3), "energy": each[:1], "forces": (*each, 3)}
    if len(each) != 2 or 0 in each or any(x.shape != wanted[name] for name, x in labels.items()):
        given = ", ".join(f"{name} {tuple(x.shape)}" for name, x in {"numbers": numbers, **labels}.items())
        *first, last = (SHAPES[name] for name in ("numbers", *labels))
        raise ValueError(
            f"{given} were given; expected {', '.join(first)} and {last} with at least one structure; number the atoms "
            "of smaller molecules 0 where they have no more."
        )
    without = ~(numbers > 0).any(1)
    if without.any():
        raise ValueError(f"structure {int(without.nonzero()[0])} holds no atom; expected at least one; leave it out.")
