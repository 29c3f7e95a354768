"""Two published faults of kernels over rotations with scalings, to be put into layers that should then fail.

In the released code of Knigge, Romero & Bekkers 2022 (arXiv 2110.13059) five of the seven kernels of Sim(2) do not turn
with the picture. The square of taps is flattened row by row in the kernels over plane and group together, and column by
column in the lifting, so that the one turns against the other. And the window over scales reads the relative elements
``(S_out, S_in, 2)`` as if they were ``(S_out, 2, S_in)``, so that what weighs an element is mostly another one's angle.
"""

from __future__ import annotations

from torch import Tensor

from workbench.kernels.bank import KernelBank
from workbench.kernels.factored import FactoredKernels
from workbench.kernels.stretched import WINDOW_SLOPE, Support, soft_edge

TRANSPOSED, VIEWED = "transposed", "viewed"
RELEASED = {
    "nonseparable": TRANSPOSED,
    "separable": VIEWED,
    "gseparable": VIEWED,
    "dseparable": TRANSPOSED,
    "dgseparable": VIEWED,
}
"""Which fault the released code has in which factorisation of Sim(2); the two +2d ones are right."""


class TransposedKernels(KernelBank):
    """Kernels whose square of taps is flattened column by column."""

    def _seen(self, outputs: Tensor) -> Tensor | None:
        taps = super()._seen(outputs)
        return None if taps is None else -taps.flip(-1)


class ViewedSupport(Support):
    """A window over relative elements ``(S_out, S_in, 2)`` read as ``(S_out, 2, S_in)``."""

    def window(self, relative: Tensor) -> Tensor:
        """The second row is taken for the logarithms of scales, as released."""
        outputs, inputs, chart_dim = relative.shape
        apart = relative.reshape(outputs, chart_dim, inputs)[:, -1].abs()
        return soft_edge(apart / self.reach, WINDOW_SLOPE)


def put_fault(kernels: KernelBank | FactoredKernels, fault: str) -> bool:
    """Put one of the faults into the kernels of a group convolution before their first use, in place.

    Turned copies of kernels are looked up where the elements are even, which hides both faults: give the layer a
    signal whose ``uniform`` is false.

    Args:
        kernels: of a :class:`workbench.layers.GroupConv` or :class:`workbench.layers.SeparableConv`.
        fault: :data:`TRANSPOSED` or :data:`VIEWED`.

    Returns:
        Whether there was a place for it: a kernel without a window over angles and scales together has none for
        ``"viewed"``.

    Raises:
        ValueError: for another fault.

    >>> from workbench.groups import RotationScale
    >>> from workbench.kernels import KernelSpec
    >>> from workbench.kernels.stretched import Support
    >>> group = RotationScale(1.74)
    >>> parts = FactoredKernels(1, 1, 5, group, KernelSpec(hidden=8), "separable+2d", Support(group, 0.5), gain=1.0)
    >>> put_fault(parts, "transposed"), put_fault(parts, "viewed")
    (True, False)
    """
    if fault not in (TRANSPOSED, VIEWED):
        raise ValueError(f"put_fault: {fault!r} was given; expected {TRANSPOSED!r} or {VIEWED!r}.")
    banks = [one for one in kernels.modules() if isinstance(one, KernelBank)]
    if fault == TRANSPOSED:
        plane = kernels if isinstance(kernels, KernelBank) else kernels.over_plane
        plane.__class__ = TransposedKernels
        return True
    found = [bank for bank in banks if bank.support is not None and not bank.lifting and bank.group == kernels.group]
    for bank in found:
        assert bank.support is not None
        bank.support = ViewedSupport(bank.support.group, bank.support.reach, bank.support.slope)
    return bool(found)
