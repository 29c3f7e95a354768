"""Does a potential know what a turn about a bond costs, and how far must it see for that?"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import numpy as np
import param
import torch
import xarray as xr

from workbench.datasets.elements import SYMBOLS
from workbench.datasets.molecules import molecules, of_dataset
from workbench.explorers._explorer import Explorer
from workbench.explorers._potentials import POTENTIALS, SHIPPED, answer, bonds, potential, shortened
from workbench.measure.dataset import labelled
from workbench.measure.dihedral import dihedral_errors
from workbench.views.dihedral import dihedral_picture

SCANS = {"C-C-O-H, the hydroxyl hydrogen": "C-C-O-H", "methyl, its three hydrogens": "methyl"}
COARSE = 6
"""While the cutoff moves, every sixth angle of the scan is computed: each 30 degrees."""


class DihedralExplorer(Explorer):
    """Ethanol turned about a bond: energies and force errors of a potential at every angle, and the molecule at one.

    >>> ds = DihedralExplorer(scan="methyl").at(coarse=True).dataset()
    >>> ds["angle"].values[:3].tolist(), ds.sizes["atom"]
    ([0.0, 30.0, 60.0], 9)
    """

    slug = "dihedral"
    title = "Dihedral"
    question = "Does a potential know what a turn about a bond costs, and how far must it see for that?"
    explanation = (
        "One part of ethanol is turned about a bond, all lengths kept, through a full circle. The blue curve is the "
        "energy of GFN2-xTB, the calculation that the network was trained on; the other is the network's. Each is "
        "counted from its own mean, because a constant pushes no atom. The network was trained on ethanol in one "
        "shape only, shaken a little; the rest of the circle it must guess. Look whether the hills stand where they "
        "should and are as high, not only at the errors: a turn costs little energy. Lower the cutoff: the weights "
        "stay as they were trained, and what they would hear from neighbours farther away is faded out over half an "
        "angstrom. What changes was known from far away; it is not what a network trained with that cutoff would say. "
        "While the cutoff moves, each 30 degrees are computed, and each 5 when it rests."
    )
    heavy = True

    scan = param.Selector(objects=SCANS, default="C-C-O-H", label="Turned", doc="Which part of ethanol is turned.")
    angle_deg = param.Number(
        60.0,
        bounds=(0, 360),
        step=5,
        label="Dihedral (degrees)",
        doc="The geometry shown; the scan has each 5 degrees.",
    )
    rattled = param.Boolean(
        False, label="Rattled", doc="Each atom moved by about 0.05 angstrom from where the turn put it, anew each time."
    )
    potential = param.Selector(objects=POTENTIALS, default=SHIPPED, label="Network", doc="Whose curve is drawn.")
    cutoff = param.Number(
        5.0, bounds=(1.5, 5), step=0.1, label="Cutoff (angstrom)", doc="How far each atom still hears its neighbours."
    )
    arrow = param.Number(
        1.0, bounds=(0.1, 3), step=0.1, label="Length of arrows", doc="Angstrom for a force of 1 eV/angstrom."
    )

    def compute(self) -> xr.Dataset:
        """Curves over the dihedral, of the network as shown and as trained, and the molecule at the angle shown."""
        model: Any = shortened(self.potential, self.cutoff)
        whole: Any = potential(self.potential)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # atoms that a short cutoff leaves alone: asked for
            curves = self._curves(self.cutoff)
            trained = self._curves(whole.config.cutoff).sel(angle=curves["angle"])
            pose = self._pose(model)
        alone = {
            "cutoff": labelled((), float(model.config.cutoff), "cutoff of the network as shown", "angstrom"),
            "cutoff_trained": labelled((), float(whole.config.cutoff), "cutoff of the network", "angstrom"),
            "energy_whole": trained["energy"],
            "force_mae_whole": trained["force_mae"],
        }
        drawn, there = curves.sizes["angle"], _scan(self.scan, self.rattled).sizes["structure"]
        return (
            curves.assign(alone)
            .merge(pose, combine_attrs="drop_conflicts")
            .assign_attrs(
                curves.attrs,
                scan=self.scan,
                formula="C2H6O",
                showing=f"showing {drawn} of {there} angles" if drawn < there else "",
            )
        )

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return dihedral_picture(ds, self.arrow)

    def _curves(self, cutoff: float) -> xr.Dataset:
        """At every angle; while a control moves and they are not known yet, at each sixth."""
        key: tuple[Any, ...] = ("curves", self.scan, self.rattled, self.potential, round(cutoff, 6))
        kept = self._results.get(key)
        if kept is None and self.coarse:
            key = (*key, "coarse")
            kept = self._results.get(key)
        if kept is None:
            part = _scan(self.scan, self.rattled)
            part = part.isel(structure=slice(None, None, COARSE)) if self.coarse else part
            given = of_dataset(part)
            angles = part["angle_deg"].values
            kept = dihedral_errors(
                shortened(self.potential, cutoff), given.numbers, given.positions, given.energy, given.forces, angles,
                input_kind=f"ethanol, {self.scan} turned rigidly{', rattled' if self.rattled else ''}",
            )  # fmt: skip
            self._results.put(key, kept)
        return kept

    def _pose(self, model: torch.nn.Module) -> xr.Dataset:
        part = _scan(self.scan, self.rattled)
        one = part.isel(structure=int(np.abs(part["angle_deg"].values - self.angle_deg).argmin()))
        numbers = one["numbers"].values.astype(np.int64)
        heavy = numbers > 1
        positions = one["positions"].values - one["positions"].values[heavy].mean(0)
        _, forces = answer(model, numbers, positions)
        each = ("atom", "xyz")
        reach = max(float(np.linalg.norm(w - w[heavy].mean(0), axis=1).max()) for w in part["positions"].values)
        return xr.Dataset(
            {
                "numbers": labelled("atom", numbers, "atomic number"),
                "positions": labelled(each, positions, "position", "angstrom"),
                "forces": labelled(each, forces, "force of the network", "eV/angstrom"),
                "reference": labelled(
                    each, one["forces"].values.astype(np.float64), "force of GFN2-xTB", "eV/angstrom"
                ),
                "bonded": labelled(("bond", "end"), bonds(numbers, positions), "bonded atoms"),
                "angle_shown_deg": labelled((), float(one["angle_deg"]), "dihedral shown", "degrees"),
                "reach": labelled((), reach, "farthest atom of the scan", "angstrom"),
            },
            {
                "symbol": labelled("atom", np.array([SYMBOLS[n - 1] for n in numbers], dtype=str), "element"),
                "xyz": labelled("xyz", np.array(["x", "y", "z"]), "axis"),
            },
        )


@lru_cache(maxsize=4)
def _scan(name: str, rattled: bool) -> xr.Dataset:
    """One stored scan, in the order of its angles."""
    found = molecules("scans")
    wanted = (found["scan"].values == name) & ((found["rattle"].values > 0) == rattled)
    return found.isel(structure=np.flatnonzero(wanted)).sortby("angle_deg")


EXPLORER = DihedralExplorer
