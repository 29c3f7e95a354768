"""Error of a network over scalings, told apart by whether all the scales that an answer is made from are there."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.groups import GroupSignal, RotationScale, Scale
from workbench.groups.base import check_count
from workbench.kernels.geometry import disc_mask, tap_offsets
from workbench.measure.dataset import labelled, validate
from workbench.measure.provenance import provenance
from workbench.measure.state import undisturbed

ALIKE = 1e-6  # steps of float32 factors that are meant to be one
_BLOBS, _SPREAD, _WIDTH = 8, 4.0, (2.0, 4.0)  # in each picture; pixels from the centre; pixels


def scale_error(model: Callable, size: int = 65, count: int = 32, seed: int = 0) -> xr.Dataset:
    r"""Error |F(L_a f)(a h) - F(f)(h)| / |F(f)(h)| from each scale of a signal to the next larger one, a their ratio.

    Nothing is resampled: f is a sum of Gaussian blobs, drawn again at the other scale, and answers are compared at the
    centre of the pictures, which no scaling moves.

    Args:
        model: from images ``(B, 1, size, size)`` to a :class:`workbench.groups.GroupSignal` over Scale or RotationScale
            of an odd number of pixels a side.
        size: pixels a side, odd; large enough that no padding is seen from the centre.
        count: pictures.
        seed: of the pictures.

    Returns:
        ``error(pair)`` over pictures, channels and rotations together, and ``inner(pair)``: false where a group
        convolution on the way needs scales beyond the ends of the list, one at each end for every such layer, so that
        what is measured there is the bounded list of scales. Coordinates ``factor`` and ``next_factor``.

    Raises:
        ValueError: for a model with other answers, or pictures that have no centre.

    >>> from workbench.layers import LiftingConv
    >>> lift = LiftingConv(1, 2, 19, group="Scale(2,1.74)", padding="valid")
    >>> bool((scale_error(lift, size=19).error < 0.02).all())
    True

    Source: Knigge, Romero & Bekkers 2022 (arXiv 2110.13059) for the layers; the measure is ours.
    """
    if check_count(size, "scale_error: size") % 2 == 0:
        raise ValueError(f"scale_error: size = {size} was given; expected an odd number of pixels; use {size + 1}.")
    pictures = check_count(count, "scale_error: count")
    like = next(model.parameters(), torch.empty(())) if isinstance(model, nn.Module) else torch.empty(())
    with undisturbed(model):
        still = answer(model, blobs(size, 1.0, pictures, seed).to(like))
        factors = still.elements[:, -1].detach().double().cpu().unique()
        if len(factors) < 2:
            raise ValueError("scale_error: a signal of one scale was given; expected two or more; use n=4.")
        before = middle_values(still, factors)
        errors: list[float] = []
        enlarged, by = before, 1.0
        for i, step in enumerate((factors[1:] / factors[:-1]).tolist()):
            if abs(step - by) > ALIKE * step:
                by = step
                enlarged = middle_values(answer(model, blobs(size, by, pictures, seed).to(like)), factors)
            errors.append(float((enlarged[i + 1] - before[i]).norm() / before[i].norm()))
    ends = group_convolutions(model)
    inner = [ends <= i and i + 1 <= len(factors) - 1 - ends for i in range(len(errors))]
    ds = xr.Dataset(
        {
            "error": labelled("pair", np.array(errors), "relative error from a scale to the next"),
            "inner": labelled("pair", np.array(inner), "every scale that the answers are made from is there"),
        },
        coords={
            "factor": labelled("pair", factors[:-1].numpy(), "scale of the answer to the picture"),
            "next_factor": labelled("pair", factors[1:].numpy(), "scale of the answer to the enlarged picture"),
        },
        attrs=provenance(
            "scale_error", seed=seed, dtype=like.dtype, resampler="none: drawn at both scales", mask="central pixel",
            reduction="norms over pictures, channels and rotations", input_kind="Gaussian blobs",
            group=still.group.name, size=size, count=count,
        ),
    )  # fmt: skip
    return validate(ds, {"error": ("pair",)})


def scale_floor(layer: Any, count: int = 32, seed: int = 0, finer: int = 3) -> np.ndarray:
    """What pixels alone cost a lifting over scalings from each scale to the next ``(S - 1,)``, beside `scale_error`.

    The same kernels and pictures are taken on a grid ``finer`` times as fine, which stands for the integral; the error
    of the sum over pixels at both scales, added as independent errors are. A wrong weight of the kernels does not show.

    Args:
        layer: a lifting over Scale or RotationScale of one channel, such as :class:`workbench.layers.LiftingConv`.
        count: pictures.
        seed: of the pictures.
        finer: odd.

    Raises:
        TypeError: for another layer.

    >>> import torch
    >>> from workbench.layers import LiftingConv
    >>> _ = torch.manual_seed(0)  # kernels that vary fast have a higher floor
    >>> bool((scale_floor(LiftingConv(1, 2, 19, group="Scale(2,1.74)")) < 0.02).all())
    True
    """
    kernels: Any = getattr(layer, "kernels", None)
    if not getattr(kernels, "lifting", False) or not isinstance(layer.group, Scale | RotationScale):
        raise TypeError(f"scale_floor: {layer} was given; expected a lifting over Scale or RotationScale.")
    with torch.no_grad(), undisturbed(layer):
        dense = copy.deepcopy(kernels)
        size = dense.kernel_size = finer * (kernels.kernel_size - 1) + 1
        dense.taps = (tap_offsets(size)[disc_mask(size)] / max((size - 1) / 2, 1.0)).to(kernels.taps)
        dense._kept = dense._kept_plan = None
        elements = layer.elements()
        coarse, fine = (_at_centre(bank, elements, count, seed, by) for bank, by in ((kernels, 1), (dense, finer)))
    factors = elements[:, -1].detach().double().cpu()
    lost = [
        float((coarse - fine)[..., factors == f].norm() / fine[..., factors == f].norm().clamp_min(1e-30))
        for f in factors.unique()
    ]
    return np.hypot(lost[1:], lost[:-1])


def _at_centre(bank: Any, elements: Tensor, count: int, seed: int, finer: int) -> Tensor:
    """What a lifting answers in the middle of pictures of so many pixels to one, ``(B, C, S)``."""
    values = bank(elements, None).flatten(2)
    pictures = blobs(bank.kernel_size, float(finer), count, seed).flatten(1).to(values)
    return torch.einsum("bt,cst->bcs", pictures, values) / finer**2


def blobs(size: int, factor: float, count: int, seed: int = 0) -> Tensor:
    """``count`` sums of Gaussian blobs, ``(count, 1, size, size)``, enlarged about the centre; float64."""
    draw = torch.Generator().manual_seed(seed)
    centres = _SPREAD * torch.randn(count, _BLOBS, 1, 2, generator=draw, dtype=torch.float64)
    heights = torch.randn(count, _BLOBS, 1, generator=draw, dtype=torch.float64)
    low, high = _WIDTH
    widths = low + (high - low) * torch.rand(count, _BLOBS, 1, generator=draw, dtype=torch.float64)
    line = (torch.arange(size, dtype=torch.float64) - (size - 1) / 2) / factor
    y, x = torch.meshgrid(line.flip(0), line, indexing="ij")
    squares = (torch.stack([x.flatten(), y.flatten()], -1) - centres).square().sum(-1)
    return (heights * torch.exp(-squares / (2 * widths**2))).sum(1).view(count, 1, size, size)


def answer(model: Callable, x: Any) -> GroupSignal:
    """What a model says, a signal over scalings with a middle pixel.

    Raises:
        ValueError: for another answer.
    """
    with torch.no_grad():
        signal = model(x)
    of_scales = isinstance(signal, GroupSignal) and isinstance(signal.group, Scale | RotationScale)
    if not of_scales or signal.values.shape[-1] % 2 == 0 or signal.values.shape[-2] % 2 == 0:
        given = f"{signal.group}, {tuple(signal.values.shape)}" if isinstance(signal, GroupSignal) else type(signal)
        raise ValueError(
            f"a model with answers {given} was given; expected signals over Scale or RotationScale with "
            "an odd number of pixels a side; measure the part of the network before its pooling."
        )
    return signal


def middle_values(signal: GroupSignal, factors: Tensor) -> list[Tensor]:
    """What the middle pixel holds at each scale, ``(B, C, rotations)``."""
    middle = signal.values[..., signal.values.shape[-2] // 2, signal.values.shape[-1] // 2]
    own = signal.elements[:, -1].detach().double().cpu()
    return [middle[:, :, own == factor] for factor in factors]


def group_convolutions(model: Callable) -> int:
    """Group convolutions on the way, each of which takes from neighbouring scales."""
    modules = model.modules() if isinstance(model, nn.Module) else ()
    layers = [m for m in modules if hasattr(m, "requested") and hasattr(m, "kernels")]
    return sum(not getattr(layer.kernels, "lifting", False) for layer in layers)
