"""A potential of ours as a calculator of ASE, where ASE is installed: relax, vibrate or move a molecule with it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def calculator(potential: nn.Module) -> Any:
    """An ASE calculator that answers energies in eV and forces in eV/angstrom, in the precision of the potential.

    Relaxations and motions want more than float32 gives: hand over `potential.double()`.

    Args:
        potential: has `energy_and_forces(positions, numbers, batch, cell)`, such as
            :func:`workbench.models.molecular_potential.build` makes; it is put into evaluation mode.

    Raises:
        ImportError: ASE is not installed.
        TypeError: the potential gives no energies and forces.
        ValueError: later, when asked: an element that the potential does not know, atoms that overlap, a cell that
            is periodic along some directions alone or that it knows nothing of, or periodicity without a cell.

    >>> from ase.build import molecule
    >>> from workbench.models.molecular_potential import build
    >>> water = molecule("H2O", calculator=calculator(build({})))
    >>> water.get_forces().shape
    (3, 3)
    """
    try:
        from ase.calculators.calculator import Calculator, all_changes
    except ImportError as error:
        raise ImportError("ASE is not installed; a calculator needs it: pip install ase") from error
    if not callable(getattr(potential, "energy_and_forces", None)):
        raise TypeError(
            f"calculator: {type(potential).__name__} was given, which has no energy_and_forces; expected a potential "
            "such as workbench.models.molecular_potential.build makes"
        )
    net: Any = potential.eval()

    class OfPotential(Calculator):
        """What ASE asks, answered by a potential."""

        implemented_properties = ["energy", "forces"]  # noqa: RUF012  (ASE's own way)

        def calculate(
            self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes
        ) -> None:
            super().calculate(atoms, properties, system_changes)
            like = next(iter(net.parameters()))
            energy, forces = net.energy_and_forces(
                torch.as_tensor(self.atoms.positions).to(like),
                torch.as_tensor(self.atoms.numbers).to(like.device, torch.int64),
                None,
                _cell(self.atoms, like),
            )
            self.results = {"energy": float(energy), "forces": forces.double().cpu().numpy()}

    return OfPotential()


def _cell(atoms: Any, like: torch.Tensor) -> torch.Tensor | None:
    """The lattice vectors ``(1, 3, 3)``, if all directions are periodic."""
    if not atoms.pbc.any():
        return None
    if not atoms.pbc.all():
        raise ValueError(
            f"calculator: pbc = {atoms.pbc.tolist()} was given; expected all directions periodic or none; set pbc to "
            "True and leave room where nothing repeats"
        )
    if not atoms.cell.array.any():
        raise ValueError(
            "calculator: pbc = True was given with a cell of zeros; expected three lattice vectors; set the cell, or "
            "pbc to False for a molecule in the open"
        )
    return torch.as_tensor(atoms.cell.array).to(like)[None]
