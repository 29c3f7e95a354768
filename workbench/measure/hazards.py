"""What breaks a symmetry besides the geometry of a layer: the rules that look at what a layer computes, one at a time.

Position encodings, statistics of the batch, pointwise functions on vectors, and for shifts strides without a low-pass.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from workbench.groups import Group, Plane, Translation
from workbench.measure.geometry import Finding, Size, pair
from workbench.measure.places import place_dims, placed_tables, turns_alike
from workbench.measure.result import tensors_of

_ENCODING = re.compile(r"(^|_)(pos|position|positional|coord|coords|coordinates)(_|$)|(^|_)pos_?(emb|enc)")
BATCH = "a sample's output depends on the others of the batch"
_LARGER, _DIFFERENT = 33, 1e-5  # pixels of the constant test image; relative variation that is no rounding
POINTWISE = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh, nn.Sigmoid,
    nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.LogSigmoid, nn.Tanhshrink,
)  # fmt: skip
SCALARS = ("", "trivial", "scalar", "scalars", "regular", "invariant", "image", "group signal")
"""Representations that a pointwise function respects."""


def moves(group: Group | None) -> bool:
    """Whether the group shifts images."""
    return isinstance(group, Translation | Plane)


def turns(group: Group | None) -> bool:
    """Whether the group turns or mirrors images; the report's own symmetry where none is given."""
    return not isinstance(group, Translation)


def shared(found: Iterable[Finding]) -> Iterator[Finding]:
    """Those findings on geometry that break shifts, too."""
    return (finding for finding in found if finding.rule in ("flatten", "norm", "upsampling"))


def hazards(module: nn.Module, inputs: tuple, size: Size | None, group: Group | None) -> Iterator[Finding]:
    """What in one layer treats places or images differently, whatever its geometry."""
    yield from _batch_statistics(module)
    yield from position_finding(module, size, turned=not moves(group))
    if _foreign(module) and inputs and isinstance(inputs[0], Tensor) and inputs[0].ndim == 4:
        yield from _tried_out(module, inputs[0])
    if size is not None and moves(group):
        yield from _under_shifts(module)


def _foreign(module: nn.Module) -> bool:
    """Whether the module's own code is unknown: no layer of torch's, no group layer, nothing inside."""
    known = type(module).__module__.split(".")[0] in ("torch", "workbench", "e3nn")
    return not known and not hasattr(module, "check_size") and next(module.children(), None) is None


def _batch_statistics(module: nn.Module) -> Iterator[Finding]:
    if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
        yield Finding(
            "a norm without running statistics uses those of the batch: an image's output depends on the others",
            "use track_running_stats=True, or a norm over each image",
            "batch statistics",
        )
    elif isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training:
        yield Finding(
            "a norm that goes back to train() by itself uses statistics of the batch: outputs depend on other images",
            "leave its training flag to the network's train() and eval()",
            "training mode",
        )


def left_in_training(model: nn.Module) -> Iterator[tuple[str, nn.Module, Finding]]:
    """Batch norms that stand in train() in a network that stands in eval(); measures put all into evaluation mode."""
    for name, module in model.named_modules():
        if not model.training and isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training:
            reason = (
                "a norm left in train() in a network in eval() uses statistics of the batch: an image's output depends "
                "on the others (measures put it into evaluation mode, so their errors do not show it)"
            )
            fix = "call eval() on it, or on the network, before it is used"
            yield name, module, Finding(reason, fix, "training mode")


def position_tables(module: nn.Module, size: Size | None) -> Iterator[tuple[str, Tensor, tuple[int, ...]]]:
    """Parameters and buffers with one number for each place: name, table, and the dims of the places."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.modules.conv._ConvNd | nn.Linear | nn.LayerNorm):
        return
    if hasattr(module, "check_size") or hasattr(module, "requested"):
        return
    for name, table in [*module._parameters.items(), *module._buffers.items()]:
        if table is None or table.ndim < 2 or not table.is_floating_point():
            continue
        on_map = size is not None and tuple(table.shape[-2:]) == size and size[0] * size[1] > 1
        if on_map or _ENCODING.search(name):
            yield name, table, (-2, -1) if on_map or table.ndim == 4 else (-2,)
        elif size is not None and (dims := _on_line(module, table, size)):
            yield name, table, dims


def _on_line(module: nn.Module, table: Tensor, size: Size) -> tuple[int, ...]:
    """The dim of the places of a table of one row for each sample or member, in a module of one's own.

    A size of ``(1, L)`` stands for series of L samples and sets of L members.
    """
    places = size[1]
    own = type(module).__module__.split(".")[0] != "torch"
    if size[0] != 1 or places < 2 or not own or table.ndim > 3 or (table.ndim == 3 and table.shape[0] != 1):
        return ()
    if table.shape[-2] == places:
        return (-2,)
    return (-1,) if table.ndim == 3 and table.shape[-1] == places else ()


def position_finding(module: nn.Module, size: Size | None, turned: bool = False) -> Iterator[Finding]:
    """A table that is not the same at every place; ``turned``: nor alike at places that turns and flips exchange."""
    for name, table, dims in position_tables(module, size):
        numbers = table.detach().double()
        spread = numbers.amax(dims) - numbers.amin(dims)
        if bool((spread > _DIFFERENT * numbers.abs().max()).any()) and not (turned and turns_alike(table, dims)):
            yield encoding(name, table)


def encoding(name: str, table: Tensor) -> Finding:
    """The finding on a table of places."""
    return Finding(
        f"{name} of shape {tuple(table.shape)} gives each place its own number: a position encoding",
        "leave it out, encode the distance from the centre or between places, or use its mean over the places",
        "position encoding",
    )


def told_by_use(
    model: nn.Module, sample: Tensor, group: Group | None, named: set[tuple[str, str]]
) -> Iterator[tuple[str, nn.Module, Size, Finding]]:
    """Tables of places whatever they are called, but those already ``named`` by module and reason.

    Under shifts alone, tables of the differences between places are none.
    """
    for module, name, table, places in placed_tables(model, sample):
        found = encoding(name, table)
        absolute = {places[0] * places[1], *places} & {side for side in table.shape if side > 1}
        alike = not moves(group) and _alike(table, places)
        if (module or "model", found.reason) not in named and (absolute or turns(group)) and not alike:
            yield module, model.get_submodule(module), places, found


def _alike(table: Tensor, places: Size) -> bool:
    dims = place_dims(table, places)
    pairs = places[0] == 1 and len(dims) == 2
    return not pairs and turns_alike(table, dims)


def _tried_out(module: nn.Module, like: Tensor) -> Iterator[Finding]:
    """A layer of unknown code is tried: on a constant image larger than any window, and on one image in a batch."""
    side = max(_LARGER, 2 * like.shape[-1])
    constant = torch.ones(1, like.shape[1], side, side, dtype=like.dtype, device=like.device)
    answer = _answer(module, constant)
    if answer is not None and answer.ndim == 4 and min(answer.shape[-2:]) >= side // 4:
        height, width = answer.shape[-2:]
        inner = answer[..., height // 3 : height - height // 3, width // 3 : width - width // 3]
        spread = inner.amax((-2, -1)) - inner.amin((-2, -1))
        if float(spread.max()) > _DIFFERENT * float(answer.abs().max()):
            yield Finding(
                "it answers to a constant image with a pattern: coordinates or another position encoding",
                "leave the coordinates out, or use the distance from the centre",
                "coordinates",
            )
    yield from over_the_batch(module.forward, two_samples(tuple(like.shape[1:]), like))


def two_samples(shape: tuple[int, ...], like: Tensor | None = None) -> Tensor:
    """Two samples ``(2, ...)`` of random numbers, the second larger, for :func:`over_the_batch`."""
    noise = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    noise = noise * torch.tensor([1.0, 5.0]).view(-1, *[1] * len(shape))
    return noise if like is None else noise.to(like)


def over_the_batch(network: Callable, samples: Tensor, alone: Any = None) -> Iterator[Finding]:
    """A network or layer is tried on a sample alone, beside another, and, where that differs, alone again.

    Args:
        samples: of :func:`two_samples`.
        alone: the answer to the first of them alone, where it is known.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            first = _numbers(network(samples[:1].clone()) if alone is None else alone)
            beside = _numbers(network(samples.clone()))
            if len(first) != len(beside) or not any(map(_apart, first, [more[:1] for more in beside])):
                return
            # two runs of the same sample that differ tell of chance or a memory, not of the batch
            again = _numbers(network(samples[:1].clone()))
    except Exception:  # code that nobody knows may refuse a batch in any way; then nothing was learned
        return
    if len(first) == len(again) and not any(map(_apart, first, again)):
        yield Finding(BATCH, "use running statistics in evaluation, or a norm over each sample", "batch statistics")


def _numbers(answer: Any) -> list[Tensor]:
    return [tensor for tensor in tensors_of(answer) if tensor.is_floating_point()]


def _apart(one: Tensor, other: Tensor) -> bool:
    """Whether two answers differ by more than rounding."""
    if one.shape != other.shape or not one.numel():
        return False
    least = max(1e3 * _DIFFERENT, 32 * torch.finfo(one.dtype).eps)
    return float((one - other).abs().max()) > least * float(one.abs().max())


def _answer(module: nn.Module, image: Tensor) -> Tensor | None:
    try:
        answer = module.forward(image)
    except Exception:  # code that nobody knows may refuse an image in any way; then nothing was learned
        return None
    return answer if isinstance(answer, Tensor) and answer.is_floating_point() else None


def _under_shifts(module: nn.Module) -> Iterator[Finding]:
    stride = getattr(module, "stride", 1)
    if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) and max(pair(stride)) > 1:
        yield Finding(
            f"stride {pair(stride)[0]} drops what lies between the pixels it keeps: other pixels after a shift",
            "keep stride 1 and blur before dropping pixels (anti-aliasing)",
            "aliasing",
        )
    if isinstance(module, nn.Upsample) and module.align_corners:
        yield Finding(
            "align_corners=True spreads pixels by another factor than the size: a whole shift is none after it",
            "use align_corners=False",
            "corners",
        )


def representation_of(module: Any) -> str:
    """What a module says its output is: ``irreps_out`` as e3nn has it, or an attribute ``representation``."""
    irreps = getattr(module, "irreps_out", None)
    if irreps is not None:
        degrees = re.findall(r"(\d+)[eo]", str(irreps))
        return str(irreps) if any(int(degree) > 0 for degree in degrees) else ""
    given = str(getattr(module, "representation", ""))
    return "" if given in SCALARS else given


def on_vectors(module: nn.Module, representation: str) -> Iterator[Finding]:
    """A pointwise function on an output that is not made of scalars."""
    if representation and isinstance(module, POINTWISE):
        yield Finding(
            f"a pointwise {type(module).__name__} acts on components of {representation!r}, which mix under the group",
            "scale whole vectors by a function of their length (a gate or norm non-linearity)",
            "vectors" if "vector" in representation else "irreps",
        )
