"""The size rule of sliding windows against a direct search, and its sentences."""

import itertools
import re

import pytest
import torch
from torch.nn import functional

from workbench.layers.lattice import as_size, check_size, check_window, output_size, size_problem

CASES = list(itertools.product(range(5, 12), (1, 2, 3, 4, 5), (1, 2, 3, 4), (0, 1, 2)))


def visited(side: int, window: int, stride: int, padding: int) -> list[int]:
    """How often each pixel is seen by the window."""
    count = functional.conv_transpose1d(
        torch.ones(1, 1, (side + 2 * padding - window) // stride + 1), torch.ones(1, 1, window), stride=stride
    )[0, 0]
    seen = torch.zeros(side + 2 * padding)
    seen[: len(count)] = count
    return seen[padding : padding + side].tolist()


@pytest.mark.parametrize("side", range(5, 12))
def test_a_window_is_accepted_exactly_when_it_visits_the_image_symmetrically(side):
    for _, window, stride, padding in (case for case in CASES if case[0] == side):
        starts = [i * stride - padding for i in range((side + 2 * padding - window) // stride + 1)]
        mirrored = sorted(side - start - window for start in starts)
        assert (size_problem((side, side), window, stride, padding) is None) == (starts == mirrored)
        if starts == mirrored:
            assert visited(side, window, stride, padding) == visited(side, window, stride, padding)[::-1]


def test_both_nearest_fixes_are_fixes():
    for side, window, stride, padding in CASES:
        problem = size_problem((side, side), window, stride, padding)
        if problem is not None:
            wider, *sizes = (int(number) for number in re.findall(r"\d+", problem.split("use ")[1]))
            assert size_problem((side, side), wider, stride, padding) is None
            assert all(size_problem((size, size), window, stride, padding) is None for size in sizes)


def test_each_side_of_an_oblong_image_counts():
    assert size_problem((16, 17), 2, 2, 0) is not None
    assert size_problem((17, 16), 2, 2, 0) is not None
    assert size_problem((16, 18), 2, 2, 0) is None


def test_sizes_are_refused_with_the_nearest_fix():
    with pytest.raises(ValueError, match=r"pool: not equivariant to quarter turns.*size 16 or 18; or pass exact=False"):
        check_size("pool", (17, 17), 2, 2, 0, exact=True)
    check_size("pool", (17, 17), 2, 2, 0, exact=False)
    with pytest.raises(ValueError, match="at least 7 for a window of 7"):
        check_size("conv", (5, 9), 7, 1, 0, exact=False)


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "3", None])
def test_windows_are_positive_integers(value):
    with pytest.raises(ValueError, match=f"window = {re.escape(repr(value))} was given"):
        check_window("layer", window=value)
    check_window("layer", window=1, padding=0)


def test_output_sizes_are_those_of_a_plain_convolution():
    for side, window, stride, padding in CASES:
        plain = functional.conv2d(torch.zeros(1, 1, side, 12), torch.zeros(1, 1, window, window), None, stride, padding)
        assert output_size((side, 12), window, stride, padding) == tuple(plain.shape[-2:])
    assert as_size(5) == (5, 5)
    assert as_size((5, 6)) == (5, 6)
