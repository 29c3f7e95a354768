"""What the norms of a comparison are made from, channel by channel, so that those behind a norm follow."""

from typing import NamedTuple

import torch
from torch import Tensor

_CANCELLED = 0.1  # of a sum of squares: less than this share left, and its rounding would be seen
Norms = tuple[Tensor, Tensor, Tensor]


class Scale:
    """What a norm in evaluation mode makes of each channel f: a f + b, a and b ``(C,)``."""

    def __init__(self, factor: Tensor, offset: Tensor) -> None:
        self.factor, self.offset, self._powers = factor, offset, dict[tuple, tuple[Tensor, Tensor, Tensor]]()

    def powers(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """a^2, 2 a b and b^2 for each of the last entries of ``like``, which are channels times group elements."""
        key = like.shape[-1], like.dtype, like.device
        if key not in self._powers:
            a, b = (t.repeat_interleave(like.shape[-1] // len(t)) for t in (self.factor, self.offset))
            self._powers[key] = a.square().to(like), (2 * a * b).to(like), b.square().to(like)
        return self._powers[key]


class Sums(NamedTuple):
    """Sums over the pixels of each channel.

    Attributes:
        rows: ``(6, E, B, C)``: squares of f(gx) - g f(x), of f(gx), of g f(x), of g^-1 g f(x) - f(x), of g^-1 g f(x);
            and g f(x) itself. NaN where nobody asked.
        still: ``(2, B, C)``: squares of f(x); and f(x) itself.
        pixels: sum of the weights.
        scale: of the channels, where the sums of a f + b are meant and not those of f.
    """

    rows: Tensor
    still: Tensor
    pixels: float
    scale: Scale | None = None

    def totals(self) -> "Totals":
        """Over the channels, scaled."""
        rows, still = self.rows.double(), self.still.double()
        if self.scale is None:
            return Totals(rows[:5].sum(-1).cpu(), still[0].sum(-1).cpu())
        square, mixed, offsets = self.scale.powers(rows)
        constant = offsets.sum() * self.pixels
        difference, change = rows[0] @ square, rows[3] @ square
        unknown = torch.full_like(difference, torch.nan)
        moved = rows[2] @ square + rows[5] @ mixed + constant
        whole = torch.stack([difference, unknown, moved, change, unknown])
        return Totals(whole.cpu(), (still[0] @ square + still[1] @ mixed + constant).cpu())

    def scaled(self, scale: Scale) -> "Sums | None":
        """The same for a f + b, where g leaves a constant as it is.

        ``None`` where a sum of squares would keep too little of what it is made from.
        """
        square, mixed, offsets = scale.powers(self.rows)
        constant = offsets.sum() * self.pixels
        for squares, plain in ((self.rows[2], self.rows[5]), self.still):
            made = squares @ square + constant
            if bool((made + plain @ mixed < _CANCELLED * made).any()):
                return None
        return self._replace(scale=scale)


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
