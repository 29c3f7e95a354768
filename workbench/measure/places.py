"""Tables that give each place its own number, told by what is done with them and not by what they are called.

A table is one if it is added to, multiplied with or joined to something that holds the places of the input, differs
between those places, and what comes of it goes on into a layer with weights. Source: derived here.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from workbench.measure.geometry import Size
from workbench.measure.result import tensors_of
from workbench.measure.state import ways_of

VARIED = 1e-5
"""Relative variation that is no rounding."""
_JOINED = ("add", "add_", "sub", "sub_", "rsub", "mul", "mul_", "div", "div_", "where", "maximum", "minimum", "cat")
_WEIGHED = ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "linear", "convolution", "native_layer_norm",
            "native_group_norm", "_native_multi_head_attention", "_transformer_encoder_layer_fwd")  # fmt: skip
_HOLDERS = (nn.Embedding, nn.ParameterList, nn.ParameterDict)
_FEATURES_LAST = (nn.Linear, nn.LayerNorm, nn.MultiheadAttention, nn.TransformerEncoderLayer)


class Placed(NamedTuple):
    """A table with a number for each place: where it stands, and the places, ``(1, N)`` tokens or an ``(H, W)`` map."""

    module: str
    name: str
    table: Tensor
    places: Size


@dataclass
class _Mark:
    """What a tensor was made of: the input or not, tables alone, and tables that were joined to it."""

    input: bool = False
    tables: frozenset[int] = frozenset()
    joined: frozenset[int] = frozenset()


@dataclass
class _Use:
    """Table ``key`` was joined to a tensor of that shape, and differs along those axes of it; ``held`` by the input."""

    key: int
    shape: tuple[int, ...]
    varied: frozenset[int]
    held: frozenset[int]


def placed_tables(model: nn.Module, sample: Tensor) -> list[Placed]:
    """The tables of places among the parameters and buffers, found by one pass of ``sample (1, C, H, W)``.

    Layers of torch's have none but embeddings; a network in which nothing else holds a table is not run.

    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.patches, self.last = nn.Conv2d(1, 4, 4, 4), nn.Linear(4, 2)
    ...         self.any = nn.Parameter(torch.rand(1, 4, 4))
    ...     def forward(self, x):
    ...         return self.last(self.patches(x).flatten(2).mT + self.any).relu().mean(1)
    >>> [(one.name, one.places) for one in placed_tables(Net(), torch.rand(1, 1, 8, 8))]
    [('any', (1, 4))]
    """
    held = list(_candidates(model))
    if not held:
        return []
    watch = _Watch(model, sample, [table for _, _, table in held])
    try:
        inside = torch.set_grad_enabled("gradients" in ways_of(model))  # known from an earlier pass
        with warnings.catch_warnings(), inside, watch.tokens(model), watch:
            warnings.simplefilter("ignore")
            model(sample)
    except Exception:  # code that nobody knows may fail under a watch in any way; then nothing was learned
        return []
    found: dict[int, Size] = {}
    for use in watch.uses:
        places = watch.places_of(use)
        if use.key in watch.gone_on and places is not None:
            found.setdefault(use.key, places)
    return [Placed(*held[key], places) for key, places in sorted(found.items())]


def _candidates(model: nn.Module) -> Iterator[tuple[str, str, Tensor]]:
    for at, module in model.named_modules():
        torchs = type(module).__module__.startswith("torch.nn.") and type(module) is not nn.Module
        own = type(module).__module__.split(".")[0] == "e3nn" or hasattr(module, "check_size")
        if own or (torchs and not isinstance(module, _HOLDERS)):
            continue
        for name, table in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            if table.ndim > 1 and table.is_floating_point():
                yield at, name, table


class _Watch(TorchDispatchMode):
    """Follows the input and the tables through every operation of a pass."""

    def __init__(self, model: nn.Module, sample: Tensor, tables: list[Tensor]) -> None:
        super().__init__()
        self.weights = {id(one) for one in [*model.parameters(), *model.buffers()]}
        self.tables = tables  # kept, so that what is known of them is, too
        self.marks: Any = WeakTensorKeyDictionary()
        self.marks[sample] = _Mark(input=True)
        for key, table in enumerate(tables):
            self.marks[table] = _Mark(tables=frozenset([key]))
        self.maps = {(int(sample.shape[-2]), int(sample.shape[-1]))}
        self.counts: set[int] = set()
        self.uses: list[_Use] = []
        self.gone_on: set[int] = set()

    def tokens(self, model: nn.Module) -> ExitStack:
        """Hooks that see how many tokens the layers with features on the last axis are given."""
        stack = ExitStack()

        def look(module: nn.Module, inputs: tuple) -> None:
            given = inputs[0] if inputs and isinstance(inputs[0], Tensor) else torch.empty(0)
            if given.ndim == 3:
                self.counts.add(int(given.shape[1] if given.shape[1] > 1 else given.shape[0]))
            elif given.ndim == 4:
                self.maps.add((int(given.shape[1]), int(given.shape[2])))

        for module in model.modules():
            if isinstance(module, _FEATURES_LAST):
                stack.callback(module.register_forward_pre_hook(look).remove)
        return stack

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        given = tensors_of([args, kwargs])
        marks = [self.marks.get(one, _Mark()) for one in given]  # before: an operation may write into what it was given
        answer = func(*args, **kwargs)
        made, name = tensors_of(answer), func.overloadpacket.__name__
        mark = _Mark(
            any(one.input for one in marks),
            frozenset().union(*(one.tables for one in marks)),
            frozenset().union(*(one.joined for one in marks)),
        )
        if name in _WEIGHED:
            self.gone_on |= mark.joined
            if any(one == _Mark() and id(tensor) not in self.weights for tensor, one in zip(given, marks, strict=True)):
                mark.tables = frozenset()  # made of something unknown, which may be the input
        if mark.input and mark.tables and made:
            if name in _JOINED:
                along = (args[1] if len(args) > 1 else kwargs.get("dim", 0)) % made[0].ndim if name == "cat" else None
                self._join(given, marks, tuple(made[0].shape), along)
                mark.joined |= mark.tables
            elif "scaled_dot_product" in name and isinstance(bias := kwargs.get("attn_mask"), Tensor):
                scores = args[0] @ args[1].mT  # what the bias is added to
                self._join(
                    [scores, bias], [_Mark(input=True), self.marks.get(bias, _Mark())], tuple(scores.shape), None
                )
                mark.joined |= mark.tables
            mark.tables = frozenset()
        for one in made:
            self.marks[one] = mark
            if one._base is not None and mark.input:
                self.marks[one._base] = mark
            if one.ndim == 4 and mark.input and any(word in name for word in ("conv", "pool", "upsample")):
                self.maps.add((int(one.shape[-2]), int(one.shape[-1])))
        return answer

    def _join(self, given: list[Tensor], marks: list[_Mark], shape: tuple[int, ...], without: int | None) -> None:
        """Note the tables that an operation joined to the input; along ``without`` they stand one after another."""
        held = set() if without is None else {without}
        for tensor, mark in zip(given, marks, strict=True):
            if mark.input:
                first = len(shape) - tensor.ndim
                held |= {first + axis for axis, side in enumerate(tensor.shape) if side == shape[first + axis] > 1}
        for tensor, mark in zip(given, marks, strict=True):
            if mark.tables and not mark.input and tensor.numel():
                varied = {len(shape) - tensor.ndim + axis for axis in _varied(tensor)} - {without}
                self.uses += [_Use(key, shape, frozenset(varied), frozenset(held)) for key in mark.tables]

    def places_of(self, use: _Use) -> Size | None:
        """The places that the table tells apart; None where it may be that it tells channels apart."""
        counts = self.counts | {high * wide + more for high, wide in self.maps for more in (0, 1)}
        layouts: list[tuple[frozenset[int], Size]] = []
        for axis, side in enumerate(use.shape):
            pair = use.shape[axis : axis + 2]
            if len(use.shape) > 3 and pair in self.maps and pair[0] * pair[1] > 1 and use.held >= {axis, axis + 1}:
                layouts.append((frozenset([axis, axis + 1]), (int(pair[0]), int(pair[1]))))
            tokens = len(use.shape) > 2 and (axis > 0 or use.shape[1] == 1)  # the first axis may hold windows
            if tokens and side > 1 and side in counts and axis in use.held:
                layouts.append((frozenset([axis]), (1, int(side))))
        sure = layouts and all(axes & use.varied for axes, _ in layouts)
        return max(layouts, key=lambda layout: len(layout[0]))[1] if sure else None  # a map rather than a row of it


def _varied(table: Tensor) -> list[int]:
    """The axes along which the numbers differ."""
    numbers = table.detach().double()
    least = VARIED * float(numbers.abs().max())
    spreads = [float((numbers.amax(axis) - numbers.amin(axis)).max()) for axis in range(numbers.ndim)]
    return [axis for axis, spread in enumerate(spreads) if spread > least]


def place_dims(table: Tensor, places: Size) -> tuple[int, ...]:
    """The axes of a table on which its places lie: two of a map, or one of tokens, or both of pairs of tokens.

    >>> place_dims(torch.zeros(1, 16, 8), (1, 16)), place_dims(torch.zeros(1, 4, 4, 8), (4, 4))
    ((-2,), (-3, -2))
    """
    shape, count = tuple(table.shape), places[0] * places[1]
    for end in (0, -1):
        if places[0] > 1 and shape[end - 2 : end or None] == places:
            return end - 2, end - 1
    pairs = shape[-2:] == (count, count) and not (len(shape) == 3 and shape[0] == 1)
    if pairs:
        return -2, -1
    usual: tuple[int, ...] = (-2, -1) if len(shape) == 4 else (-2,)
    if places[0] > 1 and len(shape) == 4:
        return usual  # of rows or columns alone, or of another size than it is used at
    return next(
        ((axis % len(shape) - len(shape),) for axis in (-2, -1, *range(len(shape))) if shape[axis] == count), usual
    )


def turns_alike(table: Tensor, dims: tuple[int, ...]) -> bool:
    """Whether the table over a square of places is its own copy after quarter turns and flips, as distances are.

    A row before those of the places is that of a class token.

    >>> mask = torch.tensor([[0.0, 1, 0], [1, 1, 1], [0, 1, 0]])
    >>> turns_alike(mask, (-2, -1)), turns_alike(torch.rand(1, 9, 2), (-2,))
    (True, False)
    """
    numbers = table.detach().double()
    if len(dims) == 1:
        rows = numbers.movedim(dims[0], -1)
        side = math.isqrt(rows.shape[-1])
        if rows.shape[-1] - side**2 not in (0, 1):
            return False
        maps = rows[..., rows.shape[-1] - side**2 :].unflatten(-1, (side, side))
    else:
        maps = numbers.movedim(dims, (-2, -1))
    if maps.shape[-1] != maps.shape[-2]:
        return False
    least = VARIED * float(numbers.abs().max())
    return all(float((maps - copy).abs().max()) <= least for copy in (maps.rot90(1, (-2, -1)), maps.flip(-1)))
