"""A visitor's own image: bounded before it is read, named by its first bytes, refused with a sentence."""

from __future__ import annotations

import numpy as np

LARGEST_IMAGE = 4 * 2**20  # bytes; the page checks it first, this is the check that counts
SIDE = 64  # pixels: what a visitor's image is reduced to; each explorer takes from it what it needs
LARGEST_MESSAGE = 8 * 2**20  # bytes of one websocket message: an image, a third larger as text, and room to spare


def read_image(content: object, name: str) -> np.ndarray:
    """Decode an uploaded image with `workbench.datasets.from_file` -> (64, 64) float32 in [0, 1].

    Args:
        content: the bytes of the file.
        name: what the visitor calls it; shown in messages, never used as a path.

    Raises:
        ValueError: not bytes, empty, too large, or not an image by its first bytes.
    """
    from workbench.datasets import from_file

    if not isinstance(content, bytes | bytearray | memoryview):
        raise ValueError("the page sent an image that is no file; choose it again.")
    size = memoryview(content).nbytes
    if not 0 < size <= LARGEST_IMAGE:
        raise ValueError(
            f"{name[:80]!r} has {size} bytes, but 1 to {LARGEST_IMAGE} were expected; "
            f"choose an image of at most {LARGEST_IMAGE // 2**20} MB."
        )
    return from_file(bytes(content), SIDE)[0, 0].numpy()
