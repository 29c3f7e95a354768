"""What a network does to one picture, at a few places of an orbit, in one forward pass: while a control moves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import xarray as xr
from torch import Tensor, nn

from workbench.actions.lattice import affine
from workbench.explorers._both_ways import MASK, OUTSIDE, PLACES, maps, output_of, rows
from workbench.groups import Group
from workbench.measure.compare import Action, Output, error_of, tensor_of
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance

_EPS = 1e-12


def glance(
    model: nn.Module, image: Tensor, where: str, group: Group, elements: Tensor, shown: Tensor, *,
    along: str, places: tuple[float, ...], name: str, resampler: str, form: str,
    words: tuple[str, str] = ("turn", "turned"),
) -> tuple[xr.Dataset, dict[str, Any]]:  # fmt: skip
    """The curve of `sweep` for one network and one picture, and the maps of `both_ways`, from one pass.

    Args:
        model, where: the network, and the module after which it is compared.
        image: `(1, C, H, W)`, standardised.
        elements: `(E, element_dim)` of the curve. The identity is the picture as it is and costs nothing.
        shown: `(element_dim,)`, the element of the maps.
        along, places: the coordinate that says where on the orbit the elements lie, and its values.
        name: of the network.
        resampler, form, words: as in `sweep` and `both_ways`.

    Returns:
        A Dataset with the variables of `sweep`, standard errors 0, and the maps.
    """
    size, count = (image.shape[-2], image.shape[-1]), len(elements)
    every = Action(torch.cat([elements, shown[None]]), group, resampler, OUTSIDE, MASK, size)
    matrix, shift = affine(every.elements, group)
    still = ((matrix - torch.eye(2)).abs().sum((-2, -1)) + shift.abs().sum(-1)) < 1e-9  # a whole turn is none, too
    moved = every.there(image)
    outputs = output_of(model, torch.cat([image, moved[~still].flatten(0, 1).to(image.dtype)]), where)
    at = torch.zeros(len(still), dtype=torch.long)
    at[~still] = torch.arange(1, 1 + int((~still).sum()))
    upright, got = rows(outputs, slice(0, 1)), rows(outputs, at)
    wanted = every.there(upright)
    error = _error(every, tensor_of(got)[:, None], wanted, upright, form)[:count]
    exact = every.exact(image)
    floors = (
        _floor(every, moved, image, exact, form)[:count],
        _floor(every, wanted, upright, every.exact(upright), form)[:count],
    )
    units = "output units" if form == "absolute" else "1"
    pair = ("model", "transform")
    around, unit = PLACES[along]
    ds = xr.Dataset(
        {
            "error_mean": labelled(pair, error[None], f"{form} error", units),
            "error_sem": labelled(pair, torch.zeros_like(error)[None], "standard error of the mean", units),
            "input_floor_mean": labelled("transform", floors[0], "input floor", units),
            "output_floor_mean": labelled("transform", floors[1], "output floor", units),
        },
        {
            "model": labelled("model", [name], "network"),
            along: labelled("transform", list(map(float, places)), around, unit),
            "lattice": labelled("transform", exact[:count], "turning moves pixels onto pixels"),
        },
        provenance(
            "glance", seed=0, dtype=image.dtype, resampler=resampler, padding=OUTSIDE, mask=MASK, form=form,
            reduction=f"{form}, one picture", input_kind="test pictures", group=group.name, samples=1,
            compared_after=where, output="by its shape",
        ),
    )  # fmt: skip
    one = Action(shown[None], group, resampler, OUTSIDE, MASK, size)
    return ds, maps(moved[-1], upright, rows(got, slice(count, None)), wanted[count:], one, words)


def _error(action: Action, got: Tensor, wanted: Tensor, upright: Output, form: str) -> Tensor:
    """`(E,)` in one of the forms."""
    here, there = action.windows(upright)
    norms = action.distance(got * here, wanted * there, upright)
    return error_of(form, norms, action.entries(upright), _EPS)[:, 0]


def _floor(action: Action, there: Tensor, value: Output, exact: Tensor, form: str) -> Tensor:
    """What the way there, which is given, and back changes, `(E,)`; 0 where nothing is resampled."""
    floor = torch.zeros(len(exact), dtype=torch.float64)
    if bool(exact.all()):
        return floor
    rest = (~exact).nonzero().flatten()
    some = replace(action, elements=action.elements[rest])
    still = tensor_of(value).expand(len(rest), *tensor_of(value).shape)
    here, _ = some.windows(value)
    norms = some.distance(some.back(there[rest], value) * here, still * here, value)
    floor[rest] = error_of(form, norms, some.entries(value), _EPS)[:, 0]
    return floor
