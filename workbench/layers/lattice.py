"""Which sizes let a layer commute exactly with quarter turns and flips.

A window of w pixels with stride s and p pixels of padding on each side visits the image symmetrically exactly
when s divides H + 2 p - w; otherwise the last pixels of one side are never seen and a turned image is read
differently (derived here; 2x2 pooling of 17 pixels is off by half of the signal).
"""

from __future__ import annotations

MOST_CHANNELS = 1 << 16
MOST = {"kernel_size": 255, "window": 1024, "stride": 1024, "padding": 1024}


def size_problem(size: tuple[int, int], window: int, stride: int, padding: int) -> str | None:
    """Why a sliding window breaks quarter turns at this size, with the nearest fix; ``None`` when it does not.

    >>> from workbench.layers.lattice import size_problem
    >>> size_problem((16, 16), window=2, stride=2, padding=0) is None
    True
    >>> print(size_problem((17, 17), window=2, stride=2, padding=0))
    a window of 2 with stride 2 and padding 0 leaves 1 of 17 pixels unseen on one side; use window 3, or size 16 or 18
    """
    for side in size:
        rest = (side + 2 * padding - window) % stride
        if rest:
            return (
                f"a window of {window} with stride {stride} and padding {padding} leaves {rest} of {side} pixels "
                f"unseen on one side; use window {window + rest}, or size {side - rest} or {side - rest + stride}"
            )
    return None


def check_size(name: object, size: tuple[int, int], window: int, stride: int, padding: int, exact: bool) -> None:
    """Refuse a size that the window cannot hold, or that breaks exactness while ``exact`` is asked for.

    Raises:
        ValueError: with what was given, what was expected and the nearest fix.
    """
    if min(size) + 2 * padding < window:
        raise ValueError(
            f"{name}: an input of {size[0]} x {size[1]} pixels was given; expected at least {window - 2 * padding} "
            f"for a window of {window} with padding {padding}; use a smaller window or more padding."
        )
    if exact and (problem := size_problem(size, window, stride, padding)):
        raise ValueError(f"{name}: not equivariant to quarter turns: {problem}; or pass exact=False to accept it.")


def check_window(name: str, **numbers: int) -> None:
    """Refuse window sizes, strides and paddings that are not sensible integers."""
    for key, value in numbers.items():
        least, most = 0 if key == "padding" else 1, MOST.get(key, MOST_CHANNELS)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name}: {key} = {value!r} was given; expected an integer of at least {least}.")
        if value > most:
            raise ValueError(f"{name}: {key} = {value} was given; expected at most {most}; look for a typo.")


def output_size(size: tuple[int, int], window: int, stride: int, padding: int) -> tuple[int, int]:
    """Pixels after the window: ``(H + 2 p - w) // s + 1`` on each side."""
    height, width = ((side + 2 * padding - window) // stride + 1 for side in size)
    return height, width


def as_size(size: int | tuple[int, int]) -> tuple[int, int]:
    """``(H, W)`` from one side or both."""
    sides = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, tuple | list) else ()
    if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
        raise ValueError(f"input_size = {size!r} was given; expected H = W or (H, W), positive integers, such as 28.")
    return sides[0], sides[1]
