"""Measure what an audit costs over the bare forward passes that it needs, all layers, as ratios taken in one process.

Run: python tests/benchmarks/audit_cost.py [--rounds 5] [--only sweep,lie,growth]. The result, with every round, lies in
tests/benchmarks/results/audit_cost.json. Times are the process's CPU time on one thread; a round runs the bare passes
and the measure one after the other, so that a busy machine slows both.

sweep    equivariance_error at 36 angles, every module, over (36 + 1) x samples images through the bare network.
lie      lie_derivative of every module, over one bare pass of the samples.
growth   the sweep's ratio for more layers, angles and samples, at 16 channels; drawn beside the results, also alone
         by `--only picture`.

The plain CNN is that of this house: four blocks of a 5 x 5 convolution, a norm and a ReLU, two of them pooled by 2.
Without pooling is the hardest case, 3 x 3 above all: each of 12 maps has all the pixels, an output takes 9 C_in
multiplications, and a comparison costs the same whatever was multiplied.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from workbench.measure import equivariance_error, lie_derivative
from workbench.models import build_model

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "tests" / "benchmarks" / "results" / "audit_cost.json"
ALLOWED = {"sweep at 16 channels and more": 1.3, "sweep at 8 channels": 1.5, "lie": 2.9}
BATCH = 256  # that of the measures where none is given
GROWTH = ((4, 36, 32), (2, 36, 32), (8, 36, 32), (4, 12, 32), (4, 72, 32), (4, 36, 4), (4, 36, 128))
"""Blocks, angles and samples: the first one is where the others meet."""


def plain(channels: int, kernel: int = 3, depth: int = 4) -> nn.Module:
    """Blocks of convolution, norm and ReLU, then a mean over the pixels."""
    inside, body = 3, []
    for _ in range(depth):
        body += [nn.Conv2d(inside, channels, kernel, padding=kernel // 2), nn.BatchNorm2d(channels), nn.ReLU()]
        inside = channels
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)).eval()


def resnet() -> nn.Module:
    """The ordinary ResNet-18 beside the notebooks."""
    sys.path.insert(0, str(ROOT / "notebooks"))
    from resnet18 import ResNet18

    return ResNet18().eval()


def networks() -> dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int], int]]:
    """Networks by name, the shape of their images, and how many of these a sweep gets."""
    found = dict[str, tuple]()
    for c in (8, 16, 32, 64):
        config = {"name": "plain_cnn", "in_channels": 3, "widths": (c, c, c, 2 * c)}
        found[f"plain CNN, {c} channels"] = (lambda config=config: build_model(config).eval(), (3, 32, 32), 1024 // c)
    for k in (3, 5):
        for c in (8, 16, 32, 64):
            make = lambda c=c, k=k: plain(c, k)  # noqa: E731 - bound to these numbers
            found[f"no pooling, {k} x {k}, {c} channels"] = make, (3, 32, 32), 1024 // c
    demo = {"name": "partial_gcnn", "preset": "demo_full"}
    found["partial G-CNN demo"] = (lambda: build_model(demo).eval(), (1, 16, 16), 64)
    found["ResNet-18"] = (resnet, (3, 64, 64), 4)
    return found


def circle(count: int) -> Tensor:
    return (torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)).unsqueeze(-1)


def seconds(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def ratio(measured: Callable[[], object], bare: Callable[[], object], rounds: int) -> dict:
    """Median and quartiles of the ratio of each round, and every round."""
    bare()
    measured()
    pairs = [(seconds(measured), seconds(bare)) for _ in range(rounds)]
    each = [a / b for a, b in pairs]
    low, middle, high = statistics.quantiles(each, n=4)
    return {
        "ratio": middle, "quartiles": [low, high], "rounds": each,
        "milliseconds": {"measure": 1e3 * statistics.median(a for a, _ in pairs),
                         "bare": 1e3 * statistics.median(b for _, b in pairs)},
    }  # fmt: skip


def passes(model: nn.Module, images: Tensor, times: int) -> Callable[[], None]:
    """So many bare forward passes of all images."""

    def run() -> None:
        with torch.no_grad():
            for _ in range(times):
                for part in images.split(BATCH):
                    model(part)

    return run


def sweep(model: nn.Module, images: Tensor, angles: int, rounds: int) -> dict:
    def measured() -> None:
        equivariance_error(model, images, "SO2", circle(angles), layers="all", batch_size=BATCH)

    return ratio(measured, passes(model, images, angles + 1), rounds)


def lie(model: nn.Module, images: Tensor, rounds: int) -> dict:
    return ratio(lambda: lie_derivative(model, images, batch_size=BATCH), passes(model, images, 1), rounds)


def measure(only: set[str], rounds: int, keep: Callable[[str, list], None]) -> None:
    """Every case asked for; prints and keeps each kind as it is done."""
    found: dict[str, list] = {name: [] for name in ("sweep", "lie", "growth") if name in only}
    for name, (make, shape, count) in networks().items():
        torch.manual_seed(0)
        model = make()
        for kind, samples in (("sweep", count), ("lie", 8 * count)):
            if kind in found:
                images = torch.randn(samples, *shape)
                row = sweep(model, images, 36, rounds) if kind == "sweep" else lie(model, images, rounds)
                found[kind].append({"network": name, "samples": samples, **row})
                keep(kind, found[kind])
    for depth, angles, samples in GROWTH:
        if "growth" in found:
            torch.manual_seed(0)
            row = sweep(plain(16, depth=depth), torch.randn(samples, 3, 32, 32), angles, rounds)
            found["growth"].append({"modules": 3 * depth + 3, "angles": angles, "samples": samples, **row})
            keep("growth", found["growth"])


def picture(stored: dict, path: Path) -> None:
    """CPU time of the sweep and of the bare passes it needs against modules, angles and samples, at 16 channels."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    usual = {"modules": 15, "angles": 36, "samples": 32}
    figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.4), sharey=True, constrained_layout=True)
    for axis, varied in zip(axes, usual, strict=True):
        same = [row for row in stored["growth"] if all(row[name] == usual[name] for name in usual if name != varied)]
        same.sort(key=lambda row: row[varied])
        for kind, label in (("measure", "sweep of every module"), ("bare", "bare passes of all moved images")):
            axis.plot(
                [row[varied] for row in same],
                [row["milliseconds"][kind] / 1e3 for row in same],
                marker="o",
                label=label,
            )
        for row in same:
            place = row[varied], row["milliseconds"]["measure"] / 1e3
            axis.annotate(f"{row['ratio']:.2f}", place, textcoords="offset points", xytext=(0, 6), ha="center")
        axis.set(xscale="log", yscale="log", xlabel=varied, xticks=[row[varied] for row in same])
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter("")
        axis.margins(0.1, 0.15)
    axes[0].set_ylabel("seconds of CPU time")
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="sweep,lie,growth")
    given = parser.parse_args()
    torch.set_num_threads(1)
    what = "CPU time of a measure of every module over the bare forward passes that it needs; one thread"
    stored = {"what": what} | (json.loads(RESULT.read_text()) if RESULT.exists() else {})

    def keep(kind: str, rows: list) -> None:
        last = {key: value for key, value in rows[-1].items() if key not in ("rounds", "milliseconds")}
        print(kind, last, flush=True)
        environment = {
            "threads": 1, "torch": torch.__version__, "load": os.getloadavg(), "batch": BATCH,
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "allocator": {name: os.environ.get(name) for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")},
        }  # fmt: skip
        stored.update({kind: rows, "ratio_allowed": ALLOWED, "environment": environment})
        RESULT.write_text(json.dumps(stored, indent=1) + "\n")

    with threadpool_limits(1):  # threads of numpy's that wait for work would count as well
        measure(set(given.only.split(",")), given.rounds, keep)
    if "growth" in stored:
        picture(stored, RESULT.with_suffix(".png"))


if __name__ == "__main__":
    main()
