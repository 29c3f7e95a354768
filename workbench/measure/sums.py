"""What the norms of a comparison are made from, channel by channel, so that those behind a norm follow."""

from typing import NamedTuple

import torch
from torch import Tensor

_CANCELLED = 0.1  # of a sum of squares: less than this share left, and its rounding would be seen
Norms = tuple[Tensor, Tensor, Tensor]


class Scale:
    """What a norm in evaluation mode makes of each channel f: a f + b, a and b ``(C,)``."""

    def __init__(self, factor: Tensor, offset: Tensor) -> None:
        self.factor, self.offset, self._powers = factor.double(), offset.double(), dict[int, tuple[Tensor, float]]()

    def powers(self, count: int) -> tuple[Tensor, float]:
        """a^2 and 2 a b of so many entries, channels times group elements, ``(count, 2)``, and their sum of b^2."""
        if count not in self._powers:
            a, b = (t.repeat_interleave(count // len(t)) for t in (self.factor, self.offset))
            self._powers[count] = torch.stack([a.square(), 2 * a * b], -1), float(b @ b)
        return self._powers[count]


class Sums(NamedTuple):
    """Sums over the pixels of each channel.

    Attributes:
        rows: ``(6, E, B, C)``: squares of f(gx) - g f(x), of f(gx), of g f(x), of g^-1 g f(x) - f(x), of g^-1 g f(x);
            and g f(x) itself. NaN where nobody asked.
        still: ``(2, B, C)``: squares of f(x); and f(x) itself.
        pixels: sum of the weights.
    """

    rows: Tensor
    still: Tensor
    pixels: float

    def totals(self) -> "Totals":
        """Over the channels."""
        return Totals(self.rows[:5].double().sum(-1).cpu(), self.still[0].double().sum(-1).cpu())

    def scaled(self, scale: Scale) -> "Totals | None":
        """The same for a f + b, where g leaves a constant as it is.

        ``None`` where a sum of squares would keep too little of what it is made from.
        """
        powers, offsets = scale.powers(self.rows.shape[-1])
        constant = offsets * self.pixels
        squares, plain = (self.rows.double().cpu() @ powers).unbind(-1)
        still_squares, still_plain = (self.still.double().cpu() @ powers).unbind(-1)
        for made, mixed in ((squares[2] + constant, plain[5]), (still_squares[0] + constant, still_plain[1])):
            if bool((made + mixed < _CANCELLED * made).any()):
                return None
        unknown = torch.full_like(squares[0], torch.nan)
        moved = squares[2] + plain[5] + constant
        whole = torch.stack([squares[0], unknown, moved, squares[3], unknown])
        return Totals(whole, still_squares[0] + still_plain[1] + constant)


class Totals(NamedTuple):
    """Sums over all channels, float64.

    Attributes:
        rows: ``(5, E, B)``, the squares of :class:`Sums`.
        still: ``(B,)``, squares of f(x).
    """

    rows: Tensor
    still: Tensor

    @classmethod
    def joined(cls, parts: "list[Totals]") -> "Totals":
        """Those of some elements after those of others, for the same f."""
        return cls(torch.cat([part.rows for part in parts], 1), parts[0].still)

    def norms(self) -> tuple[Norms, Norms]:
        """``|f(gx) - g f(x)|, |f(gx)|, |g f(x)|``, and the same of the round trip on f(x); each ``(E, B)``."""
        difference, first, moved, change, back = self.rows.sqrt()
        return (difference, first, moved), (change, back, self.still.sqrt().expand_as(change))
