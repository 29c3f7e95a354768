"""What a move of each slider of each explorer costs the process: `python -m tests.benchmarks.moves [--only SLUG,...]`.

A move is the new state, its dataset (the coarse one where the explorer has one for a moving slider) and its figure;
what the browser adds is measured by slider_latency_lab.py and slider_latency_served.py. Times are the process's CPU
time on one thread: the median and the 95th centile over moves that were never made before, after two to warm up, in
each of the states of STATES. Results lie in tests/benchmarks/results/moves.json.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import time
from typing import Any

import numpy as np
import torch

from tests.benchmarks.group_conv_speed import RESULTS
from workbench.explorers import Control, Explorer, explorers
from workbench.views.kernels import LOOKS

ALLOWED = 100.0  # ms
MOVES, WARM = 24, 2
STATES: dict[str, tuple[dict[str, Any], ...]] = {  # beside the one that an explorer opens with, the dearest
    "separable": (
        {"group": "RotationScale", "factorisation": "nonseparable", "n": 12, "scales": 4, "kernel_size": 15},
        {"weights": "3"},
    ),
    "poses": ({"factorisation": "nonseparable", "fault": "transposed", "n": 8, "scales": 7, "layer": 1},),
    "diagrams": ({"group": "S", "n": 4, "lower": 3, "upper": 3, "mix": "sum", "broken": True},),
    "products": ({"l_in": 4, "l_filter": 8, "l_out": 4, "parity": "rotations"},),
    "linear": ({"group": "GLPlus(2,3)"},),
    "harmonics": ({"l": 6, "axis": "diagonal"}, {"l": 6, "axis": "diagonal", "feature": "all degrees"}),
    "molecule": ({"species": "C6H6"}, {"species": "C6H6", "shown": "2"}),
    "dihedral": ({"scan": "methyl", "rattled": True},),
    "orientations": ({"grid": "dodecahedron"}, {"grid": "icosahedral(32)"}),
    "scale": ({"kernel_size": 17, "scales": 6, "layers": 2},),
    "relaxed": ({"group": "eighths"}, {"run": "relaxed_cnn/place_learned"}),
    "kernels": tuple({"run": "partial_gcnn/rotated_partial", "layer": 2, "look": look} for look in LOOKS),
}


def values(control: Control) -> list[float | int]:
    """Places of one slider, all different, the ends among them, in an order that no neighbour foretells."""
    low, high = control.bounds or (0.0, 1.0)
    count = MOVES + WARM
    step = control.step or (1 if control.kind == "int" else (high - low) / count)
    places = np.unique((np.linspace(0, high - low, count) / step).round())
    found: list[float | int] = [min(low + step * place, high) for place in places.tolist()]
    found = [round(v) for v in found] if control.kind == "int" else [float(v) for v in found]
    order = np.random.default_rng(0).permutation(len(found))
    return [found[place] for place in order]


def moves(cls: type[Explorer], state: dict[str, Any], control: Control) -> list[float]:
    """Milliseconds of each move of one slider."""
    explorer = cls(**state)
    explorer.coarse = explorer.heavy
    explorer.figure_dict()
    gc.collect()  # what other explorers left behind is none of this one's
    times = []
    for value in values(control):
        start = time.process_time()
        explorer.at(coarse=explorer.heavy, **{control.name: value}).figure_dict()
        times.append(1e3 * (time.process_time() - start))
    return times[WARM:] if len(times) > 2 * WARM else times


def rows(slug: str, cls: type[Explorer]) -> list[dict[str, Any]]:
    """One row for each state and slider of one explorer."""
    found = []
    for state in ({}, *STATES.get(slug, ())):
        for control in cls(**state).controls():
            if control.kind not in ("int", "float"):
                continue
            times = moves(cls, state, control)
            found.append({
                "explorer": slug, "state": state, "control": control.name, "moves": len(times),
                "p50": float(np.median(times)), "p95": float(np.percentile(times, 95)),
                "milliseconds": [round(each, 2) for each in times],
            })  # fmt: skip
    return found


def main() -> None:
    """Measure the explorers asked for and store them beside the others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="explorers, as kernels,scale")
    given = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / "moves.json"
    kept = json.loads(path.read_text())["rows"] if path.exists() else []
    for slug, cls in explorers().items():
        if given.only and slug not in given.only.split(","):
            continue
        kept = [row for row in kept if row["explorer"] != slug] + rows(slug, cls)
        for row in kept:
            if row["explorer"] == slug:
                print(f"{slug} {row['state']} {row['control']}: {row['p50']:.0f} ms, p95 {row['p95']:.0f}", flush=True)
    environment = {
        "threads": 1, "torch": torch.__version__, "load": os.getloadavg(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }  # fmt: skip
    path.write_text(json.dumps({"allowed_ms": ALLOWED, "rows": kept, "environment": environment}, indent=1) + "\n")


if __name__ == "__main__":
    main()
