"""A potential along a turn about a bond: its energy beside the reference, and how far its forces are off."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor, nn

from workbench.groups.base import check_floating
from workbench.measure.dataset import labelled
from workbench.measure.forces import MILLI, predict
from workbench.measure.provenance import provenance
from workbench.measure.state import undisturbed


def dihedral_errors(
    model: Any,
    numbers: Tensor,
    positions: Tensor,
    energy: Tensor,
    forces: Tensor,
    angles_deg: np.ndarray,
    *,
    input_kind: str = "",
) -> xr.Dataset:
    """Energies and force errors of one molecule at the angles of a scan, in their order.

    Each curve of energies is counted from its own mean over the angles, as a constant acts on no atom.

    Args:
        model: has `energy_and_forces(positions, numbers, batch)`; left exactly as found.
        numbers: `(S, A)` int64, 0 where there is no atom.
        positions: `(S, A, 3)` in angstrom.
        energy: `(S,)` in eV, of the reference. forces: `(S, A, 3)` in eV/angstrom, of the reference.
        angles_deg: `(S,)`, increasing.
        input_kind: what is turned about which bond.

    Returns:
        Over angle: `energy` and `energy_reference` in meV above their means, `force_mae` in meV/angstrom. Without dims:
        `range` and `range_reference`, highest minus lowest, and `energy_mae`, in meV; `correlation` of the two curves,
        NaN where one of them is flat.

    Raises:
        ValueError: shapes that do not belong together, or angles that do not increase.

    >>> import torch
    >>> class Nothing(nn.Module):
    ...     def energy_and_forces(self, positions, numbers, batch=None):
    ...         return positions.new_zeros(int(batch.max()) + 1), torch.zeros_like(positions)
    >>> where = torch.rand(3, 2, 3)
    >>> known = torch.tensor([0.0, 0.3, 0.0]), torch.full((3, 2, 3), 0.5)
    >>> found = dihedral_errors(Nothing(), torch.ones(3, 2).long(), where, *known, np.array([0.0, 5.0, 10.0]))
    >>> found.energy_reference.values.round().tolist(), found.force_mae.values.tolist()
    ([-100.0, 200.0, -100.0], [500.0, 500.0, 500.0])
    """
    _check(numbers, positions, energy, forces, angles_deg)
    if isinstance(model, nn.Module):
        with undisturbed(model):
            found, pushed = predict(model, numbers, positions, chunk=128)
    else:
        found, pushed = predict(model, numbers, positions, chunk=128)
    there = (numbers > 0).unsqueeze(-1)
    off = MILLI * ((pushed - forces.double()).abs() * there).sum((1, 2)) / (3 * there.sum((1, 2)))
    curve, known = (MILLI * (one.double() - one.double().mean()).numpy() for one in (found, energy))
    flat = min(np.ptp(curve), np.ptp(known)) == 0
    variables = {
        "energy": labelled("angle", curve, "energy of the network above its mean", "meV"),
        "energy_reference": labelled("angle", known, "energy of GFN2-xTB above its mean", "meV"),
        "force_mae": labelled("angle", off.numpy(), "mean |force error|", "meV/angstrom"),
        "range": labelled((), np.ptp(curve), "highest minus lowest energy of the network", "meV"),
        "range_reference": labelled((), np.ptp(known), "highest minus lowest energy of GFN2-xTB", "meV"),
        "energy_mae": labelled((), np.abs(curve - known).mean(), "mean |energy error|", "meV"),
        "correlation": labelled((), np.nan if flat else np.corrcoef(curve, known)[0, 1], "correlation of the curves"),
    }
    coords = {"angle": labelled("angle", np.asarray(angles_deg, dtype=np.float64), "dihedral", "degrees")}
    attrs = provenance(
        "dihedral_errors", seed=0, dtype=positions.dtype, input_kind=input_kind, form="absolute", reduction="mean",
        resampler="none", mask="none",
    )  # fmt: skip
    return xr.Dataset(variables, coords, attrs)


def _check(numbers: Tensor, positions: Tensor, energy: Tensor, forces: Tensor, angles_deg: np.ndarray) -> None:
    for name, given in (("positions", positions), ("energy", energy), ("forces", forces)):
        check_floating(given, f"dihedral_errors: {name}", numbers=True)
    if not isinstance(numbers, Tensor):
        raise ValueError(f"numbers of type {type(numbers).__name__} were given; expected an int64 tensor (S, A).")
    count, most = (*numbers.shape, 0)[:2]
    fits = positions.shape == forces.shape == (count, most, 3) and energy.shape == np.shape(angles_deg) == (count,)
    if numbers.ndim != 2 or not count or not fits:
        raise ValueError(
            f"numbers {tuple(numbers.shape)}, positions {tuple(positions.shape)}, energy {tuple(energy.shape)}, forces "
            f"{tuple(forces.shape)} and angles {np.shape(angles_deg)} were given; expected (S, A), (S, A, 3), (S,), "
            "(S, A, 3) and (S,) with at least one structure."
        )
    if not np.isfinite(angles_deg).all() or (np.diff(angles_deg) <= 0).any():
        raise ValueError("angles that do not increase were given; expected each once, in order: sort the scan by it.")
