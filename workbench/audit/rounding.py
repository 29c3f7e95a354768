"""What rounding alone can change in an answer: known for float32 and float64, measured for half precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.audit.words import percent
from workbench.e3.copies import copied
from workbench.measure import labelled, undisturbed
from workbench.measure.probe import OUTPUT, like_model, named_layers, pieces, watching
from workbench.measure.result import tensors_of

EXACT = {torch.float64: 1e-11, torch.float32: 1e-5}
"""Relative error of a deep network that rounding alone can make, by dtype."""
ASSUMED = {torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""The same in half precision, where it could not be measured."""
BOTH_ROUNDED = 2.0
"""An error compares two answers, and each of them is rounded."""
SAMPLES = 4


@dataclass(frozen=True)
class Rounding:
    """What rounding in half precision can make of the error of one network.

    Attributes:
        dtype: "float16" or "bfloat16".
        limit: of the answer, relative.
        layers: of each layer, by name.
        samples: on how many it was measured; 0 where it was not, and ``limit`` is assumed.
    """

    dtype: str
    limit: float
    layers: dict[str, float] = field(default_factory=dict)
    samples: int = 0


def exact_below(model: Callable) -> float:
    """The relative error up to which an element counts as exact; half precision is held to that of float32."""
    return EXACT.get(_dtype(model), EXACT[torch.float32])


def _dtype(model: Callable) -> torch.dtype:
    """That of the parameters; the coarsest half precision where there is any."""
    parameters: Iterable[Tensor] = model.parameters() if isinstance(model, nn.Module) else ()
    found = list(dict.fromkeys(one.dtype for one in parameters))
    return next((half for half in (torch.bfloat16, torch.float16) if half in found), (found or [torch.float32])[0])


def rounding_of(model: Callable, inputs: Tensor, seed: int = 0) -> Rounding | None:
    """What rounding can make of the error of a network in half precision; None in float32 and float64.

    The network is compared with a float32 copy of itself on the same rounded samples. That difference counts twice,
    because an error compares two rounded answers.

    Args:
        model: left exactly as found.
        inputs: some samples ``(B, ...)``, of which the first few are taken.

    >>> net = nn.Linear(8, 2)
    >>> rounding_of(net, torch.rand(3, 8)) is None
    True
    >>> found = rounding_of(net.bfloat16(), torch.rand(3, 8))
    >>> found.dtype, 0 < found.limit < 0.05
    ('bfloat16', True)
    """
    dtype = _dtype(model)
    if dtype not in ASSUMED:
        return None
    assumed = Rounding(str(dtype).removeprefix("torch."), ASSUMED[dtype])
    some = like_model(model, inputs[:SAMPLES])
    try:
        with undisturbed(model, seed):
            single = copied(model).float()  # type: ignore[attr-defined]
        wanted = _answers(single, some.float(), seed)
        got = _answers(model, some, seed)
    except Exception:  # code that nobody knows: it may cast inside, or not be copied
        return assumed
    found = {name: _apart(got[name], value) for name, value in wanted.items() if name in got}
    found = {name: BOTH_ROUNDED * error for name, error in found.items() if np.isfinite(error)}
    if OUTPUT not in found:
        return assumed
    return Rounding(assumed.dtype, found[OUTPUT], found, len(some))


def _answers(model: Any, inputs: Tensor, seed: int) -> dict[str, Tensor]:
    """What the layers and the whole network put out, those parts that are tensors of numbers with a point."""
    found: dict[str, Tensor] = {}

    def keep(name: str, module: Any, given: tuple, output: Any) -> None:
        for part, value in pieces(name, output).items():
            for tensor in tensors_of(value):
                if tensor.is_floating_point():
                    found[part] = tensor.detach().double()

    with undisturbed(model, seed), watching(named_layers(model, "all"), keep):
        keep(OUTPUT, model, (), model(inputs))
    return found


def _apart(got: Tensor, wanted: Tensor) -> float:
    """Mean over samples of the relative difference; NaN where there is none."""
    if got.shape != wanted.shape or not wanted.ndim:
        return float("nan")
    flat, like = got.reshape(len(got), -1), wanted.reshape(len(wanted), -1)
    return float(((flat - like).norm(dim=1) / like.norm(dim=1)).mean())


def with_rounding(sweep: xr.Dataset, found: Rounding | None) -> xr.Dataset:
    """The sweep with what rounding can make of the error of each layer, where that was looked at."""
    if found is None:
        return sweep
    values = np.array([found.layers.get(str(name), found.limit) for name in sweep.layer.values])
    words = f"error that rounding in {found.dtype} can make"
    return sweep.assign(rounding=labelled("layer", values, words, "1")).assign_attrs(
        rounding_dtype=found.dtype, rounding_samples=found.samples
    )


def rounded(sweep: xr.Dataset) -> float:
    """What rounding in half precision can make of the error of the answer; 0 in float32 and float64."""
    return float(sweep["rounding"].sel(layer=OUTPUT)) if "rounding" in sweep.variables else 0.0


def told_rounding(sweep: xr.Dataset) -> str:
    """How much rounding can change and how that is known, in words; empty in float32 and float64."""
    if not rounded(sweep):
        return ""
    count = int(sweep.attrs["rounding_samples"])
    how = f"twice the difference to a float32 copy of itself, {count} samples"
    how = how if count else "assumed, because no float32 copy of it could be compared"
    return f"rounding in {sweep.attrs['rounding_dtype']} alone can change it by {percent(rounded(sweep))} ({how})"
