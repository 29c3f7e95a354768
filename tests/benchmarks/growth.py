"""Measure how the cost of planar layers grows with n, k, C, batch and image size: time and memory of a training step.

Run: python -m tests.benchmarks.growth [--rounds 5]. Results, with every round, lie in results/growth.json beside this
file, with a picture. One quantity moves while the others stay at :data:`BASE`. Times are the process's CPU time on one
thread, rounds interleaved over layers; memory is what the forward pass keeps for the backward one, and the kernels that
a layer in evaluation keeps between calls.

Give the allocator room before starting, as `workbench doctor` says: MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.benchmarks.group_conv_speed import RESULTS, interleaved
from tests.benchmarks.relaxed_cost import kept_bytes, step
from workbench.groups import GroupSignal
from workbench.layers import GroupConv, RelaxedConv2d, RelaxedGroupConv, SeparableConv

BASE = {"n": 8, "k": 7, "channels": 16, "batch": 16, "pixels": 14}
MOVED = {
    "n": (4, 8, 12, 16), "k": (3, 5, 7, 9, 13), "channels": (4, 8, 16, 32), "batch": (1, 4, 16, 64),
    "pixels": (8, 14, 20, 28),
}  # fmt: skip
UNITS = {
    "n": "elements n",
    "k": "kernel k (pixels)",
    "channels": "channels C",
    "batch": "batch",
    "pixels": "image side (pixels)",
}
LAYERS: dict[str, Callable[..., nn.Module]] = {
    "plain convolution n C to n C": lambda c, k, n: nn.Conv2d(n * c, n * c, k, padding=k // 2),
    "group convolution": lambda c, k, n: GroupConv(c, c, k, n=n),
    "partial": lambda c, k, n: GroupConv(c, c, k, n=n, partial=True),
    "rotation-relaxed": lambda c, k, n: RelaxedGroupConv(c, c, k, n=n, absolute=0.3),
    "separable": lambda c, k, n: SeparableConv(c, c, k, n=n),
    "over scales": lambda c, k, n: GroupConv(c, c, k, group="Scale(2,1.74)", n=n),
    "position-relaxed, rank 4": lambda c, k, n: RelaxedConv2d(n * c, n * c, k, absolute=0.3, rank=4),
}


def at(values: dict[str, int], rounds: int) -> list[dict[str, Any]]:
    """Every layer at one size."""
    torch.manual_seed(0)
    n, k, c, batch, size = (values[name] for name in BASE)
    calls, memory, kept = {}, {}, {}
    for name, make in LAYERS.items():
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*leaves the smallest kernel")  # as kernels of the published 7 do
            layer = make(c, k, n)
        x = torch.randn(batch, n * c, size, size, requires_grad=True)
        seen = x
        if isinstance(layer, GroupConv):
            elements = layer.elements()
            seen = GroupSignal(x.unflatten(1, (c, len(elements))), elements, layer.group)
        memory[name], calls[name] = kept_bytes(layer, seen), step(layer, seen)
        kept[name] = _kept(layer, seen)
    times = interleaved(calls, rounds)
    return [
        {**values, "layer": name, "milliseconds": 1e3 * statistics.median(times[name]), "rounds": times[name],
         "kept_for_backward_mb": memory[name] / 1e6, "kept_in_evaluation_mb": kept[name] / 1e6}
        for name in LAYERS
    ]  # fmt: skip


def _kept(layer: nn.Module, x: Any) -> int:
    """Bytes of kernels that a layer keeps between calls in evaluation; of a plain one its weights."""
    if not isinstance(layer, GroupConv):
        return sum(p.numel() * p.element_size() for p in layer.parameters())
    layer.eval()
    with torch.no_grad():
        layer(x)
    assert layer._kept_bank is not None
    found = sum(part.untyped_storage().nbytes() for part in layer._kept_bank[1][1])
    layer.train()
    return found


def picture(rows: list[dict[str, Any]], path: Path) -> None:
    """Time above memory, one column for each quantity."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(MOVED), figsize=(16, 6.4), sharey="row", constrained_layout=True)
    for column, moved in enumerate(MOVED):
        for row, (value, unit) in enumerate(
            (("milliseconds", "CPU time of a step (ms)"), ("kept_for_backward_mb", "kept for the backward pass (MB)"))
        ):
            axis = axes[row][column]
            for name in LAYERS:
                line = [r for r in rows if r["layer"] == name and all(r[q] == v for q, v in BASE.items() if q != moved)]
                line.sort(key=lambda r: r[moved])
                axis.plot([r[moved] for r in line], [r[value] for r in line], marker="o", markersize=3, label=name)
            axis.set_xscale("log", base=2)
            axis.set_yscale("log")
            axis.set_xticks(MOVED[moved], [str(v) for v in MOVED[moved]])
            axis.set_xlabel(UNITS[moved])
            if not column:
                axis.set_ylabel(unit)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(LAYERS), frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main() -> None:
    """Measure everything, store it and draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    sizes = [{**BASE, name: value} for name, values in MOVED.items() for value in values if value != BASE[name]]
    rows: list[dict[str, Any]] = []
    for size in (BASE, *sizes):
        rows += at(size, rounds)
        print(size, {row["layer"]: round(row["milliseconds"], 1) for row in rows[-len(LAYERS) :]}, flush=True)
    environment = {
        "threads": 1, "torch": torch.__version__, "load": os.getloadavg(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }  # fmt: skip
    (RESULTS / "growth.json").write_text(json.dumps({"rows": rows, "environment": environment}, indent=1) + "\n")
    picture(rows, RESULTS / "growth.png")


if __name__ == "__main__":
    main()
