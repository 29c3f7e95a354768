"""What there is to load, under which name, and with which options."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workbench.datasets import derived
from workbench.datasets.affine import affine_digits
from workbench.datasets.digits import digit_pixels
from workbench.datasets.glyphs import glyph_pixels
from workbench.datasets.image_set import ImageSet, PixelSet
from workbench.datasets.published import published_pixels
from workbench.datasets.published_set import PUBLISHED
from workbench.datasets.quadrants import quadrant_digits, quadrant_places


@dataclass(frozen=True)
class Description:
    """One line of the catalogue: what a set is, how to shape it, and whether it must be fetched first."""

    name: str
    summary: str
    options: tuple[str, ...]
    licence: str
    fetch_command: str | None


_UCI, _VERA, _AS_SOURCE = "CC BY 4.0", "Bitstream Vera (permissive)", "that of its source"
_EMBEDDED: dict[str, tuple[Callable[..., PixelSet], str, str]] = {
    "digits": (digit_pixels, "1,797 handwritten digits, enlarged to 16x16", _UCI),
    "glyphs": (glyph_pixels, "letters and digits in 12 DejaVu fonts and 4 sizes; test styles are unseen", _VERA),
    "6-180": (derived.six_upside_down, "sixes against the same sixes turned by exactly 180 degree", _AS_SOURCE),
    "6-mirror": (derived.six_mirrored, "sixes against the same sixes mirrored left to right", _AS_SOURCE),
    "digits-rotated": (derived.rotated, "each image turned by a random angle from the whole circle", _AS_SOURCE),
    "digits-upright": (derived.upright, "the upright partner of digits-rotated: same split, not turned", _AS_SOURCE),
    "digits-interval": (derived.interval, "each class turned within an interval of its own", _AS_SOURCE),
    "digits-rotated-scaled": (
        derived.rotated_scaled,
        "each digit turned by any angle and scaled by 1/2 to 1, in one resampling",
        _UCI,
    ),
    "digits-affine": (affine_digits, "each digit turned, sheared and stretched a little, in one resampling", _UCI),
    "quadrant-digits": (quadrant_digits, "each digit in a quadrant drawn at random; the label is the digit", _UCI),
    "quadrant-places": (quadrant_places, "the same pictures; the label is the digit and its quadrant", _UCI),
}
_SUMMARIES = {
    "mnist": "70,000 handwritten digits, 28x28; 50,000 train, 10,000 validation, 10,000 test",
    "rotmnist": "62,000 randomly turned digits, 28x28; 10,000 train, 2,000 validation, 50,000 test",
    "cifar10": "60,000 colour photographs in 10 classes, 32x32; 45,000 train, 5,000 validation, 10,000 test",
    "cifar100": "60,000 colour photographs in 100 classes, 32x32; 45,000 train, 5,000 validation, 10,000 test",
}
_OF_ALL = ("train_share", "repeats")
_ALSO = {"rotated": "digits-rotated", "upright": "digits-upright", "interval": "digits-interval"}


def names() -> tuple[str, ...]:
    """The names that `load` knows.

    >>> "digits" in names() and "rotmnist" in names()
    True
    """
    return (*_EMBEDDED, *PUBLISHED)


def describe() -> dict[str, Description]:
    """Name -> what the set is, its options, its licence, and the command that fetches it (None: nothing to fetch).

    >>> describe()["mnist"].fetch_command
    'python -m workbench.datasets fetch mnist'
    """
    entries = [
        Description(name, summary, _options(name), licence, None) for name, (_, summary, licence) in _EMBEDDED.items()
    ]
    entries += [
        Description(name, _SUMMARIES[name], _options(name), s.licence, f"python -m workbench.datasets fetch {name}")
        for name, s in PUBLISHED.items()
    ]
    return {entry.name: entry for entry in entries}


def load(name: str, **options: Any) -> ImageSet:
    """Load a set by name; every option is plain data, so that a run's configuration can hold the whole call.

    Args:
        name: one of `names`; "rotated", "upright" and "interval" are short for the digits-... sets.
        options: see `describe`; for example ``size``, ``seed``, ``source``. Every set has ``train_share``, the share
            of each class's training images that is kept (1), and ``repeats``, how often each of them is named (1).

    Returns:
        Fresh tensors: changing them changes nothing for the next caller.

    Raises:
        ValueError: an unknown name, or an option with a value out of range.
        TypeError: an option that this set does not have.
        MissingData: a published set that was not fetched; the message holds the command.

    >>> load("6-180", rotate_deg=15).classes
    ('6', '6 upside down')
    """
    name = _ALSO.get(name, name)
    if name not in names():
        raise ValueError(f"there is no data set {name!r}; choose one of {', '.join(names())}")
    known = _options(name, options.get("source", "digits"))
    strange = sorted(set(options) - set(known))
    if strange:
        raise TypeError(f"{name} has no option {', '.join(map(repr, strange))}; it has {', '.join(known)}")
    subset = options.pop("train_share", 1), options.pop("repeats", 1)
    if name in PUBLISHED:
        return published_pixels(name, **options).fewer(*subset).standardised(PUBLISHED[name].mean, PUBLISHED[name].std)
    pixels = _EMBEDDED[name][0](**options).fewer(*subset)
    if pixels.attrs.get("source_set") == "mnist":
        return pixels.standardised(PUBLISHED["mnist"].mean, PUBLISHED["mnist"].std)
    return pixels.standardised()


def _options(name: str, source: str = "digits") -> tuple[str, ...]:
    """The option names of a set; those of a derived set include those of its source."""
    build: Callable[..., PixelSet] = published_pixels if name in PUBLISHED else _EMBEDDED[name][0]
    own = inspect.signature(build).parameters
    options = [p for p, about in own.items() if about.kind is not about.VAR_KEYWORD and p != "which"]
    if any(about.kind is about.VAR_KEYWORD for about in own.values()) and source in derived.SOURCES:
        options += [p for p in inspect.signature(derived.SOURCES[source]).parameters if p not in options]
    return (*options, *_OF_ALL)
