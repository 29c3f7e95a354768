"""Measure relaxed and partial layers against their strict twins, as ratios of one process, with the memory of a step.

Run: python -m tests.benchmarks.relaxed_cost [--rounds 9] [--threads 1]. Results, with every round, lie in
tests/benchmarks/results/relaxed_cost_<threads>.json. Times are the process's CPU time, a training step each (forward
and backward); rounds interleave the contestants. The twin of a planar layer is torch's Conv2d, that of a group layer
our GroupConv with the same kernel network; a partial layer covers the whole circle or half of it. Memory is what the
forward pass keeps for the backward one.

Give the allocator room before starting, as `workbench doctor` says: MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tests.benchmarks.group_conv_speed import RESULTS, interleaved, ratios
from workbench.groups import SO2, GroupSignal
from workbench.layers import GroupConv, LiftingConv, RelaxedConv2d, RelaxedGroupConv

PLANAR = [(16, 28, 5, 16), (32, 16, 3, 16), (16, 16, 5, 64), (32, 28, 7, 8)]  # channels, pixels, kernel, batch
TURNING = [(8, 28, 5, 8), (16, 16, 5, 8), (10, 28, 7, 16), (16, 14, 7, 16)]
RANKS = (2, 4, 8)
SMALL = 16  # pixels a side up to which a filter for each place is measured
ARCS = ("whole circle", "half circle")
ALLOWED = {name: 1.15 for name in ("dial 0", "dial", *ARCS)} | {f"rank {r}": r + 0.3 for r in RANKS}


def step(layer: nn.Module, x: Any) -> Callable[[], None]:
    """A forward and a backward pass."""

    def run() -> None:
        out = layer(x)
        (out.values if isinstance(out, GroupSignal) else out).square().mean().backward()
        layer.zero_grad()

    return run


def kept_bytes(layer: nn.Module, x: Any) -> int:
    """Bytes of all memory that one forward pass keeps for its backward pass, parameters and input apart."""
    held: dict[int, int] = {p.untyped_storage().data_ptr(): 0 for p in [*layer.parameters(), *layer.buffers()]}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        held.setdefault(storage.data_ptr(), storage.nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = layer(x)
    del out
    return sum(held.values())


def compared(layers: dict[str, nn.Module], twin: str, x: Any, rounds: int) -> list[dict[str, Any]]:
    """Each layer over its twin."""
    times = interleaved({name: step(layer, x) for name, layer in layers.items()}, rounds)
    memory = {name: kept_bytes(layer, x) / 1e6 for name, layer in layers.items()}
    return [
        {"form": name, "allowed": ALLOWED.get(name), "kept_megabytes": memory[name],
         "twin_megabytes": memory[twin], **ratios(times, name, twin)}
        for name in layers if name != twin
    ]  # fmt: skip


def planar(c: int, size: int, k: int, batch: int, mode: str, rounds: int) -> list[dict[str, Any]]:
    """The forms of one planar layer over an ordinary convolution."""
    torch.manual_seed(0)
    layers: dict[str, nn.Module] = {
        "twin": nn.Conv2d(c, c, k, padding=k // 2, padding_mode=mode),
        "dial 0": RelaxedConv2d(c, c, k, absolute=0.0, learned=(), padding_mode=mode),
    }
    for rank in RANKS:
        layers[f"rank {rank}"] = RelaxedConv2d(c, c, k, absolute=0.3, rank=rank, padding_mode=mode)
    if size <= SMALL:
        layers["each place"] = RelaxedConv2d(c, c, k, absolute=0.3, padding_mode=mode)
    x = torch.randn(batch, c, size, size, requires_grad=True)
    about = {"channels": c, "pixels": size, "k": k, "batch": batch, "padding": mode}
    return [{**about, **row} for row in compared(layers, "twin", x, rounds)]


def turning(c: int, size: int, k: int, batch: int, rounds: int) -> list[dict[str, Any]]:
    """The dial of the rotation over the strict group convolution."""
    torch.manual_seed(0)
    lifted = LiftingConv(3, c, 5, group="C(8)")(torch.randn(batch, 3, size, size))
    x = GroupSignal(lifted.values.detach().requires_grad_(), lifted.elements, lifted.group, None, lifted.uniform)
    layers = {
        "twin": GroupConv(c, c, k, group="C(8)"),
        "dial 0": RelaxedGroupConv(c, c, k, group="C(8)", absolute=0.0, learned=False),
        "dial": RelaxedGroupConv(c, c, k, group="C(8)", absolute=0.3),
    }
    rows = compared(layers, "twin", x, rounds)
    partial = {name: GroupConv(c, c, k, n=8, partial=True) for name in ARCS}
    with torch.no_grad():
        partial["half circle"].distribution.theta.fill_(0.5)
    full = GroupSignal(x.values, SO2().grid(8), SO2())
    rows += compared({"twin": GroupConv(c, c, k, n=8), **partial}, "twin", full, rounds)
    about = {"channels": c, "pixels": size, "k": k, "batch": batch, "padding": "zeros"}
    return [{**about, **row} for row in rows]


def main() -> None:
    """Measure everything and store it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    rounds = given.rounds
    torch.set_num_threads(given.threads)
    result = {
        "planar": [
            row for case in PLANAR for mode in ("zeros", "circular") for row in planar(*case, mode, rounds)
        ],
        "turning": [row for case in TURNING for row in turning(*case, rounds)],
        "environment": {
            "threads": given.threads, "torch": torch.__version__, "load": os.getloadavg(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        },
    }  # fmt: skip
    (RESULTS / f"relaxed_cost_{given.threads}.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
