"""Which exact way to convolve is the cheapest: the one measured heuristic.

Every way is priced by its multiplications and by the memory it walks through, with rates fitted to steps and
cached evaluations on one CPU thread (tests/benchmarks/group_conv_speed.py repeats the measurement).
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Literal

import torch
from torch import Tensor

from workbench.kernels.geometry import disc_taps
from workbench.layers.spectral import Window

Way = Literal["dense", "split", "columns", "spectral"]

CONVOLUTION = 130e9  # operations per second
NARROW = 100e9  # of kernels of 3 x 3, and of as many taps laid out as channels
LANES = 8  # input channels are padded to whole numbers of these
PRODUCT = 45e9  # of matrix products
MEMORY = 8e9  # bytes per second, each way
FEWEST_INPUTS = 16  # with fewer channels a convolution is bound by its output, not by its taps
CALL = 3e-4  # seconds of a step that a second call costs
LARGEST_SPECTRA = 2**28  # bytes; 512 x 512 channels on 7 x 7 pixels take 155 MB


def choose(window: Window, x: Tensor, channels_out: int, fresh: bool) -> Way:
    """The cheapest way; on an accelerator, where nothing was measured, always one dense call.

    Args:
        window: how the kernels slide.
        x: the input, ``(B, C_in, H, W)``.
        channels_out: output channels times elements.
        fresh: the kernels are made for this call alone and get a gradient; otherwise they are kept.
    """
    if x.device.type != "cpu" or window.kernel_size == 1 or window.stride != 1:
        return "dense"
    exact = x.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled("cpu")
    price = prices(window, x.shape[0], x.shape[1], channels_out, fresh)
    if not exact or window.products * x.shape[1] * channels_out * x.element_size() > LARGEST_SPECTRA:
        price = {way: cost for way, cost in price.items() if way != "spectral"}
    return min(price, key=price.__getitem__)


@lru_cache(maxsize=1024)
def prices(window: Window, batch: int, channels_in: int, channels_out: int, fresh: bool) -> dict[Way, float]:
    """Estimated seconds of one call, with its gradient when ``fresh``, for each way that the window allows."""
    k, pairs = window.kernel_size, channels_in * channels_out
    pixels, answers = prod(window.size), prod(window.out_size)
    passes, touches = (3, 8) if fresh else (1, 1)  # gradients of input and kernel; reads and writes of the weights
    filled = channels_in / (-(-channels_in // LANES) * LANES)
    dense = 2 * batch * pairs * answers * k * k * passes / (CONVOLUTION if k > 3 else NARROW * filled)
    weights = 4 * touches * pairs / MEMORY  # seconds per number in a kernel
    price: dict[Way, float] = {"dense": dense + k * k * weights}
    if k % 2 and channels_in >= FEWEST_INPUTS:
        taps = (k - 2) ** 2 + 4
        share = 1.15 * taps / (k * k)  # smaller convolutions run a little slower
        shifted = 4 * 4 * batch * channels_in * answers * (12 if fresh else 4) / MEMORY
        price["split"] = share * dense + taps * weights + shifted + (CALL if fresh else CALL / 6)
    if k == 3 and fresh:
        taps = len(disc_taps(k))
        products = 2 * batch * pairs * answers * taps * passes / NARROW
        copies = 13 * batch * answers * (taps * channels_in + channels_out) / MEMORY
        price["columns"] = products + taps * weights + copies
    rank = window.products
    maps = channels_in * pixels + channels_out * answers
    spectra = 2 * rank * batch * (maps * (2 if fresh else 1) + pairs * passes) / PRODUCT
    made = 4 * rank * len(disc_taps(k)) * pairs / PRODUCT if fresh else 0.0
    price["spectral"] = spectra + made + rank * weights
    return price
