r"""Group kernels as products of smaller ones: one over the group, one over the plane, some over channels alone.

Knigge, Romero & Bekkers 2022 (arXiv 2110.13059). With input channel i, output channel j:

    separable    k_ij(h) k_j(x)          mixes channels and elements at a point, then filters each output by itself
    gseparable   k_ij(h) k_ij(x)         one convolution by the product
    dseparable   k_ij k_j(x, h)          mixes channels, then convolves each channel over the group
    dgseparable  k_ij k_j(h) k_j(x)      mixes channels, then elements, then filters

Each factor is a kernel of its own at h^-1 h' or h^-1 x, so the product is as equivariant as any. A factor over x
depends on the output element alone; it leaves the sum over inputs, and mixing first is the same convolution.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from workbench.groups import Group
from workbench.kernels.bank import KernelBank
from workbench.kernels.calibration import calibrate
from workbench.kernels.networks import KernelSpec
from workbench.kernels.stretched import Support

FACTORISATIONS = ("separable", "gseparable", "dseparable", "dgseparable")


class FactoredKernels(nn.Module):
    """The kernels of one layer, factored; a sibling of :class:`KernelBank`.

    Args:
        in_channels, out_channels, kernel_size, group, spec, support: as for :class:`KernelBank`.
        factorisation: one of :data:`FACTORISATIONS`.

    >>> from workbench.groups import SO2
    >>> kernels = FactoredKernels(2, 3, 5, SO2(), KernelSpec(hidden=8), "separable")
    >>> grid = SO2().grid(8)
    >>> tuple(kernels(grid, grid).shape), [tuple(step.shape) for step in kernels.steps(grid, grid)]
    ((3, 8, 2, 8, 25), [(24, 16, 1, 1), (24, 1, 5, 5)])
    """

    gain: Tensor
    lifting = False
    cancels = True  # one of the factors may: a kernel of one pixel does
    few = True  # there are fewer different kernels, and one lifting says less about them

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        group: Group,
        spec: KernelSpec,
        factorisation: str,
        support: Support | None = None,
    ):
        super().__init__()
        if factorisation not in FACTORISATIONS:
            raise ValueError(
                f"factorisation = {factorisation!r} was given; expected one of {', '.join(FACTORISATIONS)}; a kernel "
                "that is not factored is that of a GroupConv."
            )
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.group, self.spec, self.factorisation, self.support = group, spec, factorisation, support
        own = factorisation.startswith("d")
        self.channels: nn.Parameter | None = None
        if own:
            reach = math.sqrt(3 / in_channels)
            self.channels = nn.Parameter(torch.empty(out_channels, in_channels).uniform_(-reach, reach))
        into = 1 if own else in_channels
        if factorisation == "dseparable":
            self.over_group = None
            self.over_plane = KernelBank(1, out_channels, kernel_size, group, spec, False, support)
        else:
            self.over_group = KernelBank(into, out_channels, 1, group, spec, False, support)
            filters = in_channels if factorisation == "gseparable" else 1
            self.over_plane = KernelBank(filters, out_channels, kernel_size, group, spec, True, support)
        self.register_buffer("gain", torch.ones(()))
        self.gain.fill_(calibrate(self))

    @property
    def weight(self) -> Tensor:
        """A parameter, which tells dtype and device."""
        return self.over_plane.weight

    def lift(self, in_channels: int, out_channels: int, kernel_size: int) -> KernelBank:
        """Kernels of a lifting layer of the same kind."""
        return self.over_plane.lift(in_channels, out_channels, kernel_size)

    def factors(
        self, outputs: Tensor, inputs: Tensor, uniform: bool, taps: tuple[int, ...] | None, few: int | None = None
    ) -> list[Tensor]:
        """Every factor as ``(C_out, S_out, C_in, S_in, T)``, with 1 for what it does not depend on."""
        found = [self.over_plane.values(outputs, None if self.over_group else inputs, uniform, taps, few)]
        if self.over_group is not None:
            found.insert(0, self.over_group.values(outputs, inputs, uniform, None, few))
        if self.channels is not None:
            found.insert(0, self.channels[:few, None, :few, None, None])
        found[0] = found[0] * self.gain
        return found

    def values(
        self,
        outputs: Tensor,
        inputs: Tensor,
        uniform: bool = False,
        taps: tuple[int, ...] | None = None,
        few: int | None = None,
    ) -> Tensor:
        """The product, as :meth:`KernelBank.values`: what one convolution would need."""
        product, *rest = self.factors(outputs, inputs, uniform, taps, few)
        for factor in rest:
            product = product * factor
        return product

    def forward(self, outputs: Tensor, inputs: Tensor, uniform: bool = False) -> Tensor:
        """The product ``(C_out, S_out, C_in, S_in, k*k)``, zero outside the disc, divided by S_in."""
        return self.values(outputs, inputs, uniform).contiguous()

    def steps(
        self, outputs: Tensor, inputs: Tensor, uniform: bool = False, share: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Weights of the convolutions that follow each other, each in the shape of torch's.

        Args:
            share: ``(S_in,)`` factors of the input elements.
        """
        k, n_out = self.kernel_size, len(outputs)
        rows = self.out_channels * n_out
        if self.factorisation == "gseparable":
            product = self.values(outputs, inputs, uniform)
            product = product if share is None else product * share[:, None]
            return (product.reshape(rows, -1, k, k),)
        *mixing, filters = self.factors(outputs, inputs, uniform, None)
        if share is not None and self.over_group is None:
            filters = filters * share[:, None]
        elif share is not None:
            mixing[-1] = mixing[-1] * share[:, None]
        weights = []
        if self.channels is not None:
            weights.append(mixing.pop(0).reshape(self.out_channels, -1, 1, 1))
        weights += [mix.reshape(rows, -1, 1, 1) for mix in mixing]
        return (*weights, filters.reshape(rows, -1, k, k))

    def extra_repr(self) -> str:
        """Channels, size, group and factorisation."""
        return f"{self.in_channels}->{self.out_channels}, k={self.kernel_size}, {self.group}, {self.factorisation}"
