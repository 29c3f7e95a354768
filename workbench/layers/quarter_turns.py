"""Plain convolutions whose channels are regular fields of C4, and how far their weights are from equivariant ones.

Channel 4 f + r is orientation r of field f, F = C / 4 fields in all. A quarter turn acts on an image by rot90 and on
fields by (rho(q) v)[f, r] = rot90^q v[f, r - q], counter-clockwise. Weights ``(C_out, C_in, k, k)`` commute with it
exactly where

    W[o, r + q, i, s + q] = rot90^q W[o, r, i, s]

(no s in the first layer, whose input is an image), and the nearest such weights are the mean over the group, derived
here from the definitions:

    (P W)[o, r, i, s] = 1/4 sum_q rot90^-q W[o, r + q, i, s + q]
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workbench.layers.lattice import check_window

PLANE = (-2, -1)


SYMMETRIES: dict[str, tuple[tuple[int, bool], ...]] = {
    "C(4)": ((0, False), (1, False), (2, False), (3, False)),
    "C(2)": ((0, False), (2, False)),
    "D(1)": ((0, False), (0, True)),
}
"""Groups that act on fields of C4, as (quarter turns, mirrored left to right first). A mirror sends orientation r to
-r, which is the action of D4 on its four cosets of one mirror."""


def turn_fields(v: Tensor, q: int, mirrored: bool = False) -> Tensor:
    """rho(q) on regular fields ``(B, 4 F, H, W)``; vectors ``(B, 4 F)`` have no pixels to turn.

    >>> turn_fields(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), 1).tolist()
    [[4.0, 1.0, 2.0, 3.0]]
    """
    fields = v.unflatten(1, (-1, 4))
    if mirrored:
        fields = _orientations(fields, 2, 0, True)
        fields = fields.flip(-1) if v.ndim == 4 else fields
    rolled = fields.roll(q, 2).flatten(1, 2)
    return torch.rot90(rolled, q, PLANE) if v.ndim == 4 else rolled


def projected(weight: Tensor, first: bool = False, symmetry: str = "C(4)") -> Tensor:
    """P W: the nearest weights ``(4 O, C_in, k, k)`` that commute with a symmetry of :data:`SYMMETRIES`.

    C_in = 4 I, or any number if ``first``.

    >>> w = torch.randn(8, 1, 3, 3)
    >>> torch.allclose(projected(projected(w, True), True), projected(w, True))
    True
    """
    apart = weight.unflatten(0, (-1, 4))
    if not first:
        apart = apart.unflatten(2, (-1, 4))
    moved = []
    for q, mirrored in SYMMETRIES[symmetry]:
        ahead = _orientations(apart, 1, q, mirrored)
        ahead = ahead if first else _orientations(ahead, 3, q, mirrored)
        back = torch.rot90(ahead, -q, PLANE)
        moved.append(back.flip(-1) if mirrored else back)
    return torch.stack(moved).mean(0).reshape(weight.shape)


def _orientations(apart: Tensor, dim: int, q: int, mirrored: bool) -> Tensor:
    """Orientation q + r, or q - r, in the place of r."""
    if not mirrored:
        return apart.roll(-q, dim)
    return apart.index_select(dim, torch.tensor([(q - r) % 4 for r in range(4)], device=apart.device))


def expanded(base: Tensor) -> Tensor:
    """Weights ``(4 O, C_in, k, k)`` that commute, from their orientation 0: W[o, r, i, s] = rot90^r base[o, i, s - r].

    base: ``(O, I, 4, k, k)`` over fields, or ``(O, I, k, k)`` over images.
    """
    over_fields = base.ndim == 5
    rows = [torch.rot90(base.roll(r, 2) if over_fields else base, r, PLANE) for r in range(4)]
    weight = torch.stack(rows, 1).flatten(0, 1)
    return weight.flatten(1, 2) if over_fields else weight


def field_mean(vector: Tensor, symmetry: str = "C(4)") -> Tensor:
    """The nearest ``(..., 4 F)`` that a symmetry leaves alone, a bias or a read-out: for C(4), alike in each field."""
    apart = vector.unflatten(-1, (-1, 4))
    moved = [_orientations(apart, apart.ndim - 1, q, mirrored) for q, mirrored in SYMMETRIES[symmetry]]
    return torch.stack(moved).mean(0).flatten(-2)


class FieldConv2d(nn.Conv2d):
    """An ordinary convolution that knows its distance from the nearest one that commutes with quarter turns.

    Args:
        in_channels, out_channels, kernel_size, padding: as in ``nn.Conv2d``, odd k; both numbers of channels are
            multiples of 4, except C_in where ``first``.
        first: the input is an image, not fields.

    >>> layer = FieldConv2d(1, 8, 3, padding=1, first=True)
    >>> float(layer.distance().detach()) > 0
    True
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, padding: int = 0, *, first: bool = False):
        check_fields(type(self).__name__, in_channels, out_channels, first)
        super().__init__(in_channels, out_channels, kernel_size, padding=padding)
        self.first = first

    def distance(self, symmetry: str = "C(4)") -> Tensor:
        """|W - P W|^2 + |b - P b|^2."""
        of_bias = 0.0 if self.bias is None else (self.bias - field_mean(self.bias, symmetry)).square().sum()
        return (self.weight - projected(self.weight, self.first, symmetry)).square().sum() + of_bias

    @torch.no_grad()
    def project_weights(self, symmetry: str = "C(4)") -> None:
        """Replace the weights by the nearest ones that commute."""
        self.weight.copy_(projected(self.weight, self.first, symmetry))
        if self.bias is not None:
            self.bias.copy_(field_mean(self.bias, symmetry))


class FieldBatchNorm2d(nn.Module):
    """Batch norm with one mean, variance, scale and shift per field, so that it commutes with quarter turns."""

    def __init__(self, channels: int):
        super().__init__()
        check_fields(type(self).__name__, 4, channels, False)
        self.norm = nn.BatchNorm3d(channels // 4)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 4 F, H, W)`` to the same."""
        return self.norm(x.unflatten(1, (-1, 4))).flatten(1, 2)


def check_fields(name: str, in_channels: int, out_channels: int, first: bool) -> None:
    """Refuse channels that do not divide into fields of four."""
    check_window(name, in_channels=in_channels, out_channels=out_channels)
    for what, count in (("in_channels", 4 if first else in_channels), ("out_channels", out_channels)):
        if count % 4:
            raise ValueError(
                f"{name}: {what} = {count} was given; expected a multiple of 4, one channel for each quarter turn; use "
                f"{count + 4 - count % 4}."
            )
