"""What would help, tried on the spot: the error before and after, on some of the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from torch.nn import functional

from workbench.groups import O2
from workbench.measure import equivariance_error, labelled, provenance
from workbench.measure.report import reasons_at

SAMPLES = 4
REACH_PX = 16
"""How far from the present size a size is looked for at which no layer leaves pixels over."""


HELPS = 0.8
"""Another size is worth naming where it leaves less than this part of the error."""


class Remedy(NamedTuple):
    """One remedy: what it is, in words, and what it did."""

    name: str
    words: str
    before: float
    after: float
    absolute_before: float
    absolute_after: float
    code: str


def remedies(
    model: Callable, images: Tensor, broken: bool, findings: xr.Dataset | None, output: str = "auto"
) -> xr.Dataset:
    """Try what applies: another input size, where layers leave pixels over on one side.

    Args:
        output: how the answer moves, as in :func:`workbench.measure.equivariance_error`.

    Returns:
        Over ``remedy``: ``words``, ``code``, and the mean error over turns and flips: relative ``before`` and
        ``after``, absolute ``absolute_before`` and ``absolute_after``.
    """
    tried: list[Remedy] = []
    notes = ""
    square = images.ndim == 4 and images.shape[-1] == images.shape[-2]
    some = images[:SAMPLES]
    if square and broken:
        size = None
        if not isinstance(model, nn.Module):
            size, notes = size_from_outside(model, some, output)
        elif findings is not None:
            size = better_size(model, images, findings)
        if size is not None:
            before, after = _error(model, some, output), _error(model, resized(some, size), output)
            why = "no layer leaves pixels over on one side"
            why = (
                why if isinstance(model, nn.Module) else "its error is the smallest of the three nearest sizes (tried)"
            )
            side = images.shape[-1]
            tried.append(
                Remedy(
                    f"input of {size} x {size}",
                    f"At {size} x {size} instead of {side} x {side} pixels {why}.",
                    before[0],
                    after[0],
                    before[1],
                    after[1],
                    f"x = torch.nn.functional.interpolate(x, size=({size}, {size}), mode='bilinear', antialias=True)",
                )
            )
    elif broken and images.ndim == 4 and not isinstance(model, nn.Module):
        notes = (
            f"Images of {images.shape[-2]} x {images.shape[-1]} are not square: a quarter turn changes their frame, so "
            f"half turns were asked; pad or crop them to {max(images.shape[-2:])} x {max(images.shape[-2:])} to have "
            "quarter turns."
        )
    return _dataset(tried, len(some)).assign_attrs(output=output, note=notes)


def size_from_outside(model: Callable, images: Tensor, output: str) -> tuple[int | None, str]:
    """A size one pixel larger or smaller at which turns and flips break far less; None, and what to know of it.

    Where strides leave a pixel over on one side, the next size leaves none: the parity that a layer would tell.
    """
    side = int(images.shape[-1])
    at_once: dict[int, float] = {}
    for size in (side, side + 1, side - 1):
        try:
            at_once[size] = _error(model, resized(images, size), output)[0]
        except Exception:  # a program that knows one size refuses others in its own way
            if size == side:
                return None, ""
    if len(at_once) == 1:
        told = f"Whether another size would help could not be tried: the program takes {side} x {side} pixels alone."
        return None, f"{told} Export it with free sizes, or audit the Python module behind it."
    best = min(at_once, key=lambda size: at_once[size])
    if best != side and at_once[best] < HELPS * at_once[side]:
        return best, ""
    tried = ", ".join(f"{error:.2g} at {size} x {size}" for size, error in at_once.items())
    return None, f"Size parity is not what breaks turns and flips, as far as can be told from outside: {tried}."


def better_size(model: nn.Module, images: Tensor, findings: xr.Dataset) -> int | None:
    """The nearest square size at which the static report finds nothing left over; None where there is none near."""
    side, channels = images.shape[-1], images.shape[1]
    if not _left_over(findings.reason.values):
        return None
    for step in range(1, REACH_PX + 1):
        for size in (side + step, side - step):
            if size >= 8 and not _left_over(reasons_at(model, (channels, size, size))):
                return size
    return None


def _left_over(reasons: Iterable[str]) -> bool:
    words = ("left over", "cannot take")
    return any(word in str(reason) for reason in reasons for word in words)


def resized(images: Tensor, size: int) -> Tensor:
    """Images ``(B, C, H, W)`` at another size, filtered so that nothing aliases."""
    return functional.interpolate(images, size=(size, size), mode="bilinear", antialias=True, align_corners=False)


def _error(model: Callable, images: Tensor, output: str) -> tuple[float, float]:
    """Mean relative and absolute error, end to end, over a quarter turn, a half turn and both flips."""
    elements = torch.tensor([[0.5, 1.0], [1.0, 1.0], [0.0, -1.0], [1.0, -1.0]], dtype=torch.float64)
    elements[:, 0] *= torch.pi
    found = equivariance_error(model, images, O2(), elements, output=output, mask="none", batch_size=16)
    return float(found["relative_error"].mean()), float(found["absolute_error"].mean())


def _dataset(tried: list[Remedy], samples: int) -> xr.Dataset:
    def text(name: str, long_name: str) -> tuple:
        return labelled("remedy", np.array([getattr(r, name) for r in tried], dtype=str), long_name)

    def number(name: str, long_name: str, units: str = "1") -> tuple:
        return labelled("remedy", np.array([getattr(r, name) for r in tried], dtype=float), long_name, units)

    return xr.Dataset(
        {
            "words": text("words", "what was done"),
            "code": text("code", "how"),
            "before": number("before", "mean relative error before"),
            "after": number("after", "mean relative error after"),
            "absolute_before": number("absolute_before", "mean absolute error before", "output units"),
            "absolute_after": number("absolute_after", "mean absolute error after", "output units"),
        },
        coords={"remedy": text("name", "remedy")},
        attrs=provenance("remedies", seed=0, dtype="the model's", samples=samples, reduction="mean over elements"),
    )
