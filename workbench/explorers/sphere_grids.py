"""How fine must a grid on the sphere be?"""

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

HERE = {"product": ("product_error", "degree"), "activation": ("activation_error", "resolution")}
FLOOR = 1e-17
"""What is drawn for errors of nothing at all."""


class SphereGridsExplorer(Explorer):
    """Error of a product, or of a non-linearity, made point by point on a grid of the sphere.

    >>> ds = SphereGridsExplorer(lmax=2, fineness=6).dataset()
    >>> bool(ds["middle"].sel(series="L = 2", at=5) > 1e-3), bool(ds["middle"].sel(series="L = 2", at=6) < 1e-13)
    (True, True)
    """

    slug = "sphere_grids"
    title = "Grids on the sphere"
    question = "How fine must a grid on the sphere be?"
    explanation = (
        "A feature is a function on the sphere, and what is done to the values of a function at each point commutes "
        "with turns. On a computer the points are a grid, and the result has to be turned into coefficients again. A "
        "product of two features is a polynomial: a grid that integrates three times their degree is exact, one that "
        "falls short by a single degree is not. A bent curve such as tanh is no polynomial, so that no grid is exact; "
        "finer ones leave less. Errors are medians and quartiles over five seeds, in double precision."
    )

    lmax = param.Integer(2, bounds=(1, 4), step=1, label="Highest degree, L", doc="Of the features.")
    fineness = param.Integer(
        5, bounds=(0, 15), step=1, label="Fineness of the grid",
        doc="Of a product the degree that the grid integrates exactly, of an activation a quarter of its rings.",
    )  # fmt: skip
    what = param.Selector(
        objects={"product of two features": "product", "activation by tanh": "activation"},
        default="product",
        label="On the grid",
        doc="What is done point by point.",
    )

    def compute(self) -> xr.Dataset:
        """Read the stored errors."""
        return grid_dataset(load(METHOD), self.lmax, self.fineness, self.what)

    def view(self, ds: xr.Dataset) -> dict[str, Any]:
        """Draw it."""
        return stored_curves(ds)


EXPLORER = SphereGridsExplorer


def grid_dataset(claims: xr.Dataset, lmax: int, fineness: int, what: str) -> xr.Dataset:
    """Errors of all degrees over fineness, and that of one in words.

    Args:
        claims: with `product_error` and `activation_error`, see
            :func:`workbench.measure.sphere_grids.grid_errors`.
        lmax: the degree whose error is said.
        fineness: of a product the degree of the grid, of an activation the stored resolution nearest to four times it.
        what: "product" or "activation".

    Returns:
        `middle(series, at)`, the median over seeds, with quartiles `low` and `high`.
    """
    name, dim = HERE[what]
    stored = claims[name].transpose("lmax", dim, "seed").dropna("lmax", how="all")
    places = stored[dim].values
    chosen = int(places[np.abs(places - fineness * (1 if what == "product" else 4)).argmin()])
    low, middle, high = np.quantile(np.maximum(stored.values, FLOOR), (0.25, 0.5, 0.75), axis=-1)
    degrees = [int(one) for one in stored["lmax"].values]
    error = middle[degrees.index(lmax), int(np.flatnonzero(places == chosen)[0])]
    said = "not stored or refused" if np.isnan(error) else f"error {error:.0e}"
    grid = f"a grid exact to degree {chosen}" if what == "product" else f"{chosen} rings"
    return xr.Dataset(
        {
            "middle": labelled(("series", "at"), middle, str(stored.attrs["long_name"])),
            "low": labelled(("series", "at"), low, "lower quartile"),
            "high": labelled(("series", "at"), high, "upper quartile"),
        },
        {
            "series": labelled("series", [f"L = {one}" for one in degrees], "highest degree"),
            "at": labelled("at", places, str(stored[dim].attrs["long_name"])),
        },
        provenance(
            "grid_dataset", seed=list(stored["seed"].values), dtype="float64",
            reduction="median and quartiles over seeds", chosen=chosen, headline=f"L = {lmax}, {grid}: {said}",
        ),
    )  # fmt: skip
