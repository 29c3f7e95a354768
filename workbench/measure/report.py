"""Will this be equivariant? A look at a network's layers before it is trained.

A layer commutes with quarter turns and flips only if it visits the pixels symmetrically: stride s divides
H + 2 p - w, padding is the same on every side, kernels are square, and no layer weighs places differently.
It commutes with shifts only if it keeps every pixel, or blurs before it drops some.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.groups import Group, parse_group
from workbench.measure.dataset import labelled
from workbench.measure.entry import fed
from workbench.measure.geometry import Finding, Size
from workbench.measure.hazards import left_in_training, over_the_batch, told_by_use, turns, two_samples
from workbench.measure.inspection import Inspection
from workbench.measure.lines import KINDS, watched
from workbench.measure.probe import first_tensor
from workbench.measure.provenance import provenance
from workbench.measure.state import undisturbed


def will_it_be_equivariant(
    model: nn.Module, input_size: int | tuple[int, ...], group: Group | str | None = None, input: str = "image"
) -> xr.Dataset:
    """Name every layer that breaks exactness at quarter turns and flips, under shifts, or of points and sets.

    Looks at sizes, strides, windows and padding of torch's convolutions, pooling, up-sampling and of any layer with
    ``check_size``; at flattening, position-wise norms and position encodings; at norms over the batch, or left in
    train(), and whether a sample's answer changes beside others; and at pointwise functions behind a layer whose
    ``irreps_out`` or ``representation`` says that it puts out vectors. One pass of random numbers finds each layer's
    input, and another one what the batch does; nothing is trained or changed. Whether the filters themselves respect
    the group is not seen here: use :func:`check_equivariance` or :func:`explain` for that.

    Args:
        model: a module on images ``(B, C, H, W)``, or on what ``input`` says.
        input_size: H = W, ``(H, W)`` or ``(C, H, W)``; C is that of the first convolution where not given.
        group: quarter turns and flips where not given; with ``"Translation"`` strides without a low-pass and corner
            alignment are looked at instead, with ``"R2xSO2"`` and the like as well. Of points, translations or
            permutations alone; both where not given.
        input: ``"image"``, ``"series"`` with ``input_size = (C, L)`` under shifts, ``"points"`` with ``(N, d)`` under
            translations and permutations, or ``"set"`` with ``(N, F)`` under permutations.

    Returns:
        Over ``finding``, in order of the layers: ``module``, ``kind``, ``rule``, ``reason``, ``fix`` and
        ``input_size``. No finding is a Dataset of length 0. The attribute ``summary`` says it in a sentence, ``scope``
        what was looked at.

    Raises:
        ValueError: for a callable that is no module, or a bad size.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(2))
    >>> will_it_be_equivariant(net, 16).sizes["finding"]
    0
    >>> str(will_it_be_equivariant(net, 17).fix.values[0])
    'use a window of 3, or an input of 16 or 18 pixels'
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"a {type(model).__name__} was given; expected a torch module, whose layers can be seen.")
    if input not in ("image", *KINDS):
        raise ValueError(f"input = {input!r} was given; expected 'image' or one of {', '.join(map(repr, KINDS))}.")
    line = input != "image"
    shape = _line_shape(input_size, input) if line else _input_shape(model, input_size)
    group = None if group is None else parse_group(group)
    rows: list[tuple[str, str, Finding, str]] = []

    def record(name: str, module: nn.Module, size: Size | None, finding: Finding) -> None:
        rows.append((name or "model", type(module).__name__, finding, f"{size[0]} x {size[1]}" if size else "none"))

    if not line and shape[-1] != shape[-2] and turns(group):
        fix, reason = f"pad or crop to {max(shape[-2:])} x {max(shape[-2:])}", "a quarter turn of an image that is not"
        record("", model, (shape[-2], shape[-1]), Finding(f"{reason} square changes its frame", fix, "oblong image"))
    for name, module, found_there in left_in_training(model):
        record(name, module, None, found_there)
    _look(model, _fitting(model, two_samples(shape[1:])), input, group, record, rows)
    plain = 0 if line else sum(isinstance(m, nn.Conv2d) for m in model.modules())
    broken = _BROKEN.get(input) or ("quarter turns or flips" if turns(group) else "shifts")
    place = f"under {broken}" if line else "at quarter turns and flips" if turns(group) else "under shifts"
    what = "stride, padding, position tables, order and coordinates" if line else "size, stride, window, padding"
    scope = f"{what} and position-wise layers, {place}"
    if plain:
        scope += f"; {plain} plain convolution(s): their filters turn with nothing, only their geometry was looked at"
    names, kinds, found, sizes = zip(*rows, strict=True) if rows else ((), (), (), ())
    columns = {
        "module": (names, "layer"),
        "kind": (kinds, "kind of layer"),
        "rule": ([f.rule for f in found], "which rule found it"),
        "reason": ([f.reason for f in found], "what breaks"),
        "fix": ([f.fix for f in found], "nearest fix"),
        "input_size": (sizes, "input of the layer"),
    }
    return xr.Dataset(
        {name: labelled("finding", np.array(values, dtype=str), words) for name, (values, words) in columns.items()},
        coords={"finding": labelled("finding", np.arange(len(rows)), "number of the finding")},
        attrs=provenance(
            "will_it_be_equivariant",
            seed="not used",
            dtype="none",
            input_kind=f"{input}, random",
            input_shape=shape,
            model=type(model).__name__,
            scope=scope,
            group="none" if group is None else group.name,
            summary=_summary(names, broken),
        ),
    )


_EXPLAINS_BATCHES = ("batch statistics", "training mode", "size")
_BROKEN = {"series": "shifts", "points": "translations or permutations", "set": "permutations"}


def _line_shape(input_size: int | tuple[int, ...], kind: str) -> tuple[int, ...]:
    sides = tuple(input_size) if isinstance(input_size, tuple | list) else ()
    few = 1 if kind == "set" else 2
    if len(sides) < few or not all(isinstance(s, int) and not isinstance(s, bool) and s > 0 for s in sides):
        wanted = {"series": "(C, L)", "points": "(N, d)", "set": "(N, F)"}[kind]
        raise ValueError(f"input_size = {input_size!r} was given for {kind}; expected {wanted}, all positive.")
    return (1, *sides)


def _summary(names: tuple[str, ...], broken: str) -> str:
    if not names:
        return f"nothing in the geometry breaks {broken}"
    return f"{len(names)} finding(s) break {broken}, first in {names[0]}"


def _input_shape(model: nn.Module, input_size: int | tuple[int, ...]) -> tuple[int, int, int, int]:
    given = tuple(input_size) if isinstance(input_size, tuple | list) else ()
    sides = (input_size, input_size) if isinstance(input_size, int) else given
    good = len(sides) in (2, 3) and all(isinstance(s, int) and not isinstance(s, bool) and s > 0 for s in sides)
    if not good:
        raise ValueError(f"input_size = {input_size!r} was given; expected H, (H, W) or (C, H, W), all positive.")
    if len(sides) == 3:
        return 1, sides[0], sides[1], sides[2]
    channels = next((int(m.in_channels) for m in model.modules() if hasattr(m, "in_channels")), 1)  # type: ignore[arg-type]
    return 1, channels, sides[0], sides[1]


def _look(
    model: nn.Module, samples: Tensor, kind: str, group: Group | None, record: Callable, rows: list[tuple]
) -> None:
    """Layer by layer, then by what the network does with its tables and with a batch; ``rows`` is what was recorded."""
    line, before, sample = kind != "image", len(rows), samples[:1]
    looking = watched(model, sample, kind, group, record) if line else Inspection(group, record).of(model)
    with undisturbed(model):
        with looking:
            answer = _run(model, sample, record)
        found = [(name, finding) for name, _, finding, _ in rows[before:]]
        if not line:
            named = {(name, finding.reason) for name, finding in found}
            for found_by_use in told_by_use(model, sample, group, named):
                record(*found_by_use)
        if not any(finding.rule in _EXPLAINS_BATCHES for _, finding in found):
            for of_all in over_the_batch(partial(fed, model), samples, answer):
                record("", model, None, of_all)


def reasons_at(model: nn.Module, shape: tuple[int, int, int]) -> list[str]:
    """What the geometry of the layers breaks at images ``(C, H, W)``, in one pass: for asking at many sizes.

    >>> reasons_at(nn.MaxPool2d(2), (1, 16, 16)), len(reasons_at(nn.MaxPool2d(2), (1, 17, 17)))
    ([], 1)
    """
    found: list[str] = []

    def record(name: str, module: nn.Module, size: Size | None, finding: Finding) -> None:
        found.append(finding.reason)

    with undisturbed(model), Inspection(None, record).of(model):
        _run(model, _fitting(model, torch.zeros(1, *shape)), record)
    return found


def _fitting(model: nn.Module, sample: Tensor) -> Tensor:
    reference = first_tensor(model)
    return sample if reference is None else sample.to(dtype=reference.dtype, device=reference.device)


def _run(model: nn.Module, sample: Tensor, record: Callable) -> Any:
    """The answer; None where the network cannot take such a sample, which is recorded."""
    try:
        with warnings.catch_warnings():  # torch warns about the padding that is named here
            warnings.simplefilter("ignore")
            return fed(model, sample)
    except (RuntimeError, ValueError, AssertionError) as error:
        told = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
        reason = f"the network cannot take this input: {told[0]}"
        size = (sample.shape[-2], sample.shape[-1]) if sample.ndim > 1 else None
        record("", model, size, Finding(reason, "use a larger input, fewer poolings, or other channels", "size"))
        return None
