"""Numbers that a paper printed, kept apart from everything measured here and labelled with their source."""

from __future__ import annotations

import numpy as np
import xarray as xr

from workbench.measure.dataset import labelled

ARCS = {
    "rotMNIST": (1.0, 0.9997, 1.0, 0.9929, 1.0, 0.9989),
    "CIFAR-10": (1.0, 0.6494, 0.98, 0.3624, 1.0, 1.0),
    "CIFAR-100": (1.0, 1.0, 0.8545, 1e-4, 2e-4, 0.9526),
}
SOURCE = (
    "Romero & Lohit 2022, arXiv 2110.10211; values printed in the notebook "
    "plots_learned_partial_equivariances.ipynb of the released code"
)


def published_arcs() -> xr.Dataset:
    """The share of the circle that each layer of the paper's residual network kept, on a relative depth axis.

    Order of `stage`: lifting (fixed at 1), the two convolutions of both blocks, the final convolution.

    >>> float(published_arcs()["published_arc"].sel(published="CIFAR-10").min())
    0.3624
    """
    values = np.asarray(list(ARCS.values()), dtype=np.float64)
    ds = xr.Dataset(
        {
            "published_arc": labelled(("published", "stage"), values, "published share of the circle kept"),
            "published_depth": labelled("stage", np.linspace(0, 1, values.shape[1]), "relative depth of the layer"),
        },
        coords={"published": labelled("published", list(ARCS), "data set of the published run")},
    )
    ds["published_arc"].attrs["source"] = SOURCE
    return ds
