"""Copies of networks that hold e3nn's products, made without disturbing the other threads of a process."""

from __future__ import annotations

import copy
import sys
from typing import Any, TypeVar

from torch import nn

M = TypeVar("M")


def copied(module: M) -> M:
    """A deep copy of a network, or of what stands in the place of one.

    ``copy.deepcopy`` of an e3nn 0.6 product traces its compiled parts again, and while `torch.fx` traces, every call of
    every module in the process goes through the tracer: a network that another thread computes just then fails. Here
    the compiled parts are copied as they are.

    >>> from e3nn import o3
    >>> product = o3.FullTensorProduct("1o", "1o")
    >>> twin = copied(product)
    >>> twin is product, twin.irreps_out
    (False, 1x0e+1x1e+1x2e)
    """
    memo: dict[int, Any] = {}
    if isinstance(module, nn.Module) and "e3nn" in sys.modules:
        from e3nn.util.codegen import CodeGenMixin

        for part in reversed(list(module.modules())):  # the inner ones first
            if isinstance(part, CodeGenMixin):
                kind: Any = type(part)
                twin = kind.__new__(kind)
                memo[id(part)] = twin
                twin.__dict__.update(copy.deepcopy(part.__dict__, memo))
    return copy.deepcopy(module, memo)
