"""A visitor's own file: bounded before it is read, an image named by its first bytes, refused with a sentence."""

from __future__ import annotations

import numpy as np

LARGEST_IMAGE = 4 * 2**20  # bytes; the page checks it first, this is the check that counts
LARGEST_MOLECULE = 2**20  # bytes: some thousand times the largest molecule that is drawn
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

    data = _bounded(content, name, LARGEST_IMAGE, "image")
    return from_file(data, SIDE)[0, 0].numpy()


def read_molecule(content: object, name: str) -> bytes:
    """The bytes of an uploaded .xyz file; the explorer reads and checks them.

    Args:
        content: the bytes of the file.
        name: what the visitor calls it; shown in messages, never used as a path.

    Raises:
        ValueError: not bytes, empty, or too large.
    """
    return _bounded(content, name, LARGEST_MOLECULE, "molecule")


def _bounded(content: object, name: str, most: int, kind: str) -> bytes:
    article = "an image" if kind == "image" else f"a {kind}"
    if not isinstance(content, bytes | bytearray | memoryview):
        raise ValueError(f"the page sent {article} that is no file; choose it again.")
    size = memoryview(content).nbytes
    if not 0 < size <= most:
        raise ValueError(
            f"{name[:80]!r} has {size} bytes, but 1 to {most} were expected; "
            f"choose {article} of at most {most // 2**20} MB."
        )
    return bytes(content)
