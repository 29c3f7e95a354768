"""Slider to changed picture in a real JupyterLab: `python -m tests.benchmarks.slider_latency_lab`.

The clock starts when the page sees the key (capture phase) and stops at the `plotly_afterplot` of the picture whose
`layout.meta` carries the slider's new value. Each move waits for the one before it. Split: *compute* is the explorer's
own time, *draw* is decoding and `Plotly.react`, *transfer* is everything else: the slider, two crossings of the
server, the kernel's queue.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tests.chromium import Chromium
from tests.lab_server import jupyter_lab, open_first_cell, write_notebook
from workbench.commands.browser import REMEDY, find_browser

RESULTS = Path(__file__).parent / "results" / "slider_latency_lab.json"
MUST_P95, AIM_P95, AIM_P50 = 110.0, 100.0, 60.0  # ms
CELL = "from tests.benchmarks.latency_explorer import Waves\nWaves()"
PLOT = ".wb-plot"

LISTEN = """() => {
  const plot = document.querySelector('.wb-plot');
  window.moves = [];
  document.addEventListener('keydown', () => { window.pressed = performance.now(); }, true);
  plot.on('plotly_afterplot', () => {
    const { state, compute_ms } = plot.layout.meta;
    window.moves.push({ value: state.angle_deg, compute: compute_ms, total: performance.now() - window.pressed });
  });
}"""
LAST = """(value) => {
  const move = window.moves.find((one) => one.value === value), plot = document.querySelector('.wb-plot');
  const times = plot.workbenchTimes;
  if (!move || plot.layout.meta.state.angle_deg !== value || times.serial !== plot.layout.meta.serial) return null;
  return { ...move, draw: times.drawn - times.received };
}"""


def measure(page: Any, moves: int, warm: int = 10) -> dict[str, list[float]]:
    """Move the first slider by the arrow key, one move after the other; milliseconds per move and part."""
    page.evaluate(LISTEN)
    page.focus(".noUi-handle")
    parts: dict[str, list[float]] = {"total": [], "compute": [], "transfer": [], "draw": []}
    value = page.evaluate(f"document.querySelector('{PLOT}').layout.meta.state.angle_deg")
    for index in range(warm + moves):
        value += 1
        page.keyboard.press("ArrowRight")
        seen = page.wait_for_function(LAST, arg=value, polling=20).json_value()
        if index >= warm:
            seen["transfer"] = seen["total"] - seen["compute"] - seen["draw"]
            for name, times in parts.items():
                times.append(seen[name])
        time.sleep(0.12)  # let the page come to rest, as between two presses of a finger
    return parts


def run(moves: int) -> dict[str, list[float]]:
    """One run: a fresh server, kernel and browser."""
    from playwright.sync_api import sync_playwright

    executable = find_browser()
    if executable is None:
        raise SystemExit(REMEDY)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, sync_playwright() as playwright:
        place = Path(folder)
        (place / "settings").mkdir()
        write_notebook(place / "latency.ipynb", [CELL])
        with jupyter_lab(place / "latency.ipynb", place / "settings") as address:
            browser = Chromium(playwright, executable, place / "profile", place)
            try:
                open_first_cell(browser.page, address)
                browser.page.wait_for_selector(f"{PLOT} .main-svg", timeout=60_000)
                return measure(browser.page, moves)
            finally:
                browser.close()


def summary(runs: list[dict[str, list[float]]]) -> dict[str, Any]:
    """Median over the runs of each run's p50 and p95, with their spread."""
    report: dict[str, Any] = {}
    for part in runs[0]:
        for percentile in (50, 95):
            each = [float(np.percentile(one[part], percentile)) for one in runs]
            report[f"{part}_p{percentile}_ms"] = {
                "median": round(statistics.median(each), 1),
                "runs": [round(value, 1) for value in each],
            }
    return report


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--moves", type=int, default=80)
    options.add_argument("--no-store", action="store_true", help="print only")
    given = options.parse_args()
    load = os.getloadavg()[0]
    runs = [run(given.moves) for _ in range(given.runs)]
    report = {
        "what": "slider key to changed picture, JupyterLab, 8 kernels of 64x64 and 3 curves, 20 ms of compute",
        "must_p95_ms": MUST_P95,
        "aim_p95_ms": AIM_P95,
        "aim_p50_ms": AIM_P50,
        "moves_per_run": given.moves,
        **summary(runs),
        "load_average_before": round(load, 2),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("jupyterlab", "ipywidgets", "anywidget", "plotly", "ipykernel")},
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    text = json.dumps(report, indent=1)
    print(text)
    if not given.no_store:
        RESULTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
