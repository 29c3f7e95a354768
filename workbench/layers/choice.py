"""Which exact way to convolve is the cheapest: the one measured heuristic.

Every way is priced by its multiplications and by the memory it walks through, with rates fitted to a table of steps and
cached evaluations on one CPU thread (tests/benchmarks/choice.py takes it; its page shows it beside what is picked).
"""

from __future__ import annotations

import os
from functools import lru_cache
from math import prod
from typing import Literal

import torch
from torch import Tensor

from workbench.kernels.geometry import disc_taps
from workbench.layers.spectral import Window

Way = Literal["dense", "last", "split", "columns", "spectral", "steps"]

CONVOLUTION = 89.2e9  # operations per second
NARROW = 75e9  # of kernels of 3 x 3
BACKWARD = 1.14  # times as long, each gradient of theirs
LANES = 8  # input channels are padded to whole numbers of these
COLUMNS = 168e9  # of taps laid out as channels
PRODUCT = 55e9  # of a matrix product for each frequency
TRANSFORM = 37.9e9  # of the products that make and end spectra
MIXING = 50e9  # of channels and elements at one point
FILTERS = 31.7e9  # of filters with one input channel each
ROWS = 4  # images that such a product takes longer for
THIN = 2.3  # a convolution of few input channels is bound by its output
THIN_FORWARD = 1.79  # of the block of a split disc
LAST = 1.08  # the same with channels last in memory
TURNED = 2.08  # of input and answer that are put into that order and back
MEMORY = 7.94e9  # bytes per second, each way
NEAR = 1.58  # times as fast, while all of it stays in the cache
CACHE = 2**21  # bytes
SMALLER = 1.18  # smaller convolutions run a little slower
SHIFTED = 5.45  # reads and writes of the input beside a split disc, each pass
ADDED = 2.16  # of the answer that a second call adds to
COPIED = 5.91  # of each tap laid out as channels
SPECTRA = 0.925  # of spectra beside those of weights
WALKED = 2.8  # of input and answer in steps, each way
WALKED_KEPT = 1.5  # the same where no gradient asks for channels last in memory
CALL = 0.000159  # seconds of a pass that a second call costs
WHOLE = 5.97e-9  # seconds a number of a kernel that is made as a product, with its gradient
SHARE = 32  # of the machine's memory that spectra may take at most: 512 x 512 channels on 14 x 14 pixels take 450 MB
FRUGAL = 2**28  # bytes of them where the machine does not tell


def choose(window: Window, x: Tensor, channels_out: int, fresh: bool, steps: tuple[int, int] | None = None) -> Way:
    """The cheapest way; on an accelerator, where nothing was measured, one dense call, or the steps of a product.

    Args:
        window: how the kernels slide.
        x: the input, ``(B, C_in, H, W)``.
        channels_out: output channels times elements.
        fresh: the kernels are made for this call alone and get a gradient; otherwise they are kept.
        steps: multiply-adds per pixel before filtering and per pixel of the answer, of kernels that are products.
    """
    if x.device.type != "cpu" or window.kernel_size == 1 or window.stride != 1:
        return "dense" if steps is None else "steps"
    exact = x.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled("cpu")
    price = prices(window, x.shape[0], x.shape[1], channels_out, fresh, steps)
    if not exact or window.products * x.shape[1] * channels_out * x.element_size() > largest_spectra():
        price = {way: cost for way, cost in price.items() if way != "spectral"}
    return min(price, key=price.__getitem__)


@lru_cache(maxsize=1)
def largest_spectra() -> int:
    """Bytes that the spectra of one layer may take."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // SHARE
    except (AttributeError, ValueError, OSError):  # another kind of system
        return FRUGAL


def _walk(number: int) -> float:
    """Seconds to read or write so many bytes."""
    return number / (MEMORY if number > CACHE else NEAR * MEMORY)


@lru_cache(maxsize=1024)
def prices(
    window: Window, batch: int, channels_in: int, channels_out: int, fresh: bool, steps: tuple[int, int] | None = None
) -> dict[Way, float]:
    """Estimated seconds of one call, with its gradient when ``fresh``, for each way that the window allows."""
    k, pairs = window.kernel_size, channels_in * channels_out
    pixels, answers = prod(window.size), prod(window.out_size)
    passes, touches = (3, 8) if fresh else (1, 1)  # gradients of input and kernel; reads and writes of the weights
    seen, given = (_walk(4 * batch * channels * answers) for channels in (channels_in, channels_out))
    filled = channels_in / (-(-channels_in // LANES) * LANES)
    rate, slowly = (CONVOLUTION, 1.0) if k > 3 else (NARROW * filled, BACKWARD)
    dense = 2 * batch * pairs * answers * k * k * (1 + (passes - 1) * slowly) / rate
    weights = 4 * touches * pairs / MEMORY  # seconds per number in a kernel
    thin = channels_in < LANES
    price: dict[Way, float] = {
        "dense": dense * (THIN if thin else 1) + k * k * weights,
        "last": dense * LAST + k * k * weights + TURNED * (seen + given) * passes,
    }
    if k % 2:
        taps = (k - 2) ** 2 + 4
        share = SMALLER * taps / (k * k) * ((THIN_FORWARD if thin else 1) + passes - 1) / passes
        shifted = (SHIFTED * seen + ADDED * given) * passes
        price["split"] = share * dense + taps * weights + shifted + CALL * passes
    if k == 3:
        taps = len(disc_taps(k))
        products = 2 * batch * pairs * answers * taps * passes / COLUMNS
        price["columns"] = products + taps * weights + (COPIED * taps * seen + ADDED * given) * passes + CALL
    rank = window.products
    maps = channels_in * pixels + channels_out * answers
    spectra = 2 * rank * (batch * maps * (2 if fresh else 1) / TRANSFORM + (batch + ROWS) * pairs * passes / PRODUCT)
    made = 4 * rank * len(disc_taps(k)) * pairs / TRANSFORM if fresh else 0.0
    price["spectral"] = spectra + made + rank * weights * SPECTRA
    if steps is not None:
        walked = (seen + 2 * given) * (2 * WALKED if fresh else WALKED_KEPT)
        price["steps"] = 2 * batch * (steps[0] * pixels / MIXING + steps[1] * answers / FILTERS) * passes + walked
        price["steps"] += CALL * passes
        if fresh:  # the product is made and taken apart again
            price = {way: cost + (way != "steps") * WHOLE * k * k * pairs for way, cost in price.items()}
    return price
