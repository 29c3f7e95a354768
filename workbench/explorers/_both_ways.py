"""One sweep for several networks side by side, and both ways of moving one picture by one element."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.actions import transform_image
from workbench.groups import Group, GroupSignal
from workbench.measure.behaviour import Moved
from workbench.measure.compare import Action, tensor_of
from workbench.measure.dataset import labelled
from workbench.measure.error import equivariance_error
from workbench.measure.partial import overlap_loss
from workbench.measure.probe import OUTPUT, Output, named_layers, run
from workbench.measure.state import undisturbed

MASK = "disc"
OUTSIDE = "border"
PLACES = {"angle_deg": ("input turned by", "degrees"), "shift_x_px": ("input shifted right by", "pixels")}
"""Coordinates that say where on its orbit an element lies, in words and units."""


def angles(angles_deg: Iterable[float]) -> Tensor:
    """Rotations by so many degrees, `(E, 1)`."""
    return torch.deg2rad(torch.tensor(list(angles_deg), dtype=torch.float64))[:, None]


def sweep(
    models: dict[str, tuple[nn.Module, str, Tensor]],
    elements: Tensor,
    group: Group,
    *,
    resampler: str,
    form: str,
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> xr.Dataset:
    """Mean errors of several models over one orbit, side by side.

    Args:
        models: name -> model, the module after which it is compared, and the standardised images `(B, C, H, W)` that
            it takes; the first one's floors are kept.
        elements: `(E, element_dim)` of the group.
        resampler, form, progress, cancel: as in `workbench.measure.equivariance_error`.

    Returns:
        `error_mean(model, transform)`, `error_sem(model, transform)`, `input_floor_mean(transform)`,
        `output_floor_mean(transform)`, with `lattice` and the coordinates of the elements over `transform`.
    """
    found = []
    for at, (model, where, images) in enumerate(models.values()):
        ds = equivariance_error(
            model,
            images,
            group,
            elements,
            layers=() if where == OUTPUT else (where,),
            output="auto" if output_ndim(model, images) > 2 else "invariant",  # scores of classes, as both faces say
            resampler=resampler,
            padding=OUTSIDE,
            mask=MASK,
            form=form,
            input_kind="test pictures",
            progress=_part(progress, at, len(models)),
            cancel=cancel,
        )
        found.append(ds.sel(layer=where))
    first = found[0]
    pair = ("model", "transform")
    units, words = first["error_mean"].attrs["units"], f"{form} error"
    return xr.Dataset(
        {
            "error_mean": labelled(pair, np.stack([ds["error_mean"].values for ds in found]), words, units),
            "error_sem": labelled(
                pair, np.nan_to_num([ds["error_sem"].values for ds in found]), "standard error of the mean", units
            ),
            "input_floor_mean": labelled("transform", first["input_floor_mean"].values, "input floor", units),
            "output_floor_mean": labelled("transform", first["output_floor_mean"].values, "output floor", units),
        },
        coords={
            "model": labelled("model", list(models), "network"),
            **{
                name: labelled("transform", first[name].values, words, units)
                for name, (words, units) in PLACES.items()
                if name in first.coords
            },
            "lattice": labelled("transform", first["lattice"].values, "turning moves pixels onto pixels"),
        },
        attrs={**first.attrs, "compared_after": next(iter(models.values()))[1]},
    )


def _part(progress: Callable[[float], None] | None, at: int, count: int) -> Callable[[float], None] | None:
    """Progress of the `at`-th of `count` sweeps as progress of all of them."""
    return None if progress is None else lambda fraction: progress((at + fraction) / count)


def both_ways(
    model: nn.Module, image: Tensor, where: str, element: Tensor, group: Group, resampler: str,
    words: tuple[str, str] = ("turn", "turned"),
) -> dict[str, Any]:  # fmt: skip
    """One picture `(1, C, H, W)` moved before and after the network, and the difference, as variables.

    Maps show one channel at the first orientation: the channel that varies most. Scores of classes stay numbers.
    """
    turned = transform_image(image, element, group, resampler=resampler, padding=OUTSIDE)
    outputs = output_of(model, torch.cat([image, turned]), where)
    upright, moved = rows(outputs, slice(0, 1)), rows(outputs, slice(1, 2))
    size = (image.shape[-2], image.shape[-1])
    action = Action(element[None], group, resampler, OUTSIDE, MASK, size)
    return maps(turned, upright, moved, action.there(upright), action, words)


def maps(
    turned: Tensor, upright: Output, moved: Output, after: Tensor, action: Action,
    words: tuple[str, str] = ("turn", "turned"),
) -> dict[str, Any]:  # fmt: skip
    """What `both_ways` returns, from the moved picture, what a network says of both, and its first answer moved."""
    verb, past = words
    here, there = action.windows(upright)  # a partial layer answers on its arc only
    wanted = (after * there)[0, 0]
    got = (tensor_of(moved)[None] * here)[0, 0]
    variables: dict[str, Any] = {
        "input_map": labelled(("input_y", "input_x"), turned[0, 0], f"Picture, {past}"),
    }
    if got.ndim == 1:
        scores = labelled(("order", "score"), torch.stack([got, wanted]), "score of the class")
        return variables | {"scores": scores, "order": labelled("order", [past, "upright"], "input")}
    channel = int(got.flatten(1).std(1).argmax())
    one, other = (x[channel] if x.ndim == 3 else x[channel, 0] for x in (got, wanted))
    dims = ("map_y", "map_x")
    return variables | {
        "turned_first": labelled(dims, one, f"{verb.capitalize()}, then network"),
        "turned_after": labelled(dims, other, f"Network, then {verb}"),
        "difference": labelled(dims, one - other, "Difference"),
    }


def output_of(model: nn.Module, images: Tensor, where: str) -> GroupSignal | Tensor:
    """What a model says behind one module about a batch of images, in one forward pass."""
    found: dict[str, Output] = {}
    with undisturbed(model):
        run(model, images, named_layers(model, () if where == OUTPUT else (where,)), True, found.__setitem__)
    value = found[where]
    assert not isinstance(value, Moved)  # nothing is declared here, so nothing is wrapped
    return value


def output_ndim(model: nn.Module, images: Tensor) -> int:
    """Numbers of dimensions of what a model says at its end: 2 for scores."""
    return tensor_of(output_of(model, images[:1], OUTPUT)).ndim


def rows(value: GroupSignal | Tensor, some: Any) -> GroupSignal | Tensor:
    """Some samples of a batch."""
    return value.with_values(value.values[some]) if isinstance(value, GroupSignal) else value[some]


def overlay(angles_deg: np.ndarray, theta: float) -> dict[str, Any]:
    """What a layer that keeps the share `theta` of the circle must lose at every angle, as variables."""
    delta = overlap_loss(np.deg2rad(angles_deg), theta)
    return {
        "sqrt_two_delta": labelled("transform", np.sqrt(2 * delta), "partial layer, error"),
        "delta": labelled("transform", delta, "partial layer, lost"),
    }
