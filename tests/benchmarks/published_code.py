"""Measure the code released with Partial G-CNNs beside ours and its plain writing, in one process.

Run: python -m tests.benchmarks.published_code --folder FOLDER [--threads 1] [--rounds 5]
FOLDER is a copy of that code (AGPL-3.0) outside this tree. It is imported as it stands; empty modules take the place
of a helper that the release lacks, of a loss whose import goes round in a circle, and of packages that are only named.
Times are CPU time; rounds interleave the contestants. Every round lies in tests/benchmarks/results/published_code.json.

published  the released layer or network, set as in its rotMNIST command: SE(2), full, eight elements drawn per layer;
           for our demonstration network, which was never released, its layers in the order of ours.
all pairs  ours with one dense call per layer, the kernel network run at every tap of every pair of elements.
"""

import argparse
import contextlib
import hashlib
import json
import os
import sys
from functools import partial
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch
from torch import nn

from tests.benchmarks.group_conv_speed import interleaved, ratios, written_plainly
from workbench.commands.memory import KEEP_MEMORY, keep_freed_memory
from workbench.groups import SO2, GroupSignal
from workbench.kernels import KernelSpec
from workbench.layers import GroupConv
from workbench.models import build_model
from workbench.models.partial_gcnn import configuration

RESULT = Path(__file__).resolve().parent / "results" / "published_code.json"
NEEDS = (
    "this needs the code released with the paper: clone the GitHub repository merlresearch/partial_gcnn (release 1.0) "
    "to a folder outside this tree and name it with --folder; of packages it needs only torch and numpy, both here."
)
EMPTY = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "omegaconf")
EMPTY += ("partial_equiv.general.utils.params", "partial_equiv.general.nn.loss")
FILES = ("partial_equiv/partial_gconv/conv.py", "models/ckresnet.py")
PRESET, K, N = "paper_ckresnet_rotmnist_se2_full", 7, 8
DEMO = {"preset": "demo_full", "encoding": "raw", "bias": "zero"}


def load(folder: Path | None) -> SimpleNamespace:
    """The released layer, network and group, imported from ``folder``."""
    if folder is None or not all((folder / file).is_file() for file in FILES):
        raise ImportError("no folder was given" if folder is None else f"{folder} lacks {' or '.join(FILES)}")
    for name in EMPTY:
        module = sys.modules.setdefault(name, ModuleType(name))
        module.OmegaConf = module.num_params = object  # the two names taken from them
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    try:
        groups, layers, models = map(import_module, ("partial_equiv.groups", "partial_equiv.partial_gconv", "models"))
        parts = {"lift": layers.LiftingConv, "conv": layers.GroupConv, "pool": layers.pool.MaxPoolRn}
        return SimpleNamespace(**parts, net=models.CKResNet, group=groups.SE2, how=groups.SamplingMethods)
    finally:
        sys.path.remove(str(folder))


def options(code: SimpleNamespace, k: int = K, hidden: int = 32) -> dict[str, object]:
    """What its layers and networks take, as its command for rotMNIST says."""
    siren = {"type": "SIREN", "no_hidden": hidden, "no_layers": 3, "size": k, "omega0": 10.0}
    siren |= {"norm": "", "activation": ""}
    kernel = SimpleNamespace(learn_omega0=False, weight_norm=False, **siren)
    draws = {"sampling_method": code.how.RANDOM, "sample_per_layer": True, "sample_per_batch_element": False}
    group = SimpleNamespace(name="SE2", no_samples=N, **draws)
    conv = SimpleNamespace(padding="same", partial_equiv=False, bias=True)
    return {"kernel_config": kernel, "base_group_config": group, "conv_config": conv}


def compared(steps: dict, pairs: tuple[str, ...], rounds: int) -> dict[str, object]:
    """Median milliseconds of each contestant; median, quartiles and rounds of each ratio."""
    times = interleaved({**steps, "all pairs": written_plainly()(steps["ours"])}, rounds)
    return summed_up(times, ("published / all pairs", "ours / published", *pairs))


def summed_up(times: dict[str, list[float]], pairs: tuple[str, ...]) -> dict[str, object]:
    """The ratios of these pairs and everybody's milliseconds."""
    found = {pair: ratios(times, *pair.split(" / ")) for pair in pairs}
    spent = [ratio.pop("milliseconds") for ratio in found.values()]
    return {"milliseconds": spent[0], "ratios": found}


def layer(code: SimpleNamespace, c: int, size: int, batch: int, rounds: int) -> dict[str, object]:
    """A step (forward, backward) of one group convolution, elements drawn anew, beside a plain n C -> n C one."""
    theirs = code.conv(in_channels=c, out_channels=c, group=code.group(), **options(code))
    ours = GroupConv(c, c, K, n=N, sampling="random", kernel=KernelSpec(encoding="raw", bias="zero"))
    plain = nn.Conv2d(N * c, N * c, K, padding=K // 2)
    x, grad = torch.randn(batch, c, N, size, size, requires_grad=True), torch.randn(batch, c, N, size, size)
    signal = GroupSignal(x, SO2().grid(N), SO2())

    def backward(module: nn.Module, out: torch.Tensor) -> None:
        out.backward(grad.view_as(out))
        module.zero_grad()
        x.grad = None

    steps = {
        "published": lambda: backward(theirs, theirs((x, signal.elements.double().T))[0]),
        "ours": lambda: backward(ours, ours(signal).values),
        "plain": lambda: backward(plain, plain(x.flatten(1, 2))),
    }
    found = compared(steps, ("published / plain", "all pairs / plain", "ours / plain"), rounds)
    return {"case": f"layer C={c} {size} px", "batch": batch, **found}


class Demonstration(nn.Module):
    """Our demonstration network of released layers: widths, kernel sizes and pooling as in its preset."""

    def __init__(self, code: SimpleNamespace, widths: tuple[int, ...], k: int, hidden: int, pools: tuple[int, ...]):
        super().__init__()
        channels = [1, *widths]
        sizes = [k] * (len(widths) - 1) + [3]
        self.convs, self.norms, self.pools = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for i, (a, b) in enumerate(pairwise(channels)):
            kind = code.conv if i else code.lift
            self.convs.append(
                kind(in_channels=a, out_channels=b, group=code.group(), **options(code, sizes[i], hidden))
            )
            self.norms.append(nn.BatchNorm3d(b))
            self.pools.append(code.pool(kernel_size=2, stride=2, padding=0) if i in pools else nn.Identity())
        self.classifier = nn.Linear(widths[-1], 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        signal = x
        for conv, norm, pool in zip(self.convs, self.norms, self.pools, strict=True):
            values, elements = conv(signal)
            signal = (x := pool(norm(values)).relu()), elements
        return self.classifier(x.amax((-3, -2, -1)))


def paper(code: SimpleNamespace) -> tuple[nn.Module, nn.Module]:
    """The released residual network for rotMNIST, and ours."""
    shape = {"no_hidden": 32, "no_blocks": 2, "block_width_factors": [1, 1, 2, 1], "pool_blocks": [0, 1]}
    ends = {"last_conv_T2": False, "learnable_final_pooling": False, "final_spatial_dim": [1, 1]}
    config = {"net_config": SimpleNamespace(norm="BatchNorm", dropout=0.0, **shape, **ends), **options(code)}
    with contextlib.redirect_stdout(None):
        theirs = code.net(in_channels=1, out_channels=10, base_group=code.group(), **config)
    return theirs, build_model({"name": "partial_gcnn", "preset": PRESET})


def demonstration(code: SimpleNamespace) -> tuple[nn.Module, nn.Module]:
    """Our demonstration network with the released choice of kernels, of released layers and of ours."""
    c = configuration(DEMO)
    return Demonstration(code, c.widths, c.kernel_size, c.hidden, c.pools), build_model(
        {"name": "partial_gcnn", **DEMO}
    )


def network(code: SimpleNamespace, name: str, batch: int, rounds: int) -> dict[str, object]:
    """A training step (cross entropy, Adam) of a whole network; ours with the fused Adam that our trainer takes."""
    theirs, ours = paper(code) if name == PRESET else demonstration(code)
    both = {"published": theirs, "ours": ours}
    sizes = [sum(p.numel() for p in net.parameters()) for net in both.values()]
    if sizes[0] != sizes[1]:
        raise ImportError(f"the network there has {sizes[0]} parameters where ours has {sizes[1]}")
    side = 28 if name == PRESET else configuration(DEMO).input_size
    x, y = torch.randn(batch, 1, side, side), torch.randint(0, 10, (batch,))

    def step(net: nn.Module, adam: torch.optim.Adam) -> None:
        adam.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        adam.step()

    plain = {who: partial(step, net, torch.optim.Adam(net.parameters())) for who, net in both.items()}
    times = interleaved(
        {
            "published": plain["published"],
            "ours": partial(step, ours, torch.optim.Adam(ours.parameters(), fused=True)),
            "all pairs": written_plainly()(plain["ours"]),
        },
        rounds,
    )
    pairs = ("published / all pairs", "ours / published", "ours / all pairs")
    return {"case": name, "batch": batch, **summed_up(times, pairs)}


def keep(path: Path, threads: int, found: dict[str, object]) -> None:
    """Write what was found with so many threads beside what was found with others, and parts beside other parts."""
    before = json.loads(path.read_text()) if path.exists() else {}
    before[str(threads)] = before.get(str(threads), {}) | found
    path.write_text(json.dumps(before, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if not set(KEEP_MEMORY) <= set(os.environ):
        keep_freed_memory()
    torch.set_num_threads(given.threads)
    cases: list[tuple] = [(layer, c, size, batch) for c, size in ((10, 28), (32, 14)) for batch in (2, 8, 16, 64)]
    cases += [(network, name, batch) for name in (PRESET, "demo_full") for batch in (2, 8, 64)]
    try:
        code, rows = load(given.folder), []
        for kind, *case in cases:
            torch.manual_seed(0)
            rows.append(row := kind(code, *case, given.rounds))
            numbers = row["milliseconds"] | {pair: ratio["ratio"] for pair, ratio in row["ratios"].items()}
            shown = (f"{name} {number:.2f}" for name, number in numbers.items())
            print(f"{row['case']:32} B={row['batch']:<2} ms:", *shown, sep="  ", flush=True)
    except ImportError as reason:
        parser.exit(2, f"{parser.prog}: {reason}; {NEEDS}\n")
    about = {
        "torch": torch.__version__, "cores": os.cpu_count(), "load": os.getloadavg(),
        "allocator": {name: os.environ.get(name) for name in KEEP_MEMORY},
        "code": {file: hashlib.sha256((given.folder / file).read_bytes()).hexdigest() for file in FILES},
    }  # fmt: skip
    keep(RESULT, given.threads, {"rows": rows, "environment": about})


if __name__ == "__main__":
    main()
