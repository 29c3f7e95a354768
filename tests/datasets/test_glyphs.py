"""The glyphs are real, varied, deterministic, and test styles are unseen."""

import numpy as np
import pytest
import torch

from tests.tolerances import HALF_PIXEL, INK_OUTSIDE_DISC
from workbench.datasets import glyphs
from workbench.datasets.glyphs import glyph_pixels
from workbench.datasets.image_set import SPLITS


@pytest.mark.parametrize("size", [16, 28])
def test_every_character_is_there_in_every_split(size: int) -> None:
    rendered = glyph_pixels(size)
    assert len(rendered.classes) == 36
    assert sum(len(p.labels) for p in rendered.splits.values()) == 12 * 4 * 36 * 2
    for part in rendered.splits.values():
        assert part.images.shape[1:] == (1, size, size)
        assert part.labels.bincount(minlength=36).min() > 0
        assert part.images.amax((1, 2, 3)).min() > 0.5, "an image is empty"


def test_no_style_of_a_test_image_was_seen_in_training() -> None:
    styles = {s: set((p.origin // 36).tolist()) for s, p in glyph_pixels().splits.items()}
    assert [len(styles[s]) for s in SPLITS] == [26, 7, 15]
    assert not styles["train"] & styles["test"]
    assert not styles["train"] & styles["validation"]
    assert not styles["validation"] & styles["test"]


def test_no_two_renderings_are_alike() -> None:
    images = torch.cat([p.images for p in glyph_pixels(28, "digits").splits.values()]).flatten(1)
    assert len(images.unique(dim=0)) == len(images)


def test_glyphs_lie_in_the_inscribed_disc_so_that_they_can_be_turned() -> None:
    images = torch.cat([p.images for p in glyph_pixels(28).splits.values()])
    centre = torch.arange(28) - 13.5
    outside = centre[:, None] ** 2 + centre**2 > 14**2
    assert (images * outside).sum() / images.sum() <= INK_OUTSIDE_DISC


def test_rendering_is_deterministic() -> None:
    first = glyph_pixels(16, "6b").splits["train"].images
    glyphs._rendered.cache_clear()
    assert torch.equal(first, glyph_pixels(16, "6b").splits["train"].images)
    assert not torch.equal(first, glyph_pixels(16, "6b", seed=1).splits["train"].images)


def test_a_bold_glyph_carries_more_ink_than_a_regular_one() -> None:
    masters = glyphs._masters(28, "HX").astype(float).reshape(len(glyphs.FONTS), -1).mean(1)
    ink = dict(zip(glyphs.FONTS, masters, strict=True))
    for family in ("DejaVuSans", "DejaVuSansMono", "DejaVuSerif"):
        assert ink[f"{family}-Bold"] > 1.2 * ink[family]


def test_glyphs_stand_upright_and_centred() -> None:
    # An L has its bar below: more ink in the lower half (larger row numbers) and in the left half.
    images = glyph_pixels(28, "L").splits["train"].images[:, 0].mean(0)
    assert images[14:].sum() > images[:14].sum()
    assert images[:, :14].sum() > images[:, 14:].sum()
    shape = glyph_pixels(28, "H").splits["train"].images[:, 0].mean(0)
    column = float((shape.sum(0) * torch.arange(28)).sum() / shape.sum())
    assert abs(column - 13.5) <= HALF_PIXEL


def test_stored_renderings_cannot_be_changed_through_a_result() -> None:
    glyph_pixels(16, "6b").splits["train"].images.zero_()
    assert glyph_pixels(16, "6b").splits["train"].images.max() > 0
    with pytest.raises(ValueError, match="read-only"):
        glyphs._rendered(16, "6b", 2, 0)[:] = np.uint8(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"characters": ""}, "characters"),
        ({"characters": "aa"}, "distinct"),
        ({"characters": "é"}, "characters"),
        ({"characters": 6}, "characters must be text"),
        ({"size": 4}, "size must lie in"),
        ({"renderings": 0}, "renderings"),
        ({"renderings": 10**9}, "fewer renderings"),
        ({"renderings": 1.5}, "whole number"),
    ],
)
def test_bad_options_are_explained(options: dict, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        glyph_pixels(**options)
