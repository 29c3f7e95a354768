"""What do frames made of angles do to gradients near the poles?"""

from __future__ import annotations

from typing import Any

import numpy as np
import param
import xarray as xr

from workbench.explorers._explorer import Explorer
from workbench.explorers.product_times import METHOD
from workbench.explorers.seeds import load
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.views.stored_curves import stored_curves

POLE = -9


class PolesExplorer(Explorer):
    """Relative error of the gradient of an edge, by its distance to the pole, for two ways to make its frame.

    >>> ds = PolesExplorer(power=-4, precision="single").dataset()
    >>> bool(ds["middle"].sel(series="without angles", at=-4) < 1e-5)
    True
    """

    slug = "poles"
    title = "Frames at the poles"
    question = "What do frames made of angles do to gradients near the poles?"
    explanation = (
        "The reduced product turns every edge to the polar axis. Released code makes that turn from two angles, as of "
        "latitude and longitude, and at the poles the longitude is anything: a tiny step of the edge changes it by "
        "half a turn. The product itself does not notice, since a turn about the edge changes nothing; its gradient "
        "does, because small differences of large numbers are taken, and then something is divided by nothing. Forces "
        "are such gradients. A frame made of the edge's coordinates alone has no such place. Errors are against e3nn's "
        "product in double precision, medians and quartiles over five seeds."
    )

    power = param.Integer(
        -4, bounds=(POLE, 0), step=1, label="Distance to the pole (power of ten)",
        doc="In radians; the lowest stands for the pole itself.",
    )  # fmt: skip
    precision = param.Selector(
        objects={"single": "single", "double": "double"}, default="single", label="Precision", doc="Of all numbers."
    )

    def compute(self) -> xr.Dataset:
        """Read the stored errors."""
        return pole_dataset(load(METHOD), self.power, self.precision)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return stored_curves(ds)


EXPLORER = PolesExplorer


def pole_dataset(claims: xr.Dataset, power: int, precision: str) -> xr.Dataset:
    """Errors of one precision over powers of ten.

    Args:
        claims: with `pole_error`, see :func:`workbench.measure.poles.pole_errors`.
        power: of ten, the lowest for the pole.
        precision: "single" or "double".

    Returns:
        `middle(series, at)`, the median over seeds, NaN where any gradient is no number, with quartiles `low` and
        `high`.
    """
    stored = claims["pole_error"].sel(precision=precision).transpose("frame", "distance", "seed")
    distances = stored["distance"].values
    powers = [round(float(np.log10(one))) if one else POLE for one in distances]
    low, middle, high = np.quantile(stored.values, (0.25, 0.5, 0.75), axis=-1)
    names = [str(one) for one in stored["frame"].values]
    where = "At the pole" if power == POLE else f"{10.0**power:g} rad from the pole"
    here = middle[:, powers.index(power)]
    said = "; ".join(
        f"{name}: {'no number' if np.isnan(one) else f'{one:.0e}'}" for name, one in zip(names, here, strict=True)
    )
    return xr.Dataset(
        {
            "middle": labelled(("series", "at"), middle, "relative error of the gradient"),
            "low": labelled(("series", "at"), low, "lower quartile"),
            "high": labelled(("series", "at"), high, "upper quartile"),
        },
        {
            "series": labelled("series", names, "frame of the edge"),
            "at": labelled("at", powers, "distance to the pole, power of ten"),
        },
        provenance(
            "pole_dataset", seed=list(stored["seed"].values), dtype="float32" if precision == "single" else "float64",
            reduction="median and quartiles over seeds", chosen=power, headline=f"{where}: {said}",
            gaps="not a number", tick_words="|".join("pole" if one == POLE else str(one) for one in powers),
        ),
    )  # fmt: skip
