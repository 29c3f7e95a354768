"""What products of features can represent, counted and fitted, and whether the fast one is the slow one."""

from __future__ import annotations

import torch
import xarray as xr

from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance


def expressivity(highest: int = 6, seed: int = 0) -> xr.Dataset:
    """Free numbers of each kind of product for degrees up to 1..highest, and what each leaves of a cross product.

    Args:
        highest: the largest L.
        seed: of the vectors that are fitted.

    Returns:
        `free_numbers(product, lmax)` for each pair of channels, `cross_product_left(product)`, the share of a x b that
        the best fit leaves.

    >>> expressivity(2)["free_numbers"].sel(product="Gaunt grid").values.tolist()
    [4, 7]
    """
    from workbench.e3.expressivity import KINDS, cross_product_floor, free_numbers

    degrees = list(range(1, highest + 1))
    numbers = [[free_numbers(kind, lmax) for lmax in degrees] for kind in KINDS]
    floors = [cross_product_floor(kind, seed=seed) for kind in KINDS]
    return xr.Dataset(
        {
            "free_numbers": labelled(("product", "lmax"), numbers, "weights for each pair of channels"),
            "cross_product_left": labelled("product", floors, "share of a cross product that the best fit leaves"),
        },
        coords={
            "product": labelled("product", list(KINDS), "kind of product"),
            "lmax": labelled("lmax", degrees, "highest degree L"),
        },
        attrs=provenance("expressivity", seed=seed, dtype="float64"),
    )


def engine_agreement(highest: int = 4, channels: int = 4, edges: int = 64, seed: int = 0) -> xr.Dataset:
    """Relative difference of both engines of the edge product, in output and gradients, degree by degree, in float64.

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
        layers = [EdgeProduct(irreps, lmax, irreps, engine).double() for engine in ("e3nn", "so2")]
        layers[1].load_state_dict(layers[0].state_dict())
        x = torch.randn(edges, irreps.dim, generator=generator, dtype=torch.float64, requires_grad=True)
        v = torch.randn(edges, 3, generator=generator, dtype=torch.float64, requires_grad=True)
        found = []
        for layer in layers:
            out = layer(x, v)
            found.append([out.detach(), *torch.autograd.grad(out.sin().sum(), (x, v, layer.weight))])
        rows.append([float((a - b).abs().max() / a.abs().max()) for a, b in zip(*found, strict=True)])
    return xr.Dataset(
        {"difference": labelled(("lmax", "quantity"), rows, "largest difference over largest value")},
        coords={
            "lmax": labelled("lmax", degrees, "highest degree L"),
            "quantity": labelled("quantity", quantities, "what is compared"),
        },
        attrs=provenance("engine_agreement", seed=seed, dtype="float64", channels=channels, edges=edges),
    )
