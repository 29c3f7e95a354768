"""Giving layers other outputs than their own, for as long as a block lasts."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

from workbench.groups import GroupSignal
from workbench.measure.probe import Output

Answer = Callable[[str, nn.Module, tuple, dict, Callable], Any]


@contextmanager
def answering(layers: dict[str, nn.Module], answer: Answer) -> Iterator[None]:
    """Within the block ``answer(name, module, inputs, options, forward)`` decides what each layer puts out.

    A second run of a module in the block is called ``"name (call 2)"``. Other threads get the layer itself.
    """
    here, calls = threading.get_ident(), dict.fromkeys(layers, 0)

    def instead(name: str, module: nn.Module) -> Callable:
        forward = module.forward

        def run(*inputs: Any, **options: Any) -> Any:
            if threading.get_ident() != here:
                return forward(*inputs, **options)
            calls[name] += 1
            called = name if calls[name] == 1 else f"{name} (call {calls[name]})"
            return answer(called, module, inputs, options, forward)

        return run

    with ExitStack() as stack:
        for name, module in layers.items():
            own = module.__dict__.get("forward")
            stack.callback(_give_back, module, own)
            module.__dict__["forward"] = instead(name, module)
        yield


def _give_back(module: nn.Module, forward: Callable | None) -> None:
    module.__dict__.pop("forward", None)
    if forward is not None:
        module.__dict__["forward"] = forward


def carried(ideal: Output, actual: Any) -> Output:
    """The ideal numbers, on the way of the gradients that go through the actual ones."""
    if isinstance(ideal, GroupSignal):
        return ideal.with_values(carried(ideal.values, actual.values))  # type: ignore[arg-type]
    return actual + (ideal - actual).detach()


def on_graph(value: Any) -> bool:
    """Whether an output hangs on a graph of gradients."""
    return bool(getattr(value.values if isinstance(value, GroupSignal) else value, "requires_grad", False))
