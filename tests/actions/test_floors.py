"""The resampling floor."""

import math

import pytest
import torch

from tests.tolerances import EXACT
from workbench.actions import RESAMPLERS, disc_mask, round_trip_floor, smooth, transform_image
from workbench.groups import SO2

ANGLE = torch.tensor([[math.radians(45)]], dtype=torch.float64)


def noise(sigma: float = 0.0) -> torch.Tensor:
    """Filtered noise that fades towards the frame: a Fourier shift of an image cut at its edge would ring."""
    fade = torch.exp(-((torch.arange(33, dtype=torch.float64) - 16) ** 2) / (2 * 5.0**2))
    x = torch.randn(4, 1, 33, 33, generator=torch.Generator().manual_seed(0)).double()
    return smooth(x, sigma) * fade[:, None] * fade


@pytest.mark.parametrize("resampler", RESAMPLERS)
def test_the_floor_agrees_with_turning_each_image_there_and_back(resampler: str) -> None:
    x, mask = noise(1.0), disc_mask(33, 33, dtype=torch.float64)
    floor = round_trip_floor(x, ANGLE, SO2(), resampler)
    for image, value in zip(x, floor[0], strict=True):
        there = transform_image(image, ANGLE[0], SO2(), resampler=resampler)
        back = transform_image(there, -ANGLE[0], SO2(), resampler=resampler)
        expected = ((back - image) * mask).norm() / (image * mask).norm()
        assert value == pytest.approx(float(expected), rel=EXACT[torch.float32])


@pytest.mark.parametrize("resampler", RESAMPLERS)
def test_the_floor_is_zero_on_the_lattice_and_falls_with_smoothness(resampler: str) -> None:
    quarter = torch.tensor([[math.pi / 2]], dtype=torch.float64)
    assert (round_trip_floor(noise(), quarter, SO2(), resampler) == 0).all()
    means = [float(round_trip_floor(noise(s), ANGLE, SO2(), resampler, "centre").mean()) for s in (0, 1, 2)]
    assert means == sorted(means, reverse=True)
    assert means[-1] < means[0] / 3


def test_a_resampler_that_does_nothing_would_not_show_a_floor() -> None:
    # the broken twin: with the identity as action the floor vanishes, which the real one must not
    assert round_trip_floor(noise(), ANGLE * 0, SO2()).max() == 0
    assert round_trip_floor(noise(), ANGLE, SO2()).min() > 0.1
