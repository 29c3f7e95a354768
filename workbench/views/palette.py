"""Every colour of every figure, chosen by meaning and readable on a light and on a dark page.

Backgrounds are transparent, so the page decides. Series colours keep a contrast of at least 3 to 1 against white
and against near-black and stay apart for the three dichromatic kinds of colour vision; the tests measure both.
"""

from __future__ import annotations

from collections.abc import Sequence

LIGHT_PAGE = "#ffffff"
DARK_PAGE = "#121212"
PAGES = (LIGHT_PAGE, DARK_PAGE)

BLUE = "#2f73ee"
ORANGE = "#d06a1a"
GREEN = "#10a37a"
PINK = "#d455b0"
SERIES = (BLUE, ORANGE, GREEN, PINK)
"""Colours of measured series, in the order of use; beyond four, the dash pattern changes as well."""

NEUTRAL = "#808080"
"""Floors, ghosts and cursors: always dashed or dotted and labelled, never told apart by colour alone."""
TEXT = "#7a7a7a"
"""Text where the page has not set its own colour; a face overrides `layout.font.color`."""

GRID = "rgba(128,128,128,0.22)"
FAINT = "rgba(128,128,128,0.12)"
CLEAR = "rgba(128,128,128,0)"
DASHES = ("solid", "dash", "dot", "dashdot")

Scale = list[list[float | str]]


def with_alpha(colour: str, alpha: float) -> str:
    """The same colour, partly transparent: ``#rrggbb`` to ``rgba(...)``.

    >>> with_alpha("#2f73ee", 0.5)
    'rgba(47,115,238,0.5)'
    """
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def series(index: int) -> dict[str, str]:
    """Colour and dash of the series of that number, for a plotly `line`.

    >>> series(0)["dash"], series(4)["dash"]
    ('solid', 'dash')
    """
    return {
        "color": SERIES[index % len(SERIES)],
        "dash": DASHES[index // len(SERIES) % len(DASHES)],
    }


def _evenly(colours: Sequence[str]) -> Scale:
    last = len(colours) - 1
    return [[at / last, colour] for at, colour in enumerate(colours)]


DIVERGING: Scale = [
    [0.0, ORANGE],
    [0.499, with_alpha(ORANGE, 0)],
    [0.501, with_alpha(BLUE, 0)],
    [1.0, BLUE],
]
"""Signed values about zero: zero is the page itself, so a kernel's disc floats on either theme."""

CYCLIC: Scale = _evenly((BLUE, PINK, ORANGE, GREEN, BLUE))
"""Angles: both ends are the same colour and the lightness hardly changes."""

SEQUENTIAL: Scale = _evenly(("#131a3a", "#27408b", "#2c77b5", "#4fb0a5", "#aedb97", "#f8f3cf"))
"""Magnitudes and images: lightness grows evenly from ink to cream."""
