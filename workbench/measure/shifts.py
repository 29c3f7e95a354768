"""Shifts of a picture by whole pixels: what a network says of all of them, and how a strided layer follows them.

A shift is *cyclic* where what leaves the picture comes back on the other side, and *real* where a window moves over a
larger scene, so that pixels get lost and others come in. Consistency after P. Ding, D. Soselia, T. Armstrong, J. Su,
F. Huang, "Reviving Shift Equivariance in Vision Transformers", arXiv 2306.07470, read in the abstract; the scene is our
own: a page on which other pictures of the same kind stand around each one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.measure.state import undisturbed

KINDS = ("cyclic", "real")
CHUNK = 256  # pictures per forward pass


def page(pictures: Tensor, margin: int) -> Tensor:
    """Each picture ``(N, C, H, W)`` amid eight others: ``(N, C, 3 (H - margin) + margin, 3 (W - margin) + margin)``.

    The empty frame of ``margin`` pixels lies around each picture once, and the picture itself in the middle, from row
    H - margin and column W - margin on. Its neighbours are the eight that follow it, the first after the last.

    >>> scene = page(torch.ones(1, 1, 4, 4), 1)
    >>> tuple(scene.shape), bool((scene[..., 3:7, 3:7] == 1).all())
    ((1, 1, 10, 10), True)
    """
    height, width = _sides(pictures)
    if isinstance(margin, bool) or not isinstance(margin, int) or not 0 <= 2 * margin < min(height, width):
        raise ValueError(
            f"margin = {margin!r} was given; expected whole pixels from 0 to less than half of {(height, width)}."
        )
    down, across = height - margin, width - margin
    scene = pictures.new_full((*pictures.shape[:2], 3 * down + margin, 3 * across + margin), float(pictures.amin()))
    inner = pictures[..., margin:down, margin:across]
    for at, (row, column) in enumerate(itertools.product(range(3), repeat=2)):
        top, left = row * down, column * across
        if (row, column) != (1, 1):
            others = inner.roll(-(at + 1) if at < 4 else -at, 0)
            scene[..., top + margin : top + down, left + margin : left + across] = others
    scene[..., down : down + height, across : across + width] = pictures
    return scene


def shifted(pictures: Tensor, right_px: int, up_px: int, kind: str = "cyclic", margin: int = 0) -> Tensor:
    """Pictures ``(N, C, H, W)`` shifted to the right and upwards by whole pixels.

    Args:
        right_px, up_px: of what is seen; a real shift reaches at most to the next picture of the page.
        kind: "cyclic", or "real": the window moves over :func:`page`.
        margin: of the page.

    >>> shifted(torch.eye(3)[None, None], 1, 0)[0, 0].tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    return next(each_shifted(pictures, [(right_px, up_px)], kind, margin))


def each_shifted(
    pictures: Tensor, shifts: Iterable[tuple[int, int]], kind: str = "cyclic", margin: int = 0
) -> Iterator[Tensor]:
    """The pictures under one shift (right, up) after the other, as :func:`shifted`; their page is made once.

    >>> [one.flatten().tolist() for one in each_shifted(torch.tensor([[[[1.0, 2.0]]]]), [(0, 0), (1, 0)])]
    [[1.0, 2.0], [2.0, 1.0]]
    """
    height, width = _sides(pictures)
    if kind not in KINDS:
        raise ValueError(f"kind = {kind!r} was given; expected one of {', '.join(KINDS)}.")
    scene = page(pictures, margin) if kind == "real" else None
    for right, up in shifts:
        if scene is None:
            yield pictures.roll((-up, right), (-2, -1))
            continue
        if abs(up) > height - margin or abs(right) > width - margin:
            raise ValueError(f"a shift by {(right, up)} was given; expected at most {width - margin} pixels.")
        top, left = height - margin + up, width - margin - right
        yield scene[..., top : top + height, left : left + width]


def best_alignment(y: Tensor, z: Tensor) -> Tensor:
    """The least |y - shifted z| / |z| over all cyclic shifts of z: ``(B,)`` of maps ``(B, C, H, W)``, in norms.

    0 where a layer followed the shift of its input by whole output pixels, whichever these are.

    >>> z = torch.rand(1, 2, 4, 4)
    >>> float(best_alignment(z.roll((1, 3), (2, 3)), z))
    0.0
    """
    height, width = _sides(z)
    shifts = itertools.product(range(height), range(width))
    moved = torch.stack([z.roll(by, (-2, -1)) for by in shifts])
    away = (moved - y).flatten(2).norm(dim=2).amin(0)
    return away / z.flatten(1).norm(dim=1).clamp_min(torch.finfo(z.dtype).tiny)


def shift_consistency(
    model: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor, *, reach: int = 3, margin: int = 0
) -> xr.Dataset:
    """Share of pictures whose class stays the same under all shifts of a window, cyclic and real.

    Args:
        model: images ``(B, C, H, W)`` to logits ``(B, classes)``; left as it was.
        images: ``(N, C, H, W)``, in the scale that the model takes.
        labels: ``(N,)``.
        reach: r; the window of r holds the (2r + 1)^2 shifts by at most r pixels along each axis.
        margin: empty pixels around each picture, see :func:`page`.

    Returns:
        ``consistency(kind, reach)``: share of pictures of one predicted class under all shifts of the window;
        ``worst_accuracy(kind, reach)``: share of pictures that are named correctly under all of them;
        ``accuracy``: of those that are not shifted.

    Raises:
        ValueError: images and labels that do not belong together, or a reach that is no positive whole number.

    Source: P. Ding et al. 2023, arXiv 2306.07470 (abstract: 100 % consistency); windows and page are ours.
    """
    height, width = _sides(images)
    if len(images) != len(labels) or len(images) == 0:
        raise ValueError(f"{len(images)} images and {len(labels)} labels were given; expected one label for each.")
    most = min(height, width) - margin
    if isinstance(reach, bool) or not isinstance(reach, int) or not 1 <= reach <= most:
        raise ValueError(f"reach = {reach!r} was given; expected whole pixels from 1 to {most}, such as 3.")
    labels = labels.to(images.device)
    consistent = np.ones((len(KINDS), reach))
    right = np.ones((len(KINDS), reach))
    with undisturbed(model):
        still = _classes(model, images)
        for at, kind in enumerate(KINDS):
            same, correct = torch.ones_like(labels, dtype=torch.bool), still == labels
            for r in range(1, reach + 1):
                for moved in each_shifted(images, ring(r), kind, margin):
                    found = _classes(model, moved)
                    same, correct = same & (found == still), correct & (found == labels)
                consistent[at, r - 1], right[at, r - 1] = float(same.double().mean()), float(correct.double().mean())
    over = ("kind", "reach")
    return xr.Dataset(
        {
            "consistency": labelled(over, consistent, "share of pictures of one class under all shifts"),
            "worst_accuracy": labelled(over, right, "share of pictures named correctly under all shifts"),
            "accuracy": labelled((), float((still == labels).double().mean()), "accuracy without a shift"),
        },
        {
            "kind": labelled("kind", np.asarray(KINDS), "what comes in where the picture goes out"),
            "reach": labelled("reach", np.arange(1, reach + 1), "most pixels of a shift along each axis", "pixels"),
        },
        provenance(
            "shift_consistency", seed=0, dtype=str(images.dtype).removeprefix("torch."), resampler="none: whole pixels",
            reduction="all shifts of a window, mean over pictures", input_kind="images", images=len(images),
            margin=margin,
        ),
    )  # fmt: skip


def ring(reach: int) -> list[tuple[int, int]]:
    """The shifts of the window of this reach that the next smaller one lacks.

    >>> len(ring(1)), len(ring(3))
    (8, 24)
    """
    window = itertools.product(range(-reach, reach + 1), repeat=2)
    return [(across, up) for across, up in window if max(abs(across), abs(up)) == reach]


def _classes(model: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return torch.cat([model(part).argmax(1) for part in images.split(CHUNK)])


def _sides(pictures: Tensor) -> tuple[int, int]:
    if pictures.ndim != 4 or 0 in pictures.shape:
        raise ValueError(f"{tuple(pictures.shape)} was given; expected pictures (N, C, H, W), none of them empty.")
    return int(pictures.shape[2]), int(pictures.shape[3])
