"""Convolutions whose filters may drift over the plane, by as much as a dial says: 0 is an ordinary convolution.

After van der Ouderaa, Romero & van der Wilk 2022 (arXiv 2204.07178); the parameterisation is a reconstruction, see
:mod:`workbench.kernels.relaxed`. The absolute place is that of the output:

    y(u) = sum_p K(u, p) x(u + p)
"""

from __future__ import annotations

from contextlib import nullcontext
from math import prod

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from workbench.groups.base import check_floating
from workbench.kernels import KernelSpec
from workbench.kernels.relaxed import RelaxedKernels, checked_dial
from workbench.kernels.turning import TurningKernels
from workbench.layers.convolution import GroupConv
from workbench.layers.lattice import check_window

MOST_NUMBERS = 2**28
"""Filters of every place and unfolded images together; 1 GiB in float32, and training needs it a few times."""


class RelaxedConv2d(nn.Module):
    """From images ``(B, C_in, H, W)`` to ``(B, C_out, H, W)``, with filters that may depend on the place.

    Three ways to the same numbers. With a dial that stands at 0 and is not trained: one ordinary convolution. With
    ``rank`` R: one convolution by R filters and a mix at each place, about R times an ordinary one; R C_out numbers
    more per pixel and image. Otherwise a filter for each place: H W k^2 C_in (C_out + B) numbers, 51 million for the
    filters alone on 32 x 32 pixels with k = 7 and 32 channels; for small maps.

    Args:
        in_channels, out_channels, kernel_size: C_in, C_out and k, even or odd.
        absolute: the dial of the place, w_abs; 0 is translation equivariant, with ``padding_mode="circular"`` exactly.
        relative: the dial along the filter, w_rel; 0 gives flat filters and, where k is the whole image and padding
            circular, an answer that does not depend on where things are.
        features, rank, learned: see :class:`workbench.kernels.relaxed.RelaxedKernels`.
        padding_mode: "circular", or "zeros", which tells places apart at any dial.

    Raises:
        ValueError: for sizes, dials or ranks that cannot be, and where the filters of all places would not fit.

    >>> import torch
    >>> layer = RelaxedConv2d(1, 4, 5, absolute=0.3, rank=4)
    >>> tuple(layer(torch.zeros(2, 1, 16, 16)).shape)
    (2, 4, 16, 16)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        absolute: float = 0.1,
        relative: float = 1.0,
        features: int = 32,
        rank: int | None = None,
        learned: tuple[str, ...] = ("absolute",),
        padding_mode: str = "circular",
        bias: bool = True,
    ):
        super().__init__()
        name = type(self).__name__
        check_window(name, in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size)
        if padding_mode not in ("zeros", "circular"):
            raise ValueError(f"{name}: padding_mode = {padding_mode!r} was given; expected 'zeros' or 'circular'.")
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.padding_mode, self.low_rank = padding_mode, rank is not None
        self.kernels = RelaxedKernels(
            in_channels, out_channels, kernel_size, absolute=absolute, relative=relative, features=features, rank=rank,
            learned=learned,
        )  # fmt: skip
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    @property
    def dial(self) -> float:
        """How fast the filters vary with the place: |w_abs|."""
        return abs(float(self.kernels.absolute.detach()))

    def forward(self, x: Tensor) -> Tensor:
        kernels = self.kernels
        same = kernels.stationary
        self._check(x, slid=same or self.low_rank)
        size = x.shape[-2], x.shape[-1]
        half = torch.is_autocast_enabled(x.device.type)  # which would blur fast filters
        with torch.autocast(x.device.type, enabled=False) if half else nullcontext():
            basis = None
            if same:
                filters = kernels.same()
            elif self.low_rank:
                filters, basis = kernels.mixed(size)
            else:
                filters = kernels.everywhere(size)
        if filters.ndim == 3:
            return self._slid(x, filters, self.bias)
        if basis is not None:
            apart = self._slid(x, filters, None).unflatten(1, (len(basis), self.out_channels))
            return _Mix.apply(apart, basis.view(-1, *size).to(apart), self.bias)
        y = self._by_place(x, filters, size)
        return y if self.bias is None else y + self.bias[:, None, None]

    def _slid(self, x: Tensor, filters: Tensor, bias: Tensor | None) -> Tensor:
        """One convolution by filters ``(..., C_out, C_in, P)``."""
        k = self.kernel_size
        weight = filters.view(-1, self.in_channels, k, k)
        if self.padding_mode == "zeros" and k % 2:
            return functional.conv2d(x, weight, bias, padding=k // 2)
        return functional.conv2d(self._padded(x), weight, bias)

    def _padded(self, x: Tensor) -> Tensor:
        low, high = (self.kernel_size - 1) // 2, self.kernel_size // 2
        mode = "circular" if self.padding_mode == "circular" else "constant"
        return functional.pad(x, (low, high, low, high), mode=mode)

    def _by_place(self, x: Tensor, filters: Tensor, size: tuple[int, int]) -> Tensor:
        """Each place with its own filter: filters ``(U, C_out, C_in, P)``."""
        columns = functional.unfold(self._padded(x), self.kernel_size)
        return _ByPlace.apply(columns, filters.flatten(2).to(columns)).unflatten(2, size)

    def _check(self, x: object, slid: bool) -> None:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            check_floating(x, f"{self}: images")
        assert isinstance(x, Tensor)
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"{self}: {tuple(x.shape)} was given; expected images (B, {self.in_channels}, H, W).")
        dtype = self.kernels.phase.dtype
        if x.dtype != dtype and not torch.is_autocast_enabled(x.device.type):
            raise ValueError(f"{self}: {x.dtype} was given; expected {dtype}, that of the weights; use .to({dtype}).")
        if self.padding_mode == "circular" and min(x.shape[-2:]) < self.kernel_size // 2:
            raise ValueError(
                f"{self}: {x.shape[-2]} x {x.shape[-1]} pixels were given; expected at least {self.kernel_size // 2} a "
                "side, so that the border wraps around once; use padding_mode='zeros'."
            )
        if slid:
            return
        numbers = prod(x.shape[-2:]) * self.kernel_size**2 * self.in_channels * (self.out_channels + x.shape[0])
        if numbers > MOST_NUMBERS:
            raise ValueError(
                f"{self}: a filter for each of {x.shape[-2]} x {x.shape[-1]} places was asked for {x.shape[0]} images, "
                f"{numbers:.2g} numbers; expected at most {MOST_NUMBERS:.2g}; use rank=8, or smaller batches."
            )

    def extra_repr(self) -> str:
        """Channels, extent, dial and kind of equivariance."""
        kind = "strict" if self.dial == 0 and not self.kernels.absolute.requires_grad else "relaxed"
        way = f"rank {self.kernels.rank}" if self.low_rank else "a filter for each place"
        return (
            f"{self.in_channels}->{self.out_channels}, k={self.kernel_size}, dial={self.dial:.3g}, {way}, "
            f"padding {self.padding_mode}, {kind}"
        )

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"


class RelaxedGroupConv(GroupConv):
    """A group convolution whose kernels may also depend on the absolute rotation of the output.

    From a :class:`GroupSignal` ``(B, C_in, G, H, W)`` to one ``(B, C_out, G', H', W')``, by the same single convolution
    as its strict twin: the dial costs nothing per pixel, and translations stay exact at every value.

    Args:
        absolute: the dial w; at 0 quarter turns are exact wherever those of a GroupConv are.
        learned: whether the dial is trained.
        others: as in :class:`GroupConv`.

    Raises:
        ValueError: for a dial that cannot be, or as :class:`GroupConv`.

    >>> import torch
    >>> from workbench.layers import LiftingConv
    >>> net = torch.nn.Sequential(LiftingConv(1, 4, 5, group="C(8)"), RelaxedGroupConv(4, 6, 5, group="C(8)"))
    >>> tuple(net(torch.zeros(2, 1, 16, 16)).values.shape)
    (2, 6, 8, 16, 16)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        absolute: float = 0.1,
        learned: bool = True,
        **options,
    ):
        self._start = checked_dial(absolute), bool(learned)  # the kernels are made while the layer is
        super().__init__(in_channels, out_channels, kernel_size, **options)

    def _kernels(self, spec: KernelSpec) -> TurningKernels:
        absolute, learned = self._start
        sizes = self.in_channels, self.out_channels, self.kernel_size
        return TurningKernels(*sizes, self.group, spec, absolute=absolute, learned=learned)

    @property
    def dial(self) -> float:
        """How fast the kernels vary with the rotation of the output: |w|."""
        return abs(float(self.kernels.absolute.detach()))

    def _made_from(self) -> list[Tensor]:
        return [*super()._made_from(), self.kernels.absolute]

    def extra_repr(self) -> str:
        """As of any group convolution, and the dial."""
        return f"{super().extra_repr().replace('strict', 'relaxed')}, dial={self.dial:.3g}"


def set_dials(model: nn.Module, value: float) -> None:
    """Put the dials of all relaxed layers of a model to one value.

    Raises:
        ValueError: no number from 0 to 100, or a model without relaxed layers.

    >>> net = nn.Sequential(RelaxedConv2d(1, 2, 3), nn.ReLU(), RelaxedConv2d(2, 2, 3))
    >>> set_dials(net, 0.0)
    >>> dials(net)
    {'0': 0.0, '2': 0.0}
    """
    number, found = checked_dial(value), _dialled(model)
    if not found:
        raise ValueError(f"a {type(model).__name__} without a relaxed layer was given; expected at least one.")
    with torch.no_grad():
        for layer in found.values():
            layer.kernels.absolute.fill_(number)


def dials(model: nn.Module) -> dict[str, float]:
    """The absolute dial of each relaxed layer, by module name."""
    return {name: layer.dial for name, layer in _dialled(model).items()}


def _dialled(model: nn.Module) -> dict:
    return {name: m for name, m in model.named_modules() if isinstance(getattr(m, "dial", None), float)}


class _ByPlace(torch.autograd.Function):
    """A matrix for each place: ``(B, N, U), (U, C, N) -> (B, C, U)``; one copy each way, not one for each matrix."""

    @staticmethod
    def forward(ctx, columns: Tensor, filters: Tensor) -> Tensor:
        seen = columns.permute(2, 0, 1).contiguous()
        ctx.save_for_backward(seen, filters)
        return torch.bmm(seen, filters.transpose(1, 2)).permute(1, 2, 0).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        seen, filters = ctx.saved_tensors
        grad = grad.permute(2, 0, 1).contiguous()
        of_columns = torch.bmm(grad, filters).permute(1, 2, 0).contiguous() if ctx.needs_input_grad[0] else None
        of_filters = torch.bmm(grad.transpose(1, 2), seen) if ctx.needs_input_grad[1] else None
        return of_columns, of_filters


class _Mix(torch.autograd.Function):
    """bias + sum_r basis_r(u) z_r(u), with one buffer for each gradient:
    ``(B, R, C, H, W), (R, H, W), (C,) -> (B, C, H, W)``."""

    @staticmethod
    def forward(ctx, z: Tensor, basis: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(z, basis)
        first = z[:, 0], basis[0]
        out = torch.mul(*first) if bias is None else torch.addcmul(bias.to(z)[:, None, None], *first)
        for r in range(1, len(basis)):
            out.addcmul_(z[:, r], basis[r])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, basis = ctx.saved_tensors
        of_z = of_basis = None
        if ctx.needs_input_grad[0]:
            of_z = grad[:, None] * basis[:, None]
        if ctx.needs_input_grad[1]:
            of_basis = torch.stack([(grad * z[:, r]).sum((0, 1)) for r in range(len(basis))])
        return of_z, of_basis, grad.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
