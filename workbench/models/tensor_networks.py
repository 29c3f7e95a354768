"""Functions of tensors as networks of contractions: M. Hodapp, A. Shapeev, "Equivariant tensor networks", 2023, arXiv
2304.08226, of which no text was read for this; what is claimed is the principle, that such a network turns with its
inputs whatever its coefficients, on a law of a material learned in one pose.

The study trains three kinds of networks for five seeds, see :func:`workbench.measure.stress.learned_stress`; sentences
were written before the stored results, bands from smaller runs, those of the notebook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.models.method import Claim, Method

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

_HERE = "measured here, on a law of our own"


def _ratio(d: xr.Dataset, over: tuple[str, str], under: tuple[str, str]) -> np.ndarray:
    """Errors of one model and pose over those of another, seed by seed."""
    one, two = (d["stress_error"].sel(model=model, pose=pose) for model, pose in (over, under))
    return (one.values / two.values).reshape(-1)


def _turn(d: xr.Dataset, model: str) -> np.ndarray:
    return _ratio(d, (model, "turned"), (model, "as trained"))


def _gain(d: xr.Dataset) -> np.ndarray:
    return _ratio(d, ("components, turned", "turned"), ("tensor networks", "turned"))


def _smaller(d: xr.Dataset) -> np.ndarray:
    sizes = d["stress_parameters"]
    return (sizes.sel(model="tensor networks") / sizes.sel(model="components")).values.reshape(1)


METHOD = Method(
    name="tensor_networks",
    title="Equivariant tensor networks",
    authors="M. Hodapp, A. Shapeev",
    year=2023,
    arxiv="2304.08226",
    summary="Functions of tensors as sums of contractions, which turn with their inputs whatever was learned.",
    notebook="13_fast_tensor_products.ipynb",
    claims=(
        Claim(
            "same-turned", "A tensor network errs alike in every pose.", "the principle, unverified in its text", 1.0,
            "times", lambda d: _turn(d, "tensor networks"), (0.999, 1.001),
            lambda d: bool((abs(_turn(d, "tensor networks") - 1) < 1e-3).all()),
        ),
        Claim(
            "components-turned", "A network of components, trained in one pose, errs more in others.", _HERE, None,
            "times", lambda d: _turn(d, "components"), (1.2, 10.0),
            lambda d: bool((_turn(d, "components") > 1).all()),
        ),
        Claim(
            "less-than-turned", "Tensor networks err less than components trained on turned samples.", _HERE, None,
            "times", _gain, (1.0, 20.0), lambda d: bool((_gain(d) > 1).all()),
        ),
        Claim(
            "fewer", "They have fewer parameters than the network of components.", _HERE, None, "share", _smaller,
            (0.0, 1.0), lambda d: bool(_smaller(d)[0] < 1),
        ),
    ),
    studies={"stress": "workbench.measure.stress:stored_stress"},
)  # fmt: skip
