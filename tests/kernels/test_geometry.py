"""Taps, discs and what quarter turns do to them."""

import math

import pytest
import torch

from workbench.groups import O2, SO2, C, D
from workbench.kernels import disc_mask, plan, tap_offsets, turn_permutation
from workbench.kernels.geometry import turns


def test_taps_are_read_row_by_row_with_y_up():
    assert tap_offsets(3).tolist() == [
        [-1, 1], [0, 1], [1, 1],
        [-1, 0], [0, 0], [1, 0],
        [-1, -1], [0, -1], [1, -1],
    ]  # fmt: skip
    assert tap_offsets(2).tolist() == [[-0.5, 0.5], [0.5, 0.5], [-0.5, -0.5], [0.5, -0.5]]


def test_the_disc_holds_5_13_29_and_49_taps():
    assert [int(disc_mask(k).sum()) for k in (1, 3, 5, 7, 9)] == [1, 5, 13, 29, 49]


@pytest.mark.parametrize("k", range(1, 12))
def test_the_disc_has_every_symmetry_of_the_square(k):
    disc = disc_mask(k).view(k, k)
    assert torch.equal(disc, disc.rot90())
    assert torch.equal(disc, disc.flip(1))


def test_testing_the_radius_on_rotated_coordinates_would_change_the_number_of_taps():
    counts = set()
    for step in range(64):
        angle = torch.tensor([2 * math.pi * step / 64])
        moved = SO2().act(angle, tap_offsets(7).float() / 3)
        counts.add(int((moved.square().sum(-1) <= 1).sum()))
    assert len(counts) > 1  # why the disc is tested on integers


@pytest.mark.parametrize(("group", "n"), [(SO2(), 4), (SO2(), 12), (C(8), 8), (O2(), 8), (O2(), 24), (D(4), 8)])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_the_permutation_of_a_quarter_turn_is_the_product_of_the_group(group, n, quarters):
    offset = 0.0 if group.order else 0.3
    grid = group.grid(n, offset, dtype=torch.float64)
    turn = torch.tensor([quarters * math.pi / 2, 1.0][: group.element_dim], dtype=torch.float64)
    turned = group.product(turn, grid)
    places = turn_permutation(group, n, quarters)
    assert bool((group.distance(turned, grid[places]) < 1e-9).all())
    wrong = grid[turn_permutation(group, n, -quarters)]
    assert quarters % 2 == 0 or bool((group.distance(turned, wrong) > 1).all())


@pytest.mark.parametrize(("group", "n"), [(SO2(), 6), (SO2(), 2), (O2(), 4), (O2(), 12), (C(6), 6), (D(3), 6)])
def test_grids_that_quarter_turns_do_not_keep_have_no_permutation(group, n):
    assert turn_permutation(group, n, 1) is None
    assert turns(group, n) < 4


@pytest.mark.parametrize(("group", "n_out", "n_in"), [(SO2(), 8, 8), (SO2(), 4, 8), (SO2(), 8, 1), (O2(), 8, 16)])
def test_reuse_evaluates_a_quarter_of_the_kernels(group, n_out, n_in):
    assert len(plan(group, n_out, n_in, 5, 4).outputs) == n_out // 4
    assert len(plan(group, n_out, n_in, 5, 2).outputs) == n_out // 2
    assert len(plan(group, n_out, n_in, 5, 1).outputs) == n_out


@pytest.mark.parametrize(
    ("group", "n", "count"),
    [
        (SO2(), 8, 4),
        (SO2(), 6, 2),
        (C(2), 2, 2),
        (SO2(), 3, 1),
        (O2(), 8, 4),
        (O2(), 12, 2),
        (D(2), 4, 2),
        (D(3), 6, 1),
    ],
)
def test_how_many_turns_keep_a_grid(group, n, count):
    assert turns(group, n) == count
