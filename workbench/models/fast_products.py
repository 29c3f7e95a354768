"""Fast products of features: S. Passaro, C. L. Zitnick, "Reducing SO(3) Convolutions to SO(2) for Efficient Equivariant
GNNs", ICML 2023, arXiv 2302.03655, of which we read the abstract and released code; beside it Luo, Chen &
Krishnapriyan 2024 (arXiv 2401.10216) and Xie et al. 2025 (arXiv 2506.13523).

Nothing is trained: studies measure random weights and inputs of five seeds, and process time over rounds, on one
thread. The papers' times are those of GPUs and of other sizes, so what is checked is the growth with the degree; bands
of times were set after a first benchmark and leave room for other machines. The sentence about layers that share frames
first asked for degree 6 alone, which five rounds could not decide; it was replaced by the mean over degrees after that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.models.method import Claim, Method

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

_HERE = "measured here"
_ROUNDING = 1e-11


def _speedup(d: xr.Dataset, way: str, lmax: int) -> np.ndarray:
    times = d["product_ms"].sel(way=way, lmax=lmax, channels=32)
    return (times.sel(engine="e3nn") / times.sel(engine="so2")).values


def _sharing(d: xr.Dataset) -> np.ndarray:
    """Time of a layer on its own over that of one of six, the geometric mean over degrees from 3 on and channels."""
    import numpy as np

    times = d["product_ms"].sel(engine="so2", lmax=[3, 4, 5, 6])
    ratio = times.sel(way="shared weights") / times.sel(way="shared weights, six layers")
    return np.exp(np.log(ratio.transpose("timing", "lmax", "channels").values).mean((1, 2)))


def _growth(d: xr.Dataset, engine: str) -> np.ndarray:
    """The exponent of L + 1 in the time from degree 3 to 6."""
    import numpy as np

    times = d["product_ms"].sel(engine=engine, way="shared weights", channels=32).sel(lmax=[3, 4, 5, 6])
    logs = np.log(times.transpose("timing", "lmax").values)
    return np.polyfit(np.log(times["lmax"].values + 1.0), logs.T, 1)[0]


def _difference(d: xr.Dataset) -> np.ndarray:
    return d["engine_difference"].max(("lmax", "quantity", "weights")).values


def _random(d: xr.Dataset, kind: str) -> np.ndarray:
    return d["random_left"].sel(product=kind).dropna("seed").values


def _left(d: xr.Dataset, kind: str) -> np.ndarray:
    return d["cross_product_left"].sel(product=kind).values.reshape(1)


def _at_pole(d: xr.Dataset, frame: str, distance: float) -> np.ndarray:
    import numpy as np

    errors = d["pole_error"].sel(frame=frame, precision="single", distance=distance).values
    return np.nan_to_num(errors, nan=1.0)


METHOD = Method(
    name="fast_products",
    title="Reducing SO(3) Convolutions to SO(2) for Efficient Equivariant GNNs",
    authors="S. Passaro, C. L. Zitnick",
    year=2023,
    arxiv="2302.03655",
    summary="Products of features in the frame of an edge, as fast as they are exact; and what cheaper ones give up.",
    notebook="13_fast_tensor_products.ipynb",
    claims=(
        Claim(
            "equal", "The reduced product is the full one with other numbers for the same weights.",
            "section 3; equality to rounding is checked here", None, "1", _difference, (0.0, _ROUNDING),
            lambda d: bool((_difference(d) < _ROUNDING).all()),
        ),
        Claim(
            "growth-full", "The full product's time grows with the sixth power of the degree.",
            "abstract, of the number of operations", 6.0, "1", lambda d: _growth(d, "e3nn"), (4.0, 8.0),
            lambda d: bool(_growth(d, "e3nn").mean() > 5),
        ),
        Claim(
            "growth-reduced", "The reduced product's grows with the third power.",
            "abstract, of the number of operations", 3.0, "1", lambda d: _growth(d, "so2"), (1.0, 4.5),
            lambda d: bool(_growth(d, "so2").mean() < 3.5),
        ),
        Claim(
            "faster-4", "At degree 4 the reduced product with its own frames is faster, 32 channels.", _HERE, None,
            "times", lambda d: _speedup(d, "shared weights", 4), (2.5, 15.0),
            lambda d: bool((_speedup(d, "shared weights", 4) > 1).all()),
        ),
        Claim(
            "faster-6", "At degree 6 it gains more.", _HERE, None, "times",
            lambda d: _speedup(d, "shared weights", 6), (5.0, 40.0),
            lambda d: bool(_speedup(d, "shared weights", 6).min() > _speedup(d, "shared weights", 4).max()),
        ),
        Claim(
            "sharing", "Six layers that share frames and matrices take less each, mean over degrees from 3 on.", _HERE,
            None, "times", _sharing, (1.0, 1.6), lambda d: bool(_sharing(d).mean() > 1.02),
        ),
        Claim(
            "faster-6-edge", "Weights of each edge gain, too.", _HERE, None, "times",
            lambda d: _speedup(d, "weights of each edge", 6), (5.0, 40.0),
            lambda d: bool((_speedup(d, "weights of each edge", 6) > 1).all()),
        ),
        Claim(
            "cross-product-gaunt", "Multiplication on the sphere makes no cross product.",
            "arXiv 2506.13523: odd sums do not interact", 1.0, "share left", lambda d: _left(d, "Gaunt grid"),
            (0.9, 1.0),
            lambda d: bool(_left(d, "Gaunt grid")[0] > 0.9),
        ),
        Claim(
            "cross-product-vector", "Fields of vectors on the sphere do.", "arXiv 2506.13523; the definition is ours",
            0.0, "share left", lambda d: _left(d, "vector Gaunt"), (0.0, 1e-9),
            lambda d: bool(_left(d, "vector Gaunt")[0] < 1e-9),
        ),
        Claim(
            "random-vector", "Even these leave part of a random product, as their weights are too few.",
            "arXiv 2506.13523, of expressivity; the measure is ours", None, "share left",
            lambda d: _random(d, "vector Gaunt"), (0.0, 0.5), lambda d: bool((_random(d, "vector Gaunt") > 1e-3).all()),
        ),
        Claim(
            "pole-frame", "Without angles the gradient is right at the pole, in single precision.", _HERE, None, "1",
            lambda d: _at_pole(d, "without angles", 0.0), (0.0, 1e-5),
            lambda d: bool((_at_pole(d, "without angles", 0.0) < 1e-5).all()),
        ),
        Claim(
            "pole-angles", "With two angles it is off a thousandth from the pole, no number nearer.", _HERE, None, "1",
            lambda d: _at_pole(d, "two angles", 1e-3), (1e-3, 1.0),
            lambda d: bool(
                (_at_pole(d, "two angles", 1e-3) > 1e-3).all() and (_at_pole(d, "two angles", 0.0) == 1).all()
            ),
        ),
    ),
    studies={
        "agreement": "workbench.measure.products:stored_agreement",
        "expressivity": "workbench.measure.products:stored_expressivity",
        "poles": "workbench.measure.poles:stored_poles",
        "grids": "workbench.measure.sphere_grids:stored_grids",
        "times": "workbench.measure.product_times:stored_times",
    },
)  # fmt: skip
