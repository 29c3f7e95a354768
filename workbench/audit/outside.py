"""Reasons found from outside, for networks whose layers cannot be seen: by which shifts it breaks, and where.

The content of each image is kept in the middle, away from the frame, and shifted there. A network that drops all but
every s-th pixel follows shifts by multiples of s and no others. The same content is then laid across the frame, round
which it is shifted: what breaks only there is padding. What breaks as much in the middle, whatever the step, gives each
place a weight of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.audit.reasons import ELSE, SILENT
from workbench.audit.words import percent, shown
from workbench.groups import Translation
from workbench.measure import equivariance_error, labelled, undisturbed
from workbench.measure.entry import fed
from workbench.measure.explain import paired_share
from workbench.measure.probe import like_model

SAMPLES = 8
STEPS = (1, 2, 3, 4, 5, 8)
"""Shifts in pixels: multiples of two, of four and of eight, and others."""
STRIDES = (2, 4, 8)
_STRIDES = f"{', '.join(map(str, STRIDES[:-1]))} and {STRIDES[-1]}"
GAP = 0.5
"""Errors under multiples of a stride below this part of that under other shifts speak for it."""
SOME = 0.1
"""Share of the error from which on something is a reason."""
FOLLOWED = ("invariant", "image", "vector field")
"""Behaviours of answers that shifts round the frame leave whole."""
MODULE = (
    "Which layer does it cannot be told from outside: audit the Python module behind it, package.module:name or "
    "file.py:name, with its weights by --weights."
)


BETWEEN = (
    "No layer says so of itself, so it is done by functions between the modules (max_pool2d, interpolate, a slice) or "
    "by transposed convolutions: make modules of them to have each one tried."
)


def outside_look(model: Callable, images: Tensor, output: str, seed: int = 0, cancel: Any = None) -> xr.Dataset:
    """The error under shifts of content in the middle of the image, and of the same content across the frame.

    Args:
        model: any callable on images.
        images: ``(B, C, H, W)``, of which eight are taken.
        output: how the answer moves, ``"invariant"``, ``"image"`` or ``"vector field"``.

    Returns:
        ``error(shift, sample)`` relative, in the middle, NaN where the answer cannot move without interpolation;
        ``across(sample)`` and ``middle(sample)``, the error under the attribute ``step`` across the frame and in the
        middle; the attribute ``stride`` is 1 where none is seen, ``quiet_px`` is how far the content keeps away, and
        ``beyond_blank`` is 1 for maps, of which those of a blank image are taken off.

    Raises:
        ValueError: images too small to be shifted, another behaviour, or what the measure refuses.

    >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1, 4), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    >>> outside_look(lambda x: net(x), torch.rand(4, 1, 32, 32), "invariant").attrs["stride"]
    4
    """
    side = min(int(images.shape[-1]), int(images.shape[-2]))
    quiet = side // 3
    steps = [step for step in STEPS if step < quiet]
    if output not in FOLLOWED or len(steps) < 2:
        raise ValueError(f"answers that move as {output} on {side} pixels were given; expected maps or numbers.")
    some = like_model(model, quieted(images[:SAMPLES], quiet))
    seen = model if output == "invariant" else _beyond_blank(model, some[:1, :, :1, :1])
    with undisturbed(model, seed):
        return _looked(seen, some, steps, output, seed, cancel).assign_attrs(
            quiet_px=quiet, beyond_blank=int(output != "invariant")
        )


def _looked(model: Callable, some: Tensor, steps: list[int], output: str, seed: int, cancel: Any) -> xr.Dataset:
    error = _errors(model, some, steps, output, seed, cancel)
    stride, share = _stride(error, steps)
    known = [step for step, row in zip(steps, error, strict=True) if np.isfinite(row).all()]
    if not known:
        raise ValueError("no shift that the answer follows without interpolation; expected finer maps.")
    step = stride if stride in known else known[0]
    half = [round(int(length) / 2 / step) * step for length in some.shape[-2:]]
    across = _errors(model, some.roll(half, (-2, -1)), [step], output, seed, cancel)[0]
    words = "relative error under shifts"
    return xr.Dataset(
        {
            "error": labelled(("shift", "sample"), error, f"{words}, content in the middle"),
            "across": labelled("sample", across, f"{words}, content across the frame"),
            "middle": labelled("sample", error[steps.index(step)], f"{words}, content in the middle"),
        },
        coords={"shift": labelled("shift", steps, "shift to the right", "pixels")},
        attrs={"stride": stride, "stride_share": share, "step": step, "seed": seed},
    )


def quieted(images: Tensor, margin: int) -> Tensor:
    """The images with the mean of all of them next to the frame, as far as ``margin`` pixels."""
    found = images.mean((0, -2, -1), keepdim=True).expand_as(images).clone()
    inside = (..., slice(margin, -margin), slice(margin, -margin))
    found[inside] = images[inside]
    return found


def _beyond_blank(model: Callable, colour: Tensor) -> Callable:
    """What maps hold beyond those of a blank image, because what padding makes of a blank frame never moves."""

    def beyond(x: Tensor) -> Tensor:
        blank = fed(model, colour.to(x).expand_as(x).contiguous())
        return fed(model, x) - blank

    return beyond


def _errors(model: Callable, images: Tensor, steps: list[int], output: str, seed: int, cancel: Any) -> np.ndarray:
    """Relative error ``(steps, samples)``; NaN where the answer would have to be resampled."""
    elements = torch.tensor([[float(step), 0.0] for step in steps], dtype=torch.float64)
    ds = equivariance_error(
        model, images, Translation(), elements, layers=(), mask="none", padding="circular", output=output, seed=seed,
        cancel=cancel,
    ).sel(layer="output")  # fmt: skip
    return np.where(ds["exact"].values[:, None], ds["relative_error"].values, np.nan)


def _stride(error: np.ndarray, steps: list[int]) -> tuple[int, float]:
    """The smallest stride whose multiples break far less than the other shifts, and the share of the error they lack.

    >>> _stride(np.array([[1.0], [0.9], [1.0], [0.1]]), [1, 2, 3, 4])
    (4, 0.9)
    """
    mean = error.mean(-1)
    for stride in STRIDES:
        whole = np.array([step % stride == 0 for step in steps]) & np.isfinite(mean)
        other = ~whole & np.isfinite(mean)
        if whole.any() and other.any() and mean[other].max() > SILENT:
            least = float(np.median(mean[other]))
            if mean[whole].max() <= GAP * least:
                return stride, 1 - float(mean[whole].max()) / least
    return 1, 0.0


def told_from_outside(ds: xr.Dataset, seen: bool = False) -> tuple[str, str]:
    """Reason and advice in words, with the shares that were measured; ``seen``: its layers are, and explain nothing."""
    mean, steps, stride = ds["error"].mean("sample").values, ds["shift"].values, int(ds.attrs["stride"])
    across, middle, told, fixes = ds["across"].values, ds["middle"].values, list[str](), list[str]()
    begin = (
        f"Measured from outside on {ds.sizes['sample']} images, content kept {ds.attrs['quiet_px']} px off the frame"
        + (", maps less those of a blank image" if ds.attrs["beyond_blank"] else "")
    )
    if stride > 1:
        most = percent(float(np.nanmax(mean[steps % stride == 0])))
        usual = percent(float(np.nanmedian(mean[steps % stride != 0])))
        told.append(
            f"of {_STRIDES} px, {stride} is the smallest stride that helps: shifts by its multiples change it by at "
            f"most {most}, others by {usual}, so it drops pixels in such steps or larger ones (strides, pooling), "
            f"which makes {ds.attrs['stride_share']:.0%} of that error"
        )
        fixes.append(f"blur before it drops pixels, in steps of {stride} or more (anti-aliasing)")
    if across.mean() > SILENT:
        share = 1 - float(middle.mean() / across.mean())
        low, high = (float(end[0]) for end in paired_share(across, middle[None], int(ds.attrs["seed"])))
        sure = f", 95 % interval {low:.0%} to {high:.0%}" if np.isfinite(low) else ", one sample, so no interval"
        ends = f"{percent(float(across.mean()))} across the frame and {percent(float(middle.mean()))} in the middle"
        by = f"a shift by {ds.attrs['step']} px changes it by {ends}"
        if share > SOME and shown(low):
            told.append(f"{by}: {share:.0%} of that is what stands at the frame (padding){sure}")
            fixes.append("pad circularly, or leave more room around what counts")
        elif share > SOME:
            told.append(f"{by}: it is not measurably the padding{sure.replace('interval', 'interval of its share')}")
        else:
            told.append(f"{by}: it is not the padding")
            if stride == 1:
                told.append("nor steps, so each place has a weight of its own (a flattening, a table of positions)")
                fixes.append("take the mean over the places before the last layer, and leave tables of positions out")
    elif not np.nanmax(mean) > SILENT:
        told.append("it follows every shift as long as nothing enters or leaves: the rest is what does, at the frame")
        fixes.append("leave more room around what counts")
    why = f"{begin}: {'; '.join(told) or 'no reason was found'}. {BETWEEN if seen else MODULE}"
    return why, f"If it should not: {'; '.join(fixes)}; or train on shifted copies." if fixes else ELSE
