"""The conventions, each pinned by a picture small enough to check by eye."""

import math

import pytest
import torch
from torch.nn import functional

from tests.tolerances import EXACT, HALF_PIXEL
from workbench.actions import RESAMPLERS, is_lattice, transform_image, transform_images, transform_signal
from workbench.actions.images import source_points
from workbench.actions.lattice import affine
from workbench.groups import O2, SO2, Cyclic, Dihedral, GroupSignal, Plane, Translation

QUARTER = math.pi / 2
DTYPES = [torch.float64, torch.float32]


def angle(*degrees: float) -> torch.Tensor:
    return torch.tensor([math.radians(d) for d in degrees], dtype=torch.float64)


def test_convention_positive_angles_turn_counter_clockwise_on_screen() -> None:
    # rows as on screen: the L stands upright, and a quarter turn lays it on its back
    letter = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    turned = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    assert torch.equal(transform_image(letter, angle(90), SO2()), turned)


def test_convention_a_quarter_turn_is_rot90_over_rows_and_columns() -> None:
    x = torch.rand(2, 3, 5, 5)
    assert torch.equal(transform_image(x, angle(90), SO2()), torch.rot90(x, 1, (-2, -1)))


def test_convention_the_right_end_of_the_x_axis_moves_to_the_top() -> None:
    moved = SO2().act(angle(90), torch.tensor([1.0, 0.0], dtype=torch.float64))
    assert moved.tolist() == [0.0, 1.0]
    x = torch.zeros(5, 5)
    x[2, 4] = 1  # row 2, column 4: right of the centre
    assert transform_image(x, angle(90), SO2())[0, 2] == 1  # above the centre


@pytest.mark.parametrize("resampler", RESAMPLERS)
def test_convention_resampled_turns_have_the_same_sign_as_exact_ones(resampler: str) -> None:
    rows, columns = torch.meshgrid(torch.arange(15.0), torch.arange(15.0), indexing="ij")
    x = torch.exp(-((rows - 7) ** 2 + (columns - 11) ** 2) / 4).double()  # four pixels to the right of the centre
    weight = transform_image(x, angle(45), SO2(), resampler=resampler)
    right = float((weight * (columns - 7)).sum() / weight.sum())
    up = float((weight * (7 - rows)).sum() / weight.sum())
    assert right == pytest.approx(4 * math.cos(QUARTER / 2), abs=HALF_PIXEL)
    assert up == pytest.approx(4 * math.sin(QUARTER / 2), abs=HALF_PIXEL)


def test_convention_points_are_x_then_y_and_arrays_are_row_then_column() -> None:
    points = source_points(*affine(angle(0).unsqueeze(0), SO2()), height=2, width=3)[0]
    assert points[0, 0].tolist() == [-1.0, 0.5]  # first row and column: left, top
    assert points[1, 2].tolist() == [1.0, -0.5]  # last row and column: right, bottom


@pytest.mark.parametrize("size", [4, 5])
def test_convention_pixel_centres_turn_about_the_centre_of_the_frame(size: int) -> None:
    # align_corners=False: resampling just off a quarter turn tends to the exact quarter turn, odd and even
    x = torch.rand(1, size, size, dtype=torch.float64)
    near = transform_image(x, torch.tensor([QUARTER + 1e-8], dtype=torch.float64), SO2(), resampler="bilinear")
    inner = slice(1, -1)
    assert torch.allclose(near[:, inner, inner], torch.rot90(x, 1, (-2, -1))[:, inner, inner], rtol=0, atol=1e-6)


def test_convention_align_corners_is_false() -> None:
    x = torch.rand(1, 1, 6, 6, dtype=torch.float64)
    turn = SO2().matrix(-angle(30))
    # grid_sample's own affine grid has y downwards: conjugate by the mirror of y
    mirror = torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64))
    theta = torch.cat([mirror @ turn @ mirror, torch.zeros(2, 1, dtype=torch.float64)], 1)
    grid = functional.affine_grid(theta.unsqueeze(0), [1, 1, 6, 6], align_corners=False)
    expected = functional.grid_sample(x, grid, mode="bicubic", align_corners=False)
    error = (transform_image(x, angle(30), SO2()) - expected).abs().max()
    assert error <= EXACT[torch.float64]


def test_convention_a_shift_is_in_pixels_x_right_and_y_up() -> None:
    x = torch.zeros(5, 5)
    x[2, 2] = 1
    moved = transform_image(x, torch.tensor([1.0, 2.0]), Translation())
    assert moved[0, 3] == 1
    assert moved.sum() == 1


def test_convention_the_action_is_a_left_action() -> None:
    group, x = Dihedral(4), torch.rand(1, 6, 6)
    for g in group.grid(dtype=torch.float64):
        for h in group.grid(dtype=torch.float64):
            one_by_one = transform_image(transform_image(x, h, group), g, group)
            assert torch.equal(transform_image(x, group.product(g, h), group), one_by_one)


def test_convention_composition_applies_the_right_factor_first() -> None:
    group, x = Plane(SO2()), torch.rand(1, 7, 7)
    turn = torch.tensor([0.0, 0.0, QUARTER], dtype=torch.float64)
    shift = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    both = transform_image(x, group.product(shift, turn), group, padding="circular")
    assert torch.equal(both, torch.rot90(x, 1, (-2, -1)).roll(1, -1))


def test_convention_the_mirror_swaps_left_and_right() -> None:
    x = torch.rand(1, 4, 4)
    assert torch.equal(transform_image(x, torch.tensor([0.0, -1.0]), O2()), x.flip(-1))


def test_convention_the_mirror_comes_after_the_rotation() -> None:
    x = torch.rand(1, 4, 4)
    moved = transform_image(x, torch.tensor([QUARTER, -1.0], dtype=torch.float64), O2())
    assert torch.equal(moved, torch.rot90(x, 1, (-2, -1)).flip(-1))


@pytest.mark.parametrize("resampler", RESAMPLERS)
def test_convention_a_mirrored_resampled_turn_is_the_turn_then_the_mirror(resampler: str) -> None:
    x = torch.rand(1, 8, 8, dtype=torch.float64)
    both = torch.tensor([math.radians(25), -1.0], dtype=torch.float64)
    moved = transform_image(x, both, O2(), resampler=resampler)
    expected = transform_image(x, angle(25), SO2(), resampler=resampler).flip(-1)
    assert (moved - expected).abs().max() <= EXACT[torch.float64]


def test_convention_the_group_axis_comes_right_after_the_channels() -> None:
    signal = GroupSignal(torch.rand(2, 3, 4, 5, 5), SO2().grid(4), SO2())
    moved = transform_signal(signal, angle(90))
    assert torch.equal(moved.values, torch.rot90(signal.values, 1, (-2, -1)).roll(1, 2))


def test_convention_the_group_axis_is_read_at_g_inverse_h() -> None:
    # one hot at the identity: after g it is hot at g
    values = torch.zeros(1, 1, 8, 3, 3)
    values[:, :, 0] = 1
    signal = GroupSignal(values, SO2().grid(8), SO2())
    moved = transform_signal(signal, Cyclic(8).grid(dtype=torch.float64)[3])
    assert moved.values[0, 0, :, 1, 1].argmax() == 3


def test_convention_mirrored_signals_follow_the_product_of_the_group() -> None:
    group = O2()
    elements = group.grid(8, dtype=torch.float64)
    values = torch.rand(1, 1, 8, 3, 3, dtype=torch.float64)
    g = torch.tensor([QUARTER, -1.0], dtype=torch.float64)
    moved = transform_signal(GroupSignal(values, elements, group), g)
    for place, h in enumerate(elements):
        source = group.product(group.inverse(g), h)
        match = int(group.distance(elements, source).argmin())
        expected = torch.rot90(values[0, 0, match], 1, (-2, -1)).flip(-1)
        assert torch.equal(moved.values[0, 0, place], expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_convention_angles_are_radians(dtype: torch.dtype) -> None:
    assert is_lattice(torch.tensor([math.pi], dtype=dtype), SO2())
    assert not is_lattice(torch.tensor([90.0], dtype=dtype), SO2())


@pytest.mark.parametrize("dtype", DTYPES)
def test_convention_many_elements_act_as_each_one_alone(dtype: torch.dtype) -> None:
    x = torch.rand(2, 1, 6, 6, dtype=dtype)
    elements = O2().grid(10, dtype=dtype)
    together = transform_images(x, elements, O2())
    for e, g in enumerate(elements):
        assert (together[e] - transform_image(x, g, O2())).abs().max() <= EXACT[dtype]
