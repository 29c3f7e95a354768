"""All kernels of a layer in one evaluation of its coordinate network."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from workbench.groups import O2, Group
from workbench.kernels.calibration import calibrate
from workbench.kernels.geometry import Plan, disc_mask, lookup, plan, tap_offsets, turn_permutation
from workbench.kernels.networks import KernelSpec, make_network

ROUNDING = 1e-5  # radians: more than float32 loses in a difference of angles, less than any grid step


class KernelBank(nn.Module):
    r"""Kernels k(h^{-1} x, h^{-1} \tilde h) for all output elements h and input elements \tilde h.

    Args:
        in_channels, out_channels: C_in and C_out.
        kernel_size: k taps a side; the support is a disc.
        group: the planar group H; the layer lives on R^2 x| H.
        spec: the coordinate network.
        lifting: the input has no group axis.

    Evaluated once per distinct kernel: where both lists of elements are whole even grids and a quarter turn
    maps them to themselves, three of four orientations are turned copies, exact by construction.

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
        self.gain.fill_(calibrate(self))

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
        parts = []
        n_in = 1 if inputs is None else len(inputs)
        if self.kernel_size > 1 or self.lifting:
            # M = D_m R_r is orthogonal, so that M^-1 p, one p a row, is p M
            moved = self.taps.to(outputs.dtype) @ self.group.matrix(outputs)
            parts.append(moved[:, None].expand(-1, n_in, -1, -1))
        if inputs is not None:
            encoded = self._encode(outputs[:, None], inputs[None])
            parts.append(encoded[:, :, None].expand(-1, -1, len(self.taps), -1))
        return torch.cat(parts, -1)

    def _encode(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """h^-1 h', (r' - m m' r, m m'), with an angle that no wrapping has rounded."""
        mirror = outputs[..., 1:] * inputs[..., 1:]
        angle = inputs[..., :1] - (outputs[..., :1] * mirror if mirror.shape[-1] else outputs[..., :1])
        if self.spec.encoding == "periodic":
            return torch.cat([torch.cos(angle), torch.sin(angle), mirror], -1)
        # an angle of 0 that rounding made -1e-7 belongs to this side of the jump, not to 2 pi
        encoded = (torch.remainder(angle + ROUNDING, 2 * math.pi) - ROUNDING) / math.pi - 1
        return torch.cat([encoded, mirror], -1)

    def _plan(self, n_out: int, n_in: int, uniform: bool) -> Plan:
        reuse = uniform and turn_permutation(self.group, n_out, 1) is not None
        if reuse and not self.lifting:
            reuse = turn_permutation(self.group, n_in, 1) is not None
        return plan(self.group, n_out, n_in, self.kernel_size, reuse)

    def features(
        self, outputs: Tensor, inputs: Tensor | None, uniform: bool = False, taps: tuple[int, ...] | None = None
    ) -> Tensor:
        """What the read-out sees at all k*k taps or those named, ``(S_out, S_in, T, hidden + 1)``.

        The last column multiplies the read-out's bias, so that a tap outside the disc is a row of zeros. The gain
        and the mean over inputs are included. The network runs once per distinct point; turned copies are looked up.
        """
        n_in = 1 if inputs is None else len(inputs)
        chosen = self._plan(len(outputs), n_in, uniform)
        few = chosen.outputs
        if len(few) < len(outputs):
            outputs = outputs[: len(few)] if few[-1] == len(few) - 1 else outputs[list(few)]
        rows = _Rows.apply(self.network.features(self.coordinates(outputs, inputs).flatten(0, -2)), self.gain / n_in)
        index, shape = lookup(chosen, taps, rows.device)
        return rows.index_select(0, index).view(*shape, -1)

    def read(self, features: Tensor) -> Tensor:
        """Kernels ``(C_out, S_out, C_in, S_in, T)`` from :meth:`features`, a view of another order.

        Looking the *features* up and multiplying once is cheaper than looking up C_out * C_in values per tap.
        """
        readout = self.network.readout
        weight = torch.cat([readout.weight, readout.bias[:, None]], 1)
        values = torch.mm(weight, features.flatten(0, 2).t())
        return values.view(self.out_channels, self.in_channels, *features.shape[:3]).transpose(1, 2)

    def forward(self, outputs: Tensor, inputs: Tensor | None, uniform: bool = False) -> Tensor:
        """The bank ``(C_out, S_out, C_in, S_in, k*k)``, zero outside the disc, divided by S_in.

        Args:
            outputs: ``(S_out, element_dim)``.
            inputs: ``(S_in, element_dim)``, ``None`` for a lifting layer.
            uniform: both lists are whole even grids, so that quarter turns may be looked up.
        """
        return self.read(self.features(outputs, inputs, uniform)).contiguous()

    def extra_repr(self) -> str:
        """Channels, size, group and network."""
        return f"{self.in_channels}->{self.out_channels}, k={self.kernel_size}, {self.group}, {self.spec.network}"


class _Rows(torch.autograd.Function):
    """Scaled features with a column for the bias and a last row of zeros: ``(P, h) -> (P + 1, h + 1)``."""

    @staticmethod
    def forward(ctx, features: Tensor, scale: Tensor) -> Tensor:
        ctx.scale = scale
        points, hidden = features.shape
        rows = features.new_empty(points + 1, hidden + 1)
        torch.mul(features, scale, out=rows[:-1, :-1])
        rows[:-1, -1] = scale
        rows[-1] = 0
        return rows

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return grad[:-1, :-1] * ctx.scale, None
