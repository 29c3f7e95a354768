"""Which degrees can be multiplied, and what becomes of the coefficients in the frame of an edge?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import param
import torch
import xarray as xr

from workbench.explorers._explorer import Explorer
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.views.products import product_picture

HIGHEST = 4


class ProductsExplorer(Explorer):
    """One path of a tensor product with the harmonics of an edge, before and after the turn to the edge's frame.

    >>> ds = ProductsExplorer(l_in=2, l_filter=3, l_out=2, parity="rotations").dataset()
    >>> int(ds["entries_after"]) < int(ds["entries_before"]), float(ds["rest"]) < 1e-12
    (True, True)
    """

    slug = "products"
    title = "Tensor products"
    question = "Which degrees can be multiplied, and what becomes of the coefficients in the frame of an edge?"
    explanation = (
        "In networks of atoms a feature meets the direction of an edge: it is multiplied with a spherical harmonic of "
        "that direction, and only some degrees can come out. The table says which: the three must form a triangle, "
        "and under reflections an odd sum changes a sign that it should not. For one direction the product is a "
        "table of numbers from the feature's components to the result's, and it is full. Now turn everything so "
        "that the edge lies along the polar axis: the same table keeps its two diagonals and nothing else, for every "
        "direction. One diagonal belongs to even sums, the other to odd ones. That is why large degrees can be fast. "
        "Turn by the wrong matrix, as happens easily, and the table stays full."
    )

    l_in = param.Integer(2, bounds=(0, HIGHEST), step=1, label="Feature, l", doc="The degree of the feature.")
    l_filter = param.Integer(
        2, bounds=(0, 2 * HIGHEST), step=1, label="Harmonic, l", doc="The degree of the harmonic of the direction."
    )
    l_out = param.Integer(2, bounds=(0, HIGHEST), step=1, label="Result, l", doc="The degree that comes out.")
    polar_deg = param.Number(
        50.0, bounds=(0, 180), step=1, label="Edge from the polar axis (degrees)", doc="0 is along y, the polar axis."
    )
    azimuth_deg = param.Number(
        30.0, bounds=(-180, 180), step=1, label="Edge about the polar axis (degrees)", doc="Counted from z towards x."
    )
    parity = param.Selector(
        objects={"turns and reflections": "reflections", "turns alone": "rotations"},
        default="reflections",
        label="Commutes with",
        doc="With reflections, paths of an odd sum are forbidden between features of the harmonics' own parity.",
    )
    mistake = param.Selector(
        objects={"none": "none", "Wigner matrices transposed": "transposed"},
        default="none",
        label="Mistake",
        doc="What goes wrong most often in the turn to the frame.",
    )

    def compute(self) -> xr.Dataset:
        """The table of paths, and the coefficients on both sides of the turn."""
        angles = math.radians(self.polar_deg), math.radians(self.azimuth_deg)
        degrees = self.l_in, self.l_filter, self.l_out
        return product_dataset(degrees, angles, self.parity == "reflections", self.mistake == "transposed")

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return product_picture(ds)


EXPLORER = ProductsExplorer


def product_dataset(
    degrees: tuple[int, int, int], angles: tuple[float, float], reflections: bool, transposed: bool
) -> xr.Dataset:
    """One path for one direction.

    Args:
        degrees: of the feature, the harmonic and the result.
        angles: of the direction from y, and about y from z, in radians.
        reflections: whether paths of an odd sum are forbidden.
        transposed: turn by the transposed matrices, a mistake.

    Returns:
        `path(filter, result)` for this feature, 0 outside the triangle, 1 odd, 2 even; `before(m_in, m_out)` and
        `after(m_in, m_out)`, coefficients of the direction as it is and in its frame; `entries_before` and
        `entries_after`, how many are not 0; `rest`, the largest off both diagonals; `shares`, how many paths lead
        between these two degrees, as many as the frame has numbers.
    """
    from workbench.e3.expressivity import coupling, interacts
    from workbench.e3.harmonics import spherical_harmonics
    from workbench.e3.wigner import EdgeFrames

    l_in, l_filter, l_out = degrees
    polar, azimuth = angles
    direction = [math.sin(polar) * math.sin(azimuth), math.cos(polar), math.sin(polar) * math.cos(azimuth)]
    kind = "even paths" if reflections else "all paths"
    with torch.inference_mode():
        vector = torch.tensor([direction], dtype=torch.float64)
        harmonic = spherical_harmonics(l_filter, vector)[0, l_filter**2 :]
        before = torch.einsum("ifo,f->io", coupling(kind, *degrees), harmonic)
        blocks = EdgeFrames(vector, max(l_in, l_out)).wigner
        left, right = (blocks[l][0].mT if transposed else blocks[l][0] for l in (l_in, l_out))  # noqa: E741
        after = left @ before @ right.mT
    m_in, m_out = (np.arange(-degree, degree + 1) for degree in (l_in, l_out))
    off = np.abs(m_in)[:, None] != np.abs(m_out)[None]
    table = [
        [interacts("all paths", l_in, f, o) * (1 + interacts("even paths", l_in, f, o)) for o in range(HIGHEST + 1)]
        for f in range(2 * HIGHEST + 1)
    ]
    odd = sum(degrees) % 2 == 1
    return xr.Dataset(
        {
            "path": labelled(("filter", "result"), np.array(table, dtype=np.int8), "0 none, 1 odd, 2 even"),
            "before": labelled(("m_in", "m_out"), before, "coefficients as the edge lies"),
            "after": labelled(("m_in", "m_out"), after, "coefficients in the frame of the edge"),
            "entries_before": labelled((), int((before.abs() > 1e-10).sum()), "entries that are not 0"),
            "entries_after": labelled((), int((after.abs() > 1e-10).sum()), "entries that are not 0 in the frame"),
            "rest": labelled((), float(np.abs(after.numpy()[off]).max(initial=0.0)), "largest off both diagonals"),
            "shares": labelled((), 2 * min(l_in, l_out) + 1, "paths between these two degrees"),
        },
        coords={
            "m_in": labelled("m_in", m_in, "m of the feature"),
            "m_out": labelled("m_out", m_out, "m of the result"),
            "filter": labelled("filter", np.arange(2 * HIGHEST + 1), "l of the harmonic"),
            "result": labelled("result", np.arange(HIGHEST + 1), "l of the result"),
        },
        attrs=provenance(
            "product_dataset", seed="none", dtype="float64", l_in=l_in, l_filter=l_filter, l_out=l_out,
            kind="odd" if odd else "even", reflections=int(reflections),
        ),
    )  # fmt: skip
