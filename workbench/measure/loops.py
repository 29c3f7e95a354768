"""The comparison's inner loops, compiled: every number of a map is read once, and only sums are written.

In torch, one operation after the other, the same numbers are read and written six times. Maps are ``(B, P, C)`` with
P pixels, channels next to each other in memory; samples ``first`` to ``last`` are done, so that threads can share.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from workbench.kernels.loops import compiled
from workbench.measure.compare import Action
from workbench.measure.sums import Sums
from workbench.measure.turning import TurnedMaps, in_company, order_of, turns_of


@compiled
def apart(mine, wanted, path, elements, moves, out, first, last):
    """Weighted squares of ``mine[e, b, place, c] - wanted[b, source, c]``, summed over places, into ``out (E, B, C)``.

    Args:
        path: places, sources and weights, see :class:`Path`.
        elements: some of the E.
        moves: which row of the sources each of them follows.
    """
    place, sources, weight = path
    channels = mine.shape[3]
    for b in range(first, last):
        for i in range(len(elements)):
            e, source = elements[i], sources[moves[i]]
            for c in range(channels):
                out[e, b, c] = 0
            for k in range(0, len(place), 4):
                p0, p1, p2, p3 = place[k], place[k + 1], place[k + 2], place[k + 3]
                s0, s1, s2, s3 = source[k], source[k + 1], source[k + 2], source[k + 3]
                w0, w1, w2, w3 = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
                for c in range(channels):
                    d0 = mine[e, b, p0, c] - wanted[b, s0, c]
                    d1 = mine[e, b, p1, c] - wanted[b, s1, c]
                    d2 = mine[e, b, p2, c] - wanted[b, s2, c]
                    d3 = mine[e, b, p3, c] - wanted[b, s3, c]
                    out[e, b, c] += w0 * d0 * d0 + w1 * d1 * d1 + w2 * d2 * d2 + w3 * d3 * d3


@compiled
def round_trip(there, back, still, weight, turned, sums, first, last):
    """Weighted sums of ``there^2``, ``(back - still)^2`` and ``there``, into rows 0, 1 and 3 of ``sums (4, B C)``.

    The three are ``(P, B C)``; ``there`` is laid down as ``turned (B, P, C)``.
    """
    _, pixels, channels = turned.shape
    begin, end = first * channels, last * channels
    squares, changes, plain = sums[0, begin:end], sums[1, begin:end], sums[3, begin:end]
    squares[:], changes[:], plain[:] = 0, 0, 0
    for p in range(0, pixels, 2):
        q = min(p + 1, pixels - 1)
        w0, w1 = weight[p], weight[q]
        if q == p:  # the last of an odd number
            w1 = w0 * 0
        t0, t1 = there[p, begin:end], there[q, begin:end]
        b0, b1 = back[p, begin:end], back[q, begin:end]
        s0, s1 = still[p, begin:end], still[q, begin:end]
        for i in range(len(plain)):
            squares[i] += w0 * t0[i] * t0[i] + w1 * t1[i] * t1[i]
        for i in range(len(plain)):
            changes[i] += w0 * (b0[i] - s0[i]) * (b0[i] - s0[i]) + w1 * (b1[i] - s1[i]) * (b1[i] - s1[i])
        for i in range(len(plain)):
            plain[i] += w0 * t0[i] + w1 * t1[i]
    for b in range(first, last):
        for p in range(pixels):
            source, place = there[p, b * channels : (b + 1) * channels], turned[b, p]
            for c in range(channels):
                place[c] = source[c]


def shared(samples: int, work: Callable[[np.uintp, np.uintp], object]) -> None:
    """``work(first, last)`` for all samples, on as many threads as torch has."""
    threads = min(torch.get_num_threads(), samples)
    ends = [np.uintp(samples * part // threads) for part in range(threads + 1)]  # never counted from the end
    if threads == 1:
        work(*ends)
        return
    list(_pool(threads).map(work, ends[:-1], ends[1:]))


@lru_cache(maxsize=4)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "compare")


class Path(NamedTuple):
    """Where a comparison goes: four pixels at a time, so that the sums are fetched and stored a quarter as often.

    Attributes:
        place: pixels inside the mask, ``(K,)``, K a multiple of 4.
        sources: which pixel comes there under each move, ``(M, K)``.
        weight: of each place, ``(K,)``, 0 for what only fills up.
    """

    place: np.ndarray
    sources: np.ndarray
    weight: np.ndarray

    @classmethod
    def inside(cls, weight: np.ndarray, orders: np.ndarray) -> "Path":
        """``weight (P,)`` of each pixel and, for each move, which one comes to each place, ``orders (M, P)``."""
        inside = np.flatnonzero(weight)
        place = np.concatenate([inside, np.zeros(-len(inside) % 4, inside.dtype)])
        filled = weight[place]
        filled[len(inside) :] = 0
        # unsigned: what may be counted from the end is asked for its sign each time
        return cls(place.astype(np.uint32), orders[:, place].astype(np.uint32), filled)


os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not follow into a fork


@lru_cache(maxsize=16)
def _path(side: int, weight: bytes, kind: str) -> Path:
    moves = [order_of(quarters, mirrored, side).numpy() for quarters in range(4) for mirrored in (False, True)]
    return Path.inside(np.frombuffer(weight, kind), np.stack(moves))


class CompiledMaps(TurnedMaps):
    """The same by compiled loops: plain maps on a processor, channels last in memory."""

    at_once = 2**18  # they are read less often

    def sums(self, action: Action, got: Tensor) -> Sums:
        """See :meth:`TurnedMaps.sums`."""
        turns, count = turns_of(action), len(got)
        assert turns is not None  # asked before the maps were made
        mine = self._laid_out(got.flatten(0, 1)).view(count, *self.buffer.shape).numpy()
        path = _path(self.side, self.weight.numpy().tobytes(), str(mine.dtype))
        rows = np.full((6, count, self.batch, self.channels), np.nan, mine.dtype)
        moves = np.array(turns.quarters) * 2 + np.array(turns.mirrored)
        for rest, group in groupby(in_company(turns), turns.rest.__getitem__):
            some = np.array(list(group))
            turned, own = self._kept(rest)
            rows[2:, some] = own.numpy().reshape(4, 1, self.batch, -1)
            arrays = mine, turned.numpy(), path, some, moves[some], rows[0]
            shared(self.batch, partial(apart, *arrays))
        return Sums(torch.from_numpy(rows), self.still.unflatten(-1, (self.batch, -1)), self.area)

    def _turned(self, rest: float) -> tuple[Tensor, Tensor]:
        if rest == 0:
            return super()._turned(rest)
        sums = self.still.new_full((4, self.still.shape[-1]), torch.nan)
        for rows, turned, place in zip(
            self.blocks, self.turned.split(self.some), sums.split(self.some * self.channels, 1), strict=True
        ):
            there = self._resampled(rows, rest)
            back, own = self._resampled(there, -rest), np.full((4, rows.shape[1]), np.nan, rows.numpy().dtype)
            arrays = [tensor.numpy() for tensor in (there, back, rows, self.weight, turned)]
            shared(len(turned), partial(round_trip, *arrays, own))
            place.copy_(torch.from_numpy(own))
        return self.turned, sums
