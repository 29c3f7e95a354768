"""Measure the reduced edge product against e3nn's FullyConnectedTensorProduct, as ratios of one process, with memory.

Run: python -m tests.benchmarks.edge_product [--rounds 7] [--threads 1] [--only musts|edge]. Results, with every round,
lie in tests/benchmarks/results/edge_product_<threads>.json. Times are the process's CPU time of a step: forward and
backward with gradients of features, weights and edge vectors, float32, E edges, features C x (0..L) of the parity of
harmonics in and out, filters up to L. Rounds interleave the contestants:

e3nn    FullyConnectedTensorProduct and its spherical harmonics.
own     our product with frames and Wigner matrices of its own.
shared  six of our products on one set of frames, a sixth of the time of all.
forces  both where gradients of the vectors are differentiated again, as in learning forces, up to degree 3.
edge    weights of each edge, channel by channel: e3nn's "uvu" with its harmonics against ours with its own frames.

Ratios are e3nn's time over ours. Memory is what a forward pass keeps for the backward one, parameters and inputs apart.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from typing import Any

import torch
from e3nn import o3
from torch import Tensor

from tests.benchmarks.group_conv_speed import RESULTS, interleaved, ratios
from workbench.e3.irreps import harmonic_irreps
from workbench.e3.product import EdgeProduct
from workbench.e3.wigner import EdgeFrames

EDGES = 1000
LAYERS = 6
MUSTS = {4: {"own": 4.0, "shared": 7.0}, 6: {"own": 6.0, "shared": 11.0}}
AIMS = {4: {"own": 5.0, "shared": 9.0}, 6: {"own": 9.0, "shared": 13.0}}
FORCES_UP_TO = 3
GRID = [(lmax, channels) for lmax in range(1, 7) for channels in (16, 32, 64)]


class Contest:
    """The contestants with shared weights at one size."""

    def __init__(self, lmax: int, channels: int):
        torch.manual_seed(0)
        irreps = harmonic_irreps(lmax, channels)
        self.lmax = lmax
        self.vectors = torch.randn(EDGES, 3, requires_grad=True)
        self.features = torch.randn(EDGES, irreps.dim, requires_grad=True)
        self.weighing = torch.randn(EDGES, irreps.dim)
        self.theirs = o3.FullyConnectedTensorProduct(irreps, harmonic_irreps(lmax), irreps)
        self.ours = [EdgeProduct(irreps, lmax, irreps, "so2") for _ in range(LAYERS)]

    def e3nn(self) -> list[Tensor]:
        degrees = list(range(self.lmax + 1))
        harmonics = o3.spherical_harmonics(degrees, self.vectors, normalize=True, normalization="component")
        return [self.theirs(self.features, harmonics)]

    def own(self) -> list[Tensor]:
        return [self.ours[0](self.features, self.vectors)]

    def shared(self) -> list[Tensor]:
        frames = EdgeFrames(self.vectors, self.lmax)
        return [layer(self.features, frames) for layer in self.ours]

    def step(self, forward: Callable[[], list[Tensor]], weights: list[Tensor]) -> Callable[[], None]:
        def run() -> None:
            out = forward()
            torch.autograd.grad(out, (self.features, self.vectors, *weights), [self.weighing] * len(out))

        return run

    def forces(self, forward: Callable[[], list[Tensor]], weight: Tensor) -> Callable[[], None]:
        def run() -> None:
            energy = forward()[0].sin().sum()
            (force,) = torch.autograd.grad(energy, self.vectors, create_graph=True)
            torch.autograd.grad(force.square().sum(), (self.features, weight))

        return run

    def steps(self) -> dict[str, Callable[[], None]]:
        weights = [layer.weight for layer in self.ours]
        steps = {
            "e3nn": self.step(self.e3nn, [self.theirs.weight]),
            "own": self.step(self.own, weights[:1]),
            "shared": self.step(self.shared, weights),
        }
        if self.lmax <= FORCES_UP_TO:
            steps["e3nn forces"] = self.forces(self.e3nn, self.theirs.weight)
            steps["own forces"] = self.forces(self.own, weights[0])
        return steps

    def given(self) -> list[Tensor]:
        """Parameters, constants and inputs."""
        weights = [layer.weight for layer in self.ours]
        return [self.features, self.vectors, self.theirs.weight, *self.theirs.buffers(), *weights]

    def kept_megabytes(self, forward: Callable[[], list[Tensor]]) -> float:
        """What one forward pass keeps."""
        held = {tensor.untyped_storage().data_ptr(): 0 for tensor in self.given()}

        def keep(tensor: Tensor) -> Tensor:
            held.setdefault(tensor.untyped_storage().data_ptr(), tensor.untyped_storage().nbytes())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            out = forward()
        del out
        return sum(held.values()) / 1e6


class EdgeContest(Contest):
    """Those with weights of each edge."""

    def __init__(self, lmax: int, channels: int):
        super().__init__(lmax, channels)
        irreps = harmonic_irreps(lmax, channels)
        self.engines = {name: EdgeProduct(irreps, lmax, irreps, name, weights="edge") for name in ("e3nn", "so2")}
        self.weight = torch.randn(EDGES, self.engines["so2"].weight_numel, requires_grad=True)

    def given(self) -> list[Tensor]:
        return [*super().given(), self.weight]

    def forward(self, engine: str) -> Callable[[], list[Tensor]]:
        return lambda: [self.engines[engine](self.features, self.vectors, self.weight)]

    def steps(self) -> dict[str, Callable[[], None]]:
        found = {name: self.step(self.forward(name), [self.weight]) for name in self.engines}
        if self.lmax <= FORCES_UP_TO:
            found |= {f"{name} forces": self.forces(self.forward(name), self.weight) for name in self.engines}
        return found


def measured_edges(lmax: int, channels: int, rounds: int) -> dict[str, Any]:
    """One size with weights of each edge: the ratio, and memory."""
    contest = EdgeContest(lmax, channels)
    times = interleaved(contest.steps(), rounds)
    found = {"edge": ratios(times, "e3nn", "so2")}
    if "so2 forces" in times:
        found["edge_forces"] = ratios(times, "e3nn forces", "so2 forces")
    milliseconds = found["edge"]["milliseconds"]
    for ratio in found.values():
        del ratio["milliseconds"]
    return {
        "lmax": lmax, "channels": channels, "edges": EDGES, **found, "milliseconds": milliseconds,
        "kept_megabytes": {name: contest.kept_megabytes(contest.forward(name)) for name in contest.engines},
    }  # fmt: skip


def measured(lmax: int, channels: int, rounds: int) -> dict[str, Any]:
    """One size: both ratios, memory, and where the size has musts, these."""
    contest = Contest(lmax, channels)
    times = interleaved(contest.steps(), rounds)
    times["shared"] = [seconds / LAYERS for seconds in times["shared"]]
    found = {name: ratios(times, "e3nn", name) for name in ("own", "shared")}
    if "own forces" in times:
        found["forces"] = ratios(times, "e3nn forces", "own forces")
    milliseconds = found["own"]["milliseconds"]
    for ratio in found.values():
        del ratio["milliseconds"]
    return {
        "lmax": lmax, "channels": channels, "edges": EDGES, **found, "milliseconds": milliseconds,
        "kept_megabytes": {"e3nn": contest.kept_megabytes(contest.e3nn), "own": contest.kept_megabytes(contest.own)},
        "musts": MUSTS.get(lmax) if channels == 32 else None, "aims": AIMS.get(lmax) if channels == 32 else None,
    }  # fmt: skip


def main() -> None:
    """Measure everything and store it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--only", choices=("musts", "edge"),
        help="musts: the sizes that have some, printed and not stored; edge: weights of each edge, the rest kept",
    )  # fmt: skip
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.only == "musts":
        for lmax in MUSTS:
            print(json.dumps(measured(lmax, 32, given.rounds)))
        return
    path = RESULTS / f"edge_product_{given.threads}.json"
    result = json.loads(path.read_text()) if given.only else {}
    environment = {
        "threads": given.threads, "torch": torch.__version__, "load": os.getloadavg(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }  # fmt: skip
    if not given.only:
        result = {"rows": [measured(lmax, channels, given.rounds) for lmax, channels in GRID]}
        result["environment"] = environment
    result["edge_rows"] = [measured_edges(lmax, channels, given.rounds) for lmax, channels in GRID]
    result["edge_environment"] = environment
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
