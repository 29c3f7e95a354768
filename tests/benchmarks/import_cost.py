"""Measure what `import workbench` costs beside `import torch`, in paired fresh interpreters.

Run: python tests/benchmarks/import_cost.py [--pairs 7]. The result lies in tests/benchmarks/results/import_cost.json;
the promise is a median ratio of at most 1.2. Time is the process's CPU time (user + system), which a busy
machine disturbs least; the order within a pair alternates, so that a warm disk favours neither.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULT = Path(__file__).resolve().parent / "results" / "import_cost.json"
ALLOWED_RATIO = 1.2
PROGRAM = "import {module}, resource; u = resource.getrusage(resource.RUSAGE_SELF); print(u.ru_utime + u.ru_stime)"


def cpu_seconds(module: str) -> float:
    """CPU time of a fresh interpreter that imports one module, in seconds."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=300,
    )
    return float(ran.stdout)


def measure(pairs: int) -> dict:
    """Times of every import and the ratio to torch's in the same round, after one warm-up each."""
    modules = ("torch", "workbench", "workbench.layers", "workbench.measure")
    for module in modules:
        cpu_seconds(module)
    seconds: dict[str, list[float]] = {module: [] for module in modules}
    for pair in range(pairs):
        for module in modules if pair % 2 == 0 else reversed(modules):
            seconds[module].append(cpu_seconds(module))
    ratios = {
        module: [ours / theirs for ours, theirs in zip(seconds[module], seconds["torch"], strict=True)]
        for module in modules[1:]
    }
    quartiles = {module: statistics.quantiles(values, n=4) for module, values in ratios.items()}
    return {
        "what": "CPU time of an import over `import torch`, paired fresh interpreters; the promise is on `workbench`",
        "ratio_median": {module: middle for module, (_, middle, _) in quartiles.items()},
        "ratio_quartiles": {module: [lower, upper] for module, (lower, _, upper) in quartiles.items()},
        "ratio_allowed": ALLOWED_RATIO,
        "ratios": ratios,
        "seconds": seconds,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "torch": version("torch"),
        "date": datetime.now(UTC).date().isoformat(),
    }


def main() -> int:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--pairs", type=int, default=7, help="pairs of runs, at least 5 (default: 7)")
    result = measure(max(5, reader.parse_args().pairs))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for module, ratio in result["ratio_median"].items():
        print(f"import {module} / import torch = {ratio:.3f}")
    return int(result["ratio_median"]["workbench"] > ALLOWED_RATIO)


if __name__ == "__main__":
    sys.exit(main())
