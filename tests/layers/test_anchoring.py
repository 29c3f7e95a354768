"""Anchored strided layers: every cyclic shift of the input is a cyclic shift of the output, and plain ones fail."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from tests.layers.symmetry import relative
from tests.tolerances import BROKEN, EXACT
from workbench.layers.anchoring import PolyphaseAnchor, anchors


def best_alignment(y: Tensor, z: Tensor) -> float:
    """The least |y - shifted z| / |z| over all cyclic shifts of z."""
    height, width = z.shape[-2:]
    shifts = itertools.product(range(height), range(width))
    return min(relative(y, z.roll(by, (-2, -1))) for by in shifts)


def strided(stride: int, kernel_size: int, anchored: bool, dtype: torch.dtype) -> nn.Sequential:
    torch.manual_seed(2)
    k = kernel_size
    conv = nn.Conv2d(2, 3, k, stride=stride, padding=(k - 1) // 2, padding_mode="circular", dtype=dtype)
    return nn.Sequential(PolyphaseAnchor(stride) if anchored else nn.Identity(), conv)


@pytest.mark.parametrize("dtype", list(EXACT), ids=str)
@pytest.mark.parametrize(("stride", "kernel_size"), [(4, 4), (2, 3), (4, 5)])
def test_all_cyclic_shifts_commute_exactly(stride, kernel_size, dtype):
    x = torch.randn(1, 2, 16, 16, dtype=dtype)
    anchored, plain = (strided(stride, kernel_size, on, dtype) for on in (True, False))
    still, broken = anchored(x), plain(x)
    for by in itertools.product(range(stride + 1), repeat=2):
        assert best_alignment(anchored(x.roll(by, (2, 3))), still) <= EXACT[dtype], by
        if by[0] % stride or by[1] % stride:
            assert best_alignment(plain(x.roll(by, (2, 3))), broken) > BROKEN, by


def test_all_256_shifts_of_an_image_leave_a_pooled_output_the_same():
    x = torch.randn(1, 2, 16, 16).double()
    nets = [nn.Sequential(strided(4, 4, on, torch.float64), nn.ReLU(), nn.AdaptiveAvgPool2d(1)) for on in (True, False)]
    shifts = list(itertools.product(range(16), repeat=2))
    moved = torch.cat([x.roll(by, (2, 3)) for by in shifts])
    anchored, plain = (max(relative(one, net(x)[0]) for one in net(moved)) for net in nets)
    assert anchored <= EXACT[torch.float64]
    assert plain > BROKEN


def test_the_strongest_grid_comes_to_the_origin_image_by_image():
    x = torch.rand(5, 3, 12, 8)
    y = PolyphaseAnchor(2)(x)
    assert torch.equal(anchors(y, 2), torch.zeros(5, 2).long())
    for one, moved, (row, column) in zip(x, y, anchors(x, 2).tolist(), strict=True):
        assert torch.equal(moved, one.roll((-row, -column), (1, 2)))


def test_equal_grids_are_taken_by_the_first_and_that_breaks_the_shift():
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 0, 0], x[0, 0, 0, 1] = 1.0, -1.0  # two grids of the same norm, and not the same picture
    anchor = PolyphaseAnchor(2)
    assert anchors(x, 2).tolist() == anchors(x.roll(1, 3), 2).tolist() == [[0, 0]]
    assert best_alignment(anchor(x)[..., ::2, ::2], anchor(x.roll(1, 3))[..., ::2, ::2]) > BROKEN
    constant = torch.ones(1, 1, 4, 4)
    assert torch.equal(anchor(constant), constant)


def test_its_gradient_is_that_of_a_shift():
    x = torch.rand(2, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    target = torch.rand(2, 1, 4, 4, dtype=torch.float64)
    (PolyphaseAnchor(2)(x) * target).sum().backward()
    back = torch.stack([t.roll(by, (1, 2)) for t, by in zip(target, map(tuple, anchors(x, 2).tolist()), strict=True)])
    assert torch.equal(x.grad, back)


@pytest.mark.parametrize("shape", [(1, 1, 7, 8), (1, 1, 8, 7), (1, 8, 8), (16,)])
def test_sizes_that_do_not_divide_are_refused(shape):
    with pytest.raises(ValueError, match="multiples of the stride 2; crop or pad"):
        PolyphaseAnchor(2)(torch.zeros(shape))


def test_a_stride_that_is_none_is_refused():
    with pytest.raises(ValueError, match="stride = 0 was given"):
        PolyphaseAnchor(0)
