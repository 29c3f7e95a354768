"""What each layer of a model puts out, seen through forward hooks while the model runs."""

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from workbench.groups import GroupSignal
from workbench.measure.behaviour import Moved
from workbench.measure.entry import fed, freed
from workbench.measure.result import measurable, selected
from workbench.measure.state import module_of

FINER = 4  # elements of the grid on which a partial layer is compared, per element of the layer
OUTPUT = "output"
"""The name of the end-to-end result among the layers."""

SCOPE = "outputs of modules; functions called inside a module are seen in its output only"
"""What hooks can see."""

IMAGE_DIMS = (1, 2, 4)
"""Dimensions of what layers put out for images: numbers, vectors and maps."""
LIST_DIMS = (1, 2, 3)
"""The same for signals, points and sets."""

Output = Tensor | GroupSignal | Moved
Receive = Callable[[str, Output], None]


class Cancelled(Exception):
    """Somebody asked a measure, a training or an explorer to stop: its result is no longer wanted."""


def first_tensor(model: Callable) -> Tensor | None:
    """A floating-point parameter or buffer of the model: it tells dtype and device."""
    module = module_of(model)
    if module is None:
        return None
    tensors: Iterator[Tensor] = (t for group in (module.parameters(), module.buffers()) for t in group)
    return next((t for t in tensors if t.is_floating_point()), None)


def check_model(model: object) -> None:
    """Refuse what cannot be called, with a sentence."""
    if not callable(model):
        raise ValueError(f"a {type(model).__name__} was given as model; expected a callable on images (B, C, H, W).")


def like_model(model: Callable, images: Tensor) -> Tensor:
    """The images in the dtype and on the device of the model's parameters."""
    reference = first_tensor(model)
    return images if reference is None else images.to(reference.device, reference.dtype)


def named_layers(model: Callable, layers: str | Iterable[str]) -> dict[str, nn.Module]:
    """The modules to be watched, by name.

    ``"all"`` is every module but containers and the insides of group layers, whose kernel networks work on
    coordinates, not on images.

    Raises:
        ValueError: for an unknown name, or names asked of a plain function.
    """
    names = [] if layers == () else [layers] if isinstance(layers, str) else list(layers)
    if not names:
        return {}
    module = module_of(model)
    if module is None and names == ["all"]:
        return {}
    if module is None:
        raise ValueError(
            f"layers = {names} were asked of {type(model).__name__}, which is no torch module; expected layers=() "
            "for a plain function; pass the module itself."
        )
    if names == ["all"]:
        return dict(_watchable(module, ""))
    known = dict(module.named_modules())
    unknown = [name for name in names if name not in known or name == ""]
    if unknown:
        some = ", ".join(name for name in list(known)[1:9])
        expected = f"expected names of the model's modules, for example: {some}" if some else "the model is one module"
        raise ValueError(f"layers {unknown} were asked; {expected}; leave layers out for the output alone.")
    return {name: known[name] for name in names}


def _watchable(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        full = f"{prefix}{name}"
        if not isinstance(child, nn.Sequential | nn.ModuleList | nn.ModuleDict):
            yield full, child
        if not hasattr(child, "requested"):
            yield from _watchable(child, f"{full}.")


@contextmanager
def watching(layers: dict[str, nn.Module], receive: Callable[[str, nn.Module, tuple, Any], None]) -> Iterator[None]:
    """Call ``receive(name, module, inputs, output)`` whenever a layer has run in this thread, within the block.

    A module that runs a second time in the block is called ``"name (call 2)"``.
    """
    here, calls, busy = threading.get_ident(), dict.fromkeys(layers, 0), [False]

    def watch(name: str) -> Callable:
        def hook(module: nn.Module, inputs: tuple, output: Any) -> None:
            # other threads may run the same model; receive itself may call the layer again
            if threading.get_ident() != here or busy[0]:
                return
            calls[name] += 1
            busy[0] = True
            try:
                receive(name if calls[name] == 1 else f"{name} (call {calls[name]})", module, inputs, output)
            finally:
                busy[0] = False

        return hook

    handles = []
    try:
        for name, module in layers.items():
            handles.append(module.register_forward_hook(watch(name)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def run(
    model: Callable,
    images: Tensor,
    layers: dict[str, nn.Module],
    strict: bool,
    receive: Receive,
    skip: Callable[[str, str], object] | None = None,
    select: Any = None,
    dims: tuple[int, ...] = IMAGE_DIMS,
    spare: bool = False,
) -> None:
    """One forward pass; ``receive`` gets every watched output and, last, the result of the model.

    A layer that puts out several things is received part by part, as ``"name[0]"``, ``"name[1]"``, ``"name[key]"``.

    Args:
        strict: refuse a layer whose output is no batch of signals, maps or vectors; otherwise pass it over.
        skip: told the name and the reason of what is passed over.
        select: the part of the model's result that is wanted, see :func:`selected`.
        dims: numbers of dimensions that an output of a layer may have.
        spare: nobody reads the images afterwards, so that the model needs no copy of them.
    """

    graded = torch.is_grad_enabled()

    def sift(name: str, module: nn.Module, inputs: tuple, output: Any) -> None:
        with torch.set_grad_enabled(graded):
            parts = pieces(name, whole_group(module, inputs, output))
            parts = parts if graded else {part: freed(value) for part, value in parts.items()}
        problems = {part: why_not(value, len(images), dims) for part, value in parts.items()}
        if strict and None not in problems.values():
            first = next(iter(problems.values()), "nothing")
            raise ValueError(f"layer {name!r} puts out {first}; leave it out of layers.")
        for part, value in parts.items():
            if (problem := problems[part]) is None:
                receive(part, value)
            elif skip is not None:
                skip(part, problem)

    result = fed(model, images, spare, lambda: watching(layers, sift))
    result = selected(result, select)
    result = result if graded else freed(result)
    problem = why_not(result, len(images))
    if problem and not measurable(result, len(images)):
        raise ValueError(f"the model puts out {problem}; wrap it in a function that returns one of these.")
    receive(OUTPUT, result)


def left_out(layers: Iterable[str], seen: Iterable[str], passed_over: dict[str, str]) -> str | None:
    """Which watched layers are missing among those seen, and why, in words; ``None`` where none is.

    >>> left_out(["a", "b", "c"], ["a", "a (call 2)"], {"b[0]": "a list"})
    'b[0]: a list; c: it did not run as a module'
    """
    known = {re.split(r" \(call |\[", name)[0] for name in (*seen, *passed_over)}
    silent = {name: "it did not run as a module" for name in layers if name not in known}
    return "; ".join(f"{name}: {why}" for name, why in (passed_over | silent).items()) or None


def pieces(name: str, output: Any) -> dict[str, Any]:
    """The parts of an output by name: itself, or what a tuple, list or dict holds.

    >>> list(pieces("lstm", (1, (2, 3))))
    ['lstm[0]', 'lstm[1][0]', 'lstm[1][1]']
    """
    if isinstance(output, dict):
        held = list(output.items())
    elif isinstance(output, tuple | list):
        held = list(enumerate(output))
    else:
        return {name: output}
    return {part: piece for key, value in held for part, piece in pieces(f"{name}[{key}]", value).items()}


def why_not(value: Any, batch: int, dims: tuple[int, ...] = IMAGE_DIMS) -> str | None:
    """Why an output cannot be compared, ``None`` where it can."""
    expected = "expected a GroupSignal (B, C, G, H, W), maps (B, C, H, W) or vectors (B, K)"
    if isinstance(value, GroupSignal):
        return None if len(value.values) == batch else f"a signal of batch {len(value.values)}; expected {batch}"
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}; {expected}"
    if value.ndim not in dims or not value.numel() or len(value) != batch or not value.is_floating_point():
        return f"a tensor of shape {tuple(value.shape)} and {value.dtype} for {batch} images; {expected}"
    return None


@dataclass(frozen=True)
class PartialSignal(GroupSignal):
    """The full convolution F on a whole grid, and the learned density p: the layer's output is p(u) F(u).

    L_g (p F)(u) = p(g^-1 u) (L_g F)(u): the density is known everywhere, so only F is ever interpolated.
    """

    density: Callable[[Tensor], Tensor] | None = None

    def window(self, elements: Tensor) -> Tensor:
        """p(g^-1 u) for every g in ``elements (E, element_dim)`` of the signal's group, ``(E, 1, 1, G, 1, 1)``."""
        assert self.density is not None  # the default only follows the rules of dataclasses
        back = self.group.inverse(elements.to(self.elements))
        return self.density(self.group.product(back[:, None], self.elements[None]))[:, None, None, :, None, None]


def whole_group(module: nn.Module, inputs: tuple, output: Any) -> Any:
    """The output of a partial group layer as a function p(u) F(u) on the whole group; any other output as it is.

    A partial layer answers at elements drawn from its learned distribution p. Where they do not cover the group,
    its output is compared as a function on the group: the full convolution F, asked for on a Haar grid, times
    the density p (derived here; the same quantity as in :func:`workbench.measure.partial_layer_error`).
    """
    distribution = getattr(module, "distribution", None)
    if not isinstance(output, GroupSignal) or output.uniform or distribution is None:
        return output
    group: Any = output.group
    count = group.order or FINER * int(getattr(module, "n", 8))
    return requested_on_grid(module, inputs, group.grid(count))


def requested_on_grid(layer: nn.Module, inputs: tuple, grid: Tensor) -> PartialSignal:
    """The layer's output at every element of ``grid``, a whole Haar grid, with the density it learned."""
    owner: Any = layer
    with owner.requested(grid):
        full = owner(*inputs)
    return PartialSignal(full.values, full.elements, full.group, density=owner.distribution.density)


def copied(value: Output) -> Output:
    """A copy that a later in-place operation of the model cannot change."""
    if isinstance(value, GroupSignal):
        return value.with_values(value.values.detach().clone())
    if isinstance(value, Moved):
        return replace(value, values=value.values.detach().clone())
    return value.detach().clone()


def report(progress: Callable[[float], None] | None, cancel: Any, fraction: float) -> None:
    """Tell the part done in [0, 1], then stop if asked to.

    ``cancel`` is a ``threading.Event`` or a function that says whether to stop.

    Raises:
        Cancelled: when asked to stop.
    """
    if progress is not None:
        progress(fraction)
    if cancel is not None and (cancel.is_set() if hasattr(cancel, "is_set") else cancel()):
        raise Cancelled(f"the measure was cancelled with {fraction:.0%} done; call it again to start over.")
