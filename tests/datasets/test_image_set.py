"""Standardising, splitting and labelling."""

from collections.abc import Sequence

import pytest
import torch

from tests.tolerances import EXACT
from workbench.datasets import load
from workbench.datasets.image_set import SPLITS, ImageSet, Pixels, PixelSet, split_in_groups


def _pixel_set(n: int = 30, channels: int = 2) -> PixelSet:
    images = torch.rand(n, channels, 8, 8, generator=torch.Generator().manual_seed(1))
    whole = Pixels(images, torch.arange(n) % 3, torch.arange(n), torch.zeros(n))
    parts = split_in_groups(whole.labels, (0.5, 0.2, 0.3), 0)
    return PixelSet("made", {s: whole.take(i) for s, i in parts.items()}, ("a", "b", "c"), {"transform": "none"})


def test_the_training_split_has_mean_zero_and_deviation_one_in_every_channel() -> None:
    images = _pixel_set().standardised().splits["train"][0].double()
    deviation, mean = torch.std_mean(images, dim=(0, 2, 3), correction=0)
    assert mean.abs().max() <= EXACT[torch.float32]
    assert (deviation - 1).abs().max() <= EXACT[torch.float32]


def test_statistics_come_from_the_training_split_alone() -> None:
    raw = _pixel_set()
    changed = raw.splits["test"]._replace(images=raw.splits["test"].images * 0 + 0.5)
    other = PixelSet(raw.name, {**raw.splits, "test": changed}, raw.classes, raw.attrs)
    assert other.standardised().attrs["mean"] == raw.standardised().attrs["mean"]
    everything = torch.cat([p.images for p in raw.splits.values()]).double().mean((0, 2, 3)).tolist()
    assert everything != raw.standardised().attrs["mean"], "the check must be able to fail"


def test_pixels_undo_standardise() -> None:
    image_set = _pixel_set().standardised()
    pixels = torch.rand(4, 2, 8, 8)
    back = image_set.pixels(image_set.standardise(pixels))
    assert (back - pixels).norm() / pixels.norm() <= EXACT[torch.float32]


def test_given_numbers_replace_the_statistics() -> None:
    image_set = _pixel_set(channels=1).standardised((0.25,), (0.5,))
    assert (image_set.attrs["mean"], image_set.attrs["std"], image_set.attrs["background"]) == ([0.25], [0.5], [-0.5])


def test_another_number_of_channels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"images \(\.\.\., 1, H, W\), got shape \(3, 16, 16\)"):
        load("digits").standardise(torch.zeros(3, 16, 16))


@pytest.mark.parametrize("name", ["digits", "6-180", "digits-rotated"])
def test_the_dataset_holds_every_image_with_its_labels(name: str) -> None:
    image_set = load(name)
    dataset = image_set.to_dataset()
    assert dataset.image.dims == ("sample", "channel", "y", "x")
    for split in SPLITS:
        part = dataset.isel(sample=(dataset.split == split).values)
        images, labels = image_set.splits[split]
        assert torch.equal(torch.from_numpy(part.image.values), images)
        assert torch.equal(torch.from_numpy(part.label.values), labels)
        assert torch.equal(torch.from_numpy(part.origin.values), image_set.origin[split])
        assert list(part.class_name.values) == [image_set.classes[k] for k in labels]
    assert all("units" in dataset[name].attrs for name in ("image", "angle_deg", "x", "y"))


def test_rows_grow_downwards_and_y_grows_upwards() -> None:
    dataset = load("digits").to_dataset()
    assert (dataset.y.values[0], dataset.y.values[-1]) == (7.5, -7.5)
    assert (dataset.x.values[0], dataset.x.values[-1]) == (-7.5, 7.5)


def test_the_dataset_survives_netcdf(tmp_path) -> None:
    import xarray as xr

    dataset = load("6-180", rotate_deg=15).to_dataset()
    dataset.to_netcdf(tmp_path / "six.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "six.nc", engine="h5netcdf") as back:
        xr.testing.assert_equal(back.load(), dataset)
        assert set(back.attrs) == set(dataset.attrs)


def test_every_load_gives_fresh_tensors() -> None:
    first: ImageSet = load("digits")
    first.splits["train"][0].zero_()
    first.splits["train"][1].zero_()
    assert load("digits").splits["train"][0].abs().max() > 0
    assert load("digits").splits["train"][1].max() == 9


def test_the_split_is_a_partition_in_the_fractions_asked() -> None:
    groups = torch.arange(200) % 4
    parts = split_in_groups(groups, (0.6, 0.1, 0.3), seed=3)
    assert torch.equal(torch.cat(list(parts.values())).sort().values, torch.arange(200))
    assert [parts[s].numel() for s in SPLITS] == [120, 20, 60]
    assert groups[parts["test"]].bincount().tolist() == [15] * 4


def test_another_seed_gives_another_split_and_the_same_seed_the_same() -> None:
    groups = torch.zeros(100, dtype=torch.int64)
    first, again, other = (split_in_groups(groups, (0.5, 0.2, 0.3), s)["test"] for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    "fractions", [(0.5, 0.5), (0.5, 0.2, 0.2), (1.0, 0.0, 0.0), (0.9, 0.4, -0.3), "abc", None, (float("nan"),) * 3]
)
def test_impossible_fractions_are_refused(fractions: Sequence[float]) -> None:
    with pytest.raises(ValueError, match=r"three positive numbers"):
        split_in_groups(torch.zeros(10, dtype=torch.int64), fractions, 0)


def test_a_split_without_images_is_refused() -> None:
    with pytest.raises(ValueError, match="leave no validation image among 4"):
        split_in_groups(torch.zeros(4, dtype=torch.int64), (0.5, 0.1, 0.4), 0)
