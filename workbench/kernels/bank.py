"""All kernels of a layer in one evaluation of its coordinate network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workbench.groups import O2, Group
from workbench.kernels.calibration import calibrate
from workbench.kernels.coordinates import Coordinates
from workbench.kernels.fused import Places, Readout, SirenKernels
from workbench.kernels.geometry import Plan, disc_mask, lookup, plan, tap_offsets, turns
from workbench.kernels.networks import KernelSpec, Siren, make_network


class KernelBank(nn.Module):
    r"""Kernels k(h^{-1} x, h^{-1} \tilde h) for all output elements h and input elements \tilde h.

    Args:
        in_channels, out_channels: C_in and C_out.
        kernel_size: k taps a side; the support is a disc.
        group: the planar group H; the layer lives on R^2 x| H.
        spec: the coordinate network.
        lifting: the input has no group axis.

    Evaluated once per distinct kernel: where both lists of elements are whole even grids and a quarter turn
    maps them to themselves, three of four orientations are turned copies, exact by construction; where only a half
    turn does, one of two.

    >>> import torch
    >>> from workbench.groups import SO2
    >>> from workbench.kernels import KernelBank, KernelSpec
    >>> bank = KernelBank(2, 3, 5, SO2(), KernelSpec(hidden=8), lifting=True)
    >>> tuple(bank(SO2().grid(8), None).shape)
    (3, 8, 2, 1, 25)
    """

    taps: Tensor
    gain: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, group: Group, spec: KernelSpec, lifting: bool
    ):
        super().__init__()
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.group, self.spec, self.lifting = group, spec, lifting
        inside = disc_mask(kernel_size)
        half = max((kernel_size - 1) / 2, 1.0)
        self.register_buffer("taps", tap_offsets(kernel_size)[inside] / half, persistent=False)
        self.network = make_network(spec, self.coordinate_dim, out_channels * in_channels)
        self.register_buffer("gain", torch.ones(()))
        self._kept: tuple | None = None
        self.gain.fill_(calibrate(self))

    few = False

    @property
    def cancels(self) -> bool:
        """Whether neighbouring angles have little in common, so that a mean over more elements is smaller."""
        return self.spec.network != "siren" or self.kernel_size == 1

    @property
    def weight(self) -> Tensor:
        """A parameter, which tells dtype and device."""
        return self.network.readout.weight

    def lift(self, in_channels: int, out_channels: int, kernel_size: int) -> KernelBank:
        """Kernels of a lifting layer of the same kind."""
        return KernelBank(in_channels, out_channels, kernel_size, self.group, self.spec, lifting=True)

    @property
    def _channels(self) -> tuple[int, int]:
        return self.out_channels, self.in_channels

    @property
    def coordinate_dim(self) -> int:
        """Numbers that name one point: (x, y) unless k = 1, the relative angle and, in O(2), the mirror."""
        spatial = 0 if self.kernel_size == 1 and not self.lifting else 2
        if self.lifting:
            return spatial
        angle = 2 if self.spec.encoding == "periodic" else 1
        return spatial + angle + isinstance(self.group, O2)

    def coordinates(self, outputs: Tensor, inputs: Tensor | None) -> Tensor:
        """Points ``(S_out, S_in, T, coordinate_dim)`` at which the network is evaluated."""
        taps = self.taps.to(outputs.dtype) if self.kernel_size > 1 or self.lifting else None
        return Coordinates.apply(outputs, inputs, taps, self.spec.encoding == "raw")

    def _plan(self, n_out: int, n_in: int, uniform: bool) -> Plan:
        reuse = min(turns(self.group, n_out), 4 if self.lifting else turns(self.group, n_in)) if uniform else 1
        return plan(self.group, n_out, n_in, self.kernel_size, reuse)

    def _points(self, outputs: Tensor, inputs: Tensor | None, distinct: tuple[int, ...]) -> Tensor:
        """Coordinates ``(P, coordinate_dim)`` of the distinct kernels; kept while a layer stays on one grid."""
        versions = [None if t is None or t.is_inference() else t._version for t in (outputs, inputs)]
        if self._kept is not None:
            of_outputs, of_inputs, of_distinct, of_versions, points = self._kept
            if (of_outputs is outputs and of_inputs is inputs) and (
                of_distinct is distinct and of_versions == versions
            ):
                return points
        few = outputs
        if len(distinct) < len(outputs):
            few = outputs[: len(distinct)] if distinct[-1] == len(distinct) - 1 else outputs[list(distinct)]
        points = self.coordinates(few, inputs).flatten(0, -2)
        self._kept = None if points.requires_grad else (outputs, inputs, distinct, versions, points)
        return points

    def values(
        self,
        outputs: Tensor,
        inputs: Tensor | None,
        uniform: bool = False,
        taps: tuple[int, ...] | None = None,
        few: int | None = None,
    ) -> Tensor:
        """Kernels ``(C_out, S_out, C_in, S_in, T)`` at all k*k taps or those named, a view of another order.

        The network runs once per distinct point; turned copies are looked up. The gain and the mean over inputs are
        included. ``few`` stops at that many channels on either side.
        """
        n_in = 1 if inputs is None else len(inputs)
        chosen = self._plan(len(outputs), n_in, uniform)
        points = self._points(outputs, inputs, chosen.outputs)
        weight, bias, channels = self.network.readout.weight, self.network.readout.bias, self._channels
        if few is not None:
            weight = weight.unflatten(0, channels)[:few, :few].flatten(0, 1)
            bias = bias.unflatten(0, channels)[:few, :few].flatten()
            channels = min(few, channels[0]), min(few, channels[1])
        scale, places = self.gain / n_in, Places(*lookup(chosen, taps, points.device), channels)
        if isinstance(self.network, Siren):
            sines = (p for layer in self.network.sines for p in (layer.weight, layer.bias))
            return SirenKernels.apply(points, weight, bias, scale, places, self.network.omega0, *sines)
        return Readout.apply(self.network.features(points), weight, bias, scale, places)

    def forward(self, outputs: Tensor, inputs: Tensor | None, uniform: bool = False) -> Tensor:
        """The bank ``(C_out, S_out, C_in, S_in, k*k)``, zero outside the disc, divided by S_in.

        Args:
            outputs: ``(S_out, element_dim)``.
            inputs: ``(S_in, element_dim)``, ``None`` for a lifting layer.
            uniform: both lists are whole even grids, so that quarter or half turns may be looked up.
        """
        return self.values(outputs, inputs, uniform).contiguous()

    def extra_repr(self) -> str:
        """Channels, size, group and network."""
        return f"{self.in_channels}->{self.out_channels}, k={self.kernel_size}, {self.group}, {self.spec.network}"
