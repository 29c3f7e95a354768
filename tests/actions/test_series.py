"""1-D signals under shifts and scalings, images under scalings: conventions, referees, masks, refusals."""

import math

import pytest
import torch
from torch.nn import functional

from tests.tolerances import EXACT
from workbench.actions import overlap_mask, transform_image, transform_images, transform_series
from workbench.actions.lattice import affine, is_lattice
from workbench.groups import SO2, RotationScale, Scale, Translation

TIGHT = 10 * EXACT[torch.float64]
LINE = Translation(dim=1)


def wave(length: int = 24, cycles: int = 3, later: float = 0.0) -> torch.Tensor:
    t = torch.arange(length, dtype=torch.float64) - later
    return torch.cos(2 * math.pi * cycles * t / length).view(1, 1, -1)


@pytest.mark.parametrize("padding", ["zeros", "border", "circular"])
@pytest.mark.parametrize("resampler", ["bilinear", "bicubic", "fourier"])
def test_a_positive_shift_moves_towards_later_samples(padding: str, resampler: str) -> None:
    x = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    moved = transform_series(x, torch.tensor([[1.0]]), LINE, resampler=resampler, padding=padding)
    first = {"zeros": 0.0, "border": 1.0, "circular": 4.0}[padding]
    assert moved.flatten().tolist() == [first, 1.0, 2.0, 3.0]


def test_a_band_limited_shift_by_a_part_of_a_sample_is_exact_on_waves() -> None:
    shift = torch.tensor([[0.3], [-1.7]], dtype=torch.float64)
    moved = transform_series(wave(), shift, LINE, resampler="fourier", padding="circular")
    for e, later in enumerate((0.3, -1.7)):
        assert torch.allclose(moved[e], wave(later=later), rtol=0, atol=TIGHT)
    assert not torch.allclose(moved[0], wave(later=-0.3), rtol=0, atol=0.1)


@pytest.mark.parametrize("padding", ["zeros", "border", "circular"])
def test_interpolated_shifts_agree_with_numpys_interpolation(padding: str) -> None:
    import numpy as np

    x = torch.rand(2, 3, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moved = transform_series(x, torch.tensor([[0.4]]), LINE, resampler="bilinear", padding=padding)[0]
    places = np.arange(11) - 0.4
    for b in range(2):
        expected = np.interp(places, np.arange(11), x[b, 1].numpy(), period=11 if padding == "circular" else None)
        inside = slice(None) if padding != "zeros" else slice(1, None)
        assert np.allclose(moved[b, 1][inside], expected[inside], rtol=0, atol=1e-6)


def test_a_factor_above_one_slows_a_signal_down_about_its_middle() -> None:
    t = torch.arange(81, dtype=torch.float64) - 40
    bump = torch.exp(-((t - 8) ** 2) / 50).view(1, 1, -1)
    moved = transform_series(bump, torch.tensor([[2.0]]), Scale(1))[0, 0, 0]
    assert int(moved.argmax()) == 40 + 16
    assert torch.allclose(moved, torch.exp(-((t / 2 - 8) ** 2) / 50), rtol=0, atol=1e-2)


def test_the_action_on_signals_is_a_left_action() -> None:
    shifts = torch.tensor([[3.0]]), torch.tensor([[-5.0]])
    one_by_one = transform_series(
        transform_series(wave(), shifts[1], LINE, padding="circular")[0], shifts[0], LINE, padding="circular"
    )
    both = transform_series(wave(), LINE.product(*shifts), LINE, padding="circular")
    assert torch.equal(both, one_by_one)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"x": torch.zeros(3, 4)}, r"expected \(B, C, L\)"),
        ({"x": torch.zeros(1, 3, 4).long()}, "signals.float"),
        ({"x": torch.zeros(1, 3, 4) / 0}, "NaN"),
        ({"group": SO2()}, "acts on a line"),
        ({"group": Scale(1), "resampler": "fourier", "elements": torch.tensor([[1.5]])}, "expected"),
        ({"elements": torch.zeros(2, 2)}, r"expected \(E, 1\)"),
        ({"resampler": "sinc"}, "'bicubic'"),
        ({"padding": "mirror"}, "'border'"),
    ],
)
def test_what_cannot_move_gets_a_sentence(given: dict, sentence: str) -> None:
    arguments = {"x": wave(), "elements": torch.tensor([[0.5]]), "group": LINE} | given
    x, elements, group = (arguments.pop(name) for name in ("x", "elements", "group"))
    with pytest.raises(ValueError, match=sentence):
        transform_series(x, elements, group, **arguments)


# ---- images


def test_a_picture_scaled_by_two_shows_the_middle_twice_as_large() -> None:
    x = torch.zeros(1, 9, 9, dtype=torch.float64)
    x[0, 4, 6] = 1  # two pixels to the right of the centre
    moved = transform_image(x, torch.tensor([2.0]), Scale(), resampler="bilinear")
    assert moved[0, 4, 8] == 1  # four pixels to the right
    assert moved[0, 4].tolist() == [0, 0, 0, 0, 0, 0, 0, 0.5, 1]


def test_scaling_agrees_with_torchs_affine_grid() -> None:
    x = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    theta = torch.tensor([[[1 / 1.3, 0, 0], [0, 1 / 1.3, 0]]], dtype=torch.float64)
    grid = functional.affine_grid(theta, [1, 1, 8, 8], align_corners=False)
    expected = functional.grid_sample(x, grid, mode="bicubic", align_corners=False)
    moved = transform_images(x, torch.tensor([[1.3]], dtype=torch.float64), Scale())[0]
    assert torch.allclose(moved, expected, rtol=0, atol=TIGHT)


def test_a_turn_and_a_scaling_commute_and_are_the_product() -> None:
    t = torch.linspace(-2, 2, 41, dtype=torch.float64)
    x = torch.exp(-4 * ((t[:, None] - 0.4) ** 2 + (t[None] + 0.2) ** 2)).view(1, 1, 41, 41)
    turn, scale = torch.tensor([[0.7, 1.0]], dtype=torch.float64), torch.tensor([[0.0, 1.3]], dtype=torch.float64)
    group = RotationScale()
    both = transform_images(x, group.product(turn, scale), group)[0]
    for first, second in ((turn, scale), (scale, turn)):
        one_by_one = transform_images(transform_images(x, first, group)[0], second, group)[0]
        assert (both - one_by_one).abs().max() < 0.05
    wrong = transform_images(x, group.product(group.inverse(turn), scale), group)[0]
    assert (both - wrong).abs().max() > 0.2


def test_scalings_are_never_lattice_elements_and_quarter_turns_stay_some() -> None:
    rows = torch.tensor([[0.0, 1.0], [math.pi / 2, 1.0], [math.pi / 2, 2.0], [0.0, 0.5], [0.1, 1.0]])
    assert is_lattice(rows, RotationScale()).tolist() == [True, True, False, False, False]
    with pytest.raises(ValueError, match="scaling or stretch was given to the resampler 'fourier'"):
        transform_image(torch.rand(1, 8, 8), torch.tensor([1.5]), Scale(), resampler="fourier")


def test_the_overlap_is_where_a_picture_of_ones_stays_ones_both_ways() -> None:
    elements = torch.tensor([[0.3, 1.0], [0.0, 1.4], [1.0, 0.6]], dtype=torch.float64)
    group, ones = RotationScale(), torch.ones(1, 1, 12, 12, dtype=torch.float64)
    there = transform_images(ones, elements, group, resampler="bilinear")[:, 0, 0]
    back = transform_images(ones, group.inverse(elements), group, resampler="bilinear")[:, 0, 0]
    expected = ((there > 1 - 1e-6) & (back > 1 - 1e-6)).float()
    assert torch.equal(overlap_mask(12, 12, *affine(elements, group)), expected)
    smaller = overlap_mask(12, 12, *affine(elements, group), margin=2)
    assert bool((smaller <= expected).all())
    assert smaller.sum() < expected.sum()
