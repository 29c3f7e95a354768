"""Measure group convolutions and whole networks against the plain convolution, as ratios taken in one process.

Run: python tests/benchmarks/group_conv_speed.py [--rounds 7] [--threads 1] [--only layers,separable,...].
Results, with every round, lie in tests/benchmarks/results/group_conv_speed_<threads>.json and the cost curves beside
it as a picture. Times are the process's CPU time; rounds interleave the contestants, so that a busy machine slows
both.

layers     one step (forward, backward) or a cached evaluation, over Conv2d(n C -> n C, k) with fixed weights.
separable  the same for group convolutions with a separable kernel.
stretched  the same for groups that stretch, dense and factored, with kernels wide enough for them and the published 7.
networks   a training step with elements redrawn, over the same network with one dense call per layer, written with
           PyTorch's own modules: the kernel network at every tap of every pair of elements, as in the paper's code
           (published_code.py measures both), max_pool2d, Adam as it comes. "dense" is stricter: ours in everything
           but the way to convolve.
kernels    kernel generation and its gradient, as the layer's step performs it, as a share of that step.

Give the allocator room before starting, as `workbench doctor` says: MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from itertools import product
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor, nn

from workbench.groups import SO2, GroupSignal
from workbench.kernels import FACTORISATIONS, OF_SIMILARITIES, KernelBank, disc_mask, tap_offsets
from workbench.kernels.geometry import disc_taps
from workbench.layers import GroupConv, GroupPool, LiftingConv, SeparableConv
from workbench.models import build_model

RESULTS = Path(__file__).resolve().parent / "results"
MAIN = [(10, 28, 7, 8), (32, 14, 7, 8)]  # channels, pixels, kernel, elements
BATCHES = (1, 8, 16, 64)
OTHERS = [
    (32, 14, 3, 8),
    (32, 14, 5, 8),
    (32, 14, 9, 8),
    (32, 14, 7, 4),
    (32, 14, 7, 16),
    (16, 14, 7, 8),
    (64, 14, 7, 8),
]
SEPARABLE = [(10, 28, 7, 16), (32, 14, 7, 8)]
STRETCHED = [  # group, its elements, channels, pixels, kernel, factorisation
    *(
        (group, elements, channels, pixels, k, None)
        for group, elements, wide in (
            ("Scale(2,1.74)", {"n": 4}, 16),
            ("RotationScale(1.74)", {"n": 8, "stretches": 3}, 8),
            ("SL(2,1.3)", {"n": 4, "stretches": 4}, 8),
            ("GLPlus(2,1.15)", {"n": 4, "stretches": 4}, 8),
        )
        for channels, pixels, k in ((wide, 14, 15), (wide // 2, 28, 7), (wide // 2, 14, 7))
    ),
    *(
        ("RotationScale(1.74)", {"n": 8, "stretches": 3}, 8, 14, 15, factorisation)
        for factorisation in (*FACTORISATIONS, *OF_SIMILARITIES)
    ),
]
NETWORKS = [
    ("demo_full", 16, (2, 8, 64)),
    ("demo", 16, (2, 8, 64)),
    ("paper_ckresnet_rotmnist_se2_full", 28, (2, 8, 64)),
    ("paper_ckresnet_rotmnist_se2_partial", 28, (2, 8, 64)),
]


ROUND = 0.06  # seconds that a contestant runs in one round at least: a loop as in training, not one cold step


def seconds(run: Callable[[], None], repeats: int) -> float:
    """CPU time of one call, over a loop of ``repeats``."""
    started = time.process_time()
    for _ in range(repeats):
        run()
    return (time.process_time() - started) / repeats


def interleaved(contestants: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds a call of each contestant in each round, after two calls to warm up."""
    repeats = {}
    for name, run in contestants.items():
        run()
        repeats[name] = max(1, round(ROUND / max(seconds(run, 1), 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            times[name].append(seconds(run, repeats[name]))
    return times


def ratios(times: dict[str, list[float]], ours: str, base: str) -> dict[str, object]:
    """Median and quartiles of the per-round ratio, and the medians of both."""
    each = [a / b for a, b in zip(times[ours], times[base], strict=True)]
    low, middle, high = statistics.quantiles(each, n=4)
    return {
        "ratio": middle, "quartiles": [low, high], "rounds": each,
        "milliseconds": {name: 1e3 * statistics.median(values) for name, values in times.items()},
    }  # fmt: skip


def layer(kind: str, c: int, size: int, k: int, n: int, batch: int, rounds: int) -> dict[str, object]:
    """One layer against the plain convolution of the same output channels."""
    torch.manual_seed(0)
    lifting, training = kind.startswith("lifting"), kind.endswith("step")
    plain = nn.Conv2d(c if lifting else n * c, n * c, k, padding=k // 2)
    ours = {"lifting": LiftingConv, "group": GroupConv, "separable": SeparableConv}[kind.split()[0]](c, c, k, n=n)
    x = torch.randn(batch, c if lifting else n * c, size, size, requires_grad=training)
    found = beside(plain, ours, x, None if lifting else SO2().grid(n), rounds)
    return {"kind": kind, "channels": c, "pixels": size, "k": k, "n": n, "batch": batch, **found}


def stretched(
    call: str, group: str, given: dict[str, int], c: int, size: int, k: int, factorisation: str | None, batch: int,
    rounds: int,
) -> dict[str, object]:  # fmt: skip
    """One layer over a group that stretches against the plain convolution of the same output channels."""
    torch.manual_seed(0)
    training = call == "step"
    options = {"group": group, **given} | ({} if factorisation is None else {"factorisation": factorisation})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*leaves the smallest kernel")  # as the published 7 does
        ours = (GroupConv if factorisation is None else SeparableConv)(c, c, k, **options)
    elements = ours.elements()
    plain = nn.Conv2d(len(elements) * c, len(elements) * c, k, padding=k // 2)
    x = torch.randn(batch, len(elements) * c, size, size, requires_grad=training)
    found = beside(plain, ours.train(training), x, elements, rounds)
    name, count = f"{group}{f'/{factorisation}' if factorisation else ''} {call}", "x".join(map(str, given.values()))
    return {"kind": name, "channels": c, "pixels": size, "k": k, "n": count, "batch": batch, **found}


def beside(plain: nn.Module, ours: nn.Module, x: Tensor, elements: Tensor | None, rounds: int) -> dict[str, object]:
    """Times of a layer and of the plain convolution on the same numbers; with gradients where ``x`` has one."""
    training, group = x.requires_grad, ours.group
    grad = torch.randn(len(x), plain.out_channels, *x.shape[2:])

    def finish(out: Tensor, module: nn.Module) -> None:
        if training:
            out.backward(grad.view_as(out))
            module.zero_grad()
            x.grad = None

    def run_plain() -> None:
        finish(plain(x), plain)

    def run_ours() -> None:
        signal = x if elements is None else GroupSignal(x.unflatten(1, (-1, len(elements))), elements, group)
        finish(ours(signal).values, ours)

    ours.train(training)
    with nullcontext() if training else torch.no_grad():
        return ratios(interleaved({"plain": run_plain, "ours": run_ours}, rounds), "ours", "plain")


def every_pair(bank: KernelBank, outputs: Tensor, inputs: Tensor | None) -> Tensor:
    """Kernels as the paper's code makes them: the whole network at every tap of every pair, zero outside the disc."""
    taps, outside = bank.taps, (~disc_mask(bank.kernel_size)).nonzero().flatten()
    try:
        bank.taps = tap_offsets(bank.kernel_size) / max((bank.kernel_size - 1) / 2, 1.0)
        points = bank.coordinates(outputs, inputs)
    finally:
        bank.taps = taps
    s_out, s_in, count, _ = points.shape
    channels = bank.out_channels, 1, bank.in_channels
    readout, scale = bank.network.readout, bank.gain / s_in
    features = bank.network.features(points.flatten(0, -2)).view(s_out, s_in * count, -1)
    values = torch.matmul((readout.weight * scale).view(*channels, -1), features.transpose(1, 2))
    values = values.view(bank.out_channels, s_out, bank.in_channels, s_in, count)
    return (values + (readout.bias * scale).view(*channels, 1, 1)).index_fill(-1, outside, 0)


def one_dense_call(bank: KernelBank, outputs: Tensor, inputs: Tensor | None, uniform, share, way, window):
    """What layers convolve with when their kernels come from :func:`every_pair`."""
    values = every_pair(bank, outputs, inputs)
    if share is not None:
        values = values * share[:, None]
    return (values.flatten(2, 3).flatten(0, 1).unflatten(-1, (bank.kernel_size, bank.kernel_size)),)


@contextmanager
def dense_calls():
    """Our layers with one dense convolution call each."""
    with mock.patch("workbench.layers.convolution.choose", return_value="dense"):
        yield


@contextmanager
def written_plainly():
    """The same network with one dense call per layer and PyTorch's own pooling, sharing no work between kernels."""
    layers = "workbench.layers.convolution"
    whole_windows = mock.patch.object(GroupPool, "_halves", False)
    with dense_calls(), mock.patch(f"{layers}.prepare", one_dense_call), whole_windows:
        yield


def network(preset: str, size: int, batch: int, rounds: int) -> dict[str, object]:
    """A training step of a whole network, elements redrawn, against its plain writings."""
    torch.manual_seed(0)
    net = build_model({"name": "partial_gcnn", "preset": preset})
    ours, plain = torch.optim.Adam(net.parameters(), fused=True), torch.optim.Adam(net.parameters())
    x, y = torch.randn(batch, 1, size, size), torch.randint(0, 10, (batch,))

    def step(optimiser: torch.optim.Optimizer) -> None:
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimiser.step()

    def dense_step() -> None:
        with dense_calls():
            step(ours)

    def plain_step() -> None:
        with written_plainly():
            step(plain)

    times = interleaved({"ours": lambda: step(ours), "dense": dense_step, "plain": plain_step}, rounds)
    beside = ratios(times, "ours", "dense")["ratio"]
    return {"network": preset, "batch": batch, **ratios(times, "ours", "plain"), "ratio_to_ours_dense": beside}


def kernel_share(c: int, size: int, k: int, n: int, batch: int, rounds: int) -> dict[str, object]:
    """Making the kernels and their gradient as a share of the layer's step."""
    torch.manual_seed(0)
    conv = GroupConv(c, c, k, n=n)
    elements, group = SO2().grid(n), SO2()
    x = torch.randn(batch, c, n, size, size, requires_grad=True)
    grad = torch.randn(batch, c, n, size, size)
    taps = disc_taps(k)  # what a split disc and spectra alike are made from
    wish = torch.randn(c, c, n, n, len(taps)).transpose(1, 2)

    def step() -> None:
        conv(GroupSignal(x, elements, group)).values.backward(grad)

    def kernels() -> None:
        conv.kernels.values(elements, elements, uniform=True, taps=taps).backward(wish)

    found = ratios(interleaved({"step": step, "kernels": kernels}, rounds), "kernels", "step")
    return {"kind": "kernel share", "channels": c, "pixels": size, "k": k, "n": n, "batch": batch, **found}


def measure(only: set[str], rounds: int) -> dict[str, list[dict[str, object]]]:
    """Every case asked for; prints each as it is done."""
    cases: dict[str, list[Callable[[], dict[str, object]]]] = {
        name: [] for name in ("layers", "separable", "stretched", "networks", "kernels")
    }
    for kind, (c, size, k, n), batch in product(("group step", "group eval"), MAIN, BATCHES):
        cases["layers"].append(lambda a=(kind, c, size, k, n, batch): layer(*a, rounds))
    for kind, (c, size, k, n) in product(("group step", "group eval"), OTHERS):
        cases["layers"].append(lambda a=(kind, c, size, k, n, 16): layer(*a, rounds))
    for kind, (c, size), (k, n), batch in product(
        ("lifting step", "lifting eval"), ((10, 28), (32, 14)), ((3, 4), (7, 8)), (1, 16, 64)
    ):
        cases["layers"].append(lambda a=(kind, c, size, k, n, batch): layer(*a, rounds))
    for kind, (c, size, k, n), batch in product(("separable step", "separable eval"), SEPARABLE, BATCHES):
        cases["separable"].append(lambda a=(kind, c, size, k, n, batch): layer(*a, rounds))
    for case, batch, call in product(STRETCHED, (8, 16), ("step", "eval")):
        cases["stretched"].append(lambda a=(call, *case, batch): stretched(*a, rounds))
    for preset, size, batch in ((preset, size, batch) for preset, size, batches in NETWORKS for batch in batches):
        few = max(5, rounds // 2) if batch == 64 and "paper" in preset else rounds
        cases["networks"].append(lambda a=(preset, size, batch, few): network(*a))
    for c, size, k, n in MAIN:
        cases["kernels"].append(lambda a=(c, size, k, n, 64): kernel_share(*a, rounds))
    found: dict[str, list[dict[str, object]]] = {}
    for name in cases:
        for run in cases[name] if name in only else ():
            row = run()
            print({key: value for key, value in row.items() if key != "rounds"}, flush=True)
            found.setdefault(name, []).append(row)
    return found


def picture(found: dict[str, list[dict[str, object]]], path: Path) -> None:
    """Ratio against batch, k, n and channels; the dashed line is the plain convolution."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [row for row in found.get("layers", []) if str(row["kind"]).startswith("group")]
    figure, axes = pyplot.subplots(1, 4, figsize=(14, 3.4), sharey=True, constrained_layout=True)
    base = {"channels": 32, "pixels": 14, "k": 7, "n": 8, "batch": 16}
    for axis, varied in zip(axes, ("batch", "k", "n", "channels"), strict=True):
        for kind in ("group step", "group eval"):
            same = [r for r in rows if r["kind"] == kind and all(r[q] == v for q, v in base.items() if q != varied)]
            same.sort(key=lambda r: r[varied])
            axis.plot([r[varied] for r in same], [r["ratio"] for r in same], marker="o", label=kind)
        axis.axhline(1, color="grey", linestyle="--", linewidth=1)
        axis.set_xlabel(varied)
        axis.set_xscale("log", base=2)
    axes[0].set_ylabel("CPU time / plain convolution")
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="layers,separable,stretched,networks,kernels")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    found = measure(set(given.only.split(",")), given.rounds)
    path = RESULTS / f"group_conv_speed_{given.threads}.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    environment = {
        "threads": given.threads, "torch": torch.__version__, "load": os.getloadavg(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "allocator": {name: os.environ.get(name) for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")},
    }  # fmt: skip
    merged = {**before, **found, "environment": environment}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(merged, indent=1) + "\n")
    if "layers" in merged:
        picture(merged, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
