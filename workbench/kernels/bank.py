"""All kernels of a layer in one evaluation of its coordinate network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from workbench.groups import O2, Group
from workbench.groups.elements import has_circle
from workbench.kernels.calibration import calibrate
from workbench.kernels.coordinates import Coordinates
from workbench.kernels.fused import Places, Readout, SirenKernels
from workbench.kernels.geometry import Plan, disc_mask, lookup, plan, planned, tap_offsets, turns
from workbench.kernels.networks import KernelSpec, Siren, make_network
from workbench.kernels.stretched import Support, turned_places


class KernelBank(nn.Module):
    r"""Kernels k(h^{-1} x, h^{-1} \tilde h) for all output elements h and input elements \tilde h.

    Args:
        in_channels, out_channels: C_in and C_out.
        kernel_size: k taps a side; the support is a disc.
        group: the planar group H; the layer lives on R^2 x| H.
        spec: the coordinate network.
        lifting: the input has no group axis.
        support: how far kernels reach on a group that stretches, ``None`` on one that keeps lengths.
        gain: one factor of all kernels; calibrated where not given, which takes most of the time to make a bank.

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
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        group: Group,
        spec: KernelSpec,
        lifting: bool,
        support: Support | None = None,
        gain: float | None = None,
    ):
        super().__init__()
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.group, self.spec, self.lifting, self.support = group, spec, lifting, support
        inside = disc_mask(kernel_size)
        half = max((kernel_size - 1) / 2, 1.0)
        self.register_buffer("taps", tap_offsets(kernel_size)[inside] / half, persistent=False)
        self.network = make_network(spec, self.coordinate_dim, out_channels * in_channels)
        self.register_buffer("gain", torch.ones(()))
        self._kept: tuple | None = None
        self._kept_plan: tuple | None = None
        self._kept_places: dict[tuple[int, ...] | None, tuple[Tensor, tuple[int, int, int]]] = {}
        self.gain.fill_(calibrate(self) if gain is None else gain)

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
        return KernelBank(in_channels, out_channels, kernel_size, self.group, self.spec, True, self.support)

    @property
    def _channels(self) -> tuple[int, int]:
        return self.out_channels, self.in_channels

    @property
    def coordinate_dim(self) -> int:
        """Numbers that name one point: (x, y) unless k = 1, the relative angle, a mirror or what else there is."""
        spatial = 0 if self.kernel_size == 1 and not self.lifting else 2
        if self.lifting:
            return spatial
        angle = (2 if self.spec.encoding == "periodic" else 1) if has_circle(self.group) else 0
        return spatial + angle + (isinstance(self.group, O2) if self.support is None else self.support.open_dim)

    def coordinates(self, outputs: Tensor, inputs: Tensor | None) -> Tensor:
        """Points ``(S_out, S_in, T, coordinate_dim)`` at which the network is evaluated."""
        if self.support is not None:
            return self.support.points(outputs, inputs, self._seen(outputs), self._raw)[0]
        return Coordinates.apply(outputs, inputs, self._seen(outputs), self._raw)

    def _seen(self, outputs: Tensor) -> Tensor | None:
        """Taps in half kernel widths, ``None`` for a kernel over the group alone."""
        return self.taps.to(outputs.dtype) if self.kernel_size > 1 or self.lifting else None

    @property
    def _raw(self) -> bool:
        return self.spec.encoding == "raw"

    def _plan(self, n_out: int, n_in: int, uniform: bool) -> Plan:
        reuse = min(turns(self.group, n_out), 4 if self.lifting else turns(self.group, n_in)) if uniform else 1
        return plan(self.group, n_out, n_in, self.kernel_size, reuse)

    def _plan_of_list(self, outputs: Tensor, inputs: Tensor | None, uniform: bool) -> Plan:
        """The plan where the elements themselves, not their number, tell what a turn does with them."""
        lists, versions = (outputs,) if inputs is None else (outputs, inputs), _versions(outputs, inputs)
        if self._kept_plan is not None:
            of_outputs, of_inputs, *of_rest, found = self._kept_plan
            if of_outputs is outputs and of_inputs is inputs and of_rest == [uniform, versions]:
                return found
        orbits = [(tuple(range(len(one))),) for one in lists]
        for step in (1, 2) if uniform and has_circle(self.group) else ():
            moved = [tuple(turned_places(self.group, one, q) for q in range(0, 4, step)) for one in lists]
            if all(places is not None for orbit in moved for places in orbit):
                orbits = moved  # type: ignore[assignment]
                break
        found = planned(orbits[0], orbits[1] if len(lists) > 1 else None, self.kernel_size)
        self._kept_plan = outputs, inputs, uniform, versions, found
        return found

    def _points(
        self, outputs: Tensor, inputs: Tensor | None, distinct: tuple[int, ...]
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Coordinates ``(P, coordinate_dim)`` of the distinct kernels; kept while a layer stays on one grid.

        On a group that stretches with the weights ``(P, 1)`` of their values, without the points whose weight is 0, and
        the place of every point in the rest, P for those left out.
        """
        versions = _versions(outputs, inputs)
        if self._kept is not None:
            of_outputs, of_inputs, of_distinct, of_versions, *found = self._kept
            if (of_outputs is outputs and of_inputs is inputs) and (
                of_distinct is distinct and of_versions == versions
            ):
                return found[0], found[1], found[2]
        few = outputs
        if len(distinct) < len(outputs):
            few = outputs[: len(distinct)] if distinct[-1] == len(distinct) - 1 else outputs[list(distinct)]
        if self.support is None:
            points, weights, order = self.coordinates(few, inputs).flatten(0, -2), None, None
        else:
            points, weights = self.support.points(few, inputs, self._seen(few), self._raw)
            kept = weights.flatten().nonzero().squeeze(-1)
            order = kept.new_full((weights.numel() + 1,), len(kept))
            order[kept] = torch.arange(len(kept), device=kept.device)
            points, weights = points.flatten(0, -2)[kept], weights.flatten()[kept].unsqueeze(-1)
        self._kept = None if points.requires_grad else (outputs, inputs, distinct, versions, points, weights, order)
        self._kept_places = {}
        return points, weights, order

    def _used(
        self, chosen: Plan, taps: tuple[int, ...] | None, order: Tensor | None, device: torch.device
    ) -> tuple[Tensor, tuple[int, int, int]]:
        """Which point is used at each place, and the shape of the places."""
        if order is None:
            return lookup(chosen, taps, device)
        if taps not in self._kept_places:
            source, shape = lookup(chosen, taps, device)
            self._kept_places[taps] = order[source], shape
        return self._kept_places[taps]

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
        if not (uniform and any(one is not None and one.requires_grad for one in (outputs, inputs))):
            return self._values(outputs, inputs, uniform, taps, few)
        # a looked-up turn would move with the angle of its source, a wrong slope: its value, and the slope of its own
        with torch.no_grad():
            still = None if inputs is None else inputs.detach()
            looked_up = self._values(outputs.detach(), still, True, taps, few)
        return _Valued.apply(self._values(outputs, inputs, False, taps, few), looked_up)

    def _values(
        self, outputs: Tensor, inputs: Tensor | None, uniform: bool, taps: tuple[int, ...] | None, few: int | None
    ) -> Tensor:
        n_in = 1 if inputs is None else len(inputs)
        chosen = (
            self._plan(len(outputs), n_in, uniform)
            if self.support is None
            else self._plan_of_list(outputs, inputs, uniform)
        )
        points, weights, order = self._points(outputs, inputs, chosen.outputs)
        weight, bias, channels = self.network.readout.weight, self.network.readout.bias, self._channels
        if few is not None:
            weight = weight.unflatten(0, channels)[:few, :few].flatten(0, 1)
            bias = bias.unflatten(0, channels)[:few, :few].flatten()
            channels = min(few, channels[0]), min(few, channels[1])
        scale = self.gain / n_in if weights is None else weights * (self.gain / n_in)
        places = Places(*self._used(chosen, taps, order, points.device), channels)
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


class _Valued(torch.autograd.Function):
    """The second tensor, with the gradient going to the first."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, looked_up: Tensor) -> Tensor:
        return looked_up.detach()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def _versions(*lists: Tensor | None) -> list[int | None]:
    """What changes when elements are written to."""
    return [None if one is None or one.is_inference() else one._version for one in lists]
