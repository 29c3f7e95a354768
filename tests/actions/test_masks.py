"""Masks and the Gaussian filter."""

import math

import pytest
import torch

from tests.tolerances import EXACT
from workbench.actions import disc_mask, named_mask, smooth, transform_images
from workbench.groups import Dihedral


@pytest.mark.parametrize("size", [1, 4, 5, 16, 33])
@pytest.mark.parametrize("name", ["disc", "centre", "none"])
def test_masks_are_mapped_onto_themselves_by_quarter_turns_and_flips(size: int, name: str) -> None:
    mask = named_mask(name, size, size).view(1, 1, size, size)
    moved = transform_images(mask, Dihedral(4).grid(dtype=torch.float64), Dihedral(4))
    assert torch.equal(moved, mask.expand_as(moved))
    assert mask.sum() > 0 or (name, size) == ("centre", 4)


def test_the_disc_agrees_with_one_pixel_at_a_time() -> None:
    mask = disc_mask(5, 8, margin=0.5)
    for i in range(5):
        for j in range(8):
            assert mask[i, j] == (math.hypot(i - 2, j - 3.5) <= 2.0)


def test_bad_masks_get_a_sentence() -> None:
    with pytest.raises(ValueError, match="margin"):
        disc_mask(4, 4, margin=2)
    for sides in ((2.5, 8), (8, "8"), (0, 8)):
        with pytest.raises(ValueError, match="at least one pixel"):
            disc_mask(*sides)
    for sigma in (-1, math.nan, 1e9, "2"):
        with pytest.raises(ValueError, match=r"expected a width in pixels from 0 .* to 4, the size of the image"):
            smooth(torch.rand(1, 4, 4), sigma)
    with pytest.raises(ValueError, match="'centre'"):
        named_mask("square", 4, 4)


def test_smoothing_widens_a_point_to_a_gaussian() -> None:
    x = torch.zeros(1, 31, 31, dtype=torch.float64)
    x[0, 15, 15] = 1
    wide = smooth(x, 2.0)[0]
    away = torch.arange(31, dtype=torch.float64) - 15
    assert wide.sum() == pytest.approx(1, abs=EXACT[torch.float64])
    assert float((wide.sum(0) * away**2).sum()) == pytest.approx(4, rel=0.01)


def test_smoothing_keeps_constants_and_commutes_with_quarter_turns() -> None:
    x = torch.rand(2, 1, 6, 6, dtype=torch.float64)
    assert (smooth(torch.full_like(x, 3), 1.5) - 3).abs().max() <= EXACT[torch.float64]
    moved = smooth(torch.rot90(x, 1, (-2, -1)), 1.5) - torch.rot90(smooth(x, 1.5), 1, (-2, -1))
    assert moved.abs().max() <= EXACT[torch.float64]
    assert smooth(x, 0) is x


@pytest.mark.parametrize("sigma", [-1.0, math.nan, math.inf])
def test_bad_widths_get_a_sentence(sigma: float) -> None:
    with pytest.raises(ValueError, match="sigma_px"):
        smooth(torch.rand(1, 3, 3), sigma)
