"""A norm in evaluation mode scales each channel: its error follows from that of its input, without its maps."""

from typing import Any

import torch
from torch import Tensor, nn

from workbench.measure.known import Marked, scaling
from workbench.measure.sums import Scale, Sums, Totals


class Followed:
    """The last comparison, and the norm that took what was compared.

    Args:
        norms: those of :func:`workbench.measure.known.scaling_norms`, by name.
    """

    def __init__(self, norms: dict[str, nn.Module]) -> None:
        self.norms = norms
        self.scales = {id(norm): Scale(*map(torch.from_numpy, scaling(norm))) for norm in norms.values()}
        self.forget()

    def forget(self) -> None:
        self.last: tuple[Marked, Sums] | None = None
        self.scaled: tuple[Marked, Totals] | None = None

    def keep(self, value: Tensor, sums: Sums) -> None:
        """What was compared last, and what came out."""
        mark = Marked.of(value) if self.norms else None
        self.last, self.scaled = None if mark is None else (mark, sums), None

    def hook(self, name: str, norm: nn.Module, inputs: tuple, output: Any) -> None:
        """Of a norm, called before its output is compared."""
        if self.last is None or norm.training or not self.last[0].is_still(inputs[0]):
            return
        scale, sums, mark = self.scales[id(norm)], self.last[1], Marked.of(output)
        channels = len(scale.factor)
        if mark is not None and inputs[0].shape[1] == channels and sums.still.shape[-1] % channels == 0:
            followed = sums.scaled(scale)
            self.scaled = None if followed is None else (mark, followed)

    def totals_of(self, value: Tensor) -> Totals | None:
        """The totals of an output, where they follow."""
        if self.scaled is None or not self.scaled[0].is_still(value):
            return None
        return self.scaled[1]
