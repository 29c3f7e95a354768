r"""Kernels of the relative and the absolute place, with a dial for how fast they vary along each.

After van der Ouderaa, Romero & van der Wilk 2022 (arXiv 2204.07178). The paper's body and code could not be read: that
a stationary kernel k(p) becomes k(p, u) and that a dial leads from linear over equivariant to invariant maps is theirs,
this parameterisation is a reconstruction. With taps p and output places u,

    K(u, p) = sum_f A_f cos(2 pi (w_rel a_f p + w_abs b_f u) + c_f), scaled to one amplitude for every (w_rel, w_abs)

A cosine of a sum is a sum of two products, so K(u, p) = sum_r basis_r(u) filter_r(p), with two terms for each distinct
frequency b_f: what is exact at every place is also cheap where few frequencies are shared (derived here).
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from workbench.kernels.geometry import tap_offsets

DIALS = ("absolute", "relative")
WIDEST = 4096  # features; more than any kernel needs: a larger number is a slip of the hand
LEAST = 1e-24  # mean square of a filter that is nothing
COMPILED = (torch.float32, torch.float64)
SHORT = 2**13  # numbers of the cosines up to which compiled loops are faster
FASTEST = 100.0  # of a dial; beyond it neighbouring pixels have long had nothing in common


class RelaxedKernels(nn.Module):
    """Filters that may change with the place of the output.

    Args:
        in_channels, out_channels, kernel_size: C_in, C_out and k; the support is the whole square of P = k * k taps.
        absolute: w_abs, 0 for filters that are the same everywhere; at 1 the cosines of a new layer have about one
            cycle across the image. Its sign means nothing.
        relative: w_rel, 0 for filters that are flat.
        features: F cosines. Frequencies and phases are learned with the rest; no phase is special, so that no corner
            of the two dials is a dead one.
        rank: R, an even number of filters that are mixed place by place; ``None`` gives each feature a frequency of
            its own, R = 2 F.
        learned: which of the dials are trained.

    Coordinates are (x, y), y up: relative in half kernel widths, absolute in image widths, so that one layer takes any
    image size.

    Raises:
        ValueError: for a dial, a rank or a number of features that cannot be.

    >>> kernels = RelaxedKernels(2, 3, 5, absolute=0.3, rank=4)
    >>> tuple(kernels.everywhere((8, 8)).shape), tuple(kernels.filters().shape), tuple(kernels.basis((8, 8)).shape)
    ((64, 3, 2, 25), (4, 3, 2, 25), (4, 64))
    """

    taps: Tensor

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
    ):
        super().__init__()
        _check(features, rank, learned)
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.features, self.rank = features, rank or 2 * features
        places = self.rank // 2
        half = max((kernel_size - 1) / 2, 1.0)
        self.register_buffer("taps", (tap_offsets(kernel_size) / half).float(), persistent=False)
        self.cycles_relative = nn.Parameter(torch.randn(features, 2))
        self.cycles_absolute = nn.Parameter(torch.randn(places, 2))
        self.phase = nn.Parameter(2 * math.pi * torch.rand(features))
        self.readout = nn.Parameter(torch.randn(out_channels * in_channels, features))
        self.gain = nn.Parameter(torch.ones(()))
        self.absolute = nn.Parameter(torch.tensor(checked_dial(absolute)), requires_grad="absolute" in learned)
        self.relative = nn.Parameter(torch.tensor(checked_dial(relative)), requires_grad="relative" in learned)

    @property
    def stationary(self) -> bool:
        """Whether the filters are the same everywhere and no gradient has to say how they would change."""
        moving = torch.is_grad_enabled() and self.absolute.requires_grad
        return not moving and not bool(self.absolute.detach())

    def phases(self) -> Tensor:
        """Relative part of what the cosines see, in radians: ``(P, F)``."""
        taps = self.taps.to(self.phase)
        return 2 * math.pi * self.relative * (taps @ self.cycles_relative.T) + self.phase

    def basis(self, size: tuple[int, int]) -> Tensor:
        """How much of each filter there is at each place of ``(H, W)`` pixels, row by row: ``(R, U)``, U = H W."""
        places = _places(size, self.phase.dtype, self.phase.device)
        turned = 2 * math.pi * self.absolute * (self.cycles_absolute @ places.T)
        return torch.stack([turned.cos(), turned.sin()], 1).flatten(0, 1)

    def filters(self) -> Tensor:
        """The filters that are mixed, not yet scaled: ``(R, C_out, C_in, P)``."""
        apart = self.phases().T.unflatten(0, (self.rank // 2, -1))
        readout = self.readout.unflatten(1, (self.rank // 2, -1)).transpose(0, 1)
        both = torch.cat([readout @ apart.cos(), -readout @ apart.sin()], 1)
        return both.view(self.rank, self.out_channels, self.in_channels, -1)

    def scale(self, mean_square: Tensor) -> Tensor:
        """The factor to the amplitude that every corner of the dials has, so that white noise keeps its size."""
        return self.gain * (mean_square.clamp_min(LEAST) * (self.in_channels * len(self.taps))).rsqrt()

    def same(self) -> Tensor:
        """The one filter of ``w_abs = 0``: ``(C_out, C_in, P)``."""
        taps, phase = self.taps, self.phase
        given = self.cycles_relative, self.relative, phase, self.readout, self.gain
        if phase.device.type != "cpu" or phase.dtype not in COMPILED or len(taps) * self.features > SHORT:
            return Same.apply(taps.to(phase), *given, self.in_channels)
        return _compiled().apply(taps.to(phase), *given, self.in_channels)

    def everywhere(self, size: tuple[int, int]) -> Tensor:
        """A filter for each place: ``(U, C_out, C_in, P)``."""
        filters = self.filters()
        found = self.basis(size).T @ filters.flatten(1)
        return (found * self.scale(found.square().mean())).view(-1, *filters.shape[1:])

    def mixed(self, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The same without a filter for each place: scaled :meth:`filters` and :meth:`basis`."""
        given = self.cycles_relative, self.cycles_absolute, self.relative, self.absolute, self.phase, self.readout
        places, taps = _places(size, self.phase.dtype, self.phase.device), self.taps.to(self.phase)
        return _Mixed.apply(taps, places, *given, self.gain, self.in_channels)

    def feature_matrix(self, size: tuple[int, int]) -> Tensor:
        """What the read-out sees at each pair of place and tap: ``(U P, F)``; its rank tells the corners apart.

        P with w_abs = 0, U with w_rel = 0, 1 with both, and U P with neither, if F is as large (derived here).
        """
        each = self.features // (self.rank // 2)
        basis = self.basis(size).unflatten(0, (-1, 2)).repeat_interleave(each, 0)  # (F, 2, U)
        alone = self.phases()
        return (basis[:, 0].T[:, None] * alone.cos() - basis[:, 1].T[:, None] * alone.sin()).flatten(0, 1)

    def extra_repr(self) -> str:
        """Channels, size, dials and rank."""
        absolute, relative = (float(dial.detach()) for dial in (self.absolute, self.relative))
        sizes = f"{self.in_channels}->{self.out_channels}, k={self.kernel_size}"
        return f"{sizes}, absolute={absolute:.3g}, relative={relative:.3g}, rank={self.rank}"


class Same(torch.autograd.Function):
    """gain K / sqrt(n mean K^2) with K = readout cos(2 pi w cycles taps' + phase), in few steps: a small layer's
    convolution takes no longer than a dozen small operations, so that what is one number stays out of tensors."""

    @staticmethod
    def forward(
        ctx, taps: Tensor, cycles: Tensor, dial: Tensor, phase: Tensor, readout: Tensor, gain: Tensor, inputs: int
    ) -> Tensor:
        turns = 2 * math.pi * float(dial)
        angle = torch.addmm(phase[:, None], cycles, taps.T, alpha=turns)
        cosine = angle.cos()
        found = (cosine.T @ readout.T).T  # half the time of the same product with few taps on its right
        square = float(torch.linalg.vector_norm(found)) ** 2
        size = (max(square / found.numel(), LEAST) * inputs * len(taps)) ** -0.5
        filters = torch.mul(found, size * float(gain), out=found.new_empty(found.shape))
        ctx.save_for_backward(taps, cycles, angle, cosine, readout, filters)
        scale = size * float(gain)
        ctx.numbers = turns, size, scale, 1 / max(scale**2 * square, LEAST)
        return filters.view(-1, inputs, len(taps))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        taps, cycles, angle, cosine, readout, filters = ctx.saved_tensors
        turns, size, scale, inverse = ctx.numbers
        grad = grad.reshape(filters.shape)
        along = torch.dot(grad.view(-1), filters.view(-1))
        of_gain = along * (size / scale) if scale else torch.sum(grad * (readout @ cosine)) * size
        of_found = torch.add(grad, filters, alpha=-inverse * float(along))  # still without the scale
        of_angle = (of_found.T @ readout).T.mul(angle.sin()).mul_(-scale)
        of_turns = of_angle @ taps
        of_dial = 2 * math.pi * torch.sum(of_turns * cycles) if ctx.needs_input_grad[2] else None
        of_readout = torch.addmm(readout, of_found, cosine.T, beta=0, alpha=scale)
        return None, of_turns * turns, of_dial, of_angle.sum(1), of_readout, of_gain, None


class _Mixed(torch.autograd.Function):
    """Scaled filters ``(R, C_out, C_in, P)`` and basis ``(R, U)`` of :class:`RelaxedKernels`, as :class:`Same`."""

    @staticmethod
    def forward(
        ctx, taps: Tensor, places: Tensor, cycles: Tensor, of_place: Tensor, relative: Tensor, absolute: Tensor,
        phase: Tensor, readout: Tensor, gain: Tensor, inputs: int,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        turns, moves, groups = 2 * math.pi * float(relative), 2 * math.pi * float(absolute), len(of_place)
        angle = torch.addmm(phase, taps, cycles.T, alpha=turns)  # (P, F)
        wave = torch.stack([angle.cos(), angle.sin().neg_()]).unflatten(2, (groups, -1))  # (2, P, R/2, E)
        waves = wave.permute(2, 0, 1, 3).reshape(groups, 2 * len(taps), -1)
        mixing = readout.unflatten(1, (groups, -1)).transpose(0, 1)  # (R/2, C, E)
        filters = torch.bmm(mixing, waves.transpose(1, 2)).unflatten(2, (2, -1)).transpose(1, 2).contiguous()
        turned = (of_place @ places.T).mul_(moves)
        basis = torch.stack([turned.cos(), turned.sin()], 1)  # (R/2, 2, U)
        flat, rows = filters.view(2 * groups, -1), basis.view(2 * groups, -1)
        alike, same = rows @ rows.T, flat @ flat.T
        count = rows.shape[1] * flat.shape[1]
        square = max(float(torch.dot(alike.view(-1), same.view(-1))) / count, LEAST)
        size = (square * inputs * len(taps)) ** -0.5
        ctx.save_for_backward(taps, places, cycles, of_place, waves, mixing, filters, basis, alike, same)
        ctx.numbers = turns, moves, size, size * float(gain), 1 / (square * count)
        return (filters * ctx.numbers[3]).view(2 * groups, -1, inputs, len(taps)), rows.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor, of_basis: Tensor) -> tuple[Tensor | None, ...]:
        taps, places, cycles, of_place, waves, mixing, filters, basis, alike, same = ctx.saved_tensors
        turns, moves, size, scale, inverse = ctx.numbers
        flat, rows = filters.view(len(alike), -1), basis.view(len(alike), -1)
        grad = grad.reshape(flat.shape)
        along = torch.dot(grad.view(-1), flat.view(-1))
        shrink = -inverse * scale * float(along)  # a longer filter, or a longer basis, is scaled down
        of_filters = torch.addmm(grad.mul(scale), alike, flat, alpha=shrink).view(filters.shape)
        of_rows = torch.addmm(of_basis, same, rows, alpha=shrink).view(basis.shape)
        of_turned = (of_rows[:, 1] * basis[:, 0]).addcmul_(of_rows[:, 0], basis[:, 1], value=-1)
        of_values = of_filters.transpose(1, 2).flatten(2)  # (R/2, C, 2 P)
        of_mixing = torch.bmm(of_values, waves)  # (R/2, C, E)
        of_waves, wave = (
            each.unflatten(1, (2, -1)).permute(1, 2, 0, 3).flatten(2)
            for each in (torch.bmm(of_values.transpose(1, 2), mixing), waves)
        )  # (2, P, F)
        of_angle = (of_waves[0] * wave[1]).addcmul_(of_waves[1], wave[0], value=-1)
        of_turns, of_moves = of_angle.T @ taps, of_turned @ places
        of_relative = 2 * math.pi * torch.sum(of_turns * cycles) if ctx.needs_input_grad[4] else None
        of_absolute = 2 * math.pi * torch.sum(of_moves * of_place) if ctx.needs_input_grad[5] else None
        return (
            None, None, of_turns * turns, of_moves * moves, of_relative, of_absolute, of_angle.sum(0),
            of_mixing.transpose(0, 1).flatten(1), along * size, None,
        )  # fmt: skip


@lru_cache(maxsize=1)
def _compiled() -> type[Same]:
    from workbench.kernels.loops import CompiledSame  # numba takes a moment to load

    return CompiledSame


@lru_cache(maxsize=32)
def _places(size: tuple[int, int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Made once: on a small map that takes as long as the products with it."""
    with torch.inference_mode(False):
        return pixel_places(size).to(device, dtype)


def pixel_places(size: tuple[int, int]) -> Tensor:
    """Pixel centres (x, y), y up, in image widths and heights from the centre, row by row: float64 ``(H W, 2)``.

    >>> pixel_places((1, 4))[:, 0].tolist()
    [-0.375, -0.125, 0.125, 0.375]
    """
    height, width = (((torch.arange(n, dtype=torch.float64) + 0.5) / n - 0.5) for n in size)
    y, x = torch.meshgrid(-height, width, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], -1)


def checked_dial(value: float) -> float:
    """A dial's value.

    Raises:
        ValueError: no number from 0 to 100.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= FASTEST:  # NaN is neither
        raise ValueError(f"a dial = {value!r} was given; expected a number from 0 to {FASTEST:g}; 0.1 is usual.")
    return float(value)


def _check(features: object, rank: object, learned: object) -> None:
    if isinstance(features, bool) or not isinstance(features, int) or not 1 <= features <= WIDEST:
        raise ValueError(f"features = {features!r} was given; expected an integer from 1 to {WIDEST}; 32 is usual.")
    if not isinstance(learned, tuple | list) or set(learned) - set(DIALS):
        raise ValueError(f"learned = {learned!r} was given; expected a tuple of {', '.join(DIALS)}, or ().")
    if rank is None:
        return
    whole = isinstance(rank, int) and not isinstance(rank, bool) and rank >= 2 and rank % 2 == 0
    if not whole or features % (rank // 2):  # type: ignore[operator]
        fits = [2 * n for n in range(1, features + 1) if features % n == 0]
        raise ValueError(
            f"rank = {rank!r} was given; expected an even number of filters whose half divides the {features} "
            f"features: {', '.join(map(str, fits))}; 4 or 8 is usual."
        )
