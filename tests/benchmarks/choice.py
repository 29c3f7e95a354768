"""Measure every way to convolve at every size, and how far the one that layers pick is from the best of them.

Run: python -m tests.benchmarks.choice [--rounds 7] [--only KIND,...] [--held-out] [--judge]. Results, with every
round, lie in tests/benchmarks/results/choice.json: the table behind workbench/layers/choice.py. A case is a layer, a
training step (forward and backward, kernels made) or an evaluation with kept kernels; its ways are those of
`choice.Way`. Times are the process's CPU time on one thread; rounds interleave the ways, and there are three times as
many of them where a call takes less than SHORT.

picked over best: the median over rounds of the picked way's time over that of the way with the smallest median.

Give the allocator room before starting, as `workbench doctor` says: MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import statistics
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from tests.benchmarks.group_conv_speed import RESULTS, interleaved, seconds
from workbench.groups import GroupSignal
from workbench.layers import GroupConv, LiftingConv, SeparableConv
from workbench.layers.convolution import GroupLayer
from workbench.layers.spectral import Window

WITHIN = 1.1
SHORT = 0.03  # seconds
SIZES = [  # kind, channels, pixels, k, n, batches
    ("group", 10, 28, 7, 8, (1, 8, 16, 64)),
    ("group", 32, 14, 7, 8, (1, 8, 16, 64)),
    ("group", 32, 14, 3, 8, (16,)),
    ("group", 32, 14, 5, 8, (16,)),
    ("group", 32, 14, 9, 8, (16,)),
    ("group", 32, 14, 7, 4, (16,)),
    ("group", 32, 14, 7, 16, (16,)),
    ("group", 16, 14, 7, 8, (16,)),
    ("group", 64, 14, 7, 8, (16,)),
    ("group", 10, 28, 3, 4, (8, 64)),
    ("group", 8, 16, 5, 8, (8, 64)),
    ("group", 16, 8, 5, 8, (8, 64)),
    ("group", 16, 8, 3, 8, (8, 64)),
    ("group", 4, 32, 5, 4, (8, 64)),
    ("group", 16, 7, 15, 4, (8,)),
    ("group", 4, 28, 15, 8, (8,)),
    ("lifting", 10, 28, 3, 4, (1, 16, 64)),
    ("lifting", 10, 28, 7, 8, (1, 16, 64)),
    ("lifting", 32, 14, 3, 4, (1, 16, 64)),
    ("lifting", 32, 14, 7, 8, (1, 16, 64)),
    ("lifting gray", 8, 16, 5, 4, (8, 64)),
    ("lifting gray", 16, 28, 7, 8, (8, 64)),
    *(
        (f"separable/{factorisation}", channels, pixels, k, n, batches)
        for factorisation in ("separable", "dseparable", "dgseparable")
        for channels, pixels, k, n, batches in (
            (10, 28, 7, 16, (1, 16)), (32, 14, 7, 8, (1, 16)), (8, 16, 5, 8, (8, 64)), (4, 16, 3, 4, (8, 64)),
        )
    ),
]  # fmt: skip

HELD_OUT = [  # the same of sizes that take no part in fitting the prices
    ("group", 12, 20, 5, 8, (4, 32)),
    ("group", 24, 14, 7, 4, (8,)),
    ("group", 20, 16, 3, 4, (16,)),
    ("group", 6, 32, 7, 8, (8,)),
    ("group", 48, 8, 3, 4, (32,)),
    ("lifting", 16, 28, 5, 8, (16,)),
    ("lifting gray", 24, 28, 7, 8, (32,)),
    ("separable/separable", 16, 14, 5, 8, (8,)),
    ("separable/dseparable", 12, 20, 7, 8, (8,)),
]


def ways(kind: str, k: int) -> tuple[str, ...]:
    """All that could be done, whether or not `choose` would think of it."""
    found = ("dense", "last", "spectral", *(("split",) if k % 2 else ()), *(("columns",) if k == 3 else ()))
    return (*found, "steps") if kind.startswith("separable") else found


def layer(kind: str, c: int, k: int, n: int) -> GroupLayer:
    """The layer of one case."""
    factorisation = kind.partition("/")[2]
    if factorisation:
        return SeparableConv(c, c, k, n=n, factorisation=factorisation)
    if kind.startswith("lifting"):
        return LiftingConv(1 if kind == "lifting gray" else c, c, k, n=n)
    return GroupConv(c, c, k, n=n)


def case(kind: str, c: int, size: int, k: int, n: int, batch: int, fresh: bool, rounds: int) -> dict[str, Any]:
    """One layer by every way, each with a copy of its own that keeps its kernels."""
    torch.manual_seed(0)
    of_case = layer(kind, c, k, n).train(fresh)
    x = torch.randn(batch, of_case.in_channels * (1 if of_case.lifting else n), size, size, requires_grad=fresh)
    grad = torch.randn(batch, c, n, size, size)
    elements = of_case.elements()

    def run(way: str) -> Callable[[], None]:
        ours = copy.deepcopy(of_case)

        def once() -> None:
            signal = x if ours.lifting else GroupSignal(x.unflatten(1, (c, n)), elements, ours.group)
            with mock.patch.object(type(ours), "_way", return_value=way):
                out = ours(signal).values
            if fresh:
                out.backward(grad)
                ours.zero_grad()
                x.grad = None

        return once

    contestants = {way: run(way) for way in ways(kind, k)}
    with nullcontext() if fresh else torch.no_grad():
        contestants["dense"]()
        short = seconds(contestants["dense"], 1) < SHORT
        times = interleaved(contestants, 3 * rounds if short else rounds)
    return judged({
        "kind": kind, "call": "step" if fresh else "eval", "channels": c, "pixels": size, "k": k, "n": n,
        "batch": batch, "seconds": {way: [float(f"{second:.4g}") for second in each] for way, each in times.items()},
    })  # fmt: skip


one_layer = cache(layer)  # to ask, not to run


def judged(row: dict[str, Any]) -> dict[str, Any]:
    """The row with the way that layers pick as they are now, and how far that is from the best."""
    kind, c, k, n, size, times = *(row[name] for name in ("kind", "channels", "k", "n", "pixels")), row["seconds"]
    of_case = one_layer(kind, c, k, n)
    x = torch.empty(row["batch"], of_case.in_channels * (1 if of_case.lifting else n), size, size)
    picked = of_case._way(Window((size, size), k, 1, k // 2, "zeros"), x, n, row["call"] == "step")
    medians = {way: statistics.median(each) for way, each in times.items()}
    best = min(medians, key=medians.__getitem__)
    over = [a / b for a, b in zip(times[picked], times[best], strict=True)]
    low, middle, high = statistics.quantiles(over, n=4)
    return row | {
        "milliseconds": {way: 1e3 * each for way, each in medians.items()}, "picked": picked, "best": best,
        "ratio": middle, "quartiles": [low, high],
    }  # fmt: skip


def main() -> None:
    """Measure the cases asked for and store them beside the others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="kinds, as group,lifting")
    parser.add_argument("--held-out", action="store_true", help="sizes that take no part in fitting the prices")
    parser.add_argument("--judge", action="store_true", help="measure nothing; judge what is stored by today's prices")
    given = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / "choice.json"
    stored = json.loads(path.read_text()) if path.exists() else {"rows": []}
    rows = stored["rows"]
    if given.judge:
        store(path, [judged({"held_out": False} | row) for row in rows], stored["environment"])
        return
    for kind, c, size, k, n, batches in HELD_OUT if given.held_out else SIZES:
        if given.only and not any(kind.startswith(each) for each in given.only.split(",")):
            continue
        for batch, fresh in product(batches, (True, False)):
            row = case(kind, c, size, k, n, batch, fresh, given.rounds) | {"held_out": given.held_out}
            print({key: value for key, value in row.items() if key != "seconds"}, flush=True)
            about = ("kind", "call", "channels", "pixels", "k", "n", "batch")
            rows = [old for old in rows if any(old[key] != row[key] for key in about)] + [row]
            store(path, rows, environment())


def environment() -> dict[str, Any]:
    """Where times are taken."""
    return {
        "threads": 1, "torch": torch.__version__, "load": os.getloadavg(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }  # fmt: skip


def store(path: Path, rows: list[dict[str, Any]], where: dict[str, Any]) -> None:
    """Write the table, a line for each size, and where it was taken."""
    lines = ",\n".join(json.dumps(row) for row in rows)
    about = f'"within": {WITHIN}, "environment": {json.dumps(where)}'
    path.write_text(f'{{{about}, "rows": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
