"""Group kernels that may change with the absolute rotation of the output, and not with its place.

After van der Ouderaa, Romero & van der Wilk 2022 (arXiv 2204.07178), whose parameterisation is reconstructed here: the
coordinate network of a group convolution also sees w (cos a, sin a) of the output's angle a. Filters stay shared over
the plane, so every w keeps translations exact, and w = 0 is the strict layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workbench.groups import O2, SO2, Group
from workbench.kernels.bank import KernelBank
from workbench.kernels.networks import KernelSpec
from workbench.kernels.relaxed import checked_dial


class TurningKernels(KernelBank):
    """The kernels k(h^-1 x, h^-1 h', w h) of one group convolution.

    Args:
        in_channels, out_channels, kernel_size, group, spec: as for :class:`KernelBank`; rotations, maybe mirrors.
        absolute: the dial w; its sign means nothing.
        learned: whether it is trained.

    A network with random biases sees no special angle; its kernels keep their size while the dial moves (on average
    over seeds, for they are scaled at w = 0).

    >>> from workbench.groups import SO2
    >>> kernels = TurningKernels(2, 3, 5, SO2(), KernelSpec(hidden=8), absolute=0.1)
    >>> tuple(kernels(SO2().grid(8), SO2().grid(8)).shape)
    (3, 8, 2, 8, 25)
    """

    _at: tuple[float, bool] | None = None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        group: Group,
        spec: KernelSpec,
        *,
        absolute: float = 0.1,
        learned: bool = True,
    ):
        number = checked_dial(absolute)
        if not isinstance(group, SO2 | O2):
            raise ValueError(f"a dial of rotations on {group} was given; expected SO2, O2, C(n) or D(n).")
        super().__init__(in_channels, out_channels, kernel_size, group, spec, lifting=False)
        self.absolute = nn.Parameter(torch.tensor(number), requires_grad=learned)

    @property
    def coordinate_dim(self) -> int:
        """Two more numbers for the absolute angle and, in O(2), one for the mirror."""
        return super().coordinate_dim + 2 + isinstance(self.group, O2)

    @property
    def _dial(self) -> Tensor | None:
        return self._parameters.get("absolute")  # none yet while the gain is measured, at 0

    @property
    def stationary(self) -> bool:
        """Whether turned outputs have turned copies of one kernel, and no gradient has to say how they would differ."""
        if self._dial is None:
            return True
        return not (torch.is_grad_enabled() and self._dial.requires_grad) and not bool(self._dial.detach())

    def coordinates(self, outputs: Tensor, inputs: Tensor | None) -> Tensor:
        """Points ``(S_out, S_in, T, coordinate_dim)``; the last numbers tell the absolute element."""
        points = super().coordinates(outputs, inputs)
        angle = outputs[:, 0]
        told = [angle.cos(), angle.sin(), *outputs[:, 1:].unbind(1)]
        where = torch.stack(told, -1) * (0.0 if self._dial is None else self._dial)
        return torch.cat([points, where[:, None, None].expand(*points.shape[:-1], -1).to(points)], -1)

    def values(
        self,
        outputs: Tensor,
        inputs: Tensor | None,
        uniform: bool = False,
        taps: tuple[int, ...] | None = None,
        few: int | None = None,
    ) -> Tensor:
        """As :meth:`KernelBank.values`; no kernel is a turned copy of another unless the dial stands still at 0."""
        if self._dial is not None:
            at = float(self._dial.detach()), torch.is_grad_enabled() and self._dial.requires_grad
            if at != self._at:
                self._kept, self._at = None, at  # coordinates kept from another dial
        return super().values(outputs, inputs, uniform and self.stationary, taps, few)

    def extra_repr(self) -> str:
        """As of any bank, and the dial."""
        return f"{super().extra_repr()}, absolute={0.0 if self._dial is None else float(self._dial.detach()):.3g}"
