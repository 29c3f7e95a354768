"""Lifting and group convolutions with kernels from a coordinate network, full or partial.

Romero & Lohit 2022 (arXiv 2110.10211). Output element (x, h), input elements in a list S_in:

    lifting  (k * f)(x, h) = sum_c integral k_c(h^-1 (y - x)) f_c(y) dy
    group    (k * f)(x, h) = sum_c mean_{h' in S_in} integral k_c(h^-1 (y - x), h^-1 h') f_c(y, h') dy

Where h stretches the plane, the kernel is divided by |det h|, and each input element of a random list has the weight
1 / p with respect to the Haar measure (:mod:`workbench.kernels.stretched`). The mean over input samples, where the
released code sums, makes the number of elements free to change, also after training. A partial layer draws its output
elements from a learned distribution; it computes the same convolution at fewer places.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from workbench.groups import Draw, Group, GroupSignal, Scale
from workbench.groups.base import check_count, check_floating
from workbench.groups.distributions import GroupDistribution, learned_distribution
from workbench.groups.elements import drawn_elements, even_elements, quarter_turn_problem
from workbench.kernels import KernelBank, KernelSpec
from workbench.kernels.stretched import support_problem
from workbench.layers.apply import Weights, convolve, prepare
from workbench.layers.arguments import kernel_support, planar_group, stretch_count, symmetric_padding
from workbench.layers.choice import Way, choose
from workbench.layers.lattice import as_size, check_size, check_window
from workbench.layers.spectral import Window

SAMPLINGS = ("grid", "random")
MOST_ELEMENTS = 1024  # more orientations than any kernel tells apart: a larger number is a slip of the hand


class GroupLayer(nn.Module):
    """What lifting and group convolutions share: elements, kernels, one convolution call."""

    distribution: GroupDistribution | None
    lifting = False  # whether images go in, which have no group axis
    _kept_draw: tuple[tuple, Draw] | None
    _kept_bank: tuple[tuple, tuple[Way, Weights, Tensor | None], tuple] | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        group: Group | str = "SO2",
        n: int | None = None,
        stretches: int | None = None,
        reach: float | None = None,
        sampling: str = "grid",
        stride: int = 1,
        padding: int | str = "same",
        padding_mode: str = "zeros",
        bias: bool = True,
        kernel: KernelSpec | None = None,
        input_size: int | tuple[int, int] | None = None,
        exact: bool = True,
    ):
        super().__init__()
        self.distribution = None  # not on the class, where it would hide a registered module
        name = type(self).__name__
        check_window(name, in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size, stride=stride)
        if padding_mode not in ("zeros", "circular"):
            raise ValueError(f"{name}: padding_mode = {padding_mode!r} was given; expected 'zeros' or 'circular'.")
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.group = planar_group(name, group)
        self.stretches = stretch_count(name, self.group, stretches)
        self.n = n if n is not None else (self.group.order or (4 if isinstance(self.group, Scale) else 8))
        self.support = kernel_support(name, self.group, reach, self.n, self.stretches)
        if problem := support_problem(self.group, kernel_size):
            warnings.warn(f"{name}: {problem}.", stacklevel=3)
        self.sampling = sampling
        self.stride, self.padding_mode, self.exact = stride, padding_mode, exact
        self.padding = symmetric_padding(name, padding, kernel_size)
        if kernel is not None and not isinstance(kernel, KernelSpec):
            raise ValueError(f"{name}: kernel = {kernel!r} was given; expected a KernelSpec, such as KernelSpec().")
        self.kernels = self._kernels(kernel or KernelSpec())
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.sums: torch.dtype | None = None  # in evaluation mode
        self._requested: Tensor | None = None
        self._forget()
        if input_size is not None:
            self.check_size(as_size(input_size))
            if exact and (found := quarter_turn_problem(self.group, self.n)):
                raise ValueError(
                    f"{name}: not equivariant to quarter turns: n = {self.n} was given, but {found[0]}; {found[1]}, or "
                    "pass exact=False to accept it."
                )

    def _kernels(self, spec: KernelSpec) -> Any:
        sizes = self.in_channels, self.out_channels, self.kernel_size
        return KernelBank(*sizes, self.group, spec, self.lifting, self.support)

    @property
    def n(self) -> int:
        """Number of elements; free to change at any time, also after training."""
        return self._n

    @n.setter
    def n(self, n: int) -> None:
        self.check_n(n)
        self._n = n

    def check_n(self, n: int) -> None:
        """Refuse a number of elements that the group or the learned gates cannot offer."""
        name = type(self).__name__
        check_count(n, name)
        if n * self.stretches > MOST_ELEMENTS:
            raise ValueError(
                f"{name}: n = {n * self.stretches} elements were asked; expected at most {MOST_ELEMENTS}; 8 or 16 is "
                "usual."
            )
        even_elements(self.group, n, self.stretches)
        if self.distribution is not None and self.group.order not in (None, n):
            raise ValueError(
                f"{name}: n = {n} was given; expected {self.group.order}, the order of {self.group}, because each "
                "learned gate belongs to one element."
            )

    @property
    def sampling(self) -> str:
        """``"grid"``, or ``"random"`` for one common random turn of the grid in each training step."""
        return self._sampling

    @sampling.setter
    def sampling(self, sampling: str) -> None:
        self.check_sampling(sampling)
        self._sampling = sampling

    def check_sampling(self, sampling: str) -> None:
        """Refuse a name that is none, and random turns of a finite group."""
        name = type(self).__name__
        if sampling not in SAMPLINGS:
            raise ValueError(f"{name}: sampling = {sampling!r} was given; expected 'grid' or 'random'.")
        if self.group.order and sampling == "random":
            raise ValueError(f"{name}: random sampling of the finite {self.group} was asked; expected sampling='grid'.")

    def check_size(self, size: tuple[int, int]) -> None:
        """Refuse an input of ``(H, W)`` pixels on which the layer could not be exact at quarter turns."""
        check_size(self, size, self.kernel_size, self.stride, self.padding, self.exact)

    @contextmanager
    def requested(self, elements: Tensor) -> Iterator[None]:
        """Within this block the layer answers at ``elements (S, element_dim)`` instead of drawing its own."""
        if not isinstance(elements, Tensor) or not bool(torch.isfinite(elements).all()):
            raise ValueError(
                f"{self}: no tensor or NaN was requested; expected finite elements (S, {self.group.element_dim})."
            )
        if elements.ndim != 2 or elements.shape[1] != self.group.element_dim or not len(elements):
            raise ValueError(
                f"{self}: elements of shape {tuple(elements.shape)} were requested; expected "
                f"(S, {self.group.element_dim}) with S >= 1."
            )
        before, self._requested = self._requested, elements.clone()
        try:
            yield
        finally:
            self._requested = before

    def draw(self) -> Draw:
        """The output elements of the next forward pass; fixed in evaluation mode."""
        weight = self.kernels.weight
        if self._requested is not None:
            return Draw(self._requested.to(weight), None, uniform=False)
        learned = list(self.distribution.parameters()) if self.distribution is not None else []
        chance = self.training and (self.sampling == "random" or bool(learned))
        if chance or (torch.is_grad_enabled() and any(p.requires_grad for p in learned)):
            return self._draw(weight)
        values = [p.tolist() for p in learned]  # by value: a slider may write to theta.data
        key = self.n, weight.dtype, weight.device, values, torch.is_inference_mode_enabled()
        if self._kept_draw is None or self._kept_draw[0] != key:
            self._kept_draw = key, self._draw(weight)
        return self._kept_draw[1]

    def elements(self, n: int | None = None) -> Tensor:
        """The even list of elements that a layer of ``n`` has, its own number by default: ``(S, element_dim)``."""
        weight = self.kernels.weight
        return even_elements(self.group, self.n if n is None else n, self.stretches, 0.0, weight.dtype, weight.device)

    def _draw(self, weight: Tensor) -> Draw:
        if self.distribution is not None:
            centred = None if self.training and self.sampling == "random" else 0.5
            return self.distribution.rsample(self.n, centred)
        if not (self.training and self.sampling == "random"):
            return Draw(self.elements(), None, uniform=True)
        elements, volumes = drawn_elements(self.group, self.n, self.stretches, weight.dtype, weight.device)
        return Draw(elements, None, True, volumes)

    def bank(self, outputs: Tensor, inputs: Tensor | None = None, uniform: bool = False) -> Tensor:
        """Kernels ``(C_out, S_out, C_in, S_in, k*k)`` for these lists of elements."""
        return self.kernels(outputs, inputs, uniform)

    def _bank(
        self, drawn: Draw, signal: GroupSignal | None, x: Tensor, window: Window
    ) -> tuple[Way, Weights, Tensor | None]:
        """The way to convolve, kernels and biases of one call, kept while nothing that they are made from changes."""
        inputs, weights = (None, None) if signal is None else (signal.elements, signal.weights)
        volumes = None if signal is None else signal.volumes
        uniform = drawn.uniform and (signal is None or signal.uniform)
        parameters = [] if self.training else self._made_from()
        frozen = not self.training and not (torch.is_grad_enabled() and any(p.requires_grad for p in parameters))
        way = self._way(window, x, drawn.elements.shape[0], not frozen)
        key: tuple[object, ...] = () if not frozen else (
            *((p.data_ptr(), p._version) for p in parameters),
            *(id(given) for given in (drawn.elements, inputs, weights, volumes)),
            uniform, way, way == "spectral" and window, x.dtype, torch.is_inference_mode_enabled(),
        )  # fmt: skip
        if frozen and self._kept_bank and self._kept_bank[0] == key:
            return self._kept_bank[1]
        with torch.autocast(drawn.elements.device.type, enabled=False):  # half precision would blur fast kernels
            share = None if signal is None else signal.shares
            bank = self._prepared(drawn.elements, inputs, uniform, share, way, window)
        bias = None if self.bias is None else self.bias[:, None].expand(-1, drawn.elements.shape[0]).flatten()
        if x.dtype == self.sums:
            bank, bias = tuple(part.to(self.sums) for part in bank), None if bias is None else bias.to(self.sums)
        # the tensors behind the ids are kept, so that no other tensor can take an id over
        keep = frozen and not bank[0].requires_grad
        self._kept_bank = (key, (way, bank, bias), (drawn.elements, inputs, weights, volumes)) if keep else None
        return way, bank, bias

    def _way(self, window: Window, x: Tensor, n_out: int, fresh: bool) -> Way:
        return choose(window, x, self.out_channels * n_out, fresh)

    def _prepared(
        self, outputs: Tensor, inputs: Tensor | None, uniform: bool, share: Tensor | None, way: Way, window: Window
    ) -> Weights:
        return prepare(self.kernels, outputs, inputs, uniform, share, way, window)

    def _applied(self, x: Tensor, way: Way, weights: Weights, bias: Tensor | None, window: Window) -> Tensor:
        if way != "last":
            return convolve(x, weights, bias, window)
        return convolve(x.contiguous(memory_format=torch.channels_last), weights, bias, window).contiguous()

    def _made_from(self) -> list[Tensor]:
        """What the kernels and biases are made from; three times as fast as ``parameters()``, in every forward."""
        found = [p for m in self.kernels.network.modules() for p in m._parameters.values() if p is not None]
        return [*found, self.kernels.gain] if self.bias is None else [*found, self.kernels.gain, self.bias]

    def _convolve(self, x: Tensor, signal: GroupSignal | None, at: Draw | None = None) -> GroupSignal:
        size, dtype = (x.shape[-2], x.shape[-1]), self.kernels.weight.dtype
        if x.dtype != dtype and not torch.is_autocast_enabled(x.device.type):
            raise ValueError(f"{self}: {x.dtype} was given; expected {dtype}, that of the weights; use .to({dtype}).")
        self.check_size(size)
        drawn = self.draw() if at is None else at
        window = Window(size, self.kernel_size, self.stride, self.padding, self.padding_mode)
        wide = x if self.sums is None or self.training else x.to(self.sums)
        way, weights, bias = self._bank(drawn, signal, wide, window)
        out = self._applied(wide, way, weights, bias, window)
        out = out if wide is x else out.to(x.dtype)
        values = out.unflatten(1, (self.out_channels, drawn.elements.shape[0]))
        if drawn.weights is not None:
            values = values * drawn.weights.to(values.dtype)[:, None, None]
        return GroupSignal(values, drawn.elements, self.group, drawn.weights, drawn.uniform, drawn.volumes)

    def _forget(self) -> None:
        self._kept_draw, self._kept_bank = None, None

    def train(self, mode: bool = True):
        if mode != self.training:
            self._forget()  # some optimisers write to weights without telling their version
        return super().train(mode)

    def _apply(self, *args, **kwargs):
        self._forget()
        return super()._apply(*args, **kwargs)

    def __getstate__(self) -> dict[str, object]:
        return {**super().__getstate__(), "_kept_draw": None, "_kept_bank": None}

    def extra_repr(self) -> str:
        """Group, channels, extent and kind of equivariance."""
        kind = "partial" if self.distribution is not None else "strict"
        count = f"{self.n} x {self.stretches}" if self.stretches > 1 else f"{self.n}"
        return (
            f"{self.in_channels}->{self.out_channels}, k={self.kernel_size}, {self.group}, n={count}, "
            f"{self.sampling}, stride={self.stride}, padding={self.padding} {self.padding_mode}, {kind}"
        )

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"


class LiftingConv(GroupLayer):
    """From an image ``(B, C_in, H, W)`` to a :class:`GroupSignal` ``(B, C_out, G, H', W')``.

    It always covers the whole group.

    Args:
        in_channels, out_channels: C_in and C_out.
        kernel_size: k, taps a side of the disc's square.
        group: planar group or its name, for example "SO2", "C(8)", "O2", "Scale(2,1.74)", "RotationScale", "SL(2)".
        n: number of elements, free to change later; a finite group's order by default, 8 otherwise. On RotationScale,
            SL(2) and GLPlus(2) of rotations at each of ``stretches`` (4 by default), on Scale of factors (4).
        reach: on groups that stretch, how far apart elements interact, in e-folds; neighbours alone by default.
        sampling: "grid", or "random" for a common random turn of the grid in each training step, and random stretches.
        padding: "same" (odd k only), "valid" or a number of pixels on every side.
        kernel: the coordinate network.
        input_size: H and W, to refuse at construction what could not be exact at quarter turns: sizes, strides, and
            an ``n`` of a group with all turns that is no multiple of 4 (``n`` may change later, unchecked).
        exact: ``False`` accepts sizes that are not.

    Raises:
        ValueError: for sizes, groups or numbers that cannot be, with the nearest fix.

    >>> import torch
    >>> from workbench.layers import LiftingConv
    >>> tuple(LiftingConv(1, 4, 5, group="C(8)")(torch.zeros(2, 1, 16, 16)).values.shape)
    (2, 4, 8, 16, 16)
    """

    lifting = True

    def forward(self, x: Tensor) -> GroupSignal:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            check_floating(x, f"{self}: images")
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"{self}: {tuple(x.shape)} was given; expected images (B, {self.in_channels}, H, W).")
        return self._convolve(x, None)


class GroupConv(GroupLayer):
    """From a :class:`GroupSignal` ``(B, C_in, G, H, W)`` to one ``(B, C_out, G', H', W')``.

    Args:
        partial: learn the distribution of the output elements (arc on SO2, gates on finite factors).
        gradient: of the arc's width, "full" or "reference" (see :class:`workbench.groups.UniformArc`).
        others: as in :class:`LiftingConv`.

    >>> import torch
    >>> from workbench.layers import GroupConv, LiftingConv
    >>> net = torch.nn.Sequential(LiftingConv(1, 4, 5), GroupConv(4, 6, 5, partial=True))
    >>> tuple(net(torch.zeros(2, 1, 16, 16)).values.shape)
    (2, 6, 8, 16, 16)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        partial: bool = False,
        gradient: str = "full",
        **options,
    ):
        super().__init__(in_channels, out_channels, kernel_size, **options)
        self.distribution = learned_distribution(self.group, gradient=gradient) if partial else None
        self.check_n(self.n)

    def forward(self, signal: GroupSignal, at: Draw | None = None) -> GroupSignal:
        """Convolve; ``at`` gives the output elements, as a shortcut needs those of the branch it joins."""
        if not isinstance(signal, GroupSignal) or signal.values.shape[1] != self.in_channels:
            given = tuple(signal.values.shape) if isinstance(signal, GroupSignal) else type(signal).__name__
            raise ValueError(
                f"{self}: {given} was given; expected a GroupSignal (B, {self.in_channels}, G, H, W); put a "
                "LiftingConv before the first group convolution."
            )
        if signal.elements.shape[-1] != self.group.element_dim:
            raise ValueError(f"{self}: a signal on {signal.group} was given; expected one on {self.group}.")
        return self._convolve(signal.folded(), signal, at)
