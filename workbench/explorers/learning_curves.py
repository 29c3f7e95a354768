"""What do features that turn along buy, in geometries and in time?"""

from __future__ import annotations

from typing import Any

import param
import xarray as xr

from workbench.explorers._explorer import Explorer
from workbench.explorers.seeds import load
from workbench.training.kept_forces import curves_at
from workbench.views.learning_curves import learning_curves_picture


class LearningCurvesExplorer(Explorer):
    """Stored force errors of molecular potentials of degree 0 to 3, by geometries and by CPU time."""

    slug = "learning_curves"
    title = "Learning curves"
    question = "What do features that turn along buy, in geometries and in time?"
    explanation = (
        "Four networks of one size differ in the highest degree of their features; degree 0 knows distances alone. On "
        "the left each was trained on so many geometries of ethanol, in as many steps, five seeds each; the slope says "
        "how fast the force error falls. On the right the same is asked of time: a step of a higher degree costs more, "
        "so that in the same seconds it takes fewer. Lines are errors on the way, while the rate of learning is still "
        "high; crosses are trainings of their own, planned for one common time."
    )

    quantity = param.Selector(
        objects={"forces": "force", "energies": "energy"}, default="force", label="Errors of",
        doc="What the left side shows; slopes and the right side are of forces.",
    )  # fmt: skip
    pose = param.Selector(
        objects={"as trained": "upright", "turned at random": "rotated"}, default="upright", label="Test molecules",
        doc="Training molecules all lie in one pose.",
    )  # fmt: skip
    seconds = param.Number(
        10.0, bounds=(1, 60), step=1, label="CPU time (seconds)", doc="Of one training, on one thread of the machine "
        "that made the stored results.",
    )  # fmt: skip

    def compute(self) -> xr.Dataset:
        """The stored curves, and what is reached in this time."""
        return curves_at(load("molecular_potential"), self.seconds, self.quantity, self.pose)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw them."""
        return learning_curves_picture(ds)


EXPLORER = LearningCurvesExplorer
