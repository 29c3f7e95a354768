"""What a network costs: parameters, multiply-adds and activation memory, layer by layer."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.groups import GroupSignal
from workbench.measure.dataset import labelled
from workbench.measure.entry import fed
from workbench.measure.probe import first_tensor, watching
from workbench.measure.provenance import provenance
from workbench.measure.state import undisturbed


def cost(model: nn.Module, input_shape: Sequence[int] | Tensor) -> xr.Dataset:
    """Parameters, multiply-adds and activation memory of one evaluation pass.

    Args:
        model: a module; convolutions, linear layers, attention, recurrent layers and group convolutions are counted.
            All others, and products written as functions, cost no multiply-adds here.
        input_shape: ``(B, C, H, W)``; ``(B, C, L)`` or the like for other inputs. Or the inputs themselves, for models
            that do more for some of them than for zeros.

    Returns:
        Over ``layer`` in order of first use: ``parameters`` (its own, shared ones counted once),
        ``multiply_adds`` of the whole kernel squares, as a plain convolution of that shape does,
        ``multiply_adds_disc`` of the taps inside the disc that group convolutions need, ``activation_bytes`` of its
        output, and ``calls``. Making the kernels is not counted: evaluation does it once. Sums over ``layer`` are
        those of the network.

    Raises:
        ValueError: for a shape that is none or does not fit the model, or a callable that is no module.

    >>> ds = cost(nn.Conv2d(1, 2, 3, padding=1), (1, 1, 8, 8))
    >>> int(ds.parameters.sum()), int(ds.multiply_adds.sum()), int(ds.activation_bytes.sum())
    (20, 1152, 512)
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"a {type(model).__name__} was given; expected a torch module, whose layers can be seen.")
    given = input_shape if isinstance(input_shape, Tensor) else None
    sides = input_shape if given is None else given.shape
    shape = tuple(sides) if isinstance(sides, tuple | list) else ()
    if not 2 <= len(shape) <= 4 or not all(isinstance(side, int) and side > 0 for side in shape):
        raise ValueError(
            f"input_shape = {input_shape} was given; expected two to four positive numbers, (B, C, H, W) for images."
        )
    reference = first_tensor(model)
    options: Any = {} if reference is None else {"dtype": reference.dtype, "device": reference.device}
    layers = dict(_counted(model))
    own = _own_parameters(layers)
    rows: dict[str, np.ndarray] = {}

    def receive(name: str, module: nn.Module, inputs: tuple, output: Any) -> None:
        base = name.split(" (call ")[0]
        dense, disc = _multiply_adds(module, inputs, output)
        row = rows.setdefault(base, np.zeros(4, dtype=np.int64))
        row += np.array([dense, disc, _bytes(output), 1])

    with undisturbed(model), watching(layers, receive):
        fed(model, torch.zeros(shape, **options) if given is None else given.to(**options))
    rows |= {name: np.zeros(4, dtype=np.int64) for name in layers if name not in rows and own[name]}
    counted = np.array([[own[name], *rows[name]] for name in rows]).reshape(-1, 5).T
    return xr.Dataset(
        {
            "parameters": labelled("layer", counted[0], "parameters"),
            "multiply_adds": labelled("layer", counted[1], "multiply-adds of the whole kernel"),
            "multiply_adds_disc": labelled("layer", counted[2], "multiply-adds inside the disc"),
            "activation_bytes": labelled("layer", counted[3], "activation memory", "bytes"),
            "calls": labelled("layer", counted[4], "calls in one pass"),
        },
        coords={
            "layer": labelled("layer", list(rows), "layer"),
            "kind": labelled("layer", [type(layers[name]).__name__ for name in rows], "kind of layer"),
        },
        attrs=provenance(
            "cost",
            seed="not used",
            dtype="float32" if reference is None else reference.dtype,
            reduction="sum over calls",
            input_kind="zeros" if given is None else "given",
            input_shape=shape,
            model=type(model).__name__,
        ),
    )


def _counted(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Modules whose cost is their own: leaves, whole layers, and any other with parameters of its own."""
    whole = _whole(module) or next(module.children(), None) is None
    if whole or module._parameters:
        yield name or "model", module
    if not whole:
        for child_name, child in module.named_children():
            yield from _counted(child, f"{name}.{child_name}" if name else child_name)


def _whole(module: nn.Module) -> bool:
    """A group layer, or a layer whose only modules make its own weights (``torch.nn.utils.parametrize``)."""
    return hasattr(module, "requested") or [name for name, _ in module.named_children()] == ["parametrizations"]


def _own_parameters(layers: dict[str, nn.Module]) -> dict[str, int]:
    seen: set[int] = set()
    result = {}
    for name, module in layers.items():
        fresh = [p for p in module.parameters(recurse=_whole(module)) if id(p) not in seen]
        seen |= {id(p) for p in fresh}
        result[name] = sum(p.numel() for p in fresh)
    return result


def _multiply_adds(module: nn.Module, inputs: tuple, output: Any) -> tuple[int, int]:
    """Whole kernels, and taps inside the disc."""
    if isinstance(output, GroupSignal) and hasattr(module, "requested"):
        layer: Any = module
        signal = inputs[0]
        incoming = layer.in_channels * (signal.values.shape[2] if isinstance(signal, GroupSignal) else 1)
        if hasattr(layer, "multiply_adds"):
            elements = signal.values.shape[2], output.values.shape[2]
            pixels, answers = (s.values.shape[0] * prod(s.values.shape[3:]) for s in (signal, output))
            own = (layer.multiply_adds(*elements, taps) for taps in (layer.kernel_size**2, _taps(layer)))
            dense, disc = (pixels * before + answers * after for before, after in own)
            return dense, disc
        pairs = output.values.numel() * incoming
        return pairs * layer.kernel_size**2, pairs * _taps(layer)
    if isinstance(module, nn.Linear):
        count = output.numel() * module.in_features
    elif isinstance(module, nn.ConvTranspose2d):
        count = inputs[0].numel() * module.out_channels // module.groups * prod(module.kernel_size)
    elif isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        count = output.numel() * module.in_channels // module.groups * prod(module.kernel_size)
    elif isinstance(module, nn.MultiheadAttention):
        count = _of_attention(module, inputs or (output[0],))  # given by keywords: taken for self-attention
    elif isinstance(module, nn.RNNBase):
        count = _of_recurrence(module, inputs[0] if inputs else output[0])
    else:
        count = 0
    return count, count


def _of_attention(module: nn.MultiheadAttention, inputs: tuple) -> int:
    """Projections of queries, keys, values and the result, and two products of every query with every key."""
    queries, keys, values = (tuple(given.shape) for given in (*inputs, *inputs[:1] * 2)[:3])
    along = 1 if module.batch_first and len(queries) == 3 else 0
    projected = sum(prod(shape) * module.embed_dim for shape in (queries, queries, keys, values))
    return projected + 2 * prod(queries) * keys[along]


def _of_recurrence(module: Any, given: Any) -> int:
    """Every weight matrix once for each step; packed sequences hold their steps one after the other."""
    sequence = given.data if isinstance(given, nn.utils.rnn.PackedSequence) else given
    steps = sequence.numel() // sequence.shape[-1]
    return steps * sum(weight.numel() for name, weight in module.named_parameters() if name.startswith("weight"))


def _taps(layer: Any) -> int:
    bank = getattr(layer, "kernels", None)
    taps = getattr(getattr(bank, "over_plane", bank), "taps", None)
    return layer.kernel_size**2 if taps is None else len(taps)


def _bytes(output: Any) -> int:
    if isinstance(output, GroupSignal):
        output = output.values
    if isinstance(output, tuple | list):
        return sum(map(_bytes, output))
    return output.numel() * output.element_size() if isinstance(output, Tensor) else 0
