"""Which linear maps between tensors commute with a group?"""

from __future__ import annotations

from typing import Any

import param
import xarray as xr

from workbench.explorers._explorer import Explorer
from workbench.measure.diagrams import diagram_dataset
from workbench.views.diagrams import diagram_picture

LARGEST = 4
"""Of orders together 6 there are 203 ways to group the points, and matrices of 64 x 64 at n = 4."""


class DiagramsExplorer(Explorer):
    """One diagram of those that span all equivariant linear maps, or a sum of all, its matrix and what is left of it.

    >>> ds = DiagramsExplorer(group="SO", n=3, lower=2, upper=1).dataset()
    >>> int(ds["diagrams"]), int(ds["dimension"])
    (1, 1)
    """

    slug = "diagrams"
    title = "Diagrams"
    question = "Which linear maps between tensors commute with a group?"
    explanation = (
        "A tensor of order two over space is a table of three by three numbers, which turns when space is turned. "
        "Which linear maps from such tables to others do not mind whether one turns before or after? Draw a point for "
        "each index, those of the result above, those of what is given below, and join them in pairs: every way to do "
        "it is such a map, and all others are sums of them. A pair below is a trace, a pair between the rows hands an "
        "index on, a pair above puts an identity in. If mirrors need not be respected, as many points as space has "
        "dimensions may also meet in a determinant. For permutations points come in groups of any size. If space is "
        "small some diagrams say what others say already: then bars on the right are missing. Mix them: whatever the "
        "coefficients, the map W commutes with members of the group drawn at random: a dot is the relative difference "
        "between acting first, W rho, and acting after it, rho W, and all that is left is rounding. Break one entry of "
        "the matrix, and it does not commute."
    )

    group = param.Selector(
        objects={
            "O(n), turns and mirrors": "O",
            "SO(n), turns": "SO",
            "Sp(n), symplectic": "Sp",
            "S(n), permutations": "S",
        },
        default="O",
        label="Group",
        doc="What the maps have to commute with; Sp(n) needs an even n and takes the next one.",
    )
    n = param.Integer(3, bounds=(2, LARGEST), step=1, label="Dimensions, n", doc="The length of each axis.")
    lower = param.Integer(
        2, bounds=(0, 3), step=1, label="Order given, k", doc="How many axes the tensor has that is given."
    )
    upper = param.Integer(2, bounds=(0, 3), step=1, label="Order of the result, l", doc="How many axes the result has.")
    which = param.Integer(
        1, bounds=(1, 203), step=1, label="Diagram", doc="Which diagram is drawn; beyond the last one, the last one."
    )
    mix = param.Selector(
        objects={"one diagram": "one", "a sum of all diagrams": "sum"},
        default="one",
        label="Matrix of",
        doc="The diagram that is drawn, or a sum in which each diagram has a coefficient.",
    )
    coefficient = param.Number(
        1.0,
        bounds=(-2, 2),
        step=0.1,
        label="Coefficient of the diagram drawn",
        doc="How often it counts in the sum.",
    )
    others = param.Number(
        1.0,
        bounds=(-2, 2),
        step=0.1,
        label="Coefficients of the others, times",
        doc="In the sum each other diagram has a number of its own, drawn once, times this.",
    )
    broken = param.Boolean(
        False,
        label="Break one entry",
        doc="The first entry of the matrix grows by its largest; a single number, of orders 0, has nothing to break.",
    )

    def compute(self) -> xr.Dataset:
        """The points of one diagram, the matrix, what is left of it, and the singular values of all matrices."""
        n = self.n + self.n % 2 * (self.group == "Sp")
        mixed = {"coefficient": self.coefficient, "others": self.others} if self.mix == "sum" else {}
        return diagram_dataset(self.group, n, self.lower, self.upper, self.which, broken=self.broken, **mixed)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return diagram_picture(ds)


EXPLORER = DiagramsExplorer
