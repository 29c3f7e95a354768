"""The embedded digits are scikit-learn's, enlarged and padded as stated."""

import numpy as np
import pytest
import torch

from tests.tolerances import EXACT
from workbench.datasets import load
from workbench.datasets.digits import content_size, digit_pixels, enlarged
from workbench.datasets.image_set import SPLITS


def _in_order(size: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    splits = digit_pixels(size).splits.values()
    order = torch.cat([p.origin for p in splits]).argsort()
    return torch.cat([p.images for p in splits])[order], torch.cat([p.labels for p in splits])[order]


def test_the_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images, labels = _in_order()
    expected = enlarged(torch.from_numpy(bunch.images).float().unsqueeze(1) / 16, 16)
    assert torch.equal(images, expected)
    assert torch.equal(labels, torch.from_numpy(bunch.target.astype(np.int64)))


def test_enlarging_is_bilinear_between_pixel_centres() -> None:
    image = torch.rand(8, 8, dtype=torch.float64)
    got = enlarged(image.view(1, 1, 8, 8), 16)[0, 0]
    centres = ((np.arange(12) + 0.5) * 8 / 12 - 0.5).clip(0, 7)
    rows = np.stack([np.interp(centres, np.arange(8), row) for row in image.numpy()])
    referee = np.stack([np.interp(centres, np.arange(8), column) for column in rows.T]).T
    inner = got[2:-2, 2:-2].numpy()
    assert np.abs(inner - referee).max() <= EXACT[torch.float64]
    assert got.sum() == got[2:-2, 2:-2].sum(), "the margin must be empty"


@pytest.mark.parametrize("size", range(8, 65))
def test_the_digit_is_centred_at_every_size(size: int) -> None:
    assert (size - content_size(size)) % 2 == 0
    assert 0 < content_size(size) < size
    assert enlarged(torch.ones(1, 1, 8, 8), size).shape == (1, 1, size, size)


def test_the_split_is_56_14_30_in_every_digit() -> None:
    splits = digit_pixels().splits
    counts = {s: splits[s].labels.bincount(minlength=10) for s in SPLITS}
    whole = sum(counts.values())
    assert whole.sum() == 1797
    for split, fraction in zip(SPLITS, (0.56, 0.14, 0.30), strict=True):
        assert (counts[split] - fraction * whole).abs().max() <= 1
    # 181 sixes: 126 for training and validation, 55 for testing.
    assert [int(counts[s][6]) for s in SPLITS] == [101, 25, 55]


def test_the_split_of_seed_0_is_frozen() -> None:
    # Stored results depend on it; these numbers were made with torch 2.13.
    assert digit_pixels().splits["test"].origin[:8].tolist() == [0, 3, 4, 9, 12, 18, 41, 44]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 7}, "size must lie in"),
        ({"size": 10_000}, "size must lie in"),
        ({"size": 16.0}, "whole number of pixels"),
        ({"size": True}, "whole number of pixels"),
        ({"seed": -1}, "seed must lie in"),
        ({"seed": "a"}, "seed must be a whole number"),
        ({"fractions": (1, 1, 1)}, "sum to 1"),
    ],
)
def test_bad_options_are_explained(options: dict, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        load("digits", **options)
