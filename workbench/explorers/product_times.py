"""From which degree on is the reduced product the faster one?"""

from __future__ import annotations

from typing import Any

import numpy as np
import param
import xarray as xr

from workbench.explorers._explorer import Explorer
from workbench.explorers.seeds import load
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.views.stored_curves import stored_curves

METHOD = "fast_products"


class ProductTimesExplorer(Explorer):
    """Speed-up of the edge product reduced to SO(2) over e3nn's, degree by degree, from stored times.

    >>> ds = ProductTimesExplorer(lmax=6).dataset()
    >>> bool((ds["middle"].sel(at=6) > 4).all())
    True
    """

    slug = "product_times"
    title = "Times of tensor products"
    question = "From which degree on is the reduced product the faster one?"
    explanation = (
        "Both engines compute the same function of the same weights, so only their times differ. A training step was "
        "timed for each, forward and backward, with gradients of features, weights and the places of atoms; the bars "
        "are quartiles over rounds. The turn to the frame costs something, too, and below the dotted line it does not "
        "pay. Six layers on one set of edges share the matrices of the turns. Weights of each edge leave channels to "
        "themselves, and a network makes them from the distance. The times are stored results; workbench reproduce "
        "fast_products measures them again on your machine."
    )

    lmax = param.Integer(3, bounds=(1, 6), step=1, label="Highest degree, L", doc="The degree that is read out.")
    channels = param.Selector(
        objects={"16": 16, "32": 32}, default=32, label="Channels", doc="Of each degree, on both sides."
    )

    def compute(self) -> xr.Dataset:
        """Divide the stored times."""
        return speedup_dataset(load(METHOD), self.lmax, self.channels)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return stored_curves(ds)


EXPLORER = ProductTimesExplorer


def speedup_dataset(claims: xr.Dataset, lmax: int, channels: int) -> xr.Dataset:
    """Ratios of e3nn's time to that of the reduced product.

    Args:
        claims: with `product_ms`, see :func:`workbench.measure.product_times.product_times`.
        lmax, channels: one of the stored sizes.

    Returns:
        `middle(series, at)`, the median over rounds, with its quartiles `low` and `high`.
    """
    times = claims["product_ms"].sel(channels=channels).transpose("engine", "way", "lmax", "timing")
    ratios = times.sel(engine="e3nn").values / times.sel(engine="so2").values
    low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75), axis=-1)
    degrees = [int(one) for one in times["lmax"].values]
    ways = [str(way) for way in times["way"].values]
    first = [next((d for d, ratio in zip(degrees, row, strict=True) if ratio > 1), None) for row in middle]
    here = "; ".join(f"{way} {row[degrees.index(lmax)]:.1f}" for way, row in zip(ways, middle, strict=True))
    return xr.Dataset(
        {
            "middle": labelled(("series", "at"), middle, "times faster than e3nn's product"),
            "low": labelled(("series", "at"), low, "lower quartile"),
            "high": labelled(("series", "at"), high, "upper quartile"),
            "crossover": labelled("series", [float(one or np.nan) for one in first], "first degree that is faster"),
        },
        {
            "series": labelled("series", ways, "weights and frames"),
            "at": labelled("at", degrees, "highest degree L"),
        },
        provenance(
            "speedup_dataset", seed=0, dtype="float32", reduction="median and quartiles over rounds", chosen=lmax,
            channels=channels, headline=f"L = {lmax}: {here}", reference=1.0, words="as fast as e3nn's",
            machine=str(claims.attrs.get("machine", "")),
        ),
    )  # fmt: skip
