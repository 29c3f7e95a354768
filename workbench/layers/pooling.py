"""Pooling over pixels that keeps the lattice symmetric, and the projection that ends a group network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workbench.groups import GroupSignal
from workbench.layers.lattice import as_size, check_size, check_window
from workbench.layers.pointwise import expect_signal


class GroupPool(nn.Module):
    """Max or mean over a window of pixels, element by element: ``(B, C, G, H, W) -> (B, C, G, H', W')``.

    Args:
        window: pixels a side.
        stride: the window by default.
        padding: pixels on every side.
        kind: "max" or "mean".
        input_size: H and W, to refuse at construction what breaks quarter turns; otherwise the first forward does.
        exact: ``False`` accepts such sizes.
    """

    def __init__(
        self,
        window: int = 2,
        stride: int | None = None,
        padding: int = 0,
        kind: str = "max",
        input_size: int | tuple[int, int] | None = None,
        exact: bool = True,
    ):
        super().__init__()
        self.window, self.stride, self.padding = window, window if stride is None else stride, padding
        check_window("GroupPool", window=window, stride=self.stride, padding=padding)
        if kind not in ("max", "mean"):
            raise ValueError(f"GroupPool: kind = {kind!r} was given; expected 'max' or 'mean'.")
        if 2 * padding > window:
            raise ValueError(
                f"GroupPool: padding = {padding} was given; expected at most half of the window of {window}."
            )
        self.kind, self.exact = kind, exact
        if input_size is not None:
            self.check_size(as_size(input_size))

    def check_size(self, size: tuple[int, int]) -> None:
        """Refuse an input of ``(H, W)`` pixels that the window would visit unsymmetrically."""
        check_size(self, size, self.window, self.stride, self.padding, self.exact)

    @property
    def _halves(self) -> bool:
        return (self.kind, self.window, self.stride, self.padding) == ("max", 2, 2, 0)

    def forward(self, signal: GroupSignal) -> GroupSignal:
        values = expect_signal(self, signal).values
        self.check_size((values.shape[-2], values.shape[-1]))
        if self._halves and not (values.shape[-2] % 2 or values.shape[-1] % 2):
            return signal.with_values(_Halved.apply(values))
        pool = nn.functional.max_pool2d if self.kind == "max" else nn.functional.avg_pool2d
        pooled = pool(values.flatten(1, 2), self.window, self.stride, self.padding)
        return signal.with_values(pooled.unflatten(1, values.shape[1:3]))

    def extra_repr(self) -> str:
        """Window, stride, padding and kind."""
        return f"{self.kind}, window={self.window}, stride={self.stride}, padding={self.padding}"

    def __str__(self) -> str:
        return f"GroupPool({self.extra_repr()})"


class GroupProjection(nn.Module):
    """Reduce a signal over its elements, and over pixels as well: the invariant read-out.

    Args:
        reduce: "max" or "mean"; the mean weighs elements by their gates.
        over: "all" gives ``(B, C)``, "group" keeps the pixels, ``(B, C, H, W)``.
    """

    def __init__(self, reduce: str = "max", over: str = "all"):
        super().__init__()
        if reduce not in ("max", "mean") or over not in ("all", "group"):
            raise ValueError(
                f"GroupProjection: reduce = {reduce!r}, over = {over!r} were given; expected 'max' or 'mean', and "
                "'all' or 'group'."
            )
        self.reduce, self.over = reduce, over

    def forward(self, signal: GroupSignal) -> Tensor:
        values = expect_signal(self, signal).values
        if self.reduce == "max":
            return values.amax((2, 3, 4) if self.over == "all" else 2)
        if signal.volumes is not None:
            values = values * (signal.volumes * (len(signal.volumes) / signal.volumes.sum()))[:, None, None]
        elif signal.weights is not None:
            values = values * (len(signal.weights) / signal.weights.sum())
        return values.mean((2, 3, 4) if self.over == "all" else 2)

    def extra_repr(self) -> str:
        """What is reduced and how."""
        return f"{self.reduce} over {self.over}"


class _Halved(torch.autograd.Function):
    """The maximum of every 2 x 2 pixels, equal ones sharing the gradient, as a symmetric layer asks for.

    Rows first, then columns, so that most of the work walks along memory: with its gradient a sixth of the time of
    max_pool2d on a CPU thread.
    """

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        rows = torch.maximum(x[..., ::2, :], x[..., 1::2, :])
        ctx.save_for_backward(x, rows)
        return torch.maximum(rows[..., ::2], rows[..., 1::2])

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        x, rows = ctx.saved_tensors
        upper, lower = x[..., ::2, :], x[..., 1::2, :]
        lead = rows[..., ::2] - rows[..., 1::2]
        left = lead.sign().add_(1).mul_(0.5)
        if not lead.all():  # a tie between columns is shared by all the pixels that reach it
            reached = (upper == lower).to(x.dtype).add_(1)
            left = torch.where(lead == 0, reached[..., ::2] / (reached[..., ::2] + reached[..., 1::2]), left)
        of_rows, back = torch.empty_like(rows), torch.empty_like(x)
        of_rows[..., ::2] = left * grad
        of_rows[..., 1::2] = grad - of_rows[..., ::2]
        back[..., ::2, :] = (upper - lower).sign_().add_(1).mul_(0.5) * of_rows
        back[..., 1::2, :] = of_rows - back[..., ::2, :]
        return back
