"""How does a layer learn the width of its arc?"""

from __future__ import annotations

from typing import Any

import param
import xarray as xr

from workbench.explorers._explorer import Explorer
from workbench.measure.arc import arc_response
from workbench.views.arc import arc_picture


class ArcExplorer(Explorer):
    """The samples of one learned arc, and the derivative that each of them gives to its width, by two rules.

    >>> ds = ArcExplorer(width_percent=60).dataset()
    >>> bool(ds["slope_here"].sel(rule="full") > 20 * ds["slope_here"].sel(rule="reference"))
    True
    """

    slug = "arc"
    title = "Arc"
    question = "How does a layer learn the width of its arc?"
    explanation = (
        "A partial layer answers at a few sampled turns, spread over its arc (grey dots). To learn the arc's width, "
        "training asks each sample where it would go if the arc grew by a tenth of the circle. The full gradient "
        "moves each sample by its own share: the middle stays, the ends go furthest, the arc fans out. The code that "
        "was released with the paper follows only the offset that all samples have in common, so every sample goes "
        "the same way and their spread tells the width nothing. The curve sums this up in one number, the slope of "
        "the mean squared angle, beside what calculus says it must be."
    )

    width_percent = param.Number(
        60.0,
        bounds=(1, 100),
        step=1,
        label="Width of the arc (percent of the circle)",
        doc="How much of the circle the layer answers for; a narrower arc gets fewer samples.",
    )
    n = param.Integer(
        8, bounds=(1, 16), step=1, label="Samples of a whole circle", doc="How many samples a full circle would have."
    )
    offset_percent = param.Number(
        50.0,
        bounds=(0, 100),
        step=1,
        label="Common offset (percent of a step)",
        doc="Training draws one offset for all samples at each step; here you choose it.",
    )

    def compute(self) -> xr.Dataset:
        """The samples at this width and offset, and both rules' slopes at every width."""
        return arc_response(self.width_percent / 100, self.n, self.offset_percent / 100)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return arc_picture(ds)


EXPLORER = ArcExplorer
