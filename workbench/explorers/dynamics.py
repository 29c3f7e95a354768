"""Does the energy stay when a molecule moves by a network's forces?"""

from __future__ import annotations

from typing import Any

import param
import xarray as xr

from workbench.explorers._explorer import Explorer
from workbench.explorers.seeds import load
from workbench.views.dynamics import dynamics_picture

STORED = ("dynamics_change", "dynamics_swing", "dynamics_drift")


class DynamicsExplorer(Explorer):
    """Stored motions of ethanol at constant energy, by potentials of degree 2, for several time steps."""

    slug = "dynamics"
    title = "Dynamics"
    question = "Does the energy stay when a molecule moves by a network's forces?"
    explanation = (
        "An ethanol begins near its rest with velocities of 300 kelvin and moves by the forces of a trained "
        "network for 200 femtoseconds. The forces are the slope of an energy, so that an exact motion keeps the total. "
        "What is lost is the integrator's: it swings about the start and falls with the square of the time step, as "
        "long as that is short against the quickest vibration. Forces that are no slope of anything would lose energy "
        "however short the step. That the energy stays does not say that the forces are right."
    )

    step_fs = param.Selector(
        objects={"0.25 fs": 0.25, "0.5 fs": 0.5, "1 fs": 1.0, "2 fs": 2.0}, default=1.0, label="Time step",
        doc="The hydrogens of ethanol swing in about ten femtoseconds.",
    )  # fmt: skip
    seed = param.Integer(
        0, bounds=(0, 4), step=1, label="Potential (seed)", doc="Each was trained anew; velocities are drawn anew, too."
    )

    def compute(self) -> xr.Dataset:
        """The motion of one potential, and the swing of all."""
        stored = load("molecular_potential")
        one = stored[list(STORED)].sel(seed=self.seed)
        return one.assign(dynamics_swing=stored["dynamics_swing"]).assign_attrs(stored.attrs)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw them."""
        return dynamics_picture(ds, self.step_fs)


EXPLORER = DynamicsExplorer
