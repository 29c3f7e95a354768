"""A visitor's picture becomes a tensor, or a sentence says why not."""

import io
import random
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from workbench.datasets import from_file, load
from workbench.datasets.visitor import MAX_BYTES, MAX_PIXELS

KINDS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
EIGHT_BIT = 1 / 255


def _bytes(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def _gradient(width: int = 16, height: int = 16) -> Image.Image:
    values = np.add.outer(np.arange(height), 3 * np.arange(width)) * 255 // (height + 3 * width)
    return Image.fromarray(values.astype(np.uint8))


def test_a_grey_picture_of_the_right_size_comes_back_pixel_by_pixel() -> None:
    picture = _gradient()
    got = from_file(_bytes(picture), 16)
    assert (got.shape, got.dtype) == ((1, 1, 16, 16), torch.float32)
    assert (got[0, 0].numpy() - np.asarray(picture) / 255 <= EIGHT_BIT).all()
    assert np.abs(got[0, 0].numpy() - np.asarray(picture) / 255).max() < EIGHT_BIT


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_is_read_in_grey_and_colour(kind: str, channels: int, tmp_path: Path) -> None:
    path = tmp_path / "picture.dat"  # the name says nothing: the bytes do
    path.write_bytes(_bytes(_gradient(40, 30).convert("RGB"), kind))
    got = from_file(path, 20, channels=channels)
    assert got.shape == (1, channels, 20, 20)
    assert 0 <= float(got.min()) < float(got.max()) <= 1


def test_colours_keep_their_order() -> None:
    got = from_file(_bytes(Image.new("RGB", (20, 20), (255, 128, 0))), 16, channels=3)
    assert got[0, 0].min() == 1
    assert got[0, 2].max() == 0


def test_the_largest_centred_square_is_cut_out() -> None:
    picture = Image.new("L", (30, 10), 0)
    picture.paste(255, (10, 0, 20, 10))
    assert from_file(_bytes(picture), 10).min() == 1


def test_transparent_parts_become_black() -> None:
    picture = Image.new("RGBA", (16, 16), (255, 255, 255, 0))
    assert from_file(_bytes(picture), 16).max() == 0


def test_a_camera_picture_is_turned_upright() -> None:
    picture = Image.new("L", (16, 16), 0)
    picture.paste(255, (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    got = from_file(_bytes(picture, exif=exif), 16)
    assert got[0, 0, -1].min() == 1
    assert got[0, 0, 0].max() == 0


def test_sixteen_bit_pictures_keep_their_shades() -> None:
    values = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    got = from_file(_bytes(Image.fromarray(values)), 16)[0, 0].numpy()
    assert np.abs(got - values / 65535).max() < EIGHT_BIT


def test_invert_swaps_black_and_white() -> None:
    data = _bytes(_gradient())
    assert torch.equal(from_file(data, 16, invert=True), 1 - from_file(data, 16))


def test_a_palette_a_bitmap_and_an_animation_are_read() -> None:
    assert from_file(_bytes(_gradient().convert("P")), 16).max() > 0
    assert from_file(_bytes(Image.new("1", (16, 16), 1)), 16).min() == 1
    frames = [Image.new("L", (16, 16), shade) for shade in (255, 0)]
    assert from_file(_bytes(frames[0], "GIF", save_all=True, append_images=frames[1:]), 16).min() == 1


def test_a_picture_fits_a_data_set() -> None:
    digits = load("digits")
    assert digits.standardise(from_file(_bytes(_gradient()), 16)).shape == (1, *digits.image_shape)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a picture of a known kind"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "save it as PNG"),
        (b"<html><script>alert(1)</script>", "not a picture"),
        (b"%PDF-1.7", "not a picture"),
        (b"\x00\x00\x00\x18ftypheic", "not a picture"),
        (b"\x80\x04\x95pickle", "not a picture"),
        (b"\x89PNG\r\n\x1a\n", "cut short or damaged"),
        (b"\xff\xd8\xff", "cut short or damaged"),
        (b"BM", "cut short or damaged"),
        (b"RIFF\0\0\0\0WEBP", "cut short or damaged"),
    ],
)
def test_what_is_no_picture_is_refused_by_its_first_bytes(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_file(data, 16)


def test_one_byte_too_many_is_refused(tmp_path: Path) -> None:
    data = bytes(MAX_BYTES + 1)
    with pytest.raises(ValueError, match=f"has {MAX_BYTES + 1} bytes, the limit is {MAX_BYTES}"):
        from_file(data, 16)
    (tmp_path / "big.png").write_bytes(data)
    with pytest.raises(ValueError, match=r"big\.png has .* make the picture smaller"):
        from_file(tmp_path / "big.png", 16)


def _png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize(("width", "height"), [(5001, 5000), (12_000, 9_000), (50_000, 50_000), (2**31 - 1, 1)])
def test_too_many_pixels_are_refused_by_the_header_alone(width: int, height: int) -> None:
    with pytest.raises(ValueError, match=f"{MAX_PIXELS}"):
        from_file(_png_header(width, height) + struct.pack(">I", 0) + b"IDAT", 16)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_picture_gives_a_picture_or_a_sentence(kind: str) -> None:
    good = _bytes(_gradient(24, 24).convert("RGB"), kind)
    dice = random.Random(0)
    refused = 0
    for _ in range(150):
        data = bytearray(good)
        for _ in range(dice.randint(1, 8)):
            data[dice.randrange(12, len(data))] = dice.randrange(256)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about odd metadata
            try:
                got = from_file(bytes(data[: dice.choice((len(data), len(data) // 2))]), 16)
            except ValueError:
                refused += 1
            else:
                assert got.shape == (1, 1, 16, 16)
                assert torch.isfinite(got).all()
    assert refused > 0


def test_bad_calls_are_explained(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none\.png"):
        from_file(tmp_path / "none.png", 16)
    with pytest.raises(FileNotFoundError, match="give the path of a picture"):
        from_file(tmp_path, 16)
    with pytest.raises(ValueError, match="NUL"):
        from_file("a\0b", 16)
    with pytest.raises(TypeError, match="file name or the bytes"):
        from_file(3, 16)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="channels must be 1"):
        from_file(b"", 16, channels=2)
    with pytest.raises(ValueError, match="size must lie in"):
        from_file(b"", 0)
