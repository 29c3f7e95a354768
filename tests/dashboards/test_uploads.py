"""A visitor's own image is bounded and named by its first bytes before anything reads it."""

import io

import numpy as np
import pytest
from PIL import Image

from workbench.dashboards.uploads import (
    LARGEST_IMAGE,
    LARGEST_MESSAGE,
    LARGEST_MOLECULE,
    SIDE,
    read_image,
    read_molecule,
)


def png(width: int = 20, height: int = 12) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((height, width), 255, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_an_image_becomes_a_square_of_numbers_between_zero_and_one():
    image = read_image(png(), "mine.png")
    assert image.shape == (SIDE, SIDE)
    assert image.dtype == np.float32
    assert image.max() == 1.0


@pytest.mark.parametrize("content", [b"", b"\0" * (LARGEST_IMAGE + 1)])
def test_r14_nothing_and_one_byte_too_much_are_refused(content):
    with pytest.raises(ValueError, match="at most 4 MB"):
        read_image(content, "mine.png")


@pytest.mark.parametrize("content", [b"\x7fELF" + bytes(100), b"<svg onload=x>", b"PK\3\4" + bytes(50), b"GIF89a"])
def test_r14_what_is_no_image_by_its_first_bytes_is_refused(content):
    with pytest.raises(ValueError, match="PNG"):
        read_image(content, "innocent.png")


@pytest.mark.parametrize("content", [None, "text", 7, {"data": 1}, [1, 2]])
def test_r14_what_is_no_file_is_refused(content):
    with pytest.raises(ValueError, match="choose it again"):
        read_image(content, "mine.png")


def test_r14_the_largest_image_fits_into_a_message():
    assert LARGEST_IMAGE * 4 / 3 < LARGEST_MESSAGE < 20 * 2**20


@pytest.mark.parametrize("content", [b"", b"\0" * (LARGEST_MOLECULE + 1), None, "text", {"data": 1}])
def test_r14_a_molecule_is_bounded_before_it_is_read(content):
    with pytest.raises(ValueError, match=r"choose (it again|a molecule of at most 1 MB)"):
        read_molecule(content, "mine.xyz")


def test_a_molecule_within_bounds_is_handed_on_as_it_is():
    assert read_molecule(memoryview(b"1\n\nO 0 0 0\n"), "mine.xyz") == b"1\n\nO 0 0 0\n"
