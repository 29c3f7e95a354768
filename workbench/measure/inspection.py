"""Looking at every layer just before it runs: its input's size, and what the layer before it says it puts out."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from workbench.groups import Group, GroupSignal
from workbench.measure.compare import tensor_of
from workbench.measure.geometry import Finding, Size, findings
from workbench.measure.hazards import hazards, on_vectors, representation_of, shared, turns

Record = Callable[[str, nn.Module, Size | None, Finding], None]


class Inspection:
    """Tells ``record(name, module, size, finding)`` once for each finding, within :meth:`of`."""

    def __init__(self, group: Group | None, record: Record) -> None:
        self.group, self.record = group, record
        self.seen: set[tuple[str, str]] = set()
        self.made: list[tuple[Any, str]] = []  # outputs that are no scalars, and what they are
        self.thread, self.busy = threading.get_ident(), False

    @contextmanager
    def of(self, model: nn.Module) -> Iterator[None]:
        """Watch the model; layers that refuse sizes let them pass so that the rest is seen, too."""
        handles: list[Any] = []
        opened: list[Any] = []
        try:
            for name, module in model.named_modules():
                handles.append(module.register_forward_pre_hook(self._before(name)))
                handles.append(module.register_forward_hook(self._after))
                if hasattr(module, "check_size") and getattr(module, "exact", False) is True:
                    opened.append(module)
            for module in opened:
                module.exact = False
            yield
        finally:
            for module in opened:
                module.exact = True
            for handle in handles:
                handle.remove()

    def _before(self, name: str) -> Callable:
        def hook(module: nn.Module, inputs: tuple) -> None:
            if self._idle():
                self.busy = True  # a layer that is tried out may hold others
                try:
                    self._look(name, module, inputs)
                finally:
                    self.busy = False

        return hook

    def _after(self, module: nn.Module, inputs: tuple, output: Any) -> None:
        if self._idle() and (representation := representation_of(module)):
            self.made.append((output, representation))

    def _idle(self) -> bool:
        return threading.get_ident() == self.thread and not self.busy

    def _look(self, name: str, module: nn.Module, inputs: tuple) -> None:
        value = inputs[0] if inputs else None
        size = size_of(value)
        said = next((said for output, said in self.made if output is value), "")
        geometric = findings(module, size)
        found = [*(geometric if turns(self.group) else shared(geometric))]
        found += [*hazards(module, inputs, size, self.group), *on_vectors(module, said)]
        for finding in found:
            if (name, finding.reason) not in self.seen:
                self.seen.add((name, finding.reason))
                self.record(name, module, size, finding)


def size_of(value: Any) -> Size | None:
    """Height and width of a signal or a map; ``None`` for anything else."""
    if isinstance(value, GroupSignal) or (isinstance(value, Tensor) and value.ndim >= 4):
        tensor = tensor_of(value)
        return tensor.shape[-2], tensor.shape[-1]
    return None
