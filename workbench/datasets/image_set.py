"""Labelled images in three splits: raw pixels first, then standardised with the training split's statistics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    import xarray as xr

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A labelled set of images, ready to train on.

    Formula: image = (pixel - mean) / std, per channel; for most sets the statistics are those of the training split.

    Attributes:
        name: the name it was loaded by.
        splits: "train", "validation", "test" -> (images (N, C, H, W) float32, labels (N,) int64).
        classes: the name of each label.
        attrs: where it comes from and what was done to it; ``mean`` and ``std`` are lists with one number a channel.
        origin: split -> (N,) int64, which original image each image was made from. No original is in two splits.
        angle_rad: split -> (N,), by how much each image was turned, counter-clockwise on screen, in radians.

    >>> from workbench.datasets import load
    >>> digits = load("digits")
    >>> images, labels = digits.splits["train"]
    >>> images.shape[1:], labels.dtype
    (torch.Size([1, 16, 16]), torch.int64)
    """

    name: str
    splits: Mapping[str, tuple[Tensor, Tensor]]
    classes: tuple[str, ...]
    attrs: Mapping[str, Any]
    origin: Mapping[str, Tensor] = field(default_factory=dict)
    angle_rad: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.splits["train"][0].shape[1:]
        return channels, height, width

    def standardise(self, pixels: Tensor) -> Tensor:
        """Standardise pixels (..., C, H, W) in [0, 1] as this set's own images were."""
        mean, std = self._statistics(pixels)
        return (pixels - mean) / std

    def pixels(self, images: Tensor) -> Tensor:
        """Undo `standardise`: images (..., C, H, W) back to pixels in [0, 1], for drawing."""
        mean, std = self._statistics(images)
        return images * std + mean

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        channels = len(self.attrs["mean"])
        if like.ndim < 3 or like.shape[-3] != channels:
            raise ValueError(
                f"{self.name} has images (..., {channels}, H, W), got shape {tuple(like.shape)}; "
                "put the channel axis third from the end"
            )
        shape = (channels, 1, 1)
        return like.new_tensor(self.attrs["mean"]).view(shape), like.new_tensor(self.attrs["std"]).view(shape)

    def to_dataset(self) -> xr.Dataset:
        """Return everything as one labelled array set.

        Dims: sample, channel, y, x. Coordinates: split and label of each sample, its class name, its origin, the
        angle in degrees it was turned by, and pixel centres x (right) and y (up) in pixels from the image centre.

        >>> from workbench.datasets import load
        >>> dict(load("digits").to_dataset().sizes)
        {'sample': 1797, 'channel': 1, 'y': 16, 'x': 16}
        """
        import xarray as xr

        _, height, width = self.image_shape
        labels = torch.cat([self.splits[s][1] for s in SPLITS]).numpy()
        sizes = [len(self.splits[s][1]) for s in SPLITS]
        split = [s for s, size in zip(SPLITS, sizes, strict=True) for _ in range(size)]
        origin = [self.origin.get(s, torch.arange(n)) for s, n in zip(SPLITS, sizes, strict=True)]
        angle = [self.angle_rad.get(s, torch.zeros(n)) for s, n in zip(SPLITS, sizes, strict=True)]
        images = torch.cat([self.splits[s][0] for s in SPLITS]).numpy()
        pixel = {"units": "pixel"}
        coords = {
            "split": ("sample", split, {"long_name": "split"}),
            "label": ("sample", labels, {"long_name": "label", "units": "1"}),
            "class_name": ("sample", [self.classes[k] for k in labels], {"long_name": "class"}),
            "origin": ("sample", torch.cat(origin).numpy(), {"long_name": "original image", "units": "1"}),
            "angle_deg": ("sample", torch.cat(angle).rad2deg().numpy(), {"long_name": "turned by", "units": "degree"}),
            "y": ("y", _centred(height, up=True), {"long_name": "up from the centre", **pixel}),
            "x": ("x", _centred(width), {"long_name": "right of the centre", **pixel}),
        }
        image = (("sample", "channel", "y", "x"), images, {"long_name": "standardised image", "units": "1"})
        attrs = {**self.attrs, "name": self.name, "classes": list(self.classes)}
        return xr.Dataset({"image": image}, coords, attrs)


def _centred(length: int, *, up: bool = False) -> Any:
    centres = torch.arange(length, dtype=torch.float64) - (length - 1) / 2
    return (-centres if up else centres).numpy()


class Pixels(NamedTuple):
    """One split before standardising: images in [0, 1], labels, origins and angles, all of length N."""

    images: Tensor
    labels: Tensor
    origin: Tensor
    angle_rad: Tensor

    def take(self, index: Tensor) -> Pixels:
        """The samples at ``index``."""
        return Pixels(*(part[index] for part in self))


@dataclass(frozen=True, eq=False)
class PixelSet:
    """A set before standardising: what the derived sets are made from."""

    name: str
    splits: Mapping[str, Pixels]
    classes: tuple[str, ...]
    attrs: Mapping[str, Any]

    def standardised(self, mean: Sequence[float] | None = None, std: Sequence[float] | None = None) -> ImageSet:
        """Standardise with the training split's statistics per channel, or with the numbers given."""
        if mean is None or std is None:
            train = self.splits["train"].images
            # Sums in float64: the mean of millions of float32 pixels is otherwise order-dependent.
            spread, centre = torch.std_mean(train.double(), dim=(0, 2, 3), correction=0)
            mean, std = centre.tolist(), spread.clamp_min(1e-6).tolist()
        attrs = {**self.attrs, "mean": list(mean), "std": list(std)}
        attrs["background"] = [-m / s for m, s in zip(mean, std, strict=True)]
        shift, scale = torch.tensor(mean).view(-1, 1, 1), torch.tensor(std).view(-1, 1, 1)
        return ImageSet(
            name=self.name,
            splits={s: (p.images.sub(shift).div_(scale), p.labels.clone()) for s, p in self.splits.items()},
            classes=self.classes,
            attrs=attrs,
            origin={s: p.origin for s, p in self.splits.items()},
            angle_rad={s: p.angle_rad for s, p in self.splits.items()},
        )

    def fewer(self, share: float = 1.0, repeats: int = 1) -> PixelSet:
        """Keep a share of each class's training images, each named so many times; other splits stay as they are.

        Which ones depends on neither a seed nor the share: the images of a smaller share are among those of a larger
        one, and classes made of the same originals keep the same originals. ``repeats`` lets an epoch of few images
        take as many updates as one of many.

        Raises:
            TypeError: something else than numbers.
            ValueError: a share outside (0, 1], or repeats outside 1 to 100.
        """
        _checked_subset(share, repeats)
        if share == 1 and repeats == 1:
            return self
        train = self.splits["train"]
        kept = []
        for label in train.labels.unique():
            members = (train.labels == label).nonzero().flatten()
            order = torch.randperm(len(members), generator=torch.Generator().manual_seed(0))
            kept.append(members[order[: max(1, round(share * len(members)))]])
        index = torch.cat(kept).sort().values if kept else train.labels
        splits = {**self.splits, "train": train.take(index.repeat(repeats))}
        return PixelSet(self.name, splits, self.classes, {**self.attrs, "train_share": share, "repeats": repeats})


def _checked_subset(share: float, repeats: int) -> None:
    if isinstance(share, bool) or not isinstance(share, int | float):
        raise TypeError(f"train_share must be a number, got {share!r}; for example 0.25")
    if not 0 < share <= 1:
        raise ValueError(f"train_share must lie above 0 and be at most 1, got {share}; for example 0.25")
    if isinstance(repeats, bool) or not isinstance(repeats, int):
        raise TypeError(f"repeats must be a whole number, got {repeats!r}; for example 4")
    if not 1 <= repeats <= 100:
        raise ValueError(f"repeats must lie in [1, 100], got {repeats}")


def split_in_groups(groups: Tensor, fractions: Sequence[float], seed: int) -> dict[str, Tensor]:
    """Split the indices 0..N-1 into train, validation and test, separately within each group.

    Within a group of n the test part has n - floor((f_train + f_validation) n) members and train floor(f_train n).

    Args:
        groups: (N,) int64; equal numbers are split together (labels give a stratified split).
        fractions: of train, validation and test; positive, summing to 1.
        seed: of the permutation.

    Raises:
        ValueError: fractions that are not three positive numbers summing to 1, or a group too small for them.

    >>> parts = split_in_groups(torch.zeros(10, dtype=torch.int64), (0.5, 0.2, 0.3), seed=0)
    >>> [len(part) for part in parts.values()]
    [5, 2, 3]
    """
    train, validation, _ = checked_fractions(fractions)
    generator = torch.Generator().manual_seed(seed)
    parts: dict[str, list[Tensor]] = {s: [] for s in SPLITS}
    for group in groups.unique():
        members = (groups == group).nonzero().flatten()
        members = members[torch.randperm(len(members), generator=generator)]
        # The tiny addition keeps 0.7 * 10 = 7.000000000000001 and 6.999999999999999 alike.
        first = math.floor(train * len(members) + 1e-9)
        second = math.floor((train + validation) * len(members) + 1e-9)
        for split, part in zip(SPLITS, members.tensor_split((first, second)), strict=True):
            if not len(part):
                raise ValueError(
                    f"the fractions {tuple(fractions)} leave no {split} image among {len(members)}; "
                    "choose a larger fraction for it"
                )
            parts[split].append(part)
    return {s: torch.cat(chosen).sort().values for s, chosen in parts.items()}


def checked_fractions(fractions: Sequence[float]) -> tuple[float, float, float]:
    """Return three positive fractions that sum to 1, or say what is wrong with those given."""
    try:
        train, validation, test = (float(f) for f in fractions)
    except (TypeError, ValueError):
        train = validation = test = math.nan
    if not (min(train, validation, test) > 0 and abs(train + validation + test - 1) < 1e-6):
        raise ValueError(
            f"fractions must be three positive numbers (train, validation, test) that sum to 1, got {fractions!r}; "
            "for example (0.56, 0.14, 0.30)"
        )
    return train, validation, test


def checked_size(size: int, low: int = 8, high: int = 256) -> int:
    """Return the image size in pixels, or say what is wrong with it."""
    if isinstance(size, bool) or not isinstance(size, int):
        raise TypeError(f"size must be a whole number of pixels, got {size!r}; for example 16")
    if not low <= size <= high:
        raise ValueError(f"size must lie in [{low}, {high}] pixels, got {size}")
    return size


def checked_seed(seed: int) -> int:
    """Return the seed, or say what is wrong with it."""
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"seed must be a whole number, got {seed!r}; for example 0")
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed must lie in [0, 2^63), got {seed}")
    return seed
