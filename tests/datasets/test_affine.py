"""Digits under linear maps: neutral ranges change nothing, each map does what its name says, bad ranges are refused."""

import math

import pytest
import torch

from tests.tolerances import BROKEN, EXACT
from workbench.datasets import load
from workbench.datasets.affine import affine_digits, linear_maps, mapped
from workbench.datasets.derived import rotated_scaled
from workbench.datasets.digits import raw_digits
from workbench.datasets.image_set import SPLITS

NEUTRAL = {"turn_deg": 0, "shear": 0, "smallest": 1, "largest": 1}


def test_neutral_ranges_give_the_upright_digits_of_the_other_sets():
    mine, theirs = affine_digits(size=20, **NEUTRAL), rotated_scaled(1, 1, 0)
    for split in SPLITS:
        assert torch.equal(mine.splits[split].origin, theirs.splits[split].origin)
        assert torch.allclose(mine.splits[split].images, theirs.splits[split].images, rtol=0, atol=1e-5)
    moved = affine_digits(size=20)
    assert torch.equal(moved.splits["test"].labels, mine.splits["test"].labels)
    assert float((moved.splits["test"].images - mine.splits["test"].images).abs().mean()) > BROKEN


def test_maps_are_products_of_their_parts_and_pictures_follow_them():
    angle, shear, factors = torch.tensor([math.pi / 2]), torch.tensor([0.5]), torch.tensor([[2.0], [0.5]])
    map_ = linear_maps(angle, shear, factors)[0]
    assert torch.allclose(map_ @ torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0]), rtol=0, atol=EXACT[torch.float32])
    assert torch.allclose(
        map_ @ torch.tensor([0.0, 1.0]), torch.tensor([-0.5, 0.25]), rtol=0, atol=EXACT[torch.float32]
    )
    image = raw_digits()[0][:3].float()
    whole = mapped(image, torch.eye(2).expand(3, 2, 2), 8)
    assert torch.allclose(whole, image, rtol=0, atol=EXACT[torch.float32])
    quarter = linear_maps(angle, torch.zeros(1), torch.ones(2, 1)).expand(3, 2, 2)
    assert torch.allclose(mapped(image, quarter, 8), image.rot90(1, (-2, -1)), rtol=0, atol=1e-4 * float(image.max()))
    assert not torch.allclose(mapped(image, quarter.mT, 8), image.rot90(1, (-2, -1)), rtol=0, atol=BROKEN)


def test_a_shear_moves_the_top_to_the_right():
    image = torch.zeros(1, 1, 9, 9)
    image[..., 4] = 1  # a standing line
    leaning = mapped(image, torch.tensor([[[1.0, 0.5], [0.0, 1.0]]]), 9)[0, 0]
    assert leaning[1].argmax() > leaning[4].argmax() > leaning[7].argmax()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"shear": 3}, "shear = 3 was given; expected a number from 0 to 2"),
        ({"shear": float("nan")}, "shear = nan was given"),
        ({"turn_deg": 200}, r"turn_deg must lie in \[0, 180\]"),
        ({"smallest": 1.5}, "smallest = 1.5 was given with largest = 1.2; expected at most that"),
        ({"largest": 9}, r"largest must lie in \[0.1, 2\]"),
    ],
)
def test_bad_ranges_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        load("digits-affine", **options)
