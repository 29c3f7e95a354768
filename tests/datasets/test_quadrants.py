"""Digits in random quadrants: the same pictures under two labels, exact shifts between quadrants, honest splits."""

import pytest
import torch

from tests.tolerances import AGAIN_SINGLE
from workbench.datasets import load
from workbench.datasets.digits import raw_digits
from workbench.datasets.image_set import SPLITS
from workbench.datasets.quadrants import in_quadrants, quadrant_digits, quadrant_places


def test_both_labellings_hold_the_same_pictures_in_the_same_splits() -> None:
    digits, places = load("quadrant-digits"), load("quadrant-places")
    for split in SPLITS:
        (images, label), (same, both) = digits.splits[split], places.splits[split]
        assert torch.equal(images, same)
        assert torch.equal(label, both % 10)
        assert len((both // 10).unique()) == 4
    assert (len(digits.classes), len(places.classes)) == (10, 40)


def test_a_picture_is_zero_outside_its_quadrant_and_the_stored_digit_inside() -> None:
    raw, _ = raw_digits()
    part = quadrant_places().splits["train"]
    for image, label, origin in zip(part.images[:50], part.labels, part.origin, strict=False):
        row, column = divmod(int(label) // 10, 2)
        rows, columns = slice(8 * row, 8 * row + 8), slice(8 * column, 8 * column + 8)
        assert torch.equal(image[:, rows, columns], raw[origin])
        assert float(image.sum()) == pytest.approx(float(raw[origin].sum()), rel=AGAIN_SINGLE)


def test_a_cyclic_shift_by_half_the_image_leads_from_quadrant_to_quadrant() -> None:
    raw = raw_digits()[0][:4]
    placed = [in_quadrants(raw, torch.full((4,), q), 16) for q in range(4)]
    assert torch.equal(placed[0].roll(8, 3), placed[1])
    assert torch.equal(placed[0].roll(8, 2), placed[2])
    assert torch.equal(placed[0].roll((8, 8), (2, 3)), placed[3])
    assert not torch.equal(placed[0].roll(7, 3), placed[1])


def test_no_original_is_in_two_splits_and_quadrants_do_not_follow_the_digit() -> None:
    data = quadrant_places()
    owners = [set(data.splits[s].origin.tolist()) for s in SPLITS]
    assert sum(map(len, owners)) == len(set().union(*owners)) == 1797
    labels = torch.cat([data.splits[s].labels for s in SPLITS])
    assert int(torch.bincount(labels, minlength=40).min()) >= 25


def test_the_seed_changes_quadrants_and_the_size_enlarges() -> None:
    one, other = (quadrant_places(seed=s).splits["train"] for s in (0, 1))
    assert not torch.equal(one.labels, other.labels)
    assert quadrant_digits(32).splits["test"].images.shape == (544, 1, 32, 32)


def test_an_odd_size_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="quadrant-digits: size = 17 was given; expected an even number .*; use 18"):
        quadrant_digits(17)
