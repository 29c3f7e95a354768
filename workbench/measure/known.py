"""What follows from the output that was compared last: the same one again, or one that a norm scaled."""

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from workbench.groups import GroupSignal
from workbench.measure.behaviour import Moved
from workbench.measure.compare import tensor_of
from workbench.measure.probe import Output
from workbench.measure.state import module_of

_CANCELLED = 1e-2  # of a sum of squares: less than this share left, and its rounding would be seen


class Last:
    """The last output's sums of c^2, t^2 and t (:meth:`Generator.sums`), of each channel where these are known.

    A norm in evaluation mode makes a f + b of each channel f. An infinitesimal element does not change b, unless zeros
    lie outside the frame: c becomes a c, and t becomes a t + 2 b. The output itself is not kept alive.
    """

    def __init__(self, norms: dict[str, nn.Module]) -> None:
        self.factors = {id(norm): _powers(norm) for norm in norms.values()}
        self.seen: set[str] = set()  # outputs compared at least once, and those among them that a norm took
        self.taken: set[str] = set()
        self.forget()

    def forget(self) -> None:
        self.last: Marked | None = None
        self.scaled: tuple[Marked, int] | None = None

    def may_be_scaled(self, name: str) -> bool:
        """Whether the sums of each channel of this output may be of use."""
        return bool(self.factors) and (name in self.taken or name not in self.seen)

    def keep(self, name: str, value: Output, sums: np.ndarray, rows: np.ndarray) -> None:
        """The output that was compared, its sums of each channel, ``(3, B, C)``, and over all channels, ``(2, B)``."""
        self.seen.add(name)
        self.name = name
        self.last = Marked.of(tensor_of(value))
        self.kind, self.sums, self.rows, self.scaled = _kind(value), sums, rows, None

    def rows_of(self, value: Output, entries: float) -> np.ndarray | None:
        """Sums of c^2 and t^2, ``(2, B)``, where they follow; ``entries`` of this output are compared per sample."""
        if self.last is None or _kind(value) != self.kind:
            return None
        if self.last.is_still(tensor_of(value)):
            return self.rows
        if self.scaled is None or not self.scaled[0].is_still(tensor_of(value)):
            return None
        factor, square, mixed, offsets = self.factors[self.scaled[1]]
        change, squares, plain = self.sums
        scaled = squares @ square + offsets * (entries / len(factor))
        result = scaled + plain @ mixed
        if (result < _CANCELLED * scaled).any():
            return None
        return np.stack([change @ square, result])

    def hook(self, name: str, norm: nn.Module, inputs: tuple, output: Any) -> None:
        """Of a norm: remember that it scaled the last output."""
        if self.last is None or norm.training or not self.last.is_still(inputs[0]):
            return
        self.taken.add(self.name)
        mark = Marked.of(output)
        if mark is not None and len(self.sums) == 3 and self.sums.shape[-1] == len(self.factors[id(norm)][0]):
            self.scaled = mark, id(norm)


class Marked:
    """One tensor with the numbers that it has now; not kept alive."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor, self.version = weakref.ref(tensor), tensor._version

    @classmethod
    def of(cls, tensor: Tensor) -> "Marked | None":
        return None if tensor.is_inference() else cls(tensor)  # whether such a one was changed since cannot be told

    def is_still(self, tensor: Any) -> bool:
        known = self.tensor()
        return known is not None and tensor is known and known._version == self.version


def _kind(value: Output) -> tuple:
    if isinstance(value, Moved):
        return Moved, value.law.kind
    return type(value), id(value.elements) if isinstance(value, GroupSignal) else None


def _powers(norm: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """a, a^2 and 4 a b of each channel, ``(C,)``, and the sum of 4 b^2."""
    factor, offset = scaling(norm)
    return factor, factor**2, 4 * factor * offset, 4 * float(offset @ offset)


def scaling(norm: Any) -> tuple[np.ndarray, np.ndarray]:
    """a and b, ``(C,)`` each, with which a norm in evaluation mode makes a f + b of each channel f."""
    known = {name: getattr(norm, name) for name in ("running_mean", "running_var", "weight", "bias")}
    mean, variance, weight, bias = (None if t is None else t.detach().double().cpu().numpy() for t in known.values())
    factor = (1.0 if weight is None else weight) / np.sqrt(variance + norm.eps)
    return factor, (0.0 if bias is None else bias) - mean * factor


def scaling_norms(model: Callable) -> dict[str, nn.Module]:
    """Norms that do nothing else in evaluation mode: of exactly these classes, and nothing hooked to them."""
    module = module_of(model)
    modules: dict[str, Any] = {} if module is None else dict(module.named_modules())
    return {
        name: norm
        for name, norm in modules.items()
        if type(norm) in (nn.BatchNorm2d, nn.BatchNorm3d)
        and norm.running_var is not None
        and not norm._forward_hooks
        and "forward" not in vars(norm)
    }
