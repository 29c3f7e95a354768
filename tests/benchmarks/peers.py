"""Measure other people's group convolutions beside ours and the plain convolution, in one process.

Run: python -m tests.benchmarks.peers --folder FOLDER... [--only escnn separable] [--threads 1] [--rounds 7]
Each FOLDER holds a copy of other people's code outside this tree, imported as it stands; a package that is installed
needs none. Who is not there is said and left out. Empty modules take the place of packages that are only named.
Times are CPU time; rounds interleave the contestants. Every round lies in tests/benchmarks/results/peers.json.

escnn      R2Conv from C regular fields of C_n to as many, beside our GroupConv. Alike are channels in and out, k, n and
           padding; not the kernels: sums over a basis of limited bandwidth that knows C_n alone, ours of a network.
separable  the layer released with Knigge, Romero & Bekkers 2022 (arXiv 2110.13059), set as in its command for SE(2),
           beside our SeparableConv: the same factorisation, kernel networks and number of parameters.

step       forward and backward, kernels made anew.
eval       forward with kernels that are kept; the released separable layer keeps none and makes them anew.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import product
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from tests.benchmarks.group_conv_speed import RESULTS, interleaved
from tests.benchmarks.published_code import keep, summed_up
from workbench.commands.memory import KEEP_MEMORY, keep_freed_memory
from workbench.groups import SO2, GroupSignal
from workbench.kernels import KernelSpec
from workbench.layers import GroupConv, SeparableConv

RESULT = RESULTS / "peers.json"
SIZES = [(10, 28, 7, 16), (10, 28, 7, 8), (32, 14, 7, 8)]  # channels, pixels, kernel, elements
BATCHES = (8, 16, 64)
CALLS = ("step", "eval")
Layer = tuple[nn.Module, Callable[[Tensor], Tensor]]  # a module, and how to call it from (B, C n, H, W) to the same


@dataclass(frozen=True)
class Peer:
    """Other people's layer, where to get it, and what of ours stands beside it."""

    package: str
    repository: str
    theirs: Callable[[int, int, int], Layer]  # from channels, kernel and elements
    ours: Callable[[int, int, int], Layer]
    empty: tuple[str, ...] = ()


def called(ours: GroupConv) -> Layer:
    """Our layer on the grid of its group."""
    elements = SO2().grid(ours.n)
    return ours, lambda x: ours(GroupSignal(x.unflatten(1, (-1, ours.n)), elements, SO2())).values.flatten(1, 2)


def regular(c: int, k: int, n: int) -> Layer:
    """escnn's convolution between C regular fields of the cyclic group."""
    spaces, layers = import_module("escnn.gspaces"), import_module("escnn.nn")
    space = spaces.rot2dOnR2(n)
    fields = layers.FieldType(space, c * [space.regular_repr])
    conv = layers.R2Conv(fields, fields, kernel_size=k, padding=k // 2)
    return conv, lambda x: conv(layers.GeometricTensor(x, fields)).tensor


def released(c: int, k: int, n: int) -> Layer:
    """The released separable layer."""
    layers, group = import_module("ck_g_cnn.nn.conv"), import_module("ck_g_cnn.groups").SE2()
    network = {"num_hidden": 1, "hidden_size": 64, "implementation": "SIREN", "first_omega_0": 10.0, "omega_0": 10.0}
    how = {f"ck_net_{name}": value for name, value in network.items()}
    sizes = {"kernel_size": k, "in_channels": c, "out_channels": c, "num_group_elem": n, "stride": 1}
    conv = layers.GroupConvSeparable(group=group, sampling_method="discretise", **sizes, **how)
    elements = group.sample(n, "discretise")
    return conv, lambda x: conv(x.unflatten(1, (c, n)), elements)[0].flatten(1, 2)


def separable(c: int, k: int, n: int) -> Layer:
    """Ours with the networks of the released one, which has no bias."""
    spec = KernelSpec(hidden=64, encoding="raw", bias="zero")
    return called(SeparableConv(c, c, k, n=n, kernel=spec, bias=False))


PEERS = {
    "escnn": Peer(
        "escnn", "QUVA-Lab/escnn", regular, lambda c, k, n: called(GroupConv(c, c, k, n=n)),
        ("lie_learn", "lie_learn.representations", "lie_learn.representations.SO3",
         "lie_learn.representations.SO3.wigner_d"),
    ),
    "separable": Peer("ck_g_cnn", "david-knigge/separable-group-convolutional-networks", released, separable),
}  # fmt: skip


def load(peer: Peer, folders: list[Path]) -> ModuleType:
    """The package of a peer, from the first of the folders that has it or from what is installed."""
    for name in set(peer.empty) - set(sys.modules):
        sys.modules[name] = module = ModuleType(name)
        module.wigner_D_matrix = None  # the name taken from them
    places, sys.dont_write_bytecode = [str(folder) for folder in folders], True
    sys.path[:0] = places
    try:
        return import_module(peer.package)
    except ImportError as reason:
        raise ImportError(
            f"{peer.package} was not found {'in ' + ', '.join(places) if places else 'and no folder was given'} "
            f"({reason}); clone the GitHub repository {peer.repository} to a folder outside this tree and name it with "
            "--folder; of packages it needs only those that are here."
        ) from reason
    finally:
        del sys.path[: len(places)]


def checked(who: str, out: Tensor, x: Tensor) -> None:
    """Refuse a layer that does not answer with as many channels and pixels as it was given, all finite."""
    if out.shape != x.shape or not bool(out.isfinite().all()):
        raise ValueError(f"{who} answered {tuple(out.shape)}; expected finite numbers of shape {tuple(x.shape)}.")


def measured(peer: Peer, call: str, c: int, size: int, k: int, n: int, batch: int, rounds: int) -> dict[str, object]:
    """One call of a peer's layer, of ours and of the plain convolution n C -> n C on the same numbers."""
    torch.manual_seed(0)
    plain = nn.Conv2d(n * c, n * c, k, padding=k // 2)
    layers = {"ours": peer.ours(c, k, n), "peer": peer.theirs(c, k, n), "plain": (plain, plain)}
    x, grad = torch.randn(batch, n * c, size, size, requires_grad=call == "step"), torch.randn(batch, n * c, size, size)

    def step(module: nn.Module, forward: Callable[[Tensor], Tensor]) -> None:
        forward(x).backward(grad)
        module.zero_grad()
        x.grad = None

    runs: dict[str, Callable[[], None]] = {}
    for who, (module, forward) in layers.items():
        module.train(call == "step")
        with torch.no_grad():
            checked(who, forward(x), x)
        runs[who] = partial(step, module, forward) if call == "step" else partial(forward, x)
    with torch.set_grad_enabled(call == "step"):
        times = interleaved(runs, rounds)
    found = summed_up(times, ("ours / peer", "peer / plain", "ours / plain"))
    weights = {who: sum(p.numel() for p in module.parameters()) for who, (module, _) in layers.items()}
    return {"call": call, "channels": c, "pixels": size, "k": k, "n": n, "batch": batch, "weights": weights, **found}


def about(package: ModuleType) -> dict[str, object]:
    """Where and with what code the times were taken."""
    folder, code = Path(str(package.__file__)).parent, hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        code.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return {
        "torch": torch.__version__, "cores": os.cpu_count(), "load": os.getloadavg(),
        "allocator": {name: os.environ.get(name) for name in KEEP_MEMORY},
        "version": getattr(package, "__version__", None), "code": code.hexdigest(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, nargs="*", default=[])
    parser.add_argument("--only", choices=PEERS, nargs="*", default=list(PEERS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    if not set(KEEP_MEMORY) <= set(os.environ):
        keep_freed_memory()
    torch.set_num_threads(given.threads)
    found: dict[str, object] = {}
    for name in given.only:
        try:
            package = load(PEERS[name], given.folder)
        except ImportError as missing:
            print(f"{parser.prog}: {missing}", file=sys.stderr)
            continue
        rows = []
        for call, sizes, batch in product(CALLS, SIZES, BATCHES):
            rows.append(row := measured(PEERS[name], call, *sizes, batch, given.rounds))
            shown = (f"{pair} {ratio['ratio']:.2f}" for pair, ratio in row["ratios"].items())
            print(name, call, *sizes, f"B={batch}", *shown, sep="  ", flush=True)
        found[name] = {"rows": rows, "environment": about(package)}
    if not found:
        parser.exit(2)
    keep(RESULT, given.threads, found)


if __name__ == "__main__":
    main()
