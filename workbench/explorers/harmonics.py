"""What is a feature of degree l, and what does a rotation do to its numbers?"""

from __future__ import annotations

import math
from typing import Any

import param
import torch
import xarray as xr

from workbench.explorers._explorer import Explorer
from workbench.groups import SO3
from workbench.measure.harmonics import GRID, turned_harmonic
from workbench.views.harmonics import harmonic_picture

AXES = {"y": (0.0, 1.0, 0.0), "x": (1.0, 0.0, 0.0), "z": (0.0, 0.0, 1.0), "diagonal": (1.0, 1.0, 1.0)}

COARSE = (17, 32)
"""Directions of the surfaces while a control moves: browsers without a graphics card take long to draw more."""


class HarmonicsExplorer(Explorer):
    """One spherical harmonic, or a feature of one or of several degrees, turned by the matrix of its degrees.

    >>> ds = HarmonicsExplorer(l=3, m=-2, angle_deg=40, axis="diagonal").dataset()
    >>> float(ds["residual"]) < 1e-12
    True
    """

    slug = "harmonics"
    title = "Spherical harmonics and features"
    question = "What is a feature of degree l, and what does a rotation do to its numbers?"
    explanation = (
        "A feature of degree l is a list of 2l + 1 numbers that stand for a function on the sphere: so much of each "
        "harmonic of that degree. Degree 0 is a number that no rotation changes, degree 1 is an arrow with the "
        "components x, y, z, degree 2 an ellipsoid, and so on. Turn it: the numbers change by the matrix D(g) of the "
        "degree, shown at the right, and the surface drawn from the new numbers is the old one, turned; what is left "
        "between the two is rounding. Draw one harmonic, a feature with all its numbers, or one of several degrees, as "
        "networks have them: D(g) is then a row of blocks, and no rotation takes anything from one degree to another. "
        "The bars say so: the squared length of the numbers of each degree is the same before and after. About y, the "
        "polar axis, D(g) only mixes m with -m. A point reflection changes the sign of odd degrees. Put in a mistake "
        "that is often made, and something is left, though only one of them moves the bars: equal lengths alone prove "
        "nothing. For one harmonic the bars are the squared lengths of the harmonics of all degrees, which the "
        "normalization sets."
    )

    heavy = True

    l = param.Integer(2, bounds=(0, 6), step=1, label="Degree l", doc="A feature of this degree has 2l + 1 numbers.")  # noqa: E741
    m = param.Integer(
        1,
        bounds=(-6, 6),
        step=1,
        label="Order m",
        doc="Which of the 2l + 1 harmonics is drawn, from -l to l; beyond that the nearest one is.",
    )
    feature = param.Selector(
        objects={
            "one harmonic": "one harmonic",
            "a feature of degree l: all its numbers": "one degree",
            "a feature of all degrees up to l": "all degrees",
        },
        default="one harmonic",
        label="What is turned",
        doc="One harmonic of order m; all 2l + 1 numbers of degree l; or one block of numbers for each degree up to l.",
    )
    draw = param.Integer(
        1,
        bounds=(1, 20),
        step=1,
        label="Numbers drawn",
        doc="Which random numbers a feature has, scaled to length 1; one harmonic has none.",
    )
    angle_deg = param.Number(
        40.0,
        bounds=(-180, 180),
        step=1,
        label="Turn (degrees)",
        doc="Counter-clockwise, seen from the tip of the axis.",
    )
    axis = param.Selector(
        objects={"y, the polar axis": "y", "x": "x", "z": "z", "x = y = z": "diagonal"},
        default="z",
        label="About the axis",
        doc="What it turns about; about the polar axis the matrix is nearly empty.",
    )
    reflected = param.Boolean(
        False, label="Reflect in the origin", doc="Every point goes to its opposite: odd degrees change their sign."
    )
    normalization = param.Selector(
        objects={
            "component: variance 1 for each number": "component",
            "norm: length 1": "norm",
            "integral: area 1": "integral",
        },
        default="component",
        label="Normalization",
        doc="How long the list of 2l + 1 numbers is on the unit sphere; networks want the first.",
    )
    mistake = param.Selector(
        objects={
            "none": "none",
            "D(g) transposed": "transposed",
            "z taken for the polar axis": "polar axis",
            "sign of the reflection forgotten": "parity",
            "blocks of D(g) in reverse order": "block order",
        },
        default="none",
        label="Mistake",
        doc="What goes wrong most often when features are turned by hand; the last needs several degrees to show.",
    )

    def compute(self) -> xr.Dataset:
        """Both surfaces, the matrix and the residual."""
        tip = torch.tensor(AXES[self.axis], dtype=torch.float64)
        turn = SO3().exp(tip / tip.norm() * math.radians(self.angle_deg))
        element = torch.cat([turn, turn.new_tensor([-1.0 if self.reflected else 1.0])])
        order = max(-self.l, min(self.l, self.m))
        return turned_harmonic(
            self.l, order, element, self.normalization, self.mistake, COARSE if self.coarse else GRID,
            feature=self.feature, draw=self.draw,
        )  # fmt: skip

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return harmonic_picture(ds)


EXPLORER = HarmonicsExplorer
