"""Which linear maps between tensors commute with a group?"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import param
import torch
import xarray as xr

from workbench.explorers._explorer import Explorer
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.views.diagrams import diagram_picture

LARGEST = 4
"""Of orders together 6 there are 203 ways to group the points, and matrices of 64 x 64 at n = 4."""


class DiagramsExplorer(Explorer):
    """One diagram of those that span all equivariant linear maps, its matrix, and how many of them are independent.

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
        "small some diagrams say what others say already: then bars on the right are missing."
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

    def compute(self) -> xr.Dataset:
        """The points of one diagram, its matrix, and the singular values of all matrices together."""
        return diagram_dataset(
            self.group, self.n + self.n % 2 * (self.group == "Sp"), self.lower, self.upper, self.which
        )

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return diagram_picture(ds)


EXPLORER = DiagramsExplorer


def diagram_dataset(group: str, n: int, lower: int, upper: int, which: int) -> xr.Dataset:
    """One diagram and its matrix beside all of them.

    Args:
        group, n, lower, upper: as in :func:`workbench.e3.diagrams.diagrams`.
        which: from 1; beyond the last diagram the last one.

    Returns:
        `block(point)`, which block a point belongs to, -1 for a determinant; `upper_row(point)`; `matrix(row, column)`
        of n^l rows and n^k columns; `strength(value)`, singular values of all matrices as shares of the largest;
        `diagrams`, `dimension`, `shown` and `products`, how many multiplications the diagram takes.
    """
    from workbench.e3.diagrams import diagrams, multiply_adds

    found = diagrams(group, n, lower, upper)
    every, strength = _all(group, n, lower, upper)
    at = min(which, len(found)) - 1
    block = np.zeros(lower + upper, dtype=np.int16)
    matrix = np.zeros((n**upper, n**lower), dtype=np.float32)
    if found:
        for number, points in enumerate(found[at].blocks):
            block[list(points)] = number
        block[list(found[at].determinant)] = -1
        matrix = every[at]
    return xr.Dataset(
        {
            "block": labelled("point", block, "which points are joined; -1 in the determinant"),
            "upper_row": labelled("point", np.arange(lower + upper) < upper, "of the result"),
            "matrix": labelled(("row", "column"), matrix, "The matrix of this diagram"),
            "strength": labelled("value", strength, "singular value, share of the largest"),
            "diagrams": labelled((), len(found), "number of diagrams"),
            "dimension": labelled((), int((strength > 1e-9).sum()), "independent ones"),
            "shown": labelled((), at + 1, "number of the one shown"),
            "products": labelled((), multiply_adds(found[at], n, lower, upper) if found else 0, "multiplications"),
        },
        attrs=provenance(
            "diagram_dataset", seed="none", dtype="float64", group=f"{group}({n})", n=n, lower=lower, upper=upper
        ),
    )


@lru_cache(maxsize=32)
def _all(group: str, n: int, lower: int, upper: int) -> tuple[np.ndarray, np.ndarray]:
    """Matrices of all diagrams, and the singular values of them together."""
    from workbench.e3.diagrams import matrices

    with torch.inference_mode():
        every = matrices(group, n, lower, upper)
        flat = every.flatten(1)
        values = torch.linalg.eigvalsh(flat @ flat.T).flip(0).clamp(min=0).sqrt() if len(every) else torch.zeros(0)
    strength = values / values.max() if len(every) else values
    strength = torch.where(strength < 1e-7, 0.0, strength)  # roots of rounding errors
    return every.float().numpy(), strength.double().numpy()
