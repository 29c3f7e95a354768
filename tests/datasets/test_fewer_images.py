"""A share of the training images: the same of every class, nested, chosen by no seed, and repeated if asked."""

import pytest
import torch

from workbench.datasets import ImageSet, describe, load


def originals(image_set: ImageSet) -> set[int]:
    return set(image_set.origin["train"].tolist())


def test_a_share_is_taken_of_every_class_and_smaller_ones_lie_within_larger_ones() -> None:
    whole, half, eighth = (load("digits", train_share=share) for share in (1, 0.5, 0.125))
    counts = [part.splits["train"][1].bincount() for part in (whole, half, eighth)]
    assert torch.equal(counts[1], (counts[0] * 0.5).round().long())
    assert torch.equal(counts[2], (counts[0] * 0.125).round().long())
    assert originals(eighth) < originals(half) < originals(whole)
    writers = torch.tensor(sorted(originals(eighth)))
    assert float((writers[-1] - writers[0]) / 1797) > 0.9, "the first rows alone would hold a few writers"


def test_other_splits_and_what_is_measured_on_them_stay_as_they_are() -> None:
    whole, few = load("digits-rotated"), load("digits-rotated", train_share=0.25, repeats=4)
    for split in ("validation", "test"):
        assert torch.equal(whole.origin[split], few.origin[split])
        assert torch.allclose(whole.pixels(whole.splits[split][0]), few.pixels(few.splits[split][0]), rtol=0, atol=1e-5)
    assert few.attrs["mean"] != whole.attrs["mean"], "statistics are those of the images that are left"


def test_repeats_name_each_image_so_often() -> None:
    few, again = (load("digits", train_share=0.25, repeats=n) for n in (1, 4))
    images, labels = few.splits["train"]
    assert torch.equal(again.splits["train"][1], labels.repeat(4))
    assert torch.allclose(again.splits["train"][0], images.repeat(4, 1, 1, 1), rtol=0, atol=1e-5)
    assert abs(len(labels) * 4 - len(load("digits").splits["train"][1])) <= 4


def test_pairs_stay_pairs_and_no_class_is_left_empty() -> None:
    pairs = load("6-180", train_share=0.3)
    labels, origin = pairs.splits["train"][1], pairs.origin["train"]
    assert torch.equal(origin[labels == 0], origin[labels == 1])
    assert load("6-180", train_share=1e-9).splits["train"][1].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("options", "kind", "sentence"),
    [
        ({"train_share": 0}, ValueError, "train_share must lie above 0 and be at most 1, got 0"),
        ({"train_share": 1.5}, ValueError, "at most 1, got 1.5"),
        ({"train_share": float("nan")}, ValueError, "got nan"),
        ({"train_share": True}, TypeError, "train_share must be a number, got True"),
        ({"train_share": "half"}, TypeError, "got 'half'; for example 0.25"),
        ({"repeats": 0}, ValueError, r"repeats must lie in \[1, 100\], got 0"),
        ({"repeats": 2.0}, TypeError, "repeats must be a whole number, got 2.0"),
    ],
)
def test_impossible_shares_are_refused_with_a_sentence(options, kind, sentence) -> None:
    with pytest.raises(kind, match=sentence):
        load("digits", **options)


def test_every_set_says_that_it_can_be_made_smaller() -> None:
    assert all({"train_share", "repeats"} <= set(entry.options) for entry in describe().values())
