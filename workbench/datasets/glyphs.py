"""Letters and digits rendered from the DejaVu fonts that matplotlib ships: real outlines at any size."""

import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from workbench.datasets.image_set import Pixels, PixelSet, checked_seed, checked_size, split_in_groups

FRACTIONS = (0.56, 0.14, 0.30)
FONTS = tuple(
    f"DejaVu{family}{style}"
    for family, styles in (
        ("Sans", ("", "-Bold", "-Oblique", "-BoldOblique")),
        ("SansMono", ("", "-Bold", "-Oblique", "-BoldOblique")),
        ("Serif", ("", "-Bold", "-Italic", "-BoldItalic")),
    )
    for style in styles
)
# Font size (the em square) as a fraction of the image: the widest bold capital still fits the inscribed disc.
EM_FRACTIONS = (0.60, 0.65, 0.70, 0.75)
DIGITS = "0123456789"
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SMALL = "abcdefghijklmnopqrstuvwxyz"
_NAMED = {"digits": DIGITS, "capitals": CAPITALS, "small": SMALL, "digits+capitals": DIGITS + CAPITALS}
_SUPERSAMPLING = 2
_MAX_SHIFT_PX = 0.5
_MAX_SHEAR = 0.15
_MAX_IMAGES = 200_000


def glyph_pixels(
    size: int = 28,
    characters: str = "digits+capitals",
    renderings: int = 2,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
) -> PixelSet:
    """Letters and digits in twelve DejaVu fonts and four sizes, each with its own sub-pixel shift and shear.

    A style is one (font, size) pair; the 48 styles are split, so that every test image shows a letter in a style that
    training never saw. Each rendering is shifted by up to half a pixel and sheared by up to 0.15.

    Args:
        size: H = W in pixels.
        characters: "digits", "capitals", "small", "digits+capitals", or the characters themselves ("6bq").
        renderings: images per style and character.
        fractions: of train, validation and test, counted in styles.
        seed: of shifts, shears and the split.

    Source: DejaVu fonts (Bitstream Vera licence), as shipped by matplotlib; rendered by Pillow.

    >>> glyphs = glyph_pixels(size=16, characters="digits")
    >>> glyphs.splits["train"].images.shape
    torch.Size([520, 1, 16, 16])
    """
    size, seed, characters = checked_size(size, low=12), checked_seed(seed), _checked_characters(characters)
    n_styles = len(FONTS) * len(EM_FRACTIONS)
    if isinstance(renderings, bool) or not isinstance(renderings, int):
        raise TypeError(f"renderings must be a whole number, got {renderings!r}; for example 2")
    if not 1 <= renderings <= _MAX_IMAGES // (n_styles * len(characters)):
        raise ValueError(
            f"renderings={renderings} of {len(characters)} characters in {n_styles} styles is outside "
            f"1..{_MAX_IMAGES} images; choose fewer renderings or characters"
        )
    images = torch.from_numpy(_rendered(size, characters, renderings, seed).copy()).unsqueeze(1) / 255.0
    style, label, _ = (
        axis.flatten()
        for axis in torch.meshgrid(
            torch.arange(n_styles), torch.arange(len(characters)), torch.arange(renderings), indexing="ij"
        )
    )
    whole = Pixels(images, label, style * len(characters) + label, torch.zeros(len(label)))
    parts = split_in_groups(torch.zeros(n_styles, dtype=torch.int64), fractions, seed)
    splits = {s: whole.take(torch.isin(style, styles).nonzero().flatten()) for s, styles in parts.items()}
    attrs: dict[str, Any] = {
        "source": "DejaVu fonts shipped by matplotlib, rendered by Pillow",
        "licence": "Bitstream Vera (permissive)",
        "seed": seed,
        "fractions": list(fractions),
        "transform": f"{n_styles} styles x {renderings} renderings, shift <= {_MAX_SHIFT_PX} px, shear <= {_MAX_SHEAR}",
    }
    return PixelSet("glyphs", splits, tuple(characters), attrs)


def _checked_characters(characters: str) -> str:
    if not isinstance(characters, str):
        raise TypeError(f"characters must be text, got {type(characters).__name__}; for example 'digits' or '6bq'")
    chosen = _NAMED.get(characters, characters)
    known = DIGITS + CAPITALS + SMALL
    strange = sorted(set(chosen) - set(known))
    if strange or not chosen or len(set(chosen)) != len(chosen):
        raise ValueError(
            f"characters={characters!r} must be one of {', '.join(_NAMED)} or distinct letters a-z, A-Z and digits"
        )
    return chosen


@lru_cache(maxsize=4)
def _rendered(size: int, characters: str, renderings: int, seed: int) -> np.ndarray:
    """(styles * characters * renderings, size, size) uint8, read-only."""
    masters = torch.from_numpy(_masters(size, characters)).repeat_interleave(renderings, dim=0)
    generator = torch.Generator().manual_seed(seed)
    shear, shift_x, shift_y = torch.rand(3, len(masters), generator=generator) * 2 - 1
    shift_unit = 2 * _MAX_SHIFT_PX / size  # grid_sample's coordinates span 2 over the image
    theta = torch.zeros(len(masters), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1
    theta[:, 0, 1] = shear * _MAX_SHEAR
    theta[:, 0, 2], theta[:, 1, 2] = shift_x * shift_unit, shift_y * shift_unit
    images = np.empty((len(masters), size, size), dtype=np.uint8)
    for start in range(0, len(masters), 512):  # in pieces: the enlarged masters would not stay in the CPU's cache
        part = slice(start, start + 512)
        large = masters[part].unsqueeze(1).float()
        grid = functional.affine_grid(theta[part], list(large.shape), align_corners=False)
        moved = functional.grid_sample(large, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        small = functional.avg_pool2d(moved, _SUPERSAMPLING).squeeze(1)
        images[part] = small.round().clamp(0, 255).to(torch.uint8).numpy()
    images.flags.writeable = False
    return images


def _masters(size: int, characters: str) -> np.ndarray:
    """(styles * characters, S, S) uint8 with S = size * supersampling: each glyph centred by its bounding box."""
    from PIL import Image, ImageDraw, ImageFont

    folder, side = _font_folder(), size * _SUPERSAMPLING
    masters = []
    for name in FONTS:
        for fraction in EM_FRACTIONS:
            # The basic layout engine is part of every Pillow build, so the same pixels come out everywhere.
            font = ImageFont.truetype(
                str(folder / f"{name}.ttf"), fraction * side, layout_engine=ImageFont.Layout.BASIC
            )
            for character in characters:
                left, top, right, bottom = font.getbbox(character)
                canvas = Image.new("L", (side, side))
                corner = ((side - left - right) / 2, (side - top - bottom) / 2)
                ImageDraw.Draw(canvas).text(corner, character, fill=255, font=font)
                masters.append(np.asarray(canvas))
    return np.stack(masters)


def _font_folder() -> Path:
    """matplotlib's font folder, found without importing matplotlib."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the glyph fonts come with matplotlib, which is missing; run: pip install matplotlib")
    folder = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    if not (folder / f"{FONTS[0]}.ttf").is_file():
        raise FileNotFoundError(
            f"no DejaVu fonts in {folder}; reinstall with: pip install --force-reinstall matplotlib"
        )
    return folder
