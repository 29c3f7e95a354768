"""Group convolutions whose kernels are products: mixing over the group apart from filtering over the plane.

Knigge, Romero & Bekkers 2022 (arXiv 2110.13059). Per output pixel a full group convolution multiplies
C_out C_in S_out S_in k^2 times, a separable one C_out C_in S_out S_in + C_out S_out k^2 times.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from workbench.kernels import FactoredKernels, KernelBank, KernelSpec
from workbench.kernels.factored import multiply_adds
from workbench.layers.apply import Weights
from workbench.layers.choice import Way, choose
from workbench.layers.convolution import GroupConv
from workbench.layers.spectral import Window


class SeparableConv(GroupConv):
    """From a :class:`GroupSignal` ``(B, C_in, G, H, W)`` to one ``(B, C_out, G', H', W')``, with a factored kernel.

    Args:
        factorisation: ``"separable"`` k_ij(h) k_j(x), ``"gseparable"`` k_ij(h) k_ij(x), ``"dseparable"``
            k_ij k_j(x, h), or ``"dgseparable"`` k_ij k_j(h) k_j(x); on RotationScale also ``"separable+2d"``
            k_ij(angle) k_j(s) k_j(x) and ``"gseparable+2d"`` k_ij(angle) k_ij(s) k_ij(x); see
            :mod:`workbench.kernels.factored`. ``"nonseparable"`` is a :class:`GroupConv` by another name.
        others: as in :class:`GroupConv`.

    Raises:
        ValueError: for another factorisation, or as :class:`GroupConv`.

    >>> import torch
    >>> from workbench.layers import LiftingConv, SeparableConv
    >>> net = torch.nn.Sequential(LiftingConv(1, 4, 5), SeparableConv(4, 6, 5))
    >>> tuple(net(torch.zeros(2, 1, 16, 16)).values.shape)
    (2, 6, 8, 16, 16)
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, factorisation: str = "separable", **options
    ):
        self.factorisation = factorisation  # the kernels are made while the layer is
        super().__init__(in_channels, out_channels, kernel_size, **options)

    @property
    def _dense(self) -> bool:
        return self.factorisation == "nonseparable"

    def _kernels(self, spec: KernelSpec) -> FactoredKernels | KernelBank:
        if self._dense:
            return super()._kernels(spec)
        sizes = self.in_channels, self.out_channels, self.kernel_size
        return FactoredKernels(*sizes, self.group, spec, self.factorisation, self.support)

    def _way(self, window: Window, x: Tensor, n_out: int, fresh: bool) -> Way:
        if self._dense or self.factorisation.startswith("gseparable"):
            return super()._way(window, x, n_out, fresh)
        steps = self.multiply_adds(x.shape[1] // self.in_channels, n_out, self.kernel_size**2)
        return choose(window, x, self.out_channels * n_out, fresh, steps)

    def _prepared(
        self, outputs: Tensor, inputs: Tensor | None, uniform: bool, share: Tensor | None, way: Way, window: Window
    ) -> Weights:
        if way != "steps":
            return super()._prepared(outputs, inputs, uniform, share, way, window)
        assert inputs is not None  # a group convolution has input elements
        return self.kernels.steps(outputs, inputs, uniform, share)

    def _applied(self, x: Tensor, way: Way, weights: Weights, bias: Tensor | None, window: Window) -> Tensor:
        if way != "steps":
            return super()._applied(x, way, weights, bias, window)
        *mixing, filters = weights
        if x.device.type == "cpu" and len(weights) > 1 and torch.is_grad_enabled():
            # half the time of a depthwise convolution's step, but no less than its evaluation
            x = x.contiguous(memory_format=torch.channels_last)
        for number, weight in enumerate(mixing):
            if number == 0 and self.kernels.channels is not None:
                x = _of_channels(x, weight)
            else:
                x = functional.conv2d(x, weight, groups=x.shape[1] // weight.shape[1])
        padding = window.padding
        if window.mode == "circular" and padding:
            x, padding = functional.pad(x, [padding] * 4, mode="circular"), 0
        groups = x.shape[1] // filters.shape[1]
        out = functional.conv2d(x, filters, bias, stride=window.stride, padding=padding, groups=groups)
        return out.contiguous()

    def _made_from(self) -> list[Tensor]:
        if self._dense:
            return super()._made_from()
        found = [*self.kernels.parameters(), self.kernels.gain]
        return found if self.bias is None else [*found, self.bias]

    def multiply_adds(self, inputs: int, outputs: int, taps: int) -> tuple[int, int]:
        """Per pixel before filtering and per pixel of the answer, for so many elements and taps of the filters.

        >>> SeparableConv(8, 8, 5).multiply_adds(8, 8, 25)
        (4096, 1600)
        """
        return multiply_adds(self.factorisation, self.in_channels, self.out_channels, inputs, outputs, taps)

    def extra_repr(self) -> str:
        """As of any group convolution, and the factorisation."""
        return f"{super().extra_repr()}, {self.factorisation}"


def _of_channels(x: Tensor, weight: Tensor) -> Tensor:
    """Channels mixed alike at every element: ``(B, C_in S, H, W)`` to ``(B, C_out S, H, W)``."""
    count = x.shape[1] // weight.shape[1]
    apart = x.unflatten(1, (-1, count))
    return torch.einsum("oi,bishw->boshw", weight.flatten(1), apart).flatten(1, 2)
