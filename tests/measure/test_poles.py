"""Gradients near the poles: right in frames without angles, wrong and then no number in frames of two angles."""

import numpy as np
import pytest
import torch

from tests.tolerances import SPACE
from workbench.e3.irreps import harmonic_irreps
from workbench.e3.product import EdgeProduct
from workbench.e3.wigner import EdgeFrames
from workbench.measure.dataset import validate
from workbench.measure.poles import DISTANCES, blocks_of_angles, pole_errors, reduced_by_blocks, stored_poles


@pytest.fixture(scope="module")
def errors():
    return validate(pole_errors(2, 2, 2), {"pole_error": ("frame", "precision", "distance", "seed")})["pole_error"]


def test_frames_without_angles_are_right_at_every_distance(errors):
    ours = errors.sel(frame="without angles")
    assert float(ours.sel(precision="double").max()) < SPACE[torch.float64]
    assert float(ours.sel(precision="single").max()) < SPACE[torch.float32]


def test_frames_of_angles_the_broken_twin_lose_digits_and_then_everything(errors):
    twin = errors.sel(frame="two angles")
    assert float(twin.sel(precision="single", distance=1.0).max()) < SPACE[torch.float32]
    assert float(twin.sel(precision="single", distance=1e-3).min()) > 1e-3
    assert bool(np.isnan(twin.sel(precision="single", distance=[1e-5, 1e-8, 0.0])).all())
    assert float(twin.sel(precision="double", distance=1e-6).min()) > 1e-7
    assert bool(np.isnan(twin.sel(precision="double", distance=[1e-8, 0.0])).all())


def test_away_from_the_poles_both_frames_are_one_product():
    irreps = harmonic_irreps(3, 2)
    layer = EdgeProduct(irreps, 3, irreps, "so2").double()
    generator = torch.Generator().manual_seed(0)
    sizes = (irreps.dim, 3)
    f, v = (torch.randn(6, n, generator=generator, dtype=torch.float64) for n in sizes)
    right, weight = layer(f, v).detach(), layer.weight.detach()
    for blocks in (blocks_of_angles(v, 3), EdgeFrames(v, 3).wigner):
        out = reduced_by_blocks(layer, f, blocks, weight)
        assert float((out - right).abs().max()) < SPACE[torch.float64]


def test_the_study_is_the_measure_and_counts_are_checked():
    assert stored_poles({}, fast=True).sizes == {"frame": 2, "precision": 2, "distance": len(DISTANCES), "seed": 1}
    with pytest.raises(ValueError, match="seeds"):
        pole_errors(2, 1, 0)
