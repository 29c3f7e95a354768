"""The three formats decode to the arrays they were written from, and damage is named."""

import struct

import numpy as np
import pytest

from workbench.datasets.archives import DamagedFile
from workbench.datasets.formats import decode_amat, decode_cifar, decode_idx


def _idx(shape: tuple[int, ...], values: bytes, kind: int = 8) -> bytes:
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape), *shape) + values


def test_idx_holds_rows_in_order() -> None:
    array = decode_idx(_idx((2, 2, 3), bytes(range(12))), "x")
    assert array.tolist() == np.arange(12).reshape(2, 2, 3).tolist()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not begin like"),
        (b"\x1f\x8b\x08\x00", "does not begin like"),
        (_idx((2,), b"ab", kind=0x0D), "does not begin like"),
        (b"\0\0\x08\x03\0\0", "ends within its header"),
        (_idx((3,), b"ab"), r"declares shape \(3,\) but holds 2 values"),
        (_idx((1,), b"ab"), "holds 2 values"),
        (_idx((2**32 - 1,) * 3, b"ab"), "holds 2 values"),
    ],
)
def test_damaged_idx_is_named(data: bytes, message: str) -> None:
    with pytest.raises(DamagedFile, match=message):
        decode_idx(data, "x")


def test_amat_is_read_row_by_row_with_the_label_last() -> None:
    images, labels = decode_amat(b" 0.0 0.25\n0.5 1 7\n1e-1 0 0 0 2.0\n", 2, "x")
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images, np.float32([[[0, 0.25], [0.5, 1]], [[0.1, 0], [0, 0]]]))
    assert labels.tolist() == [7, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "holds 0 numbers|not a number"),
        (b"0 0 0 0", "not a multiple of 5"),
        (b"0 0 0 0 1\n0 0 0 x 1", "not a number"),
        (b"0 0 0 2 1", r"outside \[0, 1\]"),
        (b"0 0 0 nan 1", r"outside \[0, 1\]"),
        (b"0 0 0 0 1.5", "not whole"),
        (b"0 0 0 0 -1", "not whole"),
        (b"\x80\x04\x95", "not a number"),
    ],
)
def test_damaged_amat_is_named(text: bytes, message: str) -> None:
    with pytest.raises(DamagedFile, match=message):
        decode_amat(text, 2, "x")


@pytest.mark.parametrize("label_bytes", [1, 2])
def test_cifar_planes_are_red_green_blue_and_the_last_label_counts(label_bytes: int) -> None:
    labels = bytes([9, 3][-label_bytes:])
    planes = bytes([1]) * 1024 + bytes([2]) * 1024 + bytes(range(32)) + bytes(992)
    images, found = decode_cifar(labels + planes, label_bytes, "x")
    assert found.tolist() == [3]
    assert images[0, :2, 0, 0].tolist() == [1, 2]
    assert images[0, 2, 0].tolist() == list(range(32)), "a row runs along the last axis"


@pytest.mark.parametrize("data", [b"", bytes(3072), bytes(3074)])
def test_damaged_cifar_is_named(data: bytes) -> None:
    with pytest.raises(DamagedFile, match="not a multiple of 3073"):
        decode_cifar(data, 1, "x")
