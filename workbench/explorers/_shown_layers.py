"""Layers that are looked at, not trained: their gain does not show, and calibrating it would take most of the time."""

from __future__ import annotations

from workbench.kernels import FactoredKernels, KernelBank, KernelSpec
from workbench.layers import LiftingConv, SeparableConv

WHOLE = "nonseparable"
FACTORS = {
    "none: one kernel for all": WHOLE,
    "group x plane": "separable",
    "group x plane, every channel": "gseparable",
    "channels x both": "dseparable",
    "channels x group x plane": "dgseparable",
}
"""Factorisations of any group, in words for a menu."""


class ShownLifting(LiftingConv):
    """A lifting with a gain of 1."""

    def _kernels(self, spec: KernelSpec) -> KernelBank:
        sizes = self.in_channels, self.out_channels, self.kernel_size
        return KernelBank(*sizes, self.group, spec, True, self.support, gain=1.0)


class ShownConv(SeparableConv):
    """A group convolution, factored or whole, with gains of 1."""

    def _kernels(self, spec: KernelSpec) -> FactoredKernels | KernelBank:
        sizes = self.in_channels, self.out_channels, self.kernel_size
        if self.factorisation == WHOLE:
            return KernelBank(*sizes, self.group, spec, False, self.support, gain=1.0)
        return FactoredKernels(*sizes, self.group, spec, self.factorisation, self.support, gain=1.0)
