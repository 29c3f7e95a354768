"""What pushes each atom of a molecule, and does the push turn along?"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import param
import torch
import xarray as xr

from workbench.datasets.molecule import Molecule
from workbench.explorers._explorer import Explorer
from workbench.explorers._potentials import (
    POTENTIALS,
    SHIPPED,
    SPECIES,
    answer,
    bonds,
    own_molecule,
    potential,
    shipped_molecule,
)
from workbench.groups import SO3
from workbench.measure.dataset import labelled
from workbench.measure.motions import motion_errors
from workbench.views.molecule import molecule_picture

AXIS = (1.0, 2.0, 2.0)
ELEMENTS_OF_A_MOTION = 8


class MoleculeExplorer(Explorer):
    """A molecule with the forces of a potential and of a reference, turned, and its error under four motions.

    >>> ds = MoleculeExplorer(potential="untrained").at(coarse=True).dataset()
    >>> bool(ds["error_max"].max() < 1e-4)
    True
    """

    slug = "molecule"
    title = "Molecule"
    question = "What pushes each atom of a molecule, and does the push turn along?"
    explanation = (
        "The arrows are forces: one set from a small network that was trained on energies and forces, one from the "
        "calculation that it was trained on, GFN2-xTB. Turn the molecule: its forces are computed anew, and should be "
        "the old ones, turned. Below is how far they are from that under rotation, point reflection, shift and another "
        "order of the atoms. The dotted line is what rounding alone changes; a network that is equivariant by "
        "construction stays near it, trained or not. How well it knows the forces is another matter: compare the "
        "arrows."
    )
    heavy = True
    accepts = ("molecule",)

    species = param.Selector(objects=SPECIES, default="CH3CH2OH", label="Molecule", doc="What is shown.")
    potential = param.Selector(
        objects=POTENTIALS, default=SHIPPED, label="Network", doc="Whose forces are shown beside the reference."
    )
    rattled = param.Boolean(
        True, label="Rattled", doc="Each atom moved by about 0.05 angstrom from where it rests, so that forces act."
    )
    angle_deg = param.Number(
        40.0, bounds=(0, 360), step=1, label="Turn the molecule (degrees)", doc="About a fixed axis through its middle."
    )
    mirrored = param.Boolean(False, label="Reflect it", doc="Also sends every atom through the middle to the far side.")
    arrow = param.Number(
        0.5, bounds=(0.05, 1), step=0.05, label="Length of arrows", doc="Angstrom for a force of 1 eV/angstrom."
    )

    def set_molecule(self, molecule: Any) -> None:
        """Show your own molecule: the path or bytes of an .xyz file, or a `Molecule`; None takes it away."""
        self.attach("molecule", None if molecule is None else own_molecule(molecule))

    def compute(self) -> xr.Dataset:
        """Positions, forces of both sources in the pose shown, and the errors of the four motions."""
        own: Molecule | None = self.attached.get("molecule")
        molecule = own or shipped_molecule(self.species, self.rattled)
        model = potential(self.potential)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # atoms without a neighbour: told in the picture
            errors = self._errors(model, molecule)
            return self._pose(model, molecule).merge(errors, combine_attrs="no_conflicts").assign_attrs(errors.attrs)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return molecule_picture(ds, self.arrow)

    def _errors(self, model: Any, molecule: Molecule) -> xr.Dataset:
        """Of the molecule as it is given: no control of the pose changes them, so they are kept."""
        key = ("errors", self._revision, self.species, self.rattled, self.potential)
        kept = self._results.get(key)
        if kept is None:
            numbers, positions, _ = molecule.tensors(torch.float64)
            kept = motion_errors(model, numbers, positions, n=ELEMENTS_OF_A_MOTION, input_kind=molecule.formula)
            self._results.put(key, kept)
        return kept

    def _pose(self, model: Any, molecule: Molecule) -> xr.Dataset:
        axis = torch.tensor(AXIS, dtype=torch.float64)
        vector = axis / axis.norm() * np.radians(self.angle_deg)
        turn = SO3().matrix(SO3().exp(vector)).numpy() * (-1 if self.mirrored else 1)
        upright = molecule.positions - molecule.positions.mean(0)
        positions = upright @ turn.T
        energy, forces = answer(model, molecule.numbers, positions)
        before, along = answer(model, molecule.numbers, upright)
        reference = np.full_like(forces, np.nan) if molecule.forces is None else molecule.forces @ turn.T
        each = ("atom", "xyz")
        rest = float(np.linalg.norm(forces - along @ turn.T)) / max(float(np.linalg.norm(along)), 1e-12)
        off = 1000 * np.abs(forces - reference).mean()
        known = np.nan if molecule.energy is None else molecule.energy
        pairs = bonds(molecule.numbers, positions)
        return xr.Dataset(
            {
                "numbers": labelled("atom", molecule.numbers, "atomic number"),
                "positions": labelled(each, positions, "position", "angstrom"),
                "forces": labelled(each, forces, "force of the network", "eV/angstrom"),
                "reference": labelled(each, reference, "force of GFN2-xTB", "eV/angstrom"),
                "bonded": labelled(("bond", "end"), pairs.reshape(-1, 2), "bonded atoms"),
                "energy": labelled((), energy, "energy of the network", "eV"),
                "energy_reference": labelled((), known, "energy of GFN2-xTB", "eV"),
                "energy_turned_by": labelled((), 1000 * (energy - before), "change of the energy by the turn", "meV"),
                "error_here": labelled((), rest, "equivariance error of the forces at this turn"),
                "force_mae": labelled((), off, "mean |force error|", "meV/angstrom"),
            },
            {
                "symbol": labelled("atom", np.array(molecule.symbols, dtype=str), "element"),
                "xyz": labelled("xyz", np.array(["x", "y", "z"]), "axis"),
            },
        ).assign_attrs(formula=molecule.formula)


EXPLORER = MoleculeExplorer
