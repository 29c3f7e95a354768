"""Numbers as a reader says them, and from which size on an error counts."""

from __future__ import annotations

CLOSE = 0.01
"""Error below which a symmetry is nearly there, in parts of how far the answers to two different images differ."""


OWN, PIXELS = "its own units", "pixels"
"""Units in which an absolute error counts: those of the answer, or pixels, for boxes and key points."""
HIDDEN = "cannot be told"
"""Of an error that chance or rounding hides."""
FAINT = 1e-3
"""Answers that differ by less from one input to another look hardly at the input."""


def both(error: float, absolute: float, unit: str) -> str:
    """An error relative and absolute, beside each other.

    >>> both(0.12, 0.0345, "its own units")
    '12 % (0.035 in its own units)'
    """
    size = f"{absolute:.2g} px" if unit == PIXELS else f"{absolute:.2g} in {unit}"
    return percent(error) + (f" ({size})" if absolute == absolute else "")


def percent(value: float) -> str:
    """A share as a reader says it, small ones as powers.

    >>> percent(0.1234), percent(2.3e-7), percent(1.5)
    ('12 %', '2.3e-07', '150 %')
    """
    if value < 0.001:
        return f"{value:.1e}" if value else "0"
    return f"{100 * value:.2g} %" if value < 0.1 else f"{100 * value:.0f} %"


def shown(low: float) -> bool:
    """Whether a share is measured to help: its interval begins above zero, or one sample has none.

    >>> shown(0.1), shown(-0.25), shown(float("nan"))
    (True, False, True)
    """
    return not low <= 0
