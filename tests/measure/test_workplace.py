"""Differences and sums of maps: against loops over pixels, in blocks, in both orders of memory, tiny maps."""

import numpy as np
import pytest
import torch

from tests.tolerances import EXACT, SPLIT
from workbench.measure import workplace
from workbench.measure.generators import Generator
from workbench.measure.workplace import differences, lies_channels_last


def by_hand(of: torch.Tensor, dim: int, padding: str) -> torch.Tensor:
    """Each pixel's two neighbours along ``dim`` of ``(N, H, W)``, one pixel at a time."""
    size, result = of.shape[dim], torch.zeros_like(of)

    def at(place: int) -> torch.Tensor:
        if padding == "zeros" and not 0 <= place < size:
            return torch.zeros_like(of.select(dim, 0))
        return of.select(dim, place % size if padding == "circular" else min(max(place, 0), size - 1))

    for place in range(size):
        result.select(dim, place).copy_(at(place + 1) - at(place - 1))
    return result


@pytest.mark.parametrize("padding", ["border", "circular", "zeros"])
@pytest.mark.parametrize("size", [(2, 2), (2, 5), (3, 4), (7, 6)])
@pytest.mark.parametrize("channels", [1, 3])
def test_differences_are_those_of_neighbouring_pixels(padding: str, size: tuple, channels: int) -> None:
    of = torch.randn(4, *size, channels, generator=torch.Generator().manual_seed(0))
    for dim in (-2, -3):
        spare = torch.full_like(of, torch.nan)
        for after, before, difference in differences(of, spare, dim, padding, torch.ones(size)):
            torch.sub(after, before, out=difference)
        flat = of.movedim(-1, 1).flatten(0, 1)
        assert torch.equal(spare.movedim(-1, 1).flatten(0, 1), by_hand(flat, dim + 1, padding))


@pytest.mark.parametrize("group", ["rotation", "translation x", "scale"])
@pytest.mark.parametrize("padding", ["border", "circular", "zeros"])
@pytest.mark.parametrize("mask", ["none", "disc", "centre"])
def test_blocks_orders_of_memory_and_tiny_maps_do_not_matter(group, padding, mask, monkeypatch) -> None:
    for side in (4, 9):
        maps = torch.randn(6, 5, side, side, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        other = maps.contiguous(memory_format=torch.channels_last)
        assert lies_channels_last(other)
        assert not lies_channels_last(maps)
        wanted = Generator(group, (side, side), mask, padding).sums(maps, 0.1)
        assert np.allclose(Generator(group, (side, side), mask, padding).sums(other, 0.1), wanted, atol=0, rtol=SPLIT)
        together = Generator(group, (side, side), mask, padding).sums(other, 0.1, False)
        assert np.allclose(together.sum(-1), wanted[:2].sum(-1), atol=0, rtol=SPLIT)
        for name, value in (("_BLOCK", 64), ("_TINY_MAP", 0)):
            monkeypatch.setattr(workplace, name, value)
            for given in (maps, other):
                found = Generator(group, (side, side), mask, padding).sums(given, 0.1)
                assert np.allclose(found, wanted, rtol=SPLIT, atol=EXACT[torch.float64])
            monkeypatch.undo()


def test_buffers_are_used_again_and_leave_no_trace() -> None:
    generator = Generator("rotation", (8, 8))
    first, second = torch.randn(2, 6, 2, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    once = generator.sums(first, 0.1)
    generator.sums(second, 0.1)
    assert np.array_equal(generator.sums(first, 0.1), once)
