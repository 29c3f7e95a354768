"""Times of the edge product by both engines, degree by degree."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance

WAYS = ("shared weights", "shared weights, six layers", "weights of each edge")
ENGINES = ("e3nn", "so2")
LAYERS = 6
EDGES = 1000


def product_times(
    highest: int = 6, channels: tuple[int, ...] = (16, 32), rounds: int = 5, edges: int = EDGES
) -> xr.Dataset:
    """Process time of one training step of one product: forward, and backward to features, weights and edges.

    Features hold C channels of each degree 0..L with the parity of harmonics, in and out, harmonics go up to L, all in
    single precision on one thread. Rounds go round the contestants, after one step of each to warm up.

    Args:
        highest: the largest L.
        channels: numbers of channels.
        rounds: how many.
        edges: how many.

    Returns:
        `product_ms(engine, way, channels, lmax, timing)`. Six layers share frames and Wigner matrices, or harmonics;
        theirs is a sixth of the time of all.

    >>> bool((product_times(1, (2,), 1, 4)["product_ms"] > 0).all())
    True
    """
    spent = np.empty((len(ENGINES), len(WAYS), len(channels), highest, rounds))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for at, number in enumerate(channels):
            for lmax in range(1, highest + 1):
                spent[:, :, at, lmax - 1] = _rounds(lmax, number, rounds, edges)
    finally:
        torch.set_num_threads(threads)
    return xr.Dataset(
        {
            "product_ms": labelled(
                ("engine", "way", "channels", "lmax", "timing"), spent, "process time of a training step", "ms"
            )
        },
        coords={
            "engine": labelled("engine", list(ENGINES), "engine"),
            "way": labelled("way", list(WAYS), "weights and frames"),
            "channels": labelled("channels", list(channels), "channels"),
            "lmax": labelled("lmax", list(range(1, highest + 1)), "highest degree L"),
            "timing": labelled("timing", list(range(rounds)), "round"),
        },
        attrs=provenance(
            "product_times", seed=0, dtype="float32", reduction="none: one value per round", edges=edges, threads=1,
            layers=LAYERS,
        ),
    )  # fmt: skip


def _rounds(lmax: int, channels: int, rounds: int, edges: int) -> np.ndarray:
    """Milliseconds ``(engine, way, rounds)``."""
    steps = [[_step(engine, way, lmax, channels, edges) for way in WAYS] for engine in ENGINES]
    found = np.empty((len(ENGINES), len(WAYS), rounds))
    for at in range(-1, rounds):
        for row, ways in enumerate(steps):
            for column, step in enumerate(ways):
                start = time.process_time()
                step()
                layers = LAYERS if WAYS[column].endswith("layers") else 1
                if at >= 0:
                    found[row, column, at] = 1e3 * (time.process_time() - start) / layers
    return found


def _step(engine: str, way: str, lmax: int, channels: int, edges: int) -> Callable[[], None]:
    from workbench.e3.irreps import harmonic_irreps
    from workbench.e3.product import EdgeProduct
    from workbench.e3.wigner import EdgeFrames

    irreps, generator = harmonic_irreps(lmax, channels), torch.Generator().manual_seed(0)
    kind = "edge" if way == WAYS[2] else "shared"
    layer = EdgeProduct(irreps, lmax, irreps, engine, weights=kind)
    shape = (layer.weight_numel,) if kind == "shared" else (edges, layer.weight_numel)
    layers = LAYERS if way == WAYS[1] else 1

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).requires_grad_()

    features, vectors, pull = drawn(edges, irreps.dim), drawn(edges, 3), torch.ones(edges, irreps.dim)
    weights = [drawn(*shape) for _ in range(layers)]

    def step() -> None:
        frames = EdgeFrames(vectors, lmax if engine == "so2" else 0)
        outs = [layer(features, frames, weight) for weight in weights]
        torch.autograd.grad(outs, (features, vectors, *weights), [pull] * layers)

    return step


def stored_times(runs: Mapping[tuple[str, int], Path], fast: bool = False) -> xr.Dataset:
    """Study of the stored claims: see :func:`product_times`."""
    return product_times(3, (16, 32), 1, 50) if fast else product_times()
