"""Sets made from other sets by turning, mirroring and scaling, where how much symmetry a class has is known exactly.

Every original image belongs to one split before anything is turned or copied, so no original is on both sides.
Romero & Lohit 2022 (arXiv 2110.10211) use the 6-180 and 6-mirror tasks; their own sets pick the best epoch on test
data, these have a true validation split.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from workbench.actions import transform_each
from workbench.datasets.digits import FRACTIONS, content_size, digit_pixels, raw_digits
from workbench.datasets.glyphs import glyph_pixels
from workbench.datasets.image_set import SPLITS, Pixels, PixelSet, checked_seed, checked_size
from workbench.datasets.published import mnist_pixels
from workbench.groups import SO2

SOURCES: dict[str, Callable[..., PixelSet]] = {"digits": digit_pixels, "glyphs": glyph_pixels, "mnist": mnist_pixels}
DEFAULT_HALF_WIDTHS_DEG = {"6": 60.0, "9": 60.0}
_PIECE = 2048


def six_upside_down(source: str = "digits", rotate_deg: float = 0.0, seed: int = 0, **source_options: Any) -> PixelSet:
    """Class 0 are the sixes, class 1 the same sixes turned by exactly 180 degrees.

    A network that is fully equivariant to rotations cannot do better than 50 %: both classes hold the same orbits.

    Args:
        source: "digits", "glyphs" or "mnist".
        rotate_deg: every six is first turned by an angle from U(-rotate_deg, rotate_deg), bilinearly; in [0, 180].
        seed: of the angles, and of the split where the source has a seed.
        source_options: options of the source, such as ``size``.

    >>> six_upside_down().splits["test"].images.shape
    torch.Size([110, 1, 16, 16])
    """
    half_width = checked_degrees(rotate_deg, "rotate_deg")
    six = _only("6", source, seed, source_options)
    turned = _turned(six, lambda labels: torch.full((len(labels),), math.radians(half_width)), seed)
    splits = {s: _paired(part, torch.rot90(part.images, 2, (-2, -1)), math.pi) for s, part in turned.items()}
    what = f"sixes turned by U(-{half_width:g}, {half_width:g}) degree; class 1 turned by a further exact 180 degree"
    return named("6-180", six, splits, ("6", "6 upside down"), what, rotate_deg=half_width, angle_seed=seed)


def six_mirrored(source: str = "digits", seed: int = 0, **source_options: Any) -> PixelSet:
    """Class 0 are the sixes, class 1 the same sixes mirrored left to right, exactly.

    >>> six_mirrored().splits["train"].labels.bincount()
    tensor([101, 101])
    """
    six = _only("6", source, seed, source_options)
    splits = {s: _paired(part, part.images.flip(-1), 0.0) for s, part in six.splits.items()}
    return named("6-mirror", six, splits, ("6", "6 mirrored"), "class 1 is mirrored left to right, exactly")


def rotated(source: str = "digits", copies: int = 1, seed: int = 0, **source_options: Any) -> PixelSet:
    """Every image turned once by an angle from U(0, 360) degree, bilinearly.

    Args:
        source: "digits", "glyphs" or "mnist".
        copies: how many differently turned copies of each training image; validation and test keep one each.
        seed: of the angles, and of the split where the source has a seed.
        source_options: options of the source, such as ``size``.

    >>> float(rotated().splits["test"].angle_rad.max()) <= math.pi
    True
    """
    if isinstance(copies, bool) or not isinstance(copies, int) or not 1 <= copies <= 100:
        raise ValueError(f"copies must be a whole number in [1, 100], got {copies!r}")
    base = _source(source, seed, source_options)
    several = {**base.splits, "train": Pixels(*(v.repeat_interleave(copies, 0) for v in base.splits["train"]))}
    base = PixelSet(base.name, several, base.classes, base.attrs)
    splits = _turned(base, lambda labels: torch.full((len(labels),), math.pi), seed)
    what = f"each image turned by U(0, 360) degree, bilinear, {copies} training copies"
    return named("digits-rotated", base, splits, base.classes, what, copies=copies, angle_seed=seed)


def upright(source: str = "digits", seed: int = 0, **source_options: Any) -> PixelSet:
    """The images as they are, in the same split as `rotated`: its honest partner.

    >>> len(upright().splits["test"].labels) == len(rotated().splits["test"].labels)
    True
    """
    base = _source(source, seed, source_options)
    return named("digits-upright", base, dict(base.splits), base.classes, "as they are")


def interval(
    source: str = "digits",
    half_widths_deg: Mapping[str, float] | None = None,
    otherwise_deg: float = 180.0,
    seed: int = 0,
    **source_options: Any,
) -> PixelSet:
    """Each class turned within an interval of its own: angle ~ U(-w, w) with w chosen by class, bilinearly.

    The default turns sixes and nines by at most 60 degree, so that they stay apart, and everything else freely.

    Args:
        source: "digits", "glyphs" or "mnist".
        half_widths_deg: class name -> w in degrees, in [0, 180].
        otherwise_deg: w of the classes not named.
        seed: of the angles, and of the split where the source has a seed.
        source_options: options of the source, such as ``size``.

    >>> part = interval(half_widths_deg={"1": 10}, otherwise_deg=0).splits["train"]
    >>> bool(part.angle_rad[part.labels == 1].abs().max() <= math.radians(10))
    True
    """
    chosen = DEFAULT_HALF_WIDTHS_DEG if half_widths_deg is None else half_widths_deg
    if not isinstance(chosen, Mapping):
        raise TypeError(f"half_widths_deg must map class names to degrees, got {chosen!r}; for example {{'6': 60}}")
    base = _source(source, seed, source_options)
    own = {str(name): checked_degrees(width, f"half_widths_deg[{name!r}]") for name, width in chosen.items()}
    strange = sorted(set(own) - set(base.classes)) if half_widths_deg is not None else []
    if strange:
        raise ValueError(f"half_widths_deg names no class of {source!r}: {strange}; its classes are {base.classes}")
    rest = checked_degrees(otherwise_deg, "otherwise_deg")
    widths = torch.tensor([own.get(name, rest) for name in base.classes]).deg2rad()
    splits = _turned(base, lambda labels: widths[labels], seed)
    what = "each class turned within its own interval, bilinear"
    extra = {"half_widths_deg": [own.get(name, rest) for name in base.classes], "angle_seed": seed}
    return named("digits-interval", base, splits, base.classes, what, **extra)


def rotated_scaled(
    smallest: float = 0.5,
    largest: float = 1.0,
    rotate_deg: float = 180.0,
    size: int = 20,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
) -> PixelSet:
    """Every digit turned by an angle from U(-rotate_deg, rotate_deg) and scaled, about the centre, in one resampling.

    Factors are even in the logarithm between ``smallest`` and ``largest``, alike for training, validation and test.
    At factor 1 a digit fills about 3/4 of the frame; with the defaults it is 8 to 16 pixels wide, never fewer than
    are stored. ``smallest = largest = 1`` gives the partner that is only turned, ``rotate_deg = 0`` with it the upright
    one: same splits, same originals, made in the same way.

    Args:
        smallest, largest: bounds of the factor, in [0.1, 2].
        rotate_deg: in [0, 180].
        size: H = W in pixels.
        fractions: of train, validation and test.
        seed: of the split, of the angles and of the factors.

    Raises:
        ValueError: a number out of range, or a smallest factor above the largest.

    >>> rotated_scaled().splits["test"].images.shape
    torch.Size([544, 1, 20, 20])

    After MNIST-rot-scale as Knigge, Romero & Bekkers 2022 (arXiv 2110.13059) use it, whose factors are U(0.3, 1).
    """
    half_width = math.radians(checked_degrees(rotate_deg, "rotate_deg"))
    low, high = checked_factor(smallest, "smallest"), checked_factor(largest, "largest")
    if low > high:
        raise ValueError(f"smallest = {low:g} was given with largest = {high:g}; expected at most that")
    side = checked_size(size)
    base, (raw, _) = digit_pixels(8, fractions, seed), raw_digits()
    generator, splits = torch.Generator().manual_seed(seed), {}
    for split in reversed(SPLITS):
        part = base.splits[split]
        share = torch.rand(2, len(part.labels), generator=generator)
        angle, factor = (share[0] * 2 - 1) * half_width, low * (high / low) ** share[1]
        images = _posed(raw[part.origin], angle, factor * content_size(side) / side, side)
        splits[split] = part._replace(images=images, angle_rad=angle)
    what = (
        f"turned by U(-{rotate_deg:g}, {rotate_deg:g}) degree, scaled by a log-uniform factor from {low:g} to {high:g}"
    )
    attrs = {**base.attrs, "transform": f"8x8 to {side}, bilinear in one step; factor 1: {content_size(side)} pixels"}
    source = PixelSet("digits", base.splits, base.classes, attrs)
    extra = {"factors_train": [low, high], "factors_test": [low, high], "rotate_deg": float(rotate_deg)}
    return named("digits-rotated-scaled", source, splits, base.classes, what, **extra, angle_seed=seed)


def _posed(images: Tensor, angle_rad: Tensor, share: Tensor, side: int) -> Tensor:
    """Images (N, C, h, w) turned counter-clockwise on screen, each as wide as that share of a frame of ``side``."""
    cos, sin, none = angle_rad.cos() / share, angle_rad.sin() / share, torch.zeros_like(share)
    back = torch.stack([cos, -sin, none, sin, cos, none], -1).unflatten(-1, (2, 3))  # rows count downwards
    return sampled(images, back, side)


def sampled(images: Tensor, back: Tensor, side: int) -> Tensor:
    """Images (N, C, h, w) read bilinearly where (N, 2, 3) ``back`` leads from a frame of ``side`` pixels, zeros
    outside."""
    grid = functional.affine_grid(back, [*images.shape[:2], side, side], align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def rotate_each(images: Tensor, angle_rad: Tensor) -> Tensor:
    """Turn image i of (N, C, H, W) counter-clockwise on screen by angle i, bilinearly, zeros from outside.

    >>> image = torch.rand(1, 1, 8, 8)
    >>> torch.equal(rotate_each(image, torch.tensor([math.pi / 2])), torch.rot90(image, 1, (-2, -1)))
    True
    """
    # In pieces: the sampling points are float64 and would fill gigabytes for all of MNIST at once.
    pieces = zip(images.split(_PIECE), angle_rad.unsqueeze(-1).split(_PIECE), strict=True)
    return torch.cat([transform_each(x, g, SO2(), resampler="bilinear") for x, g in pieces])


def _turned(base: PixelSet, half_width_rad: Callable[[Tensor], Tensor], seed: int) -> dict[str, Pixels]:
    """Turn every image by U(-w, w); test and validation angles are drawn first, so they ignore the training copies."""
    generator = torch.Generator().manual_seed(seed)
    splits = {}
    for split in reversed(SPLITS):
        part = base.splits[split]
        width = half_width_rad(part.labels)
        angle = (torch.rand(len(width), generator=generator) * 2 - 1) * width
        images = rotate_each(part.images, angle) if bool(width.any()) else part.images
        splits[split] = part._replace(images=images, angle_rad=part.angle_rad + angle)
    return splits


def _paired(part: Pixels, images: Tensor, angle_rad: float) -> Pixels:
    """Class 0 as it is, followed by class 1: the same originals after an exact transformation."""
    zero = torch.zeros_like(part.labels)
    return Pixels(
        torch.cat([part.images, images]),
        torch.cat([zero, zero + 1]),
        part.origin.repeat(2),
        torch.cat([part.angle_rad, part.angle_rad + angle_rad]),
    )


def _only(name: str, source: str, seed: int, options: Mapping[str, Any]) -> PixelSet:
    """The images of one class of a source."""
    base = _source(source, seed, options)
    if name not in base.classes:
        raise ValueError(f"the source {source!r} has no class {name!r}, only {base.classes}; choose characters with it")
    label = base.classes.index(name)
    kept = {s: part.take((part.labels == label).nonzero().flatten()) for s, part in base.splits.items()}
    return PixelSet(base.name, kept, (name,), base.attrs)


def _source(source: str, seed: int, options: Mapping[str, Any]) -> PixelSet:
    if source not in SOURCES:
        raise ValueError(f"source must be one of {', '.join(SOURCES)}, got {source!r}")
    # The published sets have their own fixed split; only the embedded ones take the seed.
    seeded = {} if source == "mnist" else {"seed": seed}
    checked_seed(seed)
    return SOURCES[source](**seeded, **options)


def named(
    name: str, base: PixelSet, splits: Mapping[str, Pixels], classes: tuple[str, ...], what: str, **attrs: Any
) -> PixelSet:
    """A set made from another: what was done is written behind what the other says of itself."""
    transform = f"{base.attrs['transform']}; {what}"
    ordered = {s: splits[s] for s in SPLITS}
    return PixelSet(name, ordered, classes, {**base.attrs, **attrs, "source_set": base.name, "transform": transform})


def checked_degrees(value: float, name: str) -> float:
    """A number of degrees in [0, 180]."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of degrees, got {value!r}; for example 45")
    if not 0 <= value <= 180:
        raise ValueError(f"{name} must lie in [0, 180] degrees, got {value}")
    return float(value)


def checked_factor(value: float, name: str) -> float:
    """A factor in [0.1, 2]."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a factor, got {value!r}; for example 0.5")
    if not 0.1 <= value <= 2:
        raise ValueError(f"{name} must lie in [0.1, 2], got {value}")
    return float(value)
