"""Slider to changed picture in a real JupyterLab: `python -m tests.benchmarks.slider_latency_lab`.

The clock starts when the page sees the key (capture phase) and stops at the `plotly_afterplot` of the picture whose
`layout.meta` carries the slider's new value. Each move waits for the one before it. Split: *compute* is the explorer's
own time, *draw* is decoding and `Plotly.react`, *transfer* is everything else: the slider, two crossings of the
server, the kernel's queue. Without a graphics card the browser draws views in space in software, which is the slow
case. On a machine that others load, `chrt -r 1 python -m ...` measures as on a quiet one.
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

from tests.benchmarks.latency_explorer import Waves
from tests.chromium import Chromium, with_profile
from tests.lab_server import jupyter_lab, open_first_cell, write_notebook
from workbench.commands.browser import REMEDY, find_browser
from workbench.explorers import Control, Explorer, explorers

RESULTS = Path(__file__).parent / "results" / "slider_latency_lab.json"
SHIPPED = RESULTS.with_name("slider_latency_explorers.json")
MUST_P95, AIM_P95, AIM_P50 = 110.0, 100.0, 60.0  # ms
PLOT = ".wb-plot"
WAVES = "waves: 8 kernels of 64x64, 3 curves, 20 ms of compute"
SOFTWARE = "as the explorer opens, its first slider; the browser draws in software"

LISTEN = """(name) => {
  const plot = document.querySelector('.wb-plot');
  window.moves = [];
  window.times = {};  // of every picture: a refined one may follow before anybody looks
  Object.defineProperty(plot, 'workbenchTimes', { set(one) { window.times[one.serial] = one; } });
  document.addEventListener('keydown', () => { window.pressed = performance.now(); }, true);
  plot.on('plotly_afterplot', () => {
    const { state, compute_ms, serial } = plot.layout.meta;
    const total = performance.now() - window.pressed;
    window.moves.push({ value: state[name], serial, compute: compute_ms, total });
  });
}"""
LAST = """([wanted, before]) => {
  const move = window.moves.find((one) => one.serial > before && Math.abs(one.value - wanted) < 1e-6);
  const times = window.times[move?.serial];
  return times ? { ...move, draw: times.drawn - times.received } : null;
}"""


def measure(page: Any, slider: int, control: Control, moves: int, warm: int = 10) -> dict[str, list[float]]:
    """Move one slider by the arrow keys, one move after the other; milliseconds per move and part."""
    page.evaluate(LISTEN, control.name)
    page.focus(f".noUi-handle >> nth={slider}")
    parts: dict[str, list[float]] = {"total": [], "compute": [], "transfer": [], "draw": []}
    value, key, step = float(control.default), "ArrowRight", float(control.step)
    for index in range(warm + moves):
        low, high = control.bounds
        if not low <= value + step <= high:
            key, step = {"ArrowRight": "ArrowLeft", "ArrowLeft": "ArrowRight"}[key], -step
        value += step
        before = page.evaluate(f"document.querySelector('{PLOT}').layout.meta.serial")
        page.keyboard.press(key)
        seen = page.wait_for_function(LAST, arg=[value, before], polling=20).json_value()
        if index >= warm:
            seen["transfer"] = seen["total"] - seen["compute"] - seen["draw"]
            for name, times in parts.items():
                times.append(seen[name])
        time.sleep(0.12)  # let the page come to rest, as between two presses of a finger
    return parts


def run(explorer: Explorer, moves: int) -> dict[str, list[float]]:
    """One run: a fresh server, kernel and browser; the first slider of the explorer is moved."""
    from playwright.sync_api import sync_playwright

    executable = find_browser()
    if executable is None:
        raise SystemExit(REMEDY)
    control = next(control for control in explorer.controls() if control.bounds)
    cls = type(explorer)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, sync_playwright() as playwright:
        place = Path(folder)
        (place / "settings").mkdir()
        write_notebook(place / "latency.ipynb", [f"from {cls.__module__} import {cls.__name__}\n{cls.__name__}()"])
        with jupyter_lab(place / "latency.ipynb", place / "settings") as address:
            browser = Chromium(with_profile(playwright, executable, place / "profile"), place)
            try:
                open_first_cell(browser.page, address)
                browser.page.wait_for_selector(f"{PLOT} .main-svg", timeout=60_000)
                time.sleep(2)
                return measure(browser.page, 0, control, moves)
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
    options.add_argument("--explorer", default="", help="shipped explorers instead, by their slugs: molecule,harmonics")
    given = options.parse_args()
    if not given.explorer:
        text = json.dumps(report(Waves(), given.runs, given.moves, WAVES), indent=1)
        print(text)
        if not given.no_store:
            RESULTS.write_text(text + "\n", encoding="utf-8")
    for slug in filter(None, given.explorer.split(",")):
        kept = json.loads(SHIPPED.read_text("utf-8")) if SHIPPED.exists() else {}
        kept[slug] = report(explorers()[slug](), given.runs, given.moves, SOFTWARE)
        print(json.dumps(kept[slug], indent=1))
        if not given.no_store:
            SHIPPED.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n", encoding="utf-8")


def report(explorer: Explorer, count: int, moves: int, what: str) -> dict[str, Any]:
    """Several runs of one explorer, and where they were made."""
    load = os.getloadavg()[0]
    runs = [run(explorer, moves) for _ in range(count)]
    return {
        "explorer": explorer.slug,
        "what": f"slider key to changed picture in JupyterLab; {what}",
        "must_p95_ms": MUST_P95,
        "aim_p95_ms": AIM_P95,
        "aim_p50_ms": AIM_P50,
        "moves_per_run": moves,
        **summary(runs),
        "scheduling": "normal"
        if os.sched_getscheduler(0) == os.SCHED_OTHER
        else "realtime, on a machine shared by others",
        "load_average_before": round(load, 2),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("jupyterlab", "ipywidgets", "anywidget", "plotly", "ipykernel")},
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


if __name__ == "__main__":
    main()
