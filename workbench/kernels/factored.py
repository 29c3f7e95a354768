r"""Group kernels as products of smaller ones: one over the group, one over the plane, some over channels alone.

Knigge, Romero & Bekkers 2022 (arXiv 2110.13059). With input channel i, output channel j:

    separable      k_ij(h) k_j(x)             mixes channels and elements at a point, then filters each output by itself
    gseparable     k_ij(h) k_ij(x)            one convolution by the product
    dseparable     k_ij k_j(x, h)             mixes channels, then convolves each channel over the group
    dgseparable    k_ij k_j(h) k_j(x)         mixes channels, then elements, then filters
    separable+2d   k_ij(angle) k_j(s) k_j(x)  as separable, with h = (angle, s) taken apart as well
    gseparable+2d  k_ij(angle) k_ij(s) k_ij(x)

Each factor is a kernel of its own at h^-1 h' or h^-1 x, so the product is as equivariant as any. A factor over x
depends on the output element alone; it leaves the sum over inputs, and mixing first is the same convolution.
"""

from __future__ import annotations

import math
from difflib import get_close_matches

import torch
from torch import Tensor, nn

from workbench.groups import SO2, Group, RotationScale, Scale
from workbench.groups.elements import split
from workbench.kernels.bank import KernelBank
from workbench.kernels.calibration import calibrate
from workbench.kernels.networks import KernelSpec
from workbench.kernels.stretched import Support

FACTORISATIONS = ("separable", "gseparable", "dseparable", "dgseparable")
OF_SIMILARITIES = ("separable+2d", "gseparable+2d")


class FactoredKernels(nn.Module):
    """The kernels of one layer, factored; a sibling of :class:`KernelBank`.

    Args:
        in_channels, out_channels, kernel_size, group, spec, support, gain: as for :class:`KernelBank`; without a gain
            every factor is calibrated, and their product.
        factorisation: one of :data:`FACTORISATIONS`, or of :data:`OF_SIMILARITIES` on RotationScale.

    >>> from workbench.groups import SO2
    >>> kernels = FactoredKernels(2, 3, 5, SO2(), KernelSpec(hidden=8), "separable")
    >>> grid = SO2().grid(8)
    >>> tuple(kernels(grid, grid).shape), [tuple(step.shape) for step in kernels.steps(grid, grid)]
    ((3, 8, 2, 8, 25), [(24, 16, 1, 1), (24, 1, 5, 5)])
    """

    gain: Tensor
    over_group: KernelBank | None
    over_turns: KernelBank | None
    over_scales: KernelBank | None
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
        gain: float | None = None,
    ):
        super().__init__()
        _check(factorisation, group)
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.group, self.spec, self.factorisation, self.support = group, spec, factorisation, support
        own, every = factorisation.startswith("d"), factorisation.startswith("g")
        self.channels: nn.Parameter | None = None
        self.over_group = self.over_turns = self.over_scales = None
        if own:
            reach = math.sqrt(3 / in_channels)
            self.channels = nn.Parameter(torch.empty(out_channels, in_channels).uniform_(-reach, reach))
        into, filters = 1 if own else in_channels, in_channels if every else 1
        if factorisation == "dseparable":
            self.over_plane = KernelBank(1, out_channels, kernel_size, group, spec, False, support, gain)
        else:
            if isinstance(group, RotationScale) and factorisation in OF_SIMILARITIES:
                assert support is not None  # as on every group that stretches
                scales = Scale(2, group.largest)
                reached = Support(scales, support.reach, support.slope)
                self.over_turns = KernelBank(in_channels, out_channels, 1, SO2(), spec, False, gain=gain)
                self.over_scales = KernelBank(filters, out_channels, 1, scales, spec, False, reached, gain)
            else:
                self.over_group = KernelBank(into, out_channels, 1, group, spec, False, support, gain)
            self.over_plane = KernelBank(filters, out_channels, kernel_size, group, spec, True, support, gain)
        self.register_buffer("gain", torch.ones(()))
        self.gain.fill_(calibrate(self) if gain is None else gain)

    @property
    def weight(self) -> Tensor:
        """A parameter, which tells dtype and device."""
        return self.over_plane.weight

    def lift(self, in_channels: int, out_channels: int, kernel_size: int) -> KernelBank:
        """Kernels of a lifting layer of the same kind."""
        return self.over_plane.lift(in_channels, out_channels, kernel_size)

    def _apart(self, outputs: Tensor, inputs: Tensor, uniform: bool, few: int | None = None) -> tuple[Tensor, Tensor]:
        """Kernels over rotations ``(C_out, n_out, C_in, n_in)`` and over scales ``(C_out, M_out, C_in or 1, M_in)``.

        Of lists that do not hold each angle with each factor, n = M is their length.
        """
        assert self.over_turns is not None
        assert self.over_scales is not None
        of_outputs, of_inputs = split(self.group, outputs), split(self.group, inputs)
        whole = of_outputs is not None and of_inputs is not None
        angles, factors = of_outputs if whole else (outputs[:, :1], outputs[:, 1:])  # type: ignore[misc]
        from_angles, from_factors = of_inputs if whole else (inputs[:, :1], inputs[:, 1:])  # type: ignore[misc]
        turns = self.over_turns.values(angles, from_angles, uniform and whole, None, few)
        scales = self.over_scales.values(factors, from_factors, False, None, few)
        return turns.squeeze(-1), scales.squeeze(-1) * (1 if whole else len(inputs))

    def _over_both(self, outputs: Tensor, inputs: Tensor, uniform: bool, few: int | None) -> Tensor:
        """The product of :meth:`_apart`, ``(C_out, S_out, C_in, S_in, 1)``."""
        turns, scales = self._apart(outputs, inputs, uniform, few)
        if turns.shape[1] == len(outputs) and scales.shape[1] == len(outputs):
            return (turns * scales).unsqueeze(-1)
        both = turns[:, None, :, :, None, :] * scales[:, :, None, :, :, None]
        return both.flatten(4, 5).flatten(1, 2).unsqueeze(-1)

    def factors(
        self, outputs: Tensor, inputs: Tensor, uniform: bool, taps: tuple[int, ...] | None, few: int | None = None
    ) -> list[Tensor]:
        """Every factor as ``(C_out, S_out, C_in, S_in, T)``, with 1 for what it does not depend on."""
        seen = None if self.over_plane.lifting else inputs
        found = [self.over_plane.values(outputs, seen, uniform, taps, few)]
        if self.over_turns is not None:
            found.insert(0, self._over_both(outputs, inputs, uniform, few))
        elif self.over_group is not None:
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
        if self.factorisation.startswith("gseparable"):
            product = self.values(outputs, inputs, uniform)
            product = product if share is None else product * share[:, None]
            return (product.reshape(rows, -1, k, k),)
        *mixing, filters = self.factors(outputs, inputs, uniform, None)
        if share is not None and not self.over_plane.lifting:
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


def _check(factorisation: str, group: Group) -> None:
    if factorisation in OF_SIMILARITIES and not isinstance(group, RotationScale):
        raise ValueError(
            f"factorisation = {factorisation!r} was given on {group}; expected RotationScale, whose elements are a "
            f"rotation and a scaling; use {factorisation.removesuffix('+2d')!r}, or group='RotationScale'."
        )
    if factorisation not in FACTORISATIONS + OF_SIMILARITIES:
        known = (*FACTORISATIONS, *OF_SIMILARITIES, "nonseparable")
        nearest = (*get_close_matches(str(factorisation), known, n=1), "separable")[0]
        raise ValueError(
            f"factorisation = {factorisation!r} was given; expected one of {', '.join(FACTORISATIONS)}, on "
            f"RotationScale also {' or '.join(OF_SIMILARITIES)}; or nonseparable, the kernel of a GroupConv; use "
            f"{nearest!r}."
        )


def multiply_adds(
    factorisation: str, in_channels: int, out_channels: int, inputs: int, outputs: int, taps: int
) -> tuple[int, int]:
    """Of a layer with so many input and output elements: per pixel before filtering, and per pixel of the answer.

    ``"nonseparable"`` counts as well; the others are those of :class:`FactoredKernels`.

    >>> sum(multiply_adds("nonseparable", 8, 8, 8, 8, 25)), sum(multiply_adds("separable", 8, 8, 8, 8, 25))
    (102400, 5696)
    """
    pairs, channels = inputs * outputs, in_channels * out_channels
    if factorisation == "nonseparable" or factorisation.startswith("g"):
        return 0, channels * pairs * taps
    if factorisation == "dseparable":
        return channels * inputs, out_channels * pairs * taps
    if factorisation == "dgseparable":
        return channels * inputs + out_channels * pairs, out_channels * outputs * taps
    return channels * pairs, out_channels * outputs * taps
