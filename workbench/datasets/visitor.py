"""A visitor's own image, turned into something a network can read: bounded, checked and explained when refused."""

import io
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from workbench.datasets.image_set import checked_size

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 25_000_000
_KINDS = "PNG, JPEG, GIF, BMP or WebP"
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
)


def from_file(
    path_or_bytes: str | os.PathLike[str] | bytes, size: int, *, channels: int = 1, invert: bool = False
) -> Tensor:
    """Read one picture -> (1, C, size, size) float32 in [0, 1].

    The largest centred square is cut out and resized with an area-aware filter; transparent parts become black.
    The kind is told by the first bytes, not by the name, and sizes are checked before anything is unpacked.

    Args:
        path_or_bytes: a file name, or the bytes of the file.
        size: H = W in pixels.
        channels: 1 for grey, 3 for red, green, blue.
        invert: swap black and white, for a dark pen on white paper (the digit sets are white on black).

    Raises:
        FileNotFoundError: no such file.
        ValueError: too large, not a picture of a known kind, or damaged.

    Feed a trained network with ``image_set.standardise(from_file(...))``.

    >>> from_file(b"GIF89a" + bytes(4), 16)
    Traceback (most recent call last):
    ...
    ValueError: the picture (10 bytes) is cut short or damaged; save it again as PNG or JPEG
    """
    size = checked_size(size)
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (colour), got {channels!r}")
    data, name = _bytes(path_or_bytes)
    array = _square(data, name, size, channels)
    pixels = torch.from_numpy(array).view(size, size, channels).permute(2, 0, 1).unsqueeze(0).contiguous()
    return 1 - pixels if invert else pixels


def _bytes(given: str | os.PathLike[str] | bytes) -> tuple[bytes, str]:
    if isinstance(given, bytes | bytearray | memoryview):
        if len(given) > MAX_BYTES:
            raise ValueError(_too_long("the picture", len(given)))
        return bytes(given), f"the picture ({len(given)} bytes)"
    if not isinstance(given, str | os.PathLike):
        raise TypeError(f"expected a file name or the bytes of a picture, got {type(given).__name__}")
    if "\0" in os.fspath(given):
        raise ValueError("the file name has a NUL character; give a plain file name")
    path = Path(given).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; give the path of a picture ({_KINDS})")
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(_too_long(path.name, path.stat().st_size))
    return data, path.name


def _too_long(name: str, length: int) -> str:
    return f"{name} has {length} bytes, the limit is {MAX_BYTES} (10 MB); make the picture smaller"


def _kind(data: bytes, name: str) -> str:
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    raise ValueError(f"{name} is not a picture of a known kind (first bytes {data[:8]!r}); save it as {_KINDS}")


def _square(data: bytes, name: str, size: int, channels: int) -> np.ndarray:
    """(size, size) or (size, size, 3) float32 in [0, 1]."""
    from PIL import Image, ImageOps

    kind = _kind(data, name)
    try:
        with Image.open(io.BytesIO(data), formats=(kind,)) as picture:
            width, height = picture.size
            if not 0 < width * height <= MAX_PIXELS:
                raise _PixelCap(f"{name} is {width} x {height} pixels, the limit is {MAX_PIXELS}; make it smaller")
            picture.load()
            upright = ImageOps.exif_transpose(picture)
            bands = _bands(upright, channels)
    except _PixelCap:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"{name} has more than {MAX_PIXELS} pixels; make it smaller") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, OverflowError) as error:
        raise ValueError(f"{name} is cut short or damaged; save it again as PNG or JPEG") from error
    fitted = [np.asarray(ImageOps.fit(band, (size, size), Image.Resampling.LANCZOS)) for band in bands]
    return np.stack(fitted, axis=-1).clip(0, 1).astype(np.float32)


class _PixelCap(ValueError):
    """Too many pixels: kept apart from the damage that Pillow reports."""


def _bands(picture, channels: int) -> list:
    """Float images in [0, 1], one per channel, over black."""
    from PIL import Image

    if picture.mode.startswith("I"):  # 16 bits a pixel, which Pillow's own conversion would clip
        values = np.asarray(picture, dtype=np.float32) / 65535.0
        return [Image.fromarray(values)] * channels
    colour = picture.convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", colour.size, (0, 0, 0, 255)), colour).convert("RGB")
    flat = flat.convert("L") if channels == 1 else flat
    return [Image.fromarray(np.asarray(band, dtype=np.float32) / 255.0) for band in flat.split()]
