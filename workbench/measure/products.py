"""What products of features can represent, counted and fitted, and whether the fast one is the slow one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import xarray as xr

from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance


def expressivity(highest: int = 6, seed: int = 0, seeds: int = 5) -> xr.Dataset:
    """Free numbers of each kind of product for degrees up to 1..highest, and what each leaves of two targets.

    Args:
        highest: the largest L.
        seed: of the vectors that are fitted.
        seeds: random products that are fitted.

    Returns:
        `free_numbers(product, lmax)` for each pair of channels; `cross_product_left(product)`, the share of a x b that
        the best fit leaves; `random_left(product, seed)`, the share of random products of degrees 0 to 2, every path
        with a weight of its own, that the best weights leave.

    >>> expressivity(2)["free_numbers"].sel(product="Gaunt grid").values.tolist()
    [4, 7]
    """
    from workbench.e3.expressivity import KINDS, cross_product_floor, free_numbers, random_floor

    degrees = list(range(1, highest + 1))
    numbers = [[free_numbers(kind, lmax) for lmax in degrees] for kind in KINDS]
    floors = [cross_product_floor(kind, seed=seed) for kind in KINDS]
    left = [[random_floor(kind, 2, one) for one in range(seeds)] for kind in KINDS]
    return xr.Dataset(
        {
            "free_numbers": labelled(("product", "lmax"), numbers, "weights for each pair of channels"),
            "cross_product_left": labelled("product", floors, "share of a cross product that the best fit leaves"),
            "random_left": labelled(("product", "seed"), left, "share of a random product that the best weights leave"),
        },
        coords={
            "product": labelled("product", list(KINDS), "kind of product"),
            "lmax": labelled("lmax", degrees, "highest degree L"),
            "seed": labelled("seed", list(range(seeds)), "seed"),
        },
        attrs=provenance("expressivity", seed=seed, dtype="float64"),
    )


def engine_agreement(
    highest: int = 4, channels: int = 4, edges: int = 64, seed: int = 0, weights: str = "shared"
) -> xr.Dataset:
    """Relative difference of both engines of the edge product, in output and gradients, degree by degree, in float64.

    Args:
        highest: the largest degree.
        channels, edges: how many.
        seed: of features, edges and weights.
        weights: "shared", or "edge" for weights of each edge, channel by channel.

    Returns:
        `difference(quantity, lmax)`; quantities are the output and the gradients of features, edges and weights.

    >>> bool((engine_agreement(2)["difference"] < 1e-12).all())
    True
    """
    from workbench.e3.irreps import harmonic_irreps
    from workbench.e3.product import EdgeProduct

    degrees, quantities = list(range(1, highest + 1)), ["output", "features", "edges", "weights"]
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for lmax in degrees:
        irreps = harmonic_irreps(lmax, channels)
        layers = [EdgeProduct(irreps, lmax, irreps, engine, weights=weights).double() for engine in ("e3nn", "so2")]
        numbers = (layers[0].weight_numel,) if weights == "shared" else (edges, layers[0].weight_numel)
        w = torch.randn(numbers, generator=generator, dtype=torch.float64, requires_grad=True)
        x = torch.randn(edges, irreps.dim, generator=generator, dtype=torch.float64, requires_grad=True)
        v = torch.randn(edges, 3, generator=generator, dtype=torch.float64, requires_grad=True)
        found = []
        for layer in layers:
            out = layer(x, v, w)
            found.append([out.detach(), *torch.autograd.grad(out.sin().sum(), (x, v, w))])
        rows.append([float((a - b).abs().max() / a.abs().max()) for a, b in zip(*found, strict=True)])
    return xr.Dataset(
        {"difference": labelled(("lmax", "quantity"), rows, "largest difference over largest value")},
        coords={
            "lmax": labelled("lmax", degrees, "highest degree L"),
            "quantity": labelled("quantity", quantities, "what is compared"),
        },
        attrs=provenance(
            "engine_agreement", seed=seed, dtype="float64", channels=channels, edges=edges, weights=weights
        ),
    )


def stored_expressivity(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """Study of the stored claims: see :func:`expressivity`."""
    return expressivity(3, seeds=1) if fast else expressivity()


def stored_agreement(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """Study of the stored claims: :func:`engine_agreement` for both kinds of weights, `engine_difference`."""
    seeds, highest, kinds = range(1 if fast else 5), 2 if fast else 4, ["shared", "edge"]
    each = [xr.concat([engine_agreement(highest, seed=s, weights=kind) for s in seeds], "seed") for kind in kinds]
    found = xr.concat(each, "weights")["difference"]
    return xr.Dataset(
        {"engine_difference": found.variable},
        coords={
            **{name: found[name].variable for name in ("lmax", "quantity")},
            "weights": labelled("weights", kinds, "weights"),
            "seed": labelled("seed", list(seeds), "seed"),
        },
        attrs=provenance("stored_agreement", seed=list(seeds), dtype="float64"),
    )
